//! What each fuzz target does with its bytes. `README.md` has the commands and the results.

pub mod application;
pub mod decoders;
pub mod derive;
pub mod flash;
pub mod form;
pub mod header;
pub mod payload;
pub mod record;
pub mod set_cookie;
pub mod token;
