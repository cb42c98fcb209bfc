use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(alias = "$")]
    name: String,
}

fn main() {}
