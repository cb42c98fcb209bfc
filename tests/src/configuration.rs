//! `SessionConfig`: from TOML and from the environment, and `docs/configuration.md`.

use std::{env, process::Command};

use session_axum::{CookieEngine, FlashMode, Keys, SameSite, SessionConfig, SessionLayer};
use session_stores::MemoryStore;

use crate::support::app::keys;

const PAGE: &str = include_str!("../../docs/configuration.md");

/// Each setting with a value other than its default.
const ALL: [(&str, &str); 26] = [
    ("engine", "encrypted"),
    ("name", "__Secure-shop"),
    ("flash_name", "__Secure-notes"),
    ("domain", "example.com"),
    ("path", "/shop"),
    ("same_site", "strict"),
    ("partitioned", "true"),
    ("clear_site_data", "true"),
    ("insecure_over_http", "true"),
    ("application", "shop"),
    ("idle_timeout", "90s"),
    ("note_visits_every", "20s"),
    ("clock_skew", "120s"),
    ("lifetime", "10m"),
    ("flash_lifetime", "1h"),
    ("persistent", "true"),
    ("chunked", "3"),
    ("flash_mode", "next_request"),
    ("save_on_server_error", "true"),
    ("store_timeout", "5s"),
    ("sweep_every", "1d"),
    ("without_sweeping", "true"),
    ("bearer", "true"),
    ("watch_every", "5s"),
    ("sessions_per_owner", "4"),
    ("insecure_trust_when_unavailable", "true"),
];

fn all() -> SessionConfig {
    let seconds = |seconds| Some(std::time::Duration::from_secs(seconds));
    SessionConfig {
        engine: Some(CookieEngine::Encrypted),
        name: Some("__Secure-shop".into()),
        flash_name: Some("__Secure-notes".into()),
        domain: Some("example.com".into()),
        path: Some("/shop".into()),
        same_site: Some(SameSite::Strict),
        partitioned: Some(true),
        clear_site_data: Some(true),
        insecure_over_http: Some(true),
        application: Some("shop".into()),
        idle_timeout: seconds(90),
        note_visits_every: seconds(20),
        clock_skew: seconds(120),
        lifetime: seconds(600),
        flash_lifetime: seconds(3_600),
        persistent: Some(true),
        chunked: Some(3),
        flash_mode: Some(FlashMode::NextRequest),
        save_on_server_error: Some(true),
        store_timeout: seconds(5),
        sweep_every: seconds(86_400),
        without_sweeping: Some(true),
        bearer: Some(true),
        watch_every: seconds(5),
        sessions_per_owner: Some(4),
        insecure_trust_when_unavailable: Some(true),
    }
}

fn toml(text: &str) -> Result<SessionConfig, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

#[test]
fn every_setting_is_read_from_toml() {
    let is_plain = |value: &str| value.parse::<u32>().is_ok() || value == "true";
    let quoted = |value: &str| if is_plain(value) { value.to_owned() } else { format!("{value:?}") };
    let file: String = ALL.iter().map(|(name, value)| format!("{name} = {}\n", quoted(value))).collect();
    assert_eq!(toml(&file), Ok(all()));
    assert_eq!(ALL.map(|(name, _)| name).as_slice(), SessionConfig::NAMES);
    assert_eq!(toml(""), Ok(SessionConfig::default()));
}

