//! Parses `#[session(..)]` and `#[ticket(..)]` attributes into options. Each option keeps its span for error messages.

use quote::ToTokens;
use syn::{
    Attribute, Error, Expr, ExprLit, Ident, Lit, LitStr, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    token,
};

use crate::fallback::{Mistakes, unknown};

/// One option as the user wrote it: the name, and the expression after the `=`.
pub(crate) struct Given {
    pub(crate) name: Ident,
    pub(crate) value: Option<Expr>,
}

#[derive(Default)]
pub(crate) struct ContainerOptions {
    pub(crate) prefix: Option<LitStr>,
    pub(crate) rename_all: Option<LitStr>,
    pub(crate) cookie: Option<LitStr>,
    pub(crate) redirect: Option<LitStr>,
    pub(crate) return_to: Option<Ident>,
    pub(crate) message: Option<LitStr>,
    pub(crate) confirmed_within: Option<LitStr>,
    pub(crate) krate: Option<LitStr>,
}

#[derive(Default)]
pub(crate) struct TicketOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) path: Option<LitStr>,
    pub(crate) lifetime: Option<LitStr>,
    pub(crate) cross_site: Option<Ident>,
    pub(crate) krate: Option<LitStr>,
}

#[derive(Default)]
pub(crate) struct FieldOptions {
    pub(crate) rename: Option<(Ident, LitStr)>,
    pub(crate) aliases: Vec<(Ident, LitStr)>,
    pub(crate) default: Option<Given>,
    pub(crate) skip: Option<Ident>,
    pub(crate) flatten: Option<Ident>,
}

impl ContainerOptions {
    pub(crate) const NAMES: [&'static str; 8] =
        ["prefix", "rename_all", "cookie", "redirect", "return_to", "message", "confirmed_within", "crate"];

    pub(crate) fn parse(attributes: &[Attribute], mistakes: &mut Mistakes) -> Self {
        let mut options = Self::default();
        for given in given(attributes, Place::Struct, mistakes) {
            match given.name.to_string().as_str() {
                "prefix" => options.prefix = given.text(mistakes),
                "rename_all" => options.rename_all = given.text(mistakes),
                "cookie" => options.cookie = given.text(mistakes),
                "redirect" => options.redirect = given.text(mistakes),
                "return_to" => options.return_to = given.flag("session", mistakes),
                "message" => options.message = given.text(mistakes),
                "confirmed_within" => options.confirmed_within = given.text(mistakes),
                _ => options.krate = given.text(mistakes),
            }
        }
        options
    }
}

impl FieldOptions {
    pub(crate) const NAMES: [&'static str; 5] = ["rename", "alias", "default", "skip", "flatten"];

    pub(crate) fn parse(attributes: &[Attribute], mistakes: &mut Mistakes) -> Self {
        let mut options = Self::default();
        for given in given(attributes, Place::Field, mistakes) {
            match given.name.to_string().as_str() {
                "rename" => options.rename = given.text(mistakes).map(|text| (given.name, text)),
                "alias" => options.aliases.extend(given.text(mistakes).map(|text| (given.name, text))),
                "default" => options.default = Some(given),
                "skip" => options.skip = given.flag("session", mistakes),
                _ => options.flatten = given.flag("session", mistakes),
            }
        }
        options
    }
}

impl TicketOptions {
    pub(crate) const NAMES: [&'static str; 5] = ["name", "path", "lifetime", "cross_site", "crate"];

    pub(crate) fn parse(attributes: &[Attribute], mistakes: &mut Mistakes) -> Self {
        let mut options = Self::default();
        for given in given(attributes, Place::Ticket, mistakes) {
            match given.name.to_string().as_str() {
                "name" => options.name = given.text(mistakes),
                "path" => options.path = given.text(mistakes),
                "lifetime" => options.lifetime = given.text(mistakes),
                "cross_site" => options.cross_site = given.flag("ticket", mistakes),
                _ => options.krate = given.text(mistakes),
            }
        }
        options
    }
}

impl Given {
    fn text(&self, mistakes: &mut Mistakes) -> Option<LitStr> {
        let name = &self.name;
        match self.value.as_ref().map(ungrouped) {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => return Some(text.clone()),
            Some(other) => mistakes.add(other, format!("`{name}` needs a string: write `{name} = \"..\"`")),
            None => mistakes.add(name, format!("`{name}` needs a value: write `{name} = \"..\"`")),
        }
        None
    }

