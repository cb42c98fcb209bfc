use session_axum::SessionData;

#[derive(SessionData)]
struct Guest;

fn main() {}
