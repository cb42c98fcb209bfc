//! One request's session and flash: what arrived, read when somebody asks, and what was staged.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use http::{Method, Request};
use session_core::{Changes, Frame, RESERVED_PREFIX, RandomError, SessionId};

use crate::{
    arrival::{Arrived, Incoming, read_flash, read_remote, read_session},
    cookies::Cookies,
    error::Error,
    flash::changes::FlashChanges,
    notices::Origin,
    settings::{Remote, Settings},
};

/// Shared by the layer and by every extractor of one request.
pub(crate) struct Scope {
    pub(crate) settings: Arc<Settings>,
    pub(crate) cookies: Cookies,
    pub(crate) is_head: bool,
    /// Known while the layer still watches for set-up that cannot work.
    pub(crate) origin: Option<Origin>,
    arrived: OnceLock<Option<Box<Arrived>>>,
    /// Only where more than the cookie has to be asked.
    asking: OnceLock<Box<Asking>>,
    incoming: OnceLock<Incoming>,
    staged: Mutex<Staged>,
}

impl Scope {
    pub(crate) fn enter<B>(settings: &Arc<Settings>, request: &Request<B>) -> Arc<Self> {
        let is_head = request.method() == Method::HEAD;
        let origin = settings.notices.watch(|| Origin::of(request.uri(), request.headers()));
        Arc::new(Self {
            settings: Arc::clone(settings),
            cookies: Cookies::of(request.headers()),
            is_head,
            origin,
            arrived: OnceLock::new(),
            asking: OnceLock::new(),
            incoming: OnceLock::new(),
            staged: Mutex::default(),
        })
    }

    /// Reads the session that came with the request, once, and asks who has to be asked about it.
    pub(crate) async fn arrive(&self) -> Result<&Arrived, Error> {
        if let (Some(remote), None) = (&self.settings.told.remote, self.arrived.get()) {
            // In a box, so that every handler's future is not as large as this one.
            Box::pin(self.ask(self.asking.get_or_init(Box::default), remote)).await?;
        }
        Ok(self.arrived())
    }

    /// After a failure nobody is asked again: the request has waited long enough.
    async fn ask(&self, asking: &Asking, remote: &Remote) -> Result<(), Error> {
        let mut failure = asking.failure.lock().await;
        if let Some(error) = &*failure {
            return Err(error.clone());
        }
        if self.arrived.get().is_none() {
            let answer = read_remote(&self.settings, &self.cookies, remote).await;
            let arrived = answer.inspect_err(|error| *failure = Some(error.clone()))?;
            self.arrived.get_or_init(|| arrived);
        }
        Ok(())
    }

    /// The session as it arrived, or as it was last saved. Whoever asks has seen to it that it [arrived](Self::arrive).
    pub(crate) fn arrived(&self) -> &Arrived {
        let came = self.arrived.get_or_init(|| read_session(&self.settings, &self.cookies));
        let came = came.as_deref().unwrap_or(&NOBODY);
        self.asking.get().map_or(came, |asking| asking.latest(came))
    }

    /// The flash messages that came with the request.
    pub(crate) fn incoming(&self) -> &Incoming {
        self.incoming.get_or_init(|| read_flash(&self.settings, &self.cookies))
    }

    /// Whether the answer may depend on a cookie of ours.
    pub(crate) fn was_read(&self) -> bool {
        self.session_was_read() || self.flash_was_read()
    }

    pub(crate) fn session_was_read(&self) -> bool {
        self.arrived.get().is_some()
    }

    pub(crate) fn flash_was_read(&self) -> bool {
        self.incoming.get().is_some()
    }

    /// Hands the JSON text under `key` to `read`, without holding the lock meanwhile: it may run the user's code.
    pub(crate) fn with_text<R>(&self, key: &str, read: impl FnOnce(Option<&str>) -> R) -> R {
        if key.starts_with(RESERVED_PREFIX) {
            return read(None);
        }
        let edited = self.staged().changes.edited(key).map(|text| text.map(str::to_owned));
        match edited {
            Some(text) => read(text.as_deref()),
            None => read(self.arrived().entries().get(key)),
        }
    }

    /// Whose session it is after what was staged, as if it left now.
    pub(crate) fn frame_after(&self, staged: &Staged) -> Frame {
        let (arrived, now) = (self.arrived(), self.settings.now());
        match arrived.frame {
            Some(frame) if !staged.changes.needs_new_id() => {
                let leaves = staged.changes.differ_from(arrived.base()) || arrived.by_old_key || arrived.is_due;
                Frame { issued_at: if leaves { now } else { frame.issued_at }, ..frame }
            }
            _ => Frame { id: staged.new_id.unwrap_or(NO_ID), created_at: now, issued_at: now },
        }
    }

