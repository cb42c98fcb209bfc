//! One request: its cookies, the session that was loaded, and the changes that its handlers staged.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{
        AtomicBool,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use http::Method;
use session_core::{
    RESERVED_PREFIX,
    flash::Batch,
    former::Former,
    store::{Changes, RecordKey, StoreError, StoreErrorKind},
};
use tokio::time::timeout;

use crate::{
    config::{FlashMode, Settings},
    detached::Detached,
    engine::{Context, Link, Place, Pledge, body},
    error::{Chain, Error, LastError},
    migration::{Arrived, Migration, Moving},
    observe::{self, Refusals, Sent},
    setup_warnings::Origin,
    state::{
        flash_changes::{FlashChanges, Part, StagedFlash},
        loaded::{Ended, Loaded},
        outcome::Rules,
        staged::Staged,
    },
    wire::{
        bearer::Bearer,
        flash_cookies::{FormerBatch, IncomingFlash, ReceivedBatch},
        request_cookies::RequestCookies,
    },
};

mod saving;

pub(crate) use saving::step_aside;

/// The state of one request, shared by the layer and all extractors.
pub(crate) struct Request {
    pub(crate) settings: Arc<Settings>,
    pub(crate) cookies: RequestCookies,
    /// Whether a handler has asked for a token for the `Authorization` header.
    gave_token: AtomicBool,
    pub(crate) is_head: bool,
    is_unattended: AtomicBool,
    /// Where the request comes from. It is known only while the layer still checks the first requests for set-up
    /// mistakes.
    pub(crate) origin: Option<Origin>,
    /// The state of the same request in the next layer around this one.
    outer: Option<Arc<Self>>,
    /// Whether another layer around this one has a cookie of the same name, so that neither cookie can be trusted.
    pub(crate) clashes: bool,
    incoming: OnceLock<IncomingFlash>,
    state: Mutex<State>,
    /// Whether the session is in `state`.
    is_loaded: AtomicBool,
    /// In a box, because most requests have none of it, and the state of a request is moved.
    rare: OnceLock<Box<Rare>>,
}

/// What only some requests have.
#[derive(Default)]
struct Rare {
    /// What former systems have read; empty before they were asked.
    former: OnceLock<Vec<(usize, Former)>>,
    /// A lock that is held while the store is asked, so that the operations of one request follow one another.
    turn: tokio::sync::Mutex<()>,
    /// Where detached handles find the session; empty if there are none.
    link: OnceLock<Pledge>,
    /// The last error that the application got, in case that it makes its own server error of it; empty if there is
    /// none.
    last_error: OnceLock<LastError>,
}

#[derive(Clone, Default)]
struct State {
    session: Slot,
    flash: StagedFlash,
    /// A change that could not be staged, and so fails the response.
    error: Option<Error>,
    /// Whether a handler has asked for a ticket, and whether one came.
    ticket: TicketRead,
    /// Whether the response has been sent, so that nothing can be staged any more.
    is_closed: bool,
}

/// Whether a handler has asked for a ticket.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum TicketRead {
    #[default]
    Unread,
    Read,
    /// A valid ticket came.
    Came,
}

#[derive(Clone, Default)]
enum Slot {
    #[default]
    NotLoaded,
    /// The session could not be loaded. The store is not asked again, because the request has waited long enough.
    Failed(Error),
    Loaded(SessionState),
}

/// The session as it was loaded or last saved, and what was staged since.
#[derive(Clone)]
pub(crate) struct SessionState {
    pub(crate) loaded: Loaded,
    pub(crate) staged: Staged,
    /// Whether no session came with the request.
    pub(crate) is_new: bool,
    /// Why the session that came with the request is over.
    pub(crate) ended: Option<Ended>,
    /// A save that has begun but may not have ended: it was cancelled, or its answer was lost. Such a save is repeated.
    unfinished: Option<Box<Staged>>,
    /// What the response has to do in a former place of the session.
    pub(crate) moving: Option<Arc<Moving>>,
}

/// How the handlers of a request have used the session, the flash and the tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Usage {
    /// No handler has read any of them.
    #[default]
    Unread,
    /// The response may depend on a cookie of ours. `came` is whether a session, a message or a ticket came with the
    /// request. It is also true if the session could not be loaded, because a session may have come.
    Read { came: bool },
}

