//! The input and the results of an engine.

use session_core::{
    Limits,
    store::{End, RecordKey},
    token::Verified,
};

use crate::{
    observe::Refusals,
    setup_warnings::SetupWarnings,
    state::loaded::Loaded,
    wire::{request_cookies::RequestCookies, session_cookie::SessionCookie},
};

/// The layer's cookie, the request's cookies, the limits and the time.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) cookie: &'a SessionCookie,
    pub(crate) cookies: &'a RequestCookies,
    pub(crate) limits: Limits,
    pub(crate) setup_warnings: &'a SetupWarnings,
    pub(crate) now: u64,
}

impl Context<'_> {
    /// Returns the session's token, if the client sent it in the `Authorization` header.
    /// The inner option is `None` if the token is not valid.
    pub(super) fn bearer(&self, refusals: &Refusals) -> Option<Option<Verified>> {
        Some(self.cookie.bearer.as_ref()?.open(self.cookies.bearer()?, self.now, refusals))
    }
}

/// The result of carrying a plan out.
#[derive(Debug)]
pub(crate) enum CarriedOut {
    /// The plan was carried out.
    Done(Done),
    /// Another request has ended the session since this one read it: nothing was written.
    EndedElsewhere(End),
}

/// What the response needs, and where the session is, after a plan was carried out.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The values of the `Set-Cookie` headers that the browser needs.
    pub(crate) cookies: Vec<String>,
    /// The key of the session's record; `None` if there is none.
    pub(crate) record: Option<RecordKey>,
}

impl From<Vec<String>> for Done {
    /// The response of an engine that keeps no records.
    fn from(cookies: Vec<String>) -> Self {
        Self { cookies, record: None }
    }
}

/// The result of a save while the request runs.
pub(crate) enum Saved {
    /// The session will be sent with the response.
    WithResponse,
    /// The store has written the session. The value is the session after the write.
    Written(Loaded),
    /// The session expired, or another request has ended it: nothing is written.
    Ended,
}
