//! Hostile `Cookie` headers against a whole application, signed and encrypted, in process and over TCP.
//!
//! The corpus is a sample of each class of attack. Every case asserts what the handler saw, what the browser was
//! told, and that nobody repeats the attacker's bytes.

use std::collections::HashSet;

use session_axum::SessionLayer;
use session_core::{
    SessionId,
    store::{Changes, RecordKey, SessionStore as _, Visit, Write},
    token::{Protection, Purpose},
};

use crate::{
    golden::ring,
    support::{
        corpus::{
            CORPUS, Carrier, Case, ExpectFlash, ExpectSession, ExpectSetCookie, FLASH, FlashName, Named, SESSION, Wire,
            wire_of,
        },
        exchange::Answer,
        logs::Logs,
        reference,
        target::{Seen, Target, Way},
        watched::{Fault, Watched},
    },
};

#[tokio::test]
async fn every_hostile_header_does_what_is_stated_signed_in_process() {
    attack(Protection::Signed, Way::InProcess).await;
}

#[tokio::test]
async fn every_hostile_header_does_what_is_stated_signed_over_tcp() {
    attack(Protection::Signed, Way::Tcp).await;
}

#[tokio::test]
async fn every_hostile_header_does_what_is_stated_encrypted_in_process() {
    attack(Protection::Encrypted, Way::InProcess).await;
}

#[tokio::test]
async fn every_hostile_header_does_what_is_stated_encrypted_over_tcp() {
    attack(Protection::Encrypted, Way::Tcp).await;
}

#[tokio::test]
async fn every_hostile_header_does_what_is_stated_stored_in_process() {
    attack_store(Way::InProcess).await;
}

#[tokio::test]
async fn every_hostile_header_does_what_is_stated_stored_over_tcp() {
    attack_store(Way::Tcp).await;
}

#[tokio::test]
async fn the_null_layer_reads_nothing_and_sets_nothing_whatever_comes() {
    let target = Target::behind(SessionLayer::null(), Carrier::Data(Protection::Signed), Way::InProcess).await;
    for case in &CORPUS.cases {
        let Some(answer) = target.transport.get(&case.headers(Protection::Signed, FlashName::Batch).unwrap()).await
        else {
            continue;
        };
        let seen = Seen::of(&answer);
        assert!(seen.session.is_empty() && seen.flash_is_empty, "{}", case.id);
        assert_eq!(answer.all("set-cookie").count(), 0, "{}", case.id);
    }
}

