use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor(String, u32);

fn main() {}
