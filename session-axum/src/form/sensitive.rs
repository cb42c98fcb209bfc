//! Sensitive fields: the page must not show their values again, and no cookie may store them.

/// Returns whether the name of a field shows that its value is sensitive.
///
/// It compares whole words and allocates nothing, because a form may have many long names.
pub(super) fn is_sensitive(name: &str) -> bool {
    words(name).any(is_sensitive_word)
        || has_neighbours(name)
        || parts(name).any(|part| words(part).last().is_some_and(|word| ENDS_A_PART.iter().any(|end| ends(word, end))))
        || is_whole(name)
        || parts(name).last().is_some_and(is_whole)
}

fn is_sensitive_word(word: &str) -> bool {
    let singular = singular(word);
    is_one_of(WORDS, word)
        || (BEGINS_A_WORD.iter().any(|start| without(word, start).is_some())
            && !word.eq_ignore_ascii_case("passwordless"))
        || [ENDS_A_WORD, NEIGHBOURS].into_iter().flatten().any(|end| ends(singular, end))
}

/// Returns whether words that follow each other are one in [`NEIGHBOURS`]: `credit`, `card` for `creditcard`.
fn has_neighbours(name: &str) -> bool {
    let mut words = words(name);
    while let Some(first) = words.next() {
        if NEIGHBOURS.iter().filter_map(|joined| without(joined, first)).any(|rest| begin_with(words.clone(), rest)) {
            return true;
        }
    }
    false
}

/// Returns whether the words begin with those of `joined`. The last one may be a plural.
fn begin_with<'a>(mut words: impl Iterator<Item = &'a str>, joined: &str) -> bool {
    let mut rest = joined;
    while !rest.is_empty() {
        let Some(behind) = words.next().and_then(|word| without(rest, word)) else { return false };
        rest = behind;
    }
    true
}

/// Returns the text behind a word, which may be a plural if nothing is behind it.
fn without<'a>(joined: &'a str, word: &str) -> Option<&'a str> {
    let word = if word.len() > joined.len() { singular(word) } else { word };
    let (start, behind) = joined.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(behind)
}

fn is_whole(name: &str) -> bool {
    let mut words = words(name);
    let first = words.next().filter(|_| words.next().is_none());
    first.is_some_and(|word| is_one_of(WHOLE, word))
}

/// Returns whether the word is one of `known`, or the plural of one.
fn is_one_of(known: &[&str], word: &str) -> bool {
    known.iter().any(|known| [word, singular(word)].iter().any(|word| word.eq_ignore_ascii_case(known)))
}

fn ends(word: &str, end: &str) -> bool {
    let start = word.len().checked_sub(end.len());
    start.and_then(|start| word.get(start..)).is_some_and(|rest| rest.eq_ignore_ascii_case(end))
}

fn singular(word: &str) -> &str {
    word.strip_suffix(['s', 'S']).unwrap_or(word)
}

/// Returns the parts of a name: `user` and `pin` for `user[pin]` and for `user.pin`.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(['[', ']', '.']).filter(|part| words(part).next().is_some())
}

/// Returns the words of a name without the digits at their ends: `one`, `time`, `OTP`, `Code` for `one_time-OTPCode2`.
fn words(name: &str) -> impl Iterator<Item = &str> + Clone {
    let split = name.split(|letter: char| !letter.is_alphanumeric()).flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            let (word, behind) = rest.split_at(first_word(rest));
            rest = behind;
            Some(word).filter(|word| !word.is_empty())
        })
    });
    let trimmed = split.map(|word| {
        if word.eq_ignore_ascii_case(SECOND_FACTOR) { word } else { word.trim_matches(|c: char| c.is_ascii_digit()) }
    });
    trimmed.filter(|word| !word.is_empty())
}

