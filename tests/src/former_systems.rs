//! Cookies of Play, Revel, gorilla and Buffalo: those that their own code has made, and others in the same format.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::select,
};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use session_core::{
    compat::{Buffalo, Gorilla, Play, PlayAlgorithm, PlayLegacy, Revel},
    flash::{Lists, Message, MessageLists},
    former::{Former, FormerCookies, FormerSession, FormerSystem},
};
use session_hostile::{
    gob::{self, Value},
    play, revel, securecookie,
};

/// `data/seed-cookies.json`: each vector is a cookie that the code of its system has made or refuses.
#[derive(Deserialize)]
struct Corpus {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    format: String,
    secret: String,
    name: String,
    time: u64,
    verify_at: Option<u64>,
    alg: Option<String>,
    clock_skew: Option<u64>,
    expires_after: Option<u64>,
    data_claim: Option<String>,
    data: Json,
    raw: Option<String>,
    block_key: Option<String>,
    iv_hex: Option<String>,
    serialized_hex: Option<String>,
    cookie: String,
    expect: Expect,
    #[serde(default)]
    insecure: bool,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Expect {
    Accept,
    AcceptDecode,
    Reject,
}

fn corpus() -> Vec<Vector> {
    let corpus: Corpus = serde_json::from_str(include_str!("../data/seed-cookies.json")).unwrap();
    corpus.vectors
}

impl Vector {
    /// Decodes the cookie with the settings of the vector.
    fn former(&self) -> Former {
        let header = format!("theme=dark; {}={}", self.name, self.cookie);
        let headers = [header.as_bytes()];
        let (cookies, now) = (FormerCookies::new(&headers), self.verify_at.unwrap_or(self.time));
        match self.format.as_str() {
            "play-jwt-session" | "play-jwt-flash" => self.play().decode(cookies, now),
            "play-legacy-session" => PlayLegacy::with_weak_secret(&self.secret).unwrap().decode(cookies, now),
            "play-legacy-flash" => {
                // Newer versions of Play read it too.
                let former = Play::new(UNUSED).unwrap().unsigned_flash().decode(cookies, now);
                let legacy = PlayLegacy::new(UNUSED).unwrap().unsigned_flash().decode(cookies, now);
                assert!(former.flash == legacy.flash && former.flash_cookies == legacy.flash_cookies, "{}", self.id);
                assert!(Play::new(UNUSED).unwrap().decode(cookies, now).flash.is_empty(), "{}", self.id);
                assert!(PlayLegacy::new(UNUSED).unwrap().decode(cookies, now).flash.is_empty(), "{}", self.id);
                legacy
            }
            "revel-session" => Revel::new(&self.secret).unwrap().decode(cookies, now),
            "revel-flash" | "revel-errors" => {
                assert!(Revel::new(UNUSED).unwrap().decode(cookies, now).flash.is_empty(), "{}", self.id);
                Revel::new(UNUSED).unwrap().unsigned_flash().decode(cookies, now)
            }
            "gorilla-securecookie-gob" => self.gorilla().decode(cookies, now),
            "gorilla-securecookie-json" => self.gorilla().json().decode(cookies, now),
            "gorilla-securecookie-nop" => self.gorilla().raw("data").decode(cookies, now),
            "buffalo-session-flash" => {
                Buffalo::with_weak_secret(&self.secret).unwrap().cookie(&self.name).decode(cookies, now)
            }
            format => panic!("{}: {format} is unknown", self.id),
        }
    }

    fn play(&self) -> Play {
        let play = Play::with_weak_secret(&self.secret)
            .unwrap()
            .algorithm(self.algorithm())
            .clock_skew(Duration::from_secs(self.clock_skew.unwrap()));
        match &self.data_claim {
            Some(claim) => play.data_claim(claim),
            None => play,
        }
    }

    fn algorithm(&self) -> PlayAlgorithm {
        match self.alg.as_deref() {
            Some("HS256") => PlayAlgorithm::Hs256,
            Some("HS512") => PlayAlgorithm::Hs512,
            algorithm => panic!("{}: {algorithm:?} is unknown", self.id),
        }
    }

    fn gorilla(&self) -> Gorilla {
        let gorilla = Gorilla::with_weak_secret(&self.secret).unwrap().cookie(&self.name);
        match &self.block_key {
            Some(key) => gorilla.block_key(key).unwrap(),
            None => gorilla,
        }
    }

