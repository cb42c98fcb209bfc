//! The end of a request: the staged changes become records, cookies and headers of the response. If that fails, the
//! response becomes an error before anything is sent.

use std::{borrow::Cow, sync::Arc};

use axum_core::response::Response;
use http::StatusCode;
use session_core::store::End;

use crate::{
    config::{FlashMode, Settings},
    edits::{Edit, EditList, ResponseEdits},
    engine::{CarriedOut, Done},
    error::{Chain, Error, Failure, Logged, MadeFromError, is_failure},
    migration::Moving,
    observe,
    request::{Closed, Request, SessionState, Usage},
    state::{
        flash_changes::{Consumed, FlashChanges},
        loaded::Loaded,
        outcome::Plan,
        staged::Staged,
    },
    wire::{
        headers::{add_cookies, clear_cache, forbid_storing, mark_read, vary_by_authorization},
        page_view::shows_page,
    },
};

/// The changes of a response to the session and the flash, besides the changes that extractors have staged.
pub(crate) struct Finish {
    edits: EditList,
    /// The changes for the layers around this one.
    outer_edits: EditList,
    failure: Option<Error>,
}

impl Finish {
    /// Returns `None` if the response can be sent at once. This is the common case: most requests only read the
    /// session, or do not use it.
    pub(crate) fn begin(request: &mut Arc<Request>, response: &mut Response) -> Option<Self> {
        // Most responses have no extensions, so that there is nothing to search for.
        let (edits, failure) = if response.extensions().is_empty() {
            (EditList::default(), None)
        } else {
            let failure = response.extensions_mut().remove::<Failure>().map(|Failure(error)| error);
            (ResponseEdits::take(response), failure)
        };
        if request.clashes {
            // The layer has logged why. What the helpers ask for cannot be done.
            if !edits.is_empty() {
                *response = Error::calm_answer(StatusCode::INTERNAL_SERVER_ERROR);
            }
            return None;
        }
        if failure.is_some() || !edits.is_empty() {
            return Some(Self { edits, outer_edits: EditList::default(), failure });
        }
        // Asked first: `drops_flash` may look for messages, and that is not a handler's use.
        let is_used = request.settings.config.flash_mode == FlashMode::UntilRead || request.usage() != Usage::Unread;
        if !drops_flash(request)
            && let Some(usage) = Request::close_if_settled(request)
        {
            if let (true, Usage::Read { came }) = (is_used, usage) {
                mark_read(response.headers_mut(), came);
                if request.settings.session_cookie.bearer.is_some() {
                    finish_bearer(request, response);
                }
            }
            if response.status().is_server_error() {
                log_unanswered(request, response);
            }
            return None;
        }
        Some(Self { edits, outer_edits: EditList::default(), failure })
    }

    /// Saves the request's session and flash, and adds the cookies to the response. It only waits if a store is asked.
    ///
    /// What few responses wait for is in boxes, and what is large is borrowed: a future is as large as all that it keeps
    /// while it waits.
    pub(crate) async fn run(&mut self, request: &mut Arc<Request>, response: &mut Response) {
        let Self { edits, outer_edits, failure } = self;
        *outer_edits = edits.take_outer(request);
        let failed_inside = response.extensions().get::<MadeFromError>().is_some();
        let mut closed = Closed::default();
        if !Request::close_alone(request, &mut closed) {
            closed = request.close_beside_handles().await;
        }
        let (request, usage) = (&*request, closed.usage);
        if let Some(error) = failure {
            *response = answer(request, error);
            let mut own = ResponseEdits::take(response);
            outer_edits.extend(own.take_outer(request));
            edits.extend(own);
        }
        if cfg!(debug_assertions) && edits.flashes() && shows_page(response) {
            request.settings.setup_warnings.flashing_on_a_page(response.status());
        }
        let failed = failure.is_some() || failed_inside || is_failure(response.status());
        let saves = !failed || request.settings.config.save_on_server_error;
        // A store that has failed is not asked again: the request has waited long enough.
        let may_ask = !failure.as_ref().is_some_and(Error::is_about_the_store);
        let attempt = Attempt { shows_messages: shows_messages(request, response), saves, finishes_saves: may_ask };
        let mut logs_out = edits.iter().any(Edit::is_end) || closed.ends();
        let cookies = match attempt.run(request, &mut closed, edits).await {
            Ok(cookies) => cookies,
            Err(failed) => {
                logs_out &= !failed.error.is_about_the_store();
                // The response is replaced, but what the layers inside have saved holds.
                let mut cookies = InnerCookies::take(response);
                cookies.extend(Box::pin(finish_failed(request, &mut closed, failed, response)).await);
                cookies
            }
        };
        if logs_out && request.settings.config.clears_site_data {
            clear_cache(response.headers_mut());
        }
        outer_edits.put_onto(response);
        let was_read = usage != Usage::Unread || closed.session_was_asked_for();
        if !cookies.is_empty() {
            observe::set_cookies(&request.settings, &cookies);
            if request.has_outer() {
                InnerCookies::note(response, &cookies);
            }
            add_cookies(response.headers_mut(), cookies);
        } else if was_read {
            mark_read(response.headers_mut(), usage == Usage::Read { came: true } || closed.session_came());
        }
        if request.settings.session_cookie.bearer.is_some() && was_read {
            finish_bearer(request, response);
        }
        request.settle_detached();
        if response.status().is_server_error() {
            log_unanswered(request, response);
        }
    }
}

