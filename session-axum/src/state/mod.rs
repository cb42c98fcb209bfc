//! What becomes of a session: what was loaded, what was staged, and what follows from both.

pub(crate) mod flash_changes;
pub(crate) mod loaded;
pub(crate) mod outcome;
pub(crate) mod staged;
