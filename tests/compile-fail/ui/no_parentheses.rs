use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session = "skip"]
    name: String,
}

fn main() {}
