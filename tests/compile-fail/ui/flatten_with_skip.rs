use session_axum::SessionData;

#[derive(SessionData, Default)]
struct Address {
    street: String,
}

#[derive(SessionData)]
struct Visitor {
    #[session(skip, flatten)]
    address: Address,
}

fn main() {}
