//! A session within a request: what was loaded, what was staged, and what is decided from both.

pub(crate) mod flash_changes;
pub(crate) mod loaded;
pub(crate) mod outcome;
pub(crate) mod staged;
