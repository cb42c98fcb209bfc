//! Sessions as text, and structs read from and written to them, for tests that need no server.

use session_core::{
    MissingField, SessionData,
    data::{Field, Reader, Writer},
    store::{Changes, Entries},
    write_object,
};

pub(crate) fn entries(session: &str) -> Entries {
    Entries::parse(session.into()).unwrap()
}

pub(crate) fn keys(session: &str) -> Vec<String> {
    entries(session).iter().map(|(key, _)| key.to_owned()).collect()
}

pub(crate) fn read<T: SessionData>(session: &str) -> Result<T, MissingField> {
    T::read(&Reader::new(&entries(session), &Changes::default()))
}

pub(crate) fn unreadable<T: SessionData>(session: &str) -> Vec<&'static str> {
    let (entries, changes) = (entries(session), Changes::default());
    let reader = Reader::new(&entries, &changes);
    let _ = T::read(&reader);
    reader.unreadable()
}

/// The session after all fields were written.
pub(crate) fn saved<T: SessionData>(value: &T, session: &str) -> String {
    apply(fields(value), session)
}

/// The session after a handler changed something: what a `Session<T>` does.
pub(crate) fn edited<T: SessionData>(session: &str, edit: impl FnOnce(&mut T)) -> Result<String, MissingField> {
    let mut value: T = read(session)?;
    let before = fields(&value);
    edit(&mut value);
    let changed = fields(&value).into_iter().filter(|field| !before.contains(field));
    Ok(apply(changed.collect(), session))
}

fn fields<T: SessionData>(value: &T) -> Vec<Field> {
    let mut writer = Writer::new();
    value.write(&mut writer);
    writer.finish().unwrap()
}

fn apply(fields: Vec<Field>, session: &str) -> String {
    let mut changes = Changes::default();
    for field in fields {
        for alias in field.aliases {
            changes.remove(alias);
        }
        match field.text {
            Some(text) => changes.insert(field.key, text),
            None => changes.remove(field.key),
        }
    }
    let mut body = Vec::new();
    write_object(changes.view(&entries(session)), &mut body);
    String::from_utf8(body).unwrap()
}
