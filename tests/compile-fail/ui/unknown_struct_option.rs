use session_axum::SessionData;

#[derive(SessionData)]
#[session(redirekt = "/login")]
struct Visitor {
    name: String,
}

fn main() {}
