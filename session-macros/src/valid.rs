//! From what the user wrote to what it means, with every mistake noted on the way.

use std::collections::{HashMap, HashSet};

use quote::{ToTokens, quote};
use syn::{Data as Shape, DeriveInput, Fields, Ident, LitStr, Path, Type, TypeReference, ext::IdentExt};

use crate::{
    ast::{Case, Data, Default, Field, Key, Role},
    attr::{ContainerOptions, FieldOptions, Given},
    fallback::Mistakes,
};

pub(crate) fn understand<'a>(input: &'a DeriveInput, mistakes: &mut Mistakes) -> Data<'a> {
    let options = ContainerOptions::parse(&input.attrs, mistakes);
    refuse_lifetimes(input, mistakes);
    let naming = Naming::new(&options, mistakes);
    let redirect = options.redirect.inspect(|page| check_redirect(page, mistakes));
    let private = private(options.krate.as_ref(), mistakes);
    let mut fields = Vec::new();
    for field in named_fields(input, mistakes) {
        fields.extend(understand_field(field, &naming, mistakes));
    }
    refuse_equal_keys(&fields, mistakes);
    refuse_equal_structs(&fields, mistakes);
    Data { ident: &input.ident, generics: &input.generics, private, redirect, fields }
}

fn named_fields<'a>(input: &'a DeriveInput, mistakes: &mut Mistakes) -> Vec<&'a syn::Field> {
    let name = &input.ident;
    let sentence = match &input.data {
        Shape::Struct(data) => match &data.fields {
            Fields::Named(fields) => return fields.named.iter().collect(),
            Fields::Unnamed(_) => format!("`{name}` has fields without names, and their names are the session's keys"),
            Fields::Unit => format!("`{name}` has no braces: session data without fields is `struct {name} {{}}`"),
        },
        Shape::Enum(_) => format!("`{name}` is an enum: session data is a struct, and this can be one of its fields"),
        Shape::Union(_) => format!("`{name}` is a union: session data is a struct with named fields"),
    };
    mistakes.add(name, sentence);
    Vec::new()
}

fn refuse_lifetimes(input: &DeriveInput, mistakes: &mut Mistakes) {
    if let Some(lifetime) = input.generics.lifetimes().next() {
        mistakes.add(lifetime, "session data owns its values: `String` instead of `&str`, and no lifetime");
    }
}

/// A field without mistakes. One that has some takes no part in what follows, so that none of them is told twice.
fn understand_field<'a>(field: &'a syn::Field, naming: &Naming, mistakes: &mut Mistakes) -> Option<Field<'a>> {
    let before = mistakes.count();
    let ident = field.ident.as_ref()?;
    let options = FieldOptions::parse(&field.attrs, mistakes);
    refuse_contradictions(&options, mistakes);
    let role = role(ident, options, naming, mistakes);
    if let Role::Keyed(..) = role {
        refuse_reference(&field.ty, mistakes);
    }
    (mistakes.count() == before).then_some(Field { ident, ty: &field.ty, role })
}

fn role(ident: &Ident, options: FieldOptions, naming: &Naming, mistakes: &mut Mistakes) -> Role {
    let default = options.default.map(default_value);
    if options.flatten.is_some() {
        return Role::Flattened;
    }
    if options.skip.is_some() {
        return Role::Skipped(default.unwrap_or(Default::OfType));
    }
    let name = naming.name(ident, options.rename.map(|(_, name)| name), mistakes);
    let aliases: Vec<_> = options.aliases.into_iter().map(|(_, alias)| alias).collect();
    aliases.iter().for_each(|alias| check_key(&alias.value(), alias, mistakes));
    Role::Keyed(Key { name, aliases }, default)
}

/// The compiler itself asks for the lifetime of a reference without one.
fn refuse_reference(ty: &Type, mistakes: &mut Mistakes) {
    if let Type::Reference(TypeReference { lifetime: Some(lifetime), .. }) = ty
        && lifetime.ident == "static"
    {
        mistakes.add(ty, "a field owns its value: `String` instead of `&str`");
    }
}

fn default_value(given: Given) -> Default {
    given.value.map_or(Default::OfType, |value| Default::Written(Box::new(value)))
}

