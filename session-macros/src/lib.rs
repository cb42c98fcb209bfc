//! The derive macro of `session-axum`: a struct's fields become keys of the session.
//!
//! Depend on `session-axum`, which exports the macro beside the trait of the same name. All it takes is told at
//! [`SessionData`](derive@SessionData).
//!
//! A mistake is a compile error at its place; several are reported together, and nothing else with them.

mod ast;
mod attr;
mod expand;
mod fallback;
mod valid;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes the fields of a struct keys of the session.
///
/// Each field is a key of its own in the one session that the untyped handle and other structs see too. Its type needs
/// serde's `Serialize` and `Deserialize`; the struct itself does not. Type parameters are asked for what the fields
/// need, no more.
///
/// A field is required: without it there is no such struct, and a handler that asks for one answers 401. An `Option` is
/// never required, and `None` removes its key. A value that cannot be decoded any more, because the struct changed in a
/// deployment, counts as missing.
///
/// # On the struct
///
/// | `#[session(..)]` | |
/// |---|---|
/// | `prefix = "cart."` | precedes every key, those of `rename` too |
/// | `rename_all = "camelCase"` | how keys come from names: `lowercase`, `UPPERCASE`, `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `SCREAMING-KEBAB-CASE` |
/// | `redirect = "/login"` | where to send who lacks a required field, instead of 401: a path, or an `http` or `https` URL |
/// | `crate = "my_framework::session"` | where `session-axum` is, when not under its own name |
///
/// # On a field
///
/// | `#[session(..)]` | |
/// |---|---|
/// | `rename = "since"` | its key, after the prefix |
/// | `alias = "cart.since"` | a whole key that is read when its own is not there, and removed when the field is next written; as often as needed |
/// | `default` | `Default::default()` when the key is not there |
/// | `default = 10` | any expression for that; it may name `Self` |
/// | `skip` | not in the session: made anew from `Default`, or from `default = ..` |
/// | `flatten` | another `SessionData`, which keeps its own keys and prefix |
///
/// What surprises: a key that begins with `$` is the session's own and refused, and so is a key that two fields claim,
/// as a name or as an alias. Keys of flattened structs are compared too, one level deep, when the struct is not generic.
// The examples need `session-axum`, and a dependency on it would be a cycle. The package `tests` compiles and runs them.
#[cfg_attr(not(doctest), doc = include_str!("examples.md"))]
#[proc_macro_derive(SessionData, attributes(session))]
pub fn derive_session_data(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let mut mistakes = fallback::Mistakes::default();
    let data = valid::understand(&input, &mut mistakes);
    let output = if mistakes.is_empty() { expand::expand(&data) } else { fallback::fallback(&data, &mistakes) };
    output.into()
}
