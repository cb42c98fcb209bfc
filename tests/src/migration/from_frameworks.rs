//! From Play, Revel, gorilla and Buffalo, with cookies that they made.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::{Router, routing::get};
use serde_json::Value;
use session_axum::{
    Error, Flash, FormerSessions, Session, SessionLayer,
    compat::{Buffalo, Gorilla, Play, PlayLegacy, Revel},
    testing::ManualClock,
};
use session_stores::MemoryStore;

use crate::support::{app::keys, jar::Jar};

/// The value of a cookie in the collection.
fn cookie(id: &str) -> String {
    let all: Value = serde_json::from_str(include_str!("../../data/seed-cookies.json")).unwrap();
    let found = all["vectors"].as_array().unwrap().iter().find(|vector| vector["id"] == id).unwrap();
    found["cookie"].as_str().unwrap().to_owned()
}

const TIME: u64 = 1_700_000_000;
const SECRET: &str = "abcdefghijklmnopqrstuvwxyz123456";
const REVEL_SECRET: &str = "pJLzyoiDe17L36mytqC912j81PfTiolHm1veQK6Grn1En3YFdB5lvEHVTwFEaWvj";

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// An app in a browser that has these cookies of the former application.
struct Site {
    app: Router,
    jar: Jar,
    clock: ManualClock,
}

impl Site {
    fn each(now: u64, cookies: &[(&str, &str)], former: impl Fn() -> FormerSessions) -> [Self; 4] {
        [
            SessionLayer::signed(keys()),
            SessionLayer::encrypted(keys()),
            SessionLayer::signed(keys()).revocations(MemoryStore::new()),
            SessionLayer::stored(MemoryStore::new(), keys()),
        ]
        .map(|layer| {
            let clock = ManualClock::at(now);
            let app = Router::new()
                .route("/get/{key}", get(read))
                .route("/flash", get(messages))
                .route("/form", get(form))
                .route("/logout", get(|session: Session| async move { format!("{:?}", session.destroy()) }))
                .layer(layer.clock(clock.clone()).migrating_from(former(), at(now + 100_000)));
            let mut jar = Jar::default();
            let set = cookies.iter().map(|(name, id)| format!("{name}={}; Path=/; HttpOnly", cookie(id)));
            jar.apply(&set.collect::<Vec<_>>());
            Self { app, jar, clock }
        })
    }

    async fn get(&mut self, path: &str) -> String {
        self.jar.get(&self.app, path).await
    }
}

async fn read(session: Session, axum::extract::Path(key): axum::extract::Path<String>) -> Result<String, Error> {
    Ok(session.get::<Value>(&key)?.unwrap_or_default().to_string())
}

async fn messages(flash: Flash) -> String {
    flash.iter().map(|(key, text)| format!("{key}: {text}")).collect::<Vec<_>>().join(", ")
}

async fn form(flash: Flash) -> String {
    format!("{:?} {:?}", flash.input().get("k"), flash.errors().get("username"))
}

const OURS: [&str; 1] = ["__Host-session"];

#[tokio::test]
async fn a_visitor_of_play_stays_logged_in() {
    let cookies = [("PLAY_SESSION", "play-jwt-3"), ("PLAY_FLASH", "play-flash-jwt-1")];
    for mut site in Site::each(TIME + 60, &cookies, || Play::with_weak_secret(SECRET).unwrap().into()) {
        let copy = site.jar.clone();
        assert_eq!(site.get("/get/connected").await, "\"user@gmail.com\"");
        assert_eq!(site.jar.names(), ["PLAY_FLASH", OURS[0]]);
        assert_eq!(site.get("/flash").await, "success: The item has been created");
        assert_eq!(site.get("/flash").await, "");
        assert_eq!(site.get("/get/saidHello").await, "\"yes\"");
        assert_eq!(site.jar.names(), OURS);
        site.get("/logout").await;
        assert_eq!(site.jar.names(), [""; 0]);
        assert_eq!(copy.clone().get(&site.app, "/get/connected").await, "null");
    }
}

#[tokio::test]
async fn a_copy_of_a_play_cookie_is_useless_where_the_new_layer_has_a_store() {
    let cookies = [("PLAY_SESSION", "play-jwt-3")];
    for mut site in Site::each(TIME + 60, &cookies, || Play::with_weak_secret(SECRET).unwrap().into()) {
        let mut copy = site.jar.clone();
        site.get("/get/connected").await;
        let is_stored = format!("{:?}", site.get("/logout").await).contains("Everywhere");
        site.clock.advance(Duration::from_secs(600));
        let expected = if is_stored { "null" } else { "\"user@gmail.com\"" };
        assert_eq!(copy.get(&site.app, "/get/connected").await, expected);
    }
}

#[tokio::test]
async fn after_the_last_second_a_cookie_of_play_is_none() {
    let cookies = [("PLAY_SESSION", "play-jwt-3"), ("PLAY_FLASH", "play-flash-jwt-1")];
    for mut site in Site::each(TIME - 100_000, &cookies, || Play::with_weak_secret(SECRET).unwrap().into()) {
        site.clock.set(TIME + 1);
        assert_eq!(site.get("/get/connected").await, "null");
        assert_eq!(site.get("/flash").await, "");
    }
}

