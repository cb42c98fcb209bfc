use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor {
    #[session(default = "none")]
    visits: u32,
}

fn main() {}
