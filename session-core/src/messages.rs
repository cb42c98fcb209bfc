//! The content of a flash cookie: messages, and the input and errors of a form.

use std::{
    collections::{HashMap, HashSet},
    fmt, slice,
};

use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap as _};

use crate::{
    entries::{Entries, decode},
    json::Malformed,
};

mod message;

pub use message::Message;

/// Texts by name: see [`ListsOf`].
pub type Lists = ListsOf<String>;

/// Messages by kind: see [`ListsOf`].
pub type MessageLists = ListsOf<Message>;

/// Texts or messages by name, in the order in which they were added. A name may have several of them.
///
/// # Examples
///
/// ```
/// use session_core::flash::Lists;
///
/// let mut messages = Lists::default();
/// messages.add("error", "The name is missing.".to_owned());
/// messages.add("error", "The date is in the past.".to_owned());
/// assert_eq!(messages.get_all("error").len(), 2);
/// assert_eq!(messages.get("error"), Some("The date is in the past."));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ListsOf<T>(Vec<(String, OneOrMany<T>)>);

impl<T> ListsOf<T> {
    /// Adds a text to those of `name`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let mut lists = Lists::default();
    /// lists.add("info", "one".to_owned());
    /// lists.add("info", "two".to_owned());
    /// assert_eq!(lists.get_all("info"), ["one", "two"]);
    /// ```
    pub fn add(&mut self, name: impl Into<String> + AsRef<str>, text: impl Into<T>) {
        let text = OneOrMany::One(text.into());
        match self.0.iter_mut().find(|(known, _)| known == name.as_ref()) {
            Some((_, texts)) => texts.join(text),
            None => self.0.push((name.into(), text)),
        }
    }

    /// Replaces the texts of `name` by one text.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let mut lists = Lists::default();
    /// lists.add("info", "one".to_owned());
    /// lists.add("info", "two".to_owned());
    /// lists.set("info", "three".to_owned());
    /// assert_eq!(lists.get_all("info"), ["three"]);
    /// ```
    pub fn set(&mut self, name: impl Into<String> + AsRef<str>, text: impl Into<T>) {
        match self.0.iter_mut().find(|(known, _)| known == name.as_ref()) {
            Some((_, texts)) => *texts = OneOrMany::One(text.into()),
            None => self.add(name, text),
        }
    }

    /// Adds all texts of `others`. If both have a name, its texts are joined.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let mut lists = Lists::default();
    /// lists.add("info", "one".to_owned());
    /// let mut others = Lists::default();
    /// others.add("info", "two".to_owned());
    /// lists.extend(others);
    /// assert_eq!(lists.get_all("info"), ["one", "two"]);
    /// ```
    pub fn extend(&mut self, others: Self) {
        if self.is_empty() || others.is_empty() {
            self.0.extend(others.0);
            return;
        }
        *self = std::mem::take(self).0.into_iter().chain(others.0).collect();
    }

    /// Adds all texts of `others`. If both have a name, the texts of `others` replace the former ones.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let lists = |pairs: [(&str, &str); 1]| pairs.map(|(name, text)| (name.to_owned(), text.to_owned()));
    /// let mut input: Lists = lists([("name", "Ada")]).into_iter().collect();
    /// input.replace(lists([("name", "Grace")]).into_iter().collect());
    /// assert_eq!(input.get_all("name"), ["Grace"]);
    /// ```
    pub fn replace(&mut self, others: Self) {
        if self.is_empty() || others.is_empty() {
            self.0.extend(others.0);
            return;
        }
        let names: HashSet<&str> = others.0.iter().map(|(name, _)| name.as_str()).collect();
        self.0.retain(|(name, _)| !names.contains(name.as_str()));
        self.0.extend(others.0);
    }

    /// Returns the texts of `name`, the oldest first. The slice is empty if there are none.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let mut lists = Lists::default();
    /// lists.add("info", "one".to_owned());
    /// assert_eq!(lists.get_all("info"), ["one"]);
    /// assert!(lists.get_all("error").is_empty());
    /// ```
    #[must_use]
    pub fn get_all(&self, name: &str) -> &[T] {
        self.0.iter().find(|(known, _)| known == name).map_or(&[], |(_, texts)| texts.as_slice())
    }

