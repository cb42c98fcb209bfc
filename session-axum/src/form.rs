//! A form's values as texts, without those that must not travel.

use serde::Serialize;
use serde_json::Value;
use session_core::Lists;

/// The fields of a form: of a struct, of a map, or of a list of pairs.
///
/// Numbers and booleans become texts, lists stay lists, what is absent is left out, and so is everything under a
/// [sensitive](is_sensitive) name.
pub(crate) fn fields<F: Serialize + ?Sized>(form: &F) -> Lists {
    let mut fields = Lists::default();
    match serde_json::to_value(form) {
        Ok(Value::Object(object)) => object.into_iter().for_each(|(name, value)| add(&mut fields, &name, value)),
        Ok(Value::Array(pairs)) => pairs.into_iter().filter_map(pair).for_each(|(name, value)| {
            add(&mut fields, &name, value);
        }),
        Ok(_) | Err(_) => tracing::warn!("the form given to `with_input` has no fields: give a struct, a map or pairs"),
    }
    fields
}

fn pair(value: Value) -> Option<(String, Value)> {
    let Value::Array(pair) = value else { return None };
    let [Value::String(name), value] = <[Value; 2]>::try_from(pair).ok()? else { return None };
    Some((name, value))
}

fn add(fields: &mut Lists, name: &str, value: Value) {
    if is_sensitive(name) {
        return;
    }
    match value {
        Value::Null | Value::Object(_) => {}
        Value::Array(values) => values.into_iter().for_each(|value| add(fields, name, value)),
        Value::String(text) => fields.add(name, text),
        Value::Bool(_) | Value::Number(_) => fields.add(name, value.to_string()),
    }
}

/// Whether a field's name says that its value must not be shown again or stored.
pub(crate) fn is_sensitive(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    SENSITIVE.iter().any(|word| plain.contains(word)) || SENSITIVE_WHOLE.contains(&plain.as_str())
}

/// Anywhere in a name, regardless of case and of what stands between words.
const SENSITIVE: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "csrf",
    "xsrf",
    "apikey",
    "privatekey",
    "credential",
    "cardnumber",
    "cardno",
    "creditcard",
    "ccnumber",
    "ccnum",
    "securitycode",
    "cvv",
    "cvc",
    "otp",
    "ssn",
];
/// As the whole name.
const SENSITIVE_WHOLE: &[&str] = &["card", "pass", "pin", "pwd", "pan", "tan"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(form: &Value) -> Vec<(String, Vec<String>)> {
        fields(form).iter().map(|(name, texts)| (name.to_owned(), texts.to_vec())).collect()
    }

    fn field(name: &str, texts: &[&str]) -> (String, Vec<String>) {
        (name.to_owned(), texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn values_become_texts_and_lists_stay_lists() {
        let form = json!({"age": 7, "colour": ["red", "blue"], "name": "", "nothing": null, "ok": true});
        assert_eq!(
            read(&form),
            [field("age", &["7"]), field("colour", &["red", "blue"]), field("name", &[""]), field("ok", &["true"])]
        );
    }

    #[test]
    fn pairs_with_one_name_are_a_list() {
        assert_eq!(read(&json!([["a", "1"], ["b", "2"], ["a", "3"]])), [field("a", &["1", "3"]), field("b", &["2"])]);
    }

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
            "cc-number",
            "CVV2",
            "pin",
            "pwd",
            "api_key",
        ] {
            assert_eq!(read(&json!({ name: "x" })), [], "{name}");
        }
        for name in ["name", "email", "shipping", "opinion", "passenger", "postcard"] {
            assert_eq!(read(&json!({ name: "x" })).len(), 1, "{name}");
        }
    }
}
