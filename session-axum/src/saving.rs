//! The way out to a store: what a request did to its session is written there, and the cookie follows only where it
//! has to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_core::{Entries, Frame, IdSecret, Metadata, Record, RecordKey, Updated, Visit, Write};
use tokio::time::sleep;

use crate::{
    arrival::{Arrived, Stored},
    error::Error,
    issue::{expired_meanwhile, frame_to_issue, issue, outlives_browser, removal},
    scope::{Scope, Staged},
    store::Store,
};

/// Writes what was staged, and makes the cookies that the browser then needs. `saves`: and notes the visit.
pub(crate) async fn stored_cookies(
    scope: &Scope,
    store: &Store,
    staged: &Staged,
    saves: bool,
) -> Result<Vec<String>, Error> {
    let outcome =
        if saves || !staged.changes.is_empty() { commit(scope, store, staged).await? } else { Outcome::Unchanged };
    let arrived = scope.arrived();
    match outcome {
        Outcome::Ended => Ok(removal(scope)),
        Outcome::Gone => Ok(Vec::new()),
        Outcome::Written(written) => {
            let outlived = outlives_browser(scope, arrived.terms());
            let is_wanted = written.is_new || outlived || outlives_browser(scope, &written.terms);
            let has_to_leave = is_wanted || arrived.by_old_key || arrived.is_news;
            if has_to_leave { cookies(scope, &written.frame, &written.terms, &written.secret) } else { Ok(Vec::new()) }
        }
        Outcome::Unchanged => match (&arrived.stored, arrived.frame) {
            (Some(stored), Some(frame)) if arrived.is_news || (saves && arrived.by_old_key) => {
                cookies(scope, &frame, arrived.terms(), &stored.secret)
            }
            (None, _) if arrived.is_news => Ok(removal(scope)),
            _ => Ok(Vec::new()),
        },
    }
}

/// Writes what was staged so far, while the request runs: [`Session::save`](crate::Session::save).
pub(crate) async fn save_now(scope: &Scope, store: &Store) -> Result<(), Error> {
    let staged = scope.stage(|staged| staged.clone())?;
    let arrived = scope.arrived();
    let next = match commit(scope, store, &staged).await? {
        Outcome::Unchanged => return Ok(()),
        Outcome::Gone => return Err(Error::gone()),
        Outcome::Ended => Arrived { is_news: true, ..Arrived::none() },
        Outcome::Written(written) => written.arrived(arrived, &staged),
    };
    scope.advance(next, |now| now.forget(&staged));
    Ok(())
}

/// Puts the JSON text that `change` makes of the one under `key` in its place, in the store and at once, until nobody
/// came in between. `Ok(None)` when there is no record yet that anybody else could change.
pub(crate) async fn update_now<T>(
    scope: &Scope,
    store: &Store,
    key: &str,
    change: &mut impl FnMut(Option<&str>) -> Result<(T, String), Error>,
) -> Result<Option<T>, Error> {
    for attempt in 0.. {
        let staged = scope.stage(|staged| staged.clone())?;
        let arrived = scope.arrived();
        let Some(stored) = arrived.stored.as_ref().filter(|_| !staged.changes.clears()) else { return Ok(None) };
        let now = scope.settings.now();
        if expired_meanwhile(scope, &staged, now) {
            return Err(Error::gone());
        }
        let (value, text) = change(staged.changes.get(arrived.entries(), key))?;
        let mut only = Staged::default();
        only.changes.insert(key, text);
        let written = Written::plan(scope, &only, now)?;
        match store.update(&stored.key, Write { only_if_unchanged: true, ..written.write(scope, &only) }).await? {
            Updated::Written { version } => {
                let next = Written { version, ..written }.arrived(arrived, &only);
                scope.advance(next, |now| now.changes.settle(key, &staged.changes));
                return Ok(Some(value));
            }
            Updated::Conflict => {
                step_aside(attempt).await;
                let record = store.load(&stored.key, now).await?.ok_or_else(Error::gone)?;
                let next = Arrived::loaded(stored.key, stored.secret.clone(), record);
                scope.advance(next.following(arrived), |_| ());
            }
            Updated::Removed | Updated::Gone => return Err(Error::gone()),
        }
    }
    unreachable!("it goes on until it is written")
}

/// Waits a little, and longer each time, so that those who change one session at once do not keep each other from it.
async fn step_aside(attempt: u32) {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let longest = 1_u64 << attempt.min(LONGEST_PAUSE);
    sleep(Duration::from_micros(u64::from(nanos / 64) % (1_000 * longest))).await;
}

/// 64 ms, as a power of two.
const LONGEST_PAUSE: u32 = 6;

/// What became of a session with its request.
enum Outcome {
    /// The store has it as it is.
    Unchanged,
    /// Somebody ended it, and nothing brings it back.
    Gone,
    /// There is none any more.
    Ended,
    Written(Box<Written>),
}

/// What the store has now, or is to have.
struct Written {
    frame: Frame,
    terms: Metadata,
    key: RecordKey,
    secret: IdSecret,
    visit: Visit,
    /// Whether the browser does not know it.
    is_new: bool,
    version: u64,
}

