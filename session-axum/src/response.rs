//! Helpers on responses: what Play writes as `.withSession` and `.flashing`.

use std::collections::{BTreeMap, HashMap};

use axum_core::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use serde::Serialize;
use session_core::{Batch, Lists, SessionData, Writer};

use crate::{
    edits::{Edit, ResponseEdits},
    error::Error,
    form::{self, Choice, FormValues, errors::IntoErrors},
    session::Session,
};

/// Session and flash on everything that is a response.
///
/// The helpers apply after what the extractors did, in the order in which they were called. They also work where the
/// handler never took a [`Session`], on error responses and on rejections.
///
/// ```
/// use axum::response::{IntoResponse, Redirect};
/// use session_axum::SessionResponseExt;
///
/// async fn save() -> impl IntoResponse {
///     Redirect::to("/").flashing([("success", "The item has been created")])
/// }
/// ```
pub trait SessionResponseExt: IntoResponse + Sized {
    /// Replaces the whole session: a new one with these values. Given the request's own handle it keeps its identity.
    fn with_session<Kind>(self, session: impl IntoSession<Kind>) -> Response {
        (WithSession::new(session), self).into_response()
    }

    /// Adds values to the session that the request brought.
    fn adding_to_session<K: Into<String>, V: Serialize>(self, values: impl IntoIterator<Item = (K, V)>) -> Response {
        (AddingToSession::new(values), self).into_response()
    }

    /// Takes values out of the session that the request brought.
    fn removing_from_session<K: Into<String>>(self, keys: impl IntoIterator<Item = K>) -> Response {
        (RemovingFromSession::new(keys), self).into_response()
    }

    /// Discards the whole session. What is added after it begins a new one.
    fn with_new_session(self) -> Response {
        (WithNewSession, self).into_response()
    }

    /// Messages for the next page.
    fn flashing(self, messages: impl IntoMessages) -> Response {
        (Flashing::new(messages), self).into_response()
    }

    /// A form's values for the next page, where [`Flash::input`](crate::Flash::input) has them: those of a struct, a
    /// map, pairs, or a `Form` of these.
    ///
    /// Passwords and the like are [left out](WithInput#left-out). What does not fit into a cookie is left out too, the
    /// largest field first, and [`Input::dropped`](crate::Input::dropped) says so; messages and errors always travel.
    ///
    /// ```
    /// use axum::{Form, response::{IntoResponse, Redirect}};
    /// use session_axum::SessionResponseExt;
    ///
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Settings { name: String }
    ///
    /// async fn save(form: Form<Settings>) -> impl IntoResponse {
    ///     Redirect::to("/settings").with_input(&form).with_errors([("name", "is already taken")])
    /// }
    /// ```
    fn with_input<Kind>(self, form: &(impl FormValues<Kind> + ?Sized)) -> Response {
        (WithInput::new(form), self).into_response()
    }

    /// These fields of a form for the next page and no others, also sensitive ones.
    fn with_input_only<Kind, N: Into<String>>(
        self,
        form: &(impl FormValues<Kind> + ?Sized),
        names: impl IntoIterator<Item = N>,
    ) -> Response {
        (WithInput::only(form, names), self).into_response()
    }

    /// A form's values for the next page without these fields and without the sensitive ones.
    fn with_input_except<Kind, N: Into<String>>(
        self,
        form: &(impl FormValues<Kind> + ?Sized),
        names: impl IntoIterator<Item = N>,
    ) -> Response {
        (WithInput::except(form, names), self).into_response()
    }

    /// What is wrong with a form, for the next page, where [`Flash::errors`](crate::Flash::errors) has it: pairs of
    /// field and message, or the report of a validator.
    fn with_errors<Kind>(self, errors: impl IntoErrors<Kind>) -> Response {
        (WithErrors::new(errors), self).into_response()
    }
}

impl<R: IntoResponse> SessionResponseExt for R {}

/// [`SessionResponseExt::with_session`] as a part of a response.
#[derive(Debug)]
pub struct WithSession(Edit);

impl WithSession {
    /// Replaces the whole session.
    pub fn new<Kind>(session: impl IntoSession<Kind>) -> Self {
        Self(session.into_session().0)
    }
}

/// [`SessionResponseExt::adding_to_session`] as a part of a response.
#[derive(Debug)]
pub struct AddingToSession(Edit);

impl AddingToSession {
    /// Adds values.
    pub fn new<K: Into<String>, V: Serialize>(values: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(Edit::adding(Edit::Add, values))
    }
}

/// [`SessionResponseExt::removing_from_session`] as a part of a response.
#[derive(Debug)]
pub struct RemovingFromSession(Edit);

impl RemovingFromSession {
    /// Takes values out.
    pub fn new<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self(Edit::Remove(keys.into_iter().map(Into::into).collect()))
    }
}

/// [`SessionResponseExt::with_new_session`] as a part of a response.
#[derive(Clone, Copy, Debug)]
pub struct WithNewSession;

/// [`SessionResponseExt::flashing`] as a part of a response.
#[derive(Debug)]
pub struct Flashing(Lists);

impl Flashing {
    /// Messages for the next page.
    pub fn new(messages: impl IntoMessages) -> Self {
        let mut lists = Lists::default();
        messages.add_to(&mut |key, text| lists.add(key, text));
        Self(lists)
    }
}

/// [`SessionResponseExt::with_input`] as a part of a response.
///
/// # Left out
///
/// Values under these names do not travel, unless [`WithInput::only`] names them:
///
#[doc = include_str!("form/sensitive.md")]
///
/// Parts of a name are told apart by brackets and dots, words by whatever is no letter and by capitals: `card[number]`,
/// `newPassword` and `user.pin` are left out.
#[derive(Debug)]
pub struct WithInput(Lists);

