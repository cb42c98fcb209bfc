//! The values that a record may hold. A store returns all of them byte for byte.

use session_core::{Clock, store::SessionStore};

use super::trial::{HOUR, Trial, entries_of, fresh_key, fresh_owner, is_written, renewed};

/// A value is returned byte for byte. A store must not parse it and write it again.
pub async fn values_come_back_byte_for_byte(store: &dyn SessionStore, clock: impl Clock) {
    let texts = [
        r#""""#,
        "null",
        "true",
        "-0",
        "-0.0",
        "1.0e2",
        "1E+2",
        "0.1",
        "1.50",
        "18446744073709551615",
        BIG,
        "[]",
        "{}",
        "[[], {}]",
        "[ 1,\t2 ]",
        "{\"b\":1,\n\"a\":2}",
        r#""\u0061""#,
        r#""\u0000""#,
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\ud83e\udd80""#,
        "\"\u{1f980} \u{e9} e\u{301} \u{202e} \u{feff}\u{7f}\"",
        r#""'; DROP TABLE sessions; --""#,
        r#""\\x00 %s $1 ? :a {} {{hash}}""#,
    ];
    let trial = Trial::new(store, &clock);
    let names: Vec<String> = (0..texts.len()).map(|number| format!("{number:02}")).collect();
    let expected: Vec<_> = names.iter().map(String::as_str).zip(texts).collect();
    let (key, read) = trial.made(&expected).await;
    assert_eq!(entries_of(&read), expected);
    let (other, read_other) = trial.made(&[("a", "1")]).await;
    trial.update(&other, &read_other, &trial.draft().set_all(&expected).remove("a")).await;
    assert_eq!(entries_of(&trial.read(&other).await), expected);
    // Entries that a write does not name are not rewritten either.
    let to = renewed(&key);
    trial.update(&key, &read, &trial.draft().set("x", "1")).await;
    trial.rename(&key, &to, &read, &trial.draft().renew().remove("x")).await;
    assert_eq!(entries_of(&trial.read(&to).await), expected);
}

/// A key may be any text.
pub async fn any_text_is_a_key(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let mut names = [
        "",
        " ",
        "a",
        "A",
        "a.b",
        "a b",
        "\"",
        "'",
        "\\",
        "\\u0061",
        "\n",
        "\r\n",
        "\t",
        "\0",
        "a\0b",
        "\u{7f}",
        "\u{e9}",
        "e\u{301}",
        "\u{1f980}",
        "\u{feff}",
        "$.a",
        "{a}",
        "[0]",
        "*",
        "%",
        "__proto__",
        "version",
        "owner",
        "expires_at",
    ];
    names.sort_unstable();
    let expected: Vec<_> = names.iter().map(|name| (*name, "1")).collect();
    let (key, mut read) = trial.made(&expected).await;
    assert_eq!(entries_of(&read), expected);
    for name in names {
        assert!(is_written(trial.update(&key, &read, &trial.draft().set(name, "2")).await));
        read = trial.read(&key).await;
        assert!(entries_of(&read).contains(&(name, "2")), "{name:?}");
    }
    for name in &names[1..] {
        assert!(is_written(trial.update(&key, &read, &trial.draft().remove(name)).await), "{name:?}");
    }
    assert_eq!(entries_of(&trial.read(&key).await), [("", "2")]);
}

/// The metadata of a session is an entry like the others.
pub async fn the_reserved_key_travels(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let terms = r#"{"later version":[1.0],"until":253402300799}"#;
    let (key, read) = trial.made(&[("$", terms), ("a", "1")]).await;
    assert_eq!(entries_of(&read)[0], ("$", terms));
    trial.update(&key, &read, &trial.draft().set("$", r#"{"browser":true}"#)).await;
    let to = renewed(&key);
    trial.rename(&key, &to, &read, &trial.draft().renew()).await;
    assert_eq!(entries_of(&trial.read(&to).await), [("$", r#"{"browser":true}"#), ("a", "1")]);
}

/// A value may be 1 MiB long.
pub async fn a_value_of_a_mebibyte_is_kept(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let text = format!("\"{}\"", "0123456789abcdef".repeat(MEBIBYTE / 16));
    let (key, read) = trial.made(&[("big", &text)]).await;
    assert!(read.entries.get("big") == Some(&text));
    trial.update(&key, &read, &trial.draft().set("a", "1")).await;
    assert!(trial.read(&key).await.entries.get("big") == Some(&text));
    trial.delete(&key).await;
}

/// A session may have hundreds of keys.
pub async fn five_hundred_keys_are_kept(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let names: Vec<String> = (0..500).map(|number| format!("key {number:03}")).collect();
    let mut expected: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    let (key, read) = trial.made(&expected).await;
    assert_eq!(entries_of(&read), expected);
    trial.update(&key, &read, &trial.draft().set("key 250", "2").remove("key 499")).await;
    expected[250].1 = "2";
    expected.pop();
    assert_eq!(entries_of(&trial.read(&key).await), expected);
}

/// Times reach from 1970 to the end of the year 9999.
pub async fn times_reach_to_the_year_9999(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, owner) = (fresh_key(), fresh_owner());
    trial.create(&key, &trial.draft().set("a", "1").owner(&owner).created_at(0).visit(trial.now, LATEST - 1)).await;
    let read = trial.read(&key).await;
    assert_eq!((read.created_at, read.seen_at, read.expires_at), (0, trial.now, LATEST - 1));
    assert!(trial.touch(&key, LATEST - HOUR, LATEST).await);
    assert!(is_written(trial.update(&key, &read, &trial.draft().set("a", "2").visit(LATEST, LATEST)).await));
    let record = trial.load_at(&key, LATEST).await.expect("the last second is alive");
    assert_eq!((record.created_at, record.seen_at, record.expires_at), (0, LATEST, LATEST));
    assert_eq!(trial.listed_at(&owner, LATEST).await, [key.id()]);
    assert!(trial.load_at(&key, LATEST + 1).await.is_none());
    trial.delete(&key).await;
}

const BIG: &str = "123456789012345678901234567890.123456789012345678901234567890e-400";
const MEBIBYTE: usize = 1_048_576;

/// The latest time that a store must be able to keep: 9999-12-31T23:59:59Z.
const LATEST: u64 = 253_402_300_799;
