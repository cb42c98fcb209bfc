//! Reads the texts of a form as a struct.

use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor, value},
    forward_to_deserialize_any,
};
use session_core::flash::Texts;

/// Reads fields as a struct; `None` if a field is missing or if a text does not have the type of its field.
pub(crate) fn parse<'a, T: DeserializeOwned>(fields: impl Iterator<Item = (&'a str, &'a Texts)>) -> Option<T> {
    let fields = fields.map(|(name, texts)| (name, Field(texts.as_slice(), matches!(texts, Texts::Many(_)))));
    T::deserialize(value::MapDeserializer::<_, value::Error>::new(fields)).ok()
}

/// The texts of a field, and whether they are a list.
#[derive(Clone, Copy)]
struct Field<'a>(&'a [String], bool);

impl Field<'_> {
    fn last(&self) -> Result<&str, value::Error> {
        self.0.last().map(String::as_str).ok_or_else(|| value::Error::custom("an empty list"))
    }
}

impl<'de> IntoDeserializer<'de> for Field<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($deserialize:ident $visit:ident;)*) => {$(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
            visitor.$visit(self.last()?.trim().parse().map_err(value::Error::custom)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = value::Error;

    parsed! {
        deserialize_i8 visit_i8;
        deserialize_i16 visit_i16;
        deserialize_i32 visit_i32;
        deserialize_i64 visit_i64;
        deserialize_i128 visit_i128;
        deserialize_u8 visit_u8;
        deserialize_u16 visit_u16;
        deserialize_u32 visit_u32;
        deserialize_u64 visit_u64;
        deserialize_u128 visit_u128;
        deserialize_f32 visit_f32;
        deserialize_f64 visit_f64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        if self.1 { self.deserialize_seq(visitor) } else { visitor.visit_str(self.last()?) }
    }

    /// Reads a boolean. The text `on` counts as true, because browsers send it for a checkbox without a value.
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        match self.last()? {
            "on" => visitor.visit_bool(true),
            text => visitor.visit_bool(text.parse().map_err(value::Error::custom)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        let items = self.0.iter().map(|text| Field(std::slice::from_ref(text), false));
        visitor.visit_seq(value::SeqDeserializer::new(items))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, value::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, value::Error> {
        self.last()?.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_str(self.last()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, value::Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple_struct map struct identifier
    }
}
