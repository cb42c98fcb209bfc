use session_axum::SessionData;

#[derive(serde::Serialize, serde::Deserialize)]
struct Theme;

#[derive(SessionData)]
struct Visitor {
    #[session(default)]
    theme: Theme,
}

fn main() {}
