use session_axum::SessionData;

#[derive(SessionData)]
#[session(prefix = "$visitor.")]
struct Visitor {
    name: String,
    visits: u32,
}

fn main() {}
