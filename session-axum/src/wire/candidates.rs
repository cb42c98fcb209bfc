//! The values under one cookie name that may be tokens of ours.

use std::sync::Arc;

use session_core::token::{Ring, Token, Verified, is_plausible};

use super::few::Few;
use crate::{
    observe::{Refusals, Refused},
    setup_warnings::SetupWarnings,
};

/// The tokens under one cookie name that one of our keys may have made: at most 4, each once. A flood of cookies
/// therefore costs almost no cryptography. Other values before a token are not counted, so the token is still tried.
pub(super) struct Candidates<'a>(Few<(&'a [u8], Token<'a>), MAX_CANDIDATES>);

impl<'a> Candidates<'a> {
    pub(super) const fn new() -> Self {
        Self(Few::new())
    }

    pub(super) fn offer(&mut self, text: &'a [u8], ring: &Ring, refusals: &Refusals) {
        let Some(token) = candidate(text, ring, refusals) else { return };
        if !self.iter().any(|(known, _)| known == text) {
            self.0.push((text, token));
        }
    }

    /// Returns whether the request brought more candidates than are verified.
    pub(super) const fn are_too_many(&self) -> bool {
        self.0.is_over()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a [u8], Token<'a>)> {
        self.0.iter().copied()
    }
}

/// Returns the token if one of our keys may have made it.
#[inline]
pub(super) fn candidate<'a>(text: &'a [u8], ring: &Ring, refusals: &Refusals) -> Option<Token<'a>> {
    let token = refusals.unless_none(Token::parse(text, ring.protection()), Refused::Malformed)?;
    refusals.unless_none(ring.knows(&token).then_some(token), Refused::UnknownKey)
}

/// How far the clocks of two instances may differ, and the warning if they differ more.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    /// In seconds.
    pub(crate) skew: u64,
    pub(crate) setup_warnings: Arc<SetupWarnings>,
}

impl Clocks {
    /// Opens a token that one of our keys made, unless its times cannot be true.
    pub(super) fn open(&self, token: &Token<'_>, ring: &Ring, now: u64, refusals: &Refusals) -> Option<Verified> {
        let verified = refusals.unless_none(ring.open(token), Refused::Forged)?;
        let times = verified.frame().times();
        if is_plausible(times, now, self.skew) {
            return Some(verified);
        }
        self.setup_warnings.clock_ahead(times.issued_at.saturating_sub(now), now);
        refusals.note(Refused::Future);
        None
    }
}

/// The largest number of tokens under one name that are verified.
const MAX_CANDIDATES: usize = 4;
