//! Secrets that are long enough but can be guessed.

use zeroize::Zeroizing;

use super::KeyErrorKind;
use crate::base64url::{base64url, from_base64url};

/// Returns the reason why a secret of enough bytes can be guessed; `None` if it looks random.
pub(super) fn weakness(secret: &[u8]) -> Option<KeyErrorKind> {
    let decoded = [from_hex(secret), from_base64url(base64_digits(secret).trim_ascii_end())];
    weakness_of(secret)
        .or_else(|| decoded.into_iter().flatten().map(Zeroizing::new).find_map(|text| hidden_weakness(&text)))
}

fn weakness_of(secret: &[u8]) -> Option<KeyErrorKind> {
    // `PASSWORD` is as easy to guess as `password`. Other bytes stay as they are.
    let lower = Zeroizing::new(secret.to_ascii_lowercase());
    let joined = Zeroizing::new(lower.iter().copied().filter(|byte| !b"-_ .:".contains(byte)).collect::<Vec<_>>());
    if is_well_known(secret, &joined) {
        Some(KeyErrorKind::WellKnown)
    } else if is_repetition(&lower, without_digits(&joined)) {
        Some(KeyErrorKind::Repetition)
    } else {
        None
    }
}

/// Returns the reason for what a secret is the hexadecimal or base64 text of. Random bytes are no text, and too few to
/// be searched for accidents.
fn hidden_weakness(decoded: &[u8]) -> Option<KeyErrorKind> {
    if decoded.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return weakness_of(decoded);
    }
    has_period(decoded).then_some(KeyErrorKind::Repetition)
}

fn is_repetition(text: &[u8], letters: &[u8]) -> bool {
    let start = &text[..text.len().min(LONGEST_LOOK)];
    has_period(text)
        || (letters.len() * 2 >= text.len() && has_period(letters))
        || different_bytes(text) < MIN_DIFFERENT
        || new_bytes(start) < MIN_NEW
        || is_half_a_copy(start)
}

/// Returns the text without the digits and signs before and after its letters.
fn without_digits(text: &[u8]) -> &[u8] {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || !byte.is_ascii();
    let start = text.iter().position(is_letter).unwrap_or(0);
    let end = text.iter().rposition(is_letter).map_or(0, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}

/// Returns the bytes of a text of hexadecimal digits.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?)).collect()
}

/// Returns a text with the digits of base64url in place of those of base64, and spaces in place of the padding.
fn base64_digits(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let digits = text.iter().map(|byte| match byte {
        b'+' => b'-',
        b'/' => b'_',
        b'=' => b' ',
        byte => *byte,
    });
    Zeroizing::new(digits.collect())
}

/// Returns whether the text repeats a pattern of up to half its length.
fn has_period(text: &[u8]) -> bool {
    (1..=text.len() / 2).any(|period| text.iter().zip(&text[period..]).all(|(one, other)| one == other))
}

fn different_bytes(text: &[u8]) -> usize {
    let mut seen = [false; 256];
    text.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}

/// Counts the bytes that are no part of a common word, of a sequence such as `12345`, or of a copy of what comes
/// before.
fn new_bytes(text: &[u8]) -> usize {
    let known = |at: usize| {
        let lengths = [(word(&text[at..]), 1), (sequence(&text[at..]), 4), (copy(text, at), 3)];
        lengths.into_iter().filter(|(length, least)| length >= least).map(|(length, _)| length).max()
    };
    let (mut at, mut new) = (0, 0);
    while at < text.len() {
        let skipped = known(at);
        new += usize::from(skipped.is_none());
        at += skipped.unwrap_or(1);
    }
    new
}

/// Returns whether two fifths of the text are copies of what comes before: a pattern twice, with another end.
fn is_half_a_copy(text: &[u8]) -> bool {
    let (mut at, mut copied) = (0, 0);
    while at < text.len() {
        let length = copy(text, at);
        copied += if length >= LONG_COPY { length } else { 0 };
        at += if length >= LONG_COPY { length } else { 1 };
    }
    copied * 5 >= text.len() * 2
}

