//! Helpers on responses: what Play writes as `.withSession` and `.flashing`.

use axum_core::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use serde::Serialize;
use session_core::{
    SessionData,
    data::Writer,
    flash::{Batch, Lists},
};

pub use crate::pairs::{IntoKeys, IntoPairs};
use crate::{
    edits::{Edit, ResponseEdits},
    error::Error,
    form::{self, Choice, FormValues, IntoErrors},
    pairs,
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
        WithSession::new(session).on(self)
    }

    /// Adds values to the session that the request brought.
    fn adding_to_session<Kind>(self, values: impl IntoPairs<Kind, Value: Serialize>) -> Response {
        AddingToSession::new(values).on(self)
    }

    /// Takes values out of the session that the request brought.
    fn removing_from_session<Kind>(self, keys: impl IntoKeys<Kind>) -> Response {
        RemovingFromSession::new(keys).on(self)
    }

    /// Discards the whole session. What is added after it begins a new one.
    fn with_new_session(self) -> Response {
        WithNewSession.on(self)
    }

    /// Messages for the next page.
    fn flashing<Kind>(self, messages: impl IntoPairs<Kind, Value: Into<String>>) -> Response {
        Flashing::new(messages).on(self)
    }

    /// A form's values for the next page, where [`Flash::input`](crate::Flash::input) has them: those of a struct, a
    /// map, pairs, or a `Form` of these.
    ///
    /// Passwords and the like are [left out](WithInput#left-out). What does not fit into a cookie is left out too, the
    /// largest field first, and [`Input::dropped`](crate::flash::Input::dropped) says so; messages and errors always travel.
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
        WithInput::new(form).on(self)
    }

    /// These fields of a form for the next page and no others, also sensitive ones.
    fn with_input_only<Kind, Keys>(
        self,
        form: &(impl FormValues<Kind> + ?Sized),
        names: impl IntoKeys<Keys>,
    ) -> Response {
        WithInput::only(form, names).on(self)
    }

    /// A form's values for the next page without these fields and without the sensitive ones.
    fn with_input_except<Kind, Keys>(
        self,
        form: &(impl FormValues<Kind> + ?Sized),
        names: impl IntoKeys<Keys>,
    ) -> Response {
        WithInput::except(form, names).on(self)
    }

    /// What is wrong with a form, for the next page, where [`Flash::errors`](crate::Flash::errors) has it: pairs of
    /// field and message, or the report of a validator.
    fn with_errors<Kind>(self, errors: impl IntoErrors<Kind>) -> Response {
        WithErrors::new(errors).on(self)
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
    pub fn new<Kind>(values: impl IntoPairs<Kind, Value: Serialize>) -> Self {
        Self(Edit::adding(Edit::Add, values))
    }
}

/// [`SessionResponseExt::removing_from_session`] as a part of a response.
#[derive(Debug)]
pub struct RemovingFromSession(Edit);

impl RemovingFromSession {
    /// Takes values out.
    pub fn new<Kind>(keys: impl IntoKeys<Kind>) -> Self {
        Self(Edit::Remove(pairs::keys(keys)))
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
    pub fn new<Kind>(messages: impl IntoPairs<Kind, Value: Into<String>>) -> Self {
        let mut lists = Lists::default();
        messages.for_each_pair(&mut |key, text| lists.add(key, text.into()));
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
    pub fn only<Kind, Keys>(form: &(impl FormValues<Kind> + ?Sized), names: impl IntoKeys<Keys>) -> Self {
        Self(form::fields(form, &Choice::only(names)))
    }

    /// A form's values without these fields and without the sensitive ones.
    pub fn except<Kind, Keys>(form: &(impl FormValues<Kind> + ?Sized), names: impl IntoKeys<Keys>) -> Self {
        Self(form::fields(form, &Choice::except(names)))
    }
}

/// [`SessionResponseExt::with_errors`] as a part of a response.
#[derive(Debug)]
pub struct WithErrors(Lists);

impl WithErrors {
    /// What is wrong with a form, for the next page.
    pub fn new<Kind>(errors: impl IntoErrors<Kind>) -> Self {
        Self(form::lists(errors))
    }
}

macro_rules! response_parts {
    ($($name:ident: $this:ident => $edit:expr;)*) => {$(
        impl IntoResponseParts for $name {
            type Error = std::convert::Infallible;

            fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
                ResponseEdits::of(parts.extensions_mut()).push(self.edit());
                Ok(parts)
            }
        }

        impl $name {
            fn edit(self) -> Edit {
                let $this = self;
                $edit
            }

            /// Adds the edit to a response. It does not go through a tuple of parts, of which axum may skip some: a
            /// log-out on a response that failed is still a log-out.
            fn on(self, response: impl IntoResponse) -> Response {
                let mut response = response.into_response();
                ResponseEdits::of(response.extensions_mut()).push(self.edit());
                response
            }
        }

        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                self.on(())
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
/// The compiler infers `Kind`.
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

/// Marks what is pairs of key and value.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfPairs<Kind>(std::marker::PhantomData<Kind>);
/// Marks what is a struct that derives [`SessionData`].
#[doc(hidden)]
#[derive(Debug)]
pub struct OfStruct(());
/// Marks what is a [`Session`].
#[doc(hidden)]
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

impl<Kind, P: IntoPairs<Kind, Value: Serialize>> IntoSession<OfPairs<Kind>> for P {
    fn into_session(self) -> NewSession {
        NewSession(Edit::adding(Edit::Replace, self))
    }
}
