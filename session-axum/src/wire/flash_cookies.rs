//! The flash cookies. Each carries a batch of messages. A request brings them, and a response sets or removes them.

use std::borrow::Cow;

use session_core::{
    SessionId,
    cookie::Spec,
    flash::Batch,
    token::{Frame, Ring, Token},
};

use super::{
    candidates::{Candidates, Clocks, candidate},
    few::Few,
    flash_fit::{OutgoingBatch, OutgoingFlash},
    request_cookies::RequestCookies,
};
use crate::{
    error::Error,
    observe::{Refusals, Refused},
    state::flash_changes::{Consumed, FlashChanges},
};

/// How flash cookies are read and written.
#[derive(Clone, Debug)]
pub(crate) struct FlashCookie {
    pub(crate) spec: Spec,
    /// The keys of the flash cookies; `None` for a layer without cookies.
    pub(crate) ring: Option<Ring>,
    /// The lifetime of an unread message, in seconds.
    pub(crate) lifetime: u64,
    pub(crate) clocks: Clocks,
}

/// The flash messages that came with a request, oldest first.
#[derive(Debug, Default)]
pub(crate) struct IncomingFlash {
    pub(crate) batches: Vec<ReceivedBatch>,
}

/// A batch that came with the request, and the size of its cookie.
#[derive(Debug)]
pub(crate) struct ReceivedBatch {
    pub(crate) frame: Frame,
    /// The size of the cookie's name and value, in bytes.
    pub(crate) size: usize,
    pub(crate) batch: Batch,
    /// Where the batch lies if that is not a cookie of this layer alone.
    pub(crate) former: Option<FormerBatch>,
}

impl ReceivedBatch {
    /// Creates a batch of a former system, which has no id and no time of its own.
    pub(crate) fn of_former(batch: Batch, former: FormerBatch, now: u64) -> Self {
        let frame = Frame { id: SessionId::from_bytes([0; 16]), created_at: now, issued_at: now };
        Self { frame, size: 0, batch, former: Some(former) }
    }

    /// Returns whether the batch came in a cookie of this layer.
    pub(crate) fn is_ours(&self) -> bool {
        self.former.as_ref().is_none_or(|former| former.place == FormerPlace::Twin)
    }

    /// Returns the `Set-Cookie` value that removes the batch's cookie of these settings.
    pub(crate) fn clear(&self, spec: &Spec) -> String {
        spec.clear(Suffix::of(&self.frame).as_str())
    }
}

/// A batch that came in cookies of a former layer or system, or in its session.
#[derive(Debug)]
pub(crate) struct FormerBatch {
    place: FormerPlace,
    /// The `Set-Cookie` values that remove it there.
    pub(crate) removals: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormerPlace {
    /// In a cookie of the layer's own name, which may have the Domain or path of a former layer.
    Twin,
    /// In cookies of its own. They stay until the messages are read.
    Cookies,
    /// In a session that moves with this response. What is not read moves too.
    Session,
}

impl FormerBatch {
    pub(crate) const fn twin() -> Self {
        Self { place: FormerPlace::Twin, removals: Vec::new() }
    }

    pub(crate) const fn in_cookies(removals: Vec<String>) -> Self {
        Self { place: FormerPlace::Cookies, removals }
    }

    pub(crate) const fn in_session() -> Self {
        Self { place: FormerPlace::Session, removals: Vec::new() }
    }
}

impl FlashCookie {
    /// Reads the valid flash messages. The id in a cookie's name must be the id of the batch inside. Notes why other
    /// values do not count.
    pub(crate) fn read(&self, cookies: &RequestCookies, now: u64, refusals: &Refusals) -> IncomingFlash {
        let Some(ring) = self.ring.as_ref().filter(|_| !cookies.is_empty()) else { return IncomingFlash::default() };
        let mut batches = Vec::new();
        for name in self.names(cookies, ring, refusals).iter() {
            batches.extend(self.read_batch(cookies, ring, *name, now, refusals));
        }
        batches.sort_by_key(|batch: &ReceivedBatch| batch.frame.created_at);
        IncomingFlash { batches }
    }

    /// Returns the `Set-Cookie` values of the flash. Afterwards the browser has the messages of `incoming` that were
    /// not consumed, and the messages that were added. With `moves`, the session moves in with its messages.
    pub(crate) fn write(
        &self,
        incoming: &IncomingFlash,
        changes: &FlashChanges,
        consumed: Consumed,
        moves: bool,
        now: u64,
    ) -> Result<Vec<String>, Error> {
        let Some(ring) = &self.ring else { return Ok(Vec::new()) };
        let name_size = self.spec.name().len() + FLASH_SUFFIX;
        let mut outgoing = OutgoingFlash::new(self.spec.name(), name_size, ring);
        let mut cookies = Vec::new();
        for received in &incoming.batches {
            let (ReceivedBatch { frame, size, batch, former }, is_ours) = (received, received.is_ours());
            // A former message waits until a handler reads it.
            let consumed = if is_ours { consumed } else { consumed.without_unread() };
            let rest = changes.rest_of(batch, consumed);
            if let Some(FormerBatch { place, removals }) = former {
                let is_unread = matches!(rest, Cow::Borrowed(_)) && !rest.is_empty();
                let stays = match place {
                    FormerPlace::Twin | FormerPlace::Cookies => is_unread,
                    FormerPlace::Session => !moves,
                };
                if !stays {
                    cookies.extend_from_slice(removals);
                    if !is_ours && !rest.is_empty() {
                        let frame = Frame { id: SessionId::random()?, ..*frame };
                        outgoing.move_in(frame, rest.clone().into_owned());
                    }
                }
                if !is_ours {
                    continue;
                }
            }
            if rest.is_empty() {
                cookies.push(self.spec.clear(Suffix::of(frame).as_str()));
            } else {
                outgoing.keep(*frame, *size, rest);
            }
        }
        if !changes.added.is_empty() {
            let frame = Frame { id: SessionId::random()?, created_at: now, issued_at: now };
            outgoing.add_new(frame, &changes.added)?;
        }
        outgoing.fit();
        outgoing.merge();
        for batch in &outgoing.batches {
            cookies.extend(self.cookie(ring, batch, now)?);
        }
        Ok(cookies)
    }

