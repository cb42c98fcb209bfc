use session_axum::SessionData;

#[derive(serde::Serialize)]
struct Basket {
    items: Vec<String>,
}

#[derive(SessionData)]
struct Visitor {
    #[session(default = Basket { items: Vec::new() })]
    basket: Basket,
}

fn main() {}
