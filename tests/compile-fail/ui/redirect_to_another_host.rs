use session_axum::SessionData;

#[derive(SessionData)]
#[session(redirect = "//login")]
struct Visitor {
    name: String,
}

fn main() {}
