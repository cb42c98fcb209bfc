//! Generated hostility, where the corpus holds one of a kind.

use proptest::prelude::*;
use session_core::{Form, Purpose, Token, cookie};

use crate::golden::{fixture_body, ring};

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

fn opens(form: Form, text: &[u8]) -> bool {
    let ring = ring(form, Purpose::Session);
    Token::parse(text, form).and_then(|token| ring.open(&token)).is_some()
}

#[test]
fn no_byte_of_a_token_can_be_another() {
    for form in [Form::Signed, Form::Encrypted] {
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

proptest! {
    #[test]
    fn a_mutated_token_never_verifies(
        form in prop::sample::select(vec![Form::Signed, Form::Encrypted]),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let token = ring(form, Purpose::Session).seal(&fixture_body()).unwrap().into_bytes();
        let mut text = token.clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut text));
        prop_assert_eq!(opens(form, &text), text == token);
    }

    #[test]
    fn random_bytes_are_no_token(text in prop::collection::vec(byte(), 0..300)) {
        prop_assert!(!opens(Form::Signed, &text));
        prop_assert!(!opens(Form::Encrypted, &text));
    }

    #[test]
    fn a_random_cookie_header_holds_no_session(header in prop::collection::vec(any::<u8>(), 0..600)) {
        for (_, value) in cookie::pairs(&header) {
            prop_assert!(!opens(Form::Signed, value));
        }
    }
}
