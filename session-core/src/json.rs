//! A JSON scanner (RFC 8259). It finds the keys and values of an object in one pass, and decodes none of them.
//!
//! `serde_json` decodes a value when the application reads it. This scanner takes less than half the time that a
//! deserializer takes to check the same text, because a deserializer reads nested values twice.

use std::{collections::BTreeMap, fmt, ops::Range};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Finds the entries of the object in `text`, in the order of the text.
///
/// No value nests deeper than [`MAX_DEPTH`], and no object in a value has a key twice. The caller checks the keys of
/// the outermost object, because it sorts them anyway.
///
/// The unescaped form of each key that contains escapes is appended to `text`.
pub(crate) fn object(text: &mut String) -> Result<Vec<Slot>, Malformed> {
    let mut scanner = Scanner { text, unescaped: String::new(), slots: Vec::with_capacity(8) };
    let start = scanner.expect(b'{', scanner.skip_space(0))?;
    let end = scanner.members(start, MAX_DEPTH)?;
    if scanner.skip_space(end) < text.len() {
        return Err(Malformed);
    }
    let Scanner { unescaped, slots, .. } = scanner;
    text.push_str(&unescaped);
    Ok(slots)
}

/// Checks the depth and the keys of one JSON value, which `serde_json` has written.
pub(crate) fn check_value(text: &str) -> Result<(), Malformed> {
    Scanner { text, unescaped: String::new(), slots: Vec::new() }.value(0, MAX_DEPTH).map(drop)
}

/// Appends `entries` to `body` as one JSON object. The values are JSON texts, which are copied.
pub fn write_object<'a, T: AsRef<str>>(entries: impl IntoIterator<Item = (&'a str, T)>, body: &mut Vec<u8>) {
    let mut separator = b'{';
    for (key, text) in entries {
        body.push(separator);
        separator = b',';
        let quoted = serde_json::to_writer(&mut *body, key);
        debug_assert!(quoted.is_ok(), "a string always serializes, and writing to a Vec cannot fail");
        body.push(b':');
        body.extend_from_slice(text.as_ref().as_bytes());
    }
    if separator == b'{' {
        body.push(b'{');
    }
    body.push(b'}');
}

/// Returns whether two JSON texts are the same value: objects without regard to order, and numbers by their text.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    fn parsed<'a, T: serde::Deserialize<'a>>(one: &'a str, other: &'a str) -> Option<(T, T)> {
        Some((serde_json::from_str(one).ok()?, serde_json::from_str(other).ok()?))
    }
    let (one, other) = (one.trim_ascii(), other.trim_ascii());
    if one == other {
        return true;
    }
    match (one.as_bytes().first(), other.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => parsed::<BTreeMap<String, &RawValue>>(one, other).is_some_and(|(one, other)| {
            one.len() == other.len()
                && one.iter().zip(&other).all(|((a, one), (b, other))| a == b && is_same(one.get(), other.get()))
        }),
        (Some(b'['), Some(b'[')) => parsed::<Vec<&RawValue>>(one, other).is_some_and(|(one, other)| {
            one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| is_same(one.get(), other.get()))
        }),
        (Some(b'"'), Some(b'"')) => parsed::<String>(one, other).is_some_and(|(one, other)| one == other),
        _ => false,
    }
}

/// The error for data that is not a valid JSON object: see [`Entries::parse`](crate::store::Entries::parse).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data is not a valid JSON object (no repeated key, values nested at most 32 deep)")
    }
}

impl std::error::Error for Malformed {}

/// The places of the key and the value of an entry in the text.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// The scanner. Its methods take the position where they begin, and return the position where they end. A position is
/// not a field of the scanner, so that the compiler keeps it in a register.
struct Scanner<'a> {
    text: &'a str,
    /// The unescaped form of keys with escapes. The positions of these keys continue after the end of `text`.
    unescaped: String,
    /// The entries of the objects that are being read, those of the outermost object first.
    slots: Vec<Slot>,
}

