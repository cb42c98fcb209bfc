//! Tickets: short-lived cookies of their own, for a value that is needed for one step.

use std::{sync::Arc, time::Duration};

use axum_core::{
    extract::FromRequestParts,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use http::request::Parts;
use serde::{Serialize, de::DeserializeOwned};
use session_core::encode;

use crate::{
    config::Settings,
    edits::{Edit, ResponseEdits},
    error::Error,
    rejection::{MissingLayer, request_of},
    request::Request,
    wire::{
        request_cookies::RequestCookies,
        ticket_cookie::{TicketChange, TicketCookie},
    },
};

/// The value of a [`Ticket`]. Implement it with `#[derive(TicketData)]`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use serde::{Deserialize, Serialize};
/// use session_axum::TicketData;
///
/// #[derive(Serialize, Deserialize, TicketData)]
/// #[ticket(name = "oauth", path = "/callback", lifetime = "10m", cross_site)]
/// struct OAuth {
///     state: String,
/// }
///
/// assert_eq!((OAuth::NAME, OAuth::PATH, OAuth::CROSS_SITE), ("oauth", "/callback", true));
/// assert_eq!(OAuth::LIFETIME, Duration::from_secs(600));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the value of a ticket",
    label = "needs `#[derive(TicketData)]`",
    note = "add `#[derive(TicketData)]` and `#[ticket(name = \"..\")]` to `{Self}`"
)]
pub trait TicketData: TicketValue {
    /// The name of the cookie, without the prefix `__Host-` or `__Secure-`.
    const NAME: &'static str;
    /// The path of the cookie: `/` by default.
    const PATH: &'static str;
    /// How long the ticket is valid: 10 minutes by default.
    const LIFETIME: Duration;
    /// Whether the browser also sends the ticket with a POST from another site.
    const CROSS_SITE: bool;
}

/// A type that can be written and read with serde: every type with `Serialize` and `Deserialize`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a ticket",
    label = "needs serde's `Serialize` and `Deserialize`",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to this type and to the types of its fields"
)]
pub trait TicketValue: Sized {
    fn to_text(&self) -> Result<String, Error>;
    fn read(cookie: Reading<'_>) -> Option<Self>;
}

/// The cookies of a request, and the properties of the ticket's cookie.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    cookie: TicketCookie,
    settings: &'a Settings,
    cookies: &'a RequestCookies,
}

