//! The engine that keeps the data of a session in its cookie. A store keeps a list of the sessions that were ended
//! early. An id stays in the list until all copies of the session's cookies have expired.

use session_core::store::{Changes, RecordKey, Visit, Write};

use super::{context::Context, cookie, store_client::StoreClient};
use crate::{
    error::{Chain, Error},
    state::{
        loaded::{Live, Loaded},
        outcome::{Outcome, Plan},
        staged::NextId,
    },
    wire::session_cookie::Came,
};

/// The list of ended sessions, and what to do while the list cannot be read.
#[derive(Clone)]
pub(crate) struct Revocations {
    pub(crate) list: StoreClient,
    /// Whether a session is accepted while the list cannot be read.
    pub(crate) trust_when_unavailable: bool,
}

impl Revocations {
    pub(super) async fn load(&self, context: Context<'_>) -> Result<Loaded, Error> {
        let came = match cookie::find(context) {
            (Came::One(live), _) => vec![live],
            (Came::Several(lives), _) => lives,
            (Came::TooMany, _) => return Ok(cookie::newest(Vec::new(), context)),
            (Came::Nothing, true) => return Ok(Loaded::nothing_behind_a_cookie()),
            (Came::Nothing, false) => return Ok(Loaded::nothing()),
        };
        self.list.keep_swept(context.clock);
        let mut lives = Vec::new();
        for live in came {
            if self.is_alive(&live, context.now).await? {
                lives.push(live);
            }
        }
        // A cookie of a session that was ended does not count beside one of a live session.
        Ok(if lives.is_empty() { Loaded::nothing_behind_a_cookie() } else { cookie::newest(lives, context) })
    }

    async fn is_alive(&self, live: &Live, now: u64) -> Result<bool, Error> {
        match self.list.load(&RecordKey::of_revocation(live.frame.id), now).await {
            Ok(None) => Ok(true),
            Ok(Some(_)) => {
                tracing::warn!("a request brought a session that was ended: it holds a copy of an older cookie");
                Ok(false)
            }
            Err(error) if self.trust_when_unavailable => {
                tracing::error!(error = %Chain(&error), "the list of revocations cannot be read; a session is accepted unchecked");
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the end of a session into the list. Only then can the response confirm the end.
    pub(super) async fn carry_out(
        &self,
        plan: Plan<'_>,
        next_id: &mut NextId,
        context: Context<'_>,
    ) -> Result<Vec<String>, Error> {
        let cookies = cookie::cookies(plan, next_id, context)?;
        let is_over = matches!(plan.outcome, Outcome::Removed | Outcome::Replaced);
        let ended = plan.loaded.session().filter(|_| is_over);
        let rivals = plan.loaded.rivals().iter().filter(|_| plan.changes.destroys());
        for live in ended.into_iter().chain(rivals) {
            self.revoke(live, context).await?;
        }
        Ok(cookies)
    }

    async fn revoke(&self, live: &Live, context: Context<'_>) -> Result<(), Error> {
        let configured = live.frame.created_at.saturating_add(context.limits.lifetime);
        let expires_at = live.base().entries.metadata().latest(configured);
        // A record without entries exists because its id was asked for.
        let mut changes = Changes::default();
        changes.ask_id();
        let write = Write::new(&changes, Visit { now: context.now, expires_at });
        self.list.create(&RecordKey::of_revocation(live.frame.id), write).await
    }
}
