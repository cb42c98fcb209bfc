//! What a request did with the flash, and what is left of it then.

use session_core::{Batch, Lists};

/// What a request did with the flash.
#[derive(Clone, Default)]
pub(crate) struct FlashChanges {
    /// The keys that were read.
    pub(crate) read: Vec<String>,
    pub(crate) input_was_read: bool,
    pub(crate) errors_were_read: bool,
    pub(crate) fate: Fate,
    /// For the next page.
    pub(crate) added: Batch,
}

/// What a handler decided about all that came with the request. The last word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing: reading decides.
    #[default]
    Open,
    Kept,
    KeptOnly(Vec<String>),
    Discarded,
}

impl FlashChanges {
    /// What stays of a batch that came with the request. `consumed`: what was read is gone.
    pub(crate) fn rest_of(&self, came: &Batch, consumed: Consumed) -> Batch {
        let mut rest = came.clone();
        match &self.fate {
            Fate::Kept => {}
            Fate::Discarded => rest = Batch::default(),
            Fate::KeptOnly(keys) => {
                rest.drop_form();
                rest.messages.retain(|key| keys.iter().any(|kept| kept == key));
            }
            Fate::Open => self.consume(&mut rest, consumed),
        }
        rest
    }

    fn consume(&self, batch: &mut Batch, consumed: Consumed) {
        let gone = |was_read: bool| consumed == Consumed::All || (consumed == Consumed::Read && was_read);
        batch.messages.retain(|key| !gone(self.read.iter().any(|read| read == key)));
        if gone(self.input_was_read) {
            batch.input = Lists::default();
            batch.dropped.clear();
        }
        if gone(self.errors_were_read) {
            batch.errors = Lists::default();
        }
    }
}

/// What this response takes away of the messages that came with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consumed {
    Nothing,
    Read,
    All,
}