session_core::opaque_debug!([] Reading<'_>);

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> TicketValue for T {
    fn to_text(&self) -> Result<String, Error> {
        encode(self).map_err(|error| Error::from(session_core::SealError::from(error)))
    }

    fn read(Reading { cookie, settings, cookies }: Reading<'_>) -> Option<Self> {
        cookie.read(settings, cookies)
    }
}

/// A value for one step, in a short-lived cookie of its own: the state of a log-in that another site sends back, for
/// example. It needs no session, and leaves the session alone.
///
/// [`Ticket::new`] is a part of the response that begins the step. The extractor gets the value back, and never rejects
/// because of what the client sent. The cookie is sealed with the layer's keys: signed, or encrypted with
/// `SessionLayer::encrypted`.
///
/// With `cross_site` the cookie has `SameSite=None; Secure`. The browser then also sends it with a POST from another
/// site, which brings no session. Under [`insecure_over_http`](crate::SessionLayer::insecure_over_http) it is Secure
/// too, because browsers refuse it otherwise; they accept it from `http://localhost`.
///
/// # Examples
///
/// ```
/// # use axum::{Router, http::StatusCode, response::{IntoResponse, Redirect}, routing::get};
/// # use serde::{Deserialize, Serialize};
/// # use session_axum::{Keys, SessionLayer, Ticket, TicketData, testing::Client};
/// #[derive(Serialize, Deserialize, TicketData)]
/// #[ticket(name = "oauth", path = "/callback", cross_site)]
/// struct OAuth {
///     state: String,
/// }
///
/// async fn begin() -> impl IntoResponse {
///     let state = "from a random source".to_owned();
///     (Ticket::new(OAuth { state }), Redirect::to("https://id.example.com/authorize"))
/// }
///
/// async fn callback(ticket: Ticket<OAuth>) -> Result<String, StatusCode> {
///     let OAuth { state } = ticket.take().ok_or(StatusCode::BAD_REQUEST)?; // works once
///     Ok(state)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let app = Router::new().route("/login", get(begin)).route("/callback", get(callback));
/// let client = Client::new(app.layer(SessionLayer::signed(Keys::generate())));
/// client.get("/login").await;
/// assert_eq!(client.get("/callback").await.text(), "from a random source");
/// assert_eq!(client.get("/callback").await.status(), StatusCode::BAD_REQUEST);
/// # }
/// ```
pub struct Ticket<T: TicketData> {
    value: Option<T>,
    /// The request with which the ticket came; `None` for a new ticket.
    request: Option<Arc<Request>>,
}

impl<T: TicketData> Ticket<T> {
    /// Creates a ticket, as a part of the response. It replaces an earlier ticket of the same name.
    ///
    /// If the value cannot be sealed or is too large for a cookie, [`on_error`](crate::SessionLayer::on_error) makes
    /// the response.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use serde::{Deserialize, Serialize};
    /// # use session_axum::{Keys, SessionLayer, Ticket, TicketData, testing::Client};
    /// #[derive(Serialize, Deserialize, TicketData)]
    /// #[ticket(name = "step", lifetime = "90s")]
    /// struct Step(u8);
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let app = Router::new().route("/", get(async || (Ticket::new(Step(1)), "begun")));
    /// let client = Client::new(app.layer(SessionLayer::signed(Keys::generate())));
    /// let response = client.get("/").await;
    /// assert!(response.set_cookies()[0].ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=90"));
    /// assert_eq!(client.cookie_names(), ["__Host-step"]);
    /// # }
    /// ```
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self { value: Some(value), request: None }
    }

    /// Returns the value; `None` if no valid ticket came.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use serde::{Deserialize, Serialize};
    /// # use session_axum::{Keys, SessionLayer, Ticket, TicketData, testing::Client};
    /// #[derive(Serialize, Deserialize, TicketData)]
    /// #[ticket(name = "step")]
    /// struct Step(u8);
    ///
    /// async fn page(ticket: Ticket<Step>) -> String {
    ///     ticket.value().map_or("no ticket".to_owned(), |Step(step)| format!("step {step}"))
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// assert_eq!(Client::new(app).get("/").await.text(), "no ticket");
    /// # }
    /// ```
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Returns the value, and removes the cookie with the response, also if the response is an error. A copy of the
    /// cookie still works until its lifetime is over.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use serde::{Deserialize, Serialize};
    /// # use session_axum::{Keys, SessionLayer, Ticket, TicketData, testing::Client};
    /// #[derive(Serialize, Deserialize, TicketData)]
    /// #[ticket(name = "step")]
    /// struct Step(u8);
    ///
    /// async fn page(ticket: Ticket<Step>) -> String {
    ///     ticket.take().map_or("no ticket".to_owned(), |Step(step)| format!("step {step}"))
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let app = Router::new().route("/begin", get(async || Ticket::new(Step(1)))).route("/", get(page));
    /// # let client = Client::new(app.layer(SessionLayer::signed(Keys::generate())));
    /// client.get("/begin").await;
    /// assert_eq!(client.get("/").await.text(), "step 1");
    /// assert!(client.cookie_names().is_empty());
    /// # }
    /// ```
    #[must_use]
    pub fn take(self) -> Option<T> {
        if let Some(request) = self.request.filter(|request| cookie::<T>().came(&request.settings, &request.cookies)) {
            let removal = TicketChange { cookie: cookie::<T>(), text: None };
            if let Err(error) = request.stage_flash(|flash| flash.change_ticket(removal)) {
                tracing::error!(
                    name: "error.ticket_not_removed", target: "session_axum::error",
                    %error, "a ticket was not removed"
                );
            }
        }
        self.value
    }

    fn edit(self) -> Edit {
        let Some(value) = self.value else { return Edit::Ticket(TicketChange { cookie: cookie::<T>(), text: None }) };
        match value.to_text() {
            Ok(text) => Edit::Ticket(TicketChange { cookie: cookie::<T>(), text: Some(text) }),
            Err(error) => Edit::Fail(error),
        }
    }
}

const fn cookie<T: TicketData>() -> TicketCookie {
    TicketCookie { name: T::NAME, path: T::PATH, lifetime: T::LIFETIME, is_cross_site: T::CROSS_SITE }
}

impl<T: TicketData> IntoResponseParts for Ticket<T> {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        ResponseEdits::of(parts.extensions_mut()).push(self.edit());
        Ok(parts)
    }
}

impl<T: TicketData> IntoResponse for Ticket<T> {
    fn into_response(self) -> Response {
        let mut response = ().into_response();
        ResponseEdits::of(response.extensions_mut()).push(self.edit());
        response
    }
}

impl<T: TicketData, S: Send + Sync> FromRequestParts<S> for Ticket<T> {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        let request = request_of(parts, "Ticket")?;
        let Request { settings, cookies, .. } = &**request;
        let value = T::read(Reading { cookie: cookie::<T>(), settings, cookies });
        request.note_ticket(value.is_some());
        Ok(Self { value, request: Some(Arc::clone(request)) })
    }
}

session_core::opaque_debug!([T: TicketData] Ticket<T>);
