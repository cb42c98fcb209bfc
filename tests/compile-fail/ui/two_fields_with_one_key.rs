use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    name: String,
    #[session(rename = "name")]
    nickname: String,
}

fn main() {}
