//! Records with encrypted values, in every kind of store.

use std::sync::Arc;

use axum::{Router, routing::get};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use session_axum::{
    Session, SessionLayer,
    testing::{Client, TestSession},
};
use session_core::{
    Keys, SessionId,
    store::{EncryptedStore, Lookup, RecordKey, SessionStore, StoreErrorKind, Updated, Write},
};
use session_stores::MemoryStore;

use super::{
    HOUR, NOW, assert_kind,
    damaged::{expect_another_session, visitor},
    fresh_key, made, renewed, secret, set, setting, write,
};
use crate::support::{
    app::keys,
    backends::Backend,
    logs::Logs,
    reference::{self, Binding},
};

mod suite_in_memory {
    session_stores::conformance!(store = || async { super::over(session_stores::MemoryStore::new()) });
}

mod suite_in_sqlite {
    use std::sync::LazyLock;

    use crate::support::backends::Backend;

    static SHARED: LazyLock<Backend> = LazyLock::new(Backend::sqlite);

    session_stores::conformance!(store = || async { super::over(SHARED.connect().await) });
}

mod suite_in_postgres {
    use crate::support::backends::Backend;

    session_stores::conformance!(store = || async { super::over(Backend::postgres().await.connect().await) });
}

mod suite_in_mariadb {
    use crate::support::backends::Backend;

    session_stores::conformance!(store = || async { super::over(Backend::mariadb().await.connect().await) });
}

mod suite_in_redis {
    use crate::support::backends::Backend;

    session_stores::conformance!(store = || async { super::over(Backend::redis().connect().await) });
}

fn over<S: SessionStore>(store: S) -> EncryptedStore<S> {
    EncryptedStore::new(store, &keys())
}

fn loaded(lookup: Lookup) -> session_core::store::Record {
    lookup.live().unwrap()
}

