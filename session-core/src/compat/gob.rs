//! Maps in the format of Go's `encoding/gob`, as JSON.
//!
//! A gob is a sequence of messages: definitions of types, and then one value. Each begins with its length. An interface
//! value in the middle may define types too; then the message ends behind the definition, and the value goes on in the
//! next one, with a length in front. The lengths are not needed to find a value, because the end of each value follows
//! from its type. They only have to fit into what is left.
//!
//! The source is the documentation of `encoding/gob` and its files `decoder.go`, `decode.go` and `encode.go`.

use std::{collections::BTreeMap, rc::Rc};

use crate::{
    compat::{MOST_VALUES, gorilla::text_of_bytes, quoted},
    entries::Entries,
};

/// Reads a map with keys that are texts or integers. Values that JSON cannot hold are left out. Returns `None` if the
/// bytes are not one map.
pub(super) fn entries(bytes: &[u8]) -> Option<Entries> {
    let mut gob = Gob { bytes, types: BTreeMap::new(), json: String::new() };
    gob.map().ok()?;
    Entries::parse(gob.json.into_bytes()).ok()
}

/// The reader of one gob.
struct Gob<'a> {
    /// What is left.
    bytes: &'a [u8],
    /// The types that the gob has defined, by their number.
    types: BTreeMap<u64, Type>,
    /// The JSON text of what was read.
    json: String,
}

/// A type. Element types are given by their numbers.
#[derive(Clone)]
enum Type {
    Bool,
    Int,
    Uint,
    Float,
    Bytes,
    Text,
    Complex,
    Interface,
    Array {
        element: u64,
        length: u64,
    },
    Slice {
        element: u64,
    },
    Map {
        key: u64,
        element: u64,
    },
    /// A struct, with the types of its fields.
    Struct(Rc<[u64]>),
    /// A type with an encoding of its own, such as `time.Time`.
    Opaque,
}

/// What JSON makes of a value.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// A string.
    Text,
    /// A number without a fraction.
    Integer,
    /// Any other value that JSON can hold.
    Other,
    /// A value that JSON cannot hold, or that contains one. Its text is to be removed.
    Outside,
}

/// The error for bytes that are no gob, or go beyond a limit.
struct Damaged;

type Read<T> = Result<T, Damaged>;

impl<'a> Gob<'a> {
    /// Reads the definitions and the map, to the end of the bytes.
    fn map(&mut self) -> Read<()> {
        let id = loop {
            let length = self.count()?;
            let rest = self.bytes.len() - length;
            match self.id()? {
                Id::Defines(id) => self.define(id)?,
                Id::Is(id) => break id,
            }
            if self.bytes.len() != rest {
                return Err(Damaged);
            }
        };
        let Type::Map { key, element } = self.type_of(id)? else { return Err(Damaged) };
        self.zero()?;
        self.json.push('{');
        let count = self.count()?;
        if count > MOST_VALUES {
            return Err(Damaged);
        }
        for _ in 0..count {
            let start = self.json.len();
            if self.member(key, element, MOST_LEVELS)? == Form::Outside {
                self.json.truncate(start);
            }
        }
        self.json.push('}');
        if self.bytes.is_empty() { Ok(()) } else { Err(Damaged) }
    }

    /// Reads a value of the type `id`, in which other values nest at most `levels` deep, and appends its JSON text.
    fn value(&mut self, id: u64, levels: u8) -> Read<Form> {
        match self.type_of(id)? {
            Type::Bool => {
                let text = match self.uint()? {
                    0 => "false",
                    1 => "true",
                    _ => return Err(Damaged),
                };
                self.put(text, Form::Other)
            }
            Type::Int => {
                let number = self.int()?;
                self.put(&number.to_string(), Form::Integer)
            }
            Type::Uint => {
                let number = self.uint()?;
                self.put(&number.to_string(), Form::Integer)
            }
            Type::Float => {
                // The exponent comes first, so that small whole numbers are short.
                let number = serde_json::Number::from_f64(f64::from_bits(self.uint()?.swap_bytes()));
                number.map_or(Ok(Form::Outside), |number| self.put(&number.to_string(), Form::Other))
            }
            Type::Bytes => {
                let text = text_of_bytes(self.counted()?);
                self.put(&text, Form::Other)
            }
            Type::Text => match std::str::from_utf8(self.counted()?) {
                Ok(text) => self.put(&quoted(text), Form::Text),
                Err(_) => Ok(Form::Outside),
            },
            Type::Complex => {
                self.uint()?;
                self.uint()?;
                Ok(Form::Outside)
            }
            Type::Interface => self.interface(levels),
            Type::Array { element, length } => self.list(element, Some(length), deeper(levels)?),
            Type::Slice { element } => self.list(element, None, deeper(levels)?),
            Type::Map { key, element } => self.object(key, element, deeper(levels)?),
            Type::Struct(fields) => self.structure(&fields, deeper(levels)?),
            Type::Opaque => self.counted().map(|_| Form::Outside),
        }
    }

