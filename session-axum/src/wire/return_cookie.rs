//! The cookie with the page that a visitor wanted before a guard sent them elsewhere.

use session_core::{
    SessionId,
    cookie::Spec,
    token::{Frame, Ring},
};

use super::{
    candidates::{Candidates, Clocks},
    request_cookies::RequestCookies,
};
use crate::{error::Error, observe::Refusals};

/// How the cookie is read and written. It is one of the flash cookies, with a name and keys of its own.
#[derive(Clone, Debug)]
pub(crate) struct ReturnCookie {
    /// The specification of the flash cookies. This cookie's name adds [`RETURN_SUFFIX`].
    pub(crate) spec: Spec,
    /// The keys; `None` for a layer without cookies.
    pub(crate) ring: Option<Ring>,
    /// The lifetime, in seconds.
    pub(crate) lifetime: u64,
    pub(crate) clocks: Clocks,
}

/// What the response does with the page that the visitor wanted.
#[derive(Clone, Default)]
pub(crate) enum ReturnPage {
    #[default]
    Unchanged,
    Set(String),
    Forget,
}

impl ReturnCookie {
    /// Returns the page that came with the request, the newest if there are several.
    pub(crate) fn read(&self, cookies: &RequestCookies, now: u64) -> Option<String> {
        let ring = self.ring.as_ref()?;
        let (mut candidates, refusals) = (Candidates::new(), Refusals::default());
        let came = cookies.find(&self.spec).filter(|(suffix, _)| *suffix == RETURN_SUFFIX.as_bytes());
        came.for_each(|(_, value)| candidates.offer(value, ring, &refusals));
        let is_fresh = |issued_at: u64| now <= issued_at.saturating_add(self.lifetime);
        let opened = candidates.iter().filter_map(|(_, token)| self.clocks.open(&token, ring, now, &refusals));
        let newest = opened.filter(|it| is_fresh(it.frame().issued_at)).max_by_key(|it| it.frame().issued_at)?;
        std::str::from_utf8(newest.payload()).ok().filter(|page| is_own_page(page)).map(str::to_owned)
    }

    /// Returns the `Set-Cookie` value, if the browser needs one.
    pub(crate) fn write(&self, page: &ReturnPage, cookies: &RequestCookies, now: u64) -> Result<Option<String>, Error> {
        match (page, &self.ring) {
            (ReturnPage::Set(page), Some(ring)) => self.set(page, ring, now).map(Some),
            (ReturnPage::Forget, Some(_)) => {
                Ok(cookies.has(&self.spec, RETURN_SUFFIX).then(|| self.spec.clear(RETURN_SUFFIX)))
            }
            (ReturnPage::Unchanged, _) | (_, None) => Ok(None),
        }
    }

    fn set(&self, page: &str, ring: &Ring, now: u64) -> Result<String, Error> {
        let frame = Frame { id: SessionId::random()?, created_at: now, issued_at: now };
        let mut body = frame.begin_body(page.len());
        body.extend_from_slice(page.as_bytes());
        let len = ring.protection().token_len(body.len());
        let seal = |text: &mut String| Ok::<_, Error>(ring.seal_onto(text, &body)?);
        self.spec.set_with(RETURN_SUFFIX, len, Some(self.lifetime), seal)
    }
}

/// Returns whether a redirect to `page` stays on this site: it is a path, perhaps with a query, of at most 1,024 bytes.
/// Browsers read `//host` and `/\host` as another host, and leave out control characters before they look.
pub(crate) fn is_own_page(page: &str) -> bool {
    let is_path = page.starts_with('/') && !page.starts_with("//") && !page.contains('\\');
    is_path && page.len() <= LONGEST_PAGE && page.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The end of the cookie's name, after that of the flash cookies.
pub(crate) const RETURN_SUFFIX: &str = ".return-to";
const LONGEST_PAGE: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_site_is_returned_to() {
        for page in ["/", "/orders", "/orders?page=2&from=//x", "/a//b"] {
            assert!(is_own_page(page), "{page}");
        }
        let long = format!("/{}", "x".repeat(LONGEST_PAGE));
        for page in
            ["", "orders", "//host", "/\\host", "https://host/", "javascript:x", "/\t/host", "/a b", "/ä", &long]
        {
            assert!(!is_own_page(page), "{page}");
        }
        assert!(is_own_page(&long[..LONGEST_PAGE]));
    }
}
