//! `Session`: the handle on the one session of a request.

use std::{
    ops::{Deref, DerefMut},
    time::{Duration, SystemTime},
};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::{Serialize, de::DeserializeOwned};
use session_core::{
    MAX_COOKIE_AGE, MissingField, RESERVED_PREFIX, SessionData, SessionId,
    data::{Field, Reader, Writer},
    decode, encode,
    store::{Changes, Metadata},
    system_time,
};

use crate::{
    error::Error,
    rejection::{SessionRejection, request_of},
    request::{LoadedRequest, SessionState},
    state::{outcome::Plan, staged::Staged},
};

/// The session of a request.
///
/// `Session` reads and changes values by key. `Session<T>`, for a `T` that derives [`SessionData`], is the same session
/// seen as a struct. Every handle of one request, in middleware or handler, sees the same state; the layer saves it
/// with the response, and only if something changed.
///
/// What was changed through a `Session<T>` is staged when that handle is dropped, as a rule with the end of the handler;
/// other handles see it from then on.
///
/// `Session` never rejects for anything a client sent: a missing, forged or expired cookie is an empty session.
///
/// ```
/// use session_axum::{Error, Session};
///
/// async fn login(session: Session) -> Result<&'static str, Error> {
///     session.renew();
///     session.insert("connected", "user@example.com")?;
///     Ok("Hello")
/// }
///
/// async fn greet(session: Session) -> Result<String, Error> {
///     Ok(session.get::<String>("connected")?.unwrap_or_else(|| "Oops, you are not connected".into()))
/// }
/// ```
pub struct Session<T: SessionData = Untyped> {
    request: LoadedRequest,
    data: T,
    /// The fields before the first change; without one nothing was changed.
    before: Option<Vec<Field>>,
}

/// Stands for no struct at all: a `Session` whose values are read by key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untyped;

#[diagnostic::do_not_recommend]
impl SessionData for Untyped {
    const KEYS: &'static [&'static str] = &[];

    fn read(_: &Reader<'_>) -> Result<Self, MissingField> {
        Ok(Self)
    }

    fn write(&self, _: &mut Writer) {}
}

