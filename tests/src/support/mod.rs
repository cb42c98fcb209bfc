//! What several topics share.

pub(crate) mod corpus;
pub(crate) mod reference;
