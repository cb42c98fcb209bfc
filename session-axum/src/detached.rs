//! `Detached`: the session after the response, for sockets, streams and jobs.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, de::DeserializeOwned};
use session_core::{
    RESERVED_PREFIX, encode, encode_readable,
    store::{Changes, Metadata, Record, RecordKey, Updated, Visit, Write},
    token::Times,
};
use tokio::time::{Instant, timeout};

use crate::{
    config::Settings,
    engine::{Link, MOST_ROTATIONS, Place, StoreClient, times},
    error::{Error, LastError, read_value},
    observe::{self, Destroyed},
    request::step_aside,
    state::loaded::Ended,
};

/// A handle on a session that outlives the response, for a WebSocket, a stream of events or a background job.
///
/// [`Session::detached`](crate::Session::detached) makes it. Each method goes straight to the store, so it sees what
/// other requests have written, and other requests see at once what it writes. Nothing that it does waits for a
/// response. Reading and writing are no visits: call [`visit`](Self::visit) when the visitor does something.
///
/// The handle follows the session through a [`rotate`](crate::Session::rotate). A [`renew`](crate::Session::renew) by
/// another request ends it, as a log-out does. A `renew` by the request that made the handle does not.
///
/// In a request that begins a session, the handle works as soon as the session is saved: with the response, or with
/// [`Session::save`](crate::Session::save). A method that is called before waits for that, up to the store's timeout.
/// So do not await it in the handler itself, unless the session has been saved.
///
/// # Errors
///
/// Each method returns an error
///
/// - of the kind [`Gone`](crate::ErrorKind::Gone) if the session has ended or expired, or if its request never saved
///   it;
/// - of the kind [`Unsaved`](crate::ErrorKind::Unsaved) if its request has not saved it within the store's timeout;
/// - of the kind [`Store`](crate::ErrorKind::Store) if the store fails;
/// - of the kind [`InCookie`](crate::ErrorKind::InCookie) if the layer keeps no sessions in a store. A session in a
///   cookie comes only with a request, and changes only with a response.
///
/// # Examples
///
/// ```no_run
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, Keys, Session, SessionLayer, store::SessionStore};
/// async fn start(session: Session) -> Result<(), Error> {
///     session.insert("progress", 0)?;
///     let session = session.detached();
///     tokio::spawn(async move {
///         for percent in [50, 100] {
///             // .. half of the work ..
///             session.insert("progress", percent).await?;
///         }
///         Ok::<(), Error>(())
///     });
///     Ok(())
/// }
///
/// async fn progress(session: Session) -> Result<String, Error> {
///     Ok(format!("{:?}", session.get::<u8>("progress")?))
/// }
///
/// fn app(store: impl SessionStore, keys: Keys) -> Router {
///     let layer = SessionLayer::stored(store, keys);
///     Router::new().route("/start", get(start)).route("/progress", get(progress)).layer(layer)
/// }
/// ```
#[derive(Clone)]
pub struct Detached {
    settings: Arc<Settings>,
    link: Arc<Link>,
    /// Where the request remembers an error that its handler gets.
    last_error: LastError,
    /// What the session's next visit depends on, as it was last seen.
    seen: Arc<Mutex<Option<(Times, Metadata)>>>,
}

impl Detached {
    /// Creates the handle. `seen` is the record as the request has loaded it.
    pub(crate) fn new(settings: Arc<Settings>, link: Arc<Link>, last_error: LastError, seen: Option<&Record>) -> Self {
        let seen = seen.map(|record| (times(record), record.entries.metadata().clone()));
        Self { settings, link, last_error, seen: Arc::new(Mutex::new(seen)) }
    }

