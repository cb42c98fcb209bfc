use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    name: &str,
}

fn main() {}
