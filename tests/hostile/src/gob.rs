//! An encoder of Go's `encoding/gob`, for the values that a session has.
//!
//! It writes messages as Go does. In particular, the definition of a type in the middle of a value ends the message of
//! that value, and the value goes on in the next one.

/// A Go value.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of Go's types")]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Complex(f64, f64),
    Bytes(Vec<u8>),
    Text(String),
    /// `[]string`.
    Texts(Vec<String>),
    /// `[]int`.
    Ints(Vec<i64>),
    /// `[3]bool`.
    Bools([bool; 3]),
    /// `[]interface{}`.
    List(Vec<Value>),
    /// `map[interface{}]interface{}`.
    Map(Vec<(Value, Value)>),
    /// `map[string]interface{}`.
    TextMap(Vec<(String, Value)>),
    /// `map[string]string`.
    TextsByText(Vec<(String, String)>),
    /// `struct { X, Y int }`.
    Point(i64, i64),
    /// `time.Time`, with its encoding.
    Time(Vec<u8>),
}

/// Encodes one value. The types get their numbers from `first_id` on; Go begins with 65 or more.
#[must_use]
pub fn encoded(value: &Value, first_id: i64) -> Vec<u8> {
    let mut encoder = Encoder { known: Vec::new(), next_id: first_id, buffers: vec![Vec::new(), Vec::new()] };
    encoder.define(value.kind());
    let id = encoder.id(value.kind());
    encoder.int(id);
    encoder.single(value);
    encoder.end_message();
    encoder.buffers.swap_remove(0)
}

impl Value {
    fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Interface,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Uint(_) => Kind::Uint,
            Self::Float(_) => Kind::Float,
            Self::Complex(..) => Kind::Complex,
            Self::Bytes(_) => Kind::Bytes,
            Self::Text(_) => Kind::Text,
            Self::Texts(_) => Kind::Texts,
            Self::Ints(_) => Kind::Ints,
            Self::Bools(_) => Kind::Bools,
            Self::List(_) => Kind::List,
            Self::Map(_) => Kind::Map,
            Self::TextMap(_) => Kind::TextMap,
            Self::TextsByText(_) => Kind::TextsByText,
            Self::Point(..) => Kind::Point,
            Self::Time(_) => Kind::Time,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    Bytes,
    Text,
    Complex,
    Interface,
    Texts,
    Ints,
    Bools,
    List,
    Map,
    TextMap,
    TextsByText,
    Point,
    Time,
}

impl Kind {
    /// Returns the name under which Go registers the type.
    fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Float => "float64",
            Self::Bytes => "[]uint8",
            Self::Text => "string",
            Self::Complex => "complex128",
            Self::Interface => "",
            Self::Texts => "[]string",
            Self::Ints => "[]int",
            Self::Bools => "[3]bool",
            Self::List => "[]interface {}",
            Self::Map => "map[interface {}]interface {}",
            Self::TextMap => "map[string]interface {}",
            Self::TextsByText => "map[string]string",
            Self::Point => "main.Point",
            Self::Time => "time.Time",
        }
    }

    /// Returns the number of a type that needs no definition.
    fn built_in(self) -> Option<i64> {
        Some(match self {
            Self::Bool => 1,
            Self::Int => 2,
            Self::Uint => 3,
            Self::Float => 4,
            Self::Bytes => 5,
            Self::Text => 6,
            Self::Complex => 7,
            Self::Interface => 8,
            _ => return None,
        })
    }
}

struct Encoder {
    /// The types that were defined, in the order of their numbers.
    known: Vec<(Kind, i64)>,
    next_id: i64,
    /// The stream, and the open messages: each is inside of the one before.
    buffers: Vec<Vec<u8>>,
}