    /// Returns the last text of `name`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let mut lists = Lists::default();
    /// lists.add("info", "one".to_owned());
    /// lists.add("info", "two".to_owned());
    /// assert_eq!(lists.get("info"), Some("two"));
    /// assert_eq!(lists.get("error"), None);
    /// ```
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str>
    where
        T: AsRef<str>,
    {
        self.get_all(name).last().map(AsRef::as_ref)
    }

    /// Returns all names with their texts as slices.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let mut lists = Lists::default();
    /// lists.add("info", "one".to_owned());
    /// lists.add("error", "two".to_owned());
    /// assert_eq!(lists.iter().map(|(name, texts)| (name, texts.len())).collect::<Vec<_>>(), [("info", 1), ("error", 1)]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[T])> {
        self.texts().map(|(name, texts)| (name, texts.as_slice()))
    }

    /// Returns all names with their texts.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::{Lists, Texts};
    ///
    /// let mut lists = Lists::default();
    /// lists.add("info", "one".to_owned());
    /// assert!(matches!(lists.texts().next(), Some(("info", Texts::One(text))) if text == "one"));
    /// ```
    pub fn texts(&self) -> impl Iterator<Item = (&str, &OneOrMany<T>)> {
        self.0.iter().map(|(name, texts)| (name.as_str(), texts))
    }

    /// Returns whether there are no names.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let mut lists = Lists::default();
    /// assert!(lists.is_empty());
    /// lists.add("info", "one".to_owned());
    /// assert!(!lists.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps only the names for which `keep` returns true.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Lists;
    ///
    /// let mut lists = Lists::default();
    /// lists.add("name", "Ada".to_owned());
    /// lists.add("password", "secret".to_owned());
    /// lists.retain(|name| name != "password");
    /// assert_eq!(lists.get("password"), None);
    /// assert_eq!(lists.get("name"), Some("Ada"));
    /// ```
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }
}

impl Lists {
    /// Reads a JSON object that has texts and lists of texts as its values.
    fn parse(text: &str) -> Result<Self, Malformed> {
        let entries = Entries::parse(text.into())?;
        entries.fields().map(|(name, text)| Ok((name.to_owned(), Texts::parse(text)?))).collect()
    }

    fn to_json(&self) -> String {
        json(self)
    }
}

/// Returns each text with its name.
impl<T> IntoIterator for ListsOf<T> {
    type Item = (String, T);
    type IntoIter = std::vec::IntoIter<(String, T)>;

    fn into_iter(self) -> Self::IntoIter {
        let texts =
            |(name, texts): (String, OneOrMany<T>)| texts.into_vec().into_iter().map(move |text| (name.clone(), text));
        self.0.into_iter().flat_map(texts).collect::<Vec<_>>().into_iter()
    }
}

impl<T> Default for ListsOf<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Collects pairs. The texts of a name that occurs several times are joined.
impl<T> FromIterator<(String, OneOrMany<T>)> for ListsOf<T> {
    fn from_iter<I: IntoIterator<Item = (String, OneOrMany<T>)>>(pairs: I) -> Self {
        let mut lists: Vec<(String, OneOrMany<T>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (name, texts) in pairs {
            if let Some((_, list)) = places.get(&name).and_then(|place| lists.get_mut(*place)) {
                list.join(texts);
            } else {
                places.insert(name.clone(), lists.len());
                lists.push((name, texts));
            }
        }
        Self(lists)
    }
}

impl FromIterator<(String, String)> for Lists {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        pairs.into_iter().map(|(name, text)| (name, Texts::One(text))).collect()
    }
}

impl<T: Serialize> Serialize for ListsOf<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.texts())
    }
}

impl<T> fmt::Debug for ListsOf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

/// The texts of one name: see [`OneOrMany`].
pub type Texts = OneOrMany<String>;

/// The texts or messages of one name. One text and a list with one text differ in JSON: `"a"` and `["a"]`.
#[derive(Clone, PartialEq, Eq)]
pub enum OneOrMany<T> {
    /// One text.
    One(T),
    /// A list of any length, also one or zero.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// Returns the texts as a slice.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Texts;
    ///
    /// assert_eq!(Texts::One("a".to_owned()).as_slice(), ["a"]);
    /// assert_eq!(Texts::Many(vec!["a".to_owned(), "b".to_owned()]).as_slice(), ["a", "b"]);
    /// ```
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(text) => slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }

    fn join(&mut self, others: Self) {
        let mut texts = std::mem::replace(self, Self::Many(Vec::new())).into_vec();
        texts.extend(others.into_vec());
        *self = Self::Many(texts);
    }

    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

