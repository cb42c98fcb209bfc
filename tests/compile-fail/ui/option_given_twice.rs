use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(rename = "a")]
    #[session(rename = "b")]
    name: String,
}

fn main() {}
