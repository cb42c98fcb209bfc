//! The derive macro of `session-axum`.

mod ast;
mod attr;
mod expand;
mod fallback;
mod valid;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// TODO
#[proc_macro_derive(SessionData, attributes(session))]
pub fn derive_session_data(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let mut mistakes = fallback::Mistakes::default();
    let data = valid::understand(&input, &mut mistakes);
    let output = if mistakes.count() == 0 { expand::expand(&data) } else { fallback::fallback(&data, &mistakes) };
    output.into()
}