    /// Checks that exactly the data of the vector was read.
    fn check(&self, former: &Former) {
        let id = &self.id;
        match self.format.as_str() {
            "play-jwt-flash" | "play-legacy-flash" => {
                assert!(former.session.is_none(), "{id}");
                assert_eq!(Json::Object(messages(&former.flash.messages)), self.data, "{id}");
                assert!(!former.flash.has_form(), "{id}");
                assert_eq!(former.flash_cookies, ["PLAY_FLASH"], "{id}");
            }
            "revel-flash" => {
                let mut all = messages(&former.flash.messages);
                assert!(all.keys().all(|kind| ["success", "error"].contains(&kind.as_str())), "{id}");
                all.append(&mut texts(&former.flash.input));
                assert_eq!(Json::Object(all), self.data, "{id}");
                assert!(former.flash.errors.is_empty(), "{id}");
                let cookies: &[&str] = if former.flash.is_empty() { &[] } else { &["REVEL_FLASH"] };
                assert_eq!(former.flash_cookies, cookies, "{id}");
            }
            "revel-errors" => {
                // One vector has more errors in its raw text than in its data.
                let found = texts(&former.flash.errors);
                assert!(self.data.as_object().unwrap().iter().all(|(key, text)| found.get(key) == Some(text)), "{id}");
                let raw = revel::raw(found.iter().map(|(key, text)| (key.as_str(), text.as_str().unwrap())));
                assert_eq!(Some(raw), self.raw, "{id}");
                assert!(former.flash.messages.is_empty() && former.flash.input.is_empty(), "{id}");
                assert_eq!(former.flash_cookies, ["REVEL_ERRORS"], "{id}");
            }
            _ => {
                assert!(former.flash.is_empty() && former.flash_cookies.is_empty(), "{id}");
                self.check_session(former.session.as_ref().unwrap_or_else(|| panic!("{id}: there is no session")));
            }
        }
    }

    fn check_session(&self, session: &FormerSession) {
        let id = &self.id;
        assert_eq!(session.identity, self.cookie.as_bytes(), "{id}");
        let mut found = values(session);
        if self.format == "buffalo-session-flash" {
            let lists: BTreeMap<_, Vec<_>> = session
                .flash
                .messages
                .iter()
                .map(|(kind, list)| (kind, list.iter().map(Message::text).collect()))
                .collect();
            found.insert("_flash_".to_owned(), serde_json::to_string(&lists).unwrap().into());
        }
        let expected = match &self.data {
            Json::String(raw) => json!({ "data": raw }),
            data => data.clone(),
        };
        let expected: Map<String, Json> = expected
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| {
                let bytes = value.as_str().and_then(|text| text.strip_prefix("[]byte(")?.strip_suffix(')'));
                (key.clone(), bytes.map_or(value.clone(), Json::from))
            })
            .collect();
        assert_eq!(found, expected, "{id}");

        let (created_at, expires_at) = match self.format.as_str() {
            "play-jwt-session" => {
                let end = self.expires_after.map(|after| self.time + after + self.clock_skew.unwrap());
                // This token ends, but the vector has no field for it.
                let end = if self.id == "play-jwt-a1" { self.verify_at } else { end };
                (Some(self.time.min(self.verify_at.unwrap())), end)
            }
            "play-legacy-session" | "revel-session" => (None, None),
            _ => (Some(self.time.min(self.verify_at.unwrap())), Some(self.time + 30 * 24 * 60 * 60)),
        };
        assert_eq!((session.created_at, session.expires_at), (created_at, expires_at), "{id}");
    }
}

fn messages(lists: &MessageLists) -> Map<String, Json> {
    lists.iter().map(|(kind, list)| (kind.to_owned(), only(list).text().into())).collect()
}

fn texts(lists: &Lists) -> Map<String, Json> {
    lists.iter().map(|(name, list)| (name.to_owned(), only(list).as_str().into())).collect()
}

fn only<T>(list: &[T]) -> &T {
    assert_eq!(list.len(), 1);
    &list[0]
}

fn values(session: &FormerSession) -> Map<String, Json> {
    session.entries.fields().map(|(key, text)| (key.to_owned(), serde_json::from_str(text).unwrap())).collect()
}

