//! `data/attacks.json`: templates of hostile `Cookie` headers, and how to make the headers of them.

use std::{collections::BTreeMap, ops::Range, sync::LazyLock};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;
use session_core::token::Protection;

use super::reference::{self, Binding, base64url, unhex};

pub(crate) const SESSION: &str = "__Host-session";
pub(crate) const FLASH: &str = "__Host-flash";

/// The corpus, read once.
pub(crate) static CORPUS: LazyLock<Corpus> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../data/attacks.json")).unwrap());

#[derive(Deserialize)]
pub(crate) struct Corpus {
    pub(crate) fixtures: Fixtures,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(crate) struct Fixtures {
    pub(crate) now_unix: u64,
    pub(crate) app_id: String,
    keys_hex: BTreeMap<String, String>,
    pub(crate) idle_ttl_s: u64,
    pub(crate) absolute_ttl_s: u64,
    pub(crate) flash_ttl_s: u64,
    sid_hex: String,
    pub(crate) session_data: BTreeMap<String, Value>,
    pub(crate) session_data_b: BTreeMap<String, Value>,
    pub(crate) flash_data: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) title: String,
    headers: Vec<Vec<Part>>,
    pub(crate) expect: Expect,
    pub(crate) wire: Wire,
    modes: Vec<Mode>,
    #[serde(default)]
    pub(crate) example_b64: Vec<Bytes>,
    #[serde(default)]
    pub(crate) example_sha256: Vec<String>,
    #[serde(default)]
    pub(crate) example_len: Vec<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) session: ExpectSession,
    pub(crate) flash: ExpectFlash,
    pub(crate) set_cookie: ExpectSetCookie,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum ExpectSession {
    #[serde(rename = "none")]
    None,
    A,
    #[serde(rename = "none_or_A")]
    NoneOrA,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum ExpectFlash {
    #[serde(rename = "none")]
    None,
    F,
    #[serde(rename = "any")]
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExpectSetCookie {
    None,
    NoneOrClear,
}

/// What a server that speaks HTTP/1.1 makes of the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wire {
    Ok,
    /// It must refuse them.
    Http1Reject,
    /// They end the field's line: another request than the one that is meant.
    Framing,
    /// It may find them too large.
    #[serde(rename = "server_may_431")]
    TooLarge,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Cookie,
    Store,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Part {
    Bytes { b64: Bytes },
    Repeat { repeat: Repeat },
    Token { token: Box<Token> },
}

#[derive(Deserialize)]
struct Repeat {
    b64: Bytes,
    n: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    #[serde(default)]
    mint: Mint,
    #[serde(default)]
    ops: Vec<Op>,
}

/// A token's making; what is not said is the fixtures' default.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Mint {
    purpose: Option<String>,
    cookie_name: Option<String>,
    key: Option<String>,
    kid_of: Option<String>,
    app_id: Option<String>,
    ver: Option<String>,
    age_issued: Option<i64>,
    age_created: Option<i64>,
    issued_at: Option<u64>,
    created_at: Option<u64>,
    sid: Option<String>,
    data: Option<BTreeMap<String, Value>>,
    payload_b64: Option<Bytes>,
    payload_repeat: Option<Vec<Repeat>>,
    raw_body_b64: Option<Bytes>,
    body_text_b64: Option<Bytes>,
}

/// What is done to a token's text.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Op {
    FlipBit { at: Position, bit: u8 },
    Truncate { keep: Option<usize>, drop: Option<usize> },
    TruncateFront { drop: usize },
    Append { b64: Bytes },
    Prepend { b64: Bytes },
    Insert { at: Position, b64: Bytes },
    Delete { at: Position, n: usize },
    SwapBytes { i: Position, j: Position },
    Reverse,
    Case { mode: CaseMode },
    ReplaceSegment { seg: Segment, b64: Bytes },
    DropSegment { seg: Segment },
    SpliceSegment { seg: Segment, from: Box<Mint> },
    B64TrailingBits { seg: Segment, xor: u8 },
    B64PadSegment { seg: Segment, n: usize },
    B64StdAlphabet,
    PctEncode { which: PctEncode },
}