/// Adds what caches have to know of a response that may depend on the `Authorization` header.
fn finish_bearer(request: &Request, response: &mut Response) {
    vary_by_authorization(response.headers_mut());
    if request.gave_token() {
        forbid_storing(response.headers_mut());
    }
}

/// Makes the response to a failure with the application's `on_error`, and drops the staged changes. If the request
/// ended the session, the session still ends.
async fn finish_failed(
    request: &Arc<Request>,
    closed: &mut Closed,
    failed: Failed,
    response: &mut Response,
) -> Vec<String> {
    let Failed { mut error, ends } = failed;
    closed.roll_back();
    // The application's answer may change the session or the flash, and that may fail as well: then it is left out.
    for obeys_answer in [true, false] {
        *response = answer(request, &error);
        let mut answers_edits = ResponseEdits::take(response);
        let mut outer_edits = answers_edits.take_outer(request);
        let mut edits = EditList::default();
        if let (Some(end), false) = (&ends, error.is_about_the_store()) {
            edits.push(end.edit());
        }
        if obeys_answer {
            edits.extend(answers_edits);
        }
        let shows_messages = shows_messages(request, response);
        let attempt = Attempt { shows_messages, saves: false, finishes_saves: false };
        match attempt.run(request, closed, &mut edits).await {
            Ok(cookies) => {
                outer_edits.put_onto(response);
                return cookies;
            }
            Err(again) => error = again.error,
        }
    }
    *response = answer(request, &error);
    drop(ResponseEdits::take(response));
    Vec::new()
}

/// Makes the response to an error with the application's `on_error`.
fn answer(request: &Request, error: &Error) -> Response {
    tracing::error!(
        name: "error.answered", target: "session_axum::error",
        error = %Chain(error), "a session could not be read, changed or saved"
    );
    let mut response = (request.settings.config.on_error)(error);
    response.extensions_mut().remove::<Failure>();
    response.extensions_mut().insert(MadeFromError);
    response.extensions_mut().insert(error.clone());
    response
}

/// Logs the error behind a server error that the application made itself: an [`Error`] that it has put into the
/// response's extensions, else the last one that it got in this request. If the layer has answered an error, it was
/// logged. An error that the application has handled, with another response than a server error, is none for the log.
#[cold]
fn log_unanswered(request: &Request, response: &mut Response) {
    if response.extensions().get::<MadeFromError>().is_some() {
        return;
    }
    let (status, last) = (response.status(), request.take_last_error());
    let is_logged = response.extensions().get::<Logged>().is_some();
    let attached = response.extensions().get::<Error>().filter(|_| !is_logged).cloned();
    if let Some(error) = attached.or(last) {
        tracing::error!(
            name: "error.unanswered", target: "session_axum::error",
            error = %Chain(&error), %status,
            "a session error became a server error of the application's own, which `on_error` did not make"
        );
        response.extensions_mut().insert(Logged);
    }
}

