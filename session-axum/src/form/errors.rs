//! The errors of a form, from the handler or from a validator.

use crate::pairs::IntoPairs;

/// The errors of a form: pairs of field and message, or the report of a validator.
///
/// A field may have several messages. Messages under the empty field concern the whole form. With the features
/// `validator` and `garde`, the reports of these crates can be passed as they are. Fields of a struct in a struct get
/// names with brackets, like the values of the form: `address[city]`.
///
/// The compiler infers `Kind`.
///
/// ```
/// use axum::http::StatusCode;
/// use session_axum::SessionResponseExt;
///
/// let response = StatusCode::UNPROCESSABLE_ENTITY
///     .with_errors(("name", "is too short"))
///     .with_errors([("name", "is already taken"), ("", "Please try again")]);
/// assert_eq!(response.status(), 422);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as form errors",
    note = "pass pairs of field and message",
    note = "a report of `validator` or `garde` needs the feature of that name"
)]
pub trait IntoErrors<Kind> {
    /// Calls `add` with each field and message.
    ///
    /// ```
    /// use session_axum::form::IntoErrors;
    ///
    /// let mut errors = Vec::new();
    /// [("name", "is too short")].add_to(&mut |field, message| errors.push(format!("{field} {message}")));
    /// assert_eq!(errors, ["name is too short"]);
    /// ```
    fn add_to(self, add: &mut dyn FnMut(String, String));
}

/// Marks pairs of field and message.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfMessages<Kind>(std::marker::PhantomData<Kind>);
/// Marks the report of a validator.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfReport(());

impl<Kind, P> IntoErrors<OfMessages<Kind>> for P
where
    P: IntoPairs<Kind, Value: Into<String>>,
{
    fn add_to(self, add: &mut dyn FnMut(String, String)) {
        self.for_each_pair(&mut |field, message| add(field, message.into()));
    }
}

/// Returns the errors as lists by field.
pub(crate) fn lists<Kind>(errors: impl IntoErrors<Kind>) -> session_core::flash::Lists {
    let mut pairs = Vec::new();
    errors.add_to(&mut |field, message| pairs.push((field, message)));
    pairs.into_iter().collect()
}

#[cfg(feature = "validator")]
mod of_validator {
    use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

    use super::{IntoErrors, OfReport};

    /// An error without a `message` shows its `code`. The parameters of an error are left out, because one of them is
    /// the value that the visitor typed.
    impl IntoErrors<OfReport> for &ValidationErrors {
        fn add_to(self, add: &mut dyn FnMut(String, String)) {
            add_fields(self, "", add);
        }
    }

    impl IntoErrors<OfReport> for ValidationErrors {
        fn add_to(self, add: &mut dyn FnMut(String, String)) {
            (&self).add_to(add);
        }
    }

    fn add_fields(errors: &ValidationErrors, parent: &str, add: &mut dyn FnMut(String, String)) {
        let mut fields: Vec<_> = errors.errors().iter().collect();
        fields.sort_by_key(|(field, _)| *field);
        for (field, kind) in fields {
            let name = name(parent, field);
            match kind {
                ValidationErrorsKind::Field(errors) => {
                    errors.iter().for_each(|error| add(name.clone(), message(error)));
                }
                ValidationErrorsKind::Struct(errors) => add_fields(errors, &name, add),
                ValidationErrorsKind::List(list) => {
                    list.iter().for_each(|(index, errors)| add_fields(errors, &format!("{name}[{index}]"), add));
                }
            }
        }
    }

    fn name(parent: &str, field: &str) -> String {
        match (parent, field) {
            (_, WHOLE_STRUCT) => parent.to_owned(),
            ("", _) => field.to_owned(),
            _ => format!("{parent}[{field}]"),
        }
    }

    fn message(error: &ValidationError) -> String {
        error.message.as_ref().unwrap_or(&error.code).to_string()
    }

    /// The field under which validator reports the errors of `#[validate(schema(..))]`.
    const WHOLE_STRUCT: &str = "__all__";
}

#[cfg(feature = "garde")]
mod of_garde {
    use garde::{Path, Report};

    use super::{IntoErrors, OfReport};

    impl IntoErrors<OfReport> for &Report {
        fn add_to(self, add: &mut dyn FnMut(String, String)) {
            self.iter().for_each(|(path, error)| add(name(path), error.message().to_owned()));
        }
    }

    impl IntoErrors<OfReport> for Report {
        fn add_to(self, add: &mut dyn FnMut(String, String)) {
            (&self).add_to(add);
        }
    }

    /// Returns the name of a field as forms write it: `guests[0][name]` for `guests[0].name`.
    fn name(path: &Path) -> String {
        let path = path.to_string();
        let mut parts = path.split('.');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |name, part| match part.split_once('[') {
            Some((key, index)) => format!("{name}[{key}][{index}"),
            None => format!("{name}[{part}]"),
        })
    }
}
