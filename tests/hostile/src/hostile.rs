//! Damages cookies at random, and checks what a decoder makes of them.

use session_core::former::{Former, FormerCookies};

use crate::{random::Random, subjects::Subject};

/// What a run has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests.
    pub rounds: u64,
    /// Requests with a content that was damaged and then signed.
    pub signed_again: u64,
    /// Requests of which the decoder has read a session.
    pub sessions: u64,
    /// Sessions that were signed after they were damaged.
    pub damaged_sessions: u64,
    /// Requests of which the decoder has read flash messages.
    pub flash: u64,
    /// The most bytes that one request had allocated at a time, above the length of its header.
    pub most_above_input: usize,
    /// The most bytes of a header.
    pub longest_header: usize,
}

/// Damages the cookies of a decoder `rounds` times. `measure` runs the decoder, and returns its result with the most
/// bytes that were allocated at a time.
///
/// # Panics
///
/// Panics if a request takes more than its length and [`ALLOWED`] bytes, or if a session is read that was not signed.
pub fn run(
    subject: &Subject,
    rounds: u64,
    seed: u64,
    measure: impl Fn(&dyn Fn() -> Former) -> (Former, usize),
) -> Tally {
    let random = &mut Random::new(seed);
    let sealed: Vec<Vec<u8>> = subject.contents.iter().map(|content| (subject.seal)(content)).collect();
    let mut tally = Tally::default();
    for round in 0..rounds {
        let is_signed_again = random.once_in(3);
        let value = if is_signed_again {
            let mut content = random.choose(&subject.contents).clone();
            damage(random, &mut content, &subject.contents);
            (subject.seal)(&content)
        } else {
            let mut value = random.choose(&sealed).clone();
            damage(random, &mut value, &sealed);
            value
        };
        let header = header(random, subject, &value, &sealed);
        let headers = [&header[..]];
        let cookies = FormerCookies::new(&headers);

        let (former, most) = measure(&|| subject.decode(cookies));
        assert!(
            most <= header.len() + ALLOWED,
            "{}: round {round} of seed {seed} takes {most} bytes for {}",
            subject.name,
            header.len()
        );
        if former.session.is_some() {
            let is_sealed =
                |text: &[u8]| (is_signed_again && text == value) || sealed.iter().any(|known| known == text);
            let is_authentic = cookies.values(subject.cookie).any(is_sealed);
            assert!(is_authentic, "{}: round {round} of seed {seed} is forged", subject.name);
            tally.sessions += 1;
            tally.damaged_sessions += u64::from(is_signed_again);
        }
        tally.rounds += 1;
        tally.signed_again += u64::from(is_signed_again);
        tally.flash += u64::from(!former.flash.is_empty() || former.session.is_some_and(|one| !one.flash.is_empty()));
        tally.most_above_input = tally.most_above_input.max(most.saturating_sub(header.len()));
        tally.longest_header = tally.longest_header.max(header.len());
    }
    tally
}

/// Returns a header with the cookie, and sometimes with others of its name and with flash cookies.
fn header(random: &mut Random, subject: &Subject, value: &[u8], sealed: &[Vec<u8>]) -> Vec<u8> {
    let mut header = [subject.cookie.as_bytes(), b"=", value].concat();
    while random.once_in(8) {
        let other = random.choose(sealed);
        header = if random.once_in(2) {
            [&header, &b"; "[..], subject.cookie.as_bytes(), b"=", other].concat()
        } else {
            [subject.cookie.as_bytes(), b"=", other, b"; ", &header].concat()
        };
    }
    while !subject.flash.is_empty() && random.once_in(3) {
        let (name, flash) = random.choose(&subject.flash);
        let mut flash = flash.clone();
        if random.once_in(2) {
            damage(random, &mut flash, sealed);
        }
        header = [&header, &b"; "[..], name.as_bytes(), b"=", &flash].concat();
    }
    header
}

/// Changes bytes in one to four places. `others` are texts to take parts from.
///
/// # Panics
///
/// Panics if there are no others.
pub fn damage(random: &mut Random, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(10) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            2 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.number().to_le_bytes()[0];
                }
            }
            3 => drop(bytes.splice(range(random, bytes, 8), [])),
            4 => {
                let inserted: Vec<u8> = (0..=random.below(8)).map(|_| random.number().to_le_bytes()[0]).collect();
                bytes.splice(at..at, inserted);
            }
            5 => {
                let other = random.choose(others);
                let part = other[range(random, other, 64)].to_vec();
                bytes.splice(range(random, bytes, 64), part);
            }
            6 => bytes.truncate(at),
            7 => {
                // A number that counts far too much, or a part of the syntax.
                let end = (at + 1).min(bytes.len());
                bytes.splice(at..end, random.choose(BLOWN_UP).iter().copied());
            }
            8 => {
                let part = bytes[range(random, bytes, 64)].to_vec();
                let repeated = part.repeat(1 + random.below(6));
                bytes.splice(at..at, repeated);
            }
            _ if random.once_in(16) => {
                // A long run of one sign, as long as a cookie may be and longer.
                let sign = *random.choose(b"[{\":,=&%+0a\0\x01\xff".as_slice());
                let most = *random.choose(&[2_500, 2_500, 6_000]);
                let length = random.below(most);
                bytes.splice(at..at, std::iter::repeat_n(sign, length));
            }
            _ => {}
        }
    }
}

/// Returns a range of up to `most` bytes.
fn range(random: &mut Random, bytes: &[u8], most: usize) -> std::ops::Range<usize> {
    let start = random.below(bytes.len() + 1);
    start..(start + random.below(most)).min(bytes.len())
}

/// Lengths of gob that are too large, and parts of the syntax of the other formats.
const BLOWN_UP: &[&[u8]] = &[
    b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xf8\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\xf7\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xfc\x7f\xff\xff\xff",
    b"\xfc\x40\x00\x00\x00",
    b"\xfe\xff\xff",
    b"\xfe\x08\x00",
    b"\xff\xff",
    b"\x7f",
    b"\x00",
    b"\xff\x81",
    b"\xff\x82",
    b"\x10",
    b"{\"a\":[",
    b"],[",
    b"\"x\":{\"x\":",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"99999999999999999999",
    b"\"exp\":0,",
    b"null",
    b"%00%00",
    b"%00_TS%3Asession%00",
    b"\0_ID:x\0",
    b"\0_object_:{\"a\":\"1\"}\0",
    b"&a=",
    b"|",
    b".",
    b"-",
    b"\"",
];

/// What a request may take in addition to the length of its header: 64 KiB.
pub const ALLOWED: usize = 64 * 1024;
