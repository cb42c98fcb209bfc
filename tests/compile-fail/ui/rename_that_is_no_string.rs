use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(rename = 5)]
    name: String,
}

fn main() {}
