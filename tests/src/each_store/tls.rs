//! Encrypted connections to Postgres, MariaDB and Redis.

use std::{env, process::Command};

use session_core::store::{SessionStore, StoreError, StoreErrorKind};
use session_stores::{MySqlStore, PostgresStore, RedisStore};
use session_test_servers::{
    certificates::Certificates, free_port, mariadb::MariaDb, postgres::Postgres, redis::Server,
};

use super::{assert_kind, assert_works};

#[tokio::test]
async fn a_postgres_with_a_known_certificate_is_used() {
    let certificates = Certificates::new();
    let server = Postgres::with_tls(&certificates);
    let address = |rest: &str| format!("{}?{rest}", server.address("postgres"));
    let authority = certificates.authority().display().to_string();

    let store =
        PostgresStore::connect(&address(&format!("sslmode=verify-full&sslrootcert={authority}"))).await.unwrap();
    store.migrate().await.unwrap();
    assert_works(&store).await;

    let unknown = PostgresStore::connect(&address("sslmode=verify-full")).await;
    let told = assert_kind(unknown.map(drop), StoreErrorKind::Unavailable);
    assert!(told.contains("certificate") && told.contains("127.0.0.1"), "{told}");
    let plain = PostgresStore::connect(&address("sslmode=disable")).await;
    let told = assert_kind(plain.map(drop), StoreErrorKind::Refused);
    assert!(told.contains("no encryption"), "{told}");
}

#[tokio::test]
async fn a_mariadb_with_a_known_certificate_is_used() {
    let certificates = Certificates::new();
    let server = MariaDb::with_tls(&certificates);
    let address = |rest: &str| format!("{}?{rest}", server.address("mysql"));
    let authority = certificates.authority().display().to_string();

    let store = MySqlStore::connect(&address(&format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={authority}"))).await.unwrap();
    store.migrate().await.unwrap();
    assert_works(&store).await;

    let unknown = MySqlStore::connect(&address("ssl-mode=VERIFY_IDENTITY")).await;
    let told = assert_kind(unknown.map(drop), StoreErrorKind::Unavailable);
    assert!(told.contains("certificate") && told.contains("127.0.0.1"), "{told}");
    let plain = MySqlStore::connect(&address("ssl-mode=DISABLED")).await;
    let told = assert_kind(plain.map(drop), StoreErrorKind::Refused);
    assert!(told.contains("Access denied"), "MariaDB 10.11 says no more: {told}");
}

/// The driver trusts the certificates that the operating system does, or those in `SSL_CERT_FILE`: this test runs
/// itself again with that variable.
#[tokio::test]
async fn a_redis_with_a_known_certificate_is_used() {
    if let Ok(url) = env::var(REDIS) {
        let store = RedisStore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        assert_works(&store).await;
        return;
    }
    let (certificates, port) = (Certificates::new(), free_port());
    let _server = redis_with_tls(&certificates, port);
    let url = format!("rediss://:correct-horse@127.0.0.1:{port}");
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "each_store::tls::a_redis_with_a_known_certificate_is_used"]);
    child.env(REDIS, &url).env("SSL_CERT_FILE", certificates.authority());
    let output = tokio::task::spawn_blocking(move || child.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");

    let told = refused(RedisStore::connect(&url).await);
    assert!(told.contains("certificate") && told.contains(&format!("127.0.0.1:{port}")), "{told}");
    assert!(!told.contains("correct-horse"), "{told}");
}

#[tokio::test]
async fn a_redis_that_asks_for_a_password_gets_it_or_says_so() {
    let server = Server::start(&["--requirepass", "correct-horse"]);
    let url = |login: &str| format!("redis://{login}127.0.0.1:{}", server.port);
    assert_works(&RedisStore::connect(&url(":correct-horse@")).await.unwrap()).await;
    for wrong in ["", ":wrong-horse@", "nobody:correct-horse@"] {
        let lazily = RedisStore::connect_lazy(&url(wrong)).unwrap();
        let at_once = match RedisStore::connect(&url(wrong)).await {
            Ok(store) => store.migrate().await,
            Err(error) => Err(error),
        };
        for result in [at_once, lazily.migrate().await] {
            let told = assert_kind(result, StoreErrorKind::Refused);
            assert!(told.contains("password") && told.contains(&format!("127.0.0.1:{}", server.port)), "{told}");
            assert!(!told.contains("horse"), "{told}");
        }
    }
}

fn refused<S: SessionStore>(result: Result<S, StoreError>) -> String {
    let Err(error) = result else { panic!("it connects") };
    super::all_of(&error)
}

fn redis_with_tls(certificates: &Certificates, port: u16) -> Server {
    let path = |path: std::path::PathBuf| path.display().to_string();
    let (port, authority) = (port.to_string(), path(certificates.authority()));
    let (certificate, key) = (path(certificates.server()), path(certificates.key()));
    let mut options = vec!["--tls-port", &port, "--tls-ca-cert-file", &authority, "--tls-auth-clients", "no"];
    options.extend(["--tls-cert-file", &certificate, "--tls-key-file", &key, "--requirepass", "correct-horse"]);
    Server::start(&options)
}

/// What tells the test that it is the one with the variable.
const REDIS: &str = "SESSION_TESTS_REDIS_WITH_TLS";
