//! The derive macros of `session-axum`: a struct's fields become keys of the session, or a struct the value of a
//! ticket.
//!
//! Depend on `session-axum`, which exports each macro together with the trait of the same name. The options are
//! described at [`SessionData`](derive@SessionData) and [`TicketData`](derive@TicketData).
//!
//! Each mistake is a compile error at its place in the source. All mistakes of a struct are reported together.

mod ast;
mod attr;
mod expand;
mod fallback;
mod guide;
mod ticket;
mod valid;

use proc_macro::TokenStream;
use syn::{DeriveInput, LitStr, parse_macro_input};

/// Implements `SessionData` for a struct: each field becomes a key of the session.
///
/// All structs and the untyped handle share one session, so they see each other's keys. The type of a field needs
/// serde's `Serialize` and `Deserialize`; the struct itself does not. Bounds on type parameters are derived from the
/// types of the fields.
///
/// A field is required: if its key is missing, a handler with this struct as an argument is not called, and the
/// response is 401. An `Option` is never required, and `None` removes its key. A value that cannot be decoded any more,
/// because the struct has changed since the value was stored, counts as missing.
///
/// # Options of the struct
///
/// | `#[session(..)]` | effect |
/// |---|---|
/// | `prefix = "cart."` | begins every key with this text, also after `rename` |
/// | `rename_all = "camelCase"` | changes the case of the keys: `lowercase`, `UPPERCASE`, `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `SCREAMING-KEBAB-CASE` |
/// | `cookie = "cart"` | takes the fields from the session with this cookie, for a route with several session layers around it: see `SessionLayer`. A prefix such as `__Host-` does not count |
/// | `redirect = "/login"` | redirects a visitor without a required field, instead of the response 401: a path, or an `http` or `https` URL |
/// | `return_to` | with `redirect`: keeps the page that the visitor wanted, for `session.return_to("/")` after the log-in |
/// | `message = "Please log in."` | sets the text of the 401 or 403. With `redirect` it is also the flash message `error` of the next page; without this option, a redirect has no message |
/// | `confirmed_within = "10m"` | lets only visitors in who have confirmed who they are within this time, by `session.confirm()`; others get the redirect, or the response 403. Durations are `90s`, `10m`, `1h`, `30d` |
/// | `crate = "my_framework::session"` | names the path of `session-axum`, for a crate that re-exports it |
///
/// # Options of a field
///
/// | `#[session(..)]` | effect |
/// |---|---|
/// | `rename = "since"` | sets the key, after the prefix |
/// | `alias = "cart.since"` | names an old key, with its prefix. It is read if the field's own key is missing, and removed when the field is written next. May be repeated |
/// | `default` | uses `Default::default()` if the key is missing |
/// | `default = 10` | uses this expression if the key is missing. It may refer to `Self` |
/// | `skip` | keeps the field out of the session. Its value is always `Default::default()`, or that of `default = ..` |
/// | `flatten` | includes the fields of another `SessionData`, with their own keys and prefix |
///
/// # What surprises
///
/// - Serde's attributes on the struct's own fields have no effect. `#[serde(default)]` is not `#[session(default)]`:
///   the field is still required. The same holds for `rename`, `alias`, `skip` and `flatten`. In the types of the
///   fields, serde's attributes work as usual.
/// - A debug build decodes each changed field again before it is saved, and the response is an error if that fails:
///   128-bit integers in a type with `#[serde(tag = "..")]`, for example, and `Some(None)`.
/// - A key that begins with `$` is a compile error: such keys are reserved for the session itself.
/// - Two fields with the same key or alias are a compile error. This includes the keys of flattened structs, one level
///   deep, if the struct has no type parameters.
///
// The examples need `session-axum`, and a dependency on it would be a cycle. The package `tests` compiles and runs
// them.
#[cfg_attr(not(doctest), doc = include_str!("examples.md"))]
#[proc_macro_derive(SessionData, attributes(session))]
pub fn derive_session_data(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let mut mistakes = fallback::Mistakes::default();
    let data = valid::understand(&input, &mut mistakes);
    let output = if mistakes.is_empty() { expand::expand(&data) } else { fallback::fallback(&data, &mistakes) };
    output.into()
}

/// Implements `TicketData` for a struct, so that it can be the value of a `Ticket`. The struct also needs serde's
/// `Serialize` and `Deserialize`.
///
/// | `#[ticket(..)]` | effect |
/// |---|---|
/// | `name = "oauth"` | names the cookie, after the prefix `__Host-` or `__Secure-`. Required |
/// | `path = "/callback"` | sends the cookie only to this path and below it: `/` by default |
/// | `lifetime = "10m"` | limits how long the ticket is valid, the default: `90s`, `10m`, `1h`, `30d` |
/// | `cross_site` | lets the browser send the ticket with a POST from another site too: `SameSite=None; Secure` |
/// | `crate = "my_framework::session"` | names the path of `session-axum`, for a crate that re-exports it |
#[proc_macro_derive(TicketData, attributes(ticket))]
pub fn derive_ticket_data(input: TokenStream) -> TokenStream {
    ticket::derive(&parse_macro_input!(input as DeriveInput)).into()
}

/// Expands to the text of a page of `docs`, for the documentation of `session-axum`.
#[doc(hidden)]
#[proc_macro]
pub fn guide(input: TokenStream) -> TokenStream {
    let file = parse_macro_input!(input as LitStr);
    guide::expand(&file).unwrap_or_else(syn::Error::into_compile_error).into()
}