impl Encoder {
    /// Defines a type unless it is known, and ends the message with the definition.
    fn define(&mut self, kind: Kind) {
        if kind.built_in().is_some() || self.known.iter().any(|(known, _)| *known == kind) {
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.known.push((kind, id));
        self.int(-id);
        match kind {
            Kind::Bools => self.definition(1, id, "", &[1, 3]),
            Kind::Texts => self.definition(2, id, "", &[6]),
            Kind::Ints => self.definition(2, id, "", &[2]),
            Kind::List => self.definition(2, id, "", &[8]),
            Kind::Map => self.definition(4, id, "", &[8, 8]),
            Kind::TextMap => self.definition(4, id, "", &[6, 8]),
            Kind::TextsByText => self.definition(4, id, "", &[6, 6]),
            Kind::Time => self.definition(5, id, "Time", &[]),
            _ => self.point(id),
        }
        self.end_message();
    }

    /// Writes a definition: the number of its kind, the name and the number of the type, and signed numbers.
    fn definition(&mut self, kind: u64, id: i64, name: &str, numbers: &[i64]) {
        self.uint(kind);
        self.common(id, name);
        for number in numbers {
            self.uint(1);
            self.int(*number);
        }
        self.uint(0);
        self.uint(0);
    }

    fn common(&mut self, id: i64, name: &str) {
        self.uint(1);
        if name.is_empty() {
            self.uint(2);
        } else {
            self.uint(1);
            self.counted(name.as_bytes());
            self.uint(1);
        }
        self.int(id);
        self.uint(0);
    }

    /// Writes the definition of `struct { X, Y int }`.
    fn point(&mut self, id: i64) {
        self.uint(3);
        self.common(id, "Point");
        self.uint(1);
        self.uint(2);
        for field in ["X", "Y"] {
            self.uint(1);
            self.counted(field.as_bytes());
            self.uint(1);
            self.int(2);
            self.uint(0);
        }
        self.uint(0);
        self.uint(0);
    }

    /// Writes a value that stands alone: in front of anything but a struct comes a 0.
    fn single(&mut self, value: &Value) {
        if value.kind() != Kind::Point {
            self.uint(0);
        }
        self.value(value);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Nil => self.uint(0),
            Value::Bool(value) => self.uint(u64::from(*value)),
            Value::Int(value) => self.int(*value),
            Value::Uint(value) => self.uint(*value),
            Value::Float(value) => self.uint(value.to_bits().swap_bytes()),
            Value::Complex(real, imaginary) => {
                self.uint(real.to_bits().swap_bytes());
                self.uint(imaginary.to_bits().swap_bytes());
            }
            Value::Bytes(bytes) | Value::Time(bytes) => self.counted(bytes),
            Value::Text(text) => self.counted(text.as_bytes()),
            Value::Texts(texts) => {
                self.uint(texts.len() as u64);
                texts.iter().for_each(|text| self.counted(text.as_bytes()));
            }
            Value::Ints(numbers) => {
                self.uint(numbers.len() as u64);
                numbers.iter().for_each(|number| self.int(*number));
            }
            Value::Bools(values) => {
                self.uint(3);
                values.iter().for_each(|value| self.uint(u64::from(*value)));
            }
            Value::List(values) => {
                self.uint(values.len() as u64);
                values.iter().for_each(|value| self.interface(value));
            }
            Value::Map(pairs) => {
                self.uint(pairs.len() as u64);
                for (key, value) in pairs {
                    self.interface(key);
                    self.interface(value);
                }
            }
            Value::TextMap(pairs) => {
                self.uint(pairs.len() as u64);
                for (key, value) in pairs {
                    self.counted(key.as_bytes());
                    self.interface(value);
                }
            }
            Value::TextsByText(pairs) => {
                self.uint(pairs.len() as u64);
                for (key, value) in pairs {
                    self.counted(key.as_bytes());
                    self.counted(value.as_bytes());
                }
            }
            Value::Point(x, y) => {
                let mut skipped = 1;
                for number in [x, y] {
                    // Go leaves out fields that are zero.
                    if *number == 0 {
                        skipped += 1;
                    } else {
                        self.uint(skipped);
                        self.int(*number);
                        skipped = 1;
                    }
                }
                self.uint(0);
            }
        }
    }

    /// Writes the value of an interface.
    fn interface(&mut self, value: &Value) {
        self.counted(value.kind().name().as_bytes());
        if *value == Value::Nil {
            return;
        }
        self.define(value.kind());
        let id = self.id(value.kind());
        self.int(id);
        self.buffers.push(Vec::new());
        self.single(value);
        self.end_message();
        self.buffers.pop();
    }

    fn id(&self, kind: Kind) -> i64 {
        let known = || self.known.iter().find(|(known, _)| *known == kind).map(|(_, id)| *id);
        kind.built_in().or_else(known).unwrap_or_default()
    }

    /// Moves the innermost message, with its length in front, into the one around it.
    fn end_message(&mut self) {
        let Some(message) = self.buffers.pop() else { return };
        self.uint(message.len() as u64);
        self.put(&message);
        self.buffers.push(Vec::new());
    }

    fn counted(&mut self, bytes: &[u8]) {
        self.uint(bytes.len() as u64);
        self.put(bytes);
    }

    fn int(&mut self, number: i64) {
        let shifted = (number << 1).cast_unsigned();
        self.uint(if number < 0 { !shifted } else { shifted });
    }

    fn uint(&mut self, number: u64) {
        if number < 0x80 {
            self.put(&number.to_be_bytes()[7..]);
        } else {
            let zeros = number.leading_zeros() / 8;
            let length = 8 - zeros as usize;
            self.put(&[(length as u8).wrapping_neg()]);
            self.put(&number.to_be_bytes()[8 - length..]);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(buffer) = self.buffers.last_mut() {
            buffer.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_documentation_of_gob_are_met() {
        assert_eq!(encoded(&Value::Int(3), 65), [3, 4, 0, 6]);
        let point = [
            0x1f, 0xff, 0x81, 3, 1, 1, 5, 0x50, 0x6f, 0x69, 0x6e, 0x74, 1, 0xff, 0x82, 0, 1, 2, 1, 1, 0x58, 1, 4, 0, 1,
            1, 0x59, 1, 4, 0, 0, 0, 7, 0xff, 0x82, 1, 0x2c, 1, 0x42, 0,
        ];
        assert_eq!(encoded(&Value::Point(22, 33), 65), point);
    }
}
