use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    name: &'static str,
}

fn main() {}
