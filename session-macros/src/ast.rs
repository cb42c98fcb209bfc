//! The checked form of a struct: `valid` builds it, and `expand` generates code from it.

use proc_macro2::TokenStream;
use syn::{Expr, Generics, Ident, LitStr, Type};

pub(crate) struct Data<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a Generics,
    /// The path of the hidden module that the generated code refers to.
    pub(crate) private: TokenStream,
    pub(crate) cookie: Option<LitStr>,
    pub(crate) redirect: Option<LitStr>,
    pub(crate) returns: bool,
    pub(crate) message: Option<LitStr>,
    /// The longest time since a confirmation, in seconds.
    pub(crate) confirmed_within: Option<u64>,
    pub(crate) fields: Vec<Field<'a>>,
}

pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) role: Role,
}

pub(crate) enum Role {
    /// The field has a key, and perhaps a default for a missing key.
    Keyed(Key, Option<Default>),
    /// The field's type is session data and has keys of its own.
    Flattened,
    /// The field is not in the session.
    Skipped(Default),
}

/// A field's key. Names are literals, because a literal keeps the span where the user wrote it.
pub(crate) struct Key {
    pub(crate) name: LitStr,
    pub(crate) aliases: Vec<LitStr>,
}

pub(crate) enum Default {
    OfType,
    Written(Box<Expr>),
}

/// The case in which `rename_all` writes a field's name.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    AsWritten,
    Upper,
    Pascal,
    Camel,
    Kebab,
    UpperKebab,
}

impl Case {
    pub(crate) const NAMES: [&'static str; 8] = [
        "lowercase",
        "UPPERCASE",
        "PascalCase",
        "camelCase",
        "snake_case",
        "SCREAMING_SNAKE_CASE",
        "kebab-case",
        "SCREAMING-KEBAB-CASE",
    ];

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            // Field names are snake_case already, so both leave them as they are.
            "lowercase" | "snake_case" => Self::AsWritten,
            "UPPERCASE" | "SCREAMING_SNAKE_CASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::UpperKebab,
            _ => return None,
        })
    }

    pub(crate) fn apply(self, field: &str) -> String {
        match self {
            Self::AsWritten => field.to_owned(),
            Self::Upper => field.to_ascii_uppercase(),
            Self::Pascal => field.split('_').map(capitalized).collect(),
            Self::Camel => uncapitalized(&Self::Pascal.apply(field)),
            Self::Kebab => field.replace('_', "-"),
            Self::UpperKebab => field.replace('_', "-").to_ascii_uppercase(),
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn uncapitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}
