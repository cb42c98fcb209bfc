use session_axum::SessionData;

#[derive(SessionData)]
#[session(redirect = "/login\nSet-Cookie: a=b")]
struct Visitor {
    name: String,
}

fn main() {}
