use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(prefix = "visitor.")]
    name: String,
}

fn main() {}
