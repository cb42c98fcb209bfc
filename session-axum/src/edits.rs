//! The changes that the response helpers make to the session and the flash. The layer applies these changes.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum_core::response::Response;
use serde::Serialize;
use session_core::{
    RESERVED_PREFIX, encode,
    flash::{Batch, MessageLists},
};

use crate::{
    error::Error,
    flash::messages::Message,
    pairs::IntoPairs,
    request::{LoadedRequest, Request},
    state::{flash_changes::FlashChanges, staged::Staged},
    wire::{return_cookie::ReturnPage, ticket_cookie::TicketChange},
};

/// The change that one helper makes to the session or the flash.
#[derive(Clone)]
pub(crate) enum Edit {
    /// Ends the session, and drops the forms that no page has shown yet.
    End,
    /// Ends the session, as an extractor has asked for.
    Destroy,
    /// Ends the session and begins another with these keys and JSON texts.
    Replace(Vec<(String, String)>),
    Add(Vec<(String, String)>),
    Remove(Vec<String>),
    /// Keeps the session of this request, with the changes of the extractors, if the handle belongs to this request.
    /// Otherwise ends the session and begins another with these values.
    Adopt(LoadedRequest, Vec<(String, String)>),
    /// Makes a change to the session with this cookie.
    Of(&'static str, Box<Self>),
    Flash(Batch),
    /// Removes all messages and forms: what came with the request, and what was added so far.
    NewFlash,
    /// Removes the messages under these keys: those that came with the request, and those added so far.
    RemoveFromFlash(Vec<String>),
    /// Keeps the page that the visitor wanted before a guard sent them elsewhere; with `None`, forgets it.
    ReturnTo(Option<String>),
    /// Sets or removes a ticket.
    Ticket(TicketChange),
    /// Fails the response, because the helper got a value that cannot be saved.
    Fail(Error),
}

impl Edit {
    /// Ends the session.
    pub(crate) const fn end() -> Self {
        Self::End
    }

    /// Returns whether a helper ends the session.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self, Self::End)
    }

    pub(crate) fn adopt(handle: LoadedRequest) -> Self {
        let (loaded, changes) = handle.snapshot();
        let changes = changes.unwrap_or_default();
        let entries = changes.view(loaded.entries()).map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        Self::Adopt(handle, entries)
    }

    pub(crate) fn flashing<Kind>(messages: impl IntoPairs<Kind, Value: Into<Message>>) -> Self {
        let mut lists = Ok(MessageLists::default());
        messages.for_each_pair(&mut |key, message| match (&mut lists, message.into().into_content()) {
            (Ok(lists), Ok(message)) => lists.add(key, message),
            (Ok(_), Err(error)) => lists = Err(error),
            (Err(_), _) => {}
        });
        lists.map_or_else(Self::Fail, |messages| Self::Flash(Batch { messages, ..Batch::default() }))
    }

    pub(crate) fn adding<Kind, P>(edit: impl FnOnce(Vec<(String, String)>) -> Self, values: P) -> Self
    where
        P: IntoPairs<Kind, Value: Serialize>,
    {
        let mut entries = Ok(Vec::new());
        values.for_each_pair(&mut |key, value| {
            if let Ok(known) = &mut entries {
                match entry(key, &value) {
                    Ok(entry) => known.push(entry),
                    Err(error) => entries = Err(error),
                }
            }
        });
        entries.map_or_else(Self::Fail, edit)
    }

    /// Returns whether the edit belongs to a layer around this one.
    fn is_for_outer(&self, request: &Arc<Request>) -> Result<bool, Error> {
        match self {
            Self::Adopt(handle, _) => Ok(request.layers().skip(1).any(|outer| handle.is(outer))),
            Self::Of(cookie, _) => {
                let place = request.layers().position(|layer| layer.has_session(cookie));
                place.map(|place| place > 0).ok_or_else(|| Error::no_such_session(cookie))
            }
            _ => Ok(false),
        }
    }

    /// Applies the edit to `staged`. `before` has all changes that extractors staged, also those that were rolled back.
    fn apply_to_session(
        self,
        staged: &mut Staged,
        before: &Staged,
        is_own: &dyn Fn(&LoadedRequest) -> bool,
    ) -> Result<(), Error> {
        match self {
            Self::Adopt(handle, _) if is_own(&handle) => before.clone_into(staged),
            Self::End | Self::Destroy => staged.destroy(),
            Self::Replace(entries) | Self::Adopt(_, entries) => {
                staged.replace();
                entries.into_iter().for_each(|(key, text)| staged.changes.set(&key, text));
            }
            Self::Add(entries) => entries.into_iter().for_each(|(key, text)| staged.changes.set(&key, text)),
            Self::Remove(keys) => {
                let reserved = |key: &String| key.starts_with(RESERVED_PREFIX);
                keys.iter().filter(|key| !reserved(key)).for_each(|key| staged.changes.remove(key));
            }
            Self::Flash(_) | Self::NewFlash | Self::RemoveFromFlash(_) | Self::ReturnTo(_) | Self::Ticket(_) => {}
            Self::Of(_, edit) => edit.apply_to_session(staged, before, is_own)?,
            Self::Fail(error) => return Err(error),
        }
        Ok(())
    }
}

