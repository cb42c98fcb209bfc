//! The watcher of a layer: it asks the store, for all detached handles at once, which of their sessions have ended.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use session_core::{
    Limits,
    store::{End, Lookup, Record, RecordKey},
    token::Times,
    unix_seconds,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::store_client::StoreClient;
use crate::{
    error::{Chain, Error},
    state::loaded::Ended,
};

/// Where the session of a detached handle is. The handles of one request share it.
#[derive(Debug)]
pub(crate) struct Link {
    place: watch::Sender<Place>,
    limits: Limits,
    /// Whether the watcher has it in its list.
    is_watched: AtomicBool,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A request has begun it or gives it another id, and has not saved it yet. The key is that of the record before.
    Unsaved(Option<RecordKey>),
    At(RecordKey),
    Over(Ended),
}

impl Link {
    pub(crate) fn new(place: Place, limits: Limits) -> Self {
        Self { place: watch::Sender::new(place), limits, is_watched: AtomicBool::new(false) }
    }

    pub(crate) fn place(&self) -> Place {
        *self.place.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Place> {
        self.place.subscribe()
    }

    /// Notes where the session is now. What has ended stays ended.
    pub(crate) fn move_to(&self, place: Place) {
        self.move_if(place, |known| !matches!(known, Place::Over(_)));
    }

    /// Notes that the request saves nothing more. A session that it never saved is none.
    pub(crate) fn settle(&self) {
        if let unsaved @ Place::Unsaved(before) = self.place() {
            let place = before.map_or(Place::Over(Ended::Elsewhere), Place::At);
            self.move_if(place, |known| *known == unsaved);
        }
    }

    /// Notes what the store has found under a key of the session. Returns the record if the session is alive.
    ///
    /// The answer does not count if a request has given the session another key in the meantime.
    pub(crate) fn note(&self, key: RecordKey, found: Lookup, now: u64) -> Option<Record> {
        let next = match found {
            Lookup::Live(record) if !is_over(&record, self.limits, now) => return Some(record),
            Lookup::Ended(End::Rotated { successor }) => Place::At(successor),
            Lookup::Live(_) | Lookup::Expired => Place::Over(Ended::Expired),
            Lookup::Ended(End::Deleted | End::Renewed) | Lookup::Unknown => Place::Over(Ended::Elsewhere),
        };
        self.move_if(next, |known| *known == Place::At(key));
        None
    }

    fn move_if(&self, place: Place, may_move: impl FnOnce(&Place) -> bool) {
        self.place.send_if_modified(|known| {
            let is_news = *known != place && may_move(known);
            if is_news {
                *known = place;
            }
            is_news
        });
    }
}

/// The request's end of a link.
#[derive(Debug)]
pub(crate) struct Pledge(pub(crate) Arc<Link>);

impl Pledge {
    /// Tells the detached handles under which key the session's record is now; `None` if there is no session.
    pub(crate) fn has_record(&self, key: Option<RecordKey>) {
        self.0.move_to(key.map_or(Place::Over(Ended::Elsewhere), Place::At));
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        self.0.settle();
    }
}

fn is_over(record: &Record, limits: Limits, now: u64) -> bool {
    limits.is_over(times(record), record.entries.metadata(), now)
}

/// Returns the times of a record, by which its limits count.
pub(crate) const fn times(record: &Record) -> Times {
    Times { created_at: record.created_at, issued_at: record.seen_at }
}

/// The watched handles of a layer. There is a task for as long as there are any.
#[derive(Debug, Default)]
pub(crate) struct Watcher(Mutex<Watched>);

#[derive(Debug, Default)]
struct Watched {
    links: Vec<Weak<Link>>,
    is_running: bool,
}

impl Watcher {
    /// Watches one more session. A handle may ask for it again and again, for example in a loop.
    pub(super) fn add(self: &Arc<Self>, link: &Arc<Link>, store: &StoreClient) {
        let mut watched = self.watched();
        if !link.is_watched.swap(true, Relaxed) {
            watched.links.push(Arc::downgrade(link));
        }
        if !watched.is_running {
            watched.is_running = true;
            let running = Running(Some(Arc::clone(self)));
            tokio::spawn(run(running, store.clone()));
        }
    }

