//! Yesterday's key and today's, and two instances that know different ones.

use axum::{Router, routing::get};
use session_axum::{
    Error, Flash, Keys, Session, SessionLayer, SessionResponseExt,
    testing::{Client, TestSession},
};

use crate::support::app::{OLD_SECRET, SECRET, layer};

async fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<String>("user")?.unwrap_or_else(|| "stranger".into()))
}

async fn write(session: Session) -> Result<(), Error> {
    session.insert("seen", true)
}

async fn show(flash: Flash) -> String {
    flash.peek("success").unwrap_or("-").to_owned()
}

fn app(layer: &SessionLayer) -> Router {
    let bye = || async { "Bye".with_new_session() };
    let routes = Router::new().route("/", get(read).post(write)).route("/flash", get(show)).route("/bye", get(bye));
    routes.layer(layer.clone())
}

fn old() -> SessionLayer {
    SessionLayer::signed(Keys::new(OLD_SECRET).unwrap())
}

fn both() -> SessionLayer {
    SessionLayer::signed(Keys::new(SECRET).unwrap().with_fallback(OLD_SECRET).unwrap())
}

/// A client of an app that opens with `layer`, who has a cookie of the old key.
fn visitor_of(layer: &SessionLayer) -> Client {
    let client = Client::new(app(layer));
    client.enter(&TestSession::new(&old()).insert("user", "alice").flash("success", "hi"));
    client
}

#[tokio::test]
async fn a_cookie_signed_with_the_old_key_is_still_read_and_comes_back_under_the_new_one() {
    let client = visitor_of(&both());
    let old_cookie = client.cookie("__Host-session").unwrap();
    let page = client.get("/").await;
    assert_eq!((page.text().as_str(), page.set_cookies().len()), ("alice", 1));
    assert_ne!(client.cookie("__Host-session").unwrap()[2..6], old_cookie[2..6]);
    let session = TestSession::of_client(&layer(), &client);
    assert_eq!(session.get::<String>("user").unwrap(), "alice");
    assert_eq!(client.get("/").await.set_cookies(), [""; 0]);
}

#[tokio::test]
async fn flash_messages_of_the_old_key_are_still_shown() {
    assert_eq!(visitor_of(&both()).get("/flash").await.text(), "hi");
}

#[tokio::test]
async fn without_the_old_key_the_visitor_is_new_and_nothing_else_happens() {
    let client = visitor_of(&layer());
    let before = client.cookie("__Host-session");
    for path in ["/", "/flash"] {
        assert_eq!(client.get(path).await.set_cookies(), [""; 0]);
    }
    assert_eq!(client.get("/").await.text(), "stranger");
    assert_eq!(client.cookie("__Host-session"), before);
}

#[tokio::test]
async fn two_instances_of_a_rolling_deployment_do_not_take_each_others_cookies_away() {
    let (behind, ahead) = (app(&old()), app(&both()));
    let cookie = {
        let client = visitor_of(&both());
        client.get("/").await;
        client.cookie("__Host-session").unwrap()
    };
    // The instance that does not know the new key yet sees a stranger, and leaves the cookie alone.
    let client = Client::new(behind);
    client.set_cookie("__Host-session", &cookie);
    assert_eq!(
        (client.get("/").await.text().as_str(), client.cookie("__Host-session")),
        ("stranger", Some(cookie.clone()))
    );
    let back = Client::new(ahead);
    back.set_cookie("__Host-session", &client.cookie("__Host-session").unwrap());
    assert_eq!(back.get("/").await.text(), "alice");
}

#[tokio::test]
async fn a_log_out_removes_even_a_cookie_that_this_instance_cannot_read() {
    let client = visitor_of(&layer());
    client.get("/bye").await;
    assert_eq!(client.cookie("__Host-session"), None);
}

#[tokio::test]
async fn a_session_of_another_application_with_the_same_secret_is_none() {
    let shop = layer().application("shop");
    let client = Client::new(app(&layer().application("blog")));
    client.enter(&TestSession::new(&shop).insert("user", "alice").flash("success", "hi"));
    assert_eq!(client.get("/").await.text(), "stranger");
    assert_eq!(client.get("/flash").await.text(), "-");
}

#[tokio::test]
async fn signed_and_encrypted_layers_do_not_read_each_other() {
    let encrypted = || SessionLayer::encrypted(Keys::new(SECRET).unwrap());
    for (writer, reader) in [(layer(), encrypted()), (encrypted(), layer())] {
        let client = Client::new(app(&reader));
        client.enter(&TestSession::new(&writer).insert("user", "alice"));
        assert_eq!(client.get("/").await.text(), "stranger");
    }
}