    /// Reads the value of an interface: the name of its type, definitions, the number of its type, and the value.
    fn interface(&mut self, levels: u8) -> Read<Form> {
        let name = self.counted()?;
        if name.is_empty() {
            return self.put("null", Form::Other);
        }
        let id = loop {
            match self.id()? {
                // The value of an interface is never an interface itself.
                Id::Is(INTERFACE) => return Err(Damaged),
                Id::Is(id) => break id,
                Id::Defines(id) => {
                    self.define(id)?;
                    self.count()?;
                }
            }
        };
        self.count()?;
        if !matches!(self.type_of(id)?, Type::Struct(_)) {
            self.zero()?;
        }
        self.value(id, levels)
    }

    fn list(&mut self, element: u64, length: Option<u64>, levels: u8) -> Read<Form> {
        let count = self.count()?;
        if length.is_some_and(|length| length != count as u64) {
            return Err(Damaged);
        }
        let mut form = Form::Other;
        self.json.push('[');
        for position in 0..count {
            if position > 0 {
                self.json.push(',');
            }
            if self.value(element, levels)? == Form::Outside {
                form = Form::Outside;
            }
        }
        self.json.push(']');
        Ok(form)
    }

    fn object(&mut self, key: u64, element: u64, levels: u8) -> Read<Form> {
        let mut form = Form::Other;
        self.json.push('{');
        for _ in 0..self.count()? {
            if self.member(key, element, levels)? == Form::Outside {
                form = Form::Outside;
            }
        }
        self.json.push('}');
        Ok(form)
    }

    /// Reads a key and its value, and appends them with a comma in front if others came before.
    fn member(&mut self, key: u64, element: u64, levels: u8) -> Read<Form> {
        if !self.json.ends_with('{') {
            self.json.push(',');
        }
        let start = self.json.len();
        let key = self.value(key, levels)?;
        if key == Form::Integer {
            self.json.insert(start, '"');
            self.json.push('"');
        }
        self.json.push(':');
        let value = self.value(element, levels)?;
        Ok(if matches!(key, Form::Text | Form::Integer) { value } else { Form::Outside })
    }

    /// Reads the fields of a struct, each with the distance from the field before. A distance of 0 is the end.
    fn structure(&mut self, fields: &[u64], levels: u8) -> Read<Form> {
        let start = self.json.len();
        let mut next = 0;
        while let Some(skipped) = self.uint()?.checked_sub(1) {
            let field = usize::try_from(skipped).ok().and_then(|skipped| skipped.checked_add(next)).ok_or(Damaged)?;
            self.value(*fields.get(field).ok_or(Damaged)?, levels)?;
            self.json.truncate(start);
            next = field + 1;
        }
        Ok(Form::Outside)
    }

    /// Reads the definition of the type `id`: a struct with one field, and the number of that field is the kind.
    fn define(&mut self, id: u64) -> Read<()> {
        if id < FIRST_OWN || self.types.contains_key(&id) || self.types.len() == MOST_TYPES {
            return Err(Damaged);
        }
        let kind = self.uint()?;
        let (mut numbers, mut fields, mut field) = ([0; 2], None, 0);
        loop {
            let distance = self.uint()?;
            if distance == 0 {
                break;
            }
            field = distance.checked_add(field).ok_or(Damaged)?;
            match (kind, field) {
                (1..=7, 1) => drop(self.named_type()?),
                (1..=2, 2) | (4, 2..=3) | (1, 3) => {
                    numbers[usize::from(field == 3)] = u64::try_from(self.int()?).map_err(|_| Damaged)?;
                }
                (3, 2) => fields = Some((0..self.count()?).map(|_| self.named_type()).collect::<Read<Vec<_>>>()?),
                _ => return Err(Damaged),
            }
        }
        self.zero()?;
        let [first, second] = numbers;
        let defined = match kind {
            1 => Type::Array { element: first, length: second },
            2 => Type::Slice { element: first },
            3 => Type::Struct(fields.unwrap_or_default().into()),
            4 => Type::Map { key: first, element: second },
            5..=7 => Type::Opaque,
            _ => return Err(Damaged),
        };
        self.types.insert(id, defined);
        Ok(())
    }