    fn flag(self, attribute: &str, mistakes: &mut Mistakes) -> Option<Ident> {
        match self.value {
            None => Some(self.name),
            Some(value) => {
                mistakes.add(value, format!("`{0}` takes no value: write `#[{attribute}({0})]`", self.name));
                None
            }
        }
    }
}

/// Removes the invisible group around a `$fragment` that a `macro_rules!` macro inserted.
fn ungrouped(value: &Expr) -> &Expr {
    match value {
        Expr::Group(group) => ungrouped(&group.expr),
        other => other,
    }
}

impl Parse for Given {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected the name of an option, as in `#[session(default)]`"));
        }
        let name = input.call(Ident::parse_any)?;
        if input.peek(token::Paren) {
            return Err(input.error(format!("write the value after an equals sign: `{name} = ..`")));
        }
        let Some(equals) = input.parse::<Option<Token![=]>>()? else { return Ok(Self { name, value: None }) };
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new_spanned(equals, format!("the value after `{name} =` is missing")));
        }
        Ok(Self { name, value: Some(input.parse()?) })
    }
}

#[derive(Clone, Copy)]
enum Place {
    Struct,
    Field,
    Ticket,
}

impl Place {
    fn known(self) -> &'static [&'static str] {
        match self {
            Self::Struct => &ContainerOptions::NAMES,
            Self::Field => &FieldOptions::NAMES,
            Self::Ticket => &TicketOptions::NAMES,
        }
    }

    /// Returns the name of the attribute.
    const fn attribute(self) -> &'static str {
        match self {
            Self::Struct | Self::Field => "session",
            Self::Ticket => "ticket",
        }
    }

    fn knows(self, name: &Ident) -> bool {
        self.known().iter().any(|known| name == known)
    }

    fn why_not(self, name: &Ident) -> String {
        match self {
            Self::Struct if Self::Field.knows(name) => format!("`{name}` belongs on a field, not on the struct"),
            Self::Field if Self::Struct.knows(name) => format!("`{name}` belongs on the struct, not on a field"),
            Self::Struct => unknown("option", &name.to_string(), "a struct", self.known()),
            Self::Field => unknown("option", &name.to_string(), "a field", self.known()),
            Self::Ticket => unknown("option", &name.to_string(), "a ticket", self.known()),
        }
    }
}

/// Returns the options of all attributes of the place. Notes options that are unknown, in the wrong place, or given
/// twice; only `alias` may be repeated.
fn given(attributes: &[Attribute], place: Place, mistakes: &mut Mistakes) -> Vec<Given> {
    let mut accepted: Vec<Given> = Vec::new();
    for option in attributes.iter().filter(|attribute| attribute.path().is_ident(place.attribute())) {
        for given in list(option, place.attribute(), mistakes) {
            if !place.knows(&given.name) {
                mistakes.add(&given.name, place.why_not(&given.name));
            } else if given.name != "alias" && accepted.iter().any(|earlier| earlier.name == given.name) {
                mistakes.add(&given.name, format!("`{}` is given twice", given.name));
            } else {
                accepted.push(given);
            }
        }
    }
    accepted
}

fn list(attribute: &Attribute, name: &str, mistakes: &mut Mistakes) -> Vec<Given> {
    let Ok(list) = attribute.meta.require_list() else {
        mistakes.add(attribute.meta.to_token_stream(), format!("write the options in parentheses: `#[{name}(..)]`"));
        return Vec::new();
    };
    match list.parse_args_with(Punctuated::<Given, Token![,]>::parse_terminated) {
        Ok(given) => given.into_iter().collect(),
        Err(error) => {
            mistakes.push(error);
            Vec::new()
        }
    }
}
