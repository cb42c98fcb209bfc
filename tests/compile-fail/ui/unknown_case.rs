use session_axum::SessionData;

#[derive(SessionData)]
#[session(rename_all = "camel_case")]
struct Visitor {
    first_name: String,
}

fn main() {}
