//! One session in a store: ours, and tower-sessions'.

use std::pin::Pin;

use guard::next_visit;
use serde_json::Value;
use session_core::{
    SessionId,
    store::{Changes, Record, RecordKey, SessionStore, Updated, Visit, Write},
};
use tower_sessions::cookie::time::{Duration, OffsetDateTime};
use tower_sessions_core::{self as tower, session::Id};

use super::{DAY, Failure, now};
use crate::peers::json;

/// One session of three keys, and a way to it.
pub trait Side: Send {
    fn load(&mut self) -> Step<'_>;

    /// Puts another number in the place of one.
    fn update(&mut self) -> Step<'_>;
}

pub type Step<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

pub struct Ours<S> {
    store: S,
    key: RecordKey,
    read: Record,
}

impl<S: SessionStore> Ours<S> {
    pub async fn new(store: S) -> Result<Self, Failure> {
        let key = key()?;
        store.create(&key, write(&values(), None, now())).await?;
        let read = store.load(&key, now()).await?.live().ok_or("no record")?;
        Ok(Self { store, key, read })
    }

    pub const fn key(&self) -> RecordKey {
        self.key
    }
}

impl<S: SessionStore> Side for Ours<S> {
    fn load(&mut self) -> Step<'_> {
        Box::pin(async move {
            let record = self.store.load(&self.key, now()).await?.live();
            record.map(drop).ok_or_else(|| "no record".into())
        })
    }

    fn update(&mut self) -> Step<'_> {
        Box::pin(async move {
            let mut changes = Changes::default();
            changes.insert("visits", next_visit().to_string());
            let updated = self.store.update(&self.key, write(&changes, Some(&self.read), now())).await?;
            let Updated::Written { version } = updated else { return Err("nothing was written".into()) };
            self.read.version = version;
            Ok(())
        })
    }
}

pub struct TowerSessions<S> {
    store: S,
    record: tower::session::Record,
}

impl<S: tower::SessionStore> TowerSessions<S> {
    pub async fn new(store: S) -> Result<Self, Failure> {
        let data = json::values(&guard::Session::small()).into_iter().collect();
        let expiry_date = OffsetDateTime::now_utc() + Duration::days(1);
        let mut record = tower::session::Record { id: Id::default(), data, expiry_date };
        store.create(&mut record).await?;
        Ok(Self { store, record })
    }
}

impl<S: tower::SessionStore> Side for TowerSessions<S> {
    fn load(&mut self) -> Step<'_> {
        Box::pin(async move {
            let record = self.store.load(&self.record.id).await?;
            record.map(drop).ok_or_else(|| "no record".into())
        })
    }

    fn update(&mut self) -> Step<'_> {
        Box::pin(async move {
            self.record.data.insert("visits".to_owned(), Value::from(next_visit()));
            Ok(self.store.save(&self.record).await?)
        })
    }
}

/// The key of a session that nobody else has.
pub fn key() -> Result<RecordKey, Failure> {
    let (id, secret) = (SessionId::random()?, SessionId::random()?);
    Ok(RecordKey::of_secret(id, &[*secret.as_bytes(); 2].concat().try_into().unwrap_or([0; 32])))
}

/// What makes a session of the scenarios' three keys.
pub fn values() -> Changes {
    let mut changes = Changes::default();
    for (key, value) in json::values(&guard::Session::small()) {
        changes.insert(&key, value.to_string());
    }
    changes
}

pub const fn write<'a>(changes: &'a Changes, read: Option<&'a Record>, now: u64) -> Write<'a> {
    let visit = Visit { now, expires_at: now + DAY };
    Write { base: read, ..Write::new(changes, visit) }
}
