//! Counters and the log of an application with sessions: log in, make mistakes, and look at what is counted.
//! `cargo run --features metrics --example observed`, then open <http://127.0.0.1:3000>, or
//!
//! ```text
//! curl -b jar -c jar http://127.0.0.1:3000/log-in -d ''
//! curl -b '__Host-session=forged; session=forged' http://127.0.0.1:3000
//! curl http://127.0.0.1:3000/metrics
//! ```
//!
//! `RUST_LOG=warn,session_axum::session=debug` before the command also logs each log-in and each refused cookie.

use axum::{
    Router,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use session_axum::{Error, Keys, Session, SessionLayer, SessionResponseExt};
use session_examples::start;
use session_stores::MemoryStore;

async fn home(session: Session) -> Result<Html<String>, Error> {
    let user = session.get::<String>("user")?.unwrap_or_else(|| "stranger".to_owned());
    Ok(Html(format!(
        "<h1>What is counted and logged</h1>
        <p>Hello {user}. Press the buttons, then look at <a href=\"/metrics\">the counters</a> and at the terminal.</p>
        <form method=\"post\">
            <button formaction=\"/log-in\">Log in: a new session, or a new id</button>
            <button formaction=\"/log-out\">Log out: its end</button>
            <button formaction=\"/mistake\">An error that the application answers itself</button>
        </form>"
    )))
}

async fn log_in(session: Session) -> Result<Redirect, Error> {
    session.renew();
    session.insert("user", "Ada")?;
    Ok(Redirect::to("/"))
}

async fn log_out() -> impl IntoResponse {
    Redirect::to("/").with_new_session()
}

/// The type is wrong, and the answer is not the layer's. The log has the error nevertheless.
async fn mistake(session: Session) -> Response {
    if session.insert("user", "Ada").is_ok() && session.get::<u32>("user").is_ok() {
        return "no mistake".into_response();
    }
    (StatusCode::INTERNAL_SERVER_ERROR, Html("<h1>Sorry</h1><p>The terminal says why.</p>")).into_response()
}

/// Histograms with buckets, which Prometheus can add up over several instances.
pub(crate) fn recorder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &[0.001, 0.005, 0.025, 0.1, 0.5, 2.0])?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &[128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0])
}

/// The page for Prometheus is outside of the session layer: it reads no session. In production let no visitor see it.
pub(crate) fn app(layer: SessionLayer, counters: PrometheusHandle) -> Router {
    let metrics = async move || ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], counters.render());
    Router::new()
        .route("/", get(home))
        .route("/log-in", post(log_in))
        .route("/log-out", post(log_out))
        .route("/mistake", post(mistake))
        .layer(layer)
        .route("/metrics", get(metrics))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Before the layer, which describes its counters to the recorder.
    let counters = recorder()?.install_recorder()?;
    // For a laptop. In production use HTTPS and `SessionLayer::signed(Keys::from_env("SESSION_SECRET")?)`.
    let layer = SessionLayer::signed(Keys::generate()).revocations(MemoryStore::new()).insecure_over_http();
    start::serve("What is counted is at", "", app(layer, counters)).await?;
    Ok(())
}