    /// Reads a struct with a name and the number of a type, and returns the number.
    fn named_type(&mut self) -> Read<u64> {
        let (mut id, mut field) = (0, 0);
        loop {
            let distance = self.uint()?;
            if distance == 0 {
                return Ok(id);
            }
            field = distance.checked_add(field).ok_or(Damaged)?;
            match field {
                1 => drop(self.counted()?),
                2 => id = u64::try_from(self.int()?).map_err(|_| Damaged)?,
                _ => return Err(Damaged),
            }
        }
    }

    fn type_of(&self, id: u64) -> Read<Type> {
        Ok(match id {
            1 => Type::Bool,
            2 => Type::Int,
            3 => Type::Uint,
            4 => Type::Float,
            5 => Type::Bytes,
            6 => Type::Text,
            7 => Type::Complex,
            INTERFACE => Type::Interface,
            id => self.types.get(&id).ok_or(Damaged)?.clone(),
        })
    }

    fn put(&mut self, text: &str, form: Form) -> Read<Form> {
        self.json.push_str(text);
        Ok(form)
    }

    /// Reads the number of a type. A negative one announces the definition of that type.
    fn id(&mut self) -> Read<Id> {
        let id = self.int()?;
        Ok(if id < 0 { Id::Defines(id.unsigned_abs()) } else { Id::Is(id.unsigned_abs()) })
    }

    /// Reads a number that counts bytes or values. Each value has at least one byte, so the number is at most that of
    /// the bytes that are left.
    fn count(&mut self) -> Read<usize> {
        usize::try_from(self.uint()?).ok().filter(|count| *count <= self.bytes.len()).ok_or(Damaged)
    }

    /// Reads a count and as many bytes.
    fn counted(&mut self) -> Read<&'a [u8]> {
        let count = self.count()?;
        self.take(count)
    }

    /// Reads the 0 before a value that is no struct, and behind the fields of one.
    fn zero(&mut self) -> Read<()> {
        if self.uint()? == 0 { Ok(()) } else { Err(Damaged) }
    }

    /// Reads a signed number: the lowest bit tells whether the others are inverted.
    fn int(&mut self) -> Read<i64> {
        let number = self.uint()?;
        let magnitude = (number >> 1).cast_signed();
        Ok(if number & 1 == 0 { magnitude } else { !magnitude })
    }

    /// Reads an unsigned number: one byte below 128, or the inverted number of its bytes and the bytes, the highest
    /// first.
    fn uint(&mut self) -> Read<u64> {
        let first = *self.take(1)?.first().ok_or(Damaged)?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let length = usize::from(first.wrapping_neg());
        if length > 8 {
            return Err(Damaged);
        }
        Ok(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Damaged)?;
        self.bytes = rest;
        Ok(taken)
    }
}

/// The number of a type in front of a definition or a value.
enum Id {
    Defines(u64),
    Is(u64),
}

fn deeper(levels: u8) -> Read<u8> {
    levels.checked_sub(1).ok_or(Damaged)
}

