//! The calls in the tables of the guides compile: each stands in a function here, letter by letter.

use std::time::{Duration, SystemTime};

use axum::response::Html;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_axum::{
    Flash, Keys, Message, SameSite, Session, SessionData, SessionLayer, SessionResponseExt as _, Sessions,
    compat::{Buffalo, Play, PlayAlgorithm, PlayLegacy, Revel},
    testing::TestSession,
};
use session_stores::{
    MemoryStore, MySqlStore, PostgresStore, RedisStore, SqliteStore,
    compat::{Key, TowerSessions},
};
use sqlx::{MySqlPool, PgPool, SqlitePool};

/// What is compiled here, with the calls in it.
const SOURCE: &str = include_str!("guides.rs");

#[derive(Deserialize, Serialize)]
struct User {
    name: String,
}

#[derive(SessionData)]
#[session(redirect = "/login")]
struct Visitor {
    connected: String,
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

async fn of_play(session: Session, flash: Flash) -> Outcome {
    let _: Option<String> = session.get::<String>("connected")?;
    let _: String = session.get::<String>("connected")?.unwrap_or_default();
    drop(session.keys());
    session.insert("a", "1")?;
    session.remove("theme");
    session.destroy();
    let _ = flash.get("success");
    flash.iter().count();
    Ok(())
}

fn responses_of_play(user: &str, visitor: &Session<Visitor>) {
    let (response, layer) = (Html(""), SessionLayer::null());
    drop(response.with_session(("connected", user)));
    drop(response.adding_to_session(("a", "1")));
    drop(response.removing_from_session("theme"));
    drop(response.with_new_session());
    drop(response.flashing(("success", "Saved")));
    drop(TestSession::new(&layer).insert("a", 1).flash("success", "Saved"));
    drop(visitor.connected.clone());
}

fn decoders_of_play(secret: &str, name: &str, duration: Duration) -> Outcome {
    drop(Play::new(secret)?.cookie(name).flash_cookie(name));
    let play = Play::with_weak_secret(secret)?.algorithm(PlayAlgorithm::Hs512).data_claim(name);
    drop(play.clock_skew(duration).domain(name).path(name).unsigned_flash());
    drop(PlayLegacy::new(secret)?.cookie(name).flash_cookie(name).domain(name).path(name).unsigned_flash());
    Ok(())
}

async fn of_revel(session: Session, mut flash: Flash, form: User, errors: Vec<(String, String)>) -> Outcome {
    let (value, key, text) = (1, "key", "text");
    session.insert("foo", "bar")?;
    session.insert("bar", 1)?;
    drop(session.get::<String>("foo")?);
    drop(session.get::<User>("user")?);
    let _: i64 = session.get("n")?.unwrap_or(0);
    drop(session.get::<User>("user")?.map(|user| user.name));
    session.insert("foo", value)?;
    session.remove("foo");
    let _ = session.is_empty();
    let _ = session.id();
    session.clear();
    session.destroy();
    session.set_lifetime(Duration::ZERO);
    session.expire_on_browser_close();
    let response = Html("");
    drop(response.flashing(("success", "Saved")));
    drop(response.flashing(("error", "No")));
    drop(response.flashing((key, text)));
    drop(response.flashing(("key", text)));
    let _ = flash.get("success");
    let _ = flash.errors().get("name");
    flash.show(&form, errors.clone());
    drop(response.with_input(&form));
    drop(response.with_errors(errors));
    Ok(())
}

fn decoders_of_revel(secret: &str) -> Outcome {
    drop(Revel::new(secret)?.cookie_prefix("REVEL"));
    drop(Revel::with_weak_secret(secret)?.domain("example.com").unsigned_flash());
    Ok(())
}

async fn of_buffalo(session: Session, flash: Flash, id: u64) -> Outcome {
    session.get::<u64>("user_id")?;
    drop(session.take::<String>("notice")?);
    session.insert("user_id", id)?;
    session.remove("user_id");
    session.clear();
    session.destroy();
    session.save().await?;
    drop(Html("").flashing(("success", "Saved")));
    let response = Html("");
    drop(response.flashing(("success", "Saved")));
    flash.add("success", "Saved");
    flash.set("success", "Saved");
    flash.remove("success");
    flash.discard();
    flash.iter().count();
    Ok(())
}

fn signed(keys: Keys) -> SessionLayer {
    SessionLayer::signed(keys)
}

fn encrypted(keys: Keys) -> SessionLayer {
    SessionLayer::encrypted(keys)
}

fn stored(store: MemoryStore, keys: Keys) -> SessionLayer {
    SessionLayer::stored(store, keys)
}

fn options_of_buffalo(secret: &str) -> Outcome {
    let keys = Keys::from_env("SESSION_SECRET")?;
    let layer = signed(keys);
    drop(layer.name("__Host-coke_session")?);
    drop(SessionLayer::null());
    drop(Buffalo::new(secret)?.cookie("_buffalo_session").domain("example.com").path("/"));
    drop(Buffalo::with_weak_secret(secret)?);
    Ok(())
}

async fn of_tower_sessions<T: serde::de::DeserializeOwned>(session: Session, value: Value, now: SystemTime) -> Outcome {
    let (key, duration) = ("key", Duration::ZERO);
    session.insert(key, value)?;
    drop(session.get::<T>(key)?);
    drop(session.get::<Value>(key)?);
    drop(session.take::<T>(key)?);
    drop(session.take::<Value>(key)?);
    session.remove(key);
    session.clear();
    let _ = session.is_empty();
    let _ = session.id();
    session.renew();
    session.rotate();
    session.destroy();
    session.save().await?;
    session.set_lifetime(duration);
    session.set_idle_timeout(duration);
    session.reset_lifetime();
    session.expire_on_browser_close();
    let _ = session.expires_at();
    let _ = session.expires_at().duration_since(now)?;
    Ok(())
}

fn layer_of_tower_sessions(layer: SessionLayer, duration: Duration) -> Outcome {
    drop(TestSession::new(&layer));
    let layer = layer.persistent(false);
    let layer = layer.idle_timeout(duration).persistent(true);
    let layer = layer.lifetime(duration).persistent(true);
    let layer = layer.name("__Host-shop")?;
    let layer = layer.same_site(SameSite::Strict)?;
    let layer = layer.insecure_over_http();
    let layer = layer.path("/shop")?;
    let layer = layer.domain("example.com")?;
    let layer = layer.note_visits_every(duration);
    let layer = layer.sweep_every(duration);
    drop(layer.persistent(true));
    Ok(())
}

async fn stores_of_tower_sessions(url: &str) -> Outcome {
    drop(MemoryStore::new());
    let sqlite = |pool: SqlitePool| SqliteStore::from_pool(pool);
    let postgres = |pool: PgPool| PostgresStore::from_pool(pool);
    let mysql = |pool: MySqlPool| MySqlStore::from_pool(pool);
    let _ = (sqlite, postgres, mysql);
    let store = RedisStore::connect(url).await?;
    store.migrate().await?;
    Ok(())
}

fn messages_of_axum_messages(flash: &Flash, kind: &str, text: &str) {
    drop(Html("").flashing(("success", "Saved.")));
    let response = Html("");
    drop(response.flashing(("success", "Saved.")));
    flash.success(text);
    flash.info(text);
    flash.warning(text);
    flash.error(text);
    flash.add("debug", text);
    flash.add(kind, text);
    flash.success(Message::new(text).with("id", 7));
    flash.info(Message::new(text).with("id", 7));
    flash.warning(Message::new(text).with("id", 7));
    flash.error(Message::new(text).with("id", 7));
    flash.add("debug", Message::new(text).with("id", 7));
    flash.messages().iter().count();
    let _ = flash.is_empty();
    flash.iter().count();
}

fn data_of_axum_messages<T: serde::de::DeserializeOwned>(flash: &Flash, key: &str) {
    for message in flash.messages() {
        let _ = (message.key, message.text, message.data.get::<T>(key));
    }
}

#[derive(SessionData)]
#[session(redirect = "/login", return_to)]
struct Member {
    login: String,
}

async fn of_axum_login(
    session: Session,
    sessions: Sessions,
    login: &str,
    id: &str,
    member: Session<Member>,
) -> Outcome {
    session.renew();
    session.insert("login", login)?;
    session.set_owner(id)?;
    session.destroy();
    drop(session.return_to("/account"));
    sessions.destroy_others(&session).await?;
    drop(member.login.clone());
    Ok(())
}

fn decoders_of_tower_sessions(secret: &[u8], connection: redis::aio::ConnectionManager) {
    let sqlite = |pool: SqlitePool| TowerSessions::sqlite(pool);
    let postgres = |pool: PgPool| TowerSessions::postgres(pool);
    let mysql = |pool: MySqlPool| TowerSessions::mysql(pool);
    let _ = (sqlite, postgres, mysql);
    let former = TowerSessions::redis(connection);
    let former = former.cookie("shop");
    let former = former.signed(Key::from(secret));
    let former = former.private(Key::from(secret));
    let former = former.domain("example.com");
    let former = former.path("/shop");
    drop(former.schema("shop").table("sessions"));
}

/// Returns the code in the second column of the tables.
fn calls(page: &str) -> impl Iterator<Item = &str> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.contains("---"));
    let cells = rows.filter_map(|row| {
        let bars: Vec<_> = row.match_indices('|').filter(|(at, _)| *at == 0 || &row[at - 1..*at] != "\\").collect();
        Some(&row[bars.get(1)?.0..bars.get(2)?.0])
    });
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).filter(|code| code.contains('('))
}

