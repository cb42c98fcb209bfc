//! The way in: from the request's cookies to the session and the flash messages that they prove.

use std::sync::OnceLock;

use session_core::{
    Base, Batch, Entries, Frame, IdSecret, Limits, Metadata, Record, RecordKey, Ring, StoreErrorKind, Token, Verified,
    cookie::Spec, is_plausible,
};

use crate::{
    cookies::Cookies,
    error::{Error, ErrorKind},
    settings::{Remote, Rings, Settings},
    store::Store,
};

/// The session that came with a request, or as it was saved while the request ran. Without a frame there is none.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) frame: Option<Frame>,
    /// The entries that travelled; those of a session in a store are in its record.
    pub(crate) carried: Entries,
    /// Where the session is if it is in a store.
    pub(crate) stored: Option<Box<Stored>>,
    /// An older key sealed it, so that the response wants to carry it again.
    pub(crate) by_old_key: bool,
    /// An eighth of the idle window has passed, so that the response wants to carry it again.
    pub(crate) is_due: bool,
    /// It was saved while its request ran, under an id that the browser does not have.
    pub(crate) is_news: bool,
    /// The session as it was saved after this.
    pub(crate) next: OnceLock<Box<Self>>,
}

impl Arrived {
    /// No session.
    pub(crate) const fn none() -> Self {
        Self {
            frame: None,
            carried: Entries::NONE,
            stored: None,
            by_old_key: false,
            is_due: false,
            is_news: false,
            next: OnceLock::new(),
        }
    }

    /// Its entries, and ours among them.
    pub(crate) fn entries(&self) -> &Entries {
        self.stored.as_ref().map_or(&self.carried, |stored| &stored.record.entries)
    }

    /// What it says of itself.
    pub(crate) fn terms(&self) -> &Metadata {
        self.entries().metadata()
    }

    /// What changes are applied to.
    pub(crate) fn base(&self) -> Base<'_> {
        match &self.stored {
            Some(stored) => stored.record.base(),
            None => Base { entries: &self.carried, ..Base::NOTHING },
        }
    }

    /// A session out of a store.
    pub(crate) fn loaded(key: RecordKey, secret: IdSecret, record: Record) -> Self {
        let frame = Frame { id: record.id, created_at: record.created_at, issued_at: record.seen_at };
        Self { frame: Some(frame), stored: Some(Box::new(Stored { key, secret, record })), ..Self::none() }
    }

    /// What is known of the browser's cookie from before.
    pub(crate) fn following(self, before: &Self) -> Self {
        Self { by_old_key: before.by_old_key, is_news: before.is_news, ..self }
    }
}

/// Whether a visit now is to be noted, of a session that is alive; `None` when it is over.
fn is_due(limits: Limits, frame: &Frame, entries: &Entries, now: u64) -> Option<bool> {
    let terms = entries.metadata();
    if limits.is_over(frame.times(), terms, now) {
        tracing::debug!("a session has expired");
        return None;
    }
    Some(limits.wants_extension(frame.times(), terms, now))
}

/// A session's place in a store.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: RecordKey,
    pub(crate) secret: IdSecret,
    /// As it was read.
    pub(crate) record: Record,
}

/// Reads the session where more than its cookie has to be asked.
///
/// What cannot be asked is an error, never an empty session.
pub(crate) async fn read_remote(
    settings: &Settings,
    cookies: &Cookies,
    remote: &Remote,
) -> Result<Option<Box<Arrived>>, Error> {
    match remote {
        Remote::Records(store) => read_record(settings, cookies, store).await,
        Remote::Revocations { list, lenient } => {
            let arrived = read_session(settings, cookies);
            let Some(frame) = arrived.as_ref().and_then(|arrived| arrived.frame) else { return Ok(None) };
            list.keep_swept(&settings.told.clock);
            match list.load(&RecordKey::of_revocation(frame.id), settings.now()).await {
                Ok(None) => Ok(arrived),
                Ok(Some(_)) => {
                    tracing::warn!("a session was used after its end: somebody kept a copy of its cookie");
                    Ok(None)
                }
                Err(error) if *lenient => {
                    tracing::error!(%error, "the list of revoked sessions cannot be read, and a session is believed");
                    Ok(arrived)
                }
                Err(error) => Err(error),
            }
        }
    }
}

