//! The way in: from the request's cookies to the session and the flash messages that they prove.

use std::borrow::Cow;

use session_core::{
    Batch, Entries, Frame, Limits, Ring, Terms, Token, Verified,
    cookie::{self, Spec},
    is_plausible,
};

use crate::{
    scope::Cookies,
    settings::{Rings, Settings},
};

/// The session that came with a request; without a frame there was none.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    pub(crate) frame: Option<Frame>,
    pub(crate) entries: Entries,
    /// An older key sealed it, so that the response wants to carry it again.
    pub(crate) by_old_key: bool,
}

/// Reads the session: exactly one distinct valid token is one, whatever else came under its name.
pub(crate) fn read_session(settings: &Settings, cookies: &Cookies) -> Arrived {
    let Some(Rings { session: ring, .. }) = &settings.rings else { return Arrived::default() };
    let mut candidates = Candidates::default();
    collect_session(settings, cookies, ring, &mut candidates);
    let now = settings.now();
    let mut valid = candidates.texts.iter().filter_map(|text| admit(text, ring, settings.told.limits, now));
    let session = valid.next().unwrap_or_default();
    if valid.next().is_some() {
        tracing::warn!(
            cookie = settings.session_cookie.name(),
            "a request brought two different valid sessions, and gets neither: somebody may be planting a cookie"
        );
        return Arrived::default();
    }
    if session.frame.is_some() {
        settings.notices.saw_cookie();
    }
    session
}

/// The cookies that may be one session: one under the name itself, or pieces under the name with a number.
fn collect_session<'a>(settings: &Settings, cookies: &'a Cookies, ring: &Ring, candidates: &mut Candidates<'a>) {
    let name = settings.session_cookie.name().as_bytes();
    for (found, value) in cookies.pairs().filter(|(found, value)| *found == name && cookie::fits(found, value)) {
        candidates.offer(Cow::Borrowed(value), ring);
        debug_assert_eq!(found, name);
    }
    if settings.told.chunks > 1 {
        let pieces = (1..=settings.told.chunks).map_while(|number| piece(cookies, &settings.session_cookie, number));
        candidates.offer(Cow::Owned(pieces.flatten().copied().collect()), ring);
    }
}

/// The one value under a piece's name. Where two differ, nothing tells which is ours.
fn piece<'a>(cookies: &'a Cookies, spec: &Spec, number: usize) -> Option<&'a [u8]> {
    let name = format!("{}.{number}", spec.name());
    let mut values = cookies.pairs().filter(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value);
    let first = values.next().filter(|value| cookie::fits(name.as_bytes(), value))?;
    values.all(|value| value == first).then_some(first)
}

/// Texts with the shape of a token: at most 4, each counted once, so that a flood of cookies costs no cryptography.
#[derive(Default)]
struct Candidates<'a> {
    texts: Vec<Cow<'a, [u8]>>,
}

impl<'a> Candidates<'a> {
    fn offer(&mut self, text: Cow<'a, [u8]>, ring: &Ring) {
        let new = self.texts.len() < MAX_CANDIDATES && !self.texts.contains(&text);
        if new && Token::parse(&text, ring.form()).is_some() {
            self.texts.push(text);
        }
    }
}

/// Text to trust to meaning. What fails on the way is no session, and nothing of it is repeated anywhere.
fn admit(text: &[u8], ring: &Ring, limits: Limits, now: u64) -> Option<Arrived> {
    let verified = open(text, ring, now)?;
    let (frame, by_old_key) = (verified.frame(), !verified.by_newest_key());
    let Ok(entries) = verified.entries() else {
        tracing::error!("an authentic session makes no sense, and counts as none: who else holds this secret?");
        return None;
    };
    if limits.is_over(&frame, &Terms::of(&entries), now) {
        tracing::debug!("a session has expired");
        return None;
    }
    Some(Arrived { frame: Some(frame), entries, by_old_key })
}

fn open(text: &[u8], ring: &Ring, now: u64) -> Option<Verified> {
    let verified = ring.open(&Token::parse(text, ring.form())?)?;
    is_plausible(&verified.frame(), now).then_some(verified)
}

/// The flash messages that came with a request, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) batches: Vec<Received>,
}

/// A batch and the cookie it came in.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) frame: Frame,
    /// Bytes of the cookie's name and value.
    pub(crate) size: usize,
    pub(crate) batch: Batch,
}

/// Reads the flash messages: each batch that its cookie's name and its own id agree on.
pub(crate) fn read_flash(settings: &Settings, cookies: &Cookies) -> Incoming {
    let Some(Rings { flash: ring, .. }) = &settings.rings else { return Incoming::default() };
    let now = settings.now();
    let only_valid = |(suffix, candidates): (&[u8], Candidates<'_>)| {
        let mut valid = candidates.texts.iter().filter_map(|text| {
            let size = settings.flash_cookie.name().len() + suffix.len() + text.len();
            receive(text, suffix, size, ring, settings.told.flash_lifetime, now)
        });
        let batch = valid.next()?;
        valid.next().is_none().then_some(batch)
    };
    let mut batches: Vec<_> = flash_candidates(settings, cookies, ring).into_iter().filter_map(only_valid).collect();
    batches.sort_by_key(|batch| batch.frame.created_at);
    Incoming { batches }
}

/// The first 8 names that can be a batch's, each with the texts under it.
fn flash_candidates<'a>(settings: &Settings, cookies: &'a Cookies, ring: &Ring) -> Vec<(&'a [u8], Candidates<'a>)> {
    let mut found: Vec<(&[u8], Candidates<'_>)> = Vec::new();
    for (name, value) in cookies.pairs().filter(|(name, value)| cookie::fits(name, value)) {
        let suffix = name.strip_prefix(settings.flash_cookie.name().as_bytes());
        let Some(suffix) = suffix.filter(|suffix| suffix.len() == FLASH_SUFFIX && suffix.starts_with(b".")) else {
            continue;
        };
        if Token::parse(value, ring.form()).is_none() {
            continue;
        }
        let position = found.iter().position(|(known, _)| *known == suffix).unwrap_or(found.len());
        if position == found.len() && position < MAX_BATCHES {
            found.push((suffix, Candidates::default()));
        }
        if let Some((_, candidates)) = found.get_mut(position) {
            candidates.offer(Cow::Borrowed(value), ring);
        }
    }
    found
}

fn receive(text: &[u8], suffix: &[u8], size: usize, ring: &Ring, lifetime: u64, now: u64) -> Option<Received> {
    let verified = open(text, ring, now)?;
    let frame = verified.frame();
    let fresh = now <= frame.created_at.saturating_add(lifetime);
    if !fresh || flash_suffix(&frame).as_bytes() != suffix {
        return None;
    }
    let batch = Batch::of(&verified.entries().ok()?).ok()?;
    Some(Received { frame, size, batch })
}

/// A batch's cookie is named after the batch, so that no two batches share one.
pub(crate) fn flash_suffix(frame: &Frame) -> String {
    format!(".{}", frame.id)
}

/// How many texts under one name are verified.
const MAX_CANDIDATES: usize = 4;
/// How many batches are opened.
const MAX_BATCHES: usize = 8;
/// A dot and 16 bytes as base64url.
const FLASH_SUFFIX: usize = 1 + 22;
