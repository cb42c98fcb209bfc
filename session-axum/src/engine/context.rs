//! What every engine is given, and what it answers with.

use std::sync::Arc;

use session_core::{Clock, Limits};

use crate::{
    state::loaded::Loaded,
    wire::{request_cookies::RequestCookies, session_cookie::SessionCookie},
};

/// What an engine goes by, besides the session itself.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) cookie: &'a SessionCookie,
    pub(crate) cookies: &'a RequestCookies,
    pub(crate) limits: Limits,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) now: u64,
}

/// What became of a plan.
#[derive(Debug)]
pub(crate) enum CarriedOut {
    /// The `Set-Cookie` headers that the browser then needs.
    Done(Vec<String>),
    /// The session ended while its request ran: the changes are dropped.
    EndedElsewhere,
}

/// What became of a save while the request runs.
pub(crate) enum Saved {
    /// It leaves with the response.
    WithResponse,
    /// It is written: the session as it is now.
    Written(Loaded),
    EndedElsewhere,
}
