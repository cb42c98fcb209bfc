//! Where the entries of a JSON object stand (RFC 8259): one pass that decodes nothing.
//!
//! What a value means is for `serde_json` to say, once somebody asks. To find the values, and to see that they are
//! strict, takes this less than half the time of a deserializer, which has to walk what nests twice.

use std::{fmt, ops::Range};

use serde::de::DeserializeOwned;

/// The entries of the object that `text` is, in their order; none of its values nests deeper than [`MAX_DEPTH`] or
/// repeats a key in one object. Whether the object itself repeats one is for the caller to see.
///
/// The keys that were written with escapes are appended to the text without them.
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

/// The same check for a JSON text that is a value alone.
pub(crate) fn check_value(text: &str) -> Result<(), Malformed> {
    Scanner { text, unescaped: String::new(), slots: Vec::new() }.value(0, MAX_DEPTH).map(drop)
}

/// Appends `entries` to `body` as one JSON object, values as they are.
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

/// An authentic payload that is not what we write: no session, never a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data is not a valid JSON object (no repeated key, values nested at most 32 deep)")
    }
}

impl std::error::Error for Malformed {}

/// Where an entry's key and value stand.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

/// Its methods take the place where they begin and answer where they end, which keeps it in a register.
struct Scanner<'a> {
    text: &'a str,
    /// Keys that were written with escapes. Their places count on from the text's end.
    unescaped: String,
    /// The entries of the objects that are open, those of the outermost first.
    slots: Vec<Slot>,
}

/// How a string is written.
#[derive(Clone, Copy, PartialEq)]
enum Escapes {
    None,
    Simple,
    /// `\u`, which may be half a character.
    Unicode,
}

impl Scanner<'_> {
    /// A value in which others nest at most `levels` deep.
    ///
    /// Those in it must also decode: their numbers be finite, their characters whole. A bare one is left to whoever
    /// decodes it.
    fn value(&mut self, at: usize, levels: u8) -> Result<usize, Malformed> {
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

    /// From behind a `[`.
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

    /// From behind a `{` within a value: nobody asks for its entries, but none may stand twice.
    fn inner_object(&mut self, at: usize, levels: u8) -> Result<usize, Malformed> {
        let (slots, unescaped) = (self.slots.len(), self.unescaped.len());
        let end = self.members(at, levels)?;
        if self.repeats_a_key(slots) {
            return Err(Malformed);
        }
        self.slots.truncate(slots);
        self.unescaped.truncate(unescaped);
        Ok(end)
    }

    /// From behind a `{`. Each member is noted.
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

    /// Whether one of the keys from the slot at `first` on stands twice. It may reorder the slots.
    fn repeats_a_key(&mut self, first: usize) -> bool {
        let (text, unescaped) = (self.text.as_bytes(), self.unescaped.as_bytes());
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

    /// From behind the quote.
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

    /// From behind the backslash.
    fn escape(&self, at: usize) -> Result<usize, Malformed> {
        match self.bytes(at) {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(at + 1),
            [b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => Ok(at + 5),
            _ => Err(Malformed),
        }
    }

    /// A number, and whether it may be too large for a float.
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

    /// At least one.
    fn digits(&self, at: usize) -> Result<usize, Malformed> {
        match self.bytes(at).iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0 => Err(Malformed),
            count => Ok(at + count),
        }
    }

    fn literal(&self, at: usize, literal: &str) -> Result<usize, Malformed> {
        if self.bytes(at).starts_with(literal.as_bytes()) { Ok(at + literal.len()) } else { Err(Malformed) }
    }

    /// Lets `serde_json` look at a value that is rarely wrong.
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

/// How many bytes of a string stand before its first quote, backslash or control character: eight at a time.
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

/// The highest bit of each byte that ends a run of plain ones. Only the lowest of them is certain, for a borrow may set
/// one above it (Warren, Hacker's Delight, section 6-1).
const fn special_bytes(word: u64) -> u64 {
    const fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(each(limit)) & !word & each(0x80)
    }
    below(word, 0x20) | below(word ^ each(b'"'), 1) | below(word ^ each(b'\\'), 1)
}

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// How deep a value may nest.
const MAX_DEPTH: u8 = 32;
/// Up to here comparing each key with each is faster than sorting.
const FEW: usize = 8;

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// The keys and the texts of their values.
    fn entries(text: &str) -> Option<Vec<(String, String)>> {
        let mut text = text.to_owned();
        let slots = object(&mut text).ok()?;
        let part = |range: &Range<usize>| text[range.clone()].to_owned();
        Some(slots.iter().map(|slot| (part(&slot.key), part(&slot.value))).collect())
    }

    /// As the members of an object, as one value of it, and in an array in it.
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

    /// JSON, and much that almost is.
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
