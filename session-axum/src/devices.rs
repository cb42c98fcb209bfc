//! `Sessions`: lists the sessions of a user, and ends one or all of them.

use std::{cmp::Reverse, collections::HashSet, sync::Arc, time::SystemTime};

use axum_core::extract::FromRequestParts;
use http::request::Parts;
use serde::{Serialize, de::DeserializeOwned};
use session_core::{
    RESERVED_PREFIX, SessionId, encode,
    store::{Changes, End, Lookup, RecordKey, SessionInfo, Spared, Updated, Visit, Write},
    system_time,
};
use tokio::time::Instant;

use crate::{
    config::Settings,
    engine::{StoreClient, follow},
    error::{Error, LastError, read_value},
    observe::{self, Destroyed},
    rejection::{MissingLayer, request_of},
    request::step_aside,
    session::Session,
    state::loaded::{Live, Places},
};

/// The result of a change of a value in one session.
enum Changed {
    /// It is changed, and has this id.
    Under(SessionId),
    /// It has another id, which its former one does not lead to.
    Renewed,
    Over,
}

/// How often the sessions of an owner are listed while they are renewed.
const MOST_LISTS: u32 = 8;

/// The sessions of all visitors: lists the devices of a user, and logs out one of them or all.
///
/// `Sessions` is an extractor. Outside of requests, [`SessionLayer::sessions`](crate::SessionLayer::sessions) returns a
/// `Sessions` too. A session belongs to an owner after [`Session::set_owner`](crate::Session::set_owner). All methods
/// need a [store](crate::SessionLayer::stored). Without a store, they return an error of the kind
/// [`NoStore`](crate::ErrorKind::NoStore). With a list of [revocations](crate::SessionLayer::revocations), only
/// [`destroy_all`](Self::destroy_all), [`destroy_others`](Self::destroy_others) and
/// [`destroy_every`](Self::destroy_every) work: such sessions are in cookies, so they can be ended but not listed.
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, ErrorKind, Keys, Session, SessionLayer, Sessions, testing::Client};
/// async fn log_out_everywhere(session: Session, sessions: Sessions) -> Result<String, Error> {
///     let user: String = session.get("user")?.unwrap_or_default();
///     let ended = sessions.destroy_all(&user).await?;
///     Ok(format!("{ended} devices were logged out"))
/// }
///
/// async fn without_a_store(sessions: Sessions) {
///     let error = sessions.destroy_all("ada").await.unwrap_err();
///     assert_eq!(error.kind(), &ErrorKind::NoStore);
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(without_a_store).post(log_out_everywhere));
/// # let app = app.layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// # assert_eq!(client.get("/").await.status(), 200);
/// # });
/// ```
#[derive(Clone)]
pub struct Sessions {
    settings: Arc<Settings>,
    /// Where the request remembers an error that its handler gets.
    last_error: LastError,
}

impl Sessions {
    pub(crate) const fn new(settings: Arc<Settings>, last_error: LastError) -> Self {
        Self { settings, last_error }
    }