impl<T: DeserializeOwned> OneOrMany<T> {
    /// Reads a list of messages. Most lists have one message, which is kept without a `Vec`.
    fn parse_messages(text: &str) -> Result<Self, Malformed> {
        let only = text.strip_prefix('[').and_then(|text| decode(text.strip_suffix(']')?).ok());
        only.map_or_else(|| Self::parse(text), |only| Ok(Self::One(only)))
    }

    fn parse(text: &str) -> Result<Self, Malformed> {
        let texts = if text.starts_with('[') { decode(text).map(Self::Many) } else { decode(text).map(Self::One) };
        texts.map_err(|_| Malformed)
    }
}

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(text) => text.serialize(serializer),
            Self::Many(texts) => texts.serialize(serializer),
        }
    }
}

impl<T> fmt::Debug for OneOrMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").field("len", &self.as_slice().len()).finish_non_exhaustive()
    }
}

/// The content of one flash cookie: what one response carries to the next page.
///
/// # Examples
///
/// ```
/// use session_core::{flash::Batch, store::Entries};
///
/// let mut batch = Batch::default();
/// batch.messages.add("success", "Saved.".to_owned());
/// let mut payload = Vec::new();
/// batch.write(&mut payload);
/// assert_eq!(payload, br#"{"success":["Saved."]}"#);
///
/// let read_back = Batch::of(&Entries::parse(payload)?)?;
/// assert_eq!(read_back.messages.get("success"), Some("Saved."));
/// # Ok::<(), session_core::Malformed>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The messages by kind, such as `success` and `error`.
    pub messages: MessageLists,
    /// The values of a refused form by field.
    pub input: Lists,
    /// The errors of a refused form by field.
    pub errors: Lists,
    /// The names of the fields that were left out because the cookie had no room for them. The last name is `…` if
    /// there was no room for all names.
    pub dropped: Vec<String>,
}

impl Batch {
    /// Neither messages nor a form.
    pub const NOTHING: Self = Self {
        messages: ListsOf(Vec::new()),
        input: ListsOf(Vec::new()),
        errors: ListsOf(Vec::new()),
        dropped: Vec::new(),
    };

