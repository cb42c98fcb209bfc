//! The `Authorization` header of clients that keep no cookies.

use http::{HeaderMap, HeaderValue, header};
use session_core::{
    cookie::Spec,
    token::{Ring, Verified},
};

use super::{
    candidates::{Clocks, candidate},
    request_cookies::RequestCookies,
};
use crate::{error::Error, observe::Refusals};

/// How tokens in the `Authorization` header are read and made.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    pub(crate) ring: Ring,
    pub(crate) clocks: Clocks,
}

impl Bearer {
    /// Returns the token of a request, or its cookies if no token counts.
    pub(crate) fn token_or_cookies(headers: &HeaderMap, session: &Spec) -> RequestCookies {
        let cookies = RequestCookies::of(headers);
        Self::token_of(headers, &cookies, session).map_or(cookies, RequestCookies::Bearer)
    }

    /// Returns the token of a request. A session cookie, even one that is not valid, shuts the header out, so that a
    /// browser is never taken for another client.
    fn token_of(headers: &HeaderMap, cookies: &RequestCookies, session: &Spec) -> Option<HeaderValue> {
        let is_session = |suffix: &[u8]| suffix.is_empty() || suffix.starts_with(b".");
        if cookies.find(session).any(|(suffix, _)| is_session(suffix)) {
            return None;
        }
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(only), None) = (values.next(), values.next()) else { return None };
        let (scheme, token) = only.as_bytes().split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        HeaderValue::from_bytes(token.trim_ascii()).ok()
    }

    /// Opens a token that one of our keys made.
    pub(crate) fn open(&self, token: &HeaderValue, now: u64, refusals: &Refusals) -> Option<Verified> {
        self.clocks.open(&candidate(token.as_bytes(), &self.ring, refusals)?, &self.ring, now, refusals)
    }

    /// Returns the token of a body.
    pub(crate) fn seal(&self, body: &[u8]) -> Result<String, Error> {
        Ok(self.ring.seal(body)?)
    }
}

/// The scheme, and the space behind it (RFC 6750, section 2.1).
const SCHEME: &[u8] = b"Bearer ";
