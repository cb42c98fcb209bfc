//! Checks the user's struct and its options, notes every mistake, and builds the data that `expand` needs.

use std::collections::{HashMap, HashSet};

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Data as Shape, DeriveInput, Fields, Ident, LitStr, Path, Type, TypeReference, ext::IdentExt, parse_quote};

use crate::{
    ast::{Case, Data, Default, Field, Key, Role},
    attr::{ContainerOptions, FieldOptions, Given},
    fallback::{Mistakes, unknown},
};

pub(crate) fn understand<'a>(input: &'a DeriveInput, mistakes: &mut Mistakes) -> Data<'a> {
    let options = ContainerOptions::parse(&input.attrs, mistakes);
    refuse_lifetimes(input, mistakes);
    let naming = Naming::new(&options, mistakes);
    refuse_nowhere_to_return(&options, mistakes);
    let (returns, confirmed_within) = (options.return_to.is_some(), options.confirmed_within);
    let confirmed_within = confirmed_within.and_then(|text| duration(&text, "confirmed_within", mistakes));
    let redirect = options.redirect.inspect(|page| check_redirect(page, mistakes));
    let private = private(options.krate.as_ref(), mistakes);
    let mut fields = Vec::new();
    for field in named_fields(input, mistakes) {
        fields.extend(understand_field(field, &naming, mistakes));
    }
    refuse_equal_keys(&fields, mistakes);
    refuse_equal_structs(&fields, mistakes);
    let (ident, generics, message) = (&input.ident, &input.generics, options.message);
    let cookie = options.cookie.inspect(|name| check_cookie(name, mistakes));
    Data { ident, generics, private, cookie, redirect, returns, message, confirmed_within, fields }
}

fn named_fields<'a>(input: &'a DeriveInput, mistakes: &mut Mistakes) -> Vec<&'a syn::Field> {
    let name = &input.ident;
    let sentence = match &input.data {
        Shape::Struct(data) => match &data.fields {
            Fields::Named(fields) => return fields.named.iter().collect(),
            Fields::Unnamed(_) => format!("`{name}` needs named fields: each name becomes a key of the session"),
            Fields::Unit => {
                format!("write `struct {name} {{}}`: session data is a struct with braces, even without fields")
            }
        },
        Shape::Enum(_) => {
            format!(
                "`{name}` is an enum, but session data must be a struct: use `{name}` as the type of one of its fields"
            )
        }
        Shape::Union(_) => format!("`{name}` is a union, but session data must be a struct with named fields"),
    };
    mistakes.add(name, sentence);
    Vec::new()
}

fn refuse_lifetimes(input: &DeriveInput, mistakes: &mut Mistakes) {
    if let Some(lifetime) = input.generics.lifetimes().next() {
        mistakes.add(lifetime, "session data cannot borrow: remove the lifetime, and use `String` instead of `&str`");
    }
}

/// Returns the field if it has no mistakes. A field with mistakes takes no part in later checks, because these would
/// report the mistakes again.
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

/// Notes a field with a `'static` reference as a mistake. The compiler itself reports a reference without a lifetime.
fn refuse_reference(ty: &Type, mistakes: &mut Mistakes) {
    if let Type::Reference(TypeReference { lifetime: Some(lifetime), .. }) = ty
        && lifetime.ident == "static"
    {
        mistakes.add(ty, "a field of session data cannot borrow: use `String` instead of `&str`");
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
            mistakes.add(
                name,
                format!("`{name}` cannot be combined with `flatten`: the flattened struct defines its own keys"),
            );
        }
    } else if options.skip.is_some() {
        for name in naming {
            mistakes.add(name, format!("`{name}` cannot be combined with `skip`: a skipped field has no key"));
        }
    }
}

/// The rules by which field names become keys.
struct Naming {
    prefix: String,
    case: Case,
}

impl Naming {
    fn new(options: &ContainerOptions, mistakes: &mut Mistakes) -> Self {
        Self {
            prefix: options.prefix.as_ref().map(|literal| prefix(literal, mistakes)).unwrap_or_default(),
            case: options.rename_all.as_ref().map_or(Case::AsWritten, |literal| case(literal, mistakes)),
        }
    }

    fn name(&self, ident: &Ident, rename: Option<LitStr>, mistakes: &mut Mistakes) -> LitStr {
        let literal = rename.unwrap_or_else(|| LitStr::new(&self.case.apply(&ident.unraw().to_string()), ident.span()));
        let name = literal.value();
        let key = format!("{}{name}", self.prefix);
        // A prefix would hide that the name itself is empty, which is always a mistake.
        check_key(if name.is_empty() { &name } else { &key }, &literal, mistakes);
        LitStr::new(&key, literal.span())
    }
}

