//! Two instances of one application, each with connections of its own, behind one store.

use std::sync::Arc;

use session_axum::{
    SessionLayer, Sessions,
    testing::{Client, ManualClock},
};
use session_core::store::SessionStore;

use super::{COOKIE, app};
use crate::support::{
    app::{NOW, keys},
    backends::Backend,
};

/// One visitor's browser before each of two instances: it sends both the same cookie.
struct Instances {
    one: Client,
    other: Client,
    sessions: Sessions,
    _backend: Backend,
}

impl Instances {
    /// The visitor is logged in.
    async fn of(backend: Backend) -> Self {
        let clock = ManualClock::at(NOW);
        let layer = |store: Arc<dyn SessionStore>| SessionLayer::stored(store, keys()).clock(clock.clone());
        let (here, there) = (layer(backend.connect().await), layer(backend.connect().await));
        let sessions = here.sessions();
        let instances =
            Self { one: Client::new(app(here)), other: Client::new(app(there)), sessions, _backend: backend };
        instances.one.get("/set/a/1").await;
        instances.share_cookie();
        assert_eq!(see(&instances.other).await, "1");
        instances
    }

    /// The other instance is next to see the browser.
    fn share_cookie(&self) {
        self.other.set_cookie(COOKIE, &self.one.cookie(COOKIE).unwrap());
    }
}

async fn see(client: &Client) -> String {
    client.get("/get/a").await.text()
}

async fn a_change_is_seen_at_the_next_request(backend: Backend) {
    let instances = Instances::of(backend).await;
    for value in 2..20 {
        let (writer, reader) = match value % 2 {
            0 => (&instances.other, &instances.one),
            _ => (&instances.one, &instances.other),
        };
        writer.get(&format!("/set/a/{value}")).await;
        assert_eq!(see(reader).await, value.to_string());
    }
}

async fn a_log_out_is_seen_at_the_next_request(backend: Backend) {
    let instances = Instances::of(backend).await;
    assert_eq!(instances.one.get("/destroy").await.status(), 200);
    assert_eq!(see(&instances.other).await, "");
    assert_eq!(instances.other.get("/set/b/2").await.status(), 200);
    assert_eq!(see(&instances.other).await, "", "what comes later begins another session");
}

async fn a_log_out_everywhere_is_seen_at_the_next_request(backend: Backend) {
    let instances = Instances::of(backend).await;
    // Other tests have owners in the same database.
    let owner = instances.one.get("/id").await.text();
    instances.other.get(&format!("/own/{owner}")).await;
    assert_eq!(instances.sessions.destroy_all(owner).await.unwrap(), 1);
    assert_eq!(see(&instances.other).await, "");
    assert_eq!(see(&instances.one).await, "");
}

async fn a_renewed_session_has_no_old_id_at_the_next_request(backend: Backend) {
    let instances = Instances::of(backend).await;
    instances.one.get("/renew").await;
    assert_eq!(see(&instances.other).await, "", "with the old cookie");
    instances.share_cookie();
    assert_eq!(see(&instances.other).await, "1");
}

/// Makes the tests for a backend.
macro_rules! instances {
    ($($name:ident: $backend:expr),+ $(,)?) => {$(
        mod $name {
            use super::Backend;

            instances! { $backend =>
                a_change_is_seen_at_the_next_request
                a_log_out_is_seen_at_the_next_request
                a_log_out_everywhere_is_seen_at_the_next_request
                a_renewed_session_has_no_old_id_at_the_next_request
            }
        }
    )+};
    ($backend:expr => $($test:ident)+) => {$(
        #[tokio::test]
        async fn $test() {
            super::$test($backend).await;
        }
    )+};
}

instances! {
    sqlite: Backend::sqlite(),
    postgres: Backend::postgres().await,
    mariadb: Backend::mariadb().await,
    redis: Backend::redis(),
    redis_cluster: Backend::redis_cluster(),
}
