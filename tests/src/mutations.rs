//! Generated hostility, where the corpus holds one of a kind.

use std::collections::BTreeMap;

use proptest::prelude::*;
use session_core::{
    cookie,
    token::{Protection, Purpose, Token},
};

use crate::{
    golden::{body, fixture_body, ring},
    support::{
        corpus::{CORPUS, SESSION},
        target::{Seen, Target, Way},
    },
};

/// One change to one place of a text.
#[derive(Clone, Debug)]
enum Mutation {
    Change(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
}

impl Mutation {
    fn apply(&self, text: &mut Vec<u8>) {
        match self {
            Self::Change(at, byte) => {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            Self::Insert(at, byte) => text.insert(at.index(text.len() + 1), *byte),
            Self::Delete(at) => {
                text.remove(at.index(text.len()));
            }
        }
    }
}

/// Mostly of the token's own alphabet: what falls outside it fails on shape alone and proves little.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![4 => prop::sample::select(b"ABCXYZabcxyz0189-_.".to_vec()), 1 => any::<u8>()]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<prop::sample::Index>(), byte()).prop_map(|(at, byte)| Mutation::Change(at, byte)),
        (any::<prop::sample::Index>(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        any::<prop::sample::Index>().prop_map(Mutation::Delete),
    ]
}

fn opens(form: Protection, text: &[u8]) -> bool {
    let ring = ring(form, Purpose::Session);
    Token::parse(text, form).and_then(|token| ring.open(&token)).is_some()
}

#[test]
fn no_byte_of_a_token_can_be_another() {
    for form in [Protection::Signed, Protection::Encrypted] {
        let ring = ring(form, Purpose::Session);
        let token = ring.seal(&fixture_body()).unwrap().into_bytes();
        assert!(opens(form, &token));
        for at in 0..token.len() {
            for byte in (0..=255).filter(|byte| *byte != token[at]) {
                let mut text = token.clone();
                text[at] = byte;
                let verified = Token::parse(&text, form).and_then(|token| ring.open(&token));
                assert!(verified.is_none(), "byte {at} as {byte}");
            }
        }
    }
}

/// What may stand in a request beside the one good cookie.
#[derive(Clone, Debug)]
enum Item {
    Alice,
    Mallory,
    /// Alice's token with one character changed.
    Damaged(prop::sample::Index),
    /// Alice's token under a name that is almost ours.
    Impostor(&'static str),
    /// Somebody else's cookie, of any bytes that HTTP lets through.
    Neighbour(Vec<u8>),
}

fn item() -> impl Strategy<Value = Item> {
    let names =
        ["__host-session", "session", "__Host-session ", "__Host-%73ession", "\"__Host-session\"", "__Host-flash"];
    prop_oneof![
        3 => Just(Item::Alice),
        1 => Just(Item::Mallory),
        1 => any::<prop::sample::Index>().prop_map(Item::Damaged),
        1 => prop::sample::select(names.to_vec()).prop_map(Item::Impostor),
        1 => field_bytes().prop_map(Item::Neighbour),
    ]
}

/// What a header field may hold, but for the semicolon that ends a cookie.
fn field_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        any::<u8>().prop_filter("a field's bytes", |byte| is_field_byte(*byte) && *byte != b';'),
        0..40,
    )
}

fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// The tokens of a request, each sealed once.
struct Tokens {
    alice: String,
    mallory: String,
}

impl Tokens {
    fn new(form: Protection) -> Self {
        let seal = |body: &[u8]| ring(form, Purpose::Session).seal(body).unwrap();
        let mallory = serde_json::to_vec(&CORPUS.fixtures.session_data_b).unwrap();
        Self { alice: seal(&fixture_body()), mallory: seal(&body([0xff; 16], &mallory)) }
    }

