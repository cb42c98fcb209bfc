//! The changes of a request to the flash, and the messages that stay after the request.

use std::borrow::Cow;

use session_core::flash::{Batch, MessageLists};

use crate::wire::{return_cookie::ReturnPage, ticket_cookie::TicketChange};

/// What handlers have read of the flash and changed in it so far. Most requests change nothing, and need no box.
#[derive(Clone, Default)]
pub(crate) struct StagedFlash {
    read: Read,
    changes: Option<Box<FlashChanges>>,
}

impl StagedFlash {
    /// Notes that a handler has read a part of the flash.
    pub(crate) fn mark(&mut self, part: Part<'_>) {
        self.read.mark(part);
    }

    /// Returns whether a read of the part changes nothing: it was read before, or a handler has decided about it.
    pub(crate) fn is_settled(&self, part: Part<'_>) -> bool {
        self.read.has(part) || self.changes.as_ref().is_some_and(|changes| changes.fate != Fate::Open)
    }

    /// Returns whether the response sets or removes cookies, whatever came with the request.
    pub(crate) fn adds_cookies(&self) -> bool {
        self.changes.as_ref().is_some_and(|changes| !changes.added.is_empty() || changes.changes_other_cookies())
    }

    pub(crate) fn changes(&mut self) -> &mut FlashChanges {
        self.changes.get_or_insert_default()
    }

    /// Returns whether a handler has changed the flash, apart from reading it.
    pub(crate) const fn has_changes(&self) -> bool {
        self.changes.is_some()
    }

    /// Takes all changes for the response. The part that still counts after a server error stays.
    pub(crate) fn take_changes(&mut self) -> FlashChanges {
        let kept = self.rolled_back();
        let Self { read, changes } = std::mem::replace(self, kept);
        FlashChanges { read, ..changes.map(|changes| *changes).unwrap_or_default() }
    }

    /// Returns the part of the changes that still counts after a server error: a ticket works only once.
    pub(crate) fn rolled_back(&self) -> Self {
        let tickets = self.changes.as_ref().map(|changes| &changes.tickets).filter(|tickets| !tickets.is_empty());
        let changes = tickets.map(|tickets| Box::new(FlashChanges { tickets: tickets.clone(), ..Default::default() }));
        Self { read: Read::default(), changes }
    }
}

/// The changes of a request to the flash: the keys that were read, and the messages that were added.
#[derive(Clone, Default)]
pub(crate) struct FlashChanges {
    read: Read,
    pub(crate) fate: Fate,
    /// Whether forms that came with the request are removed, even if no handler has read them.
    drops_forms: bool,
    /// The keys of messages that are removed, even if no handler has read them.
    removed: Vec<String>,
    /// The messages and the form for the next page.
    pub(crate) added: Batch,
    /// What the response does with the page that the visitor wanted before a guard sent them elsewhere.
    pub(crate) return_page: ReturnPage,
    /// The tickets that the response sets or removes.
    pub(crate) tickets: Vec<TicketChange>,
}

/// The decision of a handler about all messages that came with the request. The last decision counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No decision: the messages that the response consumes are removed.
    #[default]
    Open,
    Kept,
    KeptOnly(Vec<String>),
    Discarded,
}

/// A part of the flash that a handler reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    Messages(&'a str),
    Input,
    Errors,
}

impl FlashChanges {
    /// Returns the changes of a request that has only added these messages.
    pub(crate) fn with(messages: MessageLists) -> Self {
        Self { added: Batch { messages, ..Batch::default() }, ..Self::default() }
    }

    /// Removes all forms: those that came with the request, and those added so far. Another visitor may use the browser
    /// next.
    pub(crate) fn drop_forms(&mut self) {
        self.drops_forms = true;
        self.added.drop_form();
    }

    /// Removes everything: what came with the request, and what was added so far.
    pub(crate) fn begin_anew(&mut self) {
        let Self { return_page, tickets, .. } = std::mem::take(self);
        *self = Self { fate: Fate::Discarded, return_page, tickets, ..Self::default() };
    }

    /// Removes the messages under these keys: those that came with the request, and those added so far.
    pub(crate) fn remove(&mut self, keys: Vec<String>) {
        self.added.messages.retain(|key| !keys.iter().any(|removed| removed == key));
        self.removed.extend(keys);
    }

    /// Returns whether the changes remove something that came with the request, even if no handler has read it.
    pub(crate) fn removes_unread(&self) -> bool {
        self.drops_forms || !self.removed.is_empty() || matches!(self.fate, Fate::KeptOnly(_) | Fate::Discarded)
    }

