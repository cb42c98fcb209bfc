use session_axum::SessionData;

#[derive(SessionData)]
#[session(default)]
struct Visitor {
    name: String,
}

fn main() {}