/// Loads the record that the cookie names: once a request, and only for a cookie that one of our keys made.
async fn read_record(settings: &Settings, cookies: &Cookies, store: &Store) -> Result<Option<Box<Arrived>>, Error> {
    let open = |token: Token<'_>, ring: &Ring| {
        let verified = open(&token, ring, settings.now())?;
        Some((IdSecret::of_payload(verified.payload())?, verified))
    };
    let Some((secret, verified)) = only_valid(settings, cookies, open) else { return Ok(None) };
    store.keep_swept(&settings.told.clock);
    let now = settings.now();
    let key = RecordKey::of_secret(verified.frame().id, secret.as_bytes());
    let record = match store.load(&key, now).await {
        Err(error) if *error.kind() == ErrorKind::Store(StoreErrorKind::Unreadable) => {
            tracing::error!(%error, "a stored session makes no sense, counts as none, and stays as it is");
            None
        }
        answer => answer?,
    };
    let Some(record) = record.filter(|record| record.id == key.id()) else { return Ok(None) };
    let loaded = Arrived::loaded(key, secret, record);
    let due = loaded.frame.and_then(|frame| is_due(settings.told.limits, &frame, loaded.entries(), now));
    Ok(due.map(|is_due| Box::new(Arrived { is_due, by_old_key: !verified.by_newest_key(), ..loaded })))
}

/// Reads the session out of its cookie.
pub(crate) fn read_session(settings: &Settings, cookies: &Cookies) -> Option<Box<Arrived>> {
    only_valid(settings, cookies, |token, ring| admit(&token, ring, settings.told.limits, settings.now()))
}

/// Exactly one distinct valid token is the session, whatever else came under its name.
fn only_valid<T>(settings: &Settings, cookies: &Cookies, admit: impl Fn(Token<'_>, &Ring) -> Option<T>) -> Option<T> {
    let Rings { session: ring, .. } = settings.rings.as_ref()?;
    let assembled = assemble(settings, cookies);
    let whole = cookies.find(&settings.session_cookie).filter(|(suffix, _)| suffix.is_empty()).map(|(_, value)| value);
    let mut candidates = Candidates::default();
    whole.chain([assembled.as_slice()]).for_each(|text| candidates.offer(text, ring));

    let mut valid = candidates.iter().filter_map(|(_, token)| admit(token, ring));
    let session = valid.next()?;
    if valid.next().is_some() {
        tracing::warn!(
            cookie = settings.session_cookie.name(),
            "a request brought two different valid sessions, and gets neither: somebody may be planting a cookie"
        );
        return None;
    }
    settings.notices.saw_cookie();
    Some(session)
}

/// The token that came in pieces under numbered names; empty when there is none.
fn assemble(settings: &Settings, cookies: &Cookies) -> Vec<u8> {
    if settings.told.chunks < 2 {
        return Vec::new();
    }
    let pieces = (1..=settings.told.chunks).map_while(|number| piece(cookies, &settings.session_cookie, number));
    pieces.flatten().copied().collect()
}

/// The one value under a piece's name. Where two differ, nothing tells which is ours.
fn piece<'a>(cookies: &'a Cookies, spec: &'a Spec, number: usize) -> Option<&'a [u8]> {
    let wanted = format!(".{number}");
    let mut values = cookies.find(spec).filter(|(suffix, _)| *suffix == wanted.as_bytes()).map(|(_, value)| value);
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// Tokens under one name that one of our keys may have made: at most 4, each once, so that a flood of cookies costs no
/// cryptography, and junk in front of a token does not keep it from being tried.
#[derive(Clone, Copy, Default)]
struct Candidates<'a> {
    tokens: [Option<(&'a [u8], Token<'a>)>; MAX_CANDIDATES],
}

impl<'a> Candidates<'a> {
    fn offer(&mut self, text: &'a [u8], ring: &Ring) {
        let Some(token) = candidate(text, ring) else { return };
        if !self.iter().any(|(known, _)| known == text)
            && let Some(place) = self.tokens.iter_mut().find(|place| place.is_none())
        {
            *place = Some((text, token));
        }
    }

    fn iter(&self) -> impl Iterator<Item = (&'a [u8], Token<'a>)> {
        self.tokens.iter().flatten().copied()
    }
}

/// What can be a token of one of our keys.
fn candidate<'a>(text: &'a [u8], ring: &Ring) -> Option<Token<'a>> {
    Token::parse(text, ring.form()).filter(|token| ring.knows(token))
}