    /// Returns whether there are neither messages nor a form.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// assert!(batch.is_empty());
    /// batch.messages.add("success", "Saved.".to_owned());
    /// assert!(!batch.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && !self.has_form()
    }

    /// Returns whether there is anything of a refused form: input, errors, or names of dropped fields.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.messages.add("error", "Please check the form.".to_owned());
    /// assert!(!batch.has_form());
    /// batch.errors.add("age", "must be a number".to_owned());
    /// assert!(batch.has_form());
    /// ```
    #[must_use]
    pub fn has_form(&self) -> bool {
        !(self.input.is_empty() && self.errors.is_empty() && self.dropped.is_empty())
    }

    /// Adds another batch of the same response. Messages and errors are joined. The input of a field replaces the
    /// former input of that field.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.input.add("age", "x".to_owned());
    /// batch.errors.add("age", "must be a number".to_owned());
    /// let mut other = Batch::default();
    /// other.input.add("age", "y".to_owned());
    /// other.errors.add("age", "is required".to_owned());
    /// batch.extend(other);
    /// assert_eq!(batch.input.get_all("age"), ["y"]);
    /// assert_eq!(batch.errors.get_all("age"), ["must be a number", "is required"]);
    /// ```
    pub fn extend(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.messages.extend(other.messages);
        self.input.replace(other.input);
        self.errors.extend(other.errors);
        for name in other.dropped {
            self.note_dropped(&name);
        }
    }

    /// Adds the batch of a later response. If the forms of both have a field in common, the later form replaces the
    /// earlier one: the browser has sent the same form again.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.errors.add("name", "is required".to_owned());
    /// batch.errors.add("age", "must be a number".to_owned());
    /// let mut newer = Batch::default();
    /// newer.errors.add("age", "must not be negative".to_owned());
    /// batch.absorb(newer);
    /// assert_eq!(batch.errors.get("age"), Some("must not be negative"));
    /// assert_eq!(batch.errors.get("name"), None);
    /// ```
    pub fn absorb(&mut self, newer: Self) {
        if newer.shares_a_field_with(self) {
            self.drop_form();
        }
        self.extend(newer);
    }

    /// Returns whether the forms of both batches have a field in common.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let (mut one, mut other) = (Batch::default(), Batch::default());
    /// one.input.add("age", "x".to_owned());
    /// assert!(!one.shares_a_field_with(&other));
    /// other.errors.add("age", "must be a number".to_owned());
    /// assert!(one.shares_a_field_with(&other));
    /// ```
    #[must_use]
    pub fn shares_a_field_with(&self, other: &Self) -> bool {
        if !other.has_form() {
            return false;
        }
        let fields: HashSet<&str> = other.fields().collect();
        self.fields().any(|field| fields.contains(field))
    }

    /// Removes the form and keeps the messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.messages.add("info", "Welcome.".to_owned());
    /// batch.input.add("age", "x".to_owned());
    /// batch.drop_form();
    /// assert!(!batch.has_form() && !batch.is_empty());
    /// ```
    pub fn drop_form(&mut self) {
        *self = Self { messages: std::mem::take(&mut self.messages), ..Self::default() };
    }

    /// Removes the largest fields of the input until the payload has at most `room` bytes, or until no field is left.
    /// Adds the names of the removed fields to [`dropped`](Self::dropped). Returns the number of removed fields.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.input.add("name", "Ada".to_owned());
    /// batch.input.add("essay", "x".repeat(10_000));
    /// assert_eq!(batch.shrink_input(3_000), 1);
    /// assert_eq!(batch.dropped, ["essay"]);
    /// assert_eq!(batch.input.get("name"), Some("Ada"));
    /// ```
    pub fn shrink_input(&mut self, room: usize) -> usize {
        let mut size = self.size();
        if size <= room || self.input.is_empty() {
            return 0;
        }
        // The size is counted down instead of serializing the batch again for each field. The frame of the names is
        // counted in advance, so that `size` is never too small.
        size += DROPPED_FRAME;
        let costs = self.input.texts().map(|(name, texts)| json(name).len() + json(texts).len() + 2);
        let mut gone = HashSet::new();
        for (field, cost) in largest_first(costs) {
            if size <= room {
                break;
            }
            gone.insert(field);
            let name = self.input.0[field].0.clone();
            size = size - cost + self.note_dropped(&name);
        }
        remove(&mut self.input.0, &gone);
        self.shorten_names(room);
        gone.len()
    }

    /// Removes the longest errors until the payload has at most `room` bytes, or until no error is left. Returns the
    /// number of removed errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.errors.add("age", "x".repeat(10_000));
    /// batch.errors.add("age", "must be a number".to_owned());
    /// assert_eq!(batch.shrink_errors(3_000), 1);
    /// assert_eq!(batch.errors.get_all("age"), ["must be a number"]);
    /// ```
    pub fn shrink_errors(&mut self, room: usize) -> usize {
        let mut size = self.size();
        if size <= room {
            return 0;
        }
        let mut errors: Vec<(String, String)> = std::mem::take(&mut self.errors).into_iter().collect();
        let mut gone = HashSet::new();
        for (error, cost) in largest_first(errors.iter().map(|(_, text)| json(text).len() + 1)) {
            if size <= room {
                break;
            }
            gone.insert(error);
            size -= cost;
        }
        remove(&mut errors, &gone);
        self.errors = errors.into_iter().collect();
        gone.len()
    }

    /// Returns the size of the payload in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// assert_eq!(Batch::default().size(), "{}".len());
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        let mut body = Vec::new();
        self.write(&mut body);
        body.len()
    }

    /// Reads a batch from the entries of a flash token. Unknown reserved keys are skipped.
    ///
    /// # Errors
    ///
    /// Returns an error if a value is neither a text nor a list of texts. For `$input` and `$errors`, this applies to
    /// the values of each field.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{flash::Batch, store::Entries};
    ///
    /// let payload = br#"{"$input":{"age":"x"},"$errors":{"age":["must be a number"]},"error":["Please check."]}"#;
    /// let batch = Batch::of(&Entries::parse(payload.to_vec())?)?;
    /// assert_eq!(batch.input.get("age"), Some("x"));
    /// assert_eq!(batch.errors.get("age"), Some("must be a number"));
    /// assert_eq!(batch.messages.get("error"), Some("Please check."));
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn of(entries: &Entries) -> Result<Self, Malformed> {
        let mut batch = Self::default();
        for (key, text) in entries.fields() {
            match key {
                INPUT => batch.input = Lists::parse(text)?,
                ERRORS => batch.errors = Lists::parse(text)?,
                DROPPED => batch.dropped = Texts::parse(text)?.into_vec(),
                _ if key.starts_with('$') => {}
                _ => batch.messages.0.push((key.to_owned(), OneOrMany::parse_messages(text)?)),
            }
        }
        Ok(batch)
    }

    /// Appends the payload to the body of a token.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.messages.add("success", "Saved.".to_owned());
    /// let mut body = Vec::new(); // or `Frame::begin_body`
    /// batch.write(&mut body);
    /// assert_eq!(body, br#"{"success":["Saved."]}"#);
    /// ```
    pub fn write(&self, body: &mut Vec<u8>) {
        let written = serde_json::to_writer(body, &Payload(self));
        debug_assert!(written.is_ok(), "texts always serialize, and writing to a Vec cannot fail");
    }

    /// Returns the keys of the payload with their JSON texts.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.messages.add("success", "Saved.".to_owned());
    /// batch.input.add("age", "x".to_owned());
    /// let entries = batch.to_entries();
    /// assert_eq!(entries[0], ("$input", r#"{"age":"x"}"#.to_owned()));
    /// assert_eq!(entries[1], ("success", r#"["Saved."]"#.to_owned()));
    /// ```
    #[must_use]
    pub fn to_entries(&self) -> Vec<(&str, String)> {
        let forms = [(INPUT, &self.input), (ERRORS, &self.errors)];
        let forms = forms.into_iter().filter(|(_, lists)| !lists.is_empty()).map(|(key, lists)| (key, lists.to_json()));
        let dropped = (!self.dropped.is_empty()).then(|| (DROPPED, json(&self.dropped)));
        let messages = self.messages.iter().map(|(key, texts)| (key, json(texts)));
        forms.chain(dropped).chain(messages).collect()
    }

    /// Returns the names of all fields of the form. A name may occur several times.
    fn fields(&self) -> impl Iterator<Item = &str> {
        let names = self.input.0.iter().chain(&self.errors.0).map(|(name, _)| name);
        names.chain(self.dropped.iter().filter(|name| name.as_str() != AND_MORE)).map(String::as_str)
    }

    /// Replaces the names of dropped fields with `…` if everything else then fits into `room` bytes.
    fn shorten_names(&mut self, room: usize) {
        if self.size() > room {
            let names = std::mem::replace(&mut self.dropped, vec![AND_MORE.to_owned()]);
            if self.size() > room {
                self.dropped = names;
            }
        }
    }

    /// Adds the name of a dropped field, or `…` if there is no room for names. Returns the number of bytes by which the
    /// payload grows.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// assert_eq!(batch.note_dropped("essay"), r#""essay","#.len());
    /// batch.note_dropped(&"x".repeat(1_000));
    /// assert_eq!(batch.dropped, ["essay", "…"]);
    /// ```
    pub fn note_dropped(&mut self, name: &str) -> usize {
        if self.drops_unnamed() || self.dropped.iter().any(|known| known == name) {
            return 0;
        }
        // A name is at least as long in JSON. A very long one is not even written to find that out.
        let has_room = name.len() <= ROOM_FOR_NAMES && json(&self.dropped).len() + json(name).len() <= ROOM_FOR_NAMES;
        let name = if has_room { name } else { AND_MORE };
        self.dropped.push(name.to_owned());
        json(name).len() + 1
    }

    /// Adds `…` to the names of dropped fields.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.note_dropped_unnamed();
    /// assert_eq!(batch.dropped, ["…"]);
    /// ```
    pub fn note_dropped_unnamed(&mut self) {
        self.note_dropped(AND_MORE);
    }

    /// Returns whether fields were dropped whose names had no room, so that no further name is added.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Batch;
    ///
    /// let mut batch = Batch::default();
    /// batch.note_dropped("essay");
    /// assert!(!batch.drops_unnamed());
    /// batch.note_dropped_unnamed();
    /// assert!(batch.drops_unnamed());
    /// ```
    #[must_use]
    pub fn drops_unnamed(&self) -> bool {
        self.dropped.last().is_some_and(|last| last == AND_MORE)
    }
}

