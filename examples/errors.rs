//! One error type for all handlers: browsers get a page, programs get JSON, and the session layer still hears of its
//! errors. The API has no session: `SessionLayer::null()`. `cargo run --example errors`, then
//!
//! ```text
//! curl -i http://127.0.0.1:3000/photo
//! curl -i http://127.0.0.1:3000/photo -H 'Accept: application/json'
//! curl -i http://127.0.0.1:3000/items/8 -H 'Accept: application/json'
//! curl -i http://127.0.0.1:3000/api/hello
//! ```

use axum::{
    Json, Router,
    extract::{Path, Request},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use session_axum::{Error, Keys, Session, SessionLayer};
use session_examples::start;

/// The error of every handler.
enum AppError {
    Session(Error),
    NoSuchItem,
}

/// The text of an error response. It is an extension of the response, so that `in_the_clients_form` finds it.
#[derive(Clone)]
struct Sentence(&'static str);

impl From<Error> for AppError {
    fn from(error: Error) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let mut response = match self {
            // The session layer finds its error in this response: it logs the cause, and drops what was not saved.
            Self::Session(error) => return error.into_response(),
            Self::NoSuchItem => StatusCode::NOT_FOUND.into_response(),
        };
        response.extensions_mut().insert(Sentence("There is no such item."));
        response
    }
}

/// Answers an error with JSON or with a page, as the client prefers. This layer is around the session layer, whose error
/// is an extension of the response. The headers stay: they may end a session.
async fn in_the_clients_form(request: Request, next: Next) -> Response {
    let wants_json = prefers_json(request.headers());
    let response = next.run(request).await;
    let sentence = match (response.extensions().get::<Sentence>(), response.extensions().get::<Error>()) {
        (Some(Sentence(sentence)), _) => sentence,
        (None, Some(error)) if error.status() == StatusCode::SERVICE_UNAVAILABLE => "Please try again in a moment.",
        (None, Some(_)) => "Something went wrong, and nothing was saved.",
        (None, None) => return response,
    };
    let (mut parts, _) = response.into_parts();
    let body = if wants_json {
        Json(json!({ "error": sentence })).into_response()
    } else {
        Html(format!("<h1>{}</h1><p>{sentence}</p>", parts.status.as_u16())).into_response()
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, body.headers()[header::CONTENT_TYPE].clone());
    Response::from_parts(parts, body.into_body())
}

fn prefers_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("json") && !accept.contains("html")
}

async fn photo(session: Session) -> Result<&'static str, AppError> {
    session.insert("photo", "x".repeat(5_000))?; // more than a cookie holds: the layer's error when it saves
    Ok("Saved.")
}

async fn item(session: Session, Path(number): Path<u32>) -> Result<String, AppError> {
    if number > 7 {
        return Err(AppError::NoSuchItem);
    }
    session.insert("seen", number)?;
    Ok(format!("Item {number}\n"))
}

/// The same handler in the application and in the API, where the session is always empty.
async fn hello(session: Session) -> Result<String, AppError> {
    let seen = session.get::<u32>("seen")?;
    Ok(seen.map_or_else(|| "Hello.\n".to_owned(), |number| format!("Hello. You have seen item {number}.\n")))
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    let pages = Router::new()
        .route("/photo", get(photo))
        .route("/items/{number}", get(item))
        .route("/hello", get(hello))
        .layer(layer);
    let api = Router::new().route("/hello", get(hello)).layer(SessionLayer::null());
    pages.nest("/api", api).layer(middleware::from_fn(in_the_clients_form))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS and `SessionLayer::signed(Keys::from_env("SESSION_SECRET")?)`.
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    start::serve("Errors are at", "/photo", app(layer)).await
}