fn entry(key: String, value: &impl Serialize) -> Result<(String, String), Error> {
    if key.starts_with(RESERVED_PREFIX) {
        return Err(Error::reserved(&key));
    }
    let text = encode(value).map_err(|error| Error::encode(&key, error))?;
    Ok((key, text))
}

session_core::opaque_debug!(Edit);

/// The edits in the order of the helpers' calls. Most responses have one edit, which needs no list.
#[derive(Clone, Debug, Default)]
pub(crate) struct EditList {
    first: Option<Edit>,
    others: Vec<Edit>,
}

impl EditList {
    pub(crate) const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Edit> {
        self.first.iter().chain(&self.others)
    }

    /// Returns whether a helper flashes a message for the next page.
    pub(crate) fn flashes(&self) -> bool {
        self.iter().any(|edit| matches!(edit, Edit::Flash(batch) if !batch.messages.is_empty()))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Edit> {
        self.first.iter_mut().chain(&mut self.others)
    }

    pub(crate) fn push(&mut self, edit: Edit) {
        match self.first {
            None => self.first = Some(edit),
            Some(_) => self.others.push(edit),
        }
    }

    pub(crate) fn extend(&mut self, edits: Self) {
        edits.into_iter().for_each(|edit| self.push(edit));
    }

    /// Takes the edits of the layers around this one out of the list.
    pub(crate) fn take_outer(&mut self, request: &Arc<Request>) -> Self {
        let mut outer = Self::default();
        // Most lists have none, and stay as they are.
        if self.iter().all(|edit| matches!(edit.is_for_outer(request), Ok(false))) {
            return outer;
        }
        for edit in std::mem::take(self).into_iter() {
            match edit.is_for_outer(request) {
                Ok(true) => outer.push(edit),
                Ok(false) => self.push(edit),
                Err(error) => self.push(Edit::Fail(error)),
            }
        }
        outer
    }

    /// Moves the edits to a response, for the layers around this one.
    pub(crate) fn put_onto(&mut self, response: &mut Response) {
        if self.is_empty() {
            return;
        }
        for edit in std::mem::take(self).into_iter() {
            ResponseEdits::of(response.extensions_mut()).push(edit);
        }
    }

    /// Applies the edits of the flash to it, and leaves those of the session in the list.
    pub(crate) fn apply_to_flash(&mut self, flash: &mut FlashChanges) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        for edit in std::mem::take(self).into_iter() {
            match edit {
                Edit::Flash(batch) => {
                    if let Some((key, _)) = batch.messages.iter().find(|(key, _)| key.starts_with(RESERVED_PREFIX)) {
                        return Err(Error::reserved(key));
                    }
                    flash.added.extend(batch);
                }
                Edit::NewFlash => flash.begin_anew(),
                Edit::ReturnTo(page) => {
                    flash.return_page = page.map_or(ReturnPage::Forget, ReturnPage::Set);
                }
                Edit::Ticket(change) => flash.change_ticket(change),
                Edit::RemoveFromFlash(keys) => flash.remove(keys),
                edit => {
                    if edit.is_end() {
                        flash.drop_forms();
                    }
                    self.push(edit);
                }
            }
        }
        Ok(())
    }

    /// Applies the edits to `staged`, the changes of the extractors that still count. `before` has all changes of the
    /// extractors. `is_own` returns whether a handle belongs to this request.
    pub(crate) fn apply_to_session(
        &mut self,
        staged: &mut Cow<'_, Staged>,
        before: &Staged,
        is_own: impl Fn(&LoadedRequest) -> bool,
    ) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        std::mem::take(self).into_iter().try_for_each(|edit| edit.apply_to_session(staged.to_mut(), before, &is_own))
    }

    fn into_iter(self) -> impl Iterator<Item = Edit> {
        self.first.into_iter().chain(self.others)
    }
}

/// The edits of one response. They are an extension of the response.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseEdits(Arc<Pending>);

#[derive(Debug, Default)]
struct Pending(Mutex<EditList>);

impl ResponseEdits {
    /// Returns the edits of a response, so that a helper can add one.
    pub(crate) fn of(extensions: &mut http::Extensions) -> &mut Self {
        extensions.get_or_insert_default()
    }

    /// Takes the edits out of a response, so that the layer can apply them.
    pub(crate) fn take(response: &mut Response) -> EditList {
        let edits = response.extensions_mut().remove::<Self>();
        edits.map(|edits| std::mem::take(&mut *edits.0.lock())).unwrap_or_default()
    }

    pub(crate) fn push(&self, edit: Edit) {
        self.0.lock().push(edit);
    }

    /// Returns the edits that a response has so far.
    pub(crate) fn so_far(extensions: &http::Extensions) -> EditList {
        extensions.get::<Self>().map(|edits| edits.0.lock().clone()).unwrap_or_default()
    }

    /// Takes the messages out of a response, and leaves its other edits.
    pub(crate) fn drop_messages(extensions: &http::Extensions) {
        let Some(edits) = extensions.get::<Self>() else { return };
        for edit in edits.0.lock().iter_mut() {
            if let Edit::Flash(batch) = edit {
                batch.messages = MessageLists::default();
            }
        }
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, EditList> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.lock().is_empty() {
            tracing::error!(
                name: "setup.response_outside", target: "session_axum::setup",
                "a response with session or flash changes never reached a session layer, and they are lost: add \
                 `.layer(SessionLayer::signed(keys))` around the route that made it"
            );
        }
    }
}
