use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(rename("visitor"))]
    name: String,
}

fn main() {}
