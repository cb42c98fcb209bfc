//! Every span and event of this thread as text, at every level. Each event of ours is on the page of the events.

use std::{
    fmt::{self, Write as _},
    mem,
    sync::{Arc, Mutex, OnceLock},
};

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

use super::events;

/// The lines so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<String>>>);

impl Logs {
    /// Collects what this thread logs until the guard is dropped.
    pub(crate) fn capture() -> (Self, DefaultGuard) {
        // With a single subscriber, tracing caches for the whole process whether the thread that reaches a log line
        // first listens to it. Two subscribers that stay make it ask all.
        static LISTENERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
        LISTENERS.get_or_init(|| [(); 2].map(|()| Dispatch::new(Self::default())));
        let logs = Self::default();
        let guard = tracing::subscriber::set_default(logs.clone());
        (logs, guard)
    }

    /// The lines since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        mem::take(&mut self.0.lock().unwrap())
    }

    fn push(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line)) {
        let mut line = Line(format!("{} {} {}:", metadata.level(), metadata.target(), metadata.name()));
        record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
}

impl Subscriber for Logs {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        self.push(attributes.metadata(), |line| attributes.record(line));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut line = Line::default();
        values.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        events::check(event.metadata());
        self.push(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Not as `Debug`, which would escape what a test looks for.
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}
