//! What a request may cost that brings hostile cookies: checks, memory, time and calls of the store.
//!
//! `RUSTFLAGS="--cfg fuzzing" cargo test --release --manifest-path fuzz/Cargo.toml -- --nocapture`

use std::time::{Duration, Instant};

use axum::http::HeaderValue;
use session_axum::SessionLayer;
use session_core::{
    cookie,
    fuzzing::take_checks,
    token::{Protection, Purpose, Token},
};
use session_fuzz::application::{APPLICATION, Secret, app, configured, keys, layer, send};
use support::{
    corpus::{CORPUS, Carrier, FLASH, FlashName, SESSION},
    watched,
};

#[path = "../../tests/hostile/src/heap.rs"]
#[allow(unsafe_code, dead_code, reason = "a global allocator is an unsafe trait")]
mod heap;
#[path = "../../tests/src/support"]
#[allow(dead_code, reason = "it is for other tests, too")]
mod support {
    pub(crate) mod corpus;
    pub(crate) mod polls;
    pub(crate) mod reference;
    pub(crate) mod watched;
}

/// At most so many MACs or tags are checked for a request.
const CHECKS: u32 = 4;
/// So many bytes may be allocated above the length of the header.
const BYTES: usize = 256 * 1024;
const TIME: Duration = Duration::from_millis(10);

struct Case {
    id: String,
    headers: Vec<Vec<u8>>,
}

/// All cases of the file whose tokens can be made so, and some long ones.
fn cases(carrier: Carrier) -> Vec<Case> {
    let of_file = CORPUS.cases.iter().filter_map(|case| {
        let headers = case.headers(carrier, FlashName::Batch)?;
        Some(Case { id: case.id.clone(), headers })
    });
    of_file.chain(long(carrier)).collect()
}

/// Headers of up to 1 MiB: one name, many candidates, many flash cookies. The key ids are right, the rest is not.
fn long(carrier: Carrier) -> [Case; 4] {
    let case = |id: &str, header: Vec<u8>| Case { id: id.to_owned(), headers: vec![header] };
    let token = |number: usize| match carrier.form() {
        Protection::Signed => format!("1.6mjM.{}.{number:A>43}", "A".repeat(80)),
        Protection::Encrypted => format!("2.6mjM.{number:A>204}"),
    };
    let many = |name: &str| (0..4_000).map(|tag| format!("{name}={}", token(tag))).collect::<Vec<_>>().join("; ");
    [
        case("1 MiB of one cookie", format!("{SESSION}={}", "A".repeat(1 << 20)).into_bytes()),
        case("4,000 candidates", many(SESSION).into_bytes()),
        case("4,000 flash cookies", many(&format!("{FLASH}.AAAAAAAAAAAAAAAAAAAAAA")).into_bytes()),
        case("separators", "; ".repeat(1 << 19).into_bytes()),
    ]
}

struct Cost {
    id: String,
    checks: u32,
    bytes: usize,
    time: Duration,
}

fn measured(carrier: Carrier, layer: SessionLayer) -> Vec<Cost> {
    let app = app(layer);
    let _ = send(&app, "/", Vec::new()); // what is made once
    let costs: Vec<Cost> = cases(carrier)
        .into_iter()
        .map(|Case { id, headers }| {
            let length: usize = headers.iter().map(Vec::len).sum();
            let values: Vec<_> = headers.iter().filter_map(|header| HeaderValue::from_bytes(header).ok()).collect();
            let _ = take_checks();
            let (time, most) = heap::most(|| {
                let start = Instant::now();
                let (response, _) = send(&app, "/", values);
                assert_eq!(response.status(), 200, "{id}");
                start.elapsed()
            });
            Cost { id, checks: take_checks(), bytes: most.saturating_sub(length), time }
        })
        .collect();
    let most = |of: fn(&Cost) -> u128| costs.iter().max_by_key(|cost| of(cost)).unwrap();
    let (checks, bytes, time) =
        (most(|cost| cost.checks.into()), most(|cost| cost.bytes as u128), most(|cost| cost.time.as_nanos()));
    println!(
        "{carrier:?}: {} headers; {} checks ({}), {} bytes ({}), {} us ({})",
        costs.len(),
        checks.checks,
        checks.id,
        bytes.bytes,
        bytes.id,
        time.time.as_micros(),
        time.id
    );
    costs
}

fn check(costs: &[Cost]) {
    assert!(costs.len() > 150);
    for Cost { id, checks, bytes, time } in costs {
        assert!(*checks <= CHECKS, "{id}: {checks} checks");
        assert!(*bytes <= BYTES, "{id}: {bytes} bytes");
        assert!(cfg!(debug_assertions) || *time <= TIME, "{id}: {time:?}");
    }
    assert!(costs.iter().any(|cost| cost.checks > 0), "nothing is counted");
}

#[test]
fn a_signed_session_stays_within_the_budget() {
    check(&measured(Carrier::Data(Protection::Signed), layer(Protection::Signed)));
}

#[test]
fn an_encrypted_session_stays_within_the_budget() {
    check(&measured(Carrier::Data(Protection::Encrypted), layer(Protection::Encrypted)));
}

#[test]
fn a_stored_session_stays_within_the_budget() {
    let store = watched::Watched::new();
    check(&measured(Carrier::Id, configured(SessionLayer::stored(store, keys(Secret::Current)))));
}

#[test]
fn what_does_not_verify_never_reaches_the_store() {
    let store = watched::Watched::new();
    let app = app(configured(SessionLayer::stored(store.clone(), keys(Secret::Current))));
    let ring = keys(Secret::Current).ring(Protection::Signed, Purpose::Id, SESSION, APPLICATION);
    let verifies =
        |value: &[u8]| Token::parse(value, Protection::Signed).is_some_and(|token| ring.open(&token).is_some());
    let (mut asked, mut silent) = (0, 0);
    for Case { id, headers } in cases(Carrier::Id) {
        let values = headers.iter().filter_map(|header| HeaderValue::from_bytes(header).ok());
        let _ = send(&app, "/", values.collect());
        let calls = store.calls();
        let pairs = headers.iter().flat_map(|header| cookie::pairs(header));
        if pairs.filter(|(name, _)| *name == SESSION.as_bytes()).any(|(_, value)| verifies(value)) {
            asked += usize::from(!calls.is_empty());
        } else {
            assert!(calls.is_empty(), "{id}: {calls:?}");
            silent += 1;
        }
    }
    println!("{silent} headers without an authentic id ask nothing, {asked} with one ask");
    assert!(silent > 50 && asked > 10);
}
