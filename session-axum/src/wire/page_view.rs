//! Page views: whether a person sees the response to a request as a page.

use axum_core::response::Response;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;

/// Returns whether the browser only prepares the page, so that the visitor may never see it.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    let has_token = |name: &str, tokens: &[&str]| {
        let mut words = headers.get_all(name).iter().flat_map(|value| words(value.as_bytes()));
        words.any(|word| tokens.iter().any(|token| word.eq_ignore_ascii_case(token.as_bytes())))
    };
    PURPOSE_HEADERS.iter().any(|name| has_token(name, PREPARING)) || has_token(HX_PRELOADED, &["true"])
}

/// Returns whether a browser shows the response as a page. It shows nothing of a redirect, also of one that htmx does, and
/// nothing of a response without content. The size of a streamed body is unknown: such a body counts as content.
pub(crate) fn shows_page(response: &Response) -> bool {
    let status = response.status();
    let has_content = status != StatusCode::NO_CONTENT && status != StatusCode::RESET_CONTENT;
    let leads_away = HTMX_REDIRECTS.iter().any(|name| response.headers().contains_key(*name));
    let is_page = (status.is_success() || status.is_client_error()) && has_content && !leads_away;
    is_page && response.body().size_hint().exact() != Some(0)
}

/// Returns the elements of a header and their parameters.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| matches!(byte, b',' | b';' | b' ' | b'\t'))
}

/// The headers in which browsers, proxies and scripts name the purpose of a request.
const PURPOSE_HEADERS: [&str; 5] = ["sec-purpose", "x-sec-purpose", "purpose", "x-purpose", "x-moz"];
const PREPARING: &[&str] = &["prefetch", "prerender", "preview"];
/// The header that htmx's extension `preload` adds.
const HX_PRELOADED: &str = "hx-preloaded";
/// The response headers with which htmx leaves the page without showing the body.
const HTMX_REDIRECTS: [&str; 3] = ["hx-redirect", "hx-location", "hx-refresh"];
