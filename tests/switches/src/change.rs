//! A change of the sources, as `cargo mutants --list --json` describes it.

use serde::Deserialize;

/// A change.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Change {
    /// The place and the description in one line.
    pub(crate) name: String,
    pub(crate) file: String,
    /// The function that it is in. A change of a constant is in none.
    pub(crate) function: Option<Function>,
    /// What is replaced.
    pub(crate) span: Span,
    pub(crate) replacement: String,
    genre: String,
}

impl Change {
    /// Whether the whole body of the function is replaced.
    pub(crate) fn is_of_a_body(&self) -> bool {
        self.genre == "FnValue"
    }

    /// Whether a comma behind what is replaced goes, too.
    pub(crate) fn takes_a_comma(&self) -> bool {
        matches!(&*self.genre, "StructField" | "MatchArm")
    }
}

/// A function.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Function {
    /// The name, with its type or module before it.
    pub(crate) function_name: String,
    pub(crate) span: Span,
}

/// A piece of a source file.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: Place,
    pub(crate) end: Place,
}

/// A line and a column, both from 1. A column is a character.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[cfg(test)]
impl Change {
    /// A change of `what` in the body of the function that begins with `function`.
    pub(crate) fn example(source: &str, function: &str, genre: &str, what: &str, replacement: &str) -> Self {
        let start = source.find(function).unwrap();
        let end = start + source[start..].find("\n}\n").unwrap() + 2;
        let body = start + source[start..].find('{').unwrap();
        let at = body + source[body..].find(what).unwrap();
        let name = function.split(['(', '<']).next().unwrap().rsplit(' ').next().unwrap();
        Self {
            name: format!("replace {what} with {replacement}"),
            file: "lib.rs".to_owned(),
            function: Some(Function { function_name: name.to_owned(), span: span(source, start, end) }),
            span: span(source, at, at + what.len()),
            replacement: replacement.to_owned(),
            genre: genre.to_owned(),
        }
    }
}

#[cfg(test)]
fn span(source: &str, start: usize, end: usize) -> Span {
    let place = |at: usize| Place {
        line: source[..at].matches('\n').count() + 1,
        column: source[..at].chars().rev().take_while(|&char| char != '\n').count() + 1,
    };
    Span { start: place(start), end: place(end) }
}