/// The state of a request after it was closed, for the response.
#[derive(Default)]
pub(crate) struct Closed {
    pub(crate) usage: Usage,
    session: Slot,
    pub(crate) flash: StagedFlash,
    pub(crate) error: Option<Error>,
}

impl Slot {
    const fn was_asked_for(&self) -> bool {
        !matches!(self, Self::NotLoaded)
    }

    fn came(&self) -> bool {
        match self {
            Self::NotLoaded => false,
            Self::Failed(_) => true,
            Self::Loaded(session) => session.loaded.session().is_some(),
        }
    }
}

impl Request {
    pub(crate) fn new<B>(settings: &Arc<Settings>, request: &http::Request<B>) -> Self {
        let origin = settings.setup_warnings.watch(|| Origin::of(request.uri(), request.headers()));
        let cookies = match &settings.session_cookie.bearer {
            None => RequestCookies::of(request.headers()),
            Some(_) => Bearer::token_or_cookies(request.headers(), &settings.session_cookie.spec),
        };
        Self {
            settings: Arc::clone(settings),
            cookies,
            gave_token: AtomicBool::new(false),
            is_head: request.method() == Method::HEAD,
            is_unattended: AtomicBool::new(false),
            origin,
            outer: None,
            clashes: false,
            incoming: OnceLock::new(),
            state: Mutex::default(),
            is_loaded: AtomicBool::new(false),
            rare: OnceLock::new(),
        }
    }

    /// Notes that another layer is around this one. `clashes` is whether they share a cookie.
    pub(crate) fn inside(self, outer: Arc<Self>, clashes: bool) -> Self {
        Self { outer: Some(outer), clashes, ..self }
    }

