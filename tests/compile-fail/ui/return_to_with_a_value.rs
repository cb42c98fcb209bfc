use session_axum::SessionData;

#[derive(SessionData)]
#[session(redirect = "/login", return_to = "/")]
struct Visitor {
    name: String,
}

fn main() {}
