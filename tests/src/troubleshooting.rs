//! docs/troubleshooting.md has every sentence that these crates log, return as an error or answer with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

const PAGE: &str = include_str!("../../docs/troubleshooting.md");

/// Files with other texts: the testing kits, the statements of SQL, examples, and the descriptions of the counters, which
/// are in docs/observability.md.
const OTHERS: [&str; 8] = [
    "/testing",
    "/conformance",
    "/statements.rs",
    "/contract/example.rs",
    "/vectors.rs",
    "/reference.rs",
    "/tests.rs",
    "/observe/count.rs",
];

#[test]
fn each_sentence_of_the_sources_is_on_the_page() {
    let sentences = sentences();
    // The search itself works: it finds a log line, an error, a part of an error, and a sentence for visitors.
    for known in [
        "a session could not be read, changed or saved",
        "the key `…` begins with `$`, which is reserved: choose another key",
        "its memory is full",
        "Something went wrong with your session. Please try again.",
    ] {
        assert!(sentences.iter().any(|(_, sentence)| sentence == known), "{known}");
    }
    let page = PAGE.replace("\\|", "|");
    let missing: Vec<_> = sentences.iter().filter(|(_, sentence)| !page.contains(sentence.as_str())).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A row whose sentence has gone from the sources helps no reader.
#[test]
fn each_sentence_of_the_page_is_in_the_sources() {
    let sentences = sentences();
    let page = PAGE.replace("\\|", "|");
    let tables = page.split_once("\n## ").unwrap().1;
    let rows = tables.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| message"));
    let cells = rows.map(|row| row.trim_start_matches("| ").split(" | ").next().unwrap());
    let unknown: Vec<_> =
        cells.filter(|cell| !sentences.iter().any(|(_, sentence)| cell.contains(sentence.as_str()))).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
}

/// Returns the sentences of the sources with their files. `…` stands for what is filled in.
fn sentences() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files: Vec<PathBuf> = Vec::new();
    for krate in ["session-axum", "session-core", "session-stores"] {
        files.extend(sources_of(krate));
    }
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        if OTHERS.iter().any(|other| name.contains(other)) {
            continue;
        }
        let tokens: TokenStream = fs::read_to_string(&file).unwrap().parse().unwrap();
        let mut texts = Vec::new();
        read(tokens, &mut texts);
        found.extend(texts.into_iter().map(|text| (name.clone(), text)));
    }
    found
}

/// Returns the source files of a crate.
pub(crate) fn sources_of(krate: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(krate).join("src"), &mut files);
    files.sort();
    files
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Reads the sentences of some Rust code. Attributes, unit tests and what a panic of ours would say are left out.
fn read(tokens: TokenStream, texts: &mut Vec<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // `#[..]` or `#![..]`
                at += tokens[at..].iter().position(|token| matches!(token, TokenTree::Group(_))).unwrap_or(0);
                if tokens[at].to_string().replace(' ', "") == "[cfg(test)]" {
                    // The item that follows, up to its body or its end.
                    at += tokens[at + 1..].iter().position(ends_an_item).map_or(0, |length| length + 1);
                }
            }
            TokenTree::Ident(word)
                if ["assert", "debug_assert", "expect", "panic", "unreachable"].iter().any(|own| word == own) =>
            {
                let arguments = tokens[at + 1..].iter().position(|token| matches!(token, TokenTree::Group(_)));
                at += arguments.map_or(0, |length| length + 1);
            }
            TokenTree::Group(group) => read(group.stream(), texts),
            TokenTree::Literal(literal) => texts.extend(sentence(&literal.to_string())),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
        at += 1;
    }
}

fn ends_an_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    }
}

/// Returns the text of a literal if it is a sentence: three spaces at least, and neither SQL nor JSON.
fn sentence(literal: &str) -> Option<String> {
    let text = syn::parse_str::<syn::LitStr>(literal).ok()?.value();
    let text = text.trim().trim_start_matches([',', '.', ':', ';', ' ']).trim_end_matches([':', ' ']);
    let statements = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "ALTER ", "SET ", "PRAGMA ", " NULL"];
    let is_statement = statements.iter().any(|word| text.contains(word));
    if is_statement || text.matches(' ').count() < 3 || text.len() < 15 || text.starts_with(['[', '<']) {
        return None;
    }
    // `{name}`, `{}` and `{name:?}` become `…`.
    let mut parts = text.split('{');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        if !name.chars().all(|letter| letter.is_alphanumeric() || "_:?#.".contains(letter)) {
            return None;
        }
        shown += "…";
        shown += rest;
    }
    Some(shown)
}
