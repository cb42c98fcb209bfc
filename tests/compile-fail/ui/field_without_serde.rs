use session_axum::SessionData;

struct Basket {
    items: Vec<String>,
}

#[derive(SessionData)]
struct Visitor {
    name: String,
    basket: Basket,
}

fn main() {}
