use session_axum::SessionData;

#[derive(SessionData)]
#[session(crate = "session axum")]
struct Visitor {
    name: String,
}

fn main() {}
