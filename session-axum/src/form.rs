//! Refused forms: which fields are passed to the next page, and as which texts.

use std::ops::Deref;

use axum_core::extract::FromRequest;
use serde::Serialize;
use session_core::flash::Batch;

/// Implements what serde asks of an error of its formats.
macro_rules! error {
    ($name:ident: $sentence:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($sentence)
            }
        }

        impl std::error::Error for $name {}
    };
}

mod errors;
mod flatten;
mod sensitive;
mod text;
mod tree;
pub(crate) mod typed;

pub use errors::IntoErrors;
pub(crate) use errors::lists;
#[doc(hidden)]
pub use errors::{OfMessages, OfReport};
#[doc(hidden)]
pub use flatten::Values;
use sensitive::is_sensitive;

use crate::pairs::{self, IntoKeys};

/// The values of a form: a struct, a map, pairs of name and value, or an extractor of one of these.
///
/// The compiler infers `Kind`. An extractor is a [`Form`] of axum or of axum-extra, a `Query`, a `Json`, or your own
/// type that derefs to the values. The struct in an extractor needs `Serialize` and `Deserialize`.
///
/// [`Form`]: https://docs.rs/axum/latest/axum/struct.Form.html
///
/// ```
/// use axum::{Form, http::StatusCode};
/// use session_axum::SessionResponseExt;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Settings {
///     name: String,
/// }
///
/// let form = Form(Settings { name: "Ada".to_owned() });
/// let response = StatusCode::UNPROCESSABLE_ENTITY
///     .with_input(&form)
///     .with_input(&[("colour", "red"), ("colour", "blue")]);
/// assert_eq!(response.status(), 422);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as form input",
    note = "pass a reference to a struct with `#[derive(Serialize)]`, a map, pairs, or an extractor of these",
    note = "the struct in a `Form` needs `#[derive(Serialize, Deserialize)]`"
)]
pub trait FormValues<Kind> {
    /// Adds the fields of the form to `values`.
    #[doc(hidden)]
    fn add_to(&self, values: &mut Values<'_>);
}

/// Marks a value that serializes to fields.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfFields(());
/// Marks an extractor of a value that serializes to fields.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfExtractor<M>(std::marker::PhantomData<M>);

impl<F: Serialize + ?Sized> FormValues<OfFields> for F {
    fn add_to(&self, values: &mut Values<'_>) {
        values.add(self);
    }
}

impl<F, M> FormValues<OfExtractor<M>> for F
where
    F: FromRequest<(), M> + Deref,
    F::Target: Serialize + Sized,
{
    fn add_to(&self, values: &mut Values<'_>) {
        values.add(&**self);
    }
}

/// Which fields of a form are passed to the next page.
pub(crate) enum Choice {
    /// All fields except the sensitive ones.
    Usual,
    /// Only these fields. A sensitive field needs its own full name here.
    Only(Vec<String>),
    /// All fields except these and the sensitive ones.
    Except(Vec<String>),
}

impl Choice {
    pub(crate) fn only<Kind>(names: impl IntoKeys<Kind>) -> Self {
        Self::Only(pairs::keys(names))
    }

    pub(crate) fn except<Kind>(names: impl IntoKeys<Kind>) -> Self {
        Self::Except(pairs::keys(names))
    }