/// Returns the length of the common word at the start of the text, or 0.
fn word(text: &[u8]) -> usize {
    let words = WORDS.iter().filter(|word| text.starts_with(word.as_bytes()));
    words.map(|word| word.len()).max().unwrap_or(0)
}

/// Returns how many bytes at the start of the text count up or down, or stay the same.
fn sequence(text: &[u8]) -> usize {
    let steps =
        [0, 1, u8::MAX].map(|step| text.windows(2).take_while(|pair| pair[0].wrapping_add(step) == pair[1]).count());
    steps.into_iter().max().unwrap_or(0) + 1
}

/// Returns how many bytes from `at` on also begin at an earlier place.
fn copy(text: &[u8], at: usize) -> usize {
    let common = |from: usize| text[from..].iter().zip(&text[at..]).take_while(|(one, other)| one == other).count();
    (0..at).map(common).max().unwrap_or(0)
}

fn is_well_known(secret: &[u8], joined: &[u8]) -> bool {
    (sequence(secret) == secret.len() && secret[0] != secret[1])
        || SAMPLES.iter().any(|sample| holds(joined, sample.as_bytes()))
        || EMPTY_DIGESTS.iter().any(|digest| is_digest(digest, secret, joined))
}

/// Returns whether the secret is a digest, in hexadecimal, in base64 or base64url, or as bytes. `digest` is its
/// beginning.
fn is_digest(digest: &[u8; 15], secret: &[u8], joined: &[u8]) -> bool {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let url_safe = base64_digits(secret);
    holds(joined, hex.as_bytes()) || holds(&url_safe, base64url(digest).as_bytes()) || holds(secret, digest)
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The fewest different bytes of a secret.
const MIN_DIFFERENT: usize = 8;
/// The fewest bytes of a secret that nothing before them foretells. Random secrets of 32 hexadecimal digits have more
/// than 20.
const MIN_NEW: usize = 16;
/// The length from which a copy is no accident.
const LONG_COPY: usize = 8;
/// How many bytes of a long secret are searched for copies.
const LONGEST_LOOK: usize = 512;

/// Words of common passwords and of placeholders, in lower case.
const WORDS: &[&str] = &[
    "access",
    "admin",
    "administrator",
    "akey",
    "apple",
    "asdf",
    "autumn",
    "baseball",
    "batman",
    "cheese",
    "change",
    "charlie",
    "cookie",
    "correct",
    "daniel",
    "default",
    "demo",
    "develop",
    "development",
    "dragon",
    "easter",
    "example",
    "flower",
    "football",
    "freedom",
    "geheim",
    "google",
    "guest",
    "hallo",
    "hannah",
    "hello",
    "herbst",
    "horse",
    "hunter",
    "iloveyou",
    "insecure",
    "internet",
    "jessica",
    "jordan",
    "killer",
    "letmein",
    "local",
    "login",
    "london",
    "long",
    "love",
    "master",
    "matrix",
    "michael",
    "monkey",
    "mustang",
    "only",
    "pass",
    "passphrase",
    "passw0rd",
    "password",
    "passwort",
    "pepper",
    "please",
    "princess",
    "production",
    "qazwsx",
    "qwer",
    "qwert",
    "qwerty",
    "qwertz",
    "random",
    "replace",
    "root",
    "safe",
    "sample",
    "schatz",
    "secret",
    "secure",
    "security",
    "server",
    "session",
    "shadow",
    "shop",
    "signing",
    "soccer",
    "sommer",
    "spring",
    "staging",
    "staple",
    "starwars",
    "string",
    "strong",
    "summer",
    "sunshine",
    "super",
    "superman",
    "test",
    "testing",
    "that",
    "this",
    "thomas",
    "tigger",
    "token",
    "trustno1",
    "user",
    "very",
    "welcome",
    "whatever",
    "winter",
    "with",
    "xxxx",
    "your",
    "zxcv",
    "zxcvbn",
];

/// Samples from documentation, in lower case and without separators. Each is so long that a random secret does not
/// contain it by accident.
const SAMPLES: &[&str] = &[
    "0123456789abcdef",
    "1234567890123456",
    "abcdefghijklmnop",
    "allyourbase",
    "asecretkey",
    "astringsecret",
    "aym1sysppbydfgzld3umj1qzkobwvmkoqq",
    "changeit",
    "changeme",
    "changethis",
    "correcthorsebattery",
    "djangoinsecure",
    "donotuse",
    "fordevelopmentonly",
    "insecuresecret",
    "keyboardcat",
    "mysecretkey",
    "mysecretpassword",
    "notasecret",
    "notsosecret",
    "ofcourseistillloveyou",
    "placeholder",
    "pleasechange",
    "putyouruniquephrasehere",
    "qcy?taenfk?az?iwrnwnxilr6ctf",
    "qcy?tanfk?az?iwrnwnxilr6ctf",
    "qwertyuiop",
    "replaceme",
    "secretkeyhere",
    "somerandomstring",
    "somesecretkey",
    "somesessionsecret",
    "supersecret",
    "thisisasecret",
    "thisisnotasecret",
    "topsecret",
    "verysecret",
    "your256bitsecret",
    "yoursecret",
];

/// The beginnings of the digests of nothing, and of an empty line, which `echo` prints for an unset variable. (FIPS
/// 180-4, FIPS 202, RFC 1321, RFC 7693.)
const EMPTY_DIGESTS: &[[u8; 15]] = &[
    *b"\xd4\x1d\x8c\xd9\x8f\x00\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42", // MD5
    *b"\xda\x39\xa3\xee\x5e\x6b\x4b\x0d\x32\x55\xbf\xef\x95\x60\x18", // SHA-1
    *b"\xd1\x4a\x02\x8c\x2a\x3a\x2b\xc9\x47\x61\x02\xbb\x28\x82\x34", // SHA-224
    *b"\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9", // SHA-256
    *b"\x38\xb0\x60\xa7\x51\xac\x96\x38\x4c\xd9\x32\x7e\xb1\xb1\xe3", // SHA-384
    *b"\xcf\x83\xe1\x35\x7e\xef\xb8\xbd\xf1\x54\x28\x50\xd6\x6d\x80", // SHA-512
    *b"\xc6\x72\xb8\xd1\xef\x56\xed\x28\xab\x87\xc3\x62\x2c\x51\x14", // SHA-512/256
    *b"\xa7\xff\xc6\xf8\xbf\x1e\xd7\x66\x51\xc1\x47\x56\xa0\x61\xd6", // SHA3-256
    *b"\xa6\x9f\x73\xcc\xa2\x3a\x9a\xc5\xc8\xb5\x67\xdc\x18\x5a\x75", // SHA3-512
    *b"\x69\x21\x7a\x30\x79\x90\x80\x94\xe1\x11\x21\xd0\x42\x35\x4a", // BLAKE2s
    *b"\x78\x6a\x02\xf7\x42\x01\x59\x03\xc6\xc6\xfd\x85\x25\x52\xd2", // BLAKE2b
    *b"\x68\xb3\x29\xda\x98\x93\xe3\x40\x99\xc7\xd8\xad\x5c\xb9\xc9", // MD5 of a line break
    *b"\xad\xc8\x3b\x19\xe7\x93\x49\x1b\x1c\x6e\xa0\xfd\x8b\x46\xcd", // SHA-1 of a line break
    *b"\x01\xba\x47\x19\xc8\x0b\x6f\xe9\x11\xb0\x91\xa7\xc0\x51\x24", // SHA-256 of a line break
    *b"\xec\x66\x4e\x88\x9e\xd6\xc1\xb2\x76\x3c\xac\xf7\x89\x9d\x95", // SHA-384 of a line break
    *b"\xbe\x68\x88\x38\xca\x86\x86\xe5\xc9\x06\x89\xbf\x2a\xb5\x85", // SHA-512 of a line break
];
