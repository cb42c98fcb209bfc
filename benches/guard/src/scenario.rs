//! What is measured, and the session that all of it is measured with.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A request, or two, whose cost is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The cookie comes, and the handler does not ask for the session. (An extractor is extracted and not read.)
    Untouched,
    /// The handler reads one number of three keys.
    Read,
    /// The handler puts another number in its place.
    Write,
    /// The handler reads one number of 26 keys.
    ReadLarge,
    /// The handler that reads, and no cookie.
    NoCookie,
    /// The handler that reads, and a cookie with one wrong character near its end.
    Forged,
    /// A redirect that flashes a message, then the page that reads it: two requests.
    FlashRound,
}

impl Scenario {
    pub const ALL: [Self; 7] =
        [Self::Untouched, Self::Read, Self::Write, Self::ReadLarge, Self::NoCookie, Self::Forged, Self::FlashRound];

    /// As a table's heading.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Read => "read one key",
            Self::Write => "write one key",
            Self::ReadLarge => "read, 2 KB",
            Self::NoCookie => "no cookie",
            Self::Forged => "forged cookie",
            Self::FlashRound => "flash round",
        }
    }
}

/// The session of the scenarios: three keys, or 26 with the notes.
#[derive(Clone, Debug)]
pub struct Session {
    pub csrf: String,
    pub email: String,
    pub visits: u64,
    /// Keys and values that nobody asks for.
    pub notes: Vec<(String, String)>,
}

/// The sessions' sizes as JSON objects.
pub const SMALL_SIZE: usize = 118;
pub const LARGE_SIZE: usize = 2_017;

/// The message that is flashed.
pub const FLASH: &str = "The item has been created";

impl Session {
    pub fn small() -> Self {
        Self {
            csrf: "Zk3vT0q8WnYc1rJmHs6bXeLd9uPgAi2fOtCy5KzRwQM".into(),
            email: "augusta.ada.king.byron@lovelace.example".into(),
            visits: 1_041,
            notes: Vec::new(),
        }
    }

    pub fn large() -> Self {
        let note = |n: usize| {
            let length = if n == 0 { NOTE + FIRST_NOTE_MORE } else { NOTE };
            (format!("note{n:02}"), "a-note-that-nobody-reads.".chars().cycle().take(length).collect())
        };
        Self { notes: (0..23).map(note).collect(), ..Self::small() }
    }

    /// Its keys with the JSON texts of their values.
    pub fn entries(&self) -> Vec<(String, String)> {
        let texts = [("csrf", &self.csrf), ("email", &self.email)];
        let texts = texts.into_iter().map(|(key, text)| (key.to_owned(), text));
        let texts = texts.chain(self.notes.iter().map(|(key, text)| (key.clone(), text)));
        texts
            .map(|(key, text)| (key, format!("\"{text}\"")))
            .chain([("visits".to_owned(), self.visits.to_string())])
            .collect()
    }

    /// The length of its JSON object.
    pub fn size(&self) -> usize {
        self.entries().iter().map(|(key, text)| key.len() + text.len() + "\"\":,".len()).sum::<usize>() + 1
    }
}

/// Makes the large session [`LARGE_SIZE`] bytes.
const NOTE: usize = 70;
const FIRST_NOTE_MORE: usize = 13;

/// What a handler found; measured handlers say it here, so that reading is not optimized away and can be checked.
pub fn saw(value: Option<u64>) {
    SEEN.store(value.unwrap_or(NOTHING), Relaxed);
}

/// What a handler last found.
pub fn seen() -> Option<u64> {
    Some(SEEN.swap(NOTHING, Relaxed)).filter(|value| *value != NOTHING)
}

const NOTHING: u64 = u64::MAX;
static SEEN: AtomicU64 = AtomicU64::new(NOTHING);

/// A number to write: always four digits, and never twice the same in a row, which some peers would not save.
pub fn next_visit() -> u64 {
    1_000 + VISITS.fetch_add(1, Relaxed) % 9_000
}

static VISITS: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sessions_have_the_sizes_they_are_said_to_have() {
        assert_eq!((Session::small().size(), Session::small().entries().len()), (SMALL_SIZE, 3));
        assert_eq!((Session::large().size(), Session::large().entries().len()), (LARGE_SIZE, 26));
    }
}
