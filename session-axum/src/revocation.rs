//! Sessions whose data travels, and that were ended early: a store keeps their ids until they would have expired.

use session_core::{Changes, RecordKey, Visit, Write};

use crate::{
    error::Error,
    scope::{Scope, Staged},
    store::Store,
};

/// Notes that the session which arrived is over, if it is: destroyed, emptied, or renewed.
pub(crate) async fn revoke(scope: &Scope, list: &Store, staged: &Staged) -> Result<(), Error> {
    let arrived = scope.arrived();
    let Some(frame) = arrived.frame else { return Ok(()) };
    let is_emptied = || staged.differs_from(arrived) && staged.leaves_nothing(arrived);
    if !staged.changes.needs_new_id() && !is_emptied() {
        return Ok(());
    }
    let now = scope.settings.now();
    let configured = frame.created_at.saturating_add(scope.settings.told.limits.lifetime);
    let expires_at = arrived.terms().latest(configured);
    let mut changes = Changes::default();
    changes.ask_id();
    let write = Write::new(&changes, Visit { now, expires_at });
    list.create(&RecordKey::of_revocation(frame.id), write).await
}
