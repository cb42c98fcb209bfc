//! No key, token, id or value in any `{:?}` or log line: canaries that must not sing.

use axum::{Router, body::Body, extract::Request, http::header, response::IntoResponse, routing::get};
use session_axum::{
    Error, Flash, Keys, Session, SessionLayer, SessionResponseExt,
    store::{StoreError, StoreErrorKind},
    testing::{Client, ManualClock, TestSession},
};
use session_core::{
    SessionId, cookie,
    flash::{Batch, Lists, Message},
    store::{Changes, Entries},
    token::{Frame, Protection, Purpose, Token},
};

use crate::support::{app::NOW, logs::Logs};

const SECRET: &str = "CANARY-o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E";
const VALUE: &str = "CANARY-value";

fn assert_silent(texts: impl IntoIterator<Item = String>, canaries: &[&str]) {
    for text in texts {
        for canary in canaries {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}

#[test]
fn debug_of_every_public_type_of_the_core_shows_no_secret() {
    let keys = Keys::new(SECRET).unwrap().with_fallback(SECRET.replace("o6", "6o")).unwrap();
    let frame = Frame { id: SessionId::from_bytes([0xCA; 16]), created_at: NOW, issued_at: NOW };
    let mut lists = Lists::default();
    lists.add("success", VALUE);
    let mut message = Message::from(VALUE);
    message.insert("key", format!("{VALUE:?}"));
    let mut batch =
        Batch { input: lists.clone(), errors: lists.clone(), dropped: vec![VALUE.into()], ..Batch::default() };
    batch.messages.add("success", message.clone());
    let mut changes = Changes::default();
    changes.insert("key", format!("{VALUE:?}"));
    let entries = Entries::parse(format!(r#"{{"key":{VALUE:?}}}"#).into()).unwrap();
    let reader = session_core::data::Reader::new(&entries, &changes);
    let mut writer = session_core::data::Writer::new();
    writer.field("key", &[], VALUE);

    let mut texts = vec![
        format!("{:?} {message:?}", batch.messages.texts().collect::<Vec<_>>()),
        format!("{keys:?} {:?} {frame:?} {lists:?} {batch:?} {changes:?} {entries:?} {reader:?} {writer:?}", frame.id),
        format!("{:?}", writer.finish().unwrap()),
        format!("{:?}", Keys::new("CANARY").unwrap_err()),
        format!("{:?}", session_core::decode::<u8>("\"CANARY\"").unwrap_err()),
    ];
    for form in [Protection::Signed, Protection::Encrypted] {
        let ring = keys.ring(form, Purpose::Session, "__Host-session", "");
        let mut body = frame.begin_body(0);
        body.extend_from_slice(format!(r#"{{"key":{VALUE:?}}}"#).as_bytes());
        let text = ring.seal(&body).unwrap();
        let token = Token::parse(text.as_bytes(), form).unwrap();
        texts.push(format!("{ring:?} {token:?} {:?}", ring.open(&token).unwrap()));
        assert_silent(texts.clone(), &[&text, &text[7..40]]);
    }
    let entries = Entries::parse(format!(r#"{{"$":{{"later":{VALUE:?}}}}}"#).into()).unwrap();
    texts.push(format!("{:?} {:?}", cookie::Settings::new("session").build(), entries.metadata()));
    let id = frame.id.to_string();
    assert_silent(texts, &["CANARY", SECRET, VALUE, &id, "202, 202", "[67, 65, 78"]);
}

/// A `main` that returns an error prints it like this.
#[test]
fn an_error_that_ends_a_program_prints_a_sentence() {
    let keys = Keys::from_env("SESSION_SECRET_THAT_NO_TEST_SETS").unwrap_err();
    assert_eq!(
        format!("{keys:?}"),
        "SESSION_SECRET_THAT_NO_TEST_SETS is not set or empty; make a good one with `openssl rand -base64 48`"
    );
    let name = SessionLayer::null().name("two words").unwrap_err();
    assert!(format!("{name:?}").starts_with("\"two words\" cannot be a cookie's name: use 1 to "), "{name:?}");
    let refused = StoreError::new(StoreErrorKind::Refused, keys.clone());
    let store = StoreError::new(StoreErrorKind::Unavailable, refused);
    assert_eq!(
        format!("{store:?} / {store:#?}"),
        format!("{store}: the session store refused the operation: {keys} / {store:?}")
    );
}

#[tokio::test]
async fn neither_debug_nor_any_log_line_shows_what_a_session_holds() {
    async fn everything(session: Session, mut flash: Flash) -> Result<impl IntoResponse, Error> {
        flash.now("info", VALUE);
        let errors = [session.get::<u8>("key").unwrap_err(), session.insert("$", VALUE).unwrap_err()];
        session.insert("other", VALUE)?;
        let shown = format!(
            "{session:?} {flash:?} {errors:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            session.id(),
            flash.messages(),
            flash.by_key(),
            flash.messages().iter().collect::<Vec<_>>(),
            session_axum::Message::new(VALUE).with("key", VALUE),
            flash.input(),
            flash.errors(),
            session.destroy()
        );
        session.insert("other", VALUE)?;
        tracing::trace!(shown, "what Debug says");
        Ok("ok".flashing(("success", VALUE)).adding_to_session([("more", VALUE)]).with_errors([("name", VALUE)]))
    }
    let clock = ManualClock::at(NOW);
    for layer in [SessionLayer::signed as fn(Keys) -> SessionLayer, SessionLayer::encrypted] {
        let (logs, _guard) = Logs::capture();
        let layer = layer(Keys::new(SECRET).unwrap()).clock(clock.clone()).insecure_over_http();
        let big = |session: Session| async move { session.insert("big", VALUE.repeat(1_000)) };
        let wrong = |session: Session| async move { session.get::<u8>("key").map(drop) };
        let app = Router::new().route("/", get(everything)).route("/big", get(big)).route("/wrong", get(wrong));
        let app = app.layer(layer.clone());
        let client = Client::new(app.clone());
        let forge = || TestSession::new(&layer).insert("key", VALUE).flash("success", VALUE).input(&[("name", VALUE)]);
        let (forged, other, third) = (forge(), forge(), forge());
        let cookies: Vec<_> = [third.cookies(), forged.cookies(), other.cookies()].concat();
        let mut debug = Vec::new();
        for (path, forged) in [("/wrong", &forged), ("/big", &forged), ("/", &forged), ("/", &other)] {
            client.enter(forged);
            debug.push(format!("{client:?}"));
            debug.push(format!("{:?}", client.get(path).await));
        }
        let hostile = format!("session={VALUE}; session={}; session={}x", cookies[0].1, cookies[0].1);
        let hostile = Request::get("/").header(header::COOKIE, hostile).body(Body::empty()).unwrap();
        Client::new(app).send(hostile).await;

        let ids = [&forged, &other, &third].map(|session| session.id().to_string());
        let texts = logs.take();
        assert!(texts.len() >= 6, "the handlers logged what they saw: {texts:?}");
        debug.push(format!("{layer:?} {forged:?} {client:?}"));
        let tokens: Vec<&str> = cookies.iter().map(|(_, token)| &token[7..47]).collect();
        assert_silent(texts.into_iter().chain(debug), &[&["CANARY", &ids[0], &ids[1], &ids[2]][..], &tokens].concat());
    }
}
