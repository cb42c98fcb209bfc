//! The engine that keeps the data of a session in its cookie, and a list of the sessions that were ended early in a
//! store. An id stays in the list until no copy of the session's cookies could be valid.

use session_core::{
    store::{Changes, RecordKey, Visit, Write},
    token::Frame,
};

use super::{context::Context, cookie, store_client::StoreClient};
use crate::{
    error::{Chain, Error},
    state::{
        loaded::Loaded,
        outcome::{Outcome, Plan},
        staged::NextId,
    },
};

/// The list, and what to do while it cannot be read.
#[derive(Clone)]
pub(crate) struct Revocations {
    pub(crate) list: StoreClient,
    /// Whether a session is accepted while the list cannot be read.
    pub(crate) trust_when_unavailable: bool,
}

impl Revocations {
    pub(super) async fn load(&self, context: Context<'_>) -> Result<Loaded, Error> {
        let loaded = cookie::load(context);
        let Some(live) = loaded.session() else { return Ok(loaded) };
        self.list.keep_swept(context.clock);
        match self.list.load(&RecordKey::of_revocation(live.frame.id), context.now).await {
            Ok(None) => Ok(loaded),
            Ok(Some(_)) => {
                tracing::warn!("a request brought a session that was ended: it holds a copy of an older cookie");
                Ok(Loaded::nothing_behind_a_cookie())
            }
            Err(error) if self.trust_when_unavailable => {
                tracing::error!(error = %Chain(&error), "the list of revocations cannot be read; a session is accepted unchecked");
                Ok(loaded)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the end of a session into the list before the response confirms it.
    pub(super) async fn carry_out(
        &self,
        plan: Plan<'_>,
        next_id: &mut NextId,
        context: Context<'_>,
    ) -> Result<Vec<String>, Error> {
        let cookies = cookie::cookies(plan, next_id, context)?;
        let is_over = matches!(plan.outcome, Outcome::Removed | Outcome::Replaced);
        if let (true, Some(live)) = (is_over, plan.loaded.session()) {
            let configured = live.frame.created_at.saturating_add(context.limits.lifetime);
            self.revoke(live.frame, plan.loaded.metadata().latest(configured), context.now).await?;
        }
        Ok(cookies)
    }

    async fn revoke(&self, frame: Frame, expires_at: u64, now: u64) -> Result<(), Error> {
        // A record without entries exists because its id was asked for.
        let mut changes = Changes::default();
        changes.ask_id();
        let write = Write::new(&changes, Visit { now, expires_at });
        self.list.create(&RecordKey::of_revocation(frame.id), write).await
    }
}
