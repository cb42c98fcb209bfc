//! The way from a form to its fields: a serializer that writes names and texts, and stops where they get too large.

use std::fmt::Display;

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};
use session_core::flash::{Batch, Texts};

use super::{
    Choice, MAX_DEPTH,
    text::{NoText, TextWithin},
};

/// Collects the fields of a form, and the names of those that are too large.
#[doc(hidden)]
pub struct Values<'a> {
    choice: &'a Choice,
    fields: Vec<(String, Texts)>,
    /// The names of the fields that are too large.
    batch: Batch,
    /// How many fields were added or dropped.
    count: usize,
    /// The name of the value that is being serialized.
    path: String,
    depth: usize,
    /// The bytes that names and texts may still have.
    room: usize,
    /// The number of texts that may still be added.
    texts_left: usize,
    /// The bytes of names that may still be compared with the choice.
    names_left: usize,
}

session_core::opaque_debug!(['a] Values<'a>);

impl<'a> Values<'a> {
    pub(super) fn new(choice: &'a Choice) -> Self {
        Self {
            choice,
            fields: Vec::new(),
            batch: Batch::default(),
            count: 0,
            path: String::new(),
            depth: 0,
            room: MAX_SIZE,
            texts_left: MAX_TEXTS,
            names_left: MAX_NAMES,
        }
    }

    pub(super) fn add<F: Serialize + ?Sized>(&mut self, form: &F) {
        if let Err(Stop::NoFields) = form.serialize(Flatten { values: self, role: Role::Form }) {
            tracing::warn!(
                name: "flash.form_without_fields", target: "session_axum::flash",
                "form input without fields: pass a struct, a map or pairs of name and value"
            );
        }
    }

    /// Returns the input and the names of the fields that were too large.
    pub(super) fn finish(self) -> Batch {
        let Self { fields, mut batch, .. } = self;
        if !batch.dropped.is_empty() {
            tracing::warn!(
                name: "flash.form_cut", target: "session_axum::flash",
                "a form has more than 64 KiB or 1000 values: the rest was left out"
            );
        }
        // A name that occurs several times is left out as a whole.
        batch.input = fields.into_iter().filter(|(name, _)| !batch.dropped.contains(name)).collect();
        batch
    }

    /// Adds a value under the name `path`.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        match value.serialize(TextWithin { room: self.room }) {
            Ok(None) => Ok(()),
            Ok(Some(text)) => self.field(Texts::One(text)),
            Err(NoText::TooLong) => self.drop_field(),
            Err(NoText::Nested) => self.nested(value),
            Err(NoText::Failed) => Err(Stop::NoFields),
        }
    }

    fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        if self.depth > MAX_DEPTH {
            return self.drop_field();
        }
        value.serialize(Flatten { values: self, role: Role::Nested })
    }

    fn field(&mut self, texts: Texts) -> Result<(), Stop> {
        let count = texts.as_slice().len().max(1);
        let size = self.path.len() + texts.as_slice().iter().map(String::len).sum::<usize>();
        if count > self.texts_left || size > self.room {
            return self.drop_field();
        }
        if self.takes()? {
            self.texts_left -= count;
            self.room -= size;
            self.count += 1;
            self.fields.push((self.path.clone(), texts));
        }
        Ok(())
    }

    /// Leaves out the field `path`, and notes its name if the form would have it otherwise.
    fn drop_field(&mut self) -> Result<(), Stop> {
        self.count += 1;
        let is_new = !self.batch.drops_unnamed() && !self.batch.dropped.contains(&self.path);
        if is_new && (self.path.len() > MAX_NAME || self.takes()?) {
            self.batch.note_dropped(&self.path);
        }
        if self.texts_left == 0 && self.batch.drops_unnamed() { Err(Stop::Full) } else { Ok(()) }
    }

    /// Returns whether the choice has the field `path`.
    fn takes(&mut self) -> Result<bool, Stop> {
        let Some(left) = self.names_left.checked_sub(self.path.len() + COMPARISON) else {
            self.batch.note_dropped_unnamed();
            return Err(Stop::Full);
        };
        self.names_left = left;
        Ok(self.choice.takes(&self.path))
    }

    /// Adds an empty list if nothing was added or dropped since `count`, so that an empty struct can be read back.
    fn mark_empty(&mut self, count: usize) -> Result<(), Stop> {
        if self.count == count && self.depth > 0 { self.field(Texts::Many(Vec::new())) } else { Ok(()) }
    }

    /// Goes down to a member, and returns what [`leave`](Self::leave) takes.
    fn enter(&mut self, key: &str) -> usize {
        let length = self.path.len();
        if self.depth == 0 {
            self.path.push_str(key);
        } else {
            self.path.extend(["[", key, "]"]);
        }
        self.depth += 1;
        length
    }

    fn leave(&mut self, length: usize) {
        self.path.truncate(length);
        self.depth -= 1;
    }

    fn member<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Stop> {
        let length = self.enter(key);
        self.value(value)?;
        self.leave(length);
        Ok(())
    }
}