    /// Returns the newest 100 live sessions of `owner`, the most recently used first.
    ///
    /// [`count`](Self::count) returns how many there are, and [`destroy_all`](Self::destroy_all) ends all of them.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no store, or if the store fails.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Error, Keys, SessionLayer, store::SessionStore};
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let sessions = SessionLayer::stored(store, Keys::generate()).sessions();
    /// let devices = sessions.of("ada").await?;
    /// assert!(devices.iter().all(|device| device.created_at <= device.last_seen));
    /// assert!(devices.is_sorted_by(|one, next| one.last_seen >= next.last_seen));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn of(&self, owner: impl AsRef<str>) -> Result<Vec<LiveSession>, Error> {
        self.noting(async {
            let (owner, now) = (owner.as_ref(), self.settings.now());
            let mut sessions = self.store()?.list(owner, now, LISTED).await?;
            for former in self.former() {
                if let Some(store) = former.settings.engine().records() {
                    sessions.extend(store.list(owner, now, LISTED).await?);
                }
            }
            sessions.sort_by_key(|info| Reverse(info.seen_at));
            sessions.truncate(usize::try_from(LISTED).unwrap_or(usize::MAX));
            Ok(sessions.into_iter().map(LiveSession::from).collect())
        })
        .await
    }

    /// Returns the number of live sessions of `owner`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no store, or if the store fails.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Error, Keys, SessionLayer, store::SessionStore};
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let sessions = SessionLayer::stored(store, Keys::generate()).sessions();
    /// assert!(sessions.count("ada").await? >= sessions.of("ada").await?.len() as u64);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn count(&self, owner: impl AsRef<str>) -> Result<u64, Error> {
        self.noting(async {
            let (owner, now) = (owner.as_ref(), self.settings.now());
            let mut count = self.store()?.count(owner, now).await?;
            for former in self.former() {
                if let Some(store) = former.settings.engine().records() {
                    count += store.count(owner, now).await?;
                }
            }
            Ok(count)
        })
        .await
    }

    /// Changes the value under `key` in every live session of `owner`, and returns in how many. For example, a new role
    /// then counts on all devices at once.
    ///
    /// `change` gets the old value, and returns the new one. It is called again for a session that another request has
    /// changed in the meantime, so that no update is lost. A session that gets a new id in the meantime is changed under
    /// that id, and one that ends is left out.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no store, if the store fails, if an old value cannot be read as a `T`, if the new
    /// value cannot be stored, or if the key begins with `$`. Some of the sessions may then have the new value.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Error, Keys, SessionLayer, store::SessionStore};
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let sessions = SessionLayer::stored(store, Keys::generate()).sessions();
    /// let changed = sessions.update("ada", "role", |_: Option<String>| "editor".to_owned()).await?;
    /// assert_eq!(changed, sessions.count("ada").await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn update<T, F>(&self, owner: impl AsRef<str>, key: &str, mut change: F) -> Result<u64, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        self.noting(async {
            if key.starts_with(RESERVED_PREFIX) {
                return Err(Error::reserved(key));
            }
            let mut change = |old: Option<&str>| {
                let old = read_value(key, old)?;
                encode(&change(old)).map_err(|error| Error::encode(key, error))
            };
            let mut changed = self.update_here(self.store()?, owner.as_ref(), key, &mut change).await?;
            for former in self.former() {
                if let Some(store) = former.settings.engine().records() {
                    changed += self.update_here(store, owner.as_ref(), key, &mut change).await?;
                }
            }
            Ok(changed)
        })
        .await
    }

    async fn update_here(
        &self,
        store: &StoreClient,
        owner: &str,
        key: &str,
        change: &mut impl FnMut(Option<&str>) -> Result<String, Error>,
    ) -> Result<u64, Error> {
        let (begun_at, mut changed, mut known) = (self.settings.now(), 0, HashSet::new());
        for round in 0..MOST_LISTS {
            let mut was_renewed = false;
            for info in store.list(owner, self.settings.now(), u64::MAX).await? {
                // A session that was there before has been changed, perhaps under its former id.
                let may_be_new = round == 0 || info.created_at >= begun_at;
                if may_be_new && known.insert(info.key.id()) {
                    match self.update_one(store, &info.key, key, change).await? {
                        Changed::Under(id) => {
                            known.insert(id);
                            changed += 1;
                        }
                        Changed::Renewed => was_renewed = true,
                        Changed::Over => {}
                    }
                }
            }
            // Only a list shows the new id of a session that was renewed.
            if !was_renewed {
                break;
            }
        }
        Ok(changed)
    }

    /// Updates one session, also if it is rotated in the meantime.
    async fn update_one(
        &self,
        store: &StoreClient,
        record_key: &RecordKey,
        key: &str,
        change: &mut impl FnMut(Option<&str>) -> Result<String, Error>,
    ) -> Result<Changed, Error> {
        let deadline = Instant::now() + store.settings.timeout();
        let _turn = store.turn(record_key, deadline).await;
        for attempt in 0.. {
            let now = self.settings.now();
            let (found, _) = follow(store, store.load(record_key, now).await?, now).await?;
            let record = match found {
                Lookup::Live(record) => record,
                Lookup::Ended(End::Renewed) => return Ok(Changed::Renewed),
                Lookup::Ended(_) | Lookup::Expired | Lookup::Unknown => return Ok(Changed::Over),
            };
            let mut changes = Changes::default();
            changes.set(key, change(record.entries.get(key))?);
            let visit = Visit { now: record.seen_at, expires_at: record.expires_at };
            let write = Write { base: Some(&record), created_at: record.created_at, ..Write::new(&changes, visit) };
            match store.update(&record.key, Write { only_if_unchanged: true, ..write }).await? {
                Updated::Written { .. } => return Ok(Changed::Under(record.key.id())),
                Updated::Removed => {
                    observe::destroyed(Destroyed::Emptied, 1);
                    return Ok(Changed::Under(record.key.id()));
                }
                _ if Instant::now() >= deadline => return Err(Error::too_many_writes()),
                // It has ended, or it has another id now.
                Updated::Gone => {}
                Updated::Conflict => step_aside(attempt).await,
            }
        }
        unreachable!("it goes on until it is written, or its time is over")
    }

    /// Ends the session with this public id, and returns whether there was one.
    ///
    /// This method does not check the owner. In a handler, first check that the session is one of the user's own.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no store, or if the store fails. The session may then still be alive.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Error, Keys, SessionLayer, store::SessionStore};
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let sessions = SessionLayer::stored(store, Keys::generate()).sessions();
    /// for device in sessions.of("ada").await?.iter().skip(1) {
    ///     assert!(sessions.destroy(device.id).await?); // all devices but the one used last
    /// }
    /// assert!(sessions.of("ada").await?.len() <= 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn destroy(&self, id: SessionId) -> Result<bool, Error> {
        self.noting(async {
            let now = self.settings.now();
            let mut was_there = false;
            for former in self.former() {
                if let Some(store) = former.settings.engine().records() {
                    was_there |= store.delete_by_id(id, now).await?;
                }
            }
            was_there |= self.store()?.delete_by_id(id, now).await?;
            observe::destroyed(Destroyed::Revoked, u64::from(was_there));
            Ok(was_there)
        })
        .await
    }

    /// Ends all sessions of `owner`, including the session of this request.
    ///
    /// Returns how many there were. With [`SessionLayer::revocations`](crate::SessionLayer::revocations), sessions are
    /// in cookies that no one can count, and the result is 0.
    ///
    /// # Errors
    ///
    /// Returns an error if there is neither a store nor a list of revocations, or if it fails. Some of the sessions may
    /// then still be alive.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Error, Keys, SessionLayer, store::SessionStore};
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let sessions = SessionLayer::stored(store, Keys::generate()).sessions();
    /// let devices = sessions.count("ada").await?;
    /// assert_eq!(sessions.destroy_all("ada").await?, devices);
    /// assert!(sessions.of("ada").await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn destroy_all(&self, owner: impl AsRef<str>) -> Result<u64, Error> {
        self.noting(async { self.destroy_but(owner.as_ref(), &Places::default()).await }).await
    }

    /// Ends all sessions of the owner of `session`, except `session` itself: "log out all other devices".
    ///
    /// Returns how many there were, as [`destroy_all`](Self::destroy_all) does. A session without an owner ends
    /// nothing. If another request has ended `session` in the meantime, it stays ended. If another request rotates it
    /// at the same moment, it may end too.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`destroy_all`](Self::destroy_all).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use axum::response::Redirect;
    /// # use session_axum::{Error, Session, Sessions};
    /// async fn change_password(session: Session, sessions: Sessions) -> Result<Redirect, Error> {
    ///     let ended = sessions.destroy_others(&session).await?;
    ///     println!("{ended} other devices were logged out");
    ///     Ok(Redirect::to("/settings"))
    /// }
    /// ```
    pub async fn destroy_others(&self, session: &Session) -> Result<u64, Error> {
        self.noting(async {
            let (owner, spared) = session.owner_and_places();
            let Some(owner) = owner else { return Ok(0) };
            self.destroy_but(&owner, &spared).await
        })
        .await
    }

    /// Ends all sessions of this application, of all owners and of visitors without an owner. Everyone has to log in
    /// again.
    ///
    /// Returns how many there were, as [`destroy_all`](Self::destroy_all) does. Sessions of other
    /// [applications](crate::SessionLayer::application) in the same store stay.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`destroy_all`](Self::destroy_all).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Error, Keys, SessionLayer, store::SessionStore};
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let sessions = SessionLayer::stored(store, Keys::generate()).application("shop").sessions();
    /// sessions.destroy_every().await?;
    /// assert_eq!(sessions.count("ada").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn destroy_every(&self) -> Result<u64, Error> {
        self.noting(async {
            let mut ended = 0;
            for former in self.former() {
                ended += former.destroy_every_here().await?;
            }
            Ok(self.destroy_every_here().await? + ended)
        })
        .await
    }

    /// Waits for an answer, and remembers its error.
    async fn noting<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        answer.await.inspect_err(|error| self.last_error.note(error))
    }

    async fn destroy_every_here(&self) -> Result<u64, Error> {
        let now = self.settings.now();
        if let Some(revocations) = self.settings.engine().revocations() {
            return revocations.end_everything(now).await.map(|()| 0);
        }
        let ended = self.store()?.delete_by_application(now).await?;
        observe::destroyed(Destroyed::Revoked, ended);
        Ok(ended)
    }

    /// Ends the sessions of an owner here and in the former places, except for one.
    async fn destroy_but(&self, owner: &str, spared: &Places) -> Result<u64, Error> {
        // The former places come first: a session that moves between the two steps is found here by the second one.
        let mut ended = 0;
        for former in self.former() {
            ended += former.destroy_here(owner, spared.former.as_deref()).await?;
        }
        Ok(self.destroy_here(owner, spared.here.as_deref()).await? + ended)
    }

    async fn destroy_here(&self, owner: &str, spared: Option<&Live>) -> Result<u64, Error> {
        let now = self.settings.now();
        if let Some(revocations) = self.settings.engine().revocations() {
            return revocations.end_owner(owner, spared, now).await.map(|()| 0);
        }
        let store = self.store()?;
        let id = match spared {
            Some(live) => Some(id_now(store, live, now).await?),
            None => None,
        };
        let ended = store.delete_by_owner(owner, Spared { id, newest: 0 }, now).await?;
        observe::destroyed(Destroyed::Revoked, ended);
        Ok(ended)
    }

    /// Iterates over the former layers with owners from which sessions still move here.
    fn former(&self) -> impl Iterator<Item = Self> {
        let now = self.settings.now();
        let layers = self.settings.migration.iter().flat_map(move |migration| migration.layers(now));
        layers
            .filter(|former| former.engine().keeps_owners())
            .map(|former| Self::new(Arc::clone(former), self.last_error.clone()))
    }

    fn store(&self) -> Result<&StoreClient, Error> {
        self.settings.engine().records().ok_or_else(Error::no_store)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Sessions {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        let request = request_of(parts, "Sessions")?;
        Ok(Self::new(Arc::clone(&request.settings), request.last_error().clone()))
    }
}

