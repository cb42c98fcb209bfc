use session_axum::SessionData;

#[derive(SessionData)]
#[session(redirect = "/login", message = 401)]
struct Member {
    user: String,
}

fn main() {}
