use axum::response::{IntoResponse, Redirect};
use session_axum::SessionResponseExt;

async fn forget() -> impl IntoResponse {
    Redirect::to("/").removing_from_session(7)
}

fn main() {}
