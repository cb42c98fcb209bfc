use session_axum::SessionData;

#[derive(SessionData)]
struct Address {
    street: String,
    name: String,
}

#[derive(SessionData)]
struct Visitor {
    name: String,
    #[session(flatten)]
    address: Address,
}

fn main() {}