/// The escapes in a string.
#[derive(Clone, Copy, PartialEq)]
enum Escapes {
    None,
    Simple,
    /// `\u`, which may be one half of a surrogate pair.
    Unicode,
}

impl Scanner<'_> {
    /// Reads a value in which other values nest at most `levels` deep.
    ///
    /// Numbers in an inner value must be finite as `f64`, and escaped characters must not be half a surrogate pair.
    fn value(&mut self, at: usize, levels: u8) -> Result<usize, Malformed> {
        // A bare number or string is checked when the application decodes it. An array or object may be decoded as a
        // type that skips some of its values, so those are checked here.
        let is_inner = levels < MAX_DEPTH;
        match self.byte(at) {
            Some(b'"') => {
                let (end, escapes) = self.string(at + 1)?;
                self.check::<String>(at, end, is_inner && escapes == Escapes::Unicode)
            }
            Some(b'-' | b'0'..=b'9') => {
                let (end, may_be_infinite) = self.number(at)?;
                self.check::<f64>(at, end, is_inner && may_be_infinite)
            }
            Some(b'{') => self.inner_object(at + 1, levels.checked_sub(1).ok_or(Malformed)?),
            Some(b'[') => self.elements(at + 1, levels.checked_sub(1).ok_or(Malformed)?),
            Some(b't') => self.literal(at, "true"),
            Some(b'f') => self.literal(at, "false"),
            Some(b'n') => self.literal(at, "null"),
            _ => Err(Malformed),
        }
    }

    /// Reads the elements of an array, from after its `[`.
    fn elements(&mut self, at: usize, levels: u8) -> Result<usize, Malformed> {
        let mut at = self.skip_space(at);
        if self.byte(at) == Some(b']') {
            return Ok(at + 1);
        }
        loop {
            let end = self.value(at, levels)?;
            at = self.skip_space(end);
            match self.byte(at) {
                Some(b',') => at = self.skip_space(at + 1),
                Some(b']') => return Ok(at + 1),
                _ => return Err(Malformed),
            }
        }
    }

    /// Reads an object within a value, from after its `{`. Its entries are only needed to find a key that occurs twice.
    fn inner_object(&mut self, at: usize, levels: u8) -> Result<usize, Malformed> {
        // One list serves all open objects as a stack: an allocation for each object would cost more than the scan.
        let (slots, unescaped) = (self.slots.len(), self.unescaped.len());
        let end = self.members(at, levels)?;
        if self.repeats_a_key(slots) {
            return Err(Malformed);
        }
        self.slots.truncate(slots);
        self.unescaped.truncate(unescaped);
        Ok(end)
    }

    /// Reads the members of an object, from after its `{`, and adds each to `slots`.
    fn members(&mut self, at: usize, levels: u8) -> Result<usize, Malformed> {
        let mut at = self.skip_space(at);
        if self.byte(at) == Some(b'}') {
            return Ok(at + 1);
        }
        loop {
            let end = self.member(at, levels)?;
            at = self.skip_space(end);
            match self.byte(at) {
                Some(b',') => at = self.skip_space(at + 1),
                Some(b'}') => return Ok(at + 1),
                _ => return Err(Malformed),
            }
        }
    }

    fn member(&mut self, at: usize, levels: u8) -> Result<usize, Malformed> {
        let (end, escapes) = self.string(self.expect(b'"', at)?)?;
        let key = if escapes == Escapes::None { at + 1..end - 1 } else { self.unescape(at..end)? };
        let start = self.skip_space(self.expect(b':', self.skip_space(end))?);
        let end = self.value(start, levels)?;
        self.slots.push(Slot { key, value: start..end });
        Ok(end)
    }

    fn unescape(&mut self, quoted: Range<usize>) -> Result<Range<usize>, Malformed> {
        let start = self.text.len() + self.unescaped.len();
        let key: String = serde_json::from_str(&self.text[quoted]).map_err(|_| Malformed)?;
        self.unescaped.push_str(&key);
        Ok(start..start + key.len())
    }

    /// Returns whether a key occurs twice among the slots from `first` on. It may reorder these slots.
    fn repeats_a_key(&mut self, first: usize) -> bool {
        let (text, unescaped) = (self.text.as_bytes(), self.unescaped.as_bytes());
        // Keys are compared in their unescaped form: `"a"` and `"\u0061"` are the same key (RFC 8259, section 8.3).
        let key = |slot: &Slot| match slot.key.start.checked_sub(text.len()) {
            None => &text[slot.key.clone()],
            Some(start) => &unescaped[start..slot.key.end - text.len()],
        };
        let slots = &mut self.slots[first..];
        if slots.len() <= FEW {
            let is_repeated = |(n, slot): (usize, &Slot)| slots[..n].iter().any(|known| key(known) == key(slot));
            return slots.iter().enumerate().any(is_repeated);
        }
        slots.sort_unstable_by(|one, other| key(one).cmp(key(other)));
        !slots.is_sorted_by(|one, other| key(one) < key(other))
    }

    /// Reads a string from after its first quote, and finds out which escapes it has.
    fn string(&self, at: usize) -> Result<(usize, Escapes), Malformed> {
        let mut at = at + plain_len(self.bytes(at));
        let mut escapes = Escapes::None;
        while self.byte(at) == Some(b'\\') {
            let is_unicode = self.byte(at + 1) == Some(b'u');
            escapes = if is_unicode || escapes == Escapes::Unicode { Escapes::Unicode } else { Escapes::Simple };
            at = self.escape(at + 1)?;
            at += plain_len(self.bytes(at));
        }
        Ok((self.expect(b'"', at)?, escapes))
    }

    /// Reads an escape from after its backslash.
    fn escape(&self, at: usize) -> Result<usize, Malformed> {
        match self.bytes(at) {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(at + 1),
            [b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => Ok(at + 5),
            _ => Err(Malformed),
        }
    }

    /// Reads a number, and returns whether it may be too large for an `f64`.
    fn number(&self, start: usize) -> Result<(usize, bool), Malformed> {
        let at = start + usize::from(self.byte(start) == Some(b'-'));
        let mut at = if self.byte(at) == Some(b'0') { at + 1 } else { self.digits(at)? };
        if self.byte(at) == Some(b'.') {
            at = self.digits(at + 1)?;
        }
        let has_exponent = matches!(self.byte(at), Some(b'e' | b'E'));
        if has_exponent {
            let sign = usize::from(matches!(self.byte(at + 1), Some(b'-' | b'+')));
            at = self.digits(at + 1 + sign)?;
        }
        Ok((at, has_exponent || at - start > f64::MAX_10_EXP as usize))
    }

    /// Reads one or more digits.
    fn digits(&self, at: usize) -> Result<usize, Malformed> {
        match self.bytes(at).iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0 => Err(Malformed),
            count => Ok(at + count),
        }
    }

    fn literal(&self, at: usize, literal: &str) -> Result<usize, Malformed> {
        if self.bytes(at).starts_with(literal.as_bytes()) { Ok(at + literal.len()) } else { Err(Malformed) }
    }

    /// Lets `serde_json` decode a value if it is doubtful, which is rare.
    fn check<T: DeserializeOwned>(&self, start: usize, end: usize, is_doubtful: bool) -> Result<usize, Malformed> {
        if is_doubtful && serde_json::from_str::<T>(&self.text[start..end]).is_err() { Err(Malformed) } else { Ok(end) }
    }

    fn skip_space(&self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte(at) {
            at += 1;
        }
        at
    }

    fn expect(&self, byte: u8, at: usize) -> Result<usize, Malformed> {
        if self.byte(at) == Some(byte) { Ok(at + 1) } else { Err(Malformed) }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn bytes(&self, at: usize) -> &[u8] {
        self.text.as_bytes().get(at..).unwrap_or_default()
    }
}

