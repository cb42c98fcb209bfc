//! Page views: whether a person sees the response to a request as a page.

use axum_core::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::Body as _;

/// Returns whether the browser only prepares the page, so that the visitor may never see it.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    // One pass over the headers takes less time than six look-ups.
    headers.iter().any(|(name, value)| match name.as_str() {
        "sec-purpose" | "x-sec-purpose" | "purpose" | "x-purpose" | "x-moz" => has_word(value, PREPARING),
        // From htmx's extension `preload`.
        "hx-preloaded" => has_word(value, &["true"]),
        _ => false,
    })
}

/// Returns whether a browser shows the response as a page. It shows nothing of a redirect, also of one that htmx does,
/// and nothing of a response without content. The size of a streamed body is unknown: such a body counts as content.
pub(crate) fn shows_page(response: &Response) -> bool {
    let status = response.status();
    let has_content = status != StatusCode::NO_CONTENT && status != StatusCode::RESET_CONTENT;
    let leads_away = response.headers().keys().any(is_htmx_redirect);
    let is_page = (status.is_success() || status.is_client_error()) && has_content && !leads_away;
    is_page && response.body().size_hint().exact() != Some(0)
}

/// Returns whether htmx leaves the page because of this header, and does not show the body.
fn is_htmx_redirect(name: &HeaderName) -> bool {
    matches!(name.as_str(), "hx-redirect" | "hx-location" | "hx-refresh")
}

/// Returns whether a header has one of these words, among its elements and their parameters.
fn has_word(value: &HeaderValue, words: &[&str]) -> bool {
    let mut found = value.as_bytes().split(|byte| matches!(byte, b',' | b';' | b' ' | b'\t'));
    found.any(|word| words.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes())))
}

const PREPARING: &[&str] = &["prefetch", "prerender", "preview"];
