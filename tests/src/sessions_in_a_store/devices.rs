//! The lesson about devices, as two instances on one store: a log-out on one is seen by the other.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::http::{Method, Request, StatusCode, header};
use session_axum::{
    SessionLayer,
    testing::{Client, TestResponse},
};
use session_test_servers::Directory;
use tower::{ServiceExt as _, service_fn};

use crate::support::app::keys;

#[path = "../../../examples/devices.rs"]
#[expect(dead_code, reason = "its `main` is for a terminal")]
mod lesson;

/// Two instances that have nothing in common but a secret and a store.
struct Site {
    instances: [SessionLayer; 2],
    requests: Arc<AtomicUsize>,
    _files: Directory,
}

impl Site {
    /// One for each kind of store: in memory the store itself is shared, in a file only the file.
    async fn each() -> [Self; 2] {
        let memory = lesson::store("memory:").await.unwrap();
        let files = Directory::new();
        let address = format!("sqlite://{}", files.path().join("sessions.db").display());
        let (one, other) = (lesson::store(&address).await.unwrap(), lesson::store(&address).await.unwrap());
        [Self::of([memory.clone(), memory], Directory::new()), Self::of([one, other], files)]
    }

    fn of(stores: [Arc<dyn session_axum::store::SessionStore>; 2], files: Directory) -> Self {
        let instances = stores.map(|store| SessionLayer::stored(store, keys()));
        Self { instances, requests: Arc::default(), _files: files }
    }

    /// A browser. Whoever sends the next request, the other instance gets it.
    fn device(&self) -> Client {
        let (instances, requests) = (self.instances.clone().map(lesson::app), Arc::clone(&self.requests));
        Client::new(service_fn(move |request| {
            let next = requests.fetch_add(1, Ordering::Relaxed) % 2;
            instances[next].clone().oneshot(request)
        }))
    }

    async fn logged_in(&self, user: &str) -> Client {
        let device = self.device();
        assert_goes_to(&device.post_form("/login", &[("user", user)]).await, "/");
        device
    }
}

#[track_caller]
fn assert_goes_to(page: &TestResponse, location: &str) {
    assert_eq!((page.status(), page.headers()["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, location));
}

/// The public ids on a page, and whether each is said to be the one that asks.
fn rows(page: &TestResponse) -> Vec<(String, bool)> {
    let text = page.text();
    let rows = text.split("<li>").skip(1);
    let id = |row: &str| row.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    rows.map(|row| (id(row), row.contains("This device."))).collect()
}

#[tokio::test]
async fn log_out_everywhere_is_seen_by_the_other_instance_at_the_next_request() {
    for site in Site::each().await {
        let (laptop, phone, stranger) =
            (site.logged_in("ada").await, site.logged_in("ada").await, site.logged_in("bob").await);
        assert_eq!(rows(&laptop.get("/").await).len(), 2);

        let answer = laptop.post("/logout-everywhere").await;
        assert_goes_to(&answer, "/login");
        assert_goes_to(&phone.get("/").await, "/login");
        assert_goes_to(&laptop.get("/").await, "/login");
        assert!(laptop.get("/login").await.text().contains("Logged out everywhere. Devices: 2."));
        assert_eq!(stranger.get("/").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn one_device_is_logged_out_from_another() {
    for site in Site::each().await {
        let (laptop, phone) = (site.logged_in("ada").await, site.logged_in("ada").await);
        let listed = rows(&laptop.get("/").await);
        assert_eq!(listed.iter().filter(|(_, is_this)| *is_this).count(), 1);
        let (other, _) = listed.iter().find(|(_, is_this)| !is_this).unwrap();

        assert_goes_to(&laptop.post_form("/logout", &[("id", other)]).await, "/");
        assert_goes_to(&phone.get("/").await, "/login");
        let page = laptop.get("/").await;
        assert_eq!(rows(&page).iter().map(|(_, is_this)| *is_this).collect::<Vec<_>>(), [true]);
        assert!(page.text().contains("The device is logged out."), "{page:?}");
    }
}

#[tokio::test]
async fn nobody_ends_a_session_of_somebody_else() {
    for site in Site::each().await {
        let (ada, mallory) = (site.logged_in("ada").await, site.logged_in("mallory").await);
        let [(id, true)] = &rows(&ada.get("/").await)[..] else { panic!("one device, and this one") };
        assert_goes_to(&mallory.post_form("/logout", &[("id", id)]).await, "/");
        assert_eq!(ada.get("/").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_device_is_known_by_what_its_browser_says() {
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
    let [site, _] = Site::each().await;
    for (agent, label) in [(FIREFOX, "Firefox on Linux"), ("curl/8.5.0", "curl"), ("<b>", "A browser")] {
        let device = site.device();
        let login = Request::builder().method(Method::POST).uri("/login").header(header::USER_AGENT, agent);
        let login = login.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        assert_goes_to(&device.send(login.body(format!("user={label}").into()).unwrap()).await, "/");
        let page = device.get("/").await;
        assert!(
            page.text().contains(&format!("<strong>{label}</strong>, since just now, last seen just now.")),
            "{page:?}"
        );
    }
}

#[tokio::test]
async fn another_kind_of_address_is_no_store() {
    for address in ["", "sessions.db", "mysql://localhost"] {
        assert!(lesson::store(address).await.is_err(), "{address}");
    }
}
