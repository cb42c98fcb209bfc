//! The events: those of the sources are on the page, and those of the page are in the sources.

use std::{collections::BTreeMap, fs};

use proc_macro2::{TokenStream, TokenTree};

use crate::{
    support::events::{Documented, documented},
    troubleshooting::sources_of,
};

/// An event in the sources: its target, and what the page says of it.
type Found = BTreeMap<String, (String, Documented)>;

fn found() -> Found {
    let mut found = Found::new();
    for krate in ["session-axum", "session-core", "session-stores"] {
        for file in sources_of(krate) {
            let tokens: TokenStream = fs::read_to_string(&file).unwrap().parse().unwrap();
            read(tokens, &mut found);
        }
    }
    found
}

/// Reads each `tracing::warn!(..)` and the like.
fn read(tokens: TokenStream, found: &mut Found) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let before: Vec<_> = tokens[..at].iter().rev().take(5).map(ToString::to_string).collect();
        match before.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["!", level, ":", ":", "tracing"] => {
                let (name, target, fields) = parts(group.stream());
                let event = Documented { level: level.to_uppercase(), fields };
                assert!(found.insert(name.clone(), (target, event)).is_none(), "{name} is used twice");
            }
            _ => read(group.stream(), found),
        }
    }
}

/// Returns the name, the target and the fields of an event.
fn parts(arguments: TokenStream) -> (String, String, Vec<String>) {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let mut parts = arguments.split(|token| token.to_string() == ",");
    let text = |part: Option<&[TokenTree]>, key: &str| match part.unwrap_or_default() {
        [word, colon, text] if word.to_string() == key && colon.to_string() == ":" => {
            text.to_string().trim_matches('"').to_owned()
        }
        other => panic!("an event without a {key}: {other:?}"),
    };
    let (name, target) = (text(parts.next(), "name"), text(parts.next(), "target"));
    // The sentence is a literal, and a field is `word`, `%word` or `word = value`.
    let word = |part: &[TokenTree]| {
        part.iter().find_map(|token| matches!(token, TokenTree::Ident(_)).then(|| token.to_string()))
    };
    let fields = parts.take_while(|part| !matches!(part.first(), Some(TokenTree::Literal(_)))).filter_map(word);
    (name, target, fields.collect())
}

#[test]
fn each_event_has_a_name_a_target_and_a_row_on_the_page() {
    let found = found();
    let documented = documented();
    assert!(found.len() > 50, "{}", found.len());
    for (name, (target, event)) in &found {
        let area = name.split('.').next().unwrap();
        let krate = if ["compat", "memory", "redis"].contains(&area) { "session_stores" } else { "session_axum" };
        assert_eq!(*target, format!("{krate}::{area}"), "{name}");
        assert!(include_str!("../../../docs/observability.md").contains(&format!("`{target}`")), "{target}");
        assert_eq!(documented.get(name), Some(event), "{name}");
    }
    let unknown: Vec<_> = documented.keys().filter(|name| !found.contains_key(*name)).collect();
    assert_eq!(unknown, Vec::<&String>::new());
}