#[test]
fn every_call_of_the_guides_is_compiled() {
    let plain = |text: &str| text.replace(char::is_whitespace, "").replace('\\', "");
    let source = plain(SOURCE);
    for (page, least) in [
        (include_str!("../../../docs/from-play.md"), 20),
        (include_str!("../../../docs/from-revel.md"), 25),
        (include_str!("../../../docs/from-buffalo.md"), 20),
        (TOWER_SESSIONS, 70),
    ] {
        let mut count = 0;
        for call in calls(page) {
            count += 1;
            // `..` stands for an argument.
            let wanted = plain(call);
            let found = match wanted.split_once("..") {
                Some((before, _)) => source.contains(before),
                None => source.contains(&wanted),
            };
            assert!(found, "{call}");
        }
        assert!(count >= least, "{count}");
    }
    // The functions above are only compiled.
    let _ = (of_play, responses_of_play, decoders_of_play, of_revel, decoders_of_revel, of_buffalo);
    let _ = (options_of_buffalo, signed, encrypted, stored);
    let _ = (of_tower_sessions::<Value>, layer_of_tower_sessions, stores_of_tower_sessions, of_axum_login);
    let _ = (messages_of_axum_messages, data_of_axum_messages::<Value>, decoders_of_tower_sessions);
}

