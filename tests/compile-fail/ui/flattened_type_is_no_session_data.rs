use session_axum::SessionData;

#[derive(serde::Serialize, serde::Deserialize)]
struct Address {
    street: String,
}

#[derive(SessionData)]
struct Visitor {
    #[session(flatten)]
    address: Address,
}

fn main() {}
