//! The engines: the places where sessions are kept. Only this file and the layer's builder know which engine is used.

mod arrival;
mod context;
mod cookie;
mod ends;
mod revocations;
mod store_client;
mod store_settings;
mod stored;
mod turns;
mod watch;

use std::time::Duration;

use session_core::token::Purpose;

use crate::{
    error::Error,
    state::{
        loaded::Loaded,
        outcome::{Outcome, Plan},
        staged::NextId,
    },
};

pub(crate) use arrival::{Arrival, Destination, FormerId};
pub(crate) use context::{CarriedOut, Context, Done, Saved};
pub(crate) use ends::{Ends, MOST_ROTATIONS, rotated_to};
pub(crate) use revocations::Revocations;
pub(crate) use store_client::StoreClient;
pub(crate) use store_settings::StoreSettings;
pub(crate) use stored::{ExactWrite, body, follow};
pub(crate) use watch::{Link, Place, Pledge, times};

/// The place where sessions are kept.
#[derive(Clone)]
pub(crate) enum Engine {
    /// Nowhere: every session is empty, and nothing is written.
    Null,
    /// In their cookies. This process remembers for a minute which sessions it has ended.
    Cookie(Ends),
    /// In their cookies, with a list of the ids of sessions that were ended early.
    RevocableCookie(Revocations),
    /// In a store. The cookie carries a secret, and the store finds the record by that secret.
    Store(StoreClient),
}

impl Engine {
    /// Returns the purpose of the session cookie's tokens.
    pub(crate) const fn purpose(&self) -> Purpose {
        match self {
            Self::Store(_) => Purpose::Id,
            Self::Null | Self::Cookie(_) | Self::RevocableCookie(_) => Purpose::Session,
        }
    }

    /// Returns whether the session's data is in its cookie.
    pub(crate) const fn data_travels(&self) -> bool {
        !matches!(self, Self::Store(_))
    }

    /// Returns whether the engine keeps owners.
    pub(crate) const fn keeps_owners(&self) -> bool {
        matches!(self, Self::Store(_) | Self::RevocableCookie(_))
    }

    /// Returns whether the engine keeps labels.
    pub(crate) const fn keeps_labels(&self) -> bool {
        matches!(self, Self::Store(_))
    }

    /// Returns whether the end of a session also ends copies of its cookie.
    pub(crate) const fn ends_copies(&self) -> bool {
        matches!(self, Self::Store(_) | Self::RevocableCookie(_))
    }

    /// Returns the store that holds the sessions' records, if there is one.
    pub(crate) const fn records(&self) -> Option<&StoreClient> {
        match self {
            Self::Store(store) => Some(store),
            _ => None,
        }
    }

    /// Returns the list of revocations, if there is one.
    pub(crate) const fn revocations(&self) -> Option<&Revocations> {
        match self {
            Self::RevocableCookie(revocations) => Some(revocations),
            _ => None,
        }
    }

    /// Returns the store that the engine asks, for records or for revocations.
    pub(crate) const fn store_mut(&mut self) -> Option<&mut StoreClient> {
        match self {
            Self::Store(store) => Some(store),
            Self::RevocableCookie(revocations) => Some(&mut revocations.list),
            Self::Null | Self::Cookie(_) => None,
        }
    }

    /// Returns how long one operation may wait for the store.
    pub(crate) fn timeout(&self) -> Duration {
        match self {
            Self::Null | Self::Cookie(_) => Duration::ZERO,
            Self::RevocableCookie(revocations) => revocations.list.settings.timeout(),
            Self::Store(store) => store.settings.timeout(),
        }
    }

    /// Loads the session at once; `None` if the engine has to ask a store.
    pub(crate) fn load_now(&self, context: Context<'_>) -> Option<Loaded> {
        match self {
            Self::Null => Some(Loaded::nothing()),
            Self::Cookie(ends) => Some(cookie::load(ends, context)),
            Self::RevocableCookie(_) | Self::Store(_) => None,
        }
    }

    /// Returns whether no operation of the engine ever waits.
    pub(crate) const fn never_waits(&self) -> bool {
        matches!(self, Self::Null | Self::Cookie(_))
    }

    /// Loads the session that the request brought. If a store does not answer, the result is an error, never an empty
    /// session.
    pub(crate) async fn load(&self, context: Context<'_>) -> Result<Loaded, Error> {
        match self {
            Self::Null => Ok(Loaded::nothing()),
            Self::Cookie(ends) => Ok(cookie::load(ends, context)),
            Self::RevocableCookie(revocations) => revocations.load(context).await,
            Self::Store(store) => stored::load(store, context).await,
        }
    }

    /// Carries a plan out, and returns the cookies that the browser then needs. What asks a store is in a box, so that
    /// the other engines' responses are not as large.
    pub(crate) async fn carry_out(
        &self,
        plan: &Plan<'_>,
        next_id: &mut NextId,
        context: &Context<'_>,
    ) -> Result<CarriedOut, Error> {
        match self {
            Self::Null => Ok(CarriedOut::Done(Done::default())),
            Self::Cookie(ends) => cookie::carry_out(ends, *plan, next_id, *context),
            Self::RevocableCookie(revocations) => Box::pin(revocations.carry_out(*plan, next_id, *context)).await,
            Self::Store(store) => Box::pin(stored::carry_out(store, *plan, next_id, *context)).await,
        }
    }

    /// Carries a plan out while the request runs. If the data is in the cookie, this only checks that it fits.
    pub(crate) async fn save(
        &self,
        plan: Plan<'_>,
        next_id: &mut NextId,
        context: Context<'_>,
    ) -> Result<Saved, Error> {
        if matches!(plan.outcome, Outcome::Expired | Outcome::Ended) {
            return Ok(Saved::Ended);
        }
        match self {
            Self::Null => Ok(Saved::WithResponse),
            Self::Cookie(_) | Self::RevocableCookie(_) => {
                cookie::cookies(plan, next_id, context).map(|_| Saved::WithResponse)
            }
            Self::Store(store) => stored::save(store, plan, next_id).await,
        }
    }

    /// Writes a plan only if no other request has changed the record since it was read. Returns `None` if the session
    /// has no record in a store.
    pub(crate) async fn write_exactly(&self, plan: Plan<'_>) -> Result<Option<ExactWrite>, Error> {
        match (self, plan.loaded.stored()) {
            (Self::Store(store), Some(stored)) => stored::write_exactly(store, plan, stored).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Loads the session again after another request has changed it.
    pub(crate) async fn reload(&self, loaded: &Loaded, now: u64) -> Result<Loaded, Error> {
        match (self, loaded.stored()) {
            (Self::Store(store), Some(stored)) => stored::reload(store, loaded, stored, now).await,
            _ => Ok(loaded.clone()),
        }
    }

    /// Returns how many bytes of payload the session's cookie has after the plan.
    pub(crate) fn payload_len(&self, plan: &Plan<'_>) -> usize {
        match self {
            Self::Null => 0,
            Self::Cookie(_) | Self::RevocableCookie(_) => plan.changes.written_len(plan.loaded.entries()),
            Self::Store(_) => stored::PAYLOAD,
        }
    }
}
