//! A job that writes its progress into the session, and a stream of events that shows it.
//! `cargo run --example sse`, then open <http://127.0.0.1:3000>, or
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/start -d ''
//! curl -Nb jar http://127.0.0.1:3000/progress
//! ```

use std::time::Duration;

use axum::{
    Router,
    response::{
        Html, Redirect, Sse,
        sse::{Event, KeepAlive},
    },
    routing::{get, post},
};
use futures_util::{Stream, stream};
use session_axum::{Detached, Error, Keys, Session, SessionLayer};
use session_examples::start;
use session_stores::MemoryStore;
use tokio::time::sleep;
use tower_http::csrf::CsrfLayer;

async fn page() -> Html<&'static str> {
    Html(
        "<form method=post action=/start><button>Start</button></form> <progress id=bar max=100 value=0></progress>
        <script>
        const source = new EventSource('/progress');
        source.onmessage = ({ data }) => bar.value = data;
        source.addEventListener('end', () => source.close());
        </script>",
    )
}

/// Begins a job that goes on after the response.
async fn start(session: Session) -> Result<Redirect, Error> {
    session.insert("progress", 0)?;
    let session = session.detached();
    tokio::spawn(async move {
        if let Err(error) = work(&session).await {
            tracing::info!(%error, "a job has stopped, for example because its visitor has logged out");
        }
    });
    Ok(Redirect::to("/"))
}

async fn work(session: &Detached) -> Result<(), Error> {
    for percent in 1..=100 {
        sleep(PART).await; // a part of the work
        session.insert("progress", percent).await?;
    }
    Ok(())
}

/// The session is saved before the first event. The stream has no task of its own: it ends with the connection.
async fn progress(session: Session) -> Sse<impl Stream<Item = Result<Event, Error>>> {
    let events = stream::unfold((session.detached(), Some(u32::MAX)), |(session, shown)| async move {
        let shown = shown?; // `None` after the last event
        Some(match next(&session, shown).await {
            Ok(percent) => (Ok(Event::default().data(percent.to_string())), (session, Some(percent))),
            Err(_) => (Ok(Event::default().event("end").data("")), (session, None)),
        })
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Waits for progress. Returns an error when there is no session.
async fn next(session: &Detached, shown: u32) -> Result<u32, Error> {
    loop {
        let percent = session.get("progress").await?.unwrap_or(0);
        if percent != shown {
            return Ok(percent);
        }
        sleep(PART).await;
    }
}

const PART: Duration = Duration::from_millis(100);

pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/start", post(start))
        .route("/progress", get(progress))
        .layer(layer)
        .layer(CsrfLayer::new())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS, a store that survives a restart, and `Keys::from_env("SESSION_SECRET")?`.
    let layer = SessionLayer::stored(MemoryStore::new(), Keys::generate()).insecure_over_http();
    start::serve("The job is at", "", app(layer)).await
}
