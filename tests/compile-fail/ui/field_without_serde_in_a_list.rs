use session_axum::SessionData;

struct Item;

#[derive(SessionData)]
struct Basket {
    items: Option<Vec<Item>>,
}

fn main() {}
