//! The session's cookie. A request brings one valid token, and a response sets or removes the cookie.

use session_core::{
    cookie::{MAX_SIZE, Spec, TooLarge},
    token::{Ring, Verified},
};

use super::{
    bearer::Bearer,
    candidates::{Candidates, Clocks, candidate},
    request_cookies::RequestCookies,
};
use crate::{error::Error, observe::Refusals};

/// How the session's cookie is read and written.
#[derive(Clone, Debug)]
pub(crate) struct SessionCookie {
    pub(crate) spec: Spec,
    /// The keys of the session cookie; `None` if the layer has no session cookie.
    pub(crate) ring: Option<Ring>,
    /// How the session's token is read from the `Authorization` header; `None` if the layer does not read it.
    pub(crate) bearer: Option<Bearer>,
    /// The largest number of cookies that one session may use.
    pub(crate) most_pieces: usize,
    pub(crate) clocks: Clocks,
}

/// The valid tokens that came under the session's name.
#[derive(Debug)]
pub(crate) enum Came<T> {
    Nothing,
    /// One valid token, in the only cookie under the session's name.
    Only(T),
    One(T),
    /// Several valid tokens, in the order in which they came.
    Several(Vec<T>),
    /// More distinct values that could be tokens than the layer verifies.
    TooMany,
}

impl<T> Came<T> {
    /// Returns the tokens, in the order in which they came.
    pub(crate) fn into_vec(self) -> Vec<T> {
        match self {
            Self::Nothing | Self::TooMany => Vec::new(),
            Self::Only(only) | Self::One(only) => vec![only],
            Self::Several(several) => several,
        }
    }
}

impl SessionCookie {
    /// Finds the valid tokens under the session's name. `accept` can refuse an authentic token. Notes why other values do
    /// not count.
    pub(crate) fn find<T>(
        &self,
        cookies: &RequestCookies,
        now: u64,
        refusals: &Refusals,
        accept: impl Fn(Verified) -> Option<T>,
    ) -> Came<T> {
        let Some(ring) = self.ring.as_ref().filter(|_| !cookies.is_empty()) else { return Came::Nothing };
        let (mut candidates, mut beside) = (Candidates::new(), Beside::default());
        cookies.find(&self.spec).for_each(|(suffix, text)| {
            beside.count(suffix);
            if suffix.is_empty() {
                candidates.offer(text, ring, refusals);
            }
        });
        if candidates.are_too_many() {
            return Came::TooMany;
        }
        let mut valid =
            candidates.iter().filter_map(|(_, token)| accept(self.clocks.open(&token, ring, now, refusals)?));
        let (first, second) = (valid.next(), valid.next());
        let mut in_pieces = self.find_in_pieces(cookies, ring, now, refusals).into_iter().filter_map(&accept);
        let (piece, other) = (in_pieces.next(), in_pieces.next());
        match (first, second, piece, other) {
            (None, _, None, _) => Came::Nothing,
            (Some(only), None, None, _) if beside.is_one_cookie() => Came::Only(only),
            (None, _, Some(only), None) | (Some(only), None, None, _) => Came::One(only),
            (first, second, piece, other) => {
                Came::Several(first.into_iter().chain(second).chain(valid).chain(piece).chain(other).collect())
            }
        }
    }

    /// Finds the tokens that came in pieces under numbered names. Former settings may have left a second cookie under
    /// each name. A browser sends the two in the same order for all names, so the first ones and the last ones belong
    /// together.
    fn find_in_pieces(&self, cookies: &RequestCookies, ring: &Ring, now: u64, refusals: &Refusals) -> Vec<Verified> {
        if self.most_pieces < 2 {
            return Vec::new();
        }
        let pieces = |at: Which| -> Vec<_> {
            (1..=self.most_pieces).map_while(|number| self.piece(cookies, number, at)).collect()
        };
        let (first, last) = (pieces(Which::First), pieces(Which::Last));
        let twin = (first != last).then(|| self.longest(&first, ring, now, refusals)).flatten();
        twin.into_iter().chain(self.longest(&last, ring, now, refusals)).collect()
    }

