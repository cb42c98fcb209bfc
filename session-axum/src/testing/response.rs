//! What a test reads of a response.

use std::{fmt, future::poll_fn, pin::pin};

use axum_core::response::Response;
use http::{HeaderMap, StatusCode, header};
use http_body::Body as _;
use serde::de::DeserializeOwned;

/// A response with its whole body.
///
/// # Examples
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::testing::Client;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let client = Client::new(Router::new().route("/", get(|| async { "Hello" })));
/// let response = client.get("/").await;
/// assert_eq!(response.status(), 200);
/// assert_eq!(response.text(), "Hello");
/// # }
/// ```
#[derive(Clone)]
pub struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl TestResponse {
    /// Returns the status of the response.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, http::StatusCode};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new());
    /// assert_eq!(client.get("/missing").await.status(), StatusCode::NOT_FOUND);
    /// # }
    /// ```
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers of the response.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
    /// let response = client.get("/").await;
    /// assert_eq!(response.headers()["vary"], "Cookie");
    /// assert_eq!(response.headers()["cache-control"], "no-store"); // it sets a cookie
    /// # }
    /// ```
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the values of the `Set-Cookie` headers, in their order.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
    /// let response = client.get("/").await;
    /// assert!(response.set_cookies()[0].starts_with("__Host-session="));
    /// assert!(response.set_cookies()[0].contains("; HttpOnly"));
    /// # }
    /// ```
    #[must_use]
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// Returns the path of the `Location` header, to which a redirect leads; `None` if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::get};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", get(|| async { Redirect::to("/login") })));
    /// assert_eq!(client.get("/").await.location(), Some("/login"));
    /// assert_eq!(client.get("/login").await.location(), None);
    /// # }
    /// ```
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.headers.get(header::LOCATION)?.to_str().ok()
    }

    /// Returns the body as text. If the body is not UTF-8, returns a sentence that explains this.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", get(|| async { "Hello" })));
    /// let page = client.get("/").await.text();
    /// assert_eq!(page, "Hello");
    /// # }
    /// ```
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap_or_else(|_| "(the body is not UTF-8 text)".to_owned())
    }

    /// Returns the body, read as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the body cannot be read as a `T`. The message has the status and the beginning of the body.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", get(|| async { r#"{"items":["tea"]}"# })));
    /// let cart: serde_json::Value = client.get("/").await.json();
    /// assert_eq!(cart["items"][0], "tea");
    /// # }
    /// ```
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            let (status, beginning): (_, String) = (self.status, self.text().chars().take(200).collect());
            panic!(
                "the body of this response ({status}) is not the expected JSON: {error}; it begins with {beginning:?}"
            )
        })
    }

    pub(super) async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let mut body = pin!(body);
        let mut bytes = Vec::new();
        while let Some(Ok(frame)) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            bytes.extend(frame.into_data().unwrap_or_default());
        }
        Self { status: parts.status, headers: parts.headers, body: bytes }
    }
}

impl fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestResponse").field("status", &self.status).finish_non_exhaustive()
    }
}
