use session_axum::SessionData;

struct Basket;

struct Address;

#[derive(SessionData)]
struct Visitor {
    basket: Basket,
    address: Address,
}

fn main() {}