#[test]
fn every_cookie_of_the_systems_themselves_is_read_or_refused_as_stated() {
    let (mut accepted, mut rejected, mut insecure) = (0, 0, 0);
    for vector in corpus() {
        if vector.insecure {
            assert!(Buffalo::new(&vector.secret).is_err(), "{}", vector.id);
            assert!(Buffalo::with_weak_secret(&vector.secret).is_err(), "{}", vector.id);
            let cookie = format!("{}={}", vector.name, vector.cookie);
            let headers = [cookie.as_bytes()];
            let former = Buffalo::new(UNUSED).unwrap().decode(FormerCookies::new(&headers), vector.time);
            assert!(former.session.is_none(), "{}", vector.id);
            insecure += 1;
        } else if vector.expect == Expect::Reject {
            let former = vector.former();
            assert!(former.session.is_none() && former.flash.is_empty(), "{}", vector.id);
            rejected += 1;
        } else {
            vector.check(&vector.former());
            accepted += 1;
        }
    }
    assert_eq!((accepted, rejected, insecure), (40, 14, 1));
}

#[test]
fn the_encoders_of_these_tests_write_what_the_systems_write() {
    let mut written = 0;
    for vector in corpus().iter().filter(|vector| vector.expect == Expect::Accept) {
        let (id, secret) = (&vector.id, vector.secret.as_bytes());
        let pairs =
            || vector.data.as_object().unwrap().iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap()));
        let cookie = match vector.format.as_str() {
            "play-jwt-session" | "play-jwt-flash" => {
                let end = vector.expires_after.map(|after| format!("\"exp\":{},", vector.time + after));
                let payload = format!(
                    "{{\"{}\":{},{}\"nbf\":{time},\"iat\":{time}}}",
                    vector.data_claim.as_deref().unwrap_or("data"),
                    vector.data,
                    end.unwrap_or_default(),
                    time = vector.time
                );
                let algorithm = vector.algorithm();
                play::token(algorithm, secret, play::header(algorithm).as_bytes(), payload.as_bytes())
            }
            "play-legacy-session" => play::legacy(secret, &play::pairs(pairs())),
            "play-legacy-flash" => play::pairs(pairs()),
            "revel-session" => revel::signed(secret, vector.raw.as_ref().unwrap().as_bytes()),
            "revel-flash" | "revel-errors" => revel::escaped(vector.raw.as_ref().unwrap().as_bytes()),
            _ => {
                let mut value = unhex(vector.serialized_hex.as_ref().unwrap());
                if let Some(map) = map_of(vector) {
                    assert_eq!(
                        gob::encoded(&map, if vector.id == "gorilla-gob-11-mapss" { 68 } else { 65 }),
                        value,
                        "{id}"
                    );
                    written += 1;
                }
                if let (Some(key), Some(nonce)) = (&vector.block_key, &vector.iv_hex) {
                    value = securecookie::encrypted(key.as_bytes(), unhex(nonce).try_into().unwrap(), &value);
                }
                securecookie::sealed(secret, &vector.name, vector.time, &value)
            }
        };
        assert_eq!(cookie, vector.cookie, "{id}");
        written += 1;
    }
    assert_eq!(written, 38 + 10);
}

/// Returns the map that Go has encoded as a gob.
fn map_of(vector: &Vector) -> Option<Value> {
    if !vector.format.ends_with("-gob") && !vector.format.starts_with("buffalo") {
        return None;
    }
    let text = |text: &str| Value::Text(text.to_owned());
    let data = vector.data.as_object().unwrap();
    if vector.id == "gorilla-gob-11-mapss" {
        let pairs = data.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
        return Some(Value::TextsByText(pairs.collect()));
    }
    let pairs = data.iter().map(|(key, value)| {
        let value = match value.as_str() {
            None => Value::Int(value.as_i64().unwrap()),
            Some(json) if key == "_flash_" => {
                let bytes = json.strip_prefix("[]byte(").and_then(|json| json.strip_suffix(')')).unwrap_or(json);
                Value::Bytes(bytes.as_bytes().to_vec())
            }
            Some(value) => text(value),
        };
        (text(key), value)
    });
    Some(Value::Map(pairs.collect()))
}

#[test]
fn a_session_in_a_cookie_has_nothing_to_end() {
    let headers: [&[u8]; 1] = [b"PLAY_SESSION=116d8da7c5283e81341db8a0c0fb5f188f9b0277-hello=world"];
    let system: Box<dyn FormerSystem> = Box::new(PlayLegacy::with_weak_secret("changeme").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let former = system.read(FormerCookies::new(&headers), 0).await.unwrap();
        system.end(&former.session.unwrap(), 0).await.unwrap();
        assert!(system.read(FormerCookies::new(&headers), 0).await.unwrap().session.is_some());
    });
}

