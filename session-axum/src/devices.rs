//! `Sessions`: lists the sessions of a user, and ends one or all of them.

use std::{sync::Arc, time::SystemTime};

use axum_core::extract::FromRequestParts;
use http::request::Parts;
use session_core::{SessionId, store::SessionInfo, system_time};

use crate::{
    config::Settings,
    engine::StoreClient,
    error::Error,
    rejection::{MissingLayer, request_of},
};

/// The sessions of all visitors: lists the devices of a user, and logs out one of them or all.
///
/// `Sessions` is an extractor. Outside of requests, [`SessionLayer::sessions`](crate::SessionLayer::sessions) returns a
/// `Sessions` too. A session belongs to an owner after [`Session::set_owner`](crate::Session::set_owner). All methods
/// need a [store](crate::SessionLayer::stored). Without a store, they return an error of the kind
/// [`NoStore`](crate::ErrorKind::NoStore).
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
}

impl Sessions {
    pub(crate) const fn new(settings: Arc<Settings>) -> Self {
        Self { settings }
    }

    /// Returns the live sessions of `owner`, the most recently used first.
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
        let sessions = self.store()?.list(owner.as_ref(), self.settings.now()).await?;
        Ok(sessions.into_iter().map(LiveSession::from).collect())
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
        self.store()?.delete_by_id(id).await
    }

    /// Ends all sessions of `owner`, including the session of this request, and returns how many there were.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no store, or if the store fails. Some of the sessions may then still be alive.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Error, Keys, SessionLayer, store::SessionStore};
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let sessions = SessionLayer::stored(store, Keys::generate()).sessions();
    /// let devices = sessions.of("ada").await?;
    /// assert_eq!(sessions.destroy_all("ada").await?, devices.len() as u64);
    /// assert!(sessions.of("ada").await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn destroy_all(&self, owner: impl AsRef<str>) -> Result<u64, Error> {
        self.store()?.delete_by_owner(owner.as_ref()).await
    }

    fn store(&self) -> Result<&StoreClient, Error> {
        self.settings.engine().records().ok_or_else(Error::no_store)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Sessions {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        Ok(Self::new(Arc::clone(&request_of(parts, "Sessions")?.settings)))
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
        let SessionInfo { id, created_at, seen_at, label } = info;
        Self { id, created_at: system_time(created_at), last_seen: system_time(seen_at), label }
    }
}

session_core::opaque_debug!(LiveSession);
