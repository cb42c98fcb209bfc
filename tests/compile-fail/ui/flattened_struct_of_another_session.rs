use session_axum::SessionData;

#[derive(SessionData)]
#[session(cookie = "cart")]
struct Cart {
    items: Vec<String>,
}

#[derive(SessionData)]
struct Visitor {
    #[session(flatten)]
    cart: Cart,
}

fn main() {}
