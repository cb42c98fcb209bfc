//! Cookies as former systems make them, for tests of the decoders, and code that damages them.

pub mod gob;
pub mod hostile;
pub mod play;
pub mod random;
pub mod revel;
pub mod securecookie;
pub mod signature;
pub mod subjects;
pub mod text;