    /// Returns whether the response sets or removes a cookie that has no messages.
    pub(crate) const fn changes_other_cookies(&self) -> bool {
        !matches!(self.return_page, ReturnPage::Unchanged) || !self.tickets.is_empty()
    }

    /// Sets or removes a ticket, instead of an earlier change of it.
    pub(crate) fn change_ticket(&mut self, change: TicketChange) {
        self.tickets.retain(|known| known.cookie.name != change.cookie.name);
        self.tickets.push(change);
    }

    /// Returns the part of a batch that stays, if the response removes what `consumed` selects.
    pub(crate) fn rest_of<'a>(&self, came: &'a Batch, consumed: Consumed) -> Cow<'a, Batch> {
        let goes = self.judge(came, consumed);
        let nothing_goes = !goes.input && !goes.errors && !came.messages.iter().any(|(key, _)| (goes.message)(key));
        if nothing_goes {
            return Cow::Borrowed(came);
        }
        let (mut rest, has_form) = (Batch::default(), came.has_form());
        if !came.messages.iter().all(|(key, _)| (goes.message)(key)) {
            rest.messages = came.messages.clone();
            rest.messages.retain(|key| !(goes.message)(key));
        }
        if has_form && !goes.input {
            (rest.input, rest.dropped) = (came.input.clone(), came.dropped.clone());
        }
        if has_form && !goes.errors {
            rest.errors = came.errors.clone();
        }
        Cow::Owned(rest)
    }

    fn judge(&self, came: &Batch, consumed: Consumed) -> Goes<impl Fn(&str) -> bool> {
        let by_reading = move |was_read: bool| consumed == Consumed::All || (consumed == Consumed::Read && was_read);
        let has_form = came.has_form();
        let form = |was_read: bool| match &self.fate {
            Fate::Open => by_reading(was_read),
            Fate::Kept => false,
            Fate::KeptOnly(_) | Fate::Discarded => true,
        };
        let form = |was_read: bool| has_form && (self.drops_forms || form(was_read));
        let (input, errors) = (form(self.read.input), form(self.read.errors));
        let message = move |key: &str| match &self.fate {
            _ if self.removed.iter().any(|removed| removed == key) => true,
            Fate::Open => by_reading(self.read.keys.contains(key)),
            Fate::Kept => false,
            Fate::KeptOnly(keys) => !keys.iter().any(|kept| kept == key),
            Fate::Discarded => true,
        };
        Goes { message, input, errors }
    }
}

/// The parts of the flash that handlers have read.
#[derive(Clone, Default)]
struct Read {
    keys: ReadKeys,
    input: bool,
    errors: bool,
}

impl Read {
    fn has(&self, part: Part<'_>) -> bool {
        match part {
            Part::Messages(key) => self.keys.contains(key),
            Part::Input => self.input,
            Part::Errors => self.errors,
        }
    }

    fn mark(&mut self, part: Part<'_>) {
        match part {
            Part::Messages(key) if self.keys.contains(key) => {}
            Part::Messages(key) => self.keys.push(key),
            Part::Input => self.input = true,
            Part::Errors => self.errors = true,
        }
    }
}

/// The keys that were read, in one allocation: one key after another, each after its length.
#[derive(Clone, Default)]
struct ReadKeys(Vec<u8>);

impl ReadKeys {
    fn push(&mut self, key: &str) {
        self.0.reserve(LENGTH + key.len());
        self.0.extend_from_slice(&key.len().to_ne_bytes());
        self.0.extend_from_slice(key.as_bytes());
    }

    fn contains(&self, key: &str) -> bool {
        let mut rest = self.0.as_slice();
        while let Some((length, behind)) = rest.split_first_chunk::<LENGTH>() {
            let (read, others) = behind.split_at(usize::from_ne_bytes(*length));
            if read == key.as_bytes() {
                return true;
            }
            rest = others;
        }
        false
    }
}

const LENGTH: usize = size_of::<usize>();

/// The parts of a batch that the response removes.
struct Goes<M> {
    message: M,
    input: bool,
    errors: bool,
}

/// Which of the messages that came with the request the response removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumed {
    Nothing,
    Read,
    All,
}

impl Consumed {
    /// Leaves what no handler has read.
    pub(crate) fn without_unread(self) -> Self {
        if self == Self::All { Self::Read } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_were_read_are_told_apart() {
        let mut read = ReadKeys::default();
        for key in ["notice", "", "not", "notice\0"] {
            assert!(!read.contains(key), "{key:?}");
            read.push(key);
            assert!(read.contains(key), "{key:?}");
        }
        assert!(!read.contains("ice") && !read.contains("noticenot"));
    }
}