fn refuse_contradictions(options: &FieldOptions, mistakes: &mut Mistakes) {
    let rename = options.rename.as_ref().map(|(name, _)| name);
    let naming = rename.into_iter().chain(options.aliases.iter().map(|(name, _)| name));
    let default = options.default.as_ref().map(|given| &given.name);
    if options.flatten.is_some() {
        for name in naming.chain(default).chain(&options.skip) {
            mistakes.add(name, format!("`{name}` contradicts `flatten`: the struct inside says all about its keys"));
        }
    } else if options.skip.is_some() {
        for name in naming {
            mistakes.add(name, format!("`{name}` contradicts `skip`: a field outside the session has no key"));
        }
    }
}

/// How a field's key comes from its name.
struct Naming {
    prefix: String,
    case: Case,
}

impl Naming {
    fn new(options: &ContainerOptions, mistakes: &mut Mistakes) -> Self {
        let prefix = options.prefix.as_ref().map(LitStr::value).unwrap_or_default();
        let Some(literal) = options.prefix.as_ref().filter(|_| is_reserved(&prefix)) else {
            return Self { prefix, case: case(options.rename_all.as_ref(), mistakes) };
        };
        mistakes.add(literal, reserved("a prefix"));
        Self { prefix: String::new(), case: case(options.rename_all.as_ref(), mistakes) }
    }

    fn name(&self, ident: &Ident, rename: Option<LitStr>, mistakes: &mut Mistakes) -> LitStr {
        let literal = rename.unwrap_or_else(|| LitStr::new(&self.case.apply(&ident.unraw().to_string()), ident.span()));
        let name = literal.value();
        let key = format!("{}{name}", self.prefix);
        check_key(if name.is_empty() { &name } else { &key }, &literal, mistakes);
        LitStr::new(&key, literal.span())
    }
}

fn case(literal: Option<&LitStr>, mistakes: &mut Mistakes) -> Case {
    let Some(literal) = literal else { return Case::AsWritten };
    Case::of_name(&literal.value()).unwrap_or_else(|| {
        mistakes.add(literal, unknown("case", &literal.value(), "`rename_all`", &Case::NAMES));
        Case::AsWritten
    })
}

fn check_key(key: &str, at: &LitStr, mistakes: &mut Mistakes) {
    if key.is_empty() {
        mistakes.add(at, "a key needs at least one character");
    } else if is_reserved(key) {
        mistakes.add(at, reserved("a key"));
    }
}

fn is_reserved(key: &str) -> bool {
    key.starts_with('$')
}

fn reserved(what: &str) -> String {
    format!("{what} cannot begin with `$`: the session keeps such keys for itself")
}

fn refuse_equal_keys(fields: &[Field<'_>], mistakes: &mut Mistakes) {
    let mut owners: HashMap<String, &Ident> = HashMap::new();
    for field in fields {
        let Role::Keyed(key, _) = &field.role else { continue };
        for name in std::iter::once(&key.name).chain(&key.aliases) {
            if let Some(owner) = owners.insert(name.value(), field.ident) {
                mistakes.add(name, format!("the field `{owner}` has the key `{}` already", name.value()));
            }
        }
    }
}

fn refuse_equal_structs(fields: &[Field<'_>], mistakes: &mut Mistakes) {
    let mut seen = HashSet::new();
    for field in fields.iter().filter(|field| matches!(field.role, Role::Flattened)) {
        let ty = field.ty.to_token_stream().to_string();
        if !seen.insert(ty.clone()) {
            mistakes.add(field.ty, format!("`{ty}` is flattened twice: both would have the same keys"));
        }
    }
}

fn check_redirect(page: &LitStr, mistakes: &mut Mistakes) {
    let text = page.value();
    let target = ["http://", "https://", "/"].iter().find_map(|start| text.strip_prefix(start));
    if target.is_none_or(|rest| rest.starts_with('/') || (rest.is_empty() && text != "/")) {
        mistakes.add(page, "`redirect` is a path like \"/login\", or a URL that begins with `https://` or `http://`");
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        mistakes.add(page, "`redirect` goes into a header: write spaces and what is not ASCII as `%20` and the like");
    }
}

fn private(krate: Option<&LitStr>, mistakes: &mut Mistakes) -> proc_macro2::TokenStream {
    let default = quote!(::session_axum::__private);
    let Some(literal) = krate else { return default };
    literal.parse_with(Path::parse_mod_style).map_or_else(
        |_| {
            mistakes.add(literal, "`crate` is the path of session-axum, like \"::my_framework::session\"");
            default
        },
        |path| quote!(#path::__private),
    )
}

/// Says that a name is none of those known, and which of them was meant.
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

/// How many letters to insert, remove or replace, whatever their case.
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