    /// Iterates over the layers around the handler, from this one outwards.
    pub(crate) fn layers(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |request| request.outer.as_ref())
    }

    /// Returns whether this layer has the session of a struct with `#[session(cookie = "..")]`. A layer without
    /// sessions takes the place of every layer around it.
    pub(crate) fn has_session(&self, cookie: &str) -> bool {
        let Settings { session_cookie, .. } = &*self.settings;
        session_cookie.ring.is_none() || session_cookie.spec.is_named(cookie)
    }

    /// Returns whether another layer is around this one.
    pub(crate) const fn has_outer(&self) -> bool {
        self.outer.is_some()
    }

    /// Loads the session that came with the request, once.
    pub(crate) async fn load(self: &Arc<Self>) -> Result<LoadedRequest, Error> {
        // Only this flag is asked by a second extractor: a lock would cost it more.
        if !self.is_loaded.load(Acquire) {
            match self.load_now() {
                Some(loaded) => self.put(|| SessionState::new(loaded, &self.cookies)),
                // In a box, so that every handler's future is not as large as this one.
                None => Box::pin(self.load_waiting()).await?,
            }
        }
        Ok(LoadedRequest(Arc::clone(self)))
    }

    /// Loads the session at once; `None` if a store or a former place has to be asked.
    fn load_now(&self) -> Option<Loaded> {
        let loaded = self.settings.load_now(&self.cookies)?;
        self.note_cookie(&loaded);
        Some(loaded)
    }

    async fn load_waiting(&self) -> Result<(), Error> {
        let _turn = self.turn().await?;
        match &self.state().session {
            Slot::NotLoaded => {}
            Slot::Failed(error) => return Err(error.clone()),
            Slot::Loaded(_) => return Ok(()),
        }
        match self.arrive(self.settings.now()).await {
            Ok(arrived) => self.put(|| self.arrived(arrived)),
            Err(error) => {
                self.state().session = Slot::Failed(error.clone());
                self.last_error().note(&error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Keeps the session that was loaded. It is made in its place, because moving it would take longer.
    fn put(&self, session: impl FnOnce() -> SessionState) {
        let mut state = self.state();
        if !matches!(state.session, Slot::Loaded(_)) {
            state.session = Slot::Loaded(session());
            self.is_loaded.store(true, Release);
        }
    }

    /// Returns the state of a session that may come from a former place.
    fn arrived(&self, Arrived { loaded, moving, place }: Arrived) -> SessionState {
        if moving.is_none() {
            self.note_cookie(&loaded);
        }
        let mut session = SessionState { moving, ..SessionState::new(loaded, &self.cookies) };
        if let Some(place) = place {
            let SessionState { loaded, staged, .. } = &mut session;
            staged.changes.change_metadata(loaded.entries(), |metadata| metadata.set_cookie(place));
        }
        session
    }

    /// Loads the session that came with the request, from its former place if it has not moved yet.
    async fn arrive(&self, now: u64) -> Result<Arrived, Error> {
        let loaded = self.settings.engine().load(self.context(now)).await?;
        match &self.settings.migration {
            None => Ok(loaded.into()),
            // In a box, so that the future is not as large for all others.
            Some(migration) => Box::pin(self.go_on(migration, loaded, now)).await,
        }
    }

    async fn go_on(&self, migration: &Migration, loaded: Loaded, now: u64) -> Result<Arrived, Error> {
        let systems = if loaded.cookie_came { &[][..] } else { self.systems(migration, now).await? };
        let arrived = migration.go_on(&self.settings, loaded, &self.cookies, systems, now).await?;
        if let Some(moving) = &arrived.moving
            && !moving.flash.is_empty()
        {
            let _ = self.incoming.set(self.read_flash(Some(&moving.flash), now));
        }
        Ok(arrived)
    }

    /// Asks the former systems what the request brought, once.
    async fn systems(&self, migration: &Migration, now: u64) -> Result<&[(usize, Former)], Error> {
        let former = &self.rare().former;
        if let Some(known) = former.get() {
            return Ok(known);
        }
        let read = migration.read_systems(&self.settings, &self.cookies, now).await?;
        Ok(former.get_or_init(|| read))
    }

    /// Returns what former systems have read for this request.
    pub(crate) fn known_systems(&self) -> &[(usize, Former)] {
        self.rare.get().and_then(|rare| rare.former.get()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Asks the former systems for messages before they are read. If they are in a session, the session moves with
    /// them.
    pub(crate) async fn prepare_flash(self: &Arc<Self>) {
        let Some(migration) = &self.settings.migration else { return };
        let systems = match self.systems(migration, self.settings.now()).await {
            Ok(systems) => systems,
            Err(error) => {
                tracing::error!(
                    name: "migration.system_flash_unavailable", target: "session_axum::migration",
                    error = %Chain(&error), "the flash messages of a former system cannot be read; they wait"
                );
                return;
            }
        };
        let in_session = systems.iter().filter_map(|(_, former)| former.session.as_ref());
        if in_session.map(|session| &session.flash).any(|flash| !flash.is_empty())
            && let Err(error) = self.load().await
        {
            tracing::error!(
                name: "migration.session_flash_unavailable", target: "session_axum::migration",
                error = %Chain(&error), "the flash messages of a former session cannot be read; they wait"
            );
        }
    }

    fn read_flash(&self, in_session: Option<&Batch>, now: u64) -> IncomingFlash {
        let Self { settings, cookies, .. } = self;
        let refusals = Refusals::default();
        let mut incoming = settings.flash_cookie.read(cookies, now, &refusals);
        refusals.report(Sent::Flash);
        if let Some(migration) = &settings.migration {
            migration.flash(cookies, self.known_systems(), now, &mut incoming.batches);
            let in_session = in_session.cloned();
            incoming
                .batches
                .extend(in_session.map(|batch| ReceivedBatch::of_former(batch, FormerBatch::in_session(), now)));
        }
        incoming
    }

    /// Notes that the browser has sent a cookie of ours back.
    fn note_cookie(&self, loaded: &Loaded) {
        if loaded.cookie_came && self.cookies.bearer().is_none() {
            self.settings.setup_warnings.saw_cookie();
        }
    }

    /// Marks the request as no visit: it does not extend its session.
    pub(crate) fn be_unattended(&self) {
        self.is_unattended.store(true, Relaxed);
    }

    /// Returns the rules that decide the outcome of the session. `saves` tells whether the response saves changes.
    pub(crate) fn rules(&self, saves: bool) -> Rules {
        Rules { is_visit: !self.is_unattended.load(Relaxed), ..self.settings.rules(saves) }
    }

    /// Returns whether the client keeps no cookies: it sends the token of its session in the `Authorization` header, or
    /// a handler has asked for such a token and no session cookie came.
    pub(crate) fn is_without_cookies(&self) -> bool {
        let has_session_cookie = || self.settings.session_cookie.came(&self.cookies);
        self.cookies.bearer().is_some() || (self.gave_token() && !has_session_cookie())
    }

    /// Returns whether a handler has asked for a token, which may be in the body of the response.
    pub(crate) fn gave_token(&self) -> bool {
        self.gave_token.load(Relaxed)
    }

    /// Returns whether messages came in cookies of this layer.
    pub(crate) fn brought_flash(&self) -> bool {
        // A migration may still have to load the session before all messages are known.
        if self.settings.migration.is_some() && self.incoming.get().is_none() {
            let Self { settings, cookies, .. } = self;
            let incoming = settings.flash_cookie.read(cookies, settings.now(), &Refusals::default());
            return !incoming.batches.is_empty();
        }
        self.incoming().batches.iter().any(ReceivedBatch::is_ours)
    }

    /// Returns the flash messages that came with the request.
    pub(crate) fn incoming(&self) -> &IncomingFlash {
        self.incoming.get_or_init(|| self.read_flash(None, self.settings.now()))
    }

    pub(crate) fn flash_was_read(&self) -> bool {
        self.incoming.get().is_some()
    }

    /// Returns how the handlers have used the session, the flash and the tickets.
    pub(crate) fn usage(&self) -> Usage {
        self.state().usage(self.incoming.get())
    }

    pub(crate) fn context(&self, now: u64) -> Context<'_> {
        self.settings.context(&self.cookies, now)
    }

    /// Notes that a handler reads a part of the flash. If the response has been sent, its messages can no longer be
    /// removed, and a log line says so.
    pub(crate) fn note_flash_read(&self, part: Part<'_>) {
        let mut state = self.state();
        if !state.is_closed {
            state.flash.mark(part);
            return;
        }
        let is_settled = state.flash.is_settled(part);
        drop(state);
        if !is_settled && self.settings.config.flash_mode == FlashMode::UntilRead {
            self.settings.setup_warnings.flash_read_too_late(self.settings.now());
        }
    }

    /// Changes the flash, unless the response has been sent.
    pub(crate) fn stage_flash(&self, change: impl FnOnce(&mut FlashChanges)) -> Result<(), Error> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Error::closed());
        }
        change(state.flash.changes());
        Ok(())
    }

    /// Notes that a handler has asked for a ticket, and whether one came.
    pub(crate) fn note_ticket(&self, came: bool) {
        let mut state = self.state();
        state.ticket = state.ticket.max(if came { TicketRead::Came } else { TicketRead::Read });
    }

    /// Fails the response, unless it has been sent.
    pub(crate) fn fail(&self, error: Error) {
        let mut state = self.state();
        if !state.is_closed {
            state.error.get_or_insert(error);
        }
    }

    /// Returns where the last error is kept that the application got.
    pub(crate) fn last_error(&self) -> &LastError {
        self.rare().last_error.get_or_init(LastError::default)
    }

    /// Takes the last error that the application got.
    pub(crate) fn take_last_error(&self) -> Option<Error> {
        self.rare.get()?.last_error.get()?.take()
    }

    /// Closes the request if there is nothing to save and the browser needs no new cookie.
    ///
    /// Returns `None` if the request was not closed, and otherwise how the handlers have used it.
    pub(crate) fn close_if_settled(request: &mut Arc<Self>) -> Option<Usage> {
        // Mostly no handle is left, and then the state needs no lock.
        if let Some(Self { state, incoming, rare, .. }) = Arc::get_mut(request) {
            let state = state.get_mut().unwrap_or_else(PoisonError::into_inner);
            return state.close_if_settled(incoming.get(), rare.get().and_then(|rare| rare.link.get()));
        }
        // The check and the closing use one lock. So no handle in another task can stage a change that is never saved.
        request.state().close_if_settled(request.incoming.get(), request.link())
    }

    /// Tells the detached handles under which key the session's record is now; `None` if there is no session.
    pub(crate) fn has_record(&self, key: Option<RecordKey>) {
        if let Some(link) = self.link() {
            link.has_record(key);
        }
    }

    /// Lets the detached handles wait until the session has its new id. Without this, a handle that asks in between
    /// would take the session for ended.
    pub(crate) fn begins_record(&self, loaded: &Loaded) {
        if let Some(Pledge(link)) = self.link() {
            link.move_to(Place::Unsaved(loaded.stored().map(|stored| stored.record.key)));
        }
    }

    /// Tells the detached handles that the session has no new id after all.
    fn keeps_record(&self, loaded: &Loaded) {
        if let Some(stored) = loaded.stored() {
            self.has_record(Some(stored.record.key));
        }
    }

    /// Tells the detached handles that the request saves nothing more.
    pub(crate) fn settle_detached(&self) {
        if let Some(Pledge(link)) = self.link() {
            link.settle();
        }
    }

    /// Tells the detached handles where the session is that was loaded or saved last.
    fn is_at(&self, loaded: &Loaded) {
        self.has_record(loaded.stored().map(|stored| stored.record.key));
    }

    /// Closes the request: from now on nothing can be staged.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
    }

    /// Closes the request and takes the staged changes for the response, which are too large to be moved twice. Returns
    /// `false` if a handle is left.
    pub(crate) fn close_alone(request: &mut Arc<Self>, closed: &mut Closed) -> bool {
        let Some(Self { state, incoming, .. }) = Arc::get_mut(request) else { return false };
        let state = state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.is_closed = true;
        closed.usage = state.usage(incoming.get());
        std::mem::swap(&mut closed.session, &mut state.session);
        std::mem::swap(&mut closed.flash, &mut state.flash);
        std::mem::swap(&mut closed.error, &mut state.error);
        true
    }

    /// Closes the request and copies the staged changes for the response. Handles that outlive the response still see
    /// them.
    pub(crate) async fn close_beside_handles(&self) -> Closed {
        self.close();
        // A save that another task began comes to its end first, and then the response goes on from there.
        let _turn = if self.settings.never_waits() { None } else { self.turn().await.ok() };
        let state = self.state();
        Closed {
            usage: state.usage(self.incoming.get()),
            session: state.session.clone(),
            flash: state.flash.clone(),
            error: state.error.clone(),
        }
    }

    fn rare(&self) -> &Rare {
        self.rare.get_or_init(Box::default)
    }

    fn link(&self) -> Option<&Pledge> {
        self.rare.get()?.link.get()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A handler that panicked while it held the lock left whole values behind: no change spans two locks.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other operation of this request asks the store. The wait is limited by the store's timeout,
    /// because a future that has begun and is never polled again keeps its turn.
    async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        let turn = &self.rare().turn;
        if let Ok(turn) = turn.try_lock() {
            return Ok(turn);
        }
        let answer = timeout(self.settings.engine().timeout(), turn.lock()).await;
        answer.map_err(|_| StoreError::new(StoreErrorKind::Unavailable, NO_TURN).into())
    }
}