#[test]
fn no_debug_output_contains_a_secret() {
    let shown = [
        format!("{:?}", Play::new(SECRET).unwrap()),
        format!("{:?}", PlayLegacy::new(SECRET).unwrap()),
        format!("{:?}", Revel::new(SECRET).unwrap()),
        format!("{:?}", Gorilla::new(SECRET).unwrap().block_key("fedcba9876543210").unwrap()),
        format!("{:?}", Buffalo::new(SECRET).unwrap()),
    ];
    assert_eq!(shown, ["Play { .. }", "PlayLegacy { .. }", "Revel { .. }", "Gorilla { .. }", "Buffalo { .. }"]);
}

#[test]
fn weak_secrets_need_a_word_and_empty_ones_are_never_accepted() {
    fn check<T>(strict: impl Fn(&str) -> Option<T>, lenient: impl Fn(&str) -> Option<T>) {
        assert!(strict(SECRET).is_some() && lenient(SECRET).is_some());
        for weak in ["changeme", "0123456789abcdef0123456789abcdef"] {
            assert!(strict(weak).is_none() && lenient(weak).is_some());
        }
        assert!(strict("").is_none() && lenient("").is_none());
    }
    check(|secret| Play::new(secret).ok(), |secret| Play::with_weak_secret(secret).ok());
    check(|secret| PlayLegacy::new(secret).ok(), |secret| PlayLegacy::with_weak_secret(secret).ok());
    check(|secret| Revel::new(secret).ok(), |secret| Revel::with_weak_secret(secret).ok());
    check(|secret| Gorilla::new(secret).ok(), |secret| Gorilla::with_weak_secret(secret).ok());
    check(|secret| Buffalo::new(secret).ok(), |secret| Buffalo::with_weak_secret(secret).ok());
}

