//! What the examples share: the settings page, the form of the template examples, and how an example starts.

pub mod profile;
mod settings;
pub mod start;

pub use settings::app;