    fn cookie(&self, item: &Item) -> Vec<u8> {
        let pair = |name: &str, value: &str| format!("{name}={value}").into_bytes();
        match item {
            Item::Alice => pair(SESSION, &self.alice),
            Item::Mallory => pair(SESSION, &self.mallory),
            Item::Damaged(at) => {
                let mut token = self.alice.clone().into_bytes();
                let at = at.index(token.len());
                token[at] = if token[at] == b'A' { b'B' } else { b'A' };
                pair(SESSION, std::str::from_utf8(&token).unwrap())
            }
            Item::Impostor(name) => pair(name, &self.alice),
            Item::Neighbour(bytes) => [b"x=", bytes.as_slice()].concat(),
        }
    }
}

/// Asks an application once and says what its handler saw.
fn ask(form: Protection, cookies: &[Vec<u8>]) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let target = Target::new(form, Way::InProcess).await;
        let answer = target.transport.get(cookies).await.unwrap();
        assert_eq!((answer.status, target.runs()), (200, 1));
        Seen::of(&answer)
    })
}

#[test]
fn a_cookie_of_4096_bytes_is_read_and_one_of_4097_is_not() {
    for (form, largest) in [(Protection::Signed, 2991), (Protection::Encrypted, 2984)] {
        for (length, size) in [(largest, 4096), (largest + 1, 4097)] {
            let payload = format!(r#"{{"x":"{}"}}"#, "A".repeat(length - 8));
            let token = ring(form, Purpose::Session).seal(&body([1; 16], payload.as_bytes())).unwrap();
            assert_eq!(SESSION.len() + token.len(), size, "{form:?}");
            let seen = ask(form, &[format!("{SESSION}={token}").into_bytes()]);
            assert_eq!(seen.session.is_empty(), size > 4096, "{form:?}");
        }
    }
}

proptest! {
    #[test]
    fn the_one_valid_token_is_the_session_wherever_it_stands(
        form in prop::sample::select(vec![Protection::Signed, Protection::Encrypted]),
        items in prop::collection::vec(item(), 0..=4),
        separator in prop::sample::select(vec![None, Some("; "), Some(";"), Some(" ;\t;; ")]),
    ) {
        let tokens = Tokens::new(form);
        let cookies: Vec<_> = items.iter().map(|item| tokens.cookie(item)).collect();
        let headers = separator.map_or_else(|| cookies.clone(), |text| vec![cookies.join(text.as_bytes())]);
        let has = |wanted: fn(&Item) -> bool| items.iter().any(wanted);
        let expected = match (has(|item| matches!(item, Item::Alice)), has(|item| matches!(item, Item::Mallory))) {
            (true, false) => CORPUS.fixtures.session_data.clone(),
            (false, true) => CORPUS.fixtures.session_data_b.clone(),
            _ => BTreeMap::new(),
        };
        prop_assert_eq!(ask(form, &headers).session, expected);
    }

    #[test]
    fn a_random_cookie_header_disturbs_nothing(
        form in prop::sample::select(vec![Protection::Signed, Protection::Encrypted]),
        before in prop::collection::vec(any::<u8>().prop_filter("a field's byte", |byte| is_field_byte(*byte)), 0..300),
        name in prop::sample::select(vec!["", "__Host-session=", "__Host-session.1=", "__Host-flash.AAECAwQFBgcICQoLDA0ODw="]),
        value in prop::collection::vec(byte().prop_filter("a field's byte", |byte| is_field_byte(*byte)), 0..300),
    ) {
        let hostile = [before.as_slice(), b";", name.as_bytes(), &value].concat();
        let seen = ask(form, std::slice::from_ref(&hostile));
        prop_assert!(seen.session.is_empty() && seen.flash_is_empty);
        let good = Tokens::new(form).cookie(&Item::Alice);
        prop_assert_eq!(&ask(form, &[hostile, good]).session, &CORPUS.fixtures.session_data);
    }

    #[test]
    fn a_mutated_token_never_verifies(
        form in prop::sample::select(vec![Protection::Signed, Protection::Encrypted]),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let token = ring(form, Purpose::Session).seal(&fixture_body()).unwrap().into_bytes();
        let mut text = token.clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut text));
        prop_assert_eq!(opens(form, &text), text == token);
    }

    #[test]
    fn random_bytes_are_no_token(text in prop::collection::vec(byte(), 0..300)) {
        prop_assert!(!opens(Protection::Signed, &text));
        prop_assert!(!opens(Protection::Encrypted, &text));
    }

    #[test]
    fn a_random_cookie_header_holds_no_session(header in prop::collection::vec(any::<u8>(), 0..600)) {
        for (_, value) in cookie::pairs(&header) {
            prop_assert!(!opens(Protection::Signed, value));
        }
    }
}