/// The cookies that layers inside another layer have set. They are an extension of the response, so that the outer
/// layer keeps them if it fails and makes another response.
#[derive(Clone, Debug, Default)]
struct InnerCookies(Vec<String>);

impl InnerCookies {
    fn note(response: &mut Response, cookies: &[String]) {
        response.extensions_mut().get_or_insert_default::<Self>().0.extend_from_slice(cookies);
    }

    fn take(response: &mut Response) -> Vec<String> {
        response.extensions_mut().remove::<Self>().map(|Self(cookies)| cookies).unwrap_or_default()
    }
}

/// One attempt to finish a request with a response.
#[derive(Clone, Copy)]
struct Attempt {
    /// Whether the visitor sees the messages that a handler has read, so that they are removed.
    shows_messages: bool,
    saves: bool,
    /// Whether an unfinished save of the request is completed first.
    finishes_saves: bool,
}

/// The error of a failed attempt, and how the request ended the session.
struct Failed {
    error: Error,
    ends: Option<Ending>,
}

#[derive(Clone, Copy)]
enum Ending {
    ByHelper,
    ByExtractor,
}

impl Ending {
    fn of(edits: &EditList, closed: &Closed) -> Option<Self> {
        let by_extractor = || closed.ends().then_some(Self::ByExtractor);
        if edits.iter().any(Edit::is_end) { Some(Self::ByHelper) } else { by_extractor() }
    }

    const fn edit(self) -> Edit {
        match self {
            Self::ByHelper => Edit::End,
            Self::ByExtractor => Edit::Destroy,
        }
    }
}

impl Attempt {
    /// Makes the cookies of the response from the staged changes and `edits`: first the flash cookies, then the session
    /// cookies.
    async fn run(self, request: &Request, closed: &mut Closed, edits: &mut EditList) -> Result<Vec<String>, Failed> {
        let ends = Ending::of(edits, closed);
        self.cookies(request, closed, edits, ends.is_some()).await.map_err(|error| Failed { error, ends })
    }

    async fn cookies(
        self,
        request: &Request,
        closed: &mut Closed,
        edits: &mut EditList,
        ends: bool,
    ) -> Result<Vec<String>, Error> {
        if let (true, Some(error)) = (self.saves, &closed.error) {
            return Err(error.clone());
        }
        let moves_flash = request.settings.migration.is_some()
            && (closed.session_was_loaded() || !edits.is_empty())
            && self.moves_flash(closed.load(request).await?, ends);
        // The flash comes before the session: its cookies can fail, and a session's write cannot be taken back.
        let is_read = moves_flash || request.flash_was_read() || drops_flash(request);
        let flash_cookies = if is_read || closed.flash.has_changes() || !edits.is_empty() {
            let mut flash = closed.take_flash(self.saves);
            edits.apply_to_flash(&mut flash)?;
            self.flash_cookies(request, &flash, is_read, moves_flash)?
        } else {
            Vec::new()
        };
        if !closed.session_was_loaded() && edits.is_empty() {
            return Ok(flash_cookies);
        }
        let session = closed.load(request).await?;
        let mut cookies = self.session_cookies(request, session, edits).await?;
        if cookies.is_empty() {
            return Ok(flash_cookies);
        }
        cookies.extend(flash_cookies);
        Ok(cookies)
    }

    /// Returns whether messages leave the former session, because it moves with this response, has moved with a save, or
    /// ends.
    fn moves_flash(self, session: &SessionState, ends: bool) -> bool {
        let brings_flash = session.moving.as_ref().is_some_and(|moving| !moving.flash.is_empty());
        brings_flash && (self.saves || ends || session.loaded.stored().is_some())
    }