/// Counted from the end when negative.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Position {
    InText(isize),
    InSegment { seg: Segment, off: isize },
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Segment {
    Ver,
    Kid,
    Body,
    Mac,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CaseMode {
    Swap,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PctEncode {
    AllLower,
    DoubleDots,
}

/// Bytes that stand in the file as base64.
#[derive(Clone)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

/// What a session's cookie carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The session.
    Data(Protection),
    /// What a store finds it by.
    Id,
}

impl Carrier {
    pub(crate) fn form(self) -> Protection {
        match self {
            Self::Data(form) => form,
            Self::Id => Protection::Signed,
        }
    }
}

impl From<Protection> for Carrier {
    fn from(form: Protection) -> Self {
        Self::Data(form)
    }
}

/// Which name a flash cookie gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlashName {
    /// The one in the file.
    Plain,
    /// The name that a browser sends: with the batch's id behind it.
    Batch,
}

impl Fixtures {
    pub(crate) fn key(&self, name: &str) -> [u8; 32] {
        unhex(&self.keys_hex[name])
    }

    pub(crate) fn sid(&self) -> [u8; 16] {
        unhex(&self.sid_hex)
    }
}

impl Corpus {
    pub(crate) fn case(&self, id: &str) -> &Case {
        self.cases.iter().find(|case| case.id == id).unwrap()
    }
}

impl Case {
    /// Whether it speaks of sessions that travel in the cookie, and not only of those in a store.
    pub(crate) fn is_for_cookies(&self) -> bool {
        self.modes.contains(&Mode::Cookie)
    }

    /// Whether a token of the previous key is in it, which wants to be sealed again.
    pub(crate) fn has_previous_key(&self) -> bool {
        let previous =
            |part: &Part| matches!(part, Part::Token { token } if token.mint.key.as_deref() == Some("k_previous"));
        self.headers.iter().flatten().any(previous)
    }

    /// The values of the `Cookie` header fields; `None` when an operation means nothing in this form.
    pub(crate) fn headers(&self, carrier: impl Into<Carrier>, flash_name: FlashName) -> Option<Vec<Vec<u8>>> {
        let carrier = carrier.into();
        self.headers.iter().map(|parts| header(parts, carrier, flash_name)).collect()
    }

    /// Whether it speaks of sessions in a store.
    pub(crate) fn is_for_stores(&self) -> bool {
        self.modes.contains(&Mode::Store)
    }

    /// The sessions that its tokens name.
    pub(crate) fn records(&self) -> Vec<Named<'_>> {
        let mints = self.headers.iter().flatten().filter_map(|part| match part {
            Part::Token { token } if !token.mint.is_flash() => Some(&token.mint),
            _ => None,
        });
        mints.map(|mint| Named { sid: mint.sid(), secret: mint.secret(), values: mint.values() }).collect()
    }
}

/// A session in a store that a token names.
pub(crate) struct Named<'a> {
    pub(crate) sid: [u8; 16],
    /// What the cookie carries.
    pub(crate) secret: [u8; 32],
    pub(crate) values: &'a BTreeMap<String, Value>,
}

/// How a server that speaks HTTP/1.1 must take these very bytes.
pub(crate) fn wire_of(headers: &[Vec<u8>]) -> Wire {
    let any = |wanted: fn(&u8) -> bool| headers.iter().flatten().any(wanted);
    let size: usize = headers.iter().map(Vec::len).sum();
    if any(|byte| matches!(byte, b'\r' | b'\n')) {
        Wire::Framing
    } else if any(|byte| !matches!(byte, b'\t' | b' '..=b'~' | 0x80..)) {
        Wire::Http1Reject
    } else if size > 16 * 1024 || headers.len() > 50 {
        Wire::TooLarge
    } else {
        Wire::Ok
    }
}

fn header(parts: &[Part], carrier: Carrier, flash_name: FlashName) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Bytes { b64 } => {
                let next = parts.get(index + 1);
                value.extend(match flash_name {
                    FlashName::Plain => b64.0.clone(),
                    FlashName::Batch => with_batch_id(&b64.0, next),
                });
            }
            Part::Repeat { repeat } => value.extend(repeat.bytes()),
            Part::Token { token } => value.extend(token.text(carrier)?),
        }
    }
    Some(value)
}

/// Puts the id of the token that follows behind the name of a flash cookie.
fn with_batch_id(bytes: &[u8], next: Option<&Part>) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let name = format!("{FLASH}=");
    if !text.contains(&name) {
        return bytes.to_vec();
    }
    let sid = match next {
        Some(Part::Token { token }) => token.mint.sid(),
        _ => CORPUS.fixtures.sid(),
    };
    text.replace(&name, &format!("{FLASH}.{}=", base64url(&sid))).into_bytes()
}