#[tokio::test]
async fn the_times_of_a_token_hold_at_their_edges() {
    for form in [Protection::Signed, Protection::Encrypted] {
        let target = Target::new(form, Way::InProcess).await;
        // The ages of a session, and whether it lives: created and issued so many seconds ago.
        for (created, issued, lives) in [
            (1_800, 1_800, true),
            (1_801, 1_801, false),
            (43_200, 10, true),
            (43_201, 10, false),
            (-60, -60, true),
            (-61, -61, false),
            (0, -61, false),
            (599, 600, false),
        ] {
            let cookie = cookie(form, Purpose::Session, created, issued, r#"{"user":"alice"}"#);
            let seen = Seen::of(&target.transport.get(&[cookie]).await.unwrap());
            assert_eq!(!seen.session.is_empty(), lives, "a session created {created} and issued {issued} s ago");
        }
        for (age, lives) in [(300, true), (301, false), (-60, true), (-61, false)] {
            let cookie = cookie(form, Purpose::Flash, age, age, r#"{"notice":["saved"]}"#);
            let seen = Seen::of(&target.transport.get(&[cookie]).await.unwrap());
            assert_eq!(!seen.flash_is_empty, lives, "a batch of {age} s ago");
        }
    }
}

#[tokio::test]
async fn a_flash_cookie_without_its_batch_in_the_name_is_not_read() {
    let target = Target::new(Protection::Signed, Way::InProcess).await;
    let headers = CORPUS.case("CTRL-008").headers(Protection::Signed, FlashName::Plain).unwrap();
    let seen = Seen::of(&target.transport.get(&headers).await.unwrap());
    assert_eq!((seen.session, seen.notice), (CORPUS.fixtures.session_data.clone(), vec![]));
    assert!(seen.flash_is_empty);
}

#[tokio::test]
async fn a_batch_under_the_name_of_another_is_not_read() {
    let target = Target::new(Protection::Signed, Way::InProcess).await;
    let headers = CORPUS.case("CTRL-008").headers(Protection::Signed, FlashName::Batch).unwrap();
    let renamed = String::from_utf8(headers.concat()).unwrap().replace(".AAEC", ".AAED").into_bytes();
    assert_ne!(headers.concat(), renamed);
    assert!(Seen::of(&target.transport.get(&[renamed]).await.unwrap()).flash_is_empty);
}

#[tokio::test]
async fn two_texts_of_one_batch_are_ambiguous_and_neither_is_read() {
    let target = Target::new(Protection::Signed, Way::InProcess).await;
    let batch = |payload| cookie(Protection::Signed, Purpose::Flash, 0, 0, payload);
    let (one, other) = (batch(r#"{"notice":"saved"}"#), batch(r#"{"notice":"evil"}"#));
    let notice = async |cookies: &[Vec<u8>]| Seen::of(&target.transport.get(cookies).await.unwrap()).notice;
    assert_eq!(notice(std::slice::from_ref(&one)).await, ["saved"]);
    assert_eq!(notice(&[one.clone(), one.clone()]).await, ["saved"]);
    assert_eq!(notice(&[one, other]).await, [""; 0]);
}

#[test]
fn a_line_that_repeats_a_cookie_is_found() {
    let (logs, _guard) = Logs::capture();
    let headers = CORPUS.case("CTRL-001").headers(Protection::Signed, FlashName::Batch).unwrap();
    let token = String::from_utf8(value(&headers[0]).to_vec()).unwrap();
    tracing::trace!(token, "the whole of it");
    tracing::trace!("{:?} within a sentence", &token[60..72]);
    let _span = tracing::trace_span!("a span", field = &token[60..68]).entered();
    tracing::trace!("nothing of it");
    let found = logs.take().into_iter().map(|line| fragments(&headers).repeated_by(recorded(&line).as_bytes()));
    assert_eq!(found.collect::<Vec<_>>(), [true, true, true, false]);
}

/// A cookie of the fixtures' newest key and id, of so many seconds ago.
fn cookie(form: Protection, purpose: Purpose, created: i64, issued: i64, payload: &str) -> Vec<u8> {
    let ago = |age: i64| CORPUS.fixtures.now_unix.checked_add_signed(-age).unwrap();
    let body = reference::body(ago(created), ago(issued), CORPUS.fixtures.sid(), payload.as_bytes());
    let token = ring(form, purpose).seal(&body).unwrap();
    let name = match purpose {
        Purpose::Flash => format!("{FLASH}.{}", reference::base64url(&CORPUS.fixtures.sid())),
        _ => SESSION.to_owned(),
    };
    format!("{name}={token}").into_bytes()
}

async fn attack(form: Protection, way: Way) {
    let target = Target::new(form, way).await;
    let (logs, _guard) = Logs::capture();
    let mut failures = Vec::new();
    let mut attacks = 0;
    for case in CORPUS.cases.iter().filter(|case| case.is_for_cookies()) {
        let Some(headers) = case.headers(form, FlashName::Batch) else { continue };
        if let Err(failure) = target.withstands(case, &headers, &logs).await {
            failures.push(format!("{} ({}): {failure}", case.id, case.title));
        }
        attacks += 1;
    }
    assert!(failures.is_empty(), "{} of {attacks} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(attacks > 140, "only {attacks} cases were tried");
}

/// Against sessions in a store, which is asked about no token that does not verify.
async fn attack_store(way: Way) {
    let store = Watched::new();
    let target = Target::on(store.clone(), way).await;
    put(&store, CORPUS.case("CTRL-001"), 0).await;
    let (logs, _guard) = Logs::capture();
    let mut failures = Vec::new();
    let mut attacks = 0;
    for case in CORPUS.cases.iter().filter(|case| case.is_for_stores()) {
        let Some(headers) = case.headers(Carrier::Id, FlashName::Batch) else { continue };
        prepare(&store, case).await;
        store.calls();
        if let Err(failure) = target.withstands(case, &headers, &logs).await {
            failures.push(format!("{} ({}): {failure}", case.id, case.title));
        }
        // The valid request after each case asks once.
        let asked = store.calls().iter().filter(|call| **call == "load").skip(1).count();
        let verifies = case.expect.session != ExpectSession::None || NO_SESSION.contains(&case.id.as_str());
        if !verifies && asked > 0 {
            failures.push(format!("{} ({}): the store was asked", case.id, case.title));
        }
        attacks += 1;
    }
    assert!(failures.is_empty(), "{} of {attacks} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(attacks > 120, "only {attacks} cases were tried");
}

/// Makes the records that a case speaks of.
async fn prepare(store: &Watched, case: &Case) {
    match case.id.as_str() {
        "SID-005" => put(store, case, CORPUS.fixtures.idle_ttl_s + 1).await,
        "SID-008" => store.fail(Fault::Unreadable, 1),
        "SID-011" => {}
        _ => put(store, case, 0).await,
    }
}

/// Makes the records of a case's tokens as they were this many seconds ago.
async fn put(store: &Watched, case: &Case, age: u64) {
    for Named { sid, secret, values } in case.records() {
        let mut changes = Changes::default();
        values.iter().for_each(|(key, value)| changes.insert(key, value.to_string()));
        let now = CORPUS.fixtures.now_unix - age;
        let visit = Visit { now, expires_at: now + CORPUS.fixtures.idle_ttl_s };
        let key = RecordKey::of_secret(SessionId::from_bytes(sid), &secret);
        store.create(&key, Write::new(&changes, visit)).await.unwrap();
    }
}

/// Cases whose tokens verify, so that the store is asked: sessions that are not there, and two different ones, of which
/// one whose record is gone would not count.
const NO_SESSION: [&str; 4] = ["SID-005", "SID-008", "SID-011", "DUP-008"];

impl Target {
    async fn withstands(&self, case: &Case, headers: &[Vec<u8>], logs: &Logs) -> Result<(), String> {
        let wire = wire_of(headers);
        if wire == Wire::Framing && self.way == Way::Tcp {
            return Ok(());
        }
        let before = self.runs();
        let answer = self.transport.get(headers).await;
        let fragments = fragments(headers);
        let repeats = logs.take().iter().any(|line| fragments.repeated_by(recorded(line).as_bytes()));
        ensure(!repeats, "a log line repeats it")?;
        match answer {
            Some(answer) => {
                ensure(matches!(wire, Wire::Ok | Wire::TooLarge), "the bytes should not have come this far")?;
                ensure(self.runs() == before + 1, "the handler did not run exactly once")?;
                self.answers_as_stated(case, &answer).await?;
                ensure(!answer.repeats(&fragments), "a header of the response repeats it")?;
            }
            None => {
                ensure(
                    wire == Wire::Http1Reject
                        || wire == Wire::Framing
                        || (wire == Wire::TooLarge && self.way == Way::Tcp),
                    "HTTP refused it",
                )?;
                ensure(self.runs() == before, "the handler ran although HTTP refused it")?;
            }
        }
        self.still_works().await
    }

    async fn answers_as_stated(&self, case: &Case, answer: &Answer) -> Result<(), String> {
        ensure(answer.status == 200, &format!("status {}", answer.status))?;
        let seen = Seen::of(answer);
        ensure(seen.is_session(case.expect.session), &format!("the session is {:?}", seen.session))?;
        ensure(seen.is_flash(case), &format!("the flash is {:?}", seen.notice))?;
        self.sets_cookies_as_stated(case, answer).await
    }

    async fn sets_cookies_as_stated(&self, case: &Case, answer: &Answer) -> Result<(), String> {
        let set: Vec<_> = answer.all("set-cookie").map(String::from_utf8_lossy).collect();
        let right = match case.expect.set_cookie {
            // A rotation ends some day because what an old key sealed is sealed again.
            _ if case.has_previous_key() => set.len() == 1 && self.is_sealed_again(&set[0]).await,
            ExpectSetCookie::None => set.is_empty(),
            ExpectSetCookie::NoneOrClear => set.is_empty() || (set.len() == 1 && set[0] == cleared()),
        };
        ensure(right, &format!("it sets the cookies {set:?}"))
    }

    /// By the newest key, with the same content, and once for all.
    async fn is_sealed_again(&self, set_cookie: &str) -> bool {
        let key_id = reference::key_id(&CORPUS.fixtures.key("k_current"));
        let version = if self.carrier.form() == Protection::Signed { "1" } else { "2" };
        let pair = set_cookie.split(';').next().unwrap();
        let answer = self.transport.get(&[pair.into()]).await.unwrap();
        pair.starts_with(&format!("{SESSION}={version}.{key_id}."))
            && Seen::of(&answer).is_session(ExpectSession::A)
            && answer.all("set-cookie").next().is_none()
    }

    async fn still_works(&self) -> Result<(), String> {
        let headers = CORPUS.case("CTRL-001").headers(self.carrier, FlashName::Batch).unwrap();
        let answer = self.transport.get(&headers).await.unwrap();
        let works = answer.status == 200 && Seen::of(&answer).is_session(ExpectSession::A);
        ensure(works, "a valid request after it fails")
    }
}

impl Seen {
    fn is_flash(&self, case: &Case) -> bool {
        let mut notice: Vec<_> = self.notice.iter().map(String::as_str).collect();
        notice.sort_unstable();
        match case.expect.flash {
            // Each batch has a cookie of its own: two of them are two messages and not an ambiguity.
            _ if case.id == "FLA-011" => notice == ["evil", "saved"],
            ExpectFlash::None => self.flash_is_empty && notice.is_empty(),
            ExpectFlash::F => notice == ["saved"],
            ExpectFlash::Any => true,
        }
    }
}

/// The `Set-Cookie` that removes the session's cookie.
fn cleared() -> String {
    format!("{SESSION}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0")
}

fn ensure(condition: bool, failure: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(failure.to_owned()) }
}

/// What of a request nobody may repeat: each stretch of its cookies' values, and the short values as a whole.
struct Fragments<'a> {
    stretches: HashSet<&'a [u8]>,
    short: Vec<&'a [u8]>,
}

/// Returns what a line has recorded. The level, the target and the name before it are constants of the sources, and
/// ` session` is in some of them.
fn recorded(line: &str) -> &str {
    let has_metadata = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].iter().any(|level| line.starts_with(level));
    line.split_once(": ").filter(|_| has_metadata).map_or(line, |(_, recorded)| recorded)
}

fn fragments(headers: &[Vec<u8>]) -> Fragments<'_> {
    let mut fragments = Fragments { stretches: HashSet::new(), short: Vec::new() };
    for value in headers.iter().flat_map(|header| header.split(|byte| *byte == b';')).map(value) {
        match value.len() {
            0..SHORTEST => {}
            SHORTEST..STRETCH => fragments.short.push(value),
            _ => fragments.stretches.extend(value.windows(STRETCH)),
        }
    }
    fragments
}

impl Fragments<'_> {
    fn repeated_by(&self, text: &[u8]) -> bool {
        let holds = |short: &&[u8]| text.windows(short.len()).any(|window| window == *short);
        self.short.iter().any(holds) || text.windows(STRETCH).any(|window| self.stretches.contains(window))
    }
}

impl Answer {
    /// What a valid token begins with, its next token may begin with as well.
    fn repeats(&self, fragments: &Fragments<'_>) -> bool {
        let others = self.headers.iter().filter(|(name, _)| name != "set-cookie");
        others.into_iter().any(|(name, value)| fragments.repeated_by(name.as_bytes()) || fragments.repeated_by(value))
    }
}

/// Behind the first `=`, or all of it if there is none.
fn value(pair: &[u8]) -> &[u8] {
    pair.iter().position(|byte| *byte == b'=').map_or(pair, |equals| &pair[equals + 1..]).trim_ascii()
}

/// Shorter values say nothing when they are found.
const SHORTEST: usize = 4;
const STRETCH: usize = 8;
