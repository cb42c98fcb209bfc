use axum::{Router, routing::get};
use session_axum::Session;

struct Visitor;

async fn home(_visitor: Session<Visitor>) {}

fn main() {
    let _: Router = Router::new().route("/", get(home));
}
