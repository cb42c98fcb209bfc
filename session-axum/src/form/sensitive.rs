//! Sensitive fields: the page must not show their values again, and no cookie may store them.

/// Returns whether the name of a field shows that its value is sensitive.
pub(super) fn is_sensitive(name: &str) -> bool {
    let plain = plain(name);
    ANYWHERE.iter().any(|part| plain.contains(part))
        || words(name).iter().any(|word| WORDS.contains(&word.as_str()))
        || WHOLE.contains(&plain.as_str())
        || WHOLE.contains(&self::plain(last_part(name)).as_str())
}

/// Returns the letters and digits of a name in lower case: `Card-Number` and `cardNumber` are one name.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Returns the last part of a name: `pin` for `user[pin]` and for `user.pin`.
fn last_part(name: &str) -> &str {
    name.trim_end_matches(']').rsplit(['[', '.']).next().unwrap_or(name)
}

/// Returns the words of a name: `one`, `time`, `otp`, `code` for `one_time-OTPCode2`. Short words are compared as a
/// whole, because other words contain them: "footprint" contains `otp`, and "business name" contains `ssn`.
fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (place, letter) in letters.iter().enumerate() {
        let next_is_small = letters.get(place + 1).is_some_and(char::is_ascii_lowercase);
        let after = place.checked_sub(1).and_then(|before| letters.get(before));
        let begins = letter.is_ascii_uppercase()
            && after
                .is_some_and(|before| before.is_ascii_lowercase() || (before.is_ascii_uppercase() && next_is_small));
        if begins || !letter.is_ascii_alphabetic() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_ascii_alphabetic(), words.last_mut()) {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words
}

const ANYWHERE: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "csrf",
    "xsrf",
    "credential",
    "apikey",
    "accesskey",
    "privatekey",
    "authcode",
    "securitycode",
    "cardnumber",
    "creditcard",
    "debitcard",
    "ccnumber",
    "ccnum",
    "cvv",
    "cvc",
];
const WORDS: &[&str] = &["otp", "totp", "ssn", "csc", "mfa"];
const WHOLE: &[&str] = &["card", "cardno", "pass", "pin", "pan", "tan"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensitive_names_are_left_out() {
        for name in [
            "password",
            "Password",
            "user[password]",
            "new-password",
            "password_confirmation",
            "csrf_token",
            "authenticityToken",
            "client.secret",
            "card_number",
            "card[number]",
            "cc-number",
            "CVV2",
            "pin",
            "user[pin]",
            "account.PIN",
            "pwd",
            "newPwd",
            "api_key",
            "otp",
            "sms-otp",
            "OTPCode",
            "userOTP",
            "ssn",
            "ssn4",
            "taxSsn",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn other_names_travel() {
        for name in [
            "name",
            "email",
            "shipping",
            "opinion",
            "passenger",
            "postcard",
            "carbon_footprint",
            "business_name",
            "businessName",
            "address_number",
            "class-name",
            "card[title]",
            "span",
            "",
            "é",
        ] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn the_documentation_lists_exactly_these() {
        let rows: Vec<Vec<&str>> = include_str!("sensitive.md")
            .lines()
            .skip(2)
            .map(|row| row.split('`').skip(1).step_by(2).collect())
            .collect();
        assert_eq!(rows, [ANYWHERE, WORDS, WHOLE]);
    }
}
