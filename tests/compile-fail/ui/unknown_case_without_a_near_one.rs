use session_axum::SessionData;

#[derive(SessionData)]
#[session(rename_all = "Title Case")]
struct Visitor {
    first_name: String,
}

fn main() {}
