//! The derive macros: the text of a struct, or a struct that the bytes choose from parts.

#![no_main]

#[path = "../../session-macros/src/ast.rs"]
mod ast;
#[path = "../../session-macros/src/attr.rs"]
mod attr;
#[path = "../../session-macros/src/expand.rs"]
mod expand;
#[path = "../../session-macros/src/fallback.rs"]
mod fallback;
#[path = "../../session-macros/src/ticket.rs"]
mod ticket;
#[path = "../../session-macros/src/valid.rs"]
mod valid;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let text = if choice % 2 == 0 { String::from_utf8_lossy(rest).into_owned() } else { structure(rest) };
    let Ok(input) = syn::parse_str::<syn::DeriveInput>(&text) else { return };
    let mut mistakes = fallback::Mistakes::default();
    let data = valid::understand(&input, &mut mistakes);
    let output = if mistakes.is_empty() { expand::expand(&data) } else { fallback::fallback(&data, &mistakes) };
    for output in [output, ticket::derive(&input)] {
        assert!(syn::parse2::<syn::File>(output).is_ok(), "the macro writes what is no Rust: {text}");
    }
});

/// Returns a struct. Each byte chooses one part.
fn structure(data: &[u8]) -> String {
    let mut bytes = data.iter().copied();
    let mut choose =
        |parts: &'static [&'static str]| parts[usize::from(bytes.next().unwrap_or_default()) % parts.len()];
    let mut text = String::new();
    for _ in 0..3 {
        text += choose(STRUCT_ATTRIBUTES);
    }
    text += choose(&[
        "struct A {",
        "pub(crate) struct r#type<T> {",
        "struct A<'a, T: Clone, const N: usize> where T: Copy {",
    ]);
    while choose(&["more", "more", "more", ""]) == "more" && text.len() < 2_000 {
        text += choose(FIELD_ATTRIBUTES);
        text += choose(FIELD_ATTRIBUTES);
        text += choose(&["name", "r#type", "pub r#match", "a1", "id", "_x"]);
        text += ": ";
        text += choose(&[
            "u8",
            "Option<String>",
            "Vec<T>",
            "[u8; N]",
            "&'a str",
            "std::option::Option<Option<()>>",
            "Inner",
        ]);
        text += ", ";
    }
    text + "}"
}

const STRUCT_ATTRIBUTES: &[&str] = &[
    "",
    "#[session(prefix = \"cart.\")]",
    "#[session(rename_all = \"camelCase\")]",
    "#[session(rename_all = \"SCREAMING-KEBAB-CASE\")]",
    "#[session(redirect = \"/login\", return_to)]",
    "#[session(redirect)]",
    "#[session(cookie = \"admin\", message = \"Log in\")]",
    "#[session(confirmed_within = \"10m\")]",
    "#[session(confirmed_within = \"99999999999999999999d\")]",
    "#[session(crate = \"a::b\")]",
    "#[session(crate = \"\")]",
    "#[session(unknown, prefix = 5, prefix)]",
    "#[session]",
    "#[session = \"x\"]",
    "#[ticket(name = \"oauth\", path = \"/callback\", lifetime = \"10m\", cross_site)]",
    "#[ticket(lifetime = \"0s\", path = \"\")]",
];

const FIELD_ATTRIBUTES: &[&str] = &[
    "",
    "#[session(default)]",
    "#[session(default = \"f\")]",
    "#[session(default = 5 + 5)]",
    "#[session(default = )]",
    "#[session(rename = \"n\")]",
    "#[session(rename = \"$n\")]",
    "#[session(alias = \"a\", alias = \"b\", alias = \"name\")]",
    "#[session(skip)]",
    "#[session(skip, flatten)]",
    "#[session(flatten)]",
    "#[session(flatten, default, rename = \"x\")]",
    "#[cfg(test)]",
    "#[session(,)]",
];