fn prefix(literal: &LitStr, mistakes: &mut Mistakes) -> String {
    let prefix = literal.value();
    if is_reserved(&prefix) {
        mistakes.add(literal, reserved("a prefix"));
        return String::new();
    }
    prefix
}

fn case(literal: &LitStr, mistakes: &mut Mistakes) -> Case {
    Case::of_name(&literal.value()).unwrap_or_else(|| {
        mistakes.add(literal, unknown("case", &literal.value(), "`rename_all`", &Case::NAMES));
        Case::AsWritten
    })
}

fn check_key(key: &str, at: &LitStr, mistakes: &mut Mistakes) {
    if key.is_empty() {
        mistakes.add(at, "a key cannot be empty");
    } else if is_reserved(key) {
        mistakes.add(at, reserved("a key"));
    }
}

fn is_reserved(key: &str) -> bool {
    key.starts_with('$')
}

fn reserved(what: &str) -> String {
    format!("{what} cannot begin with `$`: such keys are reserved for the session itself")
}

fn refuse_equal_keys(fields: &[Field<'_>], mistakes: &mut Mistakes) {
    let mut owners: HashMap<String, &Ident> = HashMap::new();
    for field in fields {
        let Role::Keyed(key, _) = &field.role else { continue };
        for name in std::iter::once(&key.name).chain(&key.aliases) {
            if let Some(owner) = owners.insert(name.value(), field.ident) {
                mistakes.add(name, format!("the field `{owner}` already has the key `{}`", name.value()));
            }
        }
    }
}

fn refuse_equal_structs(fields: &[Field<'_>], mistakes: &mut Mistakes) {
    let mut seen = HashSet::new();
    for field in fields.iter().filter(|field| matches!(field.role, Role::Flattened)) {
        let ty = field.ty.to_token_stream().to_string();
        if !seen.insert(ty.clone()) {
            mistakes.add(field.ty, format!("`{ty}` is flattened twice: both fields would have the same keys"));
        }
    }
}

fn check_cookie(name: &LitStr, mistakes: &mut Mistakes) {
    let text = name.value();
    // The characters of a token (RFC 9110, section 5.6.2), as in the name of every cookie.
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        mistakes.add(name, "`cookie` needs the name of a session layer's cookie, like \"cart\"");
    }
}

fn check_redirect(page: &LitStr, mistakes: &mut Mistakes) {
    let text = page.value();
    let target = ["http://", "https://", "/"].iter().find_map(|start| text.strip_prefix(start));
    if target.is_none_or(|rest| rest.starts_with('/') || (rest.is_empty() && text != "/")) {
        mistakes
            .add(page, "`redirect` needs a path like \"/login\", or a URL that begins with `https://` or `http://`");
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        mistakes.add(
            page,
            "`redirect` is sent as a header: percent-encode spaces, control characters and non-ASCII, like `%20`",
        );
    }
}

fn refuse_nowhere_to_return(options: &ContainerOptions, mistakes: &mut Mistakes) {
    if let (Some(name), None) = (&options.return_to, &options.redirect) {
        mistakes.add(name, "`return_to` needs a page to redirect to: add `redirect = \"/login\"`");
    }
}

/// Returns a duration such as "10m" in seconds.
pub(crate) fn duration(literal: &LitStr, option: &str, mistakes: &mut Mistakes) -> Option<u64> {
    let seconds = seconds(&literal.value());
    if seconds.is_none() {
        let forms = "write a whole number and a unit, like \"90s\", \"10m\", \"1h\" or \"30d\"";
        mistakes.add(literal, format!("`{option}` needs a duration of a second or more: {forms}"));
    }
    seconds
}

fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|number| digits && *number > 0)?;
    number.checked_mul(unit)
}

fn private(krate: Option<&LitStr>, mistakes: &mut Mistakes) -> TokenStream {
    let path = path_of(krate, mistakes);
    quote!(#path::__private)
}

/// Returns the path of session-axum.
pub(crate) fn path_of(krate: Option<&LitStr>, mistakes: &mut Mistakes) -> Path {
    let default = parse_quote!(::session_axum);
    let Some(literal) = krate else { return default };
    literal.parse_with(Path::parse_mod_style).unwrap_or_else(|_| {
        mistakes.add(literal, "`crate` needs the path of session-axum, like \"::my_framework::session\"");
        default
    })
}
