//! Real servers of this machine, for the stores that need one.

pub(crate) mod redis;