impl Closed {
    /// Returns the session. Loads it now if no handler has asked for it.
    pub(crate) async fn load(&mut self, request: &Request) -> Result<&mut SessionState, Error> {
        if matches!(self.session, Slot::NotLoaded) {
            self.session = match request.load_now() {
                Some(loaded) => Slot::Loaded(SessionState::new(loaded, &request.cookies)),
                None => match Box::pin(request.arrive(request.settings.now())).await {
                    Ok(arrived) => Slot::Loaded(request.arrived(arrived)),
                    Err(error) => Slot::Failed(error),
                },
            };
        }
        match &mut self.session {
            Slot::Loaded(session) => Ok(session),
            Slot::Failed(error) => Err(error.clone()),
            Slot::NotLoaded => unreachable!("it was asked for above"),
        }
    }

    /// Returns whether an extractor has asked for the session, even if the session could not be loaded.
    pub(crate) const fn session_was_asked_for(&self) -> bool {
        self.session.was_asked_for()
    }

    /// Returns whether a session came with the request. Also returns true if the session could not be loaded, because
    /// one may have come.
    pub(crate) fn session_came(&self) -> bool {
        self.session.came()
    }

    pub(crate) const fn session_was_loaded(&self) -> bool {
        matches!(self.session, Slot::Loaded(_))
    }