/// Runs in a process of its own, because variables belong to the whole process.
#[test]
fn every_setting_is_read_from_the_environment() {
    if env::var_os("TRIED_SESSION_NAME").is_some() {
        assert_eq!(SessionConfig::from_env("TRIED_SESSION_"), Ok(all()));
        assert_eq!(SessionConfig::from_env("OTHER_SESSION_"), Ok(SessionConfig::default()));
        for (prefix, error) in [
            ("WRONG_NAME_", "`WRONG_NAME_IDEL_TIMEOUT` is no setting of sessions: use one of engine, name,"),
            ("WRONG_CASE_", "`WRONG_CASE_name` is no setting"),
            ("WRONG_VALUE_", "`WRONG_VALUE_LIFETIME` needs a whole number and a unit, like `90s`"),
        ] {
            let said = SessionConfig::from_env(prefix).unwrap_err().to_string();
            assert!(said.starts_with(error) && !said.contains("CANARY"), "{said}");
        }
        return;
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "configuration::every_setting_is_read_from_the_environment"]);
    command.envs(ALL.map(|(name, value)| (format!("TRIED_SESSION_{}", name.to_uppercase()), value)));
    command.envs(
        ["SECRET", "SECRET_PREVIOUS", "SECRET_FILE", "SECRET_PREVIOUS_FILE"]
            .map(|name| (format!("TRIED_SESSION_{name}"), "x")),
    );
    command.envs([
        ("WRONG_NAME_IDEL_TIMEOUT", "CANARY"),
        ("WRONG_CASE_name", "CANARY"),
        ("WRONG_VALUE_LIFETIME", "CANARY"),
    ]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_name_or_a_value_that_is_none_is_an_error_with_the_remedy() {
    for (file, error) in [
        ("idel_timeout = '5m'", "`idel_timeout` is no setting of sessions: use one of engine, name,"),
        ("idle_timeout = 30", "`idle_timeout` needs a whole number and a unit, like `90s`, `10m`, `1h` or `30d`"),
        ("idle_timeout = '30'", "`idle_timeout` needs a whole number and a unit"),
        ("idle_timeout = '0s'", "`idle_timeout` needs a value from 1s to 3652d"),
        ("idle_timeout = '3653d'", "`idle_timeout` needs a value from 1s to 3652d"),
        ("lifetime = '0d'", "`lifetime` needs a value from 1s to 3652d"),
        ("lifetime = '3653d'", "`lifetime` needs a value from 1s to 3652d"),
        ("note_visits_every = '0m'", "`note_visits_every` needs a value from 1s to 3652d"),
        ("clock_skew = '61m'", "`clock_skew` needs a value from 0s to 1h"),
        ("flash_lifetime = '0h'", "`flash_lifetime` needs a value from 1s to 1d"),
        ("flash_lifetime = '25h'", "`flash_lifetime` needs a value from 1s to 1d"),
        ("chunked = 0", "`chunked` needs a value from 1 to 8"),
        ("chunked = 9", "`chunked` needs a value from 1 to 8"),
        ("chunked = 300", "`chunked` needs a value from 1 to 8"),
        ("store_timeout = '61s'", "`store_timeout` needs a value from 1s to 1m"),
        ("sweep_every = '2d'", "`sweep_every` needs a value from 1s to 1d"),
        ("watch_every = '0s'", "`watch_every` needs a value from 1s to 1m"),
        ("sessions_per_owner = 0", "`sessions_per_owner` needs a value from 1 to 4294967295"),
        ("idle_timeout = '+5m'", "`idle_timeout` needs a whole number and a unit"),
        ("lifetime = '99999999999999999999d'", "`lifetime` needs a whole number and a unit"),
        ("lifetime = '9999999999999999999d'", "`lifetime` needs a whole number and a unit"),
        ("lifetime = '5\u{e4}'", "`lifetime` needs a whole number and a unit"),
        ("lifetime = ''", "`lifetime` needs a whole number and a unit"),
        ("persistent = 'yes'", "`persistent` needs `true` or `false`"),
        ("same_site = 'Lax '", "`same_site` needs `strict`, `lax` or `none`"),
        (
            "engine = 'stored'",
            "`engine` needs `signed` or `encrypted`; a store is chosen in code, with `SessionLayer::stored`",
        ),
        ("flash_mode = 'never'", "`flash_mode` needs `until_read` or `next_request`"),
        ("chunked = -1", "`chunked` needs a whole number"),
        ("sessions_per_owner = 99999999999", "`sessions_per_owner` needs a whole number"),
        ("name = ''", "`name` needs a text"),
        ("name = []", "invalid type: sequence, expected a text, a whole number, or `true` or `false`"),
    ] {
        let said = toml(file).unwrap_err();
        assert!(said.starts_with(error), "{file}: {said}");
    }
}

fn layer(file: &str) -> Result<String, String> {
    let layer = SessionLayer::from_config(&toml(file).unwrap(), keys());
    layer.map(|layer| format!("{layer:?}")).map_err(|error| format!("{error:?}"))
}

#[test]
fn a_layer_is_made_of_the_settings() {
    let same = SessionLayer::encrypted(keys()).name("__Host-shop").unwrap().persistent(true);
    let same = same.idle_timeout(std::time::Duration::from_secs(1_800));
    let file = "engine = 'encrypted'\nname = '__Host-shop'\npersistent = true\nidle_timeout = '30m'";
    assert_eq!(layer(file), Ok(format!("{same:?}")));
    assert_eq!(layer(""), Ok(format!("{:?}", SessionLayer::signed(keys()))));
    assert!(SessionLayer::from_config(&all(), keys()).is_ok(), "all together");
    let off = "partitioned = false\ninsecure_over_http = false\nwithout_sweeping = false\nbearer = false";
    assert_eq!(layer(off), layer(""));
}

#[test]
fn the_ends_of_a_range_are_taken() {
    for file in [
        "idle_timeout = '1s'\nlifetime = '3652d'\nflash_lifetime = '1d'\nclock_skew = '0s'\nchunked = 1",
        "idle_timeout = '3652d'\nlifetime = '1s'\nflash_lifetime = '1s'\nclock_skew = '1h'\nchunked = 8",
        "store_timeout = '1m'\nsweep_every = '24h'\nwatch_every = '60s'\nsessions_per_owner = 1",
        "idle_timeout = '10m'\nnote_visits_every = '5m'",
        "note_visits_every = '12h'",
    ] {
        assert!(layer(file).is_ok(), "{file}");
    }
}

#[test]
fn a_pause_between_visits_of_more_than_half_the_idle_timeout_is_an_error() {
    let error = "`note_visits_every` needs a value of at most half of `idle_timeout`";
    for file in ["idle_timeout = '10m'\nnote_visits_every = '301s'", "note_visits_every = '13h'"] {
        assert_eq!(layer(file), Err(error.to_owned()), "{file}");
    }
}

#[test]
fn same_site_is_read_in_any_case() {
    for text in ["strict", "Strict", "STRICT"] {
        assert_eq!(toml(&format!("same_site = '{text}'")).unwrap().same_site, Some(SameSite::Strict));
    }
}

#[test]
fn settings_that_a_browser_would_refuse_are_errors() {
    assert!(layer("name = 'my shop'").unwrap_err().contains("my shop"));
    assert!(layer("name = '__Host-shop'\ndomain = 'example.com'").is_err());
    assert!(layer("domain = 'example.com'\nname = 'shop'\npath = '/x'\nsame_site = 'none'").is_ok());
}

#[test]
fn the_engine_of_a_layer_is_not_changed() {
    let signed = toml("engine = 'signed'").unwrap();
    assert!(SessionLayer::signed(keys()).configured(&signed).is_ok());
    let others = [
        SessionLayer::encrypted(keys()),
        SessionLayer::null(),
        SessionLayer::stored(MemoryStore::new(), Keys::generate()),
    ];
    for other in others {
        let error = other.clone().configured(&signed).unwrap_err().to_string();
        assert!(error.starts_with("`engine` is another one than the layer's: remove the setting"), "{error}");
        assert!(other.configured(&toml("lifetime = '1h'").unwrap()).is_ok());
    }
}

/// The rows of the page's table under a heading.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let section = PAGE.split(&format!("## {heading}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_page_has_a_row_for_each_setting() {
    let names: Vec<_> = rows("All settings").iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(names, SessionConfig::NAMES);
}

