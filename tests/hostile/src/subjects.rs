//! Each decoder with contents that its system writes, and a way to sign any content.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use session_core::{
    KeyError,
    compat::{Buffalo, Gorilla, Play, PlayAlgorithm, PlayLegacy, Revel},
    former::{Former, FormerCookies},
};

use crate::{
    gob::{Value, encoded},
    play, revel, securecookie,
    signature::{sha1_hex, sha256},
};

/// A decoder under test.
pub struct Subject {
    /// The name of the decoder.
    pub name: &'static str,
    /// The name of the session cookie.
    pub cookie: &'static str,
    /// Contents before they are signed.
    pub contents: Vec<Vec<u8>>,
    /// Returns the session cookie of a content.
    pub seal: fn(&[u8]) -> Vec<u8>,
    /// Flash cookies that the decoder reads: names and values.
    pub flash: Vec<(&'static str, Vec<u8>)>,
    decode: Box<dyn Fn(FormerCookies<'_>) -> Former>,
}

impl Subject {
    /// Decodes the cookies of a request.
    #[must_use]
    pub fn decode(&self, cookies: FormerCookies<'_>) -> Former {
        (self.decode)(cookies)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns all decoders, and some of them with several settings.
///
/// # Errors
///
/// Returns an error if a key is refused, which does not happen.
pub fn all() -> Result<Vec<Subject>, KeyError> {
    let play = Play::new(SECRET)?.unsigned_flash();
    let legacy = PlayLegacy::new(SECRET)?.unsigned_flash();
    let revel = Revel::new(SECRET)?.unsigned_flash();
    let gob = Gorilla::new(SECRET)?;
    let json = Gorilla::new(SECRET)?.json();
    let frame = json.clone();
    let aes = Gorilla::new(SECRET)?.block_key(BLOCK_KEY)?;
    let buffalo = Buffalo::new(SECRET)?;
    let subject =
        |name, cookie, contents, seal, decode| Subject { name, cookie, contents, seal, flash: Vec::new(), decode };
    Ok(vec![
        Subject {
            flash: vec![
                ("PLAY_FLASH", sealed_play(&play_content(r#"{"data":{"success":"Saved"},"iat":1700000000}"#))),
                ("PLAY_FLASH", b"success=The+item+has+been+created&a=b%26c%3Dd".to_vec()),
            ],
            ..subject("play", "PLAY_SESSION", play_payloads(), sealed_play, Box::new(move |all| play.decode(all, NOW)))
        },
        Subject {
            flash: vec![("PLAY_FLASH", b"success=The+item+has+been+created&a=b%26c%3Dd".to_vec())],
            ..subject(
                "play-legacy",
                "PLAY_SESSION",
                legacy_payloads(),
                |content| [sha1_hex(SECRET, content).as_bytes(), b"-", content].concat(),
                Box::new(move |all| legacy.decode(all, NOW)),
            )
        },
        Subject {
            flash: vec![
                ("REVEL_FLASH", b"%00success%3ASettings+saved%21%00%00age%3Ax%00".to_vec()),
                ("REVEL_ERRORS", b"%00age%3AMust+be+a+number%00%00age%3AToo+long%00".to_vec()),
            ],
            ..subject(
                "revel",
                "REVEL_SESSION",
                revel_payloads(),
                |content| revel::signed(SECRET, content).into_bytes(),
                Box::new(move |all| revel.decode(all, NOW)),
            )
        },
        subject("gorilla", "session", gobs(), sealed_gorilla, Box::new(move |all| gob.decode(all, NOW))),
        subject("gorilla-frame", "session", frames(), sealed_frame, Box::new(move |all| frame.decode(all, NOW))),
        subject("gorilla-json", "session", jsons(), sealed_gorilla, Box::new(move |all| json.decode(all, NOW))),
        subject(
            "gorilla-aes",
            "session",
            gobs(),
            |content| sealed_gorilla(&securecookie::encrypted(BLOCK_KEY, [7; 16], content)),
            Box::new(move |all| aes.decode(all, NOW)),
        ),
        subject(
            "buffalo",
            "_buffalo_session",
            buffalo_gobs(),
            |content| securecookie::sealed(SECRET, "_buffalo_session", NOW, content).into_bytes(),
            Box::new(move |all| buffalo.decode(all, NOW)),
        ),
    ])
}

/// Signs a header and a payload with a dot in between.
fn sealed_play(content: &[u8]) -> Vec<u8> {
    let dot = content.iter().position(|byte| *byte == b'.').unwrap_or(content.len());
    let payload = content.get(dot + 1..).unwrap_or_default();
    play::token(PlayAlgorithm::Hs256, SECRET, &content[..dot], payload).into_bytes()
}

/// Returns a header and a payload of Play.
fn play_content(payload: &str) -> Vec<u8> {
    format!("{}.{payload}", play::header(PlayAlgorithm::Hs256)).into_bytes()
}

fn sealed_gorilla(content: &[u8]) -> Vec<u8> {
    securecookie::sealed(SECRET, "session", NOW, content).into_bytes()
}

fn play_payloads() -> Vec<Vec<u8>> {
    [
        r#"{"data":{"connected":"user@gmail.com"},"exp":1700003600,"nbf":1700000000,"iat":1700000000}"#,
        r#"{"data":{},"nbf":1700000000,"iat":1700000000}"#,
        r#"{"data":{"csrfToken":"x-1-y","a":"Zo\u00eb \u2603 \"q\" \\","n":[1,2.5e3,{"b":null}]},"iat":1700000000}"#,
        r#"{"data":{"$":{"until":7},"k":"v","l":[[[[[[[[1]]]]]]]]},"exp":1800000000}"#,
        &format!(r#"{{"data":{}}}"#, many_keys(250)),
    ]
    .map(play_content)
    .into()
}

/// Returns a JSON object with as many keys as a session may have.
fn many_keys(count: usize) -> String {
    let members: Vec<String> = (0..count).map(|key| format!("\"{key:x}\":{}", key % 10)).collect();
    format!("{{{}}}", members.join(","))
}

fn legacy_payloads() -> Vec<Vec<u8>> {
    let pairs: [&[(&str, &str)]; 3] =
        [&[("hello", "world")], &[("a b", "c&d=e"), ("x", "y")], &[("csrfToken", "x-1-y"), ("Zoë", "☃"), ("e", "")]];
    // Control characters, which take six bytes in JSON, in few and in many values, and in a key.
    let control = "\u{1}";
    let many: Vec<String> = (0..250).map(|key| format!("{key:02x}={}", control.repeat(11))).collect();
    let heavy = [format!("a={}", control.repeat(4_000)), format!("{}=a", control.repeat(4_000)), many.join("&")];
    let heavy = heavy.map(String::into_bytes);
    pairs.map(|pairs| play::pairs(pairs.iter().copied()).into_bytes()).into_iter().chain(heavy).collect()
}

fn revel_payloads() -> Vec<Vec<u8>> {
    let pairs: [&[(&str, &str)]; 4] = [
        &[("user", "alice"), ("_TS", "session")],
        &[("_TS", "1800000000"), ("_ID", "4f3a2b"), ("msg", "Zoë ☃ a&b=c;d \"q\" ~*'()")],
        &[("_TS", "session"), ("foo", "bar"), ("_object_", r#"{"n":"1","list":"[1,{\"a\":null}]"}"#)],
        &[("_TS", "1700000000")],
    ];
    // Control characters take three bytes in the cookie and six in JSON.
    let heavy = revel::raw([("_TS", "session"), ("a", &"\u{1}".repeat(1_300))]).into_bytes();
    pairs.map(|pairs| revel::raw(pairs.iter().copied()).into_bytes()).into_iter().chain([heavy]).collect()
}

/// Signs a time and an encoded value, whatever they are.
fn sealed_frame(frame: &[u8]) -> Vec<u8> {
    let tag = sha256(SECRET, &[b"session|", frame].concat());
    BASE64_URL_SAFE.encode([frame, b"|", &tag].concat()).into_bytes()
}

fn frames() -> Vec<Vec<u8>> {
    let frame = |json: &[u8]| format!("{NOW}|{}", BASE64_URL_SAFE.encode(json)).into_bytes();
    jsons().iter().map(|json| frame(json)).collect()
}

fn jsons() -> Vec<Vec<u8>> {
    [
        "{\"user\":\"alice\"}\n",
        "{\"q\":\"\\u003ca href=\\\"/x\\\"\\u003e\",\"n\":[1,2.5e3,{\"b\":null}],\"deep\":[[[[[[{\"a\":[]}]]]]]]}\n",
        "{}\n",
        &many_keys(250),
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// Returns gobs with each type of value.
fn gobs() -> Vec<Vec<u8>> {
    let text = |text: &str| Value::Text(text.to_owned());
    let values = [
        Value::Map(vec![(text("user"), text("alice")), (text("uid"), Value::Int(-42))]),
        Value::Map(vec![
            (text("flags"), Value::Bools([true, false, true])),
            (text("tags"), Value::Texts(vec!["a".to_owned(), "b".to_owned()])),
            (Value::Int(7), Value::List(vec![Value::Nil, Value::Uint(u64::MAX), Value::Float(17.0)])),
        ]),
        Value::Map(vec![
            (text("point"), Value::Point(22, 33)),
            (text("time"), Value::Time(vec![1, 0, 0, 0, 14, 0xde, 0xad])),
            (text("complex"), Value::Complex(1.0, -1.0)),
            (text("nan"), Value::Float(f64::NAN)),
            (text("kept"), Value::Bool(true)),
        ]),
        Value::TextMap(vec![(
            "nested".to_owned(),
            Value::List(vec![Value::TextMap(vec![(
                "inner".to_owned(),
                Value::Map(vec![(Value::Int(1), Value::Ints(vec![1, -2, 300_000]))]),
            )])]),
        )]),
        Value::TextsByText(vec![("foo".to_owned(), "bar".to_owned()), ("Zoë".to_owned(), "☃".to_owned())]),
        Value::Map(vec![
            (text("bytes"), Value::Bytes(vec![0xff; 300])),
            (text("list"), Value::List(vec![Value::Nil; 40])),
        ]),
        Value::TextMap(vec![("nils".to_owned(), Value::List(vec![Value::Nil; 2_150]))]),
        Value::Map((0..130).map(|key| (Value::Int(key), Value::Int(key))).collect()),
        Value::TextsByText(vec![("a".to_owned(), "\u{1}".repeat(2_200))]),
        Value::TextsByText(vec![("\u{1}".repeat(2_200), "a".to_owned())]),
    ];
    values.iter().map(|value| encoded(value, 65)).collect()
}

fn buffalo_gobs() -> Vec<Vec<u8>> {
    let text = |text: &str| Value::Text(text.to_owned());
    let flash = |json: &str| (text("_flash_"), Value::Bytes(json.as_bytes().to_vec()));
    let values = [
        Value::Map(vec![flash(r#"{"success":["Saved"]}"#)]),
        Value::Map(vec![flash("{}"), (text("requestor_id"), text("00112233445566778899"))]),
        Value::Map(vec![flash(r#"{"danger":["one","two"],"info":null}"#), (text("user_id"), Value::Int(1))]),
    ];
    values.iter().map(|value| encoded(value, 65)).collect()
}

/// The secret of all decoders.
pub const SECRET: &[u8] = b"o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E";
/// The time at which all cookies are decoded.
pub const NOW: u64 = 1_700_000_000;
const BLOCK_KEY: &[u8] = b"fedcba9876543210";
