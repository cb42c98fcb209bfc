//! The examples of applications: errors, the current user, the inspection of a cookie, and two machines.

use std::{path::Path, process::Command};

use axum::http::StatusCode;
use serde_json::{Value, json};
use session_axum::{
    Keys, SessionLayer,
    testing::{Client, ManualClock, TestSession},
};
use session_stores::MemoryStore;
use session_test_servers::free_port;

use crate::support::{
    app::{NOW, OLD_SECRET, SECRET, keys, layer},
    logs::Logs,
};

#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/current_user.rs"]
mod current_user;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/errors.rs"]
mod errors;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/inspect.rs"]
mod inspect;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/observed.rs"]
mod observed;

#[tokio::test]
async fn the_counters_are_a_page_for_prometheus() {
    let recorder = observed::recorder().unwrap().build_recorder();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let layer = SessionLayer::signed(keys()).revocations(MemoryStore::new());
    let client = Client::new(observed::app(layer, recorder.handle()));
    assert!(client.get("/").await.text().contains("Hello stranger."));
    for path in ["/log-in", "/log-in", "/log-out"] {
        assert_eq!(client.post(path).await.location(), Some("/"), "{path}");
    }
    client.set_cookie("__Host-session", "forged");
    client.get("/").await;
    let page = client.get("/metrics").await;
    assert_eq!((page.status(), &*page.set_cookies()), (StatusCode::OK, &[][..]));
    let text = page.text();
    for line in [
        "# HELP session_created_total Sessions that began.",
        "# TYPE session_created_total counter",
        "session_created_total 1",
        "session_renewed_total{kind=\"renew\"} 1",
        "session_destroyed_total{cause=\"request\"} 1",
        "session_refused_total{cookie=\"session\",reason=\"malformed\"} 1",
        "# TYPE session_cookie_bytes histogram",
        "session_cookie_bytes_bucket{cookie=\"session\",le=\"256\"} 2",
        "session_cookie_bytes_count{cookie=\"session\"} 2",
        "session_store_call_duration_seconds_count{operation=\"create\"} 2",
        "session_store_calls_total{operation=\"create\",outcome=\"ok\"} 2",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn an_error_that_the_application_answers_itself_is_in_the_log() {
    let (logs, _guard) = Logs::capture();
    let recorder = observed::recorder().unwrap().build_recorder();
    let client = Client::new(observed::app(layer(), recorder.handle()));
    let page = client.post("/mistake").await;
    assert_eq!((page.status().as_u16(), page.text().as_str()), (500, "<h1>Sorry</h1><p>The terminal says why.</p>"));
    let lines: Vec<_> = logs.take().into_iter().filter(|line| line.starts_with("ERROR")).collect();
    assert!(lines.len() == 1 && lines[0].contains("for `user`, a text, cannot be read as `u32`"), "{lines:?}");
}

#[tokio::test]
async fn errors_are_pages_for_browsers_and_json_for_programs() {
    let client = Client::new(errors::app(layer()));
    let page = client.get("/photo").header("accept", "text/html").await;
    assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(page.text(), "<h1>500</h1><p>Something went wrong, and nothing was saved.</p>");
    let answer = client.get("/photo").header("accept", "application/json").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (500, &"application/json".parse().unwrap())
    );
    assert_eq!(answer.json::<Value>(), json!({ "error": "Something went wrong, and nothing was saved." }));
    let answer = client.get("/items/8").header("accept", "application/json").await;
    assert_eq!((answer.status().as_u16(), answer.json()), (404, json!({ "error": "There is no such item." })));
    assert_eq!(client.get("/items/8").await.text(), "<h1>404</h1><p>There is no such item.</p>");
}

#[tokio::test]
async fn the_layer_logs_its_error_although_the_application_has_its_own_error_type() {
    let (logs, _guard) = Logs::capture();
    let client = Client::new(errors::app(layer()));
    client.get("/photo").header("accept", "application/json").await;
    let lines = logs.take();
    assert!(lines.iter().any(|line| line.starts_with("ERROR") && line.contains("the largest keys")), "{lines:?}");
}

#[tokio::test]
async fn the_same_handler_has_no_session_in_the_api() {
    let client = Client::new(errors::app(layer()));
    assert_eq!(client.get("/items/3").await.text(), "Item 3\n");
    assert_eq!(client.get("/hello").await.text(), "Hello. You have seen item 3.\n");
    let answer = client.get("/api/hello").await;
    assert_eq!((answer.text().as_str(), answer.set_cookies()), ("Hello.\n", vec![]));
}

#[tokio::test]
async fn the_user_is_an_extractor_and_a_guard_for_a_router() {
    let layer = layer();
    let client = Client::new(current_user::app(layer.clone()));
    assert_eq!(client.get("/").await.text(), "Hello stranger.\n");
    for page in ["/account", "/help", "/admin"] {
        assert_eq!(client.get(page).await.location(), Some("/login"), "{page}");
    }
    assert_eq!(client.get("/missing").await.status(), StatusCode::NOT_FOUND);
    assert!(client.get("/login").await.text().starts_with("Please log in first. <form"));
    assert_eq!(client.post_form("/login", &[("name", "eve")]).await.location(), Some("/login"));
    assert!(client.get("/login").await.text().starts_with("There is no such user. <form"));
    assert_eq!(client.post_form("/login", &[("name", "bob")]).await.location(), Some("/admin"), "the last page");
    assert_eq!(client.get("/").await.text(), "Hello bob.\n");
    assert_eq!(
        (client.get("/help").await.text(), client.get("/account").await.text()),
        ("Help for users.\n".to_owned(), "The account of bob.\n".to_owned())
    );
    assert_eq!(client.get("/admin").await.status(), StatusCode::FORBIDDEN);
    client.post("/logout").await;
    client.post_form("/login", &[("name", "ada")]).await;
    assert_eq!(client.get("/admin").await.text(), "ada may administer.\n");

    client.enter(&TestSession::new(&layer).insert("user", 9));
    assert_eq!(client.get("/account").await.location(), Some("/login"), "a deleted user");
    assert_eq!(client.cookie("__Host-session"), None);
}

fn cookie_of(layer: &SessionLayer, session: impl Fn(TestSession) -> TestSession) -> String {
    let layer = layer.clone().clock(ManualClock::at(NOW));
    let (name, value) = session(TestSession::new(&layer)).cookies().swap_remove(0);
    format!("{name}={value}")
}

fn inspected(cookie: &str) -> Result<String, String> {
    inspect::inspect(cookie, SECRET, "", NOW + 600)
}

#[test]
fn an_inspection_shows_the_values_the_times_and_the_sizes() {
    let session = |session: TestSession| session.insert("user", "ada").insert("cart", ["tea", "honey"]);
    for (layer, kind) in [(layer(), "signed"), (SessionLayer::encrypted(keys()), "encrypted")] {
        let cookie = cookie_of(&layer, session);
        let shown = inspected(&cookie).unwrap();
        let lines: Vec<_> = shown.lines().collect();
        // The name and the value count, and the `=` does not.
        let bytes = cookie.len() - 1;
        assert_eq!(lines[0], format!("cookie    __Host-session, {kind} with the first secret, {bytes} of 4096 bytes"));
        assert!(lines[1].starts_with("id        ") && lines[1].len() == 10 + 22, "{}", lines[1]);
        assert_eq!(lines[2], "created   1893456000 (10 min ago)");
        assert_eq!(lines[4], "ends      1893542400 (23 h from now), by the default limits: alive");
        // `cart["tea","honey"]` and `user"ada"`
        assert_eq!(lines[5..], ["   19 bytes  cart = [\"tea\",\"honey\"]", "    9 bytes  user = \"ada\""]);
        let later = inspect::inspect(&cookie, SECRET, "", NOW + 86_401).unwrap();
        assert!(later.contains("ends      1893542400 (1 s ago), by the default limits: expired"), "{later}");
        assert!(inspect::inspect(&cookie, SECRET, "", NOW - 61).unwrap().contains("its times are in the future"));
    }
}

#[test]
fn an_inspection_reads_flash_messages_and_the_id_of_a_stored_session() {
    let flash = cookie_of(&layer(), |session| session.flash("success", "Saved"));
    assert!(inspected(&flash).unwrap().ends_with("success = [\"Saved\"]\n"));
    let stored = SessionLayer::stored(MemoryStore::new(), keys());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cookie = runtime.block_on(async { cookie_of(&stored, |session| session.insert("user", "ada")) });
    let shown = inspected(&cookie).unwrap();
    assert!(shown.contains("The values are in the store."), "{shown}");
    assert!(!shown.contains("ada"));
}

#[test]
fn an_inspection_says_why_a_cookie_is_refused() {
    let cookie = cookie_of(&layer(), |session| session.insert("user", "ada"));
    let refused = |cookie: &str, secrets: &str, application: &str| inspect::inspect(cookie, secrets, application, NOW);
    let is = |refused: Result<String, String>, start: &str| {
        let error = refused.unwrap_err();
        assert!(error.starts_with(start), "{error}");
    };
    is(refused("abc", SECRET, ""), "give the cookie as NAME=VALUE");
    is(refused(&cookie, "", ""), "standard input has no secret");
    is(refused(&cookie, "short", ""), "the secret: ");
    is(refused("__Host-session=abc", SECRET, ""), "refused: this value is no session or flash cookie");
    is(refused(&cookie, OLD_SECRET, ""), "refused: it was made with another secret");
    is(refused(&cookie.replace("__Host-session", "other"), SECRET, ""), "refused: the secret is the right one");
    is(refused(&cookie, SECRET, "shop"), "refused: the secret is the right one");
    assert!(
        refused(&cookie, &format!("{OLD_SECRET}\n{SECRET}\n"), "").unwrap().contains("signed with a former secret")
    );
}

/// Returns a program of the examples. `cargo test --workspace` has built it.
fn built(name: &str) -> std::path::PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(program.exists(), "{} is missing: cargo build --workspace --all-features --examples", program.display());
    program
}

