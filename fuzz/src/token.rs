//! The text of a token.
//!
//! The first byte chooses the protection, and the second one what the rest is: the text of a token, a body to seal, or
//! a damage to do to a sealed token.

use session_core::{
    SessionId,
    token::{Frame, Protection, Ring, Token, Verified},
};

use crate::application::{Secret, ring};

fn open(ring: &Ring, text: &[u8]) -> Option<Verified> {
    Token::parse(text, ring.protection()).and_then(|token| ring.open(&token))
}

/// Opens, seals or damages.
///
/// # Panics
///
/// Panics if a text opens that was not sealed, or if a sealed one does not open.
pub fn run(data: &[u8]) {
    let [protection, choice, rest @ ..] = data else { return };
    let protection = if protection % 2 == 0 { Protection::Signed } else { Protection::Encrypted };
    let ring = ring(Secret::Current, protection);
    match choice % 3 {
        0 => {
            let is_honest = open(&ring, rest).is_none_or(|verified| is_sealed_by(&ring, rest, verified));
            assert!(is_honest, "a text opens that was not sealed");
        }
        1 => {
            let text = sealed(&ring, rest);
            let verified = open(&ring, text.as_bytes()).expect("a sealed token opens");
            assert_eq!((verified.frame(), verified.payload()), (FRAME, rest));
        }
        _ => {
            let text = sealed(&ring, b"{\"n\":1}").into_bytes();
            let mut damaged = text.clone();
            for edit in rest.chunks_exact(3) {
                let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % damaged.len().max(1);
                match edit[2] {
                    0xff if !damaged.is_empty() => drop(damaged.remove(at)),
                    0xfe => damaged.insert(at, edit[0]),
                    0xfd => damaged.truncate(at),
                    byte if !damaged.is_empty() => damaged[at] = byte,
                    _ => {}
                }
            }
            assert_eq!(open(&ring, &damaged).is_some(), damaged == text, "a damaged token opens");
        }
    }
}

const FRAME: Frame = Frame { id: SessionId::from_bytes([7; 16]), created_at: 5, issued_at: 7 };

fn sealed(ring: &Ring, payload: &[u8]) -> String {
    let mut body = FRAME.begin_body(payload.len());
    body.extend_from_slice(payload);
    ring.seal(&body).expect("the system returns random bytes")
}

/// Whether the ring itself seals this text. The seeds have authentic tokens, and a signature is always the same.
fn is_sealed_by(ring: &Ring, text: &[u8], verified: Verified) -> bool {
    let mut body = verified.frame().begin_body(0);
    body.extend_from_slice(verified.payload());
    match ring.protection() {
        Protection::Signed => ring.seal(&body).is_ok_and(|again| again.as_bytes() == text),
        // A nonce makes every token new, but what opens was JSON.
        Protection::Encrypted => verified.entries().is_ok(),
    }
}
