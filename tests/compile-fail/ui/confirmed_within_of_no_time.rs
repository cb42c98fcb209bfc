use session_axum::SessionData;

#[derive(SessionData)]
#[session(confirmed_within = "0m")]
struct Visitor {
    name: String,
}

fn main() {}