    /// Opens a token that came in pieces. Pieces of an older, longer token may still be there: the longest run is tried
    /// first, then shorter ones.
    fn longest(&self, pieces: &[&[u8]], ring: &Ring, now: u64, refusals: &Refusals) -> Option<Verified> {
        let open = |count: usize, refusals: &Refusals| {
            let text = pieces[..count].concat();
            self.clocks.open(&candidate(&text, ring, refusals)?, ring, now, refusals)
        };
        let (longest, whole) = (pieces.len(), Refusals::default());
        let found = (longest > 0).then(|| open(longest, &whole)).flatten();
        let found = found.or_else(|| (1..longest).rev().find_map(|count| open(count, &Refusals::default())));
        if found.is_none() {
            refusals.add(&whole);
        }
        found
    }

    /// Returns whether the request brought a cookie with exactly this name, ours or not.
    pub(crate) fn came(&self, cookies: &RequestCookies) -> bool {
        cookies.has(&self.spec, "")
    }

    /// Sets the cookie to the token of `body`: one cookie if the token fits, otherwise as many as are allowed. Removes
    /// other cookies that came under the session's name, unless it is known that there was one cookie only. With
    /// `begins`, the session begins or gets another id.
    pub(crate) fn set(
        &self,
        body: &[u8],
        max_age: Option<u64>,
        begins: bool,
        had_one_cookie: bool,
        cookies: &RequestCookies,
    ) -> Result<Vec<String>, Error> {
        let Some(ring) = &self.ring else { return Ok(Vec::new()) };
        let spec = &self.spec;
        let len = ring.protection().token_len(body.len());
        let is_whole = self.most_pieces < 2 || spec.name().len() + len <= MAX_SIZE;
        let mut set = if is_whole {
            let seal = |text: &mut String| Ok::<_, Error>(ring.seal_onto(text, body)?);
            vec![spec.set_with("", len, max_age, seal)?]
        } else {
            let room = MAX_SIZE.saturating_sub(spec.name().len() + PIECE_SUFFIX);
            if len > room * self.most_pieces {
                return Err(TooLarge::new(spec.name(), spec.name().len() + len, room * self.most_pieces).into());
            }
            self.set_pieces(&ring.seal(body)?, room, max_age)?
        };
        let pieces = if is_whole { 0 } else { set.len() };
        let beside = if had_one_cookie { Beside::ONE_COOKIE } else { self.beside(cookies) };
        set.extend((!is_whole && beside.whole > 0).then(|| spec.clear("")));
        set.extend(self.remove_twins_and_pieces(pieces, begins, &beside, cookies));
        set.truncate(pieces.max(1) + MOST_REMOVED);
        Ok(set)
    }

    /// Removes all cookies that came under the session's name, and those that other settings may have left under it.
    pub(crate) fn remove(&self, cookies: &RequestCookies) -> Vec<String> {
        if self.ring.is_none() {
            return Vec::new();
        }
        let beside = self.beside(cookies);
        let mut removed: Vec<_> = (beside.whole > 0).then(|| self.spec.clear("")).into_iter().collect();
        removed.extend(self.remove_twins_and_pieces(0, true, &beside, cookies));
        removed.truncate(MOST_REMOVED);
        removed
    }

    /// Returns how many cookies came under the session's name. The pieces of one session count as one.
    pub(crate) fn count(&self, cookies: &RequestCookies) -> usize {
        let Beside { whole, has_pieces } = self.beside(cookies);
        whole.max(usize::from(has_pieces))
    }

    /// Counts the cookies that came under the session's name, in one pass.
    fn beside(&self, cookies: &RequestCookies) -> Beside {
        let mut beside = Beside::default();
        cookies.find(&self.spec).for_each(|(suffix, _)| beside.count(suffix));
        beside
    }