    /// Returns the `Set-Cookie` value of a batch. Returns `None` if the browser has the batch already. If nothing of
    /// the batch is left, the value removes the cookie.
    fn cookie(&self, ring: &Ring, outgoing: &OutgoingBatch<'_>, now: u64) -> Result<Option<String>, Error> {
        let Some(body) = &outgoing.body else { return Ok(None) };
        let suffix = Suffix::of(&outgoing.frame);
        if outgoing.batch.is_empty() {
            return Ok(Some(self.spec.clear(suffix.as_str())));
        }
        let last_second = outgoing.frame.created_at.saturating_add(self.lifetime);
        let max_age = last_second.saturating_sub(now).max(1);
        let len = ring.protection().token_len(body.len());
        let seal = |text: &mut String| Ok::<_, Error>(ring.seal_onto(text, body)?);
        self.spec.set_with(suffix.as_str(), len, Some(max_age), seal).map(Some)
    }

    /// Returns the first 8 cookie names that can belong to a batch.
    fn names<'a>(
        &'a self,
        cookies: &'a RequestCookies,
        ring: &Ring,
        refusals: &Refusals,
    ) -> Few<Name<'a>, MAX_BATCHES> {
        let mut names: Few<Name<'_>, MAX_BATCHES> = Few::new();
        let is_batch = |suffix: &[u8]| suffix.len() == FLASH_SUFFIX && suffix.starts_with(b".");
        for (suffix, first) in cookies.find(&self.spec).filter(|(suffix, _)| is_batch(suffix)) {
            if let Some(known) = names.iter_mut().find(|known| known.suffix == suffix) {
                known.is_repeated = true;
            } else if candidate(first, ring, refusals).is_some() {
                names.push(Name { suffix, first, is_repeated: false });
            }
        }
        names
    }

    /// Returns the batch under a name. If two different batches are valid, it is unknown which one is ours, and the
    /// result is `None`.
    fn read_batch(
        &self,
        cookies: &RequestCookies,
        ring: &Ring,
        name: Name<'_>,
        now: u64,
        refusals: &Refusals,
    ) -> Option<ReceivedBatch> {
        let mut candidates = Candidates::new();
        candidates.offer(name.first, ring, refusals);
        if name.is_repeated {
            let others = cookies.find(&self.spec).filter(|(suffix, _)| *suffix == name.suffix);
            others.for_each(|(_, value)| candidates.offer(value, ring, refusals));
        }
        let mut valid = candidates.iter().filter_map(|(text, token)| {
            let size = self.spec.name().len() + name.suffix.len() + text.len();
            let (frame, batch) = self.open(&token, name.suffix, ring, now, refusals)?;
            Some(ReceivedBatch { frame, size, batch, former: None })
        });
        let batch = valid.next()?;
        valid.next().is_none().then_some(batch)
    }

    fn open(
        &self,
        token: &Token<'_>,
        suffix: &[u8],
        ring: &Ring,
        now: u64,
        refusals: &Refusals,
    ) -> Option<(Frame, Batch)> {
        let verified = self.clocks.open(token, ring, now, refusals)?;
        let frame = verified.frame();
        if now > frame.created_at.saturating_add(self.lifetime) {
            refusals.note(Refused::Expired);
            return None;
        }
        if Suffix::of(&frame).0 != suffix {
            refusals.note(Refused::Forged);
            return None;
        }
        let batch = verified.entries().ok().and_then(|entries| Batch::of(&entries).ok());
        Some((frame, refusals.unless_none(batch, Refused::Unreadable)?))
    }
}

/// A cookie name that can belong to a batch, and the first value under this name that can be a token.
#[derive(Clone, Copy)]
struct Name<'a> {
    suffix: &'a [u8],
    first: &'a [u8],
    /// Whether another value came under the same name.
    is_repeated: bool,
}

/// The end of the name of a batch's cookie: a dot and the batch's id. It gives each batch a cookie of its own.
#[derive(Clone, Copy)]
pub(crate) struct Suffix([u8; FLASH_SUFFIX]);

impl Suffix {
    pub(crate) fn of(frame: &Frame) -> Self {
        let (mut suffix, mut id) = ([b'.'; FLASH_SUFFIX], [0; FLASH_SUFFIX - 1]);
        suffix[1..].copy_from_slice(frame.id.encode(&mut id).as_bytes());
        Self(suffix)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The largest number of batches that are opened.
const MAX_BATCHES: usize = 8;
/// The length of a [`Suffix`]: a dot, and 16 bytes as base64url.
const FLASH_SUFFIX: usize = 1 + 22;
