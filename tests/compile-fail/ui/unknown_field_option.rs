use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(renam = "visitor")]
    name: String,
}

fn main() {}