impl Written {
    /// Under which id, and for how long. A new id comes with a new secret.
    fn plan(scope: &Scope, staged: &Staged, now: u64) -> Result<Self, Error> {
        let arrived = scope.arrived();
        let frame = frame_to_issue(arrived, staged, now)?;
        let terms = staged.changes.metadata(arrived.entries()).clone();
        let (key, secret, is_new) = match &arrived.stored {
            Some(stored) if !staged.changes.needs_new_id() => (stored.key, stored.secret.clone(), false),
            _ => {
                let secret = IdSecret::random()?;
                (RecordKey::of_secret(frame.id, secret.as_bytes()), secret, true)
            }
        };
        let visit = Visit { now, expires_at: scope.settings.told.limits.last_second(frame.times(), &terms) };
        Ok(Self { frame, terms, key, secret, visit, is_new, version: UNKNOWN })
    }

    fn write<'a>(&self, scope: &'a Scope, staged: &'a Staged) -> Write<'a> {
        Write {
            changes: &staged.changes,
            base: scope.arrived().stored.as_ref().map(|stored| &stored.record),
            created_at: self.frame.created_at,
            visit: self.visit,
            only_if_unchanged: false,
        }
    }

    /// The session for what the request does after it was saved.
    fn arrived(self, before: &Arrived, staged: &Staged) -> Arrived {
        let (changes, base) = (&staged.changes, before.base());
        let mut text = Vec::new();
        changes.write(base.entries, &mut text);
        let record = Record {
            id: self.frame.id,
            created_at: self.frame.created_at,
            seen_at: self.frame.issued_at,
            expires_at: self.visit.expires_at,
            owner: changes.owner_after(base).map(str::to_owned),
            label: changes.label_after(base).map(str::to_owned),
            entries: Entries::parse(text).unwrap_or_default(),
            version: self.version,
        };
        let is_news = self.is_new;
        let next = Arrived::loaded(self.key, self.secret, record).following(before);
        Arrived { is_news: next.is_news || is_news, ..next }
    }
}

/// One write at most, besides the end of the session that was.
async fn commit(scope: &Scope, store: &Store, staged: &Staged) -> Result<Outcome, Error> {
    if let Some(error) = &staged.error {
        return Err((**error).clone());
    }
    let arrived = scope.arrived();
    let differs = staged.differs_from(arrived);
    let begins = arrived.frame.is_none() && (differs || !staged.leaves_nothing(arrived));
    if !differs && !begins && !arrived.is_due {
        return Ok(Outcome::Unchanged);
    }
    let now = scope.settings.now();
    if expired_meanwhile(scope, staged, now) {
        return Ok(Outcome::Gone);
    }
    match &arrived.stored {
        Some(stored) if staged.changes.destroys() => {
            store.delete(&stored.key).await?;
            create(scope, store, staged, now).await
        }
        Some(stored) if differs => change(scope, store, staged, stored, now).await,
        Some(stored) => touch(scope, store, staged, stored, now).await,
        None => create(scope, store, staged, now).await,
    }
}

async fn create(scope: &Scope, store: &Store, staged: &Staged, now: u64) -> Result<Outcome, Error> {
    if staged.leaves_nothing(scope.arrived()) {
        return Ok(Outcome::Ended);
    }
    let written = Written::plan(scope, staged, now)?;
    store.create(&written.key, Write { base: None, ..written.write(scope, staged) }).await?;
    Ok(Outcome::Written(Box::new(written)))
}

async fn change(scope: &Scope, store: &Store, staged: &Staged, stored: &Stored, now: u64) -> Result<Outcome, Error> {
    let written = Written::plan(scope, staged, now)?;
    let write = written.write(scope, staged);
    let updated = if written.is_new {
        store.rename(&stored.key, &written.key, write).await?
    } else {
        store.update(&stored.key, write).await?
    };
    match updated {
        Updated::Written { version } => {
            // Somebody else's changes are in between: this copy is not the record.
            let version = if version == stored.record.version + 1 { version } else { UNKNOWN };
            Ok(Outcome::Written(Box::new(Written { version, ..written })))
        }
        Updated::Removed => Ok(Outcome::Ended),
        Updated::Gone | Updated::Conflict => Ok(gone()),
    }
}

async fn touch(scope: &Scope, store: &Store, staged: &Staged, stored: &Stored, now: u64) -> Result<Outcome, Error> {
    let written = Written { version: stored.record.version, ..Written::plan(scope, staged, now)? };
    let is_there = store.touch(&stored.key, written.visit).await?;
    Ok(if is_there { Outcome::Written(Box::new(written)) } else { gone() })
}

fn gone() -> Outcome {
    tracing::info!("a session ended while its request ran, and what the request changed is dropped");
    Outcome::Gone
}

/// Of a record that this request cannot know: an exact write will be told so, and reads it again.
const UNKNOWN: u64 = 0;

fn cookies(scope: &Scope, frame: &Frame, terms: &Metadata, secret: &IdSecret) -> Result<Vec<String>, Error> {
    let mut body = frame.begin_body(secret.as_bytes().len());
    body.extend_from_slice(secret.as_bytes());
    issue(scope, frame, terms, &body)
}
