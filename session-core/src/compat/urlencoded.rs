//! Texts in the encoding of HTML forms: `+` for a space, and `%` with two hexadecimal digits for other bytes.

/// Decodes a text. Returns `None` if a `%` is not followed by two digits, and if the text is not UTF-8.
///
/// Go's `url.QueryUnescape` and Java's `URLDecoder` accept the same texts, and more: they return what is not UTF-8 too.
pub(super) fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, others @ ..] = rest {
        rest = others;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let ([high, low], others) = rest.split_first_chunk()?;
                rest = others;
                digit(*high)? << 4 | digit(*low)?
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Decodes pairs such as `a=1&b=2`. As in Play, a part without `=` is skipped. Returns `None` if a part cannot be
/// decoded, or if there are more than `most` pairs.
pub(super) fn pairs(text: &[u8], most: usize) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for pair in text.split(|byte| *byte == b'&') {
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        if pairs.len() == most {
            return None;
        }
        pairs.push((decoded(&pair[..equals])?, decoded(&pair[equals + 1..])?));
    }
    Some(pairs)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plus_and_percent_are_decoded() {
        for (text, expected) in [
            ("", Some("")),
            ("a+b%2Bc", Some("a b+c")),
            ("%C3%ab", Some("ë")),
            ("%00", Some("\0")),
            ("~*'()\"é", Some("~*'()\"é")),
            ("%", None),
            ("%4", None),
            ("%4x", None),
            ("%+1", None),
            ("%ff", None),
        ] {
            assert_eq!(decoded(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn pairs_are_split_before_they_are_decoded() {
        let decoded = |text: &str| pairs(text.as_bytes(), 3);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(decoded("a=b%26c%3Dd&e=f=g"), Some(vec![pair("a", "b&c=d"), pair("e", "f=g")]));
        assert_eq!(decoded("&a&=&b="), Some(vec![pair("", ""), pair("b", "")]));
        assert_eq!(decoded(""), Some(vec![]));
        assert_eq!(decoded("a=%"), None);
        assert_eq!(decoded("a=&a=&a=").unwrap().len(), 3);
        assert_eq!(decoded("a=&a=&a=&a="), None);
    }
}