impl Repeat {
    fn bytes(&self) -> Vec<u8> {
        self.b64.0.repeat(self.n)
    }
}

impl Token {
    fn text(&self, carrier: Carrier) -> Option<Vec<u8>> {
        let minted = self.mint.text(carrier);
        let text = self.ops.iter().try_fold(minted.clone(), |text, op| op.apply(text, carrier))?;
        assert!(self.ops.is_empty() || text != minted, "the operations changed nothing");
        Some(text)
    }
}

impl Mint {
    fn text(&self, carrier: Carrier) -> Vec<u8> {
        let fixtures = &CORPUS.fixtures;
        let default = if carrier == Carrier::Id { "id" } else { "session" };
        let purpose = self.purpose.as_deref().unwrap_or(default);
        let (label, version) = match carrier.form() {
            Protection::Signed => ("mac", "1"),
            Protection::Encrypted => ("enc", "2"),
        };
        let binding = Binding {
            label,
            version: self.ver.as_deref().unwrap_or(version),
            purpose,
            cookie_name: self.cookie_name.as_deref().unwrap_or(if purpose == "flash" { FLASH } else { SESSION }),
            application: self.app_id.as_deref().unwrap_or(&fixtures.app_id),
        };
        let key_name = self.key.as_deref().unwrap_or("k_current");
        let key_id = reference::key_id(&fixtures.key(self.kid_of.as_deref().unwrap_or(key_name)));
        self.seal(carrier, binding.key(&fixtures.key(key_name)), binding.version, &key_id)
    }

    fn seal(&self, carrier: Carrier, key: [u8; 32], version: &str, key_id: &str) -> Vec<u8> {
        let body = self.body(carrier);
        let encoded = self.body_text_b64.clone().map(|text| text.0);
        match carrier.form() {
            Protection::Signed => {
                reference::sign(key, version, key_id, &encoded.unwrap_or_else(|| base64url(&body).into_bytes()))
            }
            Protection::Encrypted => {
                let encrypted = || reference::encrypt(key, version, key_id, reference::repeatable_nonce(&body), &body);
                let third = encoded.unwrap_or_else(|| encrypted().into_bytes());
                [version.as_bytes(), key_id.as_bytes(), &third].join(&b'.')
            }
        }
    }

    fn body(&self, carrier: Carrier) -> Vec<u8> {
        if let Some(body) = &self.raw_body_b64 {
            return body.0.clone();
        }
        let now = CORPUS.fixtures.now_unix;
        let ago = |age: i64| now.checked_add_signed(-age).unwrap();
        let age_issued = self.age_issued.unwrap_or(60);
        let default_age = if self.is_flash() { age_issued } else { 600 };
        let created_at = self.created_at.unwrap_or_else(|| ago(self.age_created.unwrap_or(default_age)));
        let issued_at = self.issued_at.unwrap_or_else(|| ago(age_issued));
        reference::body(created_at, issued_at, self.sid(), &self.payload(carrier))
    }

    fn payload(&self, carrier: Carrier) -> Vec<u8> {
        if let Some(payload) = &self.payload_b64 {
            return payload.0.clone();
        }
        if let Some(parts) = &self.payload_repeat {
            return parts.iter().flat_map(Repeat::bytes).collect();
        }
        if carrier == Carrier::Id && !self.is_flash() {
            return self.secret().to_vec();
        }
        serde_json::to_vec(self.values()).unwrap()
    }

    fn values(&self) -> &BTreeMap<String, Value> {
        let fixtures = &CORPUS.fixtures;
        let default = if self.is_flash() { &fixtures.flash_data } else { &fixtures.session_data };
        self.data.as_ref().unwrap_or(default)
    }

    /// What the cookie of this session carries if the session is in a store: sessions that differ have different ones.
    fn secret(&self) -> [u8; 32] {
        let values = serde_json::to_vec(self.values()).unwrap();
        reference::sha256(&[self.sid().as_slice(), &values].concat())
    }

    fn sid(&self) -> [u8; 16] {
        self.sid.as_deref().map_or_else(|| CORPUS.fixtures.sid(), unhex)
    }

    fn is_flash(&self) -> bool {
        self.purpose.as_deref() == Some("flash")
    }
}

