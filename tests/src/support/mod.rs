//! What several topics share.

pub(crate) mod app;
pub(crate) mod backends;
pub(crate) mod browser;
pub(crate) mod corpus;
pub(crate) mod events;
pub(crate) mod exchange;
pub(crate) mod fields;
pub(crate) mod jar;
pub(crate) mod logs;
pub(crate) mod polls;
pub(crate) mod proxy;
pub(crate) mod reference;
pub(crate) mod target;
pub(crate) mod twin;
pub(crate) mod watched;