    /// Returns whether extractors ended the session.
    pub(crate) fn ends(&self) -> bool {
        matches!(&self.session, Slot::Loaded(session) if session.staged.changes.destroys())
    }

    /// Takes the changes to the flash that count if the response saves, or does not.
    pub(crate) fn take_flash(&mut self, saves: bool) -> FlashChanges {
        if !saves {
            self.flash = self.flash.rolled_back();
        }
        self.flash.take_changes()
    }

    /// Drops all staged changes.
    pub(crate) fn roll_back(&mut self) {
        if let Slot::Loaded(session) = &mut self.session {
            session.staged = Staged::default();
        }
        self.flash = self.flash.rolled_back();
        self.error = None;
    }
}

impl SessionState {
    fn new(loaded: Loaded, cookies: &RequestCookies) -> Self {
        let (is_new, ended) = (loaded.session().is_none(), loaded.over);
        if let Some(ended) = ended {
            observe::over(ended, Sent::of(cookies));
        }
        Self { loaded, staged: Staged::default(), is_new, ended, unfinished: None, moving: None }
    }

    /// Returns whether the browser and the store have the current state of the session.
    fn is_settled(&self) -> bool {
        let is_due = self.loaded.session().is_some_and(|live| live.is_due || live.sealed_by_old_key);
        !is_due
            && !self.loaded.cookie_is_stale
            && self.moving.is_none()
            && self.unfinished.is_none()
            && self.staged.changes.is_empty()
    }
}

