//! `Session`: the handle on the one session of a request.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::{Serialize, de::DeserializeOwned};
use session_core::{
    Field, MAX_COOKIE_AGE, Metadata, MissingField, RESERVED_PREFIX, Reader, SessionData, SessionId, Writer, decode,
    encode, system_time,
};

use crate::{
    error::Error,
    issue::{cookie_size, session_cookies},
    rejection::{MissingLayer, SessionRejection},
    saving::{save_now, update_now},
    scope::{Scope, Staged},
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
    scope: Arc<Scope>,
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
        self.scope.with_text(key, |text| text.map(decode).transpose()).map_err(|error| Error::decode(key, error))
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.scope.with_text(key, |text| text.is_some())
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
        self.scope.stage(|staged| staged.changes.insert(key, text))
    }

    /// Takes the value under `key` out, and says whether there was one.
    pub fn remove(&self, key: &str) -> bool {
        let removed = self.contains(key);
        if removed {
            self.scope.stage_or_log(|staged| staged.changes.remove(key));
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
        self.scope.stage_or_log(|staged| staged.clear(self.scope.arrived()));
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
        if let Some(store) = self.scope.settings.records()
            && let Some(new) = Box::pin(update_now(&self.scope, store, key, &mut change)).await?
        {
            return Ok(new);
        }
        loop {
            let before = self.scope.with_text(key, |text| text.map(str::to_owned));
            let (new, text) = change(before.as_deref())?;
            let entries = self.scope.arrived().entries();
            let written = self.scope.stage(|staged| {
                let unchanged = staged.changes.get(entries, key) == before.as_deref();
                if unchanged {
                    staged.changes.insert(key, text);
                }
                unchanged
            })?;
            if written {
                return Ok(new);
            }
        }
    }

    /// A new id and a new beginning for the same values: call it whenever a visitor gets more or fewer rights.
    pub fn renew(&self) {
        self.scope.stage_or_log(|staged| {
            staged.changes.renew();
            staged.new_id = None;
        });
    }

    /// Ends this session. What is put in afterwards begins a new one.
    ///
    /// The answer says how far that reaches.
    pub fn destroy(&self) -> Destroyed {
        self.scope.stage_or_log(Staged::destroy);
        match self.scope.settings.told.remote {
            Some(_) => Destroyed::Everywhere,
            None => Destroyed::InThisBrowser,
        }
    }

    /// The session's public and stable name, for caches and logs. Asking for it makes the session exist.
    ///
    /// # Panics
    ///
    /// When the session has none yet and the operating system has no randomness to give.
    #[must_use]
    pub fn id(&self) -> SessionId {
        let arrived = self.scope.arrived();
        let mut staged = self.scope.staged();
        staged.changes.ask_id();
        match arrived.frame {
            Some(frame) if !staged.changes.needs_new_id() => frame.id,
            _ => {
                let id = staged.draw_id(arrived).unwrap_or_else(|error| panic!("{error}"));
                staged.new_id = Some(id);
                id
            }
        }
    }

    /// When the session began.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        let staged = self.scope.staged();
        system_time(self.scope.frame_after(&staged).created_at)
    }

    /// When the session will end unless there is another visit.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        let staged = self.scope.staged();
        let terms = staged.changes.metadata(self.scope.arrived().entries());
        system_time(self.scope.settings.told.limits.last_second(self.scope.frame_after(&staged).times(), terms))
    }

    /// Lets this session live for `lifetime` from now, whatever the configured limits say, and outlive the browser:
    /// "remember me". 1 second to 400 days.
    pub fn set_lifetime(&self, lifetime: Duration) {
        let until = self.scope.settings.now().saturating_add(lifetime.as_secs().clamp(1, MAX_COOKIE_AGE));
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
        let staged = self.scope.staged();
        if staged.leaves_nothing(self.scope.arrived()) {
            return 0;
        }
        cookie_size(&self.scope, &staged.changes)
    }

    /// Saves now: to the store, where it stays whatever the response will be. Where the data travels in the cookie it
    /// leaves with the response, and this says whether it can.
    ///
    /// # Errors
    ///
    /// When the session cannot be saved: it is too large, the store cannot be told, or the session ended meanwhile.
    pub async fn save(&self) -> Result<(), Error> {
        if let Some(store) = self.scope.settings.records() {
            return Box::pin(save_now(&self.scope, store)).await;
        }
        let staged = self.scope.stage(|staged| staged.clone())?;
        session_cookies(&self.scope, &staged).map(drop)
    }

    /// Says whose session this is, for [`Sessions`](crate::Sessions): a user's id, as a rule. It needs a store.
    pub fn set_owner(&self, owner: impl Into<String>) {
        self.say(|staged| staged.changes.set_owner(owner.into()));
    }

    /// Says what its owner is shown of this session: "Firefox on Linux". It needs a store.
    pub fn set_label(&self, label: impl Into<String>) {
        self.say(|staged| staged.changes.set_label(label.into()));
    }

    fn say(&self, say: impl FnOnce(&mut Staged)) {
        match self.scope.settings.records() {
            Some(_) => self.scope.stage_or_log(say),
            None => self.scope.settings.notices.owner_without_store(),
        }
    }

    fn change_terms(&self, change: impl FnOnce(&mut Metadata)) {
        let entries = self.scope.arrived().entries();
        self.scope.stage_or_log(|staged| staged.changes.change_metadata(entries, change));
    }

    fn with_keys<R>(&self, read: impl FnOnce(Vec<&str>) -> R) -> R {
        let staged = self.scope.staged();
        let view = staged.changes.view(self.scope.arrived().entries());
        read(view.map(|(key, _)| key).collect())
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
        Session::of(&this.scope)
    }

    fn read(scope: &Arc<Scope>) -> Result<Self, MissingField> {
        let entries = scope.arrived().entries();
        let changes = scope.staged().changes.clone();
        let reader = Reader::new(entries, &changes);
        let data = T::read(&reader);
        for key in reader.unreadable() {
            tracing::warn!(key, "a value of the session cannot be decoded any more, and counts as missing");
        }
        Ok(Self { scope: Arc::clone(scope), data: data?, before: None })
    }

    fn fields(&self) -> Result<Vec<Field>, Error> {
        let mut writer = Writer::new();
        self.data.write(&mut writer);
        writer.finish().map_err(|(key, error)| Error::encode(key, error))
    }

    pub(crate) const fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }
}

