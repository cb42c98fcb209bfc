use session_axum::SessionData;

#[derive(SessionData)]
#[session(crate = "my_framework::session")]
struct Visitor {
    name: String,
    visits: u32,
}

fn main() {}
