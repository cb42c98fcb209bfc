//! Generates the impl for a struct without mistakes.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Generics, Ident, LitStr, WhereClause, parse_quote, spanned::Spanned};

use crate::ast::{Data, Default, Field, Key, Role};

pub(crate) fn expand(data: &Data<'_>) -> TokenStream {
    let Data { generics, private, .. } = data;
    let (parameters, arguments, _) = generics.split_for_impl();
    let (ident, bounds) = (named(data.ident), bounds(data));
    let (keys, guard, read, write) = (keys(data), guard(data), read(data), write(data));
    let assertions = assertions(data);
    quote! {
        #[automatically_derived]
        impl #parameters #private::SessionData for #ident #arguments #bounds {
            #keys
            #guard
            #read
            #write
        }
        #assertions
    }
}

fn keys(Data { private, fields, .. }: &Data<'_>) -> TokenStream {
    let keys = fields.iter().filter_map(|field| match &field.role {
        Role::Keyed(key, _) => Some(key),
        Role::Flattened | Role::Skipped(_) => None,
    });
    let (names, aliases) = (keys.clone().map(|key| &key.name), keys.flat_map(|key| &key.aliases));
    let all = names.chain(aliases);
    quote!(const KEYS: &'static [&'static #private::str] = &[#(#all),*];)
}

fn guard(data: &Data<'_>) -> TokenStream {
    let Data { private, cookie, redirect, returns, message, .. } = data;
    let confirmed_within = confirmed_within(data);
    let text = |name: TokenStream, text: &Option<LitStr>| {
        let text = text.as_ref()?;
        Some(quote!(const #name: #private::Option<&'static #private::str> = #private::Some(#text);))
    };
    let (redirect, message) = (text(quote!(REDIRECT), redirect), text(quote!(MESSAGE), message));
    let cookie = text(quote!(COOKIE), cookie);
    let returns = returns.then(|| quote!(const RETURN_TO: #private::bool = true;));
    quote!(#cookie #redirect #returns #message #confirmed_within)
}

/// Returns the constant for the shortest time of this struct and of the structs that it flattens.
fn confirmed_within(Data { private, confirmed_within, fields, .. }: &Data<'_>) -> Option<TokenStream> {
    let own = confirmed_within.map(|seconds| quote!(#private::Some(#private::Duration::from_secs(#seconds))));
    let flattened = fields.iter().filter(|field| matches!(field.role, Role::Flattened));
    let flattened = flattened.map(|Field { ty, .. }| quote!(<#ty as #private::SessionData>::CONFIRMED_WITHIN));
    let times: Vec<_> = own.into_iter().chain(flattened).collect();
    (!times.is_empty()).then(|| {
        quote! {
            const CONFIRMED_WITHIN: #private::Option<#private::Duration> = #private::shortest(&[#(#times),*]);
        }
    })
}

fn read(Data { private, fields, .. }: &Data<'_>) -> TokenStream {
    let reader = argument(fields);
    let values = fields.iter().map(|field| {
        let (ident, value) = (named(field.ident), value(private, field, &reader));
        quote!(#ident: #value)
    });
    quote! {
        fn read(#reader: &#private::Reader<'_>) -> #private::Result<Self, #private::MissingField> {
            #private::Ok(Self { #(#values),* })
        }
    }
}

fn value(private: &TokenStream, Field { ty, role, .. }: &Field<'_>, reader: &TokenStream) -> TokenStream {
    let trait_default = quote!(<#ty as #private::Default>::default());
    match role {
        Role::Flattened => quote!(<#ty as #private::SessionData>::read(#reader)?),
        Role::Skipped(Default::OfType) => trait_default,
        Role::Skipped(Default::Written(value)) => quote!(#value),
        Role::Keyed(Key { name, aliases }, default) => {
            let arguments = quote!(#reader, #name, &[#(#aliases),*]);
            let default = match default {
                None => return quote!(<#ty as #private::SessionField>::required(#arguments)?),
                Some(Default::OfType) => trait_default,
                Some(Default::Written(value)) => value.to_token_stream(),
            };
            quote!(<#ty as #private::SessionField>::or_else(#arguments, || #default))
        }
    }
}

fn write(Data { private, fields, .. }: &Data<'_>) -> TokenStream {
    let writer = argument(fields);
    let statements = fields.iter().filter_map(|Field { ident, role, .. }| {
        let ident = named(ident);
        // `read` asks for the type's traits already, and asking twice would be two errors: see `Written`.
        match role {
            Role::Keyed(Key { name, aliases }, _) => Some(quote! {
                #private::Written(&self.#ident).field(#writer, #name, &[#(#aliases),*]);
            }),
            Role::Flattened => Some(quote!(#private::Written(&self.#ident).fields(#writer);)),
            Role::Skipped(_) => None,
        }
    });
    quote! {
        fn write(&self, #writer: &mut #private::Writer) {
            #(#statements)*
        }
    }
}

/// Returns the name of the methods' argument. Hygiene hides it from the user's expressions. The underscores keep it
/// apart from the user's constants and statics: an argument with the name of a constant would be a pattern.
fn argument(fields: &[Field<'_>]) -> TokenStream {
    let used = fields.iter().any(|field| !matches!(field.role, Role::Skipped(_)));
    if used { Ident::new("__fields", Span::mixed_site()).into_token_stream() } else { quote!(_) }
}

/// Returns the name with the derive's own span. With the user's span, the compiler would warn about a deprecated field
/// at the field's definition.
fn named(ident: &Ident) -> Ident {
    let mut named = ident.clone();
    named.set_span(ident.span().resolved_at(Span::call_site()));
    named
}

/// Returns the struct's own bounds, and a bound for each field with a type parameter in its type. The bound is on
/// the whole type, such as `Vec<T>`, so that no parameter needs more than the fields do.
fn bounds(Data { generics, private, fields, .. }: &Data<'_>) -> Option<WhereClause> {
    let mut bounded = (*generics).clone();
    for Field { ty, role, .. } in fields.iter().filter(|field| mentions_parameter(field, generics)) {
        let predicates = &mut bounded.make_where_clause().predicates;
        match role {
            Role::Keyed(..) => predicates.push(parse_quote!(#ty: #private::SessionField)),
            Role::Flattened => predicates.push(parse_quote!(#ty: #private::SessionData)),
            Role::Skipped(_) => {}
        }
        if let Role::Keyed(_, Some(Default::OfType)) | Role::Skipped(Default::OfType) = role {
            predicates.push(parse_quote!(#ty: #private::Default));
        }
    }
    bounded.where_clause
}

fn mentions_parameter(field: &Field<'_>, generics: &Generics) -> bool {
    fn mentions(tokens: TokenStream, generics: &Generics) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => {
                generics.type_params().any(|parameter| parameter.ident == ident)
                    || generics.const_params().any(|parameter| parameter.ident == ident)
            }
            TokenTree::Group(group) => mentions(group.stream(), generics),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    mentions(field.ty.to_token_stream(), generics)
}

/// Returns assertions that flattened structs share no key with the outer struct or with each other, and have the same
/// session. The derive does not see the keys of flattened structs, so the compiler compares the keys in a constant.
/// That works only for structs without parameters.
fn assertions(Data { ident, generics, private, fields, .. }: &Data<'_>) -> TokenStream {
    let mut assertions = TokenStream::new();
    let own = named(ident);
    let mut others = vec![quote!(<#own as #private::SessionData>::KEYS)];
    let flattened = fields.iter().filter(|field| matches!(field.role, Role::Flattened));
    for Field { ty, .. } in flattened.take_while(|_| generics.params.is_empty()) {
        let keys = quote!(<#ty as #private::SessionData>::KEYS);
        let sentence = format!("`{}` and the rest of `{ident}` have a key in common", ty.to_token_stream());
        let no_key_twice = quote_spanned!(ty.span()=> no_key_twice(#keys, &[#(#others),*], #sentence));
        let cookie = |ty: &dyn ToTokens| quote!(<#ty as #private::SessionData>::COOKIE);
        let (inner, outer) = (cookie(ty), cookie(&own));
        let sentence = format!("`{}` is in another session: give `{ident}` the same `cookie`", ty.to_token_stream());
        let same_session = quote_spanned!(ty.span()=> same_session(#inner, #outer, #sentence));
        let private = placed(private, ty.span());
        assertions.extend(quote!(const _: () = #private::#no_key_twice; const _: () = #private::#same_session;));
        others.push(keys);
    }
    assertions
}

/// Returns the path with another span. The compiler shows a failed assertion at the span where its call begins.
fn placed(path: &TokenStream, span: Span) -> TokenStream {
    let place = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    path.clone().into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use syn::DeriveInput;

    use super::*;
    use crate::{fallback::Mistakes, valid::understand};

    /// Checks that the generated code requires the trait only once for each field. Each requirement would be one more
    /// compile error for a type without the trait.
    #[test]
    fn the_type_of_a_field_is_asked_for_its_trait_once() {
        let input: DeriveInput = parse_quote! {
            struct Visitor {
                name: String,
                #[session(default)]
                visits: u32,
            }
        };
        let code = expand(&understand(&input, &mut Mistakes::default())).to_string();
        assert_eq!(code.matches("SessionField").count(), 2, "{code}");
    }
}