/// Returns the length of the first word of letters and digits.
fn first_word(text: &str) -> usize {
    let mut before: Option<char> = None;
    let mut has_letters = false;
    let mut letters = text.char_indices().peekable();
    while let Some((place, letter)) = letters.next() {
        let next_is_small = letters.peek().is_some_and(|(_, next)| next.is_lowercase());
        let begins = before.is_some_and(|before| {
            let after_digits = before.is_ascii_digit() && has_letters && letter.is_alphabetic();
            let is_capital =
                letter.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && next_is_small));
            after_digits || is_capital
        });
        if begins {
            return place;
        }
        has_letters |= letter.is_alphabetic();
        before = Some(letter);
    }
    text.len()
}

const SECOND_FACTOR: &str = "2fa";

/// The beginnings of sensitive words. Only "passwordless" begins like that too.
const BEGINS_A_WORD: &[&str] = &["password", "passwd", "pwd"];
/// The ends of sensitive words. No other words end like that.
const ENDS_A_WORD: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passkey",
    "pwd",
    "pw",
    "secret",
    "credential",
    "csrf",
    "xsrf",
    "jwt",
    "otp",
    "cvv",
    "cvc",
];
/// Sensitive words that are the end of other words too: "compass" and "shipping pin".
const WORDS: &[&str] = &[
    "pass",
    "pin",
    SECOND_FACTOR,
    "mfa",
    "tfa",
    "ssn",
    "csc",
    "cvn",
    "iban",
    "userpass",
    "newpass",
    "oldpass",
    "confirmpass",
    "newpin",
    "oldpin",
];
/// Words that are sensitive one after another.
const NEIGHBOURS: &[&str] = &[
    "apikey",
    "accesskey",
    "authkey",
    "encryptionkey",
    "privatekey",
    "signingkey",
    "sshkey",
    "accesscode",
    "authcode",
    "authorizationcode",
    "backupcode",
    "onetimecode",
    "recoverycode",
    "securitycode",
    "smscode",
    "twofactorcode",
    "verificationcode",
    "recoveryphrase",
    "seedphrase",
    "securityanswer",
    "socialsecurity",
    "bankaccount",
    "cardno",
    "cardnum",
    "cardnumber",
    "ccnum",
    "ccnumber",
    "creditcard",
    "debitcard",
];
const ENDS_A_PART: &[&str] = &["token"];
const WHOLE: &[&str] = &["card", "pan", "tan"];

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
            "user_pass",
            "newPass",
            "pass1",
            "PASS",
            "Pass2Confirm",
            "new_pin",
            "userPINCode",
            "login_pw",
            "loginPw2",
            "newpw",
            "iban",
            "IBAN2",
            "ibans[]",
            "pins",
            "user[PINS]",
            "cards",
            "wallet[cards]",
            "jwt",
            "userJWT",
            "card number",
            "cardNumber1",
            "creditCardNumber",
            "creditcardnumber",
            "card_numbers",
            "card[0][number]",
            "secret",
            "client_secrets",
            "clientsecret",
            "secret_question",
            "token",
            "api_token",
            "apiToken2",
            "token[0]",
            "token[]",
            "token[value]",
            "csrfmiddlewaretoken",
            "newpassword",
            "passwordconfirm",
            "PASSWORDAGAIN2",
            "pwdrepeat",
            "userpass",
            "two_factor_code",
            "user.passwords[3]",
            "api_keys",
            "myapikey",
            "APIKey",
            "one-time-code",
            "2fa",
            "2fa_code",
            "2FACode",
            "\u{e9}_pin",
            "pin\u{2003}",
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
            "passé",
            "token_count",
            "input_token_count",
            "tokenCount",
            "max_tokens",
            "tokenizer",
            "secretary",
            "secretary_name",
            "description",
            "compass",
            "passport",
            "passwordless",
            "passwordless_login",
            "bypass",
            "two_factor",
            "pinned",
            "spinning",
            "kindle",
            "Taliban",
            "public_key",
            "key",
            "monkey",
            "postcard_number",
            "co[tp]",
            "card_holder",
            "gift_card",
            "tan_lines",
            "zip_code",
            "123",
            "[][]",
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
        assert_eq!(rows, [BEGINS_A_WORD, ENDS_A_WORD, WORDS, NEIGHBOURS, ENDS_A_PART, WHOLE]);
    }
}
