//! Damages tokens in every way that takes one edit, and at random in several places.

use session_core::{
    Keys, SessionId,
    token::{Frame, Protection, Purpose, Ring, Token},
};

use crate::{hostile::damage, random::Random};

/// The sizes of the payloads, in bytes: almost nothing, a usual session, and a large one.
pub const PAYLOADS: [usize; 3] = [2, 118, 2_048];

/// What a run has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Texts that differ from every token that was sealed.
    pub tried: u64,
    /// Texts of them that were opened: there must be none.
    pub opened: u64,
}

/// A ring, and a token that it has sealed.
#[derive(Debug)]
pub struct Subject {
    ring: Ring,
    token: Vec<u8>,
    /// Other tokens of the same ring, to take parts from.
    others: Vec<Vec<u8>>,
}

impl Subject {
    /// Seals a token with a payload of this size.
    ///
    /// # Panics
    ///
    /// Panics if the operating system returns no random bytes.
    #[must_use]
    pub fn new(protection: Protection, payload: usize) -> Self {
        let keys = Keys::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E").expect("it is a good secret");
        let ring = keys.ring(protection, Purpose::Session, "__Host-session", "");
        let sealed = |number: u8, payload: usize| {
            let frame = Frame { id: SessionId::from_bytes([number; 16]), created_at: 5, issued_at: 7 };
            let mut body = frame.begin_body(payload);
            body.extend_from_slice(format!("{{\"a\":\"{}\"}}", "x".repeat(payload.saturating_sub(8))).as_bytes());
            body.truncate(body.len().min(32 + payload.max(2)));
            ring.seal(&body).expect("the system returns random bytes").into_bytes()
        };
        let others = (2..6).map(|number| sealed(number, payload)).collect();
        let token = sealed(1, payload);
        Self { ring, token, others }
    }

    /// Returns the length of the token.
    #[must_use]
    pub fn len(&self) -> usize {
        self.token.len()
    }

    /// Returns whether there is no token, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.token.is_empty()
    }

    fn opens(&self, text: &[u8]) -> bool {
        let protection = self.ring.protection();
        Token::parse(text, protection).and_then(|token| self.ring.open(&token)).is_some()
    }

    fn try_text(&self, text: &[u8], tally: &mut Tally) {
        if text == self.token || self.others.iter().any(|other| other == text) {
            return;
        }
        tally.tried += 1;
        tally.opened += u64::from(self.opens(text));
    }

    /// Tries every text that is one edit away: each other byte, each bit, each deletion, each insertion of a byte, each
    /// exchange of two bytes, the other case of a letter, each beginning and each end, and each exchange of the three
    /// segments with those of other tokens.
    ///
    /// # Panics
    ///
    /// Panics if the token itself does not open.
    #[must_use]
    pub fn every_edit(&self) -> Tally {
        assert!(self.opens(&self.token), "the token itself opens");
        let (token, mut tally) = (&self.token, Tally::default());
        let mut text = token.clone();
        for at in 0..token.len() {
            // Each other byte: the flips of single bits and of the case are among them.
            for byte in 0..=u8::MAX {
                text[at] = byte;
                self.try_text(&text, &mut tally);
            }
            text[at] = token[at];
            self.try_text(&[&token[..at], &token[at + 1..]].concat(), &mut tally);
            self.try_text(&token[..at], &mut tally);
            self.try_text(&token[at + 1..], &mut tally);
        }
        let mut longer = [&token[..], b"?"].concat();
        for at in (0..=token.len()).rev() {
            for byte in 0..=u8::MAX {
                longer[at] = byte;
                self.try_text(&longer, &mut tally);
            }
            if at > 0 {
                longer[at] = token[at - 1];
            }
        }
        for one in 0..token.len() {
            for other in one + 1..token.len() {
                text.swap(one, other);
                self.try_text(&text, &mut tally);
                text.swap(one, other);
            }
        }
        self.exchange_segments(&mut tally);
        tally
    }

    fn exchange_segments(&self, tally: &mut Tally) {
        let all: Vec<&Vec<u8>> = [&self.token].into_iter().chain(&self.others).collect();
        let segments = |token: &[u8]| token.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let all: Vec<Vec<Vec<u8>>> = all.into_iter().map(|token| segments(token)).collect();
        let count = all[0].len();
        // Each combination of segments of the five tokens, in every order of two places.
        for choice in 0..all.len().pow(u32::try_from(count).unwrap_or(0)) {
            let mut rest = choice;
            let mut chosen: Vec<&[u8]> = Vec::new();
            for place in 0..count {
                chosen.push(&all[rest % all.len()][place]);
                rest /= all.len();
            }
            self.try_text(&chosen.join(&b"."[..]), tally);
            for one in 0..count {
                for other in one + 1..count {
                    let mut exchanged = chosen.clone();
                    exchanged.swap(one, other);
                    self.try_text(&exchanged.join(&b"."[..]), tally);
                }
            }
        }
    }

    /// Tries texts that are damaged in one to four places at random.
    #[must_use]
    pub fn at_random(&self, rounds: u64, seed: u64) -> Tally {
        let (random, mut tally) = (&mut Random::new(seed), Tally::default());
        while tally.tried < rounds {
            let mut text = self.token.clone();
            damage(random, &mut text, &self.others);
            self.try_text(&text, &mut tally);
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_edit_of_a_small_token_opens() {
        for protection in [Protection::Signed, Protection::Encrypted] {
            let subject = Subject::new(protection, PAYLOADS[0]);
            let tally = subject.every_edit();
            let length = subject.len() as u64;
            // 255 other bytes and up to 256 inserted ones for each place, and each pair.
            assert!(tally.tried > 500 * length && tally.tried < 520 * length + length * length, "{tally:?}");
            assert_eq!(tally.opened, 0, "{protection:?}");
        }
    }

    #[test]
    fn no_random_damage_opens() {
        for (number, payload) in PAYLOADS.into_iter().enumerate() {
            let tally = Subject::new(Protection::Signed, payload).at_random(20_000, number as u64);
            assert_eq!(tally, Tally { tried: 20_000, opened: 0 });
        }
    }

    /// The count is of texts that open: a ring that is asked for its own token finds it.
    #[test]
    fn a_token_of_the_ring_would_be_counted() {
        let mut subject = Subject::new(Protection::Signed, PAYLOADS[1]);
        let other = subject.others.pop().unwrap();
        let mut tally = Tally::default();
        subject.try_text(&other, &mut tally);
        assert_eq!(tally, Tally { tried: 1, opened: 1 });
    }
}
