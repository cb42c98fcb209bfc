use session_axum::SessionData;

#[derive(SessionData)]
#[session(redirect = "/confirm", confirmed_within = "10")]
struct Visitor {
    name: String,
}

fn main() {}
