//! `Sessions`: the list of a user's sessions, and the end of one or all of them.

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

/// The sessions of every visitor, for "log out everywhere" and the list of a user's devices.
///
/// It is an extractor, and [`SessionLayer::sessions`](crate::SessionLayer::sessions) gives one outside of requests. A
/// session is its owner's from [`Session::set_owner`](crate::Session::set_owner) on. Where sessions are not in a store
/// every method is an error that says so.
///
/// ```
/// use session_axum::{Error, Session, Sessions};
///
/// async fn log_out_everywhere(session: Session, sessions: Sessions) -> Result<String, Error> {
///     let user: String = session.get("user")?.unwrap_or_default();
///     let ended = sessions.destroy_all(&user).await?;
///     Ok(format!("{ended} devices were logged out"))
/// }
/// ```
#[derive(Clone)]
pub struct Sessions {
    settings: Arc<Settings>,
}

impl Sessions {
    pub(crate) const fn new(settings: Arc<Settings>) -> Self {
        Self { settings }
    }

    /// The live sessions of `owner`, the one seen last first.
    ///
    /// # Errors
    ///
    /// When there is no store, or when it cannot be asked.
    pub async fn of(&self, owner: impl AsRef<str>) -> Result<Vec<LiveSession>, Error> {
        let sessions = self.store()?.list(owner.as_ref(), self.settings.now()).await?;
        Ok(sessions.into_iter().map(LiveSession::from).collect())
    }

    /// Ends the session with this public id, and says whether there was one.
    ///
    /// # Errors
    ///
    /// When there is no store, or when it cannot be told: then the session may live on.
    pub async fn destroy(&self, id: SessionId) -> Result<bool, Error> {
        self.store()?.delete_by_id(id).await
    }

    /// Ends every session of `owner`, this request's included, and says how many there were.
    ///
    /// # Errors
    ///
    /// When there is no store, or when it cannot be told: then some of them may live on.
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

/// One of a user's sessions: a browser that is logged in.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveSession {
    /// Its public id, which [`Sessions::destroy`] takes, and which is [`Session::id`](crate::Session::id) there.
    pub id: SessionId,
    /// When it began.
    pub created_at: SystemTime,
    /// Its last visit, as exactly as visits are written down: an eighth of the idle timeout.
    pub last_seen: SystemTime,
    /// What was said of it with [`Session::set_label`](crate::Session::set_label).
    pub label: Option<String>,
}

impl From<SessionInfo> for LiveSession {
    fn from(info: SessionInfo) -> Self {
        let SessionInfo { id, created_at, seen_at, label } = info;
        Self { id, created_at: system_time(created_at), last_seen: system_time(seen_at), label }
    }
}

session_core::opaque_debug!(LiveSession);
