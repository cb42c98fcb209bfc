//! An application to attack: its handler reads the session and the flash, writes nothing, and says what it saw.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::get};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_axum::{Error, Flash, Keys, Session, SessionLayer, testing::ManualClock};
use session_core::token::Protection;

use super::{
    corpus::{CORPUS, Carrier, ExpectSession},
    exchange::{Answer, Transport},
    watched::Watched,
};

/// The way to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    InProcess,
    Tcp,
}

/// The application, with the corpus's keys, limits and clock.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) carrier: Carrier,
    pub(crate) way: Way,
    pub(crate) transport: Transport,
    runs: Arc<AtomicUsize>,
}

impl Target {
    pub(crate) async fn new(form: Protection, way: Way) -> Self {
        let keys = keys();
        let layer = match form {
            Protection::Signed => SessionLayer::signed(keys),
            Protection::Encrypted => SessionLayer::encrypted(keys),
        };
        Self::behind(configured(layer), form.into(), way).await
    }

    /// The same application with its sessions in a store.
    pub(crate) async fn on(store: Watched, way: Way) -> Self {
        Self::behind(configured(SessionLayer::stored(store, keys())), Carrier::Id, way).await
    }

    /// The same application behind another layer.
    pub(crate) async fn behind(layer: SessionLayer, carrier: Carrier, way: Way) -> Self {
        let runs = Arc::default();
        let app = Router::new().route("/", get(show)).with_state(Arc::clone(&runs)).layer(layer);
        let transport = match way {
            Way::InProcess => Transport::InProcess(app),
            Way::Tcp => Transport::tcp(app).await,
        };
        Self { carrier, way, transport, runs }
    }

    /// How often the handler ran.
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

/// What the handler saw.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) session: BTreeMap<String, Value>,
    pub(crate) notice: Vec<String>,
    pub(crate) flash_is_empty: bool,
}

impl Seen {
    pub(crate) fn of(answer: &Answer) -> Self {
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(crate) fn is_session(&self, expected: ExpectSession) -> bool {
        let is_alice = || CORPUS.fixtures.session_data.iter().all(|(key, value)| self.session.get(key) == Some(value));
        match expected {
            ExpectSession::None => self.session.is_empty(),
            ExpectSession::A => is_alice(),
            ExpectSession::NoneOrA => self.session.is_empty() || is_alice(),
        }
    }
}

async fn show(State(runs): State<Arc<AtomicUsize>>, session: Session, flash: Flash) -> Result<String, Error> {
    runs.fetch_add(1, Ordering::SeqCst);
    let mut entries = BTreeMap::new();
    for key in session.keys() {
        entries.extend(session.get::<Value>(&key)?.map(|value| (key, value)));
    }
    let notice = flash.peek_all("notice").iter().map(ToString::to_string).collect();
    let seen = Seen { session: entries, notice, flash_is_empty: flash.is_empty() };
    Ok(serde_json::to_string(&seen).unwrap())
}

fn keys() -> Keys {
    let fixtures = &CORPUS.fixtures;
    Keys::new(fixtures.key("k_current")).unwrap().with_fallback(fixtures.key("k_previous")).unwrap()
}

fn configured(layer: SessionLayer) -> SessionLayer {
    let fixtures = &CORPUS.fixtures;
    layer
        .application(&fixtures.app_id)
        .idle_timeout(Duration::from_secs(fixtures.idle_ttl_s))
        .lifetime(Duration::from_secs(fixtures.absolute_ttl_s))
        .flash_lifetime(Duration::from_secs(fixtures.flash_ttl_s))
        .clock(ManualClock::at(fixtures.now_unix))
}
