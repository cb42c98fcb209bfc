use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    name: String,
    #[session(alias = "name")]
    nickname: String,
}

fn main() {}
