use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(skip = true)]
    name: String,
}

fn main() {}