impl Session {
    /// The value under `key`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the value is there but is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.request.with_text(key, |text| text.map(decode).transpose()).map_err(|error| Error::decode(key, error))
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.request.with_text(key, |text| text.is_some())
    }

    /// All keys, in their order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.with_keys(|keys| keys.into_iter().map(str::to_owned).collect())
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with_keys(|keys| keys.len())
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.with_keys(|keys| keys.is_empty())
    }

    /// Puts a value under `key`, in place of what was there.
    ///
    /// # Errors
    ///
    /// When the value has no JSON text that could be read back, when the key begins with `$`, or when the response has
    /// left.
    pub fn insert(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        if key.starts_with(RESERVED_PREFIX) {
            return Err(Error::reserved(key));
        }
        let text = encode(&value).map_err(|error| Error::encode(key, error))?;
        self.request.stage(|session| session.staged.changes.insert(key, text))
    }

    /// Takes the value under `key` out, and says whether there was one.
    pub fn remove(&self, key: &str) -> bool {
        let removed = self.contains(key);
        if removed {
            self.request.stage_or_log(|session| session.staged.changes.remove(key));
        }
        removed
    }

    /// Takes the value under `key` out: reads it once.
    ///
    /// # Errors
    ///
    /// When the value is there but is not a `T`. It stays.
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let value = self.get(key)?;
        self.remove(key);
        Ok(value)
    }

    /// Takes all values out. The session keeps its id if it gets others.
    pub fn clear(&self) {
        self.request.stage_or_log(|SessionState { loaded, staged, .. }| staged.changes.clear(loaded.entries()));
    }

    /// Replaces the value under `key` by what `change` makes of it, as one step that nobody else's comes between.
    ///
    /// `change` may run more than once. Where the session is in a store already, the value is written at once and stays
    /// whatever the response will be; otherwise it leaves with the response.
    ///
    /// # Errors
    ///
    /// When the old value is not a `T`, when the store cannot be told, or when the session ended meanwhile; otherwise as
    /// [`Session::insert`].
    pub async fn update<T, F>(&self, key: &str, mut change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        if key.starts_with(RESERVED_PREFIX) {
            return Err(Error::reserved(key));
        }
        let mut change = |old: Option<&str>| {
            let new = change(old.map(decode).transpose().map_err(|error| Error::decode(key, error))?);
            let text = encode(&new).map_err(|error| Error::encode(key, error))?;
            Ok((new, text))
        };
        self.request.update(key, &mut change).await
    }

    /// A new id and a new beginning for the same values: call it whenever a visitor gets more or fewer rights.
    pub fn renew(&self) {
        self.request.stage_or_log(|session| session.staged.renew());
    }

    /// Ends this session. What is put in afterwards begins a new one.
    ///
    /// The answer says how far that reaches.
    pub fn destroy(&self) -> Destroyed {
        self.request.stage_or_log(|session| session.staged.destroy());
        if self.request.settings().engine().ends_copies() { Destroyed::Everywhere } else { Destroyed::InThisBrowser }
    }

    /// The session's public and stable name, for caches and logs. Asking for it makes the session exist.
    ///
    /// # Panics
    ///
    /// When the session has none yet and the operating system has no randomness to give.
    #[must_use]
    pub fn id(&self) -> SessionId {
        let id = self.request.with(|SessionState { loaded, staged, .. }| {
            staged.changes.ask_id();
            staged.id(loaded)
        });
        id.unwrap_or_else(|error| panic!("{error}"))
    }

    /// When the session began.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        self.if_sent_now(|plan| system_time(plan.times().created_at))
    }

    /// When the session will end unless there is another visit.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.if_sent_now(|plan| system_time(plan.last_second()))
    }

    /// Lets this session live for `lifetime` from now, whatever the configured limits say, and outlive the browser:
    /// "remember me". 1 second to 400 days.
    pub fn set_lifetime(&self, lifetime: Duration) {
        let until = self.request.settings().now().saturating_add(lifetime.as_secs().clamp(1, MAX_COOKIE_AGE));
        self.change_terms(|terms| {
            terms.end_at(Some(until));
            terms.browser_session = false;
        });
    }

    /// Lets this session end when the browser closes, or with the configured limits: the reverse of
    /// [`Session::set_lifetime`].
    pub fn expire_on_browser_close(&self) {
        self.change_terms(|terms| {
            terms.end_at(None);
            terms.browser_session = true;
        });
    }

    /// The bytes that the session's cookie takes, or would take if it left now: name and value, of which browsers keep
    /// 4096. Without a session, 0.
    #[must_use]
    pub fn cookie_size(&self) -> usize {
        let settings = self.request.settings();
        self.if_sent_now(|plan| {
            if plan.changes.leave_nothing(plan.loaded.base()) {
                return 0;
            }
            settings.session_cookie.size(settings.engine().payload_len(plan))
        })
    }

    /// Saves now: to the store, where it stays whatever the response will be. Where the data travels in the cookie it
    /// leaves with the response, and this says whether it can.
    ///
    /// # Errors
    ///
    /// When the session cannot be saved: it is too large, the store cannot be told, or the session ended meanwhile.
    pub async fn save(&self) -> Result<(), Error> {
        Box::pin(self.request.save()).await
    }

    /// Says whose session this is, for [`Sessions`](crate::Sessions): a user's id, as a rule. It needs a store.
    pub fn set_owner(&self, owner: impl Into<String>) {
        let owner = owner.into();
        self.say(|staged| staged.changes.set_owner(owner));
    }

    /// Says what its owner is shown of this session: "Firefox on Linux". It needs a store.
    pub fn set_label(&self, label: impl Into<String>) {
        let label = label.into();
        self.say(|staged| staged.changes.set_label(label));
    }

    fn say(&self, say: impl FnOnce(&mut Staged)) {
        let settings = self.request.settings();
        if settings.engine().keeps_owners() {
            self.request.stage_or_log(|session| say(&mut session.staged));
        } else {
            settings.setup_warnings.owner_without_store();
        }
    }

    fn change_terms(&self, change: impl FnOnce(&mut Metadata)) {
        let stage = |SessionState { loaded, staged, .. }: &mut SessionState| {
            staged.changes.change_metadata(loaded.entries(), change);
        };
        self.request.stage_or_log(stage);
    }

    fn with_keys<R>(&self, read: impl FnOnce(Vec<&str>) -> R) -> R {
        self.request.with(|SessionState { loaded, staged, .. }| {
            read(staged.changes.view(loaded.entries()).map(|(key, _)| key).collect())
        })
    }

    /// Looks at the session as it would be if the response were sent now.
    fn if_sent_now<R>(&self, look: impl FnOnce(&Plan<'_>) -> R) -> R {
        let settings = self.request.settings();
        let (rules, now) = (settings.rules(true), settings.now());
        self.request.with(|session| look(&Plan::new(&session.loaded, &session.staged.changes, rules, now)))
    }
}