impl Session {
    pub(crate) fn of(scope: &Arc<Scope>) -> Self {
        Self { scope: Arc::clone(scope), data: Untyped, before: None }
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self::of(&self.scope)
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
        let fields = self.fields();
        self.scope.stage_or_log(|staged| match fields {
            Ok(fields) => stage_fields(staged, fields.into_iter().filter(|field| !before.contains(field))),
            Err(error) => staged.error = Some(Box::new(error)),
        });
    }
}

fn stage_fields(staged: &mut Staged, fields: impl IntoIterator<Item = Field>) {
    for field in fields {
        field.aliases.iter().for_each(|alias| staged.changes.remove(alias));
        match field.text {
            Some(text) => staged.changes.insert(field.key, text),
            None => staged.changes.remove(field.key),
        }
    }
}

impl<T: SessionData, S: Send + Sync> FromRequestParts<S> for Session<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        let scope = scope_of(parts).await?;
        Self::read(&scope).map_err(|error| SessionRejection::MissingField { key: error.key(), redirect: T::REDIRECT })
    }
}

impl<T: SessionData, S: Send + Sync> OptionalFromRequestParts<S> for Session<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let scope = scope_of(parts).await?;
        Ok(Self::read(&scope).ok())
    }
}

async fn scope_of(parts: &Parts) -> Result<Arc<Scope>, SessionRejection> {
    let scope = parts.extensions.get::<Arc<Scope>>().ok_or_else(|| MissingLayer::of("Session"));
    let scope = scope.map_err(SessionRejection::MissingLayer)?;
    scope.arrive().await.map_err(SessionRejection::Failed)?;
    Ok(Arc::clone(scope))
}

impl<T: SessionData> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

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
