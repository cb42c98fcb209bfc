//! The guard of a typed session: the response to a request whose session lacks a required field or a confirmation.

use std::borrow::Cow;

use axum::extract::OriginalUri;
use axum_core::response::{IntoResponse, Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{self, ACCEPT},
    request::Parts,
};
use session_core::SessionData;

use crate::{
    config::Settings,
    edits::{Edit, EditList},
    wire::{page_view::is_prefetch, return_cookie::is_own_page},
};

/// The response of the guard of a [`Session<T>`](crate::Session). It is made from the options of `T` and from the
/// request: a browser is redirected, htmx gets `HX-Redirect`, and a client that prefers JSON gets the plain status.
#[derive(Clone, Debug)]
// In a box, because each extraction of a session moves a value of this size, also if it succeeds.
pub struct Refusal(Box<Answer>);

#[derive(Clone, Debug)]
struct Answer {
    reason: Reason,
    message: Cow<'static, str>,
    redirect: Option<Redirect>,
}

/// What the session lacks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reason {
    Field,
    Confirmation,
}

#[derive(Clone, Debug)]
struct Redirect {
    page: &'static str,
    client: Client,
    edits: EditList,
}

/// What kind of client sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Browser,
    Htmx,
    Json,
}

impl Refusal {
    /// Makes the response of the guard of a `T`. `settings` are those of the layer.
    pub(crate) fn new<T: SessionData>(reason: Reason, parts: &Parts, settings: &Settings) -> Self {
        let message = T::MESSAGE.unwrap_or(reason.sentence());
        let message = (settings.config.guard_message)(message, parts);
        let redirect = T::REDIRECT.map(|page| {
            let client = Client::of(&parts.headers);
            if cfg!(debug_assertions) && client == Client::Browser && leads_back(page, parts) {
                settings.setup_warnings.guarded_log_in(page);
            }
            let mut edits = EditList::default();
            if client != Client::Json && will_be_seen(parts) {
                if T::RETURN_TO && parts.method == Method::GET {
                    edits.push(Edit::ReturnTo(client.wanted_page(parts)));
                }
                if T::MESSAGE.is_some() && !message.is_empty() {
                    edits.push(Edit::flashing((ERROR, message.clone())));
                }
            }
            Redirect { page, client, edits }
        });
        Self(Box::new(Answer { reason, message, redirect }))
    }
}

impl Answer {
    /// Returns the response without a redirect.
    fn status(self) -> Response {
        (self.reason.status(), self.message).into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response {
        let Some(Redirect { page, client, mut edits }) = self.redirect.take() else { return self.status() };
        let location = HeaderValue::from_static(page);
        let mut response = match client {
            Client::Browser => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
            Client::Htmx => [(HX_REDIRECT, location)].into_response(),
            Client::Json => self.status(),
        };
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Cookie"));
        response.headers_mut().append(header::VARY, client.vary());
        edits.put_onto(&mut response);
        response
    }
}

impl Reason {
    const fn status(self) -> StatusCode {
        match self {
            Self::Field => StatusCode::UNAUTHORIZED,
            Self::Confirmation => StatusCode::FORBIDDEN,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Field => "Please log in first.",
            Self::Confirmation => "Please confirm who you are first.",
        }
    }
}

impl Client {
    fn of(headers: &HeaderMap) -> Self {
        if headers.get(HX_REQUEST).is_some_and(|value| value == "true") {
            Self::Htmx
        } else if prefers_json(headers) {
            Self::Json
        } else {
            Self::Browser
        }
    }

    /// Returns the page to come back to after the log-in, as a path and query. Returns `None` if no redirect may lead
    /// there. The request of htmx is for a piece of the page that the browser shows, unless the link was boosted.
    fn wanted_page(self, parts: &Parts) -> Option<String> {
        let is_piece = self == Self::Htmx && parts.headers.get(HX_BOOSTED).is_none_or(|value| value != "true");
        let shown = if is_piece { shown_page(parts) } else { None };
        shown.or_else(|| requested_page(parts))
    }

