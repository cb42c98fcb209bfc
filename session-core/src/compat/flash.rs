//! The flash messages of Play: texts by kind.

use crate::{
    compat::{MOST_VALUES, is_reserved, newest, urlencoded},
    former::{Former, FormerCookies},
    messages::Batch,
};

/// A flash cookie without a signature.
#[derive(Clone)]
pub(super) struct PlainFlash {
    pub(super) cookie: String,
    /// Whether the application wants the messages.
    pub(super) is_read: bool,
}

impl PlainFlash {
    pub(super) fn new() -> Self {
        Self { cookie: "PLAY_FLASH".to_owned(), is_read: false }
    }

    pub(super) fn read(&self, cookies: FormerCookies<'_>) -> Former {
        if !self.is_read {
            return Former::NOTHING;
        }
        let found = newest(cookies, &self.cookie, |text| Some((None, Self::parse(text)?)));
        flash(found.map(|found| found.content), &self.cookie)
    }

    /// Reads URL-encoded pairs. Of several texts with one key the last counts, as in Play.
    pub(super) fn parse(text: &[u8]) -> Option<Batch> {
        Some(messages(urlencoded::pairs(text, MOST_VALUES)?))
    }
}

/// Returns messages by kind. Kinds that begin with `$` are left out.
pub(super) fn messages(pairs: impl IntoIterator<Item = (String, String)>) -> Batch {
    let mut batch = Batch::NOTHING;
    for (kind, text) in pairs.into_iter().filter(|(kind, _)| !is_reserved(kind)) {
        batch.messages.set(kind, text);
    }
    batch
}

/// Returns the result for the messages of a cookie.
pub(super) fn flash(batch: Option<Batch>, cookie: &str) -> Former {
    let Some(flash) = batch.filter(|batch| !batch.is_empty()) else { return Former::NOTHING };
    Former { flash, flash_cookies: vec![cookie.to_owned()], ..Former::NOTHING }
}