/// A request with a loaded session. Only [`Request::load`] makes this type, so that no code uses the session too early.
#[derive(Clone)]
pub(crate) struct LoadedRequest(Arc<Request>);

impl LoadedRequest {
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Returns the rules for a response that saves.
    pub(crate) fn rules(&self) -> Rules {
        self.0.rules(true)
    }

    pub(crate) fn is(&self, request: &Request) -> bool {
        std::ptr::eq(&*self.0, request)
    }

    /// Returns the session as it was loaded, and the changes that were staged since then, if there are any.
    pub(crate) fn snapshot(&self) -> (Loaded, Option<Box<Changes>>) {
        self.with(|SessionState { loaded, staged, .. }| {
            let changes = (!staged.changes.is_empty()).then(|| Box::new(staged.changes.clone()));
            (loaded.clone(), changes)
        })
    }

    /// Passes the JSON text under `key` to `read`, without a lock: `read` may run the application's code.
    pub(crate) fn with_text<R>(&self, key: &str, read: impl FnOnce(Option<&str>) -> R) -> R {
        if key.starts_with(RESERVED_PREFIX) {
            return read(None);
        }
        enum Text {
            Staged(Option<String>),
            In(Loaded),
        }
        let text = self.with(|session| match session.staged.changes.edited(key) {
            Some(text) => Text::Staged(text.map(str::to_owned)),
            None if session.loaded.session().is_none() => Text::Staged(None),
            None => Text::In(session.loaded.clone()),
        });
        match &text {
            Text::Staged(text) => read(text.as_deref()),
            Text::In(loaded) => read(loaded.entries().get(key)),
        }
    }

    /// Passes the session's state to `change`, unless the response has been sent.
    pub(crate) fn stage<R>(&self, change: impl FnOnce(&mut SessionState) -> R) -> Result<R, Error> {
        let mut state = self.0.state();
        if state.is_closed { Err(Error::closed()) } else { Ok(change(state.session())) }
    }

    /// Does the same as [`stage`](Self::stage) for a method that cannot return an error. A change that is lost is
    /// logged.
    pub(crate) fn stage_or_log<R: Default>(&self, change: impl FnOnce(&mut SessionState) -> R) -> R {
        self.stage(change).unwrap_or_else(|error| {
            tracing::error!(
                name: "error.change_dropped", target: "session_axum::error",
                %error, "a change was dropped"
            );
            R::default()
        })
    }