proptest! {
    #[test]
    fn every_session_of_play_is_read_with_its_secret_and_with_no_other(
        data in pairs(),
        algorithm in select(vec![PlayAlgorithm::Hs256, PlayAlgorithm::Hs384, PlayAlgorithm::Hs512]),
        other in select(vec![PlayAlgorithm::Hs256, PlayAlgorithm::Hs384, PlayAlgorithm::Hs512]),
        secret in "[!-~]{32,64}",
    ) {
        let payload = json!({ "data": data, "nbf": NOW, "iat": NOW }).to_string();
        let token = play::token(algorithm, secret.as_bytes(), play::header(algorithm).as_bytes(), payload.as_bytes());
        prop_assume!(token.len() <= LONGEST);
        let play = Play::with_weak_secret(&secret).unwrap().algorithm(algorithm);
        let read = |play: &Play| session("PLAY_SESSION", token.as_bytes(), |cookies| play.decode(cookies, NOW));
        prop_assert_eq!(read(&play), Some(without_reserved(&data)));
        prop_assert_eq!(read(&play.clone().algorithm(other)).is_some(), other == algorithm);
        prop_assert_eq!(read(&Play::new(SECRET).unwrap().algorithm(algorithm)), None);

        let header = format!("PLAY_FLASH={token}");
        let headers = [header.as_bytes()];
        let flash = play.decode(FormerCookies::new(&headers), NOW).flash;
        prop_assert_eq!(messages(&flash.messages), without_reserved(&data));
    }

    #[test]
    fn every_session_of_an_old_play_is_read(data in pairs()) {
        let payload = play::pairs(data.iter().map(|(key, text)| (key.as_str(), text.as_str())));
        let cookie = play::legacy(SECRET.as_bytes(), &payload);
        prop_assume!(cookie.len() <= LONGEST);
        let play = PlayLegacy::new(SECRET).unwrap().unsigned_flash();
        let read = session("PLAY_SESSION", cookie.as_bytes(), |cookies| play.decode(cookies, NOW));
        prop_assert_eq!(read, Some(without_reserved(&data)));

        let header = format!("PLAY_FLASH={payload}");
        let headers = [header.as_bytes()];
        let flash = play.decode(FormerCookies::new(&headers), NOW).flash;
        prop_assert_eq!(messages(&flash.messages), without_reserved(&data));
    }

    #[test]
    fn every_session_of_revel_is_read(
        texts in btree_map("[^:\0]{0,12}", "[^\0]{0,40}", 0..6),
        objects in btree_map("[^:\0]{0,12}", vec(any::<i64>(), 0..3), 0..4),
        end in select(vec![None, Some(NOW), Some(NOW + 1), Some(NOW - 1)]),
    ) {
        let is_own = |key: &str| !["_ID", "_TS", "_object_"].contains(&key);
        prop_assume!(texts.keys().all(|key| is_own(key)));
        let objects: BTreeMap<String, String> =
            objects.into_iter().map(|(key, list)| (key, serde_json::to_string(&list).unwrap())).collect();
        let object = serde_json::to_string(&objects).unwrap();
        let time = end.map_or("session".to_owned(), |end| end.to_string());
        let mut all: Vec<(&str, &str)> = texts.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        all.push(("_TS", &time));
        if !objects.is_empty() {
            all.insert(0, ("_object_", &object));
        }
        let cookie = revel::signed(SECRET.as_bytes(), revel::raw(all).as_bytes());
        prop_assume!(cookie.len() <= LONGEST);

        let mut expected: Map<String, Json> =
            objects.iter().map(|(key, text)| (key.clone(), serde_json::from_str(text).unwrap())).collect();
        expected.extend(texts.iter().map(|(key, text)| (key.clone(), text.as_str().into())));
        expected.retain(|key, _| !key.starts_with('$'));
        let revel = Revel::new(SECRET).unwrap();
        let read = session("REVEL_SESSION", cookie.as_bytes(), |cookies| revel.decode(cookies, NOW));
        prop_assert_eq!(read, (end != Some(NOW - 1)).then_some(expected));
    }

    #[test]
    fn every_session_of_gorilla_in_json_is_read(
        data in pairs(),
        name in "[a-z_-]{1,12}",
        time in NOW - 100..NOW + 100,
    ) {
        let value = format!("{}\n", json!(data));
        let cookie = securecookie::sealed(SECRET.as_bytes(), &name, time, value.as_bytes());
        prop_assume!(cookie.len() <= LONGEST);
        let gorilla = Gorilla::new(SECRET).unwrap().json();
        let read = |gorilla: &Gorilla, name: &str| {
            session(name, cookie.as_bytes(), |cookies| gorilla.decode(cookies, NOW))
        };
        prop_assert_eq!(read(&gorilla.clone().cookie(&name), &name), Some(without_reserved(&data)));
        prop_assert_eq!(read(&gorilla.cookie("other"), "other").is_some(), name == "other");
    }

    #[test]
    fn every_session_of_gorilla_in_gob_is_read(
        value in map(),
        key in select(vec![None, Some(16), Some(24), Some(32)]),
        nonce in any::<[u8; 16]>(),
    ) {
        let encoded = gob::encoded(&value, 65);
        let key = key.map(|length| &BLOCK_KEY[..length]);
        let sealed = key.map_or(encoded.clone(), |key| securecookie::encrypted(key, nonce, &encoded));
        let cookie = securecookie::sealed(SECRET.as_bytes(), "session", NOW, &sealed);
        prop_assume!(cookie.len() <= LONGEST);
        let gorilla = Gorilla::new(SECRET).unwrap();
        let gorilla = match key {
            Some(key) => gorilla.block_key(key).unwrap(),
            None => gorilla,
        };
        let read = session("session", cookie.as_bytes(), |cookies| gorilla.decode(cookies, NOW));
        prop_assert_eq!(read, Some(top(&value)), "{:?}", value);
    }

    #[test]
    fn every_session_of_buffalo_is_read(
        user in any::<i64>(),
        flash in btree_map("[a-z]{1,8}", vec(".{0,20}", 1..3), 0..4),
    ) {
        let json = serde_json::to_string(&flash).unwrap();
        let text = |text: &str| Value::Text(text.to_owned());
        let value =
            Value::Map(vec![(text("user_id"), Value::Int(user)), (text("_flash_"), Value::Bytes(json.into_bytes()))]);
        let cookie = securecookie::sealed(SECRET.as_bytes(), "_buffalo_session", NOW, &gob::encoded(&value, 65));
        let header = format!("_buffalo_session={cookie}");
        let headers = [header.as_bytes()];
        let former = Buffalo::new(SECRET).unwrap().decode(FormerCookies::new(&headers), NOW);
        let session = former.session.unwrap();
        prop_assert_eq!(values(&session), Map::from_iter([("user_id".to_owned(), user.into())]));
        let texts = |list: &[Message]| list.iter().map(|message| message.text().to_owned()).collect();
        let lists = session.flash.messages.iter().map(|(kind, list)| (kind.to_owned(), texts(list)));
        prop_assert_eq!(lists.collect::<BTreeMap<String, Vec<String>>>(), flash);
    }
}

