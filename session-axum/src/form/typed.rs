//! Reads the texts of a form as a struct.

use std::{any::type_name, cell::RefCell, fmt::Display, str::FromStr};

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
        value::{MapDeserializer, SeqDeserializer, StrDeserializer},
    },
};
use session_core::flash::Texts;

use super::tree::{Node, is_blank};

/// Reads fields as a struct; `None` if a field is missing or if a text does not have the type of its field.
pub(crate) fn parse<'a, T: DeserializeOwned>(fields: impl Iterator<Item = (&'a str, &'a Texts)>) -> Option<T> {
    let fields: Vec<_> = fields.collect();
    let read = |root: &Node<'_>| read(root, &fields, false).or_else(|| read(root, &fields, true));
    // A type may have whole names such as `address[city]` as its fields or keys.
    read(&Node::tree(&fields)).or_else(|| read(&Node::flat(&fields)))
}

fn read<T: DeserializeOwned>(root: &Node<'_>, fields: &[(&str, &Texts)], infers_types: bool) -> Option<T> {
    let form = Form { root, fields, infers_types, nulls: RefCell::default() };
    loop {
        let known = form.nulls.borrow().len();
        match T::deserialize(Value { form: &form, source: Source::Node(root) }) {
            Ok(value) => return Some(value),
            Err(_) if form.nulls.borrow().len() == known => return None,
            Err(_) => {}
        }
    }
}

/// The error for a form that cannot be read as a type.
#[derive(Debug)]
struct Unreadable {
    missing: Option<&'static str>,
}

const UNREADABLE: Unreadable = Unreadable { missing: None };

error!(Unreadable: "the form cannot be read as this type");

impl serde::de::Error for Unreadable {
    fn custom<T: Display>(_: T) -> Self {
        UNREADABLE
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field) }
    }
}

/// The form that is read.
struct Form<'t> {
    root: &'t Node<'t>,
    fields: &'t [(&'t str, &'t Texts)],
    /// Whether a text of an unknown type may be a number or a boolean. The types of flattened and untagged values are
    /// unknown to serde.
    infers_types: bool,
    /// What is read as `null` in the next attempt.
    nulls: RefCell<Vec<Null<'t>>>,
}

/// A value that is read as `null`. The types are the names of their visitors: what holds for one value of a type holds
/// for all, so that the number of attempts does not depend on the form's length.
#[derive(Clone, Copy, PartialEq)]
enum Null<'t> {
    /// A blank text that an optional type does not take, as an empty text is no number. `None` is an empty list.
    Blank(&'static str, Option<&'t str>),
    /// A required field of a struct.
    Missing(&'static str, &'static str),
}

/// A value of the form.
#[derive(Clone, Copy)]
struct Value<'t> {
    form: &'t Form<'t>,
    source: Source<'t>,
}

#[derive(Clone, Copy)]
enum Source<'t> {
    Node(&'t Node<'t>),
    /// A text in a list.
    Text(&'t String),
    Key(&'t str),
    /// The value of a missing field: `null` is left out of a form.
    Null,
}

type Pair<'t> = (Value<'t>, Value<'t>);

impl<'t> Value<'t> {
    const fn of(self, source: Source<'t>) -> Self {
        Self { form: self.form, source }
    }

    /// Returns the text, or the last text of a list.
    fn text(&self) -> Result<&'t str, Unreadable> {
        match self.source {
            Source::Node(node) => {
                let texts = node.texts.map_or(&[][..], Texts::as_slice);
                texts.last().map(String::as_str).ok_or(UNREADABLE)
            }
            Source::Text(text) => Ok(text),
            Source::Key(key) => Ok(key),
            Source::Null => Err(UNREADABLE),
        }
    }

    fn parsed<T: FromStr>(&self) -> Result<T, Unreadable> {
        self.text()?.trim().parse().map_err(|_| UNREADABLE)
    }

    fn is_blank(&self) -> bool {
        match self.source {
            Source::Node(node) => node.is_blank(),
            Source::Text(text) => is_blank(text),
            Source::Null => true,
            Source::Key(_) => false,
        }
    }

    fn is_root(&self) -> bool {
        matches!(self.source, Source::Node(node) if std::ptr::eq(node, self.form.root))
    }

    fn note(&self, null: Null<'t>) {
        if !self.form.nulls.borrow().contains(&null) {
            self.form.nulls.borrow_mut().push(null);
        }
    }

    /// Returns the fields of a struct that are missing and are read as `null`.
    fn missing_fields(self, of: &'static str) -> Vec<Pair<'t>> {
        let nulls = self.form.nulls.borrow();
        let fields = nulls.iter().filter_map(|null| match null {
            Null::Missing(of_type, field) if *of_type == of => Some(*field),
            _ => None,
        });
        let missing = fields.filter(|field| !self.has_member(field));
        missing.map(|field| (self.of(Source::Key(field)), self.of(Source::Null))).collect()
    }

    fn has_member(&self, key: &str) -> bool {
        matches!(self.source, Source::Node(node) if node.members.iter().any(|(known, _)| *known == key))
    }

    /// Returns the members of a struct or a map.
    fn members(self) -> Result<impl Iterator<Item = Pair<'t>>, Unreadable> {
        let members = match self.source {
            Source::Node(node) if !node.members.is_empty() || self.is_root() || node.is_blank() => &node.members,
            _ => return Err(UNREADABLE),
        };
        Ok(members.iter().map(move |(key, node)| (self.of(Source::Key(key)), self.of(Source::Node(node)))))
    }

    /// Returns the items of a list.
    fn items(self) -> Result<Vec<Self>, Unreadable> {
        match self.source {
            Source::Node(Node { texts: Some(texts), .. }) => {
                Ok(texts.as_slice().iter().map(|text| self.of(Source::Text(text))).collect())
            }
            // Forms may have names such as `colour[]`.
            Source::Node(Node { members, .. }) if members.len() == 1 && members[0].0.is_empty() => {
                self.of(Source::Node(&members[0].1)).items()
            }
            Source::Node(node) => {
                let items = node.items().ok_or(UNREADABLE)?;
                Ok(items.into_iter().map(|node| self.of(Source::Node(node))).collect())
            }
            Source::Text(_) | Source::Key(_) => Ok(vec![self]),
            Source::Null => Err(UNREADABLE),
        }
    }

    /// Returns each text of the form with its name.
    fn pairs(self) -> impl Iterator<Item = Pair<'t>> {
        self.form.fields.iter().flat_map(move |(name, texts)| {
            texts.as_slice().iter().map(move |text| (self.of(Source::Key(name)), self.of(Source::Text(text))))
        })
    }

    fn visit_text_of_unknown_type<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let text = self.text()?;
        if !self.form.infers_types {
            return visitor.visit_str(text);
        }
        if let Ok(truth) = text.parse() {
            return visitor.visit_bool(truth);
        }
        if let Some(number) = text.parse::<u64>().ok().filter(|number| number.to_string() == text) {
            return visitor.visit_u64(number);
        }
        if let Some(number) = text.parse::<i64>().ok().filter(|number| number.to_string() == text) {
            return visitor.visit_i64(number);
        }
        match text.parse::<f64>() {
            Ok(number) if format!("{number:?}") == text => visitor.visit_f64(number),
            _ => visitor.visit_str(text),
        }
    }
}

