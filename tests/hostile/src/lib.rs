//! Hostile input by the million: damaged tokens, damaged cookies of former systems, and the time of a comparison.

pub mod gob;
pub mod hostile;
pub mod play;
pub mod random;
pub mod revel;
pub mod securecookie;
pub mod signature;
pub mod subjects;
pub mod text;
pub mod timing;
pub mod tokens;
