//! `#[derive(TicketData)]`: checks the options of a ticket, and generates the impl.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, LitStr, Path};

use crate::{
    attr::TicketOptions,
    fallback::Mistakes,
    valid::{duration, path_of},
};

pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let options = TicketOptions::parse(&input.attrs, &mut mistakes);
    let cookie = Cookie::new(input, &options, &mut mistakes);
    let (errors, cross_site) = (mistakes.to_compile_errors(), options.cross_site.is_some());
    let Cookie { name, path, seconds, krate } = &cookie;
    let (ident, (parameters, arguments, bounds)) = (&input.ident, input.generics.split_for_impl());
    quote! {
        #errors

        #[automatically_derived]
        impl #parameters #krate::TicketData for #ident #arguments #bounds {
            const NAME: &'static #krate::__private::str = #name;
            const PATH: &'static #krate::__private::str = #path;
            const LIFETIME: #krate::__private::Duration = #krate::__private::Duration::from_secs(#seconds);
            const CROSS_SITE: #krate::__private::bool = #cross_site;
        }
    }
}

/// The checked options. After a mistake, they have a value that compiles.
struct Cookie {
    name: String,
    path: String,
    seconds: u64,
    krate: Path,
}

impl Cookie {
    fn new(input: &DeriveInput, options: &TicketOptions, mistakes: &mut Mistakes) -> Self {
        Self {
            name: name(input, options.name.as_ref(), mistakes),
            path: options.path.as_ref().map_or_else(|| "/".to_owned(), |path| cookie_path(path, mistakes)),
            seconds: options
                .lifetime
                .as_ref()
                .map_or(Some(TEN_MINUTES), |it| duration(it, "lifetime", mistakes))
                .unwrap_or(1),
            krate: path_of(options.krate.as_ref(), mistakes),
        }
    }
}

fn name(input: &DeriveInput, literal: Option<&LitStr>, mistakes: &mut Mistakes) -> String {
    let Some(literal) = literal else {
        mistakes.add(&input.ident, "a ticket needs a name for its cookie: add `#[ticket(name = \"..\")]`");
        return String::new();
    };
    let name = literal.value();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if name.is_empty() || name.starts_with("__") || !is_plain {
        mistakes.add(
            literal,
            "`name` needs letters, digits, `-` and `_`, like \"oauth\"; the prefix `__Host-` or `__Secure-` is added",
        );
    }
    name
}

fn cookie_path(literal: &LitStr, mistakes: &mut Mistakes) -> String {
    let path = literal.value();
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') {
        mistakes.add(literal, "`path` needs a path like \"/callback\", in visible ASCII without `;`");
    }
    path
}

const TEN_MINUTES: u64 = 10 * 60;
