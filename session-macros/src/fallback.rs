//! The output for a struct with mistakes: a compile error for each mistake, and an impl that compiles. Without the
//! impl, the compiler would also report every use of the struct.

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

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn to_compile_errors(&self) -> TokenStream {
        self.0.iter().map(Error::to_compile_error).collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn fallback(data: &Data<'_>, mistakes: &Mistakes) -> TokenStream {
    let Data { ident, generics, private, .. } = data;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let mistakes = mistakes.to_compile_errors();
    quote! {
        #mistakes

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

/// Returns the message for an unknown name, with the known name that is nearest to it.
pub(crate) fn unknown(kind: &str, name: &str, taker: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|known| (distance(name, known), *known)).min();
    let Some((_, near)) = nearest.filter(|(distance, _)| *distance < 3) else {
        return format!("unknown {kind} `{name}`: {taker} takes {}", enumerated(known));
    };
    let others: Vec<_> = known.iter().copied().filter(|known| *known != near).collect();
    format!("unknown {kind} `{name}`: did you mean `{near}`? ({taker} also takes {})", enumerated(&others))
}

fn enumerated(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Returns how many letters must be inserted, removed or replaced to turn `left` into `right`, ignoring case (the
/// Levenshtein distance).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for column in 1..row.len() {
            let replaced = diagonal + usize::from(right[column - 1] != letter);
            diagonal = row[column];
            row[column] = replaced.min(diagonal + 1).min(row[column - 1] + 1);
        }
    }
    row[right.len()]
}
