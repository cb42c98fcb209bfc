//! The cookies of a request. They are searched only when an extractor needs one.

use http::{HeaderMap, HeaderValue, header};
use session_core::cookie::{Spec, pairs};

/// The request's `Cookie` headers, unchanged.
pub(crate) enum RequestCookies {
    None,
    One(HeaderValue),
    Many(Vec<HeaderValue>),
    /// The token in the `Authorization` header, which takes the place of all cookies.
    Bearer(HeaderValue),
}

impl RequestCookies {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(first) = headers.get(header::COOKIE) else { return Self::None };
        // Most requests repeat no header, so that one look-up is enough.
        if headers.len() == headers.keys_len() {
            return Self::One(first.clone());
        }
        let mut all: Vec<_> = headers.get_all(header::COOKIE).iter().cloned().collect();
        if all.len() == 1 { Self::One(all.swap_remove(0)) } else { Self::Many(all) }
    }

    /// Returns whether no cookie of the request counts.
    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self, Self::None | Self::Bearer(_))
    }

    /// Returns the token that takes the place of the cookies.
    pub(crate) const fn bearer(&self) -> Option<&HeaderValue> {
        match self {
            Self::Bearer(token) => Some(token),
            Self::None | Self::One(_) | Self::Many(_) => None,
        }
    }

    /// Returns the values of the request's `Cookie` headers; none if a token takes the place of the cookies.
    pub(crate) const fn headers(&self) -> &[HeaderValue] {
        match self {
            Self::None | Self::Bearer(_) => &[],
            Self::One(header) => std::slice::from_ref(header),
            Self::Many(headers) => headers.as_slice(),
        }
    }

    /// Returns whether the request brought a cookie of any layer or system with this name.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.headers().iter().flat_map(|header| pairs(header.as_bytes())).any(|(found, _)| found == name.as_bytes())
    }

    /// Finds the cookies with a name that begins with the name of `spec`. Returns the rest of each name, and the value.
    pub(crate) fn find<'a>(&'a self, spec: &'a Spec) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.headers().iter().flat_map(|header| spec.find(header.as_bytes()))
    }

    /// Returns whether the request brought a cookie with exactly this name.
    pub(crate) fn has(&self, spec: &Spec, suffix: &str) -> bool {
        self.find(spec).any(|(found, _)| found == suffix.as_bytes())
    }
}
