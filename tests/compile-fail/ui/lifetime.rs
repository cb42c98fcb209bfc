use session_axum::SessionData;

#[derive(SessionData)]
struct Visitor<'a> {
    name: &'a str,
}

fn main() {}