    /// Returns the names of the headers that [`of`](Self::of) has looked at.
    const fn vary(self) -> HeaderValue {
        match self {
            Self::Htmx => HeaderValue::from_static("HX-Request"),
            Self::Browser | Self::Json => HeaderValue::from_static("HX-Request, Accept"),
        }
    }
}

/// Returns whether a redirect to `page` leads to the page of the request.
fn leads_back(page: &str, parts: &Parts) -> bool {
    parts.method == Method::GET && page.split(['?', '#']).next() == Some(original_uri(parts).path())
}

/// Returns whether the visitor will see where the redirect leads. They will not if the browser asked for an image on a
/// page, or if it only prepares a page.
fn will_be_seen(Parts { method, headers, .. }: &Parts) -> bool {
    let is_page = |dest: &HeaderValue| dest == "document" || headers.contains_key(HX_REQUEST);
    *method != Method::HEAD && !is_prefetch(headers) && headers.get(SEC_FETCH_DEST).is_none_or(is_page)
}

/// Returns the path and the query of the request, also under `nest`. Returns `None` if no redirect may lead there.
fn requested_page(parts: &Parts) -> Option<String> {
    own_page(original_uri(parts))
}

/// Returns the path and the query of the page that the browser shows, as htmx reports it. Returns `None` if that is a
/// page of another site, or if no redirect may lead there.
fn shown_page(parts: &Parts) -> Option<String> {
    let page: Uri = only(&parts.headers, HX_CURRENT_URL)?.parse().ok()?;
    let scheme = page.scheme_str()?;
    let host = match original_uri(parts).authority() {
        Some(authority) => authority.as_str(), // HTTP/2 has `:authority`, and perhaps no `Host`
        None => only(&parts.headers, header::HOST)?,
    };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let without_port = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    let is_same_host = without_port(page.authority()?.as_str()) == without_port(host);
    is_same_host.then(|| own_page(&page)).flatten()
}

fn original_uri(parts: &Parts) -> &Uri {
    parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri)
}

fn own_page(uri: &Uri) -> Option<String> {
    let page = uri.path_and_query()?.as_str();
    is_own_page(page).then(|| page.to_owned())
}

/// Returns the text of a header that came once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Returns whether the client wants JSON rather than a page (RFC 9110, section 12.5.1). If both are equally welcome,
/// the more specific range counts, and a page comes first.
fn prefers_json(headers: &HeaderMap) -> bool {
    let (mut json, mut page, mut any) = (None, None, None);
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in ranges.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(weight).unwrap_or(1.0);
        let best = match name.as_str() {
            "text/html" | "application/xhtml+xml" => &mut page,
            "*/*" | "text/*" => &mut any,
            name if is_json(name) => &mut json,
            _ => continue,
        };
        *best = Some(best.map_or(weight, |known: f32| known.max(weight)));
    }
    let Some(json) = json.filter(|weight| *weight > 0.0) else { return false };
    match page {
        Some(page) => json > page,
        None => any.is_none_or(|any| json >= any),
    }
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// Returns the weight of a media range, from 0 to 1, if the parameter is one.
fn weight(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let weight = value.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight));
    name.trim().eq_ignore_ascii_case("q").then(|| weight.unwrap_or(0.0))
}

const HX_REQUEST: HeaderName = HeaderName::from_static("hx-request");
const HX_BOOSTED: HeaderName = HeaderName::from_static("hx-boosted");
const HX_CURRENT_URL: HeaderName = HeaderName::from_static("hx-current-url");
const HX_REDIRECT: HeaderName = HeaderName::from_static("hx-redirect");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// The key of the flash message.
const ERROR: &str = "error";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_prefers_json_if_it_says_so() {
        for (accept, expected) in [
            ("application/json", true),
            ("application/problem+json", true),
            ("application/json, text/plain, */*", true),
            ("APPLICATION/JSON;charset=utf-8", true),
            ("text/html;q=0.5, application/json", true),
            ("", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("application/json, text/html", false),
            ("application/json;q=0.1, */*", false),
            ("application/json;q=0", false),
            ("application/json;q=nan", false),
            ("application/*", false),
            ("image/avif,image/webp,*/*;q=0.8", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(prefers_json(&headers), expected, "{accept}");
        }
        assert!(!prefers_json(&HeaderMap::new()));
    }
}
