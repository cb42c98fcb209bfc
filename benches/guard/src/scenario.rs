//! What is measured, and the session that all of it is measured with.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

/// A request, or two, whose cost is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The cookie comes, and the handler does not ask for the session. (An extractor is extracted and not read.)
    Untouched,
    /// The handler reads one number of three keys.
    Read,
    /// The handler puts another number in its place.
    Write,
    /// The same, beside a cart of 23 items.
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

/// The session of the scenarios: three keys, or four with the cart.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Session {
    /// What nobody asks for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cart: Vec<Item>,
    pub csrf: String,
    pub email: String,
    /// Where a peer has no flash of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash: Option<String>,
    pub visits: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Item {
    pub quantity: u8,
    pub sku: String,
    pub title: String,
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
            ..Self::default()
        }
    }

    pub fn large() -> Self {
        let item = |n: usize| Item {
            quantity: 2,
            sku: format!("SKU-{n:06}"),
            title: "a-thing-that-somebody-wants-to-buy-and-keep".chars().take(if n == 0 { 41 } else { 37 }).collect(),
        };
        Self { cart: (0..23).map(item).collect(), ..Self::small() }
    }
}

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

/// A number to write: always four digits, never twice the same in a row, and never the one that is there already,
/// which some peers would not save.
pub fn next_visit() -> u64 {
    visit(VISITS.fetch_add(1, Relaxed))
}

/// What [`next_visit`] last was.
pub fn last_visit() -> u64 {
    visit(VISITS.load(Relaxed) - 1)
}

const fn visit(count: u64) -> u64 {
    2_000 + count % 8_000
}

static VISITS: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sessions_have_the_sizes_they_are_said_to_have() {
        let size = |session: Session| serde_json::to_string(&session).map_or(0, |text| text.len());
        assert_eq!(size(Session::small()), SMALL_SIZE);
        assert_eq!(size(Session::large()), LARGE_SIZE);
    }
}