const TOWER_SESSIONS: &str = include_str!("../../../docs/from-tower-sessions.md");

/// The public items of the crates that tests/tower-sessions-app uses, with the heading of their table.
const FORMER_ITEMS: [(&str, &str, &str); 7] = [
    (
        "tower-sessions 0.14",
        "| `Session` |",
        "new insert insert_value get get_value remove remove_value clear is_empty id expiry set_expiry expiry_date \
         expiry_age is_modified save load delete flush cycle_id",
    ),
    ("tower-sessions 0.14", "| `Expiry` |", "OnSessionEnd OnInactivity AtDateTime"),
    (
        "tower-sessions 0.14",
        "| `SessionManagerLayer` |",
        "new with_name with_http_only with_same_site with_expiry with_secure with_path with_domain with_always_save \
         with_signed with_private",
    ),
    (
        "tower-sessions-sqlx-store 0.15",
        "| store |",
        "MemoryStore SqliteStore PostgresStore MySqlStore RedisStore migrate with_table_name with_schema_name \
         ExpiredDeletion continuously_delete_expired CachingSessionStore SessionStore Id Record",
    ),
    (
        "tower-sessions-redis-store 0.16",
        "| the former application |",
        "tower-sessions-sqlx-store tower-sessions-redis-store with_name with_signed with_private with_domain with_path \
         with_schema_name with_table_name",
    ),
    (
        "axum-messages 0.8",
        "| axum-messages |",
        "MessagesManagerLayer MessagesManager Messages success info warning error debug push success_with_metadata \
         info_with_metadata warning_with_metadata error_with_metadata debug_with_metadata len is_empty Message level \
         message metadata Metadata Level Debug Info Success Warning Error",
    ),
    (
        "axum-login 0.18",
        "| axum-login |",
        "AuthUser Id id session_auth_hash UserId AuthnBackend User Credentials Error authenticate get_user AuthzBackend \
         Permission get_user_permissions get_group_permissions get_all_permissions has_perm AuthSession user backend \
         session login logout Session Backend AuthManagerLayerBuilder build AuthManagerLayer AuthManager with_data_key \
         login_required permission_required predicate_required url_with_redirect_query axum tower_sessions tracing",
    ),
];

#[test]
fn every_public_item_of_tower_sessions_and_its_friends_has_a_row() {
    let lock = include_str!("../../tower-sessions-app/Cargo.lock");
    for (crate_and_version, heading, items) in FORMER_ITEMS {
        let (name, version) = crate_and_version.split_once(' ').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}.")), "{crate_and_version}");
        let table = TOWER_SESSIONS.split_once(&format!("\n{heading}")).expect(heading).1;
        let rows = table.split_once("\n\n").unwrap().0.lines().skip(2);
        let cells: Vec<_> = rows.filter_map(|row| row.split('|').nth(1)).collect();
        let is_in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        for item in items.split_whitespace() {
            let is_named = |cell: &&str| cell.split(|c| !is_in_word(c)).any(|word| word == item);
            assert!(cells.iter().any(is_named), "{item} of {crate_and_version}");
        }
    }
}