impl WithInput {
    /// A form's values for the next page.
    pub fn new<Kind>(form: &(impl FormValues<Kind> + ?Sized)) -> Self {
        Self(form::fields(form, &Choice::Usual))
    }

    /// These fields of a form and no others, also sensitive ones. `address` also names `address[city]`.
    pub fn only<Kind, N: Into<String>>(
        form: &(impl FormValues<Kind> + ?Sized),
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        Self(form::fields(form, &Choice::only(names)))
    }

    /// A form's values without these fields and without the sensitive ones.
    pub fn except<Kind, N: Into<String>>(
        form: &(impl FormValues<Kind> + ?Sized),
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        Self(form::fields(form, &Choice::except(names)))
    }
}

/// [`SessionResponseExt::with_errors`] as a part of a response.
#[derive(Debug)]
pub struct WithErrors(Lists);

impl WithErrors {
    /// What is wrong with a form, for the next page.
    pub fn new<Kind>(errors: impl IntoErrors<Kind>) -> Self {
        Self(form::errors::lists(errors))
    }
}

macro_rules! response_parts {
    ($($name:ident: $this:ident => $edit:expr;)*) => {$(
        impl IntoResponseParts for $name {
            type Error = std::convert::Infallible;

            fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
                let $this = self;
                ResponseEdits::of(parts.extensions_mut()).push($edit);
                Ok(parts)
            }
        }

        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                (self, ()).into_response()
            }
        }
    )*};
}
response_parts! {
    WithSession: this => this.0;
    AddingToSession: this => this.0;
    RemovingFromSession: this => this.0;
    WithNewSession: _this => Edit::end();
    Flashing: this => Edit::Flash(Batch { messages: this.0, ..Batch::default() });
    WithInput: this => Edit::Flash(Batch { input: this.0, ..Batch::default() });
    WithErrors: this => Edit::Flash(Batch { errors: this.0, ..Batch::default() });
}

/// What can replace a session: pairs of key and value, a struct that derives [`SessionData`], or a [`Session`].
///
/// `Kind` tells these apart for the compiler; nobody has to write it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a session",
    note = "give pairs of key and value, a struct with `#[derive(SessionData)]`, or a `Session`"
)]
pub trait IntoSession<Kind> {
    /// The session that is to be.
    fn into_session(self) -> NewSession;
}

/// A session that is to be: see [`IntoSession`].
#[derive(Debug)]
pub struct NewSession(Edit);

/// [`IntoSession`] for pairs of key and value.
#[derive(Debug)]
pub struct OfPairs(());
/// [`IntoSession`] for a struct that derives [`SessionData`].
#[derive(Debug)]
pub struct OfStruct(());
/// [`IntoSession`] for a [`Session`].
#[derive(Debug)]
pub struct OfHandle(());

impl<T: SessionData> IntoSession<OfStruct> for T {
    fn into_session(self) -> NewSession {
        let mut writer = Writer::new();
        self.write(&mut writer);
        NewSession(match writer.finish() {
            Ok(fields) => Edit::Replace(
                fields.into_iter().filter_map(|field| Some((field.key.to_owned(), field.text?))).collect(),
            ),
            Err((key, error)) => Edit::Fail(Error::encode(key, error)),
        })
    }
}

impl<T: SessionData> IntoSession<OfHandle> for Session<T> {
    fn into_session(self) -> NewSession {
        let request = self.request().clone();
        // Staged field changes belong to the session that is handed over.
        drop(self);
        NewSession(Edit::adopt(request))
    }
}

impl IntoSession<OfHandle> for &Session {
    fn into_session(self) -> NewSession {
        self.clone().into_session()
    }
}

macro_rules! session_of_pairs {
    ($([$($generics:tt)*] $pairs:ty;)*) => {$(
        impl<K: Into<String>, V: Serialize, $($generics)*> IntoSession<OfPairs> for $pairs {
            fn into_session(self) -> NewSession {
                NewSession(Edit::adding(Edit::Replace, self))
            }
        }
    )*};
}
session_of_pairs! {
    [const N: usize] [(K, V); N];
    [] Vec<(K, V)>;
    [] Option<(K, V)>;
    [] BTreeMap<K, V>;
    [S] HashMap<K, V, S>;
}

impl<K: Into<String>, V: Serialize> IntoSession<OfPairs> for (K, V) {
    fn into_session(self) -> NewSession {
        [self].into_session()
    }
}

/// Messages for the next page: one pair of key and text, or several.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no flash message",
    note = "give a pair of key and text, or an array, `Vec` or map of such pairs"
)]
pub trait IntoMessages {
    /// Hands each key and text over.
    fn add_to(self, add: &mut dyn FnMut(String, String));
}

impl<K: Into<String>, M: Into<String>> IntoMessages for (K, M) {
    fn add_to(self, add: &mut dyn FnMut(String, String)) {
        add(self.0.into(), self.1.into());
    }
}

macro_rules! messages_of_pairs {
    ($([$($generics:tt)*] $pairs:ty;)*) => {$(
        impl<K: Into<String>, M: Into<String>, $($generics)*> IntoMessages for $pairs {
            fn add_to(self, add: &mut dyn FnMut(String, String)) {
                self.into_iter().for_each(|message| message.add_to(add));
            }
        }
    )*};
}
messages_of_pairs! {
    [const N: usize] [(K, M); N];
    [] Vec<(K, M)>;
    [] Option<(K, M)>;
    [] BTreeMap<K, M>;
    [S] HashMap<K, M, S>;
}
