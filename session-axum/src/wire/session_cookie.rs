//! The session's cookie: the one valid token that a request brings, and the `Set-Cookie` headers of a response.

use session_core::{
    cookie::{MAX_SIZE, Spec, TooLarge},
    token::{Ring, Verified},
};

use super::{
    candidates::{Candidates, open},
    request_cookies::RequestCookies,
};
use crate::error::Error;

/// How the session's cookie is read and written.
#[derive(Clone, Debug)]
pub(crate) struct SessionCookie {
    pub(crate) spec: Spec,
    /// `None` where no session has a cookie.
    pub(crate) ring: Option<Ring>,
    /// How many cookies one session may take.
    pub(crate) most_pieces: usize,
}

/// What came under the session's name.
#[derive(Debug)]
pub(crate) enum Found<T> {
    Nothing,
    One(T),
    /// Two valid tokens came, and nothing tells which is the visitor's.
    Ambiguous,
}

impl SessionCookie {
    /// Finds the one valid token under the session's name. `accept` can refuse an authentic one.
    pub(crate) fn find<T>(
        &self,
        cookies: &RequestCookies,
        now: u64,
        accept: impl Fn(Verified) -> Option<T>,
    ) -> Found<T> {
        let Some(ring) = self.ring.as_ref().filter(|_| !cookies.is_empty()) else { return Found::Nothing };
        let assembled = self.assemble(cookies);
        let whole = cookies.find(&self.spec).filter(|(suffix, _)| suffix.is_empty()).map(|(_, value)| value);
        let mut candidates = Candidates::new();
        whole.chain([assembled.as_slice()]).for_each(|text| candidates.offer(text, ring));

        let mut valid = candidates.iter().filter_map(|(_, token)| accept(open(&token, ring, now)?));
        match (valid.next(), valid.next()) {
            (None, _) => Found::Nothing,
            (Some(only), None) => Found::One(only),
            (Some(_), Some(_)) => Found::Ambiguous,
        }
    }

    /// Returns whether the request brought a cookie with exactly this name, ours or not.
    pub(crate) fn came(&self, cookies: &RequestCookies) -> bool {
        cookies.has(&self.spec, "")
    }

    /// Sets the cookie to the token of `body`: one cookie if the token fits, otherwise as many as are allowed. Removes
    /// the pieces that came and are not needed any more.
    pub(crate) fn set(
        &self,
        body: &[u8],
        max_age: Option<u64>,
        cookies: &RequestCookies,
    ) -> Result<Vec<String>, Error> {
        let Some(ring) = &self.ring else { return Ok(Vec::new()) };
        let spec = &self.spec;
        let len = ring.protection().token_len(body.len());
        if self.most_pieces < 2 || spec.name().len() + len <= MAX_SIZE {
            let seal = |text: &mut String| Ok::<_, Error>(ring.seal_onto(text, body)?);
            let mut set = vec![spec.set_with("", len, max_age, seal)?];
            set.extend(self.remove_pieces(0, cookies));
            return Ok(set);
        }
        let room = MAX_SIZE.saturating_sub(spec.name().len() + PIECE_SUFFIX);
        if len > room * self.most_pieces {
            return Err(TooLarge::new(spec.name(), spec.name().len() + len, room * self.most_pieces).into());
        }
        let mut set = self.set_pieces(&ring.seal(body)?, room, max_age)?;
        let last = set.len();
        set.extend(self.came(cookies).then(|| spec.clear("")));
        set.extend(self.remove_pieces(last, cookies));
        Ok(set)
    }

    /// Removes whatever came under the session's name.
    pub(crate) fn remove(&self, cookies: &RequestCookies) -> Vec<String> {
        if self.ring.is_none() {
            return Vec::new();
        }
        let whole = self.came(cookies).then(|| self.spec.clear(""));
        whole.into_iter().chain(self.remove_pieces(0, cookies)).collect()
    }

    /// Returns how many bytes the name and the value of the cookie have, with `payload` bytes of payload.
    pub(crate) fn size(&self, payload: usize) -> usize {
        self.ring.as_ref().map_or(0, |ring| self.spec.name().len() + ring.protection().token_len_of_payload(payload))
    }

    /// Joins the token that came in pieces under numbered names; empty when there is none.
    fn assemble(&self, cookies: &RequestCookies) -> Vec<u8> {
        if self.most_pieces < 2 {
            return Vec::new();
        }
        let pieces = (1..=self.most_pieces).map_while(|number| self.piece(cookies, number));
        pieces.flatten().copied().collect()
    }

    /// Returns the value of a piece. If two different ones came, there is no telling which is ours, so it returns `None`.
    fn piece<'a>(&'a self, cookies: &'a RequestCookies, number: usize) -> Option<&'a [u8]> {
        let wanted = format!(".{number}");
        let came = cookies.find(&self.spec).filter(|(suffix, _)| *suffix == wanted.as_bytes());
        let mut values = came.map(|(_, value)| value);
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }

    fn set_pieces(&self, token: &str, room: usize, max_age: Option<u64>) -> Result<Vec<String>, TooLarge> {
        let piece = |number: usize| {
            let end = token.len().min(number * room);
            self.spec.set(&format!(".{number}"), &token[(number - 1) * room..end], max_age)
        };
        (1..=token.len().div_ceil(room)).map(piece).collect()
    }

    /// Removes the pieces that came with the request and are numbered above `last`.
    fn remove_pieces(&self, last: usize, cookies: &RequestCookies) -> Vec<String> {
        let highest = if self.most_pieces < 2 { 0 } else { self.most_pieces };
        let suffixes = (last + 1..=highest).map(|number| format!(".{number}"));
        let came = |suffix: &String| cookies.has(&self.spec, suffix);
        suffixes.filter(came).map(|suffix| self.spec.clear(&suffix)).collect()
    }
}

/// A dot and a digit.
const PIECE_SUFFIX: usize = 2;