/// The number of the type of interfaces.
const INTERFACE: u64 = 8;
/// The lowest number of a type that a gob defines itself.
const FIRST_OWN: u64 = 64;
/// The largest depth of a value, which is also that of [`Entries::parse`].
const MOST_LEVELS: u8 = 32;
/// The most types that a gob defines.
const MOST_TYPES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the bytes of hexadecimal digits and of texts in quotes. A text has its length in front.
    fn gob(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in text.split_whitespace() {
            if let Some(text) = part.strip_prefix('"') {
                let text = text.trim_end_matches('"').replace('_', " ");
                bytes.push(u8::try_from(text.len()).unwrap());
                bytes.extend_from_slice(text.as_bytes());
            } else {
                bytes.extend((0..part.len()).step_by(2).map(|at| u8::from_str_radix(&part[at..at + 2], 16).unwrap()));
            }
        }
        bytes
    }

    /// Returns the gob of a `map[interface{}]interface{}`, from the number of its pairs on.
    fn map(pairs: &str) -> Vec<u8> {
        let value = gob(&format!("ff82 00 {pairs}"));
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [gob("0e ff81 04 01 02 ff82 00 01 10 01 10 00 00"), vec![0xfe], length.into(), value].concat()
    }

    fn json(bytes: &[u8]) -> Option<String> {
        let entries = entries(bytes)?;
        let pairs: Vec<_> = entries.iter().map(|(key, text)| format!("{key}={text}")).collect();
        Some(pairs.join(" "))
    }

    /// The key `k` in an interface.
    const K: &str = r#""string" 0c 03 00 "k""#;

    #[test]
    fn each_basic_value_becomes_json() {
        for (value, expected) in [
            (r#""string" 0c 03 00 "é""#, r#"k="é""#),
            (r#""int" 04 02 00 54"#, "k=42"),
            (r#""int64" 04 02 00 53"#, "k=-42"),
            (r#""int64" 04 0a 00 f8ffffffffffffffff"#, "k=-9223372036854775808"),
            (r#""uint64" 06 0a 00 f8ffffffffffffffff"#, "k=18446744073709551615"),
            (r#""bool" 02 02 00 01"#, "k=true"),
            (r#""bool" 02 02 00 00"#, "k=false"),
            // 17.0, as in the documentation of `encoding/gob`.
            (r#""float64" 08 04 00 fe3140"#, "k=17.0"),
            (r#""[]uint8" 0a 04 00 "ab""#, r#"k="ab""#),
            (r#""[]uint8" 0a 03 00 01 ff"#, r#"k="/w==""#),
            ("00", "k=null"),
        ] {
            assert_eq!(json(&map(&format!("01 {K} {value}"))).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn keys_are_texts_or_integers() {
        let pairs = r#"02 "int" 04 02 00 54 "string" 0c 03 00 "a" "string" 0c 03 00 "b" "bool" 02 02 00 01"#;
        assert_eq!(json(&map(pairs)).as_deref(), Some(r#"42="a" b=true"#));
        let pairs = r#"02 "bool" 02 02 00 01 "string" 0c 03 00 "a" "string" 0c 03 00 "b" "bool" 02 02 00 01"#;
        assert_eq!(json(&map(pairs)).as_deref(), Some("b=true"));
        // The text "42" and the number 42 are the same key in JSON.
        let pairs = r#"02 "int" 04 02 00 54 "bool" 02 02 00 01 "string" 0c 04 00 "42" "bool" 02 02 00 01"#;
        assert_eq!(json(&map(pairs)), None);
    }

    #[test]
    fn a_value_that_json_cannot_hold_is_left_out_and_the_others_stay() {
        for value in [
            r#""float64" 08 04 00 fef07f"#,             // infinity
            r#""float64" 08 0a 00 f8010000000000f87f"#, // NaN
            r#""complex128" 0e 06 00 fef03f fef03f"#,   // 1+1i
            r#""string" 0c 03 00 01 ff"#,               // no UTF-8
        ] {
            let last = r#""string" 0c 03 00 "z" "bool" 02 02 00 01"#;
            assert_eq!(json(&map(&format!("02 {K} {value} {last}"))).as_deref(), Some("z=true"), "{value}");
        }
    }

    #[test]
    fn a_definition_in_the_middle_ends_its_message() {
        // {"k": []string{"a", "b"}}: the message of the map ends behind the definition of []string, and goes on in the
        // next one.
        let first = gob(&format!(r#"ff82 00 01 {K} "[]string" ff83 02 01 02 ff84 00 01 0c 00 00"#));
        let second = gob(r#"ff84 06 00 02 "a" "b""#);
        let length = |bytes: &[u8]| vec![u8::try_from(bytes.len()).unwrap()];
        let map = gob("0e ff81 04 01 02 ff82 00 01 10 01 10 00 00");
        let bytes = [map, length(&first), first, length(&second), second].concat();
        assert_eq!(json(&bytes).as_deref(), Some(r#"k=["a","b"]"#));
    }

    #[test]
    fn a_struct_and_a_type_with_its_own_encoding_are_left_out() {
        // struct { X, Y int }, as in the documentation of `encoding/gob`, and time.Time.
        let point = r#"ff83 03 01 01 "Point" 01 ff84 00 01 02 01 "X" 01 04 00 01 "Y" 01 04 00 00 00"#;
        let time = r#"ff85 05 01 01 "Time" 01 ff86 00 00 00"#;
        for value in [
            format!(r#""main.Point" {point} 07 ff84 05 01 2c 01 42 00"#),
            format!(r#""main.Point" {point} 05 ff84 03 02 42 00"#),
            format!(r#""time.Time" {time} 07 ff86 05 00 "abc""#),
        ] {
            let pairs = format!(r#"02 {K} {value} "string" 0c 03 00 "z" "bool" 02 02 00 01"#);
            assert_eq!(json(&map(&pairs)).as_deref(), Some("z=true"), "{value}");
        }
        // A field that the struct does not have.
        assert_eq!(json(&map(&format!(r#"01 {K} "main.Point" {point} 05 ff84 03 03 42 00"#))), None);
    }

    #[test]
    fn maps_with_other_types_of_values_are_read() {
        let texts = gob(r#"0e ff87 04 01 02 ff88 00 01 0c 01 0c 00 00 0c ff88 00 01 "foo" "bar""#);
        assert_eq!(json(&texts).as_deref(), Some(r#"foo="bar""#));
        let values = gob(r#"0e ff87 04 01 02 ff88 00 01 0c 01 10 00 00 0f ff88 00 01 "foo" "int" 04 02 00 54"#);
        assert_eq!(json(&values).as_deref(), Some("foo=42"));
        let lists = |length: &str| {
            let types =
                format!("0f ff87 04 01 02 ff88 00 01 0c 01 ff8a 00 00 {length} ff89 02 01 02 ff8a 00 01 04 00 00");
            gob(&format!(r#"{types} 0b ff88 00 01 "foo" 02 54 53"#))
        };
        assert_eq!(json(&lists("0c")).as_deref(), Some("foo=[42,-42]"));
        assert_eq!(json(&lists("0d")), None); // the length of the definition is wrong
    }

    #[test]
    fn what_is_not_one_map_is_refused() {
        let whole = map(&format!("01 {K} {}", r#""int" 04 02 00 54"#));
        assert!(json(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(json(&whole[..end]), None, "{end}");
        }
        for bytes in [
            [whole.clone(), vec![0]].concat(),
            gob("03 04 00 06"),                                // an int
            gob("05 ff82 00 01 00"),                           // an unknown type
            gob("0e ff81 08 01 02 ff82 00 01 10 01 10 00 00"), // an unknown kind of type
            map(&format!(r#"01 {K} "int" 10 02 00 54"#)),      // an interface in an interface
            map(&format!(r#"01 {K} "int" 04 02 01 54"#)),      // no 0 before the value
            map(&format!(r#"01 {K} "bool" 02 02 00 02"#)),     // a boolean that is neither
            map(&format!(r#"01 {K} "string" 0c 03 00 f8ffffffffffffffff"#)),
            map("f8ffffffffffffffff"),
            map("fe0101"),
            map("f70000000000000000 01"),
        ] {
            assert_eq!(json(&bytes), None, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_type_that_contains_itself_ends_at_the_largest_depth() {
        // type T []T: each level is one byte.
        let nested = |levels: usize| {
            let value = format!("ff84 01 00 {} 00", "01".repeat(levels - 1));
            map(&format!(r#"01 {K} "T" ff83 02 01 02 ff84 00 01 ff84 00 00 01 {value}"#))
        };
        assert!(json(&nested(32)).is_some());
        assert_eq!(json(&nested(33)), None);
    }

    #[test]
    fn a_type_is_defined_once_and_under_a_number_of_its_own() {
        let pairs = |id: &str| format!(r#"01 {K} "T" {id} 02 01 02 ff84 00 01 04 00 00 05 ff84 03 00 01 02"#);
        assert_eq!(json(&map(&pairs("ff83"))).as_deref(), Some("k=[1]"));
        assert_eq!(json(&map(&pairs("ff81"))), None);
        assert_eq!(json(&map(&pairs("0b"))), None);
    }
}
