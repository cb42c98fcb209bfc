//! A request that a test builds and sends.

use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum_core::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, header};
use serde::Serialize;

use super::{Client, TestResponse};

/// A request of a [`Client`]. `.await` sends it, and so does [`send`](Self::send).
///
/// Its methods have the names of reqwest's `RequestBuilder`.
///
/// # Examples
///
/// ```
/// # use axum::{Router, http::HeaderMap, routing::get};
/// # use session_axum::testing::Client;
/// async fn language(headers: HeaderMap) -> String {
///     headers["accept-language"].to_str().unwrap_or_default().to_owned()
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let client = Client::new(Router::new().route("/", get(language)));
/// assert_eq!(client.get("/").header("accept-language", "de").await.text(), "de");
/// # }
/// ```
#[must_use = "`.await` sends the request"]
pub struct TestRequest {
    client: Client,
    request: Request<Body>,
    /// The response that is waited for, once the request is sent.
    response: Option<Pin<Box<dyn Future<Output = TestResponse> + Send>>>,
}

impl TestRequest {
    pub(super) fn new(client: Client, method: Method, path: &str) -> Self {
        Self { client, request: request(method, path), response: None }
    }

    /// Adds a header. A name may be added several times.
    ///
    /// # Panics
    ///
    /// Panics if the name or the value cannot be in a header.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, http::HeaderMap, routing::get};
    /// # use session_axum::testing::Client;
    /// # async fn agent(headers: HeaderMap) -> String { headers["user-agent"].to_str().unwrap_or_default().to_owned() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", get(agent)));
    /// assert_eq!(client.get("/").header("user-agent", "curl").await.text(), "curl");
    /// # }
    /// ```
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let valid_name = HeaderName::try_from(name).unwrap_or_else(|error| panic!("header {name:?}: {error}"));
        let value = HeaderValue::try_from(value).unwrap_or_else(|error| panic!("header {name:?}: {error}"));
        self.request.headers_mut().append(valid_name, value);
        self
    }

    /// Adds the header `Authorization: Bearer TOKEN`, for a layer with [`SessionLayer::bearer`](crate::SessionLayer::bearer).
    ///
    /// # Panics
    ///
    /// Panics if the token cannot be in a header.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, http::HeaderMap, routing::get};
    /// # use session_axum::testing::Client;
    /// # async fn token(headers: HeaderMap) -> String { headers["authorization"].to_str().unwrap_or_default().to_owned() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", get(token)));
    /// assert_eq!(client.get("/").bearer_auth("abc").await.text(), "Bearer abc");
    /// # }
    /// ```
    pub fn bearer_auth(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sets the body to a form, encoded as `application/x-www-form-urlencoded`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::put};
    /// # use session_axum::testing::Client;
    /// # use axum::http::Method;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", put(|body: String| async { body })));
    /// let response = client.request(Method::PUT, "/").form(&[("name", "Ada & Co")]).await;
    /// assert_eq!(response.text(), "name=Ada%20%26%20Co");
    /// # }
    /// ```
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        self.content("application/x-www-form-urlencoded", Body::from(urlencode(fields)))
    }

    /// Sets the body to a value as JSON.
    ///
    /// # Panics
    ///
    /// Panics if the value has no JSON text.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, http::Method, routing::patch};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", patch(|body: String| async { body })));
    /// assert_eq!(client.request(Method::PATCH, "/").json(&["tea"]).await.text(), r#"["tea"]"#);
    /// # }
    /// ```
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        let text = serde_json::to_string(value).unwrap_or_else(|error| panic!("the value has no JSON text: {error}"));
        self.content("application/json", Body::from(text))
    }

    /// Sets the body. The content type is that of a [`header`](Self::header).
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", post(|body: String| async { body })));
    /// assert_eq!(client.post("/").header("content-type", "text/csv").body("tea,2").await.text(), "tea,2");
    /// # }
    /// ```
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends the request with the client's cookies, and keeps the cookies that the response sets.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", get(|| async { "Hello" })));
    /// assert_eq!(client.get("/").send().await.text(), "Hello");
    /// # }
    /// ```
    pub async fn send(self) -> TestResponse {
        self.await
    }

    fn content(self, kind: &'static str, body: Body) -> Self {
        let mut this = self.body(body);
        this.request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        this
    }
}

impl Future for TestRequest {
    type Output = TestResponse;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TestResponse> {
        let Self { client, request, response } = &mut *self;
        let response = response.get_or_insert_with(|| {
            let (client, request) = (client.clone(), mem::take(request));
            Box::pin(async move { client.send(request).await })
        });
        response.as_mut().poll(context)
    }
}

impl fmt::Debug for TestRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestRequest").field("method", self.request.method()).finish_non_exhaustive()
    }
}

/// Makes a request without a body.
pub(super) fn request(method: Method, path: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_else(|error| panic!("{path:?} is not a valid path: {error}"));
    request
}

fn urlencode(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}