    /// Returns the value of `key` as it is in the store now; `None` if there is none.
    ///
    /// # Errors
    ///
    /// See [`Detached`]. Also returns an error if the value is not a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Detached, Error};
    /// async fn greet(session: &Detached) -> Result<String, Error> {
    ///     Ok(format!("Hello {}", session.get::<String>("user").await?.unwrap_or_default()))
    /// }
    /// ```
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.noting(async {
            let record = self.record().await?;
            read_value(key, record.entries.get(key))
        })
        .await
    }

    /// Sets `key` to a value, in the store, now. Other keys keep what other requests write at the same time.
    ///
    /// # Errors
    ///
    /// See [`Detached`]. Also returns an error if the key begins with `$`, or if the value has no JSON text that can be
    /// read back.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Detached, Error};
    /// async fn done(session: &Detached) -> Result<(), Error> {
    ///     session.insert("progress", 100).await
    /// }
    /// ```
    pub async fn insert(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        self.noting(async {
            let text = encode(&value).map_err(|error| Error::encode(key, error))?;
            self.change(key, Exactly::No, |_| Ok(Some(((), text.clone())))).await.map(drop)
        })
        .await
    }

    /// Replaces the value of `key` by the result of `change`, in one step that no other write can interrupt. `change`
    /// gets the current value, and is called again if another request wrote in between.
    ///
    /// # Errors
    ///
    /// See [`Detached`]. Also returns an error if the key begins with `$`, if the old value is not a `T`, if the new
    /// one has no JSON text that can be read back, or if other requests keep writing until the store's timeout is over.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Detached, Error};
    /// async fn count(session: &Detached) -> Result<u32, Error> {
    ///     session.update("messages", |sent: Option<u32>| sent.unwrap_or(0) + 1).await
    /// }
    /// ```
    pub async fn update<T, F>(&self, key: &str, mut change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        self.noting(async {
            let changed = self.change(key, Exactly::Yes, |old| {
                let new = change(read_value(key, old)?);
                let text = encode_readable(&new).map_err(|error| Error::encode(key, error))?;
                Ok(Some((new, text)))
            });
            changed.await?.ok_or_else(Error::gone)
        })
        .await
    }

    /// Removes `key`, and returns whether there was a value. Without its last value, a session ends, unless it has an
    /// owner.
    ///
    /// # Errors
    ///
    /// See [`Detached`]. Also returns an error if the key begins with `$`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Detached, Error};
    /// async fn finish(session: &Detached) -> Result<bool, Error> {
    ///     session.remove("progress").await
    /// }
    /// ```
    pub async fn remove(&self, key: &str) -> Result<bool, Error> {
        self.noting(async {
            let removed = self.change(key, Exactly::No, |old| Ok(old.map(|_| ((), "null".to_owned())))).await?;
            Ok(removed.is_some())
        })
        .await
    }

    /// Records a visit, which keeps the session alive as a request does. Call it when the visitor does something, for
    /// example when a message comes from the browser.
    ///
    /// The store is asked only if a visit is due: after an eighth of the idle timeout, or after what
    /// [`SessionLayer::note_visits_every`](crate::SessionLayer::note_visits_every) says. So it may be called for every
    /// message.
    ///
    /// # Errors
    ///
    /// See [`Detached`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Detached, Error};
    /// async fn received(session: &Detached, message: &str) -> Result<(), Error> {
    ///     session.visit().await?;
    ///     println!("{message}");
    ///     Ok(())
    /// }
    /// ```
    pub async fn visit(&self) -> Result<(), Error> {
        self.noting(async {
            let now = self.settings.now();
            if self.was_seen_lately(now) {
                return Ok(());
            }
            let (store, limits) = (self.store()?, self.settings.limits());
            for _ in 0..=MOST_ROTATIONS {
                let record = self.record().await?;
                let metadata = record.entries.metadata();
                if !limits.wants_extension(times(&record), metadata, now) {
                    return Ok(());
                }
                let after = Times { created_at: record.created_at, issued_at: now };
                let visit = Visit { now, expires_at: limits.last_second(after, metadata) };
                if store.touch(&record.key, visit).await? {
                    self.see(after, metadata.clone());
                    return Ok(());
                }
                // It has ended since it was loaded, or a rotation has moved it.
            }
            Err(Error::gone())
        })
        .await
    }

    /// Returns whether the session is alive now.
    ///
    /// # Errors
    ///
    /// See [`Detached`], except that a session that has ended is `false`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Detached, Error};
    /// async fn may_go_on(session: &Detached) -> Result<bool, Error> {
    ///     Ok(session.is_alive().await? && session.get::<String>("user").await?.is_some())
    /// }
    /// ```
    pub async fn is_alive(&self) -> Result<bool, Error> {
        self.noting(async {
            match self.record().await {
                Ok(_) => Ok(true),
                Err(error) if error.is_gone() => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Waits until the session has ended, and returns why: it expired, or a request logged it out or renewed it, on
    /// this instance or on another one.
    ///
    /// It is noticed within two seconds, or within what [`SessionLayer::watch_every`](crate::SessionLayer::watch_every)
    /// says. The layer asks the store once in that time, for all handles together. While the store cannot be reached,
    /// nothing ends.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`InCookie`](crate::ErrorKind::InCookie) at once if the layer keeps no sessions in
    /// a store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Detached, Error};
    /// # async fn next_message() -> Option<String> { None }
    /// # async fn close() {}
    /// async fn serve(session: Detached) -> Result<(), Error> {
    ///     loop {
    ///         tokio::select! {
    ///             message = next_message() => match message {
    ///                 Some(_) => session.visit().await?,
    ///                 None => return Ok(()),
    ///             },
    ///             ended = session.ended() => {
    ///                 println!("{:?}", ended?);
    ///                 close().await;
    ///                 return Ok(());
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    pub async fn ended(&self) -> Result<Ended, Error> {
        self.noting(async {
            let store = self.store()?;
            let mut places = self.link.subscribe();
            if !matches!(*places.borrow(), Place::Over(_)) {
                store.watch(&self.link);
            }
            loop {
                if let Place::Over(over) = *places.borrow_and_update() {
                    return Ok(over);
                }
                // The link has the other end, so the channel does not close while this waits.
                let _ = places.changed().await;
            }
        })
        .await
    }

    /// Waits for an answer, and remembers its error.
    async fn noting<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        answer.await.inspect_err(|error| self.last_error.note(error))
    }

    fn store(&self) -> Result<&StoreClient, Error> {
        self.settings.engine().records().ok_or_else(Error::in_cookie)
    }

    /// Loads the record of the session, and follows the session through rotations.
    async fn record(&self) -> Result<Record, Error> {
        let store = self.store()?;
        for _ in 0..=MOST_ROTATIONS {
            let (key, now) = (self.key(store).await?, self.settings.now());
            if let Some(record) = self.link.note(key, store.load(&key, now).await?, now) {
                self.see(times(&record), record.entries.metadata().clone());
                return Ok(record);
            }
        }
        Err(Error::gone())
    }

    /// Returns the key of the session's record. If the request has not saved the session yet, waits for that, up to the
    /// store's timeout.
    async fn key(&self, store: &StoreClient) -> Result<RecordKey, Error> {
        let mut places = self.link.subscribe();
        let saved = places.wait_for(|place| !matches!(place, Place::Unsaved(_)));
        match timeout(store.settings.timeout(), saved).await.map(|saved| saved.map(|place| *place)) {
            Ok(Ok(Place::At(key))) => Ok(key),
            Ok(_) => Err(Error::gone()),
            Err(_) => Err(Error::unsaved()),
        }
    }

    /// Changes the value of `key`. `change` gets the JSON text of the current value, and returns a result and the new
    /// text, or `None` to change nothing.
    async fn change<T>(
        &self,
        key: &str,
        exactly: Exactly,
        mut change: impl FnMut(Option<&str>) -> Result<Option<(T, String)>, Error>,
    ) -> Result<Option<T>, Error> {
        if key.starts_with(RESERVED_PREFIX) {
            return Err(Error::reserved(key));
        }
        let store = self.store()?;
        let deadline = Instant::now() + store.settings.timeout();
        let mut turn = None;
        for attempt in 0.. {
            let record = self.record().await?;
            // After a wait, another request has probably written.
            if exactly == Exactly::Yes
                && turn.is_none()
                && turn.insert(store.turn(&record.key, deadline).await).has_waited
            {
                continue;
            }
            let Some((value, text)) = change(record.entries.get(key))? else { return Ok(None) };
            let mut changes = Changes::default();
            changes.set(key, text);
            let visit = Visit { now: record.seen_at, expires_at: record.expires_at };
            let write = Write {
                base: Some(&record),
                created_at: record.created_at,
                only_if_unchanged: exactly == Exactly::Yes,
                ..Write::new(&changes, visit)
            };
            match store.update(&record.key, write).await? {
                Updated::Written { .. } => return Ok(Some(value)),
                Updated::Removed => {
                    observe::destroyed(Destroyed::Emptied, 1);
                    return Ok(Some(value));
                }
                _ if Instant::now() >= deadline => return Err(Error::too_many_writes()),
                // After a rotation it is at another place.
                Updated::Gone => {}
                Updated::Conflict => step_aside(attempt).await,
            }
        }
        unreachable!("it goes on until it is written, or its time is over")
    }

    fn was_seen_lately(&self, now: u64) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = self.settings.limits();
        seen.as_ref().is_some_and(|(times, metadata)| {
            !limits.is_over(*times, metadata, now) && !limits.wants_extension(*times, metadata, now)
        }) && matches!(self.link.place(), Place::At(_))
    }

    fn see(&self, times: Times, metadata: Metadata) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((times, metadata));
    }
}

session_core::opaque_debug!(Detached);

/// Whether a value depends on the one before, so that it is written only if no other request wrote in between.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exactly {
    Yes,
    No,
}
