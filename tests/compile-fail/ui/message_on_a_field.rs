use session_axum::SessionData;

#[derive(SessionData)]
struct Member {
    #[session(message = "Please log in.")]
    user: String,
}

fn main() {}