    fn takes(&self, name: &str) -> bool {
        let is_chosen = |names: &[String]| names.iter().any(|chosen| is_or_holds(chosen, name));
        match self {
            Self::Usual => !is_sensitive(name),
            Self::Only(names) if names.iter().any(|chosen| chosen == name) => true,
            Self::Only(names) => is_chosen(names) && !is_sensitive(name),
            Self::Except(names) => !is_chosen(names) && !is_sensitive(name),
        }
    }
}

/// Returns whether `name` is the chosen field or a field in it: `address` holds `address[city]`.
fn is_or_holds(chosen: &str, name: &str) -> bool {
    name.strip_prefix(chosen).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

/// Returns the chosen fields of a form as input, and the names of those that are too large.
///
/// Numbers and booleans become texts, lists stay lists, and `null` is left out. A struct in a struct gets names with
/// brackets, as HTML forms write them: `address[city]`, `guests[0][name]`.
pub(crate) fn fields<Kind>(form: &(impl FormValues<Kind> + ?Sized), choice: &Choice) -> Batch {
    let mut values = Values::new(choice);
    form.add_to(&mut values);
    values.finish()
}

/// The deepest name of a field: how many pairs of brackets it may have.
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(form: &Value, choice: &Choice) -> Value {
        serde_json::to_value(fields(form, choice).input).unwrap()
    }

    #[test]
    fn values_become_texts_and_lists_stay_lists() {
        let form =
            json!({"age": 7, "all": ["a"], "colour": ["red", 2], "name": "", "no": null, "none": [], "ok": true});
        let texts = json!({"age": "7", "all": ["a"], "colour": ["red", "2"], "name": "", "none": [], "ok": "true"});
        assert_eq!(read(&form, &Choice::Usual), texts);
    }

    #[test]
    fn pairs_with_one_name_are_a_list() {
        let pairs = json!([["a", "1"], ["b", "2"], ["a", "3"], ["no pair"], ["c", null]]);
        assert_eq!(read(&pairs, &Choice::Usual), json!({"a": ["1", "3"], "b": "2"}));
    }

    #[test]
    fn a_struct_in_a_struct_has_names_with_brackets() {
        let form = json!({"address": {"city": "Rome", "password": "x"}, "guests": [{"name": "Ann"}, {"name": "Bo"}]});
        let names = json!({"address[city]": "Rome", "guests[0][name]": "Ann", "guests[1][name]": "Bo"});
        assert_eq!(read(&form, &Choice::Usual), names);
    }

    #[test]
    fn what_is_asked_for_by_name_travels_alone() {
        let form = json!({"name": "Ann", "password": "x", "address": {"city": "Rome", "token": "y"}, "addressee": "z"});
        assert_eq!(read(&form, &Choice::only(["password"])), json!({"password": "x"}));
        assert_eq!(read(&form, &Choice::only(["address"])), json!({"address[city]": "Rome"}));
        assert_eq!(read(&form, &Choice::only(["address[city]"])), json!({"address[city]": "Rome"}));
    }

    #[test]
    fn what_is_excepted_stays_behind_with_all_that_is_sensitive() {
        let form = json!({"name": "Ann", "password": "x", "address": {"city": "Rome"}, "addressee": "z"});
        assert_eq!(read(&form, &Choice::except(["address"])), json!({"name": "Ann", "addressee": "z"}));
        assert_eq!(read(&form, &Choice::except([""; 0])), read(&form, &Choice::Usual));
    }

    #[test]
    fn numbers_of_arbitrary_precision_and_printed_values_are_texts() {
        struct Number;
        impl Serialize for Number {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeStruct;
                let mut number = serializer.serialize_struct("$serde_json::private::Number", 1)?;
                number.serialize_field("$serde_json::private::Number", "1.50")?;
                number.end()
            }
        }
        struct Printed(usize);
        impl Serialize for Printed {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&"7".repeat(self.0))
            }
        }
        let input = |form: &dyn Fn() -> Batch| serde_json::to_value(form().input).unwrap();
        assert_eq!(input(&|| fields(&[("n", [Number, Number])], &Choice::Usual)), json!({"n": ["1.50", "1.50"]}));
        assert_eq!(input(&|| fields(&[("p", Printed(3))], &Choice::Usual)), json!({"p": "777"}));
        assert_eq!(fields(&[("p", Printed(70_000))], &Choice::Usual).dropped, ["p"]);
    }

    #[test]
    fn what_has_no_fields_gives_none() {
        for form in [json!("text"), json!(7), json!(null), json!(["a", "b"])] {
            assert_eq!(read(&form, &Choice::Usual), json!({}));
        }
    }
}