#[tokio::test]
async fn a_visitor_from_before_play_2_6_stays_logged_in() {
    let cookies = [("PLAY_SESSION", "play-legacy-5"), ("PLAY_FLASH", "play-flash-legacy-1")];
    let legacy = || PlayLegacy::with_weak_secret(SECRET).unwrap().unsigned_flash().into();
    for mut site in Site::each(TIME, &cookies, legacy) {
        assert_eq!(site.get("/flash").await, "success: The item has been created");
        assert_eq!(site.get("/get/csrfToken").await, "\"x-1-y\"");
        assert_eq!(site.jar.names(), OURS);
    }
}

#[tokio::test]
async fn a_visitor_of_revel_keeps_values_messages_and_a_form() {
    let cookies = [("REVEL_SESSION", "revel-3"), ("REVEL_FLASH", "revel-flash-5"), ("REVEL_ERRORS", "revel-errors-1")];
    for unsigned in [true, false] {
        let revel = || {
            let revel = Revel::with_weak_secret(REVEL_SECRET).unwrap();
            if unsigned { revel.unsigned_flash().into() } else { revel.into() }
        };
        for mut site in Site::each(1_795_290_247, &cookies, revel) {
            assert_eq!(site.get("/get/n").await, "1");
            assert_eq!(site.get("/get/foo").await, "\"bar\"");
            let expected =
                if unsigned { "Some(\"Zoë ☃ a&b=c;d \\\"q\\\" x:y\") Some(\"Required!\")" } else { "None None" };
            assert_eq!(site.get("/form").await, expected);
            assert_eq!(site.get("/form").await, "None None");
            assert_eq!(site.jar.names(), OURS);
        }
    }
}

#[tokio::test]
async fn a_visitor_of_gorilla_keeps_a_number() {
    let key = "0123456789abcdef0123456789abcdef";
    for mut site in
        Site::each(TIME, &[("session", "gorilla-gob-3-int")], || Gorilla::with_weak_secret(key).unwrap().into())
    {
        assert_eq!(site.get("/get/uid").await, "42");
        assert_eq!(site.jar.names(), OURS);
    }
    for mut site in Site::each(TIME, &[("session", "gorilla-json-5-aes")], || {
        Gorilla::with_weak_secret(key).unwrap().json().block_key("fedcba9876543210").unwrap().into()
    }) {
        assert_eq!(site.get("/get/user").await, "\"alice\"");
        assert_eq!(site.jar.names(), OURS);
    }
}

#[tokio::test]
async fn a_visitor_of_buffalo_keeps_the_message_in_the_session() {
    for first in ["/get/user_id", "/flash"] {
        for mut site in Site::each(TIME, &[("_buffalo_session", "buffalo-1")], || {
            Buffalo::with_weak_secret("buffalo-secret").unwrap().into()
        }) {
            let text = site.get(first).await;
            assert_eq!(text, if first == "/flash" { "success: Saved" } else { "null" });
            let later = site.get("/flash").await;
            assert_eq!(later, if first == "/flash" { "" } else { "success: Saved" });
            assert_eq!(site.get("/flash").await, "");
            assert!(!site.jar.names().contains(&"_buffalo_session"), "{:?}", site.jar.names());
        }
    }
}

#[tokio::test]
async fn an_empty_session_of_a_former_system_begins_none_here() {
    for mut site in Site::each(TIME, &[("_buffalo_session", "buffalo-3")], || {
        Buffalo::with_weak_secret("buffalo-secret").unwrap().into()
    }) {
        assert_eq!(site.get("/get/user_id").await, "null");
        assert!(!site.jar.names().contains(&OURS[0]), "{:?}", site.jar.names());
    }
}

/// Both decoders of Play read the flash cookie, whichever of them has read the session.
#[tokio::test]
async fn a_message_of_play_waits_and_is_shown_once_with_two_decoders() {
    let until = at(TIME + 100_000);
    for flash in ["play-flash-jwt-1", "play-flash-legacy-1"] {
        let clock = ManualClock::at(TIME);
        let layer = SessionLayer::signed(keys())
            .clock(clock)
            .migrating_from(Play::with_weak_secret(SECRET).unwrap().unsigned_flash(), until)
            .migrating_from(PlayLegacy::with_weak_secret(SECRET).unwrap().unsigned_flash(), until);
        let app = Router::new().route("/get/{key}", get(read)).route("/flash", get(messages)).layer(layer);
        let mut jar = Jar::default();
        jar.apply(&[
            format!("PLAY_SESSION={}; Path=/; HttpOnly", cookie("play-legacy-5")),
            format!("PLAY_FLASH={}; Path=/; HttpOnly", cookie(flash)),
        ]);
        assert_eq!(jar.get(&app, "/get/csrfToken").await, "\"x-1-y\"");
        assert_eq!(jar.names(), ["PLAY_FLASH", OURS[0]]);
        assert_eq!(jar.get(&app, "/flash").await, "success: The item has been created");
        assert_eq!(jar.get(&app, "/flash").await, "");
        assert_eq!(jar.names(), OURS);
    }
}