/// The reason to serialize no further.
#[derive(Debug)]
enum Stop {
    /// Nothing that follows would be added or named.
    Full,
    /// The form is no struct, no map and no list of pairs, or it does not serialize.
    NoFields,
}

error!(Stop: "the form ends here");

impl serde::ser::Error for Stop {
    fn custom<T: Display>(_: T) -> Self {
        Self::NoFields
    }
}

/// The serializer of whatever has members.
struct Flatten<'v, 'a> {
    values: &'v mut Values<'a>,
    role: Role,
}

/// The role of a value in the form.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Form,
    /// A member of a form that is a list.
    Pair,
    Nested,
}

impl<'v, 'a> Flatten<'v, 'a> {
    fn list(self, len: Option<usize>) -> List<'v, 'a> {
        let count = self.values.count;
        let is_pair = self.role == Role::Pair && len.is_none_or(|len| len == 2);
        let items = match self.role {
            Role::Form => Items::Pairs,
            Role::Pair if is_pair => Items::Pair(None),
            Role::Pair => Items::Ignored,
            Role::Nested => Items::Texts(Vec::new()),
        };
        List { values: self.values, items, index: 0, size: 0, count, opened: None }
    }

    fn fields(self) -> Result<Fields<'v, 'a>, Stop> {
        if self.role == Role::Pair {
            return Err(Stop::NoFields);
        }
        let count = self.values.count;
        Ok(Fields { values: self.values, key: None, count, opened: None })
    }

    /// Goes down to the content of a variant.
    fn variant(self, variant: &str) -> Result<(Self, usize), Stop> {
        if self.role == Role::Pair {
            return Err(Stop::NoFields);
        }
        let length = self.values.enter(variant);
        Ok((Self { values: self.values, role: Role::Nested }, length))
    }
}

macro_rules! no_fields {
    ($($method:ident($($of:ty),*))*) => {$(
        fn $method(self, $(_: $of),*) -> Result<(), Stop> {
            Err(Stop::NoFields)
        }
    )*};
}

impl<'v, 'a> Serializer for Flatten<'v, 'a> {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = List<'v, 'a>;
    type SerializeTuple = List<'v, 'a>;
    type SerializeTupleStruct = List<'v, 'a>;
    type SerializeTupleVariant = List<'v, 'a>;
    type SerializeMap = Fields<'v, 'a>;
    type SerializeStruct = Fields<'v, 'a>;
    type SerializeStructVariant = Fields<'v, 'a>;

