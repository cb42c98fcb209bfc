//! Puts the changes of a source file behind switches.

use std::{collections::BTreeMap, ops::RangeInclusive};

use crate::change::{Change, Place};

/// The lines of a rewritten file that come from a change, and the number of the change.
pub(crate) type Lines = Vec<(RangeInclusive<usize>, usize)>;

/// What `session-axum` gets besides: the number of the change that runs, or 0.
pub(crate) const SWITCH: &str = "
pub(crate) mod switch {
    pub(crate) fn chosen() -> usize {
        static CHOSEN: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| std::env::var(\"SWITCH\").map_or(0, |number| number.parse().unwrap()))
    }
}
";

/// Returns the source with every change in it. A function with changes chooses its body at run time, so none of them
/// is constant any more.
///
/// # Errors
///
/// Returns the name of a change that is not inside the body of its function.
pub(crate) fn switched(source: &str, changes: &[(usize, &Change)]) -> Result<(String, Lines), String> {
    let mut functions: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (number, change) in changes {
        let function = change.function.as_ref().ok_or_else(|| change.name.clone())?;
        functions.entry(function.span).or_default().push((*number, *change));
    }
    let offsets = Offsets::of(source);
    let (mut text, mut lines, mut copied) = (String::new(), Lines::new(), 0);
    for (span, changes) in functions {
        let (start, end) = (offsets.at(span.start), offsets.at(span.end));
        let open = body_of(source, start, end, changes[0].1).ok_or_else(|| changes[0].1.name.clone())?;
        // Between the braces.
        let (from, to) = (open + 1, end - 1);
        text += &source[copied..from];
        text += " match crate::switch::chosen() {\n";
        for (number, change) in changes {
            let body = match (offsets.at(change.span.start), offsets.at(change.span.end)) {
                _ if change.is_of_a_body() => change.replacement.clone(),
                (a, b) if from <= a && b <= to => {
                    let mut rest = &source[b..to];
                    if change.takes_a_comma() {
                        rest = rest.trim_start().strip_prefix(',').unwrap_or(rest);
                    }
                    format!("{} {} {rest}", &source[from..a], change.replacement)
                }
                _ => return Err(change.name.clone()),
            };
            text += &format!("{number} => {{\n");
            let first = text.matches('\n').count() + 1;
            text += &body;
            text += "\n}\n";
            lines.push((first..=text.matches('\n').count(), number));
        }
        text += &format!("_ => {{{}}}\n}} }}", &source[from..to]);
        copied = end;
    }
    text += &source[copied..];
    Ok((text.replace("const fn ", "fn "), lines))
}

/// Returns where the body of the function begins: the brace after its name and its parameters.
fn body_of(source: &str, start: usize, end: usize, change: &Change) -> Option<usize> {
    let name = change.function.as_ref()?.function_name.rsplit("::").next()?;
    let at = start + source[start..end].find(&format!("fn {name}"))?;
    Some(at + source[at..end].find('{')?)
}

/// The offset of the first byte of each line.
struct Offsets<'a> {
    source: &'a str,
    lines: Vec<usize>,
}

impl<'a> Offsets<'a> {
    fn of(source: &'a str) -> Self {
        let lines = source.match_indices('\n').map(|(at, _)| at + 1);
        Self { source, lines: [0].into_iter().chain(lines).collect() }
    }

    fn at(&self, place: Place) -> usize {
        let line = self.lines[place.line - 1];
        let before: usize = self.source[line..].chars().take(place.column - 1).map(char::len_utf8).sum();
        line + before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
// Größer oder kleiner?
pub const fn is_more(a: u8, b: u8) -> bool {
    a > b
}
fn named(name: &str) -> Point {
    Point { name, x: 1 }
}
";

    #[test]
    fn each_change_is_an_arm_before_the_body_as_it_is() {
        let more = Change::example(SOURCE, "fn is_more", "BinaryOperator", ">", "<");
        let never = Change::example(SOURCE, "fn is_more", "FnValue", "a > b", "false");
        let (text, lines) = switched(SOURCE, &[(7, &more), (8, &never)]).unwrap();
        let expected = "\
// Größer oder kleiner?
pub fn is_more(a: u8, b: u8) -> bool { match crate::switch::chosen() {
7 => {

    a  <  b

}
8 => {
false
}
_ => {
    a > b
}
} }
fn named";
        assert!(text.starts_with(expected), "{text}");
        assert_eq!(lines, [(4..=7, 7), (9..=10, 8)]);
    }

    #[test]
    fn a_field_goes_with_its_comma() {
        let field = Change::example(SOURCE, "fn named", "StructField", "name", "");
        let (text, _) = switched(SOURCE, &[(1, &field)]).unwrap();
        assert!(text.contains("Point {    x: 1 }\n\n}\n_ => {"), "{text}");
    }

    #[test]
    fn a_change_outside_of_every_function_is_named() {
        let mut change = Change::example(SOURCE, "fn is_more", "BinaryOperator", "a > b", "");
        change.function = None;
        assert_eq!(switched(SOURCE, &[(1, &change)]), Err("replace a > b with ".to_owned()));
    }
}