#[tokio::test]
async fn the_store_sees_names_and_no_value() {
    let plain = MemoryStore::new();
    let (store, key) = (over(plain.clone()), fresh_key());
    let mut changes = setting("card", r#""4111 1111""#);
    changes.set_owner("ada".to_owned());
    store.create(&key, write(&changes, None)).await.unwrap();
    let read = loaded(store.load(&key, NOW).await.unwrap());
    assert_eq!(read.entries.get("card"), Some(r#""4111 1111""#));
    store.update(&key, write(&setting("pin", "\"0815\""), Some(&read))).await.unwrap();

    let inside = loaded(plain.load(&key, NOW).await.unwrap());
    assert_eq!(inside.entries.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["card", "pin"]);
    for (_, text) in inside.entries.iter() {
        assert!(text.starts_with("\"2.") && !text.contains("4111") && !text.contains("0815"), "{text}");
    }
    assert_eq!(inside.owner.as_deref(), Some("ada"));
}

/// What lies on the disk of a database.
#[tokio::test]
async fn a_dump_shows_no_value() {
    let backend = Backend::sqlite();
    let layer = SessionLayer::stored(backend.connect().await, keys()).encrypt_records(keys());
    let app = axum::Router::new()
        .route("/", axum::routing::get(async |session: session_axum::Session| session.insert("card", "4111 1111")))
        .layer(layer);
    assert_eq!(Client::new(app).get("/").await.status(), 200);
    let path = backend.address().trim_start_matches("sqlite://");
    let files = [path.to_owned(), format!("{path}-wal")];
    let bytes: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("card") && !text.contains("4111 1111"));
}

#[tokio::test]
async fn a_written_value_leaves_the_others_as_they_lie() {
    let plain = MemoryStore::new();
    let (store, key) = (over(plain.clone()), fresh_key());
    let read = made(&store, &key).await;
    let before = loaded(plain.load(&key, NOW).await.unwrap());
    set(&store, &key, &read, "b").await.unwrap();
    let after = loaded(plain.load(&key, NOW).await.unwrap());
    assert_eq!(before.entries.get("a"), after.entries.get("a"));
    assert_eq!(before.entries.metadata(), after.entries.metadata());
}

/// A person who can write to the database moves values around.
#[tokio::test]
async fn a_value_opens_only_under_its_key_and_in_its_record() {
    let plain = MemoryStore::new();
    let store = over(plain.clone());
    let (own, other) = (fresh_key(), fresh_key());
    for key in [own, other] {
        let read = made(&store, &key).await;
        set(&store, &key, &read, "b").await.unwrap();
    }
    let of_own = loaded(plain.load(&own, NOW).await.unwrap());
    let of_other = loaded(plain.load(&other, NOW).await.unwrap());
    let value = |record: &session_core::store::Record, key| record.entries.get(key).unwrap().to_owned();
    for moved in [value(&of_own, "b"), value(&of_other, "a"), "\"ada\"".to_owned(), "1".to_owned()] {
        plain.update(&own, write(&setting("a", &moved), None)).await.unwrap();
        assert_kind(store.load(&own, NOW).await, StoreErrorKind::Unreadable);
        assert!(matches!(store.look_up(&[own, other], NOW).await.unwrap()[..], [Lookup::Unknown, Lookup::Live(_)]));
        assert_kind(store.update(&own, write(&setting("a", "7"), None)).await.map(drop), StoreErrorKind::Unreadable);
    }
    plain.update(&own, write(&setting("a", &value(&of_own, "a")), None)).await.unwrap();
    assert_eq!(loaded(store.load(&own, NOW).await.unwrap()).entries.get("a"), Some("1"));
}

#[tokio::test]
async fn a_fallback_secret_opens_and_the_newest_seals() {
    let plain = MemoryStore::new();
    let (old, new) = ("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E", "V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E");
    let before = EncryptedStore::new(plain.clone(), &Keys::new(old).unwrap());
    let during = EncryptedStore::new(plain.clone(), &Keys::new(new).unwrap().with_fallback(old).unwrap());
    let after = EncryptedStore::new(plain.clone(), &Keys::new(new).unwrap());
    let key = fresh_key();
    made(&before, &key).await;
    let read = loaded(during.load(&key, NOW).await.unwrap());
    assert_eq!(read.entries.get("a"), Some("1"));
    assert_kind(after.load(&key, NOW).await, StoreErrorKind::Unreadable);
    during.update(&key, write(&setting("a", "2"), Some(&read))).await.unwrap();
    assert_eq!(loaded(after.load(&key, NOW).await.unwrap()).entries.get("a"), Some("2"));
    assert_kind(before.load(&key, NOW).await, StoreErrorKind::Unreadable);
}

#[tokio::test]
async fn a_record_keeps_its_seal_over_a_renewal() {
    let plain = MemoryStore::new();
    let (store, key) = (over(plain.clone()), fresh_key());
    let read = made(&store, &key).await;
    let to = renewed(&key);
    let mut changes = setting("b", "2");
    changes.renew();
    assert!(matches!(store.rename(&key, &to, write(&changes, Some(&read))).await, Ok(Updated::Written { .. })));
    let record = loaded(store.load(&to, NOW).await.unwrap());
    assert_eq!(record.entries.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
}

/// After a save during the request, only the plain values are known.
#[tokio::test]
async fn a_write_without_what_was_read_is_as_good() {
    let store = over(MemoryStore::new());
    let key = fresh_key();
    let read = made(&store, &key).await;
    let changes = setting("b", "2");
    let known = write(&changes, Some(&read)).apply_to(&read, key).unwrap();
    assert!(matches!(store.update(&key, write(&changes, Some(&read))).await, Ok(Updated::Written { .. })));
    let exact = setting("c", "3");
    let exact = Write { only_if_unchanged: true, ..write(&exact, Some(&known)) };
    assert!(matches!(store.update(&key, exact).await, Ok(Updated::Written { .. })));
    assert_eq!(store.update(&key, exact).await.unwrap(), Updated::Conflict);
    let record = loaded(store.load(&key, NOW).await.unwrap());
    assert_eq!(record.entries.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2"), ("c", "3")]);
}

#[tokio::test]
async fn a_record_from_before_the_encryption_counts_as_none_and_stays() {
    let plain = MemoryStore::new();
    let before = visitor(plain.clone()).await;
    let now = visitor(over(plain.clone())).await;
    now.set_cookie("__Host-session", &before.cookie("__Host-session").unwrap());
    expect_another_session(&now, "a plain record").await;
    assert!(before.get("/keys").await.text().contains('a'));
}

#[tokio::test]
async fn handlers_see_no_difference() {
    let layer = SessionLayer::stored(MemoryStore::new(), keys()).encrypt_records(keys());
    let (logs, _guard) = Logs::capture();
    let app = axum::Router::new()
        .route(
            "/",
            axum::routing::get(async |session: session_axum::Session| {
                let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await?;
                session.insert("theme", "dark")?;
                session.save().await?;
                session.insert("late", visits)?;
                Ok::<_, session_axum::Error>(format!("{visits} {:?}", session.get::<u32>("late")?))
            }),
        )
        .layer(layer);
    let client = Client::new(app);
    for visit in 1..4 {
        assert_eq!(client.get("/").await.text(), format!("{visit} Some({visit})"));
    }
    assert!(logs.take().iter().all(|line| !line.starts_with("ERROR")));
}

/// docs/wire-format.md alone is enough to read and to write an encrypted record.
#[tokio::test]
async fn a_record_is_what_the_wire_format_says() {
    let plain = MemoryStore::new();
    let (secret, key) = ("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E", fresh_key());
    let store = EncryptedStore::new(plain.clone(), &Keys::new(secret).unwrap());
    made(&store, &key).await;

    let binding = Binding { label: "enc", version: "2", purpose: "record", cookie_name: "", application: "" };
    let (sealing_key, key_id) = (binding.key(secret.as_bytes()), reference::key_id(secret.as_bytes()));
    let inside = loaded(plain.load(&key, NOW).await.unwrap());
    let metadata: serde_json::Value = serde_json::from_str(inside.entries.fields().next().unwrap().1).unwrap();
    let seal = BASE64_URL_SAFE_NO_PAD.decode(metadata["seal"].as_str().unwrap()).unwrap();
    assert_eq!(seal.len(), 16);
    let bound = |key: &str| [&seal, key.as_bytes()].concat();
    let text = inside.entries.get("a").unwrap().trim_matches('"');
    assert_eq!(reference::decrypt_bound(sealing_key, text, &bound("a")), Some(b"1".to_vec()));

    let associated = [format!("2.{key_id}.").as_bytes(), &bound("b")].concat();
    let sealed = reference::encrypt_bound(sealing_key, &associated, [7; 24], br#"{"x":[1,2]}"#);
    plain.update(&key, write(&setting("b", &format!("\"2.{key_id}.{sealed}\"")), None)).await.unwrap();
    assert_eq!(loaded(store.load(&key, NOW).await.unwrap()).entries.get("b"), Some(r#"{"x":[1,2]}"#));
}

/// The same plain text under the same key is another text in every record, and in every write.
#[tokio::test]
async fn no_two_sealed_values_are_equal() {
    let plain = MemoryStore::new();
    let store = over(plain.clone());
    let mut seen = std::collections::HashSet::new();
    for _ in 0..50 {
        let id = SessionId::random().unwrap();
        let key = RecordKey::of_secret(id, &secret(SessionId::random().unwrap()));
        made(&store, &key).await;
        for _ in 0..2 {
            let text = loaded(plain.load(&key, NOW + HOUR).await.unwrap()).entries.get("a").unwrap().to_owned();
            assert!(seen.insert(text));
            let read = loaded(store.load(&key, NOW).await.unwrap());
            set(&store, &key, &read, "a").await.unwrap();
        }
    }
}

/// An instance that does not know the keys yet must not take an encrypted text for the value.
#[tokio::test]
async fn a_layer_without_the_keys_takes_no_encrypted_value_for_a_value() {
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
    let plain = SessionLayer::stored(Arc::clone(&store), keys());
    let encrypting = plain.clone().encrypt_records(keys());
    let page = |session: Session| async move { format!("{:?} {}", session.get::<String>("user"), session.is_empty()) };
    let session = TestSession::new(&encrypting).insert("user", "ada").saved().await;
    for (layer, text) in [(encrypting, "Ok(Some(\"ada\")) false"), (plain, "Ok(None) true")] {
        let client = Client::new(Router::new().route("/", get(page)).layer(layer));
        client.enter(&session);
        assert_eq!(client.get("/").await.text(), text);
    }
}