/// Text to trust to meaning. What fails on the way is no session, and nothing of it is repeated anywhere.
fn admit(token: &Token<'_>, ring: &Ring, limits: Limits, now: u64) -> Option<Box<Arrived>> {
    let verified = open(token, ring, now)?;
    let (frame, by_old_key) = (verified.frame(), !verified.by_newest_key());
    let Ok(carried) = verified.entries() else {
        tracing::error!("an authentic session makes no sense, and counts as none: who else holds this secret?");
        return None;
    };
    let is_due = is_due(limits, &frame, &carried, now)?;
    Some(Box::new(Arrived { frame: Some(frame), carried, by_old_key, is_due, ..Arrived::none() }))
}

fn open(token: &Token<'_>, ring: &Ring, now: u64) -> Option<Verified> {
    ring.open(token).filter(|verified| is_plausible(verified.frame().times(), now))
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
    let mut batches = Vec::new();
    for name in names(settings, cookies, ring).into_iter().flatten() {
        batches.extend(read_batch(settings, cookies, ring, name));
    }
    batches.sort_by_key(|batch: &Received| batch.frame.created_at);
    Incoming { batches }
}

/// A name that can be a batch's, and the first value under it that can be a token.
#[derive(Clone, Copy)]
struct Name<'a> {
    suffix: &'a [u8],
    first: &'a [u8],
    /// Whether something came after it under the same name.
    is_repeated: bool,
}

/// The first 8 names that can be a batch's.
fn names<'a>(settings: &'a Settings, cookies: &'a Cookies, ring: &Ring) -> [Option<Name<'a>>; MAX_BATCHES] {
    let mut names: [Option<Name<'_>>; MAX_BATCHES] = [None; MAX_BATCHES];
    let is_batch = |suffix: &[u8]| suffix.len() == FLASH_SUFFIX && suffix.starts_with(b".");
    for (suffix, value) in cookies.find(&settings.flash_cookie).filter(|(suffix, _)| is_batch(suffix)) {
        if let Some(known) = names.iter_mut().flatten().find(|known| known.suffix == suffix) {
            known.is_repeated = true;
        } else if candidate(value, ring).is_some()
            && let Some(place) = names.iter_mut().find(|place| place.is_none())
        {
            *place = Some(Name { suffix, first: value, is_repeated: false });
        }
    }
    names
}

/// The batch under a name, unless two different ones came under it: nothing tells which is ours.
fn read_batch(settings: &Settings, cookies: &Cookies, ring: &Ring, name: Name<'_>) -> Option<Received> {
    let mut candidates = Candidates::default();
    candidates.offer(name.first, ring);
    if name.is_repeated {
        let others = cookies.find(&settings.flash_cookie).filter(|(suffix, _)| *suffix == name.suffix);
        others.for_each(|(_, value)| candidates.offer(value, ring));
    }
    let (lifetime, now) = (settings.told.flash_lifetime, settings.now());
    let mut valid = candidates.iter().filter_map(|(text, token)| {
        let size = settings.flash_cookie.name().len() + name.suffix.len() + text.len();
        receive(&token, name.suffix, size, ring, lifetime, now)
    });
    let batch = valid.next()?;
    valid.next().is_none().then_some(batch)
}

fn receive(token: &Token<'_>, suffix: &[u8], size: usize, ring: &Ring, lifetime: u64, now: u64) -> Option<Received> {
    let verified = open(token, ring, now)?;
    let frame = verified.frame();
    let fresh = now <= frame.created_at.saturating_add(lifetime);
    if !fresh || Suffix::of(&frame).as_str().as_bytes() != suffix {
        return None;
    }
    let batch = Batch::of(&verified.entries().ok()?).ok()?;
    Some(Received { frame, size, batch })
}

/// What a batch's cookie has behind the flash's name: a dot and the batch's id, so that no two batches share one.
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

/// How many texts under one name are verified.
const MAX_CANDIDATES: usize = 4;
/// How many batches are opened.
const MAX_BATCHES: usize = 8;
/// A dot and 16 bytes as base64url.
pub(crate) const FLASH_SUFFIX: usize = 1 + 22;
