use session_axum::SessionData;

#[derive(SessionData)]
union Number {
    whole: u32,
    real: f32,
}

fn main() {}