/// The payload of a batch, for serde.
struct Payload<'a>(&'a Batch);

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Batch { messages, input, errors, dropped } = self.0;
        let mut map = serializer.serialize_map(None)?;
        for (key, lists) in [(INPUT, input), (ERRORS, errors)].into_iter().filter(|(_, lists)| !lists.is_empty()) {
            map.serialize_entry(key, lists)?;
        }
        if !dropped.is_empty() {
            map.serialize_entry(DROPPED, dropped)?;
        }
        for (key, texts) in messages.iter() {
            map.serialize_entry(key, texts)?;
        }
        map.end()
    }
}

crate::opaque_debug!(Batch);

/// Returns pairs of position and cost, the largest cost first.
fn largest_first(costs: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let mut costs: Vec<(usize, usize)> = costs.enumerate().collect();
    costs.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    costs
}

fn remove<T>(items: &mut Vec<T>, places: &HashSet<usize>) {
    let mut place = 0..;
    items.retain(|_| place.next().is_none_or(|place| !places.contains(&place)));
}

/// Returns the JSON text of a text or of a list of texts, which always serialize.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

const INPUT: &str = "$input";
const ERRORS: &str = "$errors";
const DROPPED: &str = "$dropped";
/// The number of bytes that the list of dropped names takes without the names: the length of `"$dropped":[],`.
const DROPPED_FRAME: usize = 14;
/// The largest size of the names of dropped fields, in bytes.
const ROOM_FOR_NAMES: usize = 512;
/// The mark for names that had no room.
const AND_MORE: &str = "…";

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &str) -> Result<Batch, Malformed> {
        Batch::of(&Entries::parse(text.into()).unwrap())
    }

    fn lists<'a, T: From<&'a str>>(pairs: &[(&str, &[&'a str])]) -> ListsOf<T> {
        let many = |texts: &[&'a str]| OneOrMany::Many(texts.iter().map(|text| T::from(text)).collect());
        ListsOf(pairs.iter().map(|(name, texts)| ((*name).to_owned(), many(texts))).collect())
    }

    #[test]
    fn a_batch_round_trips_in_the_order_it_was_written() {
        let mut messages = MessageLists::default();
        for (key, text) in [("success", "a"), ("success", "b"), ("error", "\r\n<b>\0\u{1f600}")] {
            messages.add(key, text);
        }
        let mut deleted = Message::from("Deleted");
        deleted.insert("undo", r#"{"to":["/undo/7",1.50]}"#.to_owned());
        messages.add("success", deleted.clone());
        messages.add("info", deleted);
        let original = Batch {
            messages,
            input: lists(&[("name", &[""]), ("tag", &["x", "y"])]),
            errors: lists(&[("name", &["is missing"]), ("", &["at all"])]),
            dropped: vec!["bio".to_owned()],
        };
        let mut body = Vec::new();
        original.write(&mut body);
        assert_eq!(batch(std::str::from_utf8(&body).unwrap()), Ok(original));
    }

    #[test]
    fn a_bare_text_is_a_list_of_one() {
        let batch = batch(r#"{"notice":"saved","$input":{"name":"x"},"$later":7}"#).unwrap();
        assert_eq!(batch.messages.get_all("notice"), ["saved"]);
        assert_eq!(batch.input.get("name"), Some("x"));
        assert_eq!(batch.messages.iter().count(), 1);
    }

    #[test]
    fn anything_but_texts_is_refused() {
        for text in [
            r#"{"a":{}}"#,
            r#"{"a":[{"data":{}}]}"#,
            r#"{"a":[{"text":7}]}"#,
            r#"{"a":[{"text":"x","data":7}]}"#,
            r#"{"a":[["x"]]}"#,
            r#"{"$input":{"a":{"text":"x"}}}"#,
            r#"{"a":1}"#,
            r#"{"a":[1]}"#,
            r#"{"a":null}"#,
            r#"{"$input":[]}"#,
            r#"{"$errors":{"a":{}}}"#,
        ] {
            assert_eq!(batch(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn a_message_with_data_is_an_object_and_a_plain_one_a_text() {
        let text = r#"{"success":["Saved",{"text":"Deleted","data":{"undo":"/undo/7","n":1.50}},"Sent"]}"#;
        let batch = batch(text).unwrap();
        let mut body = Vec::new();
        batch.write(&mut body);
        assert_eq!(std::str::from_utf8(&body).unwrap(), text);
        let messages = batch.messages.get_all("success");
        assert_eq!(messages.iter().map(Message::text).collect::<Vec<_>>(), ["Saved", "Deleted", "Sent"]);
        assert_eq!(messages[1].data().collect::<Vec<_>>(), [("undo", r#""/undo/7""#), ("n", "1.50")]);
    }

    #[test]
    fn unknown_members_of_a_message_are_skipped() {
        let batch = batch(r#"{"a":[{"later":{"x":[1]},"data":{},"text":"b"}],"c":{"text":"d"}}"#).unwrap();
        assert_eq!((batch.messages.get_all("a"), batch.messages.get("c")), (&[Message::from("b")][..], Some("d")));
    }

    #[test]
    fn one_text_and_a_list_of_one_stay_apart() {
        let text =
            r#"{"$input":{"colour":["red"],"name":"x","none":[]},"$errors":{"name":"is taken"},"$dropped":["bio"]}"#;
        let mut body = Vec::new();
        batch(text).unwrap().write(&mut body);
        assert_eq!(std::str::from_utf8(&body).unwrap(), text);
    }

    fn form(input: &[(&str, usize)]) -> Batch {
        Batch {
            messages: lists(&[("error", &["No."])]),
            input: input.iter().map(|(name, size)| ((*name).to_owned(), "x".repeat(*size))).collect(),
            errors: lists(&[("name", &["is missing"])]),
            dropped: Vec::new(),
        }
    }

    fn names(batch: &Batch) -> Vec<&str> {
        batch.input.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_largest_fields_go_first_and_are_named() {
        let mut batch = form(&[("small", 10), ("largest", 900), ("name", 20), ("large", 500)]);
        assert_eq!((batch.shrink_input(10_000), names(&batch).len()), (0, 4));
        assert_eq!(batch.shrink_input(700), 1);
        assert_eq!((names(&batch), &batch.dropped), (vec!["small", "name", "large"], &vec!["largest".to_owned()]));
        assert_eq!(batch.shrink_input(300), 1);
        assert_eq!((names(&batch), batch.dropped.len(), batch.errors.iter().count()), (vec!["small", "name"], 2, 1));
    }

    #[test]
    fn as_little_as_possible_goes() {
        let whole = form(&[("a", 100), ("b", 101)]).size();
        let mut batch = form(&[("a", 100), ("b", 101)]);
        assert_eq!(batch.shrink_input(whole), 0);
        assert_eq!((batch.shrink_input(whole - 1), names(&batch)), (1, vec!["a"]));
    }

    #[test]
    fn a_thousand_small_fields_are_not_all_named() {
        let fields: Vec<String> = (0..1_000).map(|number| format!("field{number}")).collect();
        let mut batch = form(&fields.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
        assert!(batch.shrink_input(2_000) > 800);
        assert!(batch.size() <= 2_000, "{}", batch.size());
        assert_eq!(batch.dropped.last().unwrap(), "…");
        assert!(json(&batch.dropped).len() < 530);
    }

    #[test]
    fn names_never_cost_an_error_its_place() {
        let mut batch = form(&[("a name that is long enough to matter", 1)]);
        let without = Batch { input: Lists::default(), dropped: vec!["…".to_owned()], ..batch.clone() };
        assert_eq!(batch.shrink_input(without.size()), 1);
        assert_eq!(batch, without);
    }

    #[test]
    fn the_longest_errors_go_first() {
        let (long, longer) = ("x".repeat(50), "y".repeat(60));
        let mut batch = Batch { errors: lists(&[("a", &["short", &longer]), ("b", &[&long])]), ..Batch::default() };
        assert_eq!(batch.shrink_errors(batch.size() - 1), 1);
        assert_eq!(
            (batch.errors.get_all("a"), batch.errors.get("b")),
            (&["short".to_owned()][..], Some(long.as_str()))
        );
        assert_eq!(batch.shrink_errors(0), 2);
        assert!(batch.is_empty());
    }

    #[test]
    fn the_same_form_sent_again_takes_the_place_of_the_first() {
        let mut first = form(&[("name", 1), ("colour", 1)]);
        first.absorb(Batch { input: lists(&[("name", &["Ann"])]), ..Batch::default() });
        assert_eq!((names(&first), first.errors.is_empty(), first.messages.is_empty()), (vec!["name"], true, false));
    }

    #[test]
    fn another_form_joins_the_first() {
        let mut first = form(&[("name", 1)]);
        first.absorb(Batch { input: lists(&[("mail", &["a@b"])]), ..Batch::default() });
        assert_eq!((names(&first), first.errors.is_empty()), (vec!["name", "mail"], false));
    }
}
