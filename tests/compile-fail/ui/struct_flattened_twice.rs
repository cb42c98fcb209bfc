use session_axum::SessionData;

#[derive(SessionData)]
struct Address {
    street: String,
}

#[derive(SessionData)]
struct Order {
    #[session(flatten)]
    from: Address,
    #[session(flatten)]
    to: Address,
}

fn main() {}
