//! The log lines of the request that runs in this task.

use std::{
    cell::RefCell,
    fmt::{self, Write as _},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

tokio::task_local! {
    static LINES: RefCell<Vec<String>>;
}

/// Makes [`with_lines`] work, for the whole process.
pub(crate) fn install() {
    tracing::subscriber::set_global_default(Lines).expect("it is installed once");
}

/// Runs a request, and returns the warnings and errors that it logged.
pub(crate) async fn with_lines<T>(request: impl Future<Output = T>) -> (T, Vec<String>) {
    LINES
        .scope(RefCell::default(), async {
            let answer = request.await;
            (answer, LINES.with(RefCell::take))
        })
        .await
}

struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("session_")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        // Background tasks log outside of requests.
        let _ = LINES.try_with(|lines| lines.borrow_mut().push(line.0));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}
