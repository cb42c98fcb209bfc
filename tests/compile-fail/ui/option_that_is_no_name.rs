use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session("visitor")]
    name: String,
}

fn main() {}
