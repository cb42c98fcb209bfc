//! `Flash`: messages, a form's input and its errors, until the next page.

use std::sync::Arc;

use axum_core::extract::FromRequestParts;
use http::{HeaderMap, request::Parts};
use serde::{Serialize, Serializer, ser::SerializeMap};
use session_core::{RESERVED_PREFIX, flash::Batch};

use crate::{
    config::FlashMode,
    error::Error,
    form::{self, Choice, FormValues, IntoErrors},
    pairs::{self, IntoKeys},
    rejection::{MissingLayer, request_of},
    request::Request,
    state::flash_changes::{Fate, FlashChanges},
};

mod values;

pub use values::{FormErrors, Input, Message, Messages};

/// The flash messages of a request: those that came with it, and those for the next page.
///
/// It never rejects for what a client sent: a forged or expired message is no message. Without a
/// [`SessionLayer`](crate::SessionLayer) it rejects with a 500 that says so.
///
/// A message is gone once a handler has read it and the answer was shown to a person: a 2xx or 4xx with a body, not to
/// a HEAD. A redirect, a 304 and a 5xx keep it, and so does a request that does not read it. To a prefetch there is no
/// message: a browser may show that page later without asking again, and the message waits for a page that it asks for.
/// With [`FlashMode::NextRequest`] any request shows and takes all messages.
///
/// ```
/// use session_axum::Flash;
///
/// async fn page(flash: Flash) -> String {
///     flash.get("success").unwrap_or("Welcome!").to_owned()
/// }
/// ```
pub struct Flash {
    request: Arc<Request>,
    /// For this page only.
    now: Batch,
    /// Whether the browser only prepares this page.
    is_prefetch: bool,
}

