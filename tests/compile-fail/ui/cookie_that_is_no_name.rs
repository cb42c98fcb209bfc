use session_axum::SessionData;

#[derive(SessionData)]
#[session(cookie = "my cart")]
struct Cart {
    items: Vec<String>,
}

fn main() {}