    /// Returns the links that still have a handle and whose sessions have not ended. If there are none, the task that
    /// asks has to end.
    fn links(&self) -> Option<Vec<Arc<Link>>> {
        let mut watched = self.watched();
        let alive: Vec<_> = watched.links.iter().filter_map(Weak::upgrade).collect();
        let alive: Vec<_> = alive.into_iter().filter(|link| !matches!(link.place(), Place::Over(_))).collect();
        watched.links = alive.iter().map(Arc::downgrade).collect();
        watched.is_running = !alive.is_empty();
        watched.is_running.then_some(alive)
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a watcher. If it ends with its runtime, another one may start.
struct Running(Option<Arc<Watcher>>);

impl Running {
    /// Returns the links to ask about; `None` if there are none, and the task ends.
    fn links(&mut self) -> Option<Vec<Arc<Link>>> {
        let links = self.0.as_ref()?.links();
        if links.is_none() {
            // The watcher knows it already, and may have started another task.
            self.0 = None;
        }
        links
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(watcher) = &self.0 {
            watcher.watched().is_running = false;
        }
    }
}

async fn run(mut running: Running, store: StoreClient) {
    let mut ticks = interval(store.settings.watch_every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_away = false;
    loop {
        ticks.tick().await;
        let Some(links) = running.links() else { return };
        let keyed = |link: &Arc<Link>| match link.place() {
            Place::At(key) => Some((key, Arc::clone(link))),
            Place::Unsaved(_) | Place::Over(_) => None,
        };
        let keyed: Vec<_> = links.iter().filter_map(keyed).collect();
        drop(links);
        match look_at(&keyed, &store).await {
            Err(error) if !was_away => {
                tracing::warn!(
                    name: "store.watch_failed", target: "session_axum::store",
                    error = %Chain(&error),
                    "the sessions of open connections cannot be watched until the store is back"
                );
                was_away = true;
            }
            Err(_) => {}
            Ok(()) => was_away = false,
        }
    }
}

/// Asks the store about these sessions.
async fn look_at(keyed: &[(RecordKey, Arc<Link>)], store: &StoreClient) -> Result<(), Error> {
    for part in keyed.chunks(MOST_AT_ONCE) {
        let (keys, now) = (part.iter().map(|(key, _)| *key).collect::<Vec<_>>(), unix_seconds(store.clock.now()));
        for ((key, link), found) in part.iter().zip(store.look_up(&keys, now).await?) {
            link.note(*key, found, now);
        }
    }
    Ok(())
}

/// How many sessions are asked about in one question.
const MOST_AT_ONCE: usize = 2_000;

/// How often the store is asked, unless the application sets it.
pub(super) const WATCH_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { idle: 1_000, lifetime: 10_000, visits: None };
    const NOW: u64 = 1_000_000;

    fn key(of: u8) -> RecordKey {
        RecordKey::of_secret(session_core::SessionId::from_bytes([of; 16]), &[of; 32])
    }

    #[test]
    fn what_has_ended_stays_ended() {
        let link = Link::new(Place::At(key(1)), LIMITS);
        assert!(link.note(key(1), Lookup::Ended(End::Deleted), NOW).is_none());
        link.move_to(Place::At(key(2)));
        link.move_to(Place::Over(Ended::Expired));
        assert!(link.note(key(1), Lookup::Expired, NOW).is_none());
        assert_eq!(link.place(), Place::Over(Ended::Elsewhere));
    }

    #[test]
    fn an_answer_about_a_former_key_does_not_count() {
        let link = Link::new(Place::At(key(1)), LIMITS);
        link.move_to(Place::At(key(2)));
        assert!(link.note(key(1), Lookup::Unknown, NOW).is_none());
        assert_eq!(link.place(), Place::At(key(2)));
        let rotated = Lookup::Ended(End::Rotated { successor: key(3) });
        assert!(link.note(key(2), rotated, NOW).is_none());
        assert_eq!(link.place(), Place::At(key(3)));
    }

    #[test]
    fn a_session_that_its_request_never_saved_is_none() {
        let begun = Link::new(Place::Unsaved(None), LIMITS);
        begun.settle();
        assert_eq!(begun.place(), Place::Over(Ended::Elsewhere));
        let renewed = Link::new(Place::Unsaved(Some(key(1))), LIMITS);
        renewed.settle();
        assert_eq!(renewed.place(), Place::At(key(1)));
        let saved = Link::new(Place::At(key(1)), LIMITS);
        saved.settle();
        assert_eq!(saved.place(), Place::At(key(1)));
    }
}