    /// Returns how many bytes the name and the value of the cookie have, with `payload` bytes of payload.
    pub(crate) fn size(&self, payload: usize) -> usize {
        self.ring.as_ref().map_or(0, |ring| self.spec.name().len() + ring.protection().token_len_of_payload(payload))
    }

    /// Returns the first or the last value of a piece.
    fn piece<'a>(&'a self, cookies: &'a RequestCookies, number: usize, at: Which) -> Option<&'a [u8]> {
        let wanted = format!(".{number}");
        let mut came = cookies.find(&self.spec).filter(|(suffix, _)| *suffix == wanted.as_bytes());
        let (_, value) = if at == Which::First { came.next() } else { came.last() }?;
        Some(value)
    }

    fn set_pieces(&self, token: &str, room: usize, max_age: Option<u64>) -> Result<Vec<String>, TooLarge> {
        let piece = |number: usize| {
            let end = token.len().min(number * room);
            self.spec.set(&format!(".{number}"), &token[(number - 1) * room..end], max_age)
        };
        (1..=token.len().div_ceil(room)).map(piece).collect()
    }

    /// Removes the pieces that came with the request and are numbered above `last`, even if they are no longer allowed,
    /// and the twins of our cookies. One response may not remove everything: cookies that came twice are removed first,
    /// and those that did not come last. With `changes_id`, the session begins or ends.
    fn remove_twins_and_pieces(
        &self,
        last: usize,
        changes_id: bool,
        beside: &Beside,
        cookies: &RequestCookies,
    ) -> Vec<String> {
        let may_be_there = changes_id && self.spec.may_have_twins();
        if !beside.has_pieces && beside.whole < 2 && !may_be_there {
            return Vec::new();
        }
        let pieces = (1..=HIGHEST_PIECE).take_while(|_| beside.has_pieces).map(|number| {
            let suffix = format!(".{number}");
            let count = cookies.find(&self.spec).filter(|(came, _)| *came == suffix.as_bytes()).count();
            (number, suffix, count)
        });
        let pieces: Vec<_> = pieces.filter(|(.., count)| *count > 0).collect();
        let mut removed: Vec<_> =
            pieces.iter().filter(|(number, ..)| *number > last).map(|(_, suffix, _)| self.spec.clear(suffix)).collect();

        let whole = (String::new(), beside.whole);
        let mut names: Vec<_> = pieces.into_iter().map(|(_, suffix, count)| (suffix, count)).collect();
        names.insert(if beside.whole == 0 { names.len() } else { 0 }, whole);
        names.sort_by_key(|(_, count)| *count < 2);
        for (suffix, _) in names.iter().filter(|(_, count)| *count > 1 || may_be_there) {
            removed.extend(self.spec.clear_twins(suffix));
        }
        removed
    }
}

/// Which of several cookies of one name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Last,
}

/// The cookies that came under the session's name: the number of whole cookies, and whether there were pieces.
#[derive(Clone, Copy, Default)]
struct Beside {
    whole: usize,
    has_pieces: bool,
}

impl Beside {
    const ONE_COOKIE: Self = Self { whole: 1, has_pieces: false };

    fn count(&mut self, suffix: &[u8]) {
        self.whole += usize::from(suffix.is_empty());
        self.has_pieces |= suffix.len() == PIECE_SUFFIX;
    }

    const fn is_one_cookie(self) -> bool {
        self.whole == 1 && !self.has_pieces
    }
}

/// The length of the suffix of a piece: a dot and a digit.
const PIECE_SUFFIX: usize = 2;
/// The highest number of pieces that the layer's settings allow.
const HIGHEST_PIECE: usize = 8;
/// The largest number of cookies that one response removes. Later responses remove the rest.
const MOST_REMOVED: usize = 12;