    /// What the handlers did so far.
    ///
    /// A handler that panicked while it held the lock left whole values behind: no change spans two locks.
    pub(crate) fn staged(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is staged, unless the response has left.
    pub(crate) fn stage<R>(&self, change: impl FnOnce(&mut Staged) -> R) -> Result<R, Error> {
        let mut staged = self.staged();
        if staged.closed { Err(Error::closed()) } else { Ok(change(&mut staged)) }
    }

    /// The same for a change that cannot answer with an error: one that is lost is said in the log.
    pub(crate) fn stage_or_log<R: Default>(&self, change: impl FnOnce(&mut Staged) -> R) -> R {
        self.stage(change).unwrap_or_else(|error| {
            tracing::error!(%error, "a change was dropped");
            R::default()
        })
    }

    /// Notes what was read. After the response nothing is consumed any more, and there is nothing to say.
    pub(crate) fn note(&self, read: impl FnOnce(&mut Staged)) {
        let _ = self.stage(read);
    }

    /// Goes on from the session as it was saved just now. `settle` takes out of what is staged what was saved.
    pub(crate) fn advance(&self, next: Arrived, settle: impl FnOnce(&mut Staged)) {
        let mut staged = self.staged();
        if self.asking.get().is_some_and(|asking| asking.go_on(next)) {
            settle(&mut staged);
        }
    }

    /// Closes if the browser has everything already: the request was only read, and nothing is due.
    ///
    /// It looks and closes under one lock, so that no handle in another task stages what nobody would save.
    pub(crate) fn close_if_settled(&self) -> bool {
        let is_due = |arrived: &Arrived| arrived.is_due || arrived.by_old_key || arrived.is_news;
        let session_is_due = self.session_was_read() && is_due(self.arrived());
        let has_flash = self.incoming.get().is_some_and(|incoming| !incoming.batches.is_empty());
        let mut staged = self.staged();
        staged.closed |= !session_is_due && !has_flash && staged.is_empty();
        staged.closed
    }

    /// From now on nothing can be staged.
    pub(crate) fn close(&self) {
        self.staged().closed = true;
    }

    /// Takes what was staged. From now on nothing can be.
    pub(crate) fn take(&self) -> Staged {
        std::mem::replace(&mut *self.staged(), Staged { closed: true, ..Staged::default() })
    }

    /// Gives back what [`Scope::take`] took, for handles that outlive the response to read.
    pub(crate) fn keep(&self, staged: Staged) {
        *self.staged() = Staged { closed: true, ..staged };
    }

    pub(crate) fn shares_a_cookie_with(&self, settings: &Settings) -> bool {
        self.settings.session_cookie.name() == settings.session_cookie.name()
            || self.settings.flash_cookie.name() == settings.flash_cookie.name()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Stands for the session of a request that brought none. Nothing is ever saved behind it.
static NOBODY: Arrived = Arrived::none();

/// What was asked about the session, and what was saved while its request ran.
#[derive(Default)]
struct Asking {
    /// Held while somebody asks; why there was no answer.
    failure: tokio::sync::Mutex<Option<Error>>,
    saved: OnceLock<Box<Arrived>>,
}

impl Asking {
    fn latest<'a>(&'a self, came: &'a Arrived) -> &'a Arrived {
        let Some(mut latest) = self.saved.get() else { return came };
        while let Some(next) = latest.next.get() {
            latest = next;
        }
        latest
    }

    /// Whether nobody else went on at the same time.
    fn go_on(&self, next: Arrived) -> bool {
        let latest = self.saved.get().map(|saved| self.latest(saved));
        latest.map_or(&self.saved, |latest| &latest.next).set(Box::new(next)).is_ok()
    }
}

/// Stands for the id that is drawn when a new session leaves.
const NO_ID: SessionId = SessionId::from_bytes([0; 16]);

/// What the handlers did.
#[derive(Clone, Default)]
pub(crate) struct Staged {
    pub(crate) changes: Changes,
    /// The id that a session without one will get, once somebody asked for it.
    pub(crate) new_id: Option<SessionId>,
    pub(crate) flash: FlashChanges,
    /// A change that could not be staged, and so fails the response.
    pub(crate) error: Option<Box<Error>>,
    pub(crate) closed: bool,
}

impl Staged {
    /// Whether there is nothing to send. What was read or kept counts only where messages came.
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.error.is_none() && self.flash.added.is_empty()
    }

    /// Ends the session. What is staged afterwards belongs to a new one.
    pub(crate) fn destroy(&mut self) {
        self.changes.destroy();
        self.new_id = None;
    }

    /// Takes all values out, and what tied the session to anybody.
    pub(crate) fn clear(&mut self, arrived: &Arrived) {
        self.changes.clear(arrived.entries());
    }

    /// Takes what another handle of the same request staged about the session.
    pub(crate) fn adopt(&mut self, other: &Self) {
        self.changes = other.changes.clone();
        self.new_id = other.new_id;
    }

    /// Takes out what `saved` said, unless something else was said since.
    pub(crate) fn forget(&mut self, saved: &Self) {
        self.changes = self.changes.since(&saved.changes);
        self.new_id = self.new_id.filter(|id| saved.new_id != Some(*id));
    }

    /// Whether the session is another one than arrived.
    pub(crate) fn differs_from(&self, arrived: &Arrived) -> bool {
        self.changes.differ_from(arrived.base())
    }

    /// Whether nothing makes it a session: no entry, no owner, and nobody who holds its id.
    pub(crate) fn leaves_nothing(&self, arrived: &Arrived) -> bool {
        self.changes.leave_nothing(arrived.base())
    }

    /// The id of the session if it needs a new one: near the old one's place if it is the same session.
    pub(crate) fn draw_id(&self, arrived: &Arrived) -> Result<SessionId, RandomError> {
        match (self.new_id, arrived.frame) {
            (Some(id), _) => Ok(id),
            (None, Some(frame)) if !self.changes.destroys() => frame.id.renewed(),
            _ => SessionId::random(),
        }
    }

    /// Forgets everything but the end of a session: what a failed request must not leave behind.
    pub(crate) fn rolled_back(&self) -> Self {
        Self { changes: self.changes.rolled_back(), ..Self::default() }
    }
}
