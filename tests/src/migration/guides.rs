//! The calls in the tables of the guides compile: each stands in a function here, letter by letter.

use std::time::Duration;

use axum::response::Html;
use serde::{Deserialize, Serialize};
use session_axum::{
    Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt as _,
    compat::{Buffalo, Play, PlayAlgorithm, PlayLegacy, Revel},
    testing::TestSession,
};
use session_stores::MemoryStore;

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
    drop(layer.name("coke_session")?);
    drop(SessionLayer::null());
    drop(Buffalo::new(secret)?.cookie("_buffalo_session").domain("example.com").path("/"));
    drop(Buffalo::with_weak_secret(secret)?);
    Ok(())
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
}
