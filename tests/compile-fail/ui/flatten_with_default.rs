use session_axum::SessionData;

#[derive(SessionData, Default)]
struct Address {
    street: String,
}

#[derive(SessionData)]
struct Visitor {
    #[session(flatten, default)]
    address: Address,
}

fn main() {}