    /// Returns the page that the visitor wanted before a guard sent them elsewhere.
    pub(crate) fn return_page(&self) -> Option<String> {
        let Request { settings, cookies, .. } = &*self.0;
        settings.return_cookie.read(cookies, settings.now())
    }

    /// Saves the session, and returns its token for the `Authorization` header.
    pub(crate) async fn bearer_token(&self) -> Result<String, Error> {
        let bearer = self.0.settings.session_cookie.bearer.as_ref().ok_or_else(Error::no_bearer)?;
        self.with(|SessionState { staged, .. }| staged.changes.ask_id());
        self.save().await?;
        let now = self.settings().now();
        let body =
            self.with(|SessionState { loaded, .. }| loaded.token().map(|(frame, secret)| body(frame, secret, now)));
        let token = bearer.seal(&body.ok_or_else(Error::gone)?)?;
        self.0.gave_token.store(true, Relaxed);
        Ok(token)
    }

    /// Returns a handle on the session that outlives the response.
    pub(crate) fn detached(&self) -> Detached {
        let Request { settings, .. } = &*self.0;
        let mut state = self.0.state();
        let is_closed = state.is_closed;
        let SessionState { loaded, staged, .. } = state.session();
        // After a `destroy`, the handle is on the session that the request begins.
        let record = loaded.stored().map(|stored| &stored.record).filter(|_| !staged.changes.destroys());
        let Pledge(link) = self.0.rare().link.get_or_init(|| {
            let place = match record {
                Some(record) => Place::At(record.key),
                None if is_closed => Place::Over(Ended::Elsewhere),
                None => Place::Unsaved(None),
            };
            Pledge(Arc::new(Link::new(place, settings.limits())))
        });
        Detached::new(Arc::clone(settings), Arc::clone(link), self.0.last_error().clone(), record)
    }

    /// Fails the response.
    pub(crate) fn fail(&self, error: Error) {
        self.0.fail(error);
    }

    /// Remembers an error that the application gets.
    #[cold]
    pub(crate) fn note_error(&self, error: &Error) {
        self.0.last_error().note(error);
    }

    /// Passes the current state of the session to `read`, also after the response has been sent.
    pub(crate) fn with<R>(&self, read: impl FnOnce(&mut SessionState) -> R) -> R {
        read(self.0.state().session())
    }
}

impl State {
    /// Closes the request if there is nothing to save: see [`Request::close_if_settled`].
    fn close_if_settled(&mut self, incoming: Option<&IncomingFlash>, link: Option<&Pledge>) -> Option<Usage> {
        if incoming.is_some_and(|incoming| !incoming.batches.is_empty()) {
            return None;
        }
        let session_is_settled = match &self.session {
            Slot::NotLoaded | Slot::Failed(_) => true,
            Slot::Loaded(session) => session.is_settled(),
        };
        if !session_is_settled || self.error.is_some() || self.flash.adds_cookies() {
            return None;
        }
        if let (Some(link), Slot::Loaded(session)) = (link, &self.session) {
            link.has_record(session.loaded.stored().map(|stored| stored.record.key));
        }
        self.is_closed = true;
        Some(self.usage(incoming))
    }

    /// Returns how the handlers have used the session, the flash and the tickets.
    fn usage(&self, incoming: Option<&IncomingFlash>) -> Usage {
        if self.session.was_asked_for() || incoming.is_some() || self.ticket != TicketRead::Unread {
            Usage::Read { came: self.came() || incoming.is_some_and(|incoming| !incoming.batches.is_empty()) }
        } else {
            Usage::Unread
        }
    }

    /// Returns whether a session or a ticket came with the request.
    fn came(&self) -> bool {
        self.session.came() || self.ticket == TicketRead::Came
    }

    fn session(&mut self) -> &mut SessionState {
        match &mut self.session {
            Slot::Loaded(session) => session,
            Slot::NotLoaded | Slot::Failed(_) => unreachable!("a `LoadedRequest` is made after the session was loaded"),
        }
    }
}

session_core::opaque_debug!(Request);

const NO_TURN: &str = "another save of this request has been begun and does not end";
