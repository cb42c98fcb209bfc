use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(rename = "")]
    name: String,
}

fn main() {}
