use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(encrypted)]
    name: String,
}

fn main() {}