impl Op {
    fn apply(&self, mut text: Vec<u8>, carrier: Carrier) -> Option<Vec<u8>> {
        match self {
            Self::FlipBit { at, bit } => {
                let at = at.index(&text)?;
                text[at] ^= 1 << bit;
            }
            Self::Truncate { keep, drop } => text.truncate(keep.unwrap_or_else(|| text.len() - drop.unwrap())),
            Self::TruncateFront { drop } => drop_range(&mut text, 0..*drop),
            Self::Append { b64 } => text.extend(&b64.0),
            Self::Prepend { b64 } => replace(&mut text, 0..0, &b64.0),
            Self::Insert { at, b64 } => {
                let at = at.index(&text)?;
                replace(&mut text, at..at, &b64.0);
            }
            Self::Delete { at, n } => {
                let at = at.index(&text)?;
                drop_range(&mut text, at..at + n);
            }
            Self::SwapBytes { i, j } => {
                let (i, j) = (i.index(&text)?, j.index(&text)?);
                text.swap(i, j);
            }
            Self::Reverse => text.reverse(),
            Self::Case { mode: CaseMode::Swap } => text.iter_mut().for_each(swap_case),
            Self::ReplaceSegment { seg, b64 } => {
                let range = seg.range(&text)?;
                replace(&mut text, range, &b64.0);
            }
            Self::DropSegment { seg } => {
                let range = seg.range(&text)?;
                // With the dot before it, or behind it if it is the first.
                let range = if range.start == 0 { 0..range.end + 1 } else { range.start - 1..range.end };
                drop_range(&mut text, range);
            }
            // Encrypted, the body is all there is: another one is another whole token, and a good one.
            Self::SpliceSegment { seg: Segment::Body, .. } if carrier.form() == Protection::Encrypted => return None,
            Self::SpliceSegment { seg, from } => {
                let other = from.text(carrier);
                let range = seg.range(&text)?;
                replace(&mut text, range, &other[seg.range(&other)?]);
            }
            Self::B64TrailingBits { seg, xor } => {
                let last = seg.range(&text)?.end - 1;
                text[last] = xor_sextet(text[last], *xor);
            }
            Self::B64PadSegment { seg, n } => {
                let end = seg.range(&text)?.end;
                replace(&mut text, end..end, &b"=".repeat(*n));
            }
            Self::B64StdAlphabet => text.iter_mut().for_each(to_standard_alphabet),
            Self::PctEncode { which } => text = which.encode(&text),
        }
        Some(text)
    }
}

impl Position {
    fn index(self, text: &[u8]) -> Option<usize> {
        let (range, offset) = match self {
            Self::InText(offset) => (0..text.len(), offset),
            Self::InSegment { seg, off } => (seg.range(text)?, off),
        };
        let origin = if offset < 0 { range.end } else { range.start };
        origin.checked_add_signed(offset)
    }
}

impl Segment {
    fn range(self, text: &[u8]) -> Option<Range<usize>> {
        let mut start = 0;
        let segment = text.split(|byte| *byte == b'.').nth(self as usize)?;
        for before in text.split(|byte| *byte == b'.').take(self as usize) {
            start += before.len() + 1;
        }
        Some(start..start + segment.len())
    }
}

impl PctEncode {
    fn encode(&self, text: &[u8]) -> Vec<u8> {
        let encode = |byte: &u8| match self {
            Self::AllLower => format!("%{byte:02x}").into_bytes(),
            Self::DoubleDots if *byte == b'.' => b"%252E".to_vec(),
            Self::DoubleDots => vec![*byte],
        };
        text.iter().flat_map(encode).collect()
    }
}

fn replace(text: &mut Vec<u8>, range: Range<usize>, by: &[u8]) {
    text.splice(range, by.iter().copied());
}

fn drop_range(text: &mut Vec<u8>, range: Range<usize>) {
    text.drain(range);
}

fn swap_case(byte: &mut u8) {
    if byte.is_ascii_alphabetic() {
        *byte ^= 0x20;
    }
}

fn to_standard_alphabet(byte: &mut u8) {
    match *byte {
        b'-' => *byte = b'+',
        b'_' => *byte = b'/',
        _ => {}
    }
}

fn xor_sextet(character: u8, xor: u8) -> u8 {
    let position = ALPHABET.iter().position(|known| *known == character).unwrap();
    ALPHABET[position ^ usize::from(xor)]
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
