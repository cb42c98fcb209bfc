//! What the derive writes when something is wrong: every mistake at its place, and an impl beside them, so that
//! nothing else fails for want of one.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Error;

use crate::ast::Data;

#[derive(Default)]
pub(crate) struct Mistakes(Vec<Error>);

impl Mistakes {
    pub(crate) fn add(&mut self, at: impl ToTokens, sentence: impl std::fmt::Display) {
        self.push(Error::new_spanned(at, sentence));
    }

    pub(crate) fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn fallback(data: &Data<'_>, mistakes: &Mistakes) -> TokenStream {
    let Data { ident, generics, private, .. } = data;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let mistakes = mistakes.0.iter().map(Error::to_compile_error);
    quote! {
        #(#mistakes)*

        #[automatically_derived]
        impl #parameters #private::SessionData for #ident #arguments #bounds {
            const KEYS: &'static [&'static #private::str] = &[];

            fn read(_: &#private::Reader<'_>) -> #private::Result<Self, #private::MissingField> {
                loop {}
            }

            fn write(&self, _: &mut #private::Writer) {}
        }
    }
}
