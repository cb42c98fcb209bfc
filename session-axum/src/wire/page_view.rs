//! Page views: whether a person sees the response to a request as a page.

use http::HeaderMap;

/// Returns whether the browser only prepares the page, so that the visitor may never see it.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    let has_token = |name: &str, tokens: &[&str]| {
        let mut words = headers.get_all(name).iter().flat_map(|value| words(value.as_bytes()));
        words.any(|word| tokens.iter().any(|token| word.eq_ignore_ascii_case(token.as_bytes())))
    };
    PURPOSE_HEADERS.iter().any(|name| has_token(name, PREPARING)) || has_token(HX_PRELOADED, &["true"])
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
