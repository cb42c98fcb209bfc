use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(skip, rename = "visitor")]
    name: String,
}

fn main() {}