    no_fields! {
        serialize_bool(bool) serialize_char(char) serialize_str(&str) serialize_f32(f32) serialize_f64(f64)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_none() serialize_unit() serialize_unit_variant(&'static str, u32, &'static str)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Stop> {
        bytes.serialize(self)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Stop> {
        SerializeStruct::end(self.fields()?)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Stop> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        let count = self.values.count;
        let (Self { values, .. }, length) = self.variant(variant)?;
        values.value(value)?;
        values.mark_empty(count)?;
        values.leave(length);
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<List<'v, 'a>, Stop> {
        Ok(self.list(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<List<'v, 'a>, Stop> {
        Ok(self.list(Some(len)))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<List<'v, 'a>, Stop> {
        Ok(self.list(Some(len)))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<List<'v, 'a>, Stop> {
        let (flatten, length) = self.variant(variant)?;
        Ok(List { opened: Some(length), ..flatten.list(Some(len)) })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields<'v, 'a>, Stop> {
        self.fields()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'v, 'a>, Stop> {
        self.fields()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'v, 'a>, Stop> {
        let (flatten, length) = self.variant(variant)?;
        Ok(Fields { opened: Some(length), ..flatten.fields()? })
    }
}

/// The members of a list.
struct List<'v, 'a> {
    values: &'v mut Values<'a>,
    items: Items,
    index: usize,
    /// The size of the texts so far.
    size: usize,
    count: usize,
    opened: Option<usize>,
}

/// What the members of a list are.
enum Items {
    /// Pairs of name and value: the list is the form.
    Pairs,
    /// The name of a pair, and then its value.
    Pair(Option<String>),
    Ignored,
    /// Texts so far, which stay a list.
    Texts(Vec<Option<String>>),
    /// Texts that are too large together.
    TooLarge,
    /// At least one member is a list or has fields, so that each member has its index in its name.
    Nested,
}

impl List<'_, '_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        let index = self.index;
        self.index += 1;
        match &mut self.items {
            Items::Pairs => value.serialize(Flatten { values: self.values, role: Role::Pair }),
            Items::Pair(name @ None) if index == 0 => {
                *name = value.serialize(TextWithin { room: MAX_SIZE }).ok().flatten();
                Ok(())
            }
            Items::Pair(name) => name.take().map_or(Ok(()), |name| self.values.member(&name, value)),
            Items::Texts(_) => self.text(value),
            Items::Nested => self.indexed(index, value),
            Items::Ignored | Items::TooLarge => Ok(()),
        }
    }

    fn text<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        let Items::Texts(texts) = &mut self.items else { return Ok(()) };
        let room = self.values.room.saturating_sub(self.size);
        match value.serialize(TextWithin { room }) {
            Ok(text) if texts.len() < self.values.texts_left => {
                self.size += text.as_ref().map_or(0, String::len);
                texts.push(text);
            }
            Ok(_) | Err(NoText::TooLong) => self.items = Items::TooLarge,
            Err(NoText::Nested) => return self.turn_nested(value),
            Err(NoText::Failed) => return Err(Stop::NoFields),
        }
        Ok(())
    }

    /// Gives the texts so far and all further members an index in their names, so that the fields of one struct stay
    /// together.
    fn turn_nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        if let Items::Texts(texts) = std::mem::replace(&mut self.items, Items::Nested) {
            texts.iter().enumerate().try_for_each(|(index, text)| self.indexed(index, text))?;
        }
        self.indexed(self.index - 1, value)
    }

    fn indexed<T: Serialize + ?Sized>(&mut self, index: usize, value: &T) -> Result<(), Stop> {
        let count = self.values.count;
        let length = self.values.enter(&index.to_string());
        self.values.value(value)?;
        self.values.mark_empty(count)?;
        self.values.leave(length);
        Ok(())
    }

    fn close(self) -> Result<(), Stop> {
        match self.items {
            Items::Texts(texts) => {
                let texts = texts.into_iter().map(Option::unwrap_or_default).collect();
                self.values.field(Texts::Many(texts))?;
            }
            Items::TooLarge => self.values.drop_field()?,
            Items::Nested => self.values.mark_empty(self.count)?,
            Items::Pairs | Items::Pair(_) | Items::Ignored => {}
        }
        if let Some(length) = self.opened {
            self.values.leave(length);
        }
        Ok(())
    }
}

/// The members of a map or a struct.
struct Fields<'v, 'a> {
    values: &'v mut Values<'a>,
    key: Option<String>,
    count: usize,
    opened: Option<usize>,
}

impl Fields<'_, '_> {
    fn close(self) -> Result<(), Stop> {
        self.values.mark_empty(self.count)?;
        if let Some(length) = self.opened {
            self.values.leave(length);
        }
        Ok(())
    }
}

impl SerializeMap for Fields<'_, '_> {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stop> {
        let text = key.serialize(TextWithin { room: usize::MAX });
        self.key = text.map_err(|_| Stop::NoFields)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        self.key.take().map_or(Err(Stop::NoFields), |key| self.values.member(&key, value))
    }

    fn end(self) -> Result<(), Stop> {
        self.close()
    }
}

macro_rules! list {
    ($($of:ident: $method:ident;)*) => {$(
        impl $of for List<'_, '_> {
            type Ok = ();
            type Error = Stop;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
                self.item(value)
            }

            fn end(self) -> Result<(), Stop> {
                self.close()
            }
        }
    )*};
}

list! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

macro_rules! fields {
    ($($of:ident)*) => {$(
        impl $of for Fields<'_, '_> {
            type Ok = ();
            type Error = Stop;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Stop> {
                self.values.member(key, value)
            }

            fn end(self) -> Result<(), Stop> {
                self.close()
            }
        }
    )*};
}

fields! { SerializeStruct SerializeStructVariant }

/// The most bytes of a form's names and texts.
const MAX_SIZE: usize = 64 * 1024;
/// The most texts of a form.
const MAX_TEXTS: usize = 1000;
/// The most bytes of names that are compared with the choice, which is slower than the rest. A form reaches it only
/// with many names that are left out.
const MAX_NAMES: usize = 8 * MAX_SIZE;
/// The number of bytes as which a comparison counts, beside the name.
const COMPARISON: usize = 8;
/// The most bytes of a name that is noted as dropped.
const MAX_NAME: usize = 512;