/// Decodes one cookie, and returns the values of its session.
fn session(name: &str, cookie: &[u8], decode: impl Fn(FormerCookies<'_>) -> Former) -> Option<Map<String, Json>> {
    let header = [name.as_bytes(), b"=", cookie].concat();
    let headers = [&header[..]];
    decode(FormerCookies::new(&headers)).session.as_ref().map(values)
}

fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(".{0,12}", any::<String>().prop_map(|text| text.chars().take(40).collect()), 0..6)
}

fn without_reserved(data: &BTreeMap<String, String>) -> Map<String, Json> {
    let own = data.iter().filter(|(key, _)| !key.starts_with('$'));
    own.map(|(key, text)| (key.clone(), text.as_str().into())).collect()
}

/// Generates the values that a session of `gorilla/sessions` may have.
fn map() -> impl Strategy<Value = Value> {
    let key = || prop_oneof!["[a-z]{1,8}".prop_map(Value::Text), any::<i64>().prop_map(Value::Int)];
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::Uint),
        any::<f64>().prop_map(Value::Float),
        (any::<f64>(), any::<f64>()).prop_map(|(real, imaginary)| Value::Complex(real, imaginary)),
        vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        ".{0,20}".prop_map(Value::Text),
        vec(".{0,8}", 0..4).prop_map(Value::Texts),
        vec(any::<i64>(), 0..4).prop_map(Value::Ints),
        any::<[bool; 3]>().prop_map(Value::Bools),
        (any::<i64>(), any::<i64>()).prop_map(|(x, y)| Value::Point(x, y)),
        vec(any::<u8>(), 0..16).prop_map(Value::Time),
        btree_map("[a-z]{1,8}", ".{0,8}", 0..4).prop_map(|pairs| Value::TextsByText(pairs.into_iter().collect())),
    ];
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            vec((key(), inner.clone()), 0..4).prop_map(Value::Map),
            btree_map("[a-z]{1,8}", inner, 0..4).prop_map(|pairs| Value::TextMap(pairs.into_iter().collect())),
        ]
    });
    vec((key(), value), 0..6).prop_map(Value::Map).prop_filter("keys are there once", has_keys_once)
}

fn has_keys_once(value: &Value) -> bool {
    match value {
        Value::List(values) => values.iter().all(has_keys_once),
        Value::TextMap(pairs) => pairs.iter().all(|(_, value)| has_keys_once(value)),
        Value::Map(pairs) => {
            let once = |(position, (key, value)): (usize, &(Value, Value))| {
                has_keys_once(value) && pairs[..position].iter().all(|(known, _)| known != key)
            };
            pairs.iter().enumerate().all(once)
        }
        _ => true,
    }
}

/// Returns the values of the outermost map that JSON can hold.
fn top(value: &Value) -> Map<String, Json> {
    let Value::Map(pairs) = value else { panic!("{value:?} is no map") };
    pairs.iter().filter_map(|(key, value)| Some((key_of(key), json_of(value)?))).collect()
}

fn key_of(key: &Value) -> String {
    match key {
        Value::Text(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        key => panic!("{key:?} is no key"),
    }
}

/// Returns the JSON of a value; `None` if it is or contains something that JSON cannot hold.
fn json_of(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(number) => json!(number),
        Value::Uint(number) => json!(number),
        Value::Float(number) => Json::Number(serde_json::Number::from_f64(*number)?),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => json!(base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes)),
        },
        Value::Text(text) => json!(text),
        Value::Texts(texts) => json!(texts),
        Value::Ints(numbers) => json!(numbers),
        Value::Bools(values) => json!(values),
        Value::List(values) => Json::Array(values.iter().map(json_of).collect::<Option<_>>()?),
        Value::Map(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| Some((key_of(key), json_of(value)?)));
            Json::Object(pairs.collect::<Option<_>>()?)
        }
        Value::TextMap(pairs) => {
            let pairs = pairs.iter().map(|(key, value)| Some((key.clone(), json_of(value)?)));
            Json::Object(pairs.collect::<Option<_>>()?)
        }
        Value::TextsByText(pairs) => pairs.iter().map(|(key, text)| (key.clone(), json!(text))).collect(),
        Value::Point(..) | Value::Time(_) | Value::Complex(..) => return None,
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

const SECRET: &str = "o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E";
/// A secret that signs nothing.
const UNUSED: &str = "V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E";
const BLOCK_KEY: &[u8; 32] = b"0123456789abcdef0123456789ABCDEF";
const NOW: u64 = 1_700_000_000;
/// The most bytes of a cookie.
const LONGEST: usize = 4_096;
