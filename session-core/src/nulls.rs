//! The search for values that JSON writes as `null` although they are none: floats that are not finite, and
//! `Some(None)`.

use std::{cell::Cell, fmt};

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

/// Returns whether all floats in a value are finite, at any depth.
pub(crate) fn is_finite<T: Serialize + ?Sized>(value: &T) -> bool {
    value.serialize(Search(&Cell::new(0))).is_ok()
}

/// Returns how many times a value contains `Some` of what JSON writes as `null`, such as `Some(None)`.
pub(crate) fn some_nulls<T: Serialize + ?Sized>(value: &T) -> usize {
    let found = Cell::new(0);
    let _ = value.serialize(Search(&found));
    found.get()
}

/// A serializer that writes nothing, and fails at the first float that is not finite. It counts `Some` of `null`, and
/// returns for each value whether it is `null`.
#[derive(Clone, Copy)]
struct Search<'a>(&'a Cell<usize>);

#[derive(Debug)]
struct Found;

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value contains a float that is not finite")
    }
}

impl std::error::Error for Found {}

impl serde::ser::Error for Found {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

macro_rules! skip {
    ($is_null:literal: $($method:ident($($of:ty),*))*) => {$(
        fn $method(self, $(_: $of),*) -> Result<bool, Found> {
            Ok($is_null)
        }
    )*};
}

macro_rules! begin {
    ($($method:ident($($of:ty),*))*) => {$(
        fn $method(self, $(_: $of),*) -> Result<Self, Found> {
            Ok(self)
        }
    )*};
}

impl Serializer for Search<'_> {
    type Ok = bool;
    type Error = Found;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    skip! { true: serialize_none() serialize_unit() serialize_unit_struct(&'static str) }
    skip! { false:
        serialize_bool(bool) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_unit_variant(&'static str, u32, &'static str)
    }

    begin! {
        serialize_seq(Option<usize>) serialize_tuple(usize) serialize_tuple_struct(&'static str, usize)
        serialize_tuple_variant(&'static str, u32, &'static str, usize) serialize_map(Option<usize>)
        serialize_struct(&'static str, usize) serialize_struct_variant(&'static str, u32, &'static str, usize)
    }

    fn serialize_f32(self, value: f32) -> Result<bool, Found> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<bool, Found> {
        if value.is_finite() { Ok(false) } else { Err(Found) }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<bool, Found> {
        let is_null = value.serialize(self)?;
        self.0.set(self.0.get() + usize::from(is_null));
        Ok(is_null)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<bool, Found> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<bool, Found> {
        value.serialize(self).map(|_| false)
    }
}

macro_rules! compound {
    ($($of:ident: $($method:ident($($key:ty)?)),+;)*) => {$(
        impl $of for Search<'_> {
            type Ok = bool;
            type Error = Found;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $(_: $key,)? value: &T) -> Result<(), Found> {
                value.serialize(*self).map(drop)
            })+

            fn end(self) -> Result<bool, Found> {
                Ok(false)
            }
        }
    )*};
}

compound! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key(), serialize_value();
    SerializeStruct: serialize_field(&'static str);
    SerializeStructVariant: serialize_field(&'static str);
}
