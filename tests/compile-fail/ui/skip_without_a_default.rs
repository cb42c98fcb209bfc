use session_axum::SessionData;

struct Connection;

#[derive(SessionData)]
struct Visitor {
    #[session(skip)]
    connection: Connection,
}

fn main() {}
