//! A page of `docs` as a page of the documentation of `session-axum`, with its links to other pages.

use std::{env, fs, path::Path};

use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

/// Expands to the text of the page with this file name.
pub(crate) fn expand(file: &LitStr) -> Result<TokenStream, syn::Error> {
    let package = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let path = Path::new(&package).join("docs").join(file.value());
    let page = fs::read_to_string(&path)
        .map_err(|error| syn::Error::new(file.span(), format!("{} cannot be read: {error}", path.display())))?;
    let text = with_links(&page);
    Ok(quote!(#text))
}

/// Makes links between pages links between modules, which rustdoc checks. A link to a file that is not a page, such as
/// an example, keeps only its text, and a picture is left out: these files are not on docs.rs.
fn with_links(page: &str) -> String {
    let blocks: Vec<_> = page.split("```").enumerate().collect();
    let outside = |(number, block): &(usize, &str)| if number % 2 == 0 { links(block) } else { (*block).to_owned() };
    blocks.iter().map(outside).collect::<Vec<_>>().join("```")
}

/// Replaces the links of a text without code blocks.
fn links(text: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link, after)) = next_link(rest) {
        replaced.push_str(before);
        replaced.push_str(&link.replaced());
        rest = after;
    }
    replaced + rest
}

/// The text before the next link, the link, and the text after it.
fn next_link(text: &str) -> Option<(&str, Link<'_>, &str)> {
    let middle = text.find("](")?;
    let begin = text[..middle].rfind('[')?;
    let (target, after) = text[middle + 2..].split_once(')')?;
    let link = Link { text: &text[begin + 1..middle], target, is_picture: text[..begin].ends_with('!') };
    Some((text[..begin].trim_end_matches('!'), link, after))
}

struct Link<'a> {
    text: &'a str,
    target: &'a str,
    is_picture: bool,
}

impl Link<'_> {
    fn replaced(&self) -> String {
        let Self { text, target, is_picture } = self;
        if *is_picture {
            return String::new();
        }
        if target.starts_with("https://") || target.starts_with('#') {
            return format!("[{text}]({target})");
        }
        let (file, anchor) = target.split_once('#').map_or((*target, ""), |(file, _)| (file, &target[file.len()..]));
        match file.strip_suffix(".md") {
            Some(page) if !page.contains('/') && page != "releasing" => {
                format!("[{text}](crate::guides::{}{anchor})", page.replace('-', "_"))
            }
            _ if text.contains('`') => (*text).to_owned(),
            _ => format!("`{text}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_link_modules_and_files_are_named() {
        let page = "See [security.md](security.md#what-the-application-must-do), [from Play](from-play.md),\n\
                    [examples/users.rs](../examples/users.rs), [rules](releasing.md), [above](#links) and\n\
                    [axum](https://docs.rs/axum).\n![A form](pictures/form.png)\n\
                    ```rust\nlet link = \"[a](b.md)\";\n```\n[forms](forms.md)\n";
        let expected = "See [security.md](crate::guides::security#what-the-application-must-do), \
                        [from Play](crate::guides::from_play),\n`examples/users.rs`, `rules`, [above](#links) and\n\
                        [axum](https://docs.rs/axum).\n\n```rust\nlet link = \"[a](b.md)\";\n```\n\
                        [forms](crate::guides::forms)\n";
        assert_eq!(with_links(page), expected);
    }

    #[test]
    fn a_text_without_links_stays() {
        for text in ["", "plain", "a [b] (c)", "array[0](x", "](", "]( )"] {
            assert_eq!(with_links(text), text);
        }
    }
}