impl<'t> IntoDeserializer<'t, Unreadable> for Value<'t> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($deserialize:ident $visit:ident;)*) => {$(
        fn $deserialize<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
            visitor.$visit(self.parsed()?)
        }
    )*};
}

impl<'t> Deserializer<'t> for Value<'t> {
    type Error = Unreadable;

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

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.source {
            Source::Node(Node { texts: Some(Texts::Many(_)), .. }) => self.deserialize_seq(visitor),
            Source::Node(node) if node.texts.is_none() => match node.items() {
                Some(items) if !items.is_empty() => self.deserialize_seq(visitor),
                _ => self.deserialize_map(visitor),
            },
            Source::Key(key) => visitor.visit_str(key),
            Source::Null => visitor.visit_unit(),
            Source::Node(_) | Source::Text(_) => self.visit_text_of_unknown_type(visitor),
        }
    }

    /// Reads a boolean. The text `on` counts as true, because browsers send it for a checkbox without a value.
    fn deserialize_bool<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let is_on = self.text()? == "on";
        visitor.visit_bool(is_on || self.parsed()?)
    }

    fn deserialize_char<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_str<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_identifier<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_str(self.text()?)
    }

    /// Reads an optional value. If it is blank and its type takes no blank text, the next attempt reads it as `None`.
    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        let null = Null::Blank(type_name::<V>(), self.text().ok());
        if matches!(self.source, Source::Null) || (self.is_blank() && self.form.nulls.borrow().contains(&null)) {
            return visitor.visit_none();
        }
        let value = visitor.visit_some(self);
        if value.is_err() && self.is_blank() && !self.is_root() {
            self.note(null);
        }
        value
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(self, _: &str, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.is_root() {
            return visitor.visit_seq(MapDeserializer::new(self.pairs()));
        }
        visitor.visit_seq(SeqDeserializer::new(self.items()?.into_iter()))
    }

    fn deserialize_bytes<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.source {
            Source::Node(Node { texts: Some(Texts::One(text)), .. }) => visitor.visit_str(text),
            _ => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_tuple<V: Visitor<'t>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'t>>(self, _: &str, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_map(MapDeserializer::new(self.members()?))
    }

    /// Reads a struct. If a required field is missing, the next attempt reads it from `null`.
    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _: &str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        let of = type_name::<V>();
        let members = self.members()?.chain(self.missing_fields(of));
        visitor.visit_map(MapDeserializer::new(members)).map_err(|error| {
            error.missing.into_iter().for_each(|field| self.note(Null::Missing(of, field)));
            UNREADABLE
        })
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        visitor.visit_enum(self)
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    fn deserialize_unit<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_unit()
    }
}

/// An enum is the name of its variant as a text, or the variant's content under that name.
impl<'t> EnumAccess<'t> for Value<'t> {
    type Error = Unreadable;
    type Variant = Content<'t>;

    fn variant_seed<S: DeserializeSeed<'t>>(self, seed: S) -> Result<(S::Value, Content<'t>), Unreadable> {
        let (name, content) = match self.source {
            Source::Node(Node { texts: None, members }) if members.len() == 1 => {
                (members[0].0, Some(self.of(Source::Node(&members[0].1))))
            }
            _ => (self.text()?, None),
        };
        let variant = seed.deserialize(StrDeserializer::<Unreadable>::new(name))?;
        Ok((variant, Content(content)))
    }
}

/// The content of a variant.
struct Content<'t>(Option<Value<'t>>);

impl<'t> Content<'t> {
    fn value(self) -> Result<Value<'t>, Unreadable> {
        self.0.ok_or(UNREADABLE)
    }
}

impl<'t> VariantAccess<'t> for Content<'t> {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        if self.0.is_none_or(|value| value.is_blank()) { Ok(()) } else { Err(UNREADABLE) }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'t>>(self, seed: S) -> Result<S::Value, Unreadable> {
        seed.deserialize(self.value()?)
    }

    fn tuple_variant<V: Visitor<'t>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.value()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'t>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unreadable> {
        self.value()?.deserialize_map(visitor)
    }
}
