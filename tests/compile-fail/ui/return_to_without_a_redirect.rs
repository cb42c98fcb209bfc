use session_axum::SessionData;

#[derive(SessionData)]
#[session(return_to)]
struct Visitor {
    name: String,
}

fn main() {}
