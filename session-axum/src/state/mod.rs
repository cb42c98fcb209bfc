//! The state of a session within a request: the loaded session, the staged changes, and the decision that follows from
//! both.

pub(crate) mod flash_changes;
pub(crate) mod loaded;
pub(crate) mod outcome;
pub(crate) mod staged;
