//! What several topics share.

pub(crate) mod app;
pub(crate) mod corpus;
pub(crate) mod fields;
pub(crate) mod reference;