impl<T: SessionData> Session<T> {
    /// The same session by key, for what is about the session and not about the struct.
    ///
    /// ```
    /// # use session_axum::{Session, SessionData};
    /// # fn f<Visitor: SessionData>(visitor: Session<Visitor>) {
    /// Session::untyped(&visitor).renew();
    /// # }
    /// ```
    #[must_use]
    pub fn untyped(this: &Self) -> Session {
        Session::of(&this.request)
    }

    fn read(request: &LoadedRequest) -> Result<Self, MissingField> {
        let (loaded, changes) = request.snapshot();
        let reader = Reader::new(loaded.entries(), changes.as_deref().unwrap_or(&UNCHANGED));
        let data = T::read(&reader);
        for key in reader.unreadable() {
            tracing::warn!(key, "a value of the session cannot be decoded any more, and counts as missing");
        }
        Ok(Self { request: request.clone(), data: data?, before: None })
    }

    fn fields(&self) -> Result<Vec<Field>, Error> {
        let mut writer = Writer::new();
        self.data.write(&mut writer);
        writer.finish().map_err(|(key, error)| Error::encode(key, error))
    }

    pub(crate) const fn request(&self) -> &LoadedRequest {
        &self.request
    }
}

impl Session {
    fn of(request: &LoadedRequest) -> Self {
        Self { request: request.clone(), data: Untyped, before: None }
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self::of(&self.request)
    }
}

impl<T: SessionData> Deref for Session<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: SessionData> DerefMut for Session<T> {
    fn deref_mut(&mut self) -> &mut T {
        if self.before.is_none() {
            self.before = Some(self.fields().unwrap_or_default());
        }
        &mut self.data
    }
}

/// Stages the fields whose value really changed.
impl<T: SessionData> Drop for Session<T> {
    fn drop(&mut self) {
        let Some(before) = self.before.take().filter(|_| !std::thread::panicking()) else { return };
        let fields = self.fields().and_then(|fields| {
            let changed: Vec<_> = fields.into_iter().filter(|field| !before.contains(field)).collect();
            match changed.iter().find(|field| field.key.starts_with(RESERVED_PREFIX)) {
                Some(field) => Err(Error::reserved(field.key)),
                None => Ok(changed),
            }
        });
        match fields {
            Ok(fields) => self.request.stage_or_log(|session| stage_fields(&mut session.staged.changes, fields)),
            Err(error) => self.request.fail(error),
        }
    }
}

fn stage_fields(changes: &mut Changes, fields: Vec<Field>) {
    for field in fields {
        field.aliases.iter().for_each(|alias| changes.remove(alias));
        match field.text {
            Some(text) => changes.insert(field.key, text),
            None => changes.remove(field.key),
        }
    }
}

impl<T: SessionData, S: Send + Sync> FromRequestParts<S> for Session<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        let request = load(parts).await?;
        Self::read(&request).map_err(|error| SessionRejection::MissingField { key: error.key(), redirect: T::REDIRECT })
    }
}

impl<T: SessionData, S: Send + Sync> OptionalFromRequestParts<S> for Session<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let request = load(parts).await?;
        Ok(Self::read(&request).ok())
    }
}

async fn load(parts: &Parts) -> Result<LoadedRequest, SessionRejection> {
    let request = request_of(parts, "Session").map_err(SessionRejection::MissingLayer)?;
    request.load().await.map_err(SessionRejection::Failed)
}

session_core::opaque_debug!([T: SessionData] Session<T>);

static UNCHANGED: Changes = Changes::NONE;

/// How far the end of a session reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destroyed {
    /// This browser drops its cookie. Somebody who copied the cookie before can use the copy until the session's
    /// limits end it: the data travels with the cookie, and nobody is asked.
    InThisBrowser,
    /// Everywhere, with the response: a store, or a list of revocations, is told that the session is over, and a copy
    /// of the cookie opens nothing. If it cannot be told, the response is an error.
    Everywhere,
}
