//! The text of a single value, as an HTML form has it.

use std::fmt::{self, Write as _};

use serde::{
    Serialize, Serializer,
    ser::{Impossible, SerializeStruct},
};

/// Serializes a single value to its text of at most `room` bytes; `None` for what JSON writes as `null`.
#[derive(Clone, Copy)]
pub(super) struct TextWithin {
    pub(super) room: usize,
}

/// The reason why a value has no text.
#[derive(Debug)]
pub(super) enum NoText {
    TooLong,
    /// The value is a list, a map, a struct or a variant with content.
    Nested,
    Failed,
}

impl TextWithin {
    fn copy(self, text: &str) -> Result<Option<String>, NoText> {
        if text.len() <= self.room { Ok(Some(text.to_owned())) } else { Err(NoText::TooLong) }
    }
}

error!(NoText: "the value has no text");

impl serde::ser::Error for NoText {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Failed
    }
}

macro_rules! printed {
    ($format:literal: $($method:ident($of:ty))*) => {$(
        fn $method(self, value: $of) -> Result<Option<String>, NoText> {
            self.copy(&format!($format, value))
        }
    )*};
}

macro_rules! nested {
    ($($method:ident($($of:ty),*) -> $compound:ident;)*) => {$(
        fn $method(self, $(_: $of),*) -> Result<Self::$compound, NoText> {
            Err(NoText::Nested)
        }
    )*};
}

impl Serializer for TextWithin {
    type Ok = Option<String>;
    type Error = NoText;
    type SerializeSeq = Impossible<Option<String>, NoText>;
    type SerializeTuple = Impossible<Option<String>, NoText>;
    type SerializeTupleStruct = Impossible<Option<String>, NoText>;
    type SerializeTupleVariant = Impossible<Option<String>, NoText>;
    type SerializeMap = Impossible<Option<String>, NoText>;
    type SerializeStruct = NumberText;
    type SerializeStructVariant = Impossible<Option<String>, NoText>;

    printed! { "{}":
        serialize_bool(bool) serialize_char(char)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }
    // `Debug` writes 1.0 and 1e300, as JSON does.
    printed! { "{:?}": serialize_f32(f32) serialize_f64(f64) }

    nested! {
        serialize_bytes(&[u8]) -> Ok;
        serialize_unit_struct(&'static str) -> Ok;
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }

    fn serialize_str(self, text: &str) -> Result<Option<String>, NoText> {
        self.copy(text)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<Option<String>, NoText> {
        let mut text = Limited { text: String::new(), room: self.room };
        write!(text, "{value}").map_err(|_| NoText::TooLong)?;
        Ok(Some(text.text))
    }

    fn serialize_none(self) -> Result<Option<String>, NoText> {
        Ok(None)
    }

    fn serialize_unit(self) -> Result<Option<String>, NoText> {
        Ok(None)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Option<String>, NoText> {
        self.copy(variant)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Option<String>, NoText> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Option<String>, NoText> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Option<String>, NoText> {
        Err(NoText::Nested)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<NumberText, NoText> {
        if name == ARBITRARY_PRECISION { Ok(NumberText { text: None, within: self }) } else { Err(NoText::Nested) }
    }
}

/// The text of a JSON number with the feature `arbitrary_precision`, which serializes as a struct with one text.
pub(super) struct NumberText {
    text: Option<String>,
    within: TextWithin,
}

impl SerializeStruct for NumberText {
    type Ok = Option<String>;
    type Error = NoText;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), NoText> {
        self.text = value.serialize(self.within)?;
        Ok(())
    }

    fn end(self) -> Result<Option<String>, NoText> {
        Ok(self.text)
    }
}

/// A text that refuses what would make it longer than `room` bytes.
struct Limited {
    text: String,
    room: usize,
}

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > self.room {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

const ARBITRARY_PRECISION: &str = "$serde_json::private::Number";