impl Flash {
    /// The last message under `key`, and reads it: it is gone with this page.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.mark([key]);
        self.peek(key)
    }

    /// All messages under `key`, oldest first, and reads them.
    #[must_use]
    pub fn get_all(&self, key: &str) -> Vec<&str> {
        self.mark([key]);
        self.peek_all(key)
    }

    /// All messages with their keys, oldest first, and reads them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mark_all();
        self.all()
    }

    /// Whether there is no message. It reads none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// The last message under `key`, which stays.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<&str> {
        self.all().filter(|(known, _)| *known == key).map(|(_, text)| text).last()
    }

    /// All messages under `key`, oldest first, which stay.
    #[must_use]
    pub fn peek_all(&self, key: &str) -> Vec<&str> {
        self.all().filter(|(known, _)| *known == key).map(|(_, text)| text).collect()
    }

    /// All messages as a value for a template, a list of `key` and `text`, and reads them.
    #[must_use]
    pub fn messages(&self) -> Messages<'_> {
        Messages(self.iter().map(|(key, text)| Message { key, text }).collect())
    }

    /// The values of a form that was refused, and reads them.
    ///
    /// ```
    /// # use session_axum::Flash;
    /// async fn page(flash: Flash) -> String {
    ///     format!("Your name: {}", flash.input().get("name").unwrap_or_default())
    /// }
    /// ```
    #[must_use]
    pub fn input(&self) -> Input<'_> {
        if self.carried().any(Batch::has_form) {
            self.note(|flash| flash.input_was_read = true);
        }
        Input(self.forms())
    }

    /// What was wrong with a form, and reads it.
    #[must_use]
    pub fn errors(&self) -> FormErrors<'_> {
        if self.carried().any(Batch::has_form) {
            self.note(|flash| flash.errors_were_read = true);
        }
        FormErrors(self.forms())
    }

    /// A message of success for the next page, under the key `success`.
    pub fn success(&self, text: impl Into<String>) {
        self.add("success", text);
    }

    /// A message of failure for the next page, under the key `error`.
    pub fn error(&self, text: impl Into<String>) {
        self.add("error", text);
    }

    /// A warning for the next page, under the key `warning`.
    pub fn warning(&self, text: impl Into<String>) {
        self.add("warning", text);
    }

    /// A piece of information for the next page, under the key `info`.
    pub fn info(&self, text: impl Into<String>) {
        self.add("info", text);
    }

    /// A message for the next page. A key that begins with `$` is refused: the response becomes an [`Error`].
    pub fn add(&self, key: &str, text: impl Into<String>) {
        let text = text.into();
        if key.starts_with(RESERVED_PREFIX) {
            self.request.fail(Error::reserved(key));
        } else {
            self.stage(|flash| flash.added.messages.add(key, text));
        }
    }

    /// A message for this page only: this handle shows it like one that came with the request.
    pub fn now(&mut self, key: &str, text: impl Into<String>) {
        self.now.messages.add(key, text.into());
    }

    /// A refused form's values and errors for this page only, without a redirect: this handle shows them like those
    /// that come with one. What [`with_input`](crate::SessionResponseExt::with_input) leaves out is left out.
    ///
    /// ```
    /// # use session_axum::Flash;
    /// use axum::{Form, http::StatusCode, response::IntoResponse};
    ///
    /// # #[derive(serde::Serialize, serde::Deserialize)]
    /// # struct Settings { name: String }
    /// # fn page(_: &Flash) -> String { String::new() }
    /// async fn save(mut flash: Flash, form: Form<Settings>) -> impl IntoResponse {
    ///     flash.show(&form, [("name", "is already taken")]);
    ///     (StatusCode::UNPROCESSABLE_ENTITY, page(&flash))
    /// }
    /// ```
    pub fn show<Kind, OfErrors>(&mut self, form: &(impl FormValues<Kind> + ?Sized), errors: impl IntoErrors<OfErrors>) {
        let (input, errors) = (form::fields(form, &Choice::Usual), form::lists(errors));
        self.now.extend(Batch { input, errors, ..Batch::default() });
    }

    /// Keeps all that came with the request for one more page, read or not.
    pub fn keep(&self) {
        self.decide(Fate::Kept);
    }

    /// Keeps the messages under these keys for one more page, and drops all the rest.
    pub fn keep_only<Kind>(&self, keys: impl IntoKeys<Kind>) {
        self.decide(Fate::KeptOnly(pairs::keys(keys)));
    }

    /// Drops all that came with the request, read or not.
    pub fn discard(&self) {
        self.decide(Fate::Discarded);
    }

    fn decide(&self, fate: Fate) {
        self.stage(|flash| flash.fate = fate);
    }

    fn stage(&self, change: impl FnOnce(&mut FlashChanges)) {
        if let Err(error) = self.request.stage_flash(change) {
            tracing::error!(%error, "a change was dropped");
        }
    }

    /// Notes that something was read. After the response nothing is consumed any more.
    fn note(&self, read: impl FnOnce(&mut FlashChanges)) {
        let _ = self.request.stage_flash(read);
    }

    fn mark<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        for key in keys.into_iter().filter(|key| self.came_with(key)) {
            self.note(|flash| flash.mark(key));
        }
    }

    fn mark_all(&self) {
        self.mark(self.carried().flat_map(|batch| batch.messages.iter()).map(|(key, _)| key));
    }

    fn came_with(&self, key: &str) -> bool {
        self.carried().any(|batch| batch.messages.get(key).is_some())
    }

    fn carried(&self) -> impl DoubleEndedIterator<Item = &Batch> {
        let batches = if self.is_prefetch { &[] } else { self.request.incoming().batches.as_slice() };
        batches.iter().map(|received| &received.batch)
    }

    /// The refused forms, the newest first, without those that were sent again.
    fn forms(&self) -> Vec<&Batch> {
        let mut forms: Vec<&Batch> = Vec::new();
        for batch in self.carried().chain([&self.now]).rev().filter(|batch| batch.has_form()) {
            if !forms.iter().any(|newer| newer.shares_a_field_with(batch)) {
                forms.push(batch);
            }
        }
        forms
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let lists = self.carried().chain([&self.now]).flat_map(|batch| batch.messages.iter());
        lists.flat_map(|(key, texts)| texts.iter().map(move |text| (key, text.as_str())))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Flash {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        let request = request_of(parts, "Flash")?;
        request.incoming();
        let is_prefetch = request.settings.config.flash_mode == FlashMode::UntilRead && is_prefetch(&parts.headers);
        Ok(Self { request: Arc::clone(request), now: Batch::default(), is_prefetch })
    }
}

/// A map from key to last message, so that a template writes `{{ flash.success }}`. It reads all messages.
impl Serialize for Flash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut last: Vec<(&str, &str)> = Vec::new();
        for (key, text) in self.iter() {
            match last.iter_mut().find(|(known, _)| *known == key) {
                Some(entry) => entry.1 = text,
                None => last.push((key, text)),
            }
        }
        let mut map = serializer.serialize_map(Some(last.len()))?;
        for (key, text) in last {
            map.serialize_entry(key, text)?;
        }
        map.end()
    }
}

session_core::opaque_debug!(Flash);

/// A person does not see what a browser only prepares.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose"]
        .iter()
        .filter_map(|name| headers.get(*name))
        .any(|value| value.as_bytes().get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"prefetch")))
}