#[test]
fn an_inspection_makes_a_secret_that_is_accepted() {
    let made = |_| {
        let output = Command::new(built("inspect")).arg("secret").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let secrets = [(); 2].map(made);
    assert_ne!(secrets[0], secrets[1]);
    for secret in secrets {
        Keys::new(secret.trim_end()).unwrap();
    }
}

#[test]
fn a_session_moves_between_two_machines_and_a_log_out_holds_on_both() {
    // Four ports in a row.
    let port = std::iter::repeat_with(free_port)
        .find(|first| {
            (*first..first.saturating_add(4)).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok())
        })
        .unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/two_machines/run");
    let output =
        Command::new(script).env("PORT", port.to_string()).env("TWO_MACHINES", built("two_machines")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    for line in
        ["Machine A: hello ada", "Machine B: hello ada", "Machine A: not logged in.", "Machine B: not logged in."]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.ends_with("The session moves between the machines, and the log-out holds on both.\n"), "{said}");
}

#[tokio::test]
async fn the_error_is_an_extension_of_the_response() {
    let app = axum::Router::new()
        .route("/", axum::routing::get(async |session: session_axum::Session| session.insert("a", "x".repeat(5_000))))
        .layer(layer())
        .layer(axum::middleware::map_response(async |response: axum::response::Response| {
            let kind = response.extensions().get::<session_axum::Error>().map(|error| format!("{:?}", error.kind()));
            kind.map_or(response, axum::response::IntoResponse::into_response)
        }));
    assert!(Client::new(app).get("/").await.text().starts_with("TooLarge("));
}