#[test]
fn the_page_has_a_row_for_each_key_of_play_revel_and_buffalo() {
    for (heading, keys) in [("From Play", PLAY), ("From Revel", REVEL), ("From Buffalo", BUFFALO)] {
        let rows = rows(heading);
        assert_eq!(rows.iter().map(|row| row[0].trim_matches('`')).collect::<Vec<_>>(), keys);
        for row in rows {
            let is_field = |name: &str| SessionConfig::NAMES.contains(&name.trim_matches('`'));
            assert!(row[1].split(", ").all(is_field) || ["code", "none"].contains(&row[1]), "{row:?}");
            assert!(row[1].starts_with('`') || !row[2].is_empty(), "{row:?}");
        }
    }
}

const PLAY: &[&str] = &[
    "play.http.secret.key",
    "play.http.secret.provider",
    "play.http.context",
    "play.http.cookies.strict",
    "play.http.session.cookieName",
    "play.http.session.secure",
    "play.http.session.httpOnly",
    "play.http.session.domain",
    "play.http.session.path",
    "play.http.session.sameSite",
    "play.http.session.partitioned",
    "play.http.session.maxAge",
    "play.http.session.jwt.signatureAlgorithm",
    "play.http.session.jwt.expiresAfter",
    "play.http.session.jwt.clockSkew",
    "play.http.session.jwt.dataClaim",
    "play.http.flash.cookieName",
    "play.http.flash.secure",
    "play.http.flash.httpOnly",
    "play.http.flash.domain",
    "play.http.flash.path",
    "play.http.flash.sameSite",
    "play.http.flash.partitioned",
    "play.http.flash.jwt.signatureAlgorithm",
    "play.http.flash.jwt.expiresAfter",
    "play.http.flash.jwt.clockSkew",
    "play.http.flash.jwt.dataClaim",
];
const REVEL: &[&str] = &[
    "app.secret",
    "cookie.prefix",
    "cookie.domain",
    "cookie.httponly",
    "cookie.secure",
    "cookie.samesite",
    "session.expires",
    "session.engine",
];
const BUFFALO: &[&str] = &[
    "SESSION_SECRET",
    "Options.SessionName",
    "Options.SessionStore",
    "Options.Env",
    "sessions.Options.Path",
    "sessions.Options.Domain",
    "sessions.Options.MaxAge",
    "sessions.Options.Secure",
    "sessions.Options.HttpOnly",
    "sessions.Options.Partitioned",
    "sessions.Options.SameSite",
];
