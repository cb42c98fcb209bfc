//! The input and the results of an engine.

use session_core::{Limits, store::End};

use crate::{
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

/// The result of carrying a plan out.
#[derive(Debug)]
pub(crate) enum CarriedOut {
    /// The plan was carried out. The texts are the values of the `Set-Cookie` headers that the browser needs.
    Done(Vec<String>),
    /// Another request has ended the session since this one read it: nothing was written.
    EndedElsewhere(End),
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
