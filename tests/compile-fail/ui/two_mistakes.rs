use session_axum::SessionData;

#[derive(SessionData)]
#[session(redirect = "login")]
struct Visitor {
    #[session(defualt)]
    visits: u32,
}

fn needs_session_data<T: SessionData>() {}

fn also_used() {
    needs_session_data::<Visitor>();
}

fn main() {}