/// Returns how many bytes of a string come before its first quote, backslash or control character. It checks eight
/// bytes at a time.
fn plain_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (position, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return position * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character.
///
/// Of the bits that are set, only the lowest is reliable: the subtraction may borrow from the byte above (Warren,
/// Hacker's Delight, section 6-1). The caller uses only the lowest bit.
const fn special_bytes(word: u64) -> u64 {
    const fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(each(limit)) & !word & each(0x80)
    }
    below(word, 0x20) | below(word ^ each(b'"'), 1) | below(word ^ each(b'\\'), 1)
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The largest depth of a value.
const MAX_DEPTH: u8 = 32;
/// The largest number of keys for which comparing each with each is faster than sorting.
const FEW: usize = 8;

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// Returns the keys and the texts of their values.
    fn entries(text: &str) -> Option<Vec<(String, String)>> {
        let mut text = text.to_owned();
        let slots = object(&mut text).ok()?;
        let part = |range: &Range<usize>| text[range.clone()].to_owned();
        Some(slots.iter().map(|slot| (part(&slot.key), part(&slot.value))).collect())
    }

    /// Checks that the scanner and the reference agree on `text`: alone, as a value of an object, in an array in an
    /// object, and as a key.
    fn agree(text: &str) {
        for text in [text, &format!(r#"{{"x":{text}}}"#), &format!(r#"{{"x":[{text}]}}"#), &format!("{{{text}:1}}")] {
            assert_eq!(entries(text), reference::object(text).ok(), "{text:?}");
        }
        if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() {
            let text = text.trim_ascii();
            assert_eq!(check_value(text).is_ok(), reference::check_value(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn what_is_json_is_decided_as_serde_json_decides_it() {
        let escaped = r#""\ud800" "\udc00" "\ud83d\ude00" "\ud83d\u0041" "\ud83dx" "\ud83d\n" "\ude00\ud83d" "\u00e9"
            "\u00" "\u00g0" "\u" "\x" "\" "\\" "\"" "\/\b\f\n\r\t" "\uD83D\uDE00" "\u0000" "\U0041" "\'" "\\u12""#;
        let numbers = "0 -0 00 01 -01 - -- -a +1 1. .1 1.e1 1e 1e+ 1e- 1E+1 1e-1 1e308 1.8e308 -1e999 1e999 0e999 1e-999 \
            1.7976931348623157e308 1.7976931348623159e308 1e99999999999999999999 0e99999999999999999999 0x1 1_0 1e1.5 \
            18446744073709551616 -9223372036854775809 NaN Infinity -Infinity 1a 1.5.5 0.0 -0.0e-0 1e0001";
        let others = "true false null tru truE nul nullx falsee True {} [] [,] [1,] {,} [1 {1} {\"a\"} {\"a\":} {\"a\":1,} \
            {\"a\":1 ] } , : \" \"a {a:1} [1,,2] [1]] [[] \u{feff}{} \u{feff}1 //x /**/1 'a' \u{a0}1";
        for text in escaped.split_ascii_whitespace().chain(numbers.split_ascii_whitespace()).chain(others.split(' ')) {
            agree(text);
        }
        for length in [307, 308, 309, 310, 400] {
            for nine in ["1", "9"] {
                agree(&nine.repeat(length));
                agree(&format!("-{}.5", nine.repeat(length)));
                agree(&format!("0.{}", nine.repeat(length)));
            }
        }
    }

    #[test]
    fn every_byte_is_taken_as_serde_json_takes_it() {
        for byte in 0..=0x7f_u8 {
            let byte = char::from(byte);
            for at in 0..17 {
                agree(&format!("\"{}{byte}{}\"", "a".repeat(at), "é".repeat(8)));
                agree(&format!("\"{}\\{byte}{}\"", "a".repeat(at), "0".repeat(8)));
            }
            for text in [format!("{byte}1"), format!("1{byte}"), format!("[1{byte}]"), format!("{{\"a\"{byte}:1}}")] {
                agree(&text);
            }
        }
    }

    #[test]
    fn depth_is_counted_as_before() {
        for levels in [1, 31, 32, 33, 127, 128, 129, 10_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
                for within in ["1", "[]", "{}", "\"\\ud800\"", "1e999"] {
                    agree(&format!("{}{within}{}", open.repeat(levels), close.repeat(levels)));
                }
            }
        }
    }

    #[test]
    fn a_repeated_key_is_found_among_few_and_among_many() {
        for count in [1, 2, 7, 8, 9, 10, 40] {
            let unique: Vec<String> = (0..count).map(|n| format!("\"k{}\":{n}", (n * 7) % count)).collect();
            agree(&format!("{{{}}}", unique.join(",")));
            for repeated in ["\"k0\":1", "\"\\u006b0\":1", "\"k\\u0030\":1"] {
                agree(&format!("{{{},{repeated}}}", unique.join(",")));
                agree(&format!("{{{repeated},{}}}", unique.join(",")));
                agree(&format!("{{\"k0\":{{{}}},\"y\":{{\"k0\":{{}}}}}}", unique.join(",")));
            }
        }
    }

    #[test]
    fn a_special_byte_is_found_wherever_it_stands() {
        for byte in 0..=0xff_u8 {
            let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
            for at in 0..24 {
                for other in [b'a', 0x20, 0x7f, 0x80, 0xff, b'#', b'!', b']'] {
                    let mut text = [other; 24];
                    text[at] = byte;
                    assert_eq!(plain_len(&text), if is_special { at } else { 24 }, "{byte:x} at {at} in {other:x}");
                }
            }
        }
    }

    /// Generates JSON, and many texts that are almost JSON.
    fn almost_json() -> impl Strategy<Value = String> {
        let scalars = select(vec![
            "0",
            "-0",
            "12.50",
            "1e9",
            "1e999",
            "-1E-5",
            "01",
            "true",
            "false",
            "null",
            r#""""#,
            r#""a\u00e9""#,
            r#""\ud83d""#,
            r#""\ud83d\ude00""#,
            r#""a \"quoted\" text with \\ and more than eight bytes""#,
            "\"é€😀\"",
            "\"\u{1}\"",
            "nul",
        ]);
        let keys = select(vec![
            "a",
            "b",
            "\\u0061",
            "c",
            "d",
            "e",
            "f",
            "long key with spaces",
            "é",
            "\\ud800",
            "g",
            "h",
            "i",
        ]);
        let space = select(vec!["", "", "", " ", "\n\t", "\r ", "\u{c}"]);
        scalars.prop_map(str::to_owned).prop_recursive(6, 60, 12, move |inner| {
            let spaced =
                (space.clone(), inner, space.clone()).prop_map(|(left, text, right)| format!("{left}{text}{right}"));
            let members = (keys.clone(), spaced.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
            prop_oneof![
                vec(spaced, 0..6).prop_map(|elements| format!("[{}]", elements.join(","))),
                vec(members, 0..12).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn random_json_is_read_as_serde_json_reads_it(text in almost_json()) {
            agree(&text);
        }

        #[test]
        fn so_is_what_was_cut_or_changed(
            text in almost_json(),
            at in any::<proptest::sample::Index>(),
            other in select("\"\\{}[]:,0123456789-+.eEtfnu \n\u{1}aé".chars().collect::<Vec<_>>()),
        ) {
            let at = (0..=at.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let (before, behind) = text.split_at(at);
            let mut rest = behind.chars();
            rest.next();
            for changed in [format!("{before}{other}{}", rest.as_str()), format!("{before}{other}{behind}"), format!("{before}{}", rest.as_str())] {
                agree(&changed);
            }
            agree(before);
        }

        #[test]
        fn so_is_what_consists_of_the_same_characters(text in "[\\[\\]{}:,\"\\\\u0-9a-f.eE+-]{0,24}") {
            agree(&text);
        }

        #[test]
        fn so_is_any_text(text in ".{0,40}") {
            agree(&text);
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_refused() {
        let text = r#" { "b" : 1.50e-1 , "a\u0020" : [ 1, {"x":null,"y":"\ud83d\ude00 \n"}, true ] , "é": "€" } "#;
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            agree(&text[..end]);
        }
    }
}