session_core::opaque_debug!(Sessions);

/// A live session of a user: a browser that is logged in. [`Sessions::of`] returns them.
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, Keys, LiveSession, SessionLayer, Sessions, testing::Client};
/// async fn devices(sessions: Sessions) -> Result<String, Error> {
///     let line = |device: &LiveSession| device.label.clone().unwrap_or_else(|| device.id.to_string());
///     let lines: Vec<String> = sessions.of("ada").await?.iter().map(line).collect();
///     Ok(lines.join("\n"))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(devices)).layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// let response = client.get("/").await; // this layer has no store
/// assert_eq!(response.status(), 500);
/// # });
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveSession {
    /// The public id of the session, as [`Session::id`](crate::Session::id) returns it. [`Sessions::destroy`] takes it.
    pub id: SessionId,
    /// The time when the session began.
    pub created_at: SystemTime,
    /// The time of the last recorded visit. The last visit may have been later, by up to an eighth of the idle
    /// timeout.
    pub last_seen: SystemTime,
    /// The label that [`Session::set_label`](crate::Session::set_label) has set.
    pub label: Option<String>,
}

impl From<SessionInfo> for LiveSession {
    fn from(info: SessionInfo) -> Self {
        let SessionInfo { key, created_at, seen_at, label, .. } = info;
        Self { id: key.id(), created_at: system_time(created_at), last_seen: system_time(seen_at), label }
    }
}

session_core::opaque_debug!(LiveSession);

/// Returns the id that a session has now. Another request may have rotated it since this one read it.
async fn id_now(store: &StoreClient, live: &Live, now: u64) -> Result<SessionId, Error> {
    let Some(stored) = live.stored() else { return Ok(live.id_now()) };
    let (found, _) = follow(store, store.load(&stored.record.key, now).await?, now).await?;
    Ok(found.live().map_or(live.id_now(), |record| record.key.id()))
}

/// The largest number of sessions in a list of devices.
const LISTED: u64 = 100;