    /// `is_read` is whether messages of the request may be removed, and `moves` is whether they move in with the session.
    fn flash_cookies(
        self,
        request: &Request,
        flash: &FlashChanges,
        is_read: bool,
        moves: bool,
    ) -> Result<Vec<String>, Error> {
        let is_unchanged = flash.added.is_empty() && !flash.removes_unread() && !flash.changes_other_cookies();
        // A client without a cookie jar could not send them back.
        if request.is_without_cookies() || (is_unchanged && !is_read) {
            return Ok(Vec::new());
        }
        let (Settings { flash_cookie, return_cookie, .. }, now) = (&*request.settings, request.settings.now());
        let mut cookies = flash_cookie.write(request.incoming(), flash, self.consumed(request), moves, now)?;
        cookies.extend(return_cookie.write(&flash.return_page, &request.cookies, now)?);
        for ticket in &flash.tickets {
            cookies.extend(ticket.write(&request.settings)?);
        }
        Ok(cookies)
    }

    /// Returns which messages of the request this response removes.
    fn consumed(self, request: &Request) -> Consumed {
        if request.settings.config.flash_mode == FlashMode::NextRequest {
            return Consumed::All;
        }
        if self.saves && self.shows_messages { Consumed::Read } else { Consumed::Nothing }
    }

    async fn session_cookies(
        self,
        request: &Request,
        session: &mut SessionState,
        edits: &mut EditList,
    ) -> Result<Vec<String>, Error> {
        if self.finishes_saves {
            session.finish_saving(request).await?;
        }
        let SessionState { loaded, staged: before, moving, .. } = &*session;
        let mut staged = if self.saves { Cow::Borrowed(before) } else { Cow::Owned(before.rolled_back()) };
        edits.apply_to_session(&mut staged, before, |handle| handle.is(request))?;

        let mut cookies = self.carry_out(request, loaded, &staged, moving.as_deref()).await?;
        if request.is_without_cookies() {
            cookies.clear();
        }
        if !cookies.is_empty() && !loaded.cookie_came {
            let Settings { session_cookie, setup_warnings, .. } = &*request.settings;
            let spec = &session_cookie.spec;
            if session_cookie.came(&request.cookies) {
                setup_warnings.foreign_cookie(spec.name(), request.settings.now());
            } else {
                setup_warnings.issued(spec, request.origin);
            }
        }
        Ok(cookies)
    }

    async fn carry_out(
        self,
        request: &Request,
        loaded: &Loaded,
        staged: &Staged,
        moving: Option<&Moving>,
    ) -> Result<Vec<String>, Error> {
        let (settings, now) = (&request.settings, request.settings.now());
        let mut next_id = staged.next_id.clone();
        let plan = Plan::new(loaded, &staged.changes, request.rules(self.saves), now);
        plan.outcome.log(&staged.changes);
        if plan.outcome.gives_new_id(loaded) {
            request.begins_record(loaded);
        }
        let end = match settings.engine().carry_out(&plan, &mut next_id, &request.context(now)).await? {
            CarriedOut::Done(Done { cookies, record }) => {
                request.has_record(record);
                return match (&settings.migration, moving) {
                    (Some(migration), Some(moving)) => {
                        let systems = request.known_systems();
                        Box::pin(migration.finish(moving, settings, plan, cookies, &request.cookies, systems)).await
                    }
                    _ => Ok(cookies),
                };
            }
            CarriedOut::EndedElsewhere(end) => end,
        };
        // Only a log-in needs its session. Other changes belonged to the session that is over.
        let renews = plan.changes.begins_anew() && !plan.changes.destroys();
        if renews && end == End::Renewed {
            // A log-in that was sent twice: the second one begins a session of its own.
            let overtaken = loaded.overtaken();
            return Box::pin(self.carry_out(request, &overtaken, staged, moving)).await;
        }
        if renews && self.saves {
            return Err(Error::gone());
        }
        tracing::info!(
            name: "session.ended_meanwhile", target: "session_axum::session",
            "a session ended while its request ran, and what the request changed is dropped"
        );
        Ok(Vec::new())
    }
}

fn shows_messages(request: &Request, response: &Response) -> bool {
    request.flash_was_read() && !request.is_head && shows_page(response)
}

/// Returns whether the response removes messages that came with the request, even if no handler read them.
fn drops_flash(request: &Request) -> bool {
    request.settings.config.flash_mode == FlashMode::NextRequest && request.brought_flash()
}
