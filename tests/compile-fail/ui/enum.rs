use session_axum::SessionData;

#[derive(SessionData)]
enum Theme {
    Dark,
    Light,
}

fn main() {}
