use axum::response::{IntoResponse, Redirect};
use session_axum::SessionResponseExt;

async fn save() -> impl IntoResponse {
    Redirect::to("/").flashing("Saved.")
}

async fn save_two_arguments() -> impl IntoResponse {
    Redirect::to("/").flashing("success", "Saved.")
}

fn main() {}
