//! Requests side by side on one session: nothing is lost, and nothing comes back.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::Path, routing::get};
use session_axum::{
    Error, Session, SessionLayer,
    testing::{Client, TestResponse},
};
use tokio::sync::Barrier;

use super::{COOKIE, Site};
use crate::support::logs::Logs;

/// Sends these requests from tabs of one browser: all read the session, and then they go on in this order.
async fn side_by_side<const N: usize>(site: &Site, paths: [&str; N]) -> [TestResponse; N] {
    let app = meeting(site.layer.clone(), N);
    let cookie = site.cookie().unwrap();
    let tab = |(place, path): (usize, &str)| {
        let client = Client::new(app.clone());
        client.set_cookie(COOKIE, &cookie);
        let path = format!("{path}/{place}");
        async move { client.get(&path).await }
    };
    let pages = futures_util::future::join_all(paths.into_iter().enumerate().map(tab)).await;
    pages.try_into().unwrap()
}

fn meeting(layer: SessionLayer, together: usize) -> Router {
    let barrier = Arc::new(Barrier::new(together));
    let meet = move |session: Session, Path((what, value, place)): Path<(String, String, u64)>| {
        let barrier = Arc::clone(&barrier);
        async move {
            assert!(session.contains("a"));
            barrier.wait().await;
            tokio::time::sleep(Duration::from_millis(5 * place)).await;
            act(&session, &what, &value).await
        }
    };
    Router::new().route("/{what}/{value}/{place}", get(meet)).layer(layer)
}

async fn act(session: &Session, what: &str, value: &str) -> Result<String, Error> {
    match what {
        "set" => session.insert(value, value)?,
        "remove" => drop(session.remove(value)),
        "drop" => {
            session.remove(value);
            session.save().await?;
        }
        "renew" => session.renew(),
        "destroy" => drop(session.destroy()),
        "save" => {
            session.insert(value, value)?;
            session.save().await?;
        }
        "update" | "save-and-update" => {
            if what == "save-and-update" {
                session.insert(value, value)?;
                session.save().await?;
            }
            let count = session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1).await?;
            return Ok(count.to_string());
        }
        other => panic!("{other} is nothing that a tab does"),
    }
    Ok(String::new())
}

async fn values<const N: usize>(site: &Site, keys: [&str; N]) -> [String; N] {
    let mut values = Vec::new();
    for key in keys {
        values.push(site.get(&format!("/get/{key}")).await.1);
    }
    values.try_into().unwrap()
}

#[tokio::test]
async fn different_keys_changed_at_the_same_time_all_land() {
    let site = Site::with_session().await;
    side_by_side(&site, ["/set/b", "/set/c", "/set/d", "/remove/a"]).await;
    assert_eq!(values(&site, ["a", "b", "c", "d"]).await, ["", "b", "c", "d"]);
}

#[tokio::test]
async fn removing_the_last_key_leaves_what_came_in_meanwhile() {
    let site = Site::with_session().await;
    let [setting, removing] = side_by_side(&site, ["/save/b", "/remove/a"]).await;
    assert_eq!((removing.set_cookies().len(), setting.status().as_u16()), (0, 200));
    assert_eq!(values(&site, ["a", "b"]).await, ["", "b"]);
}

#[tokio::test]
async fn a_save_that_removes_the_last_key_leaves_what_came_in_meanwhile() {
    let site = Site::with_session().await;
    let [_, dropping] = side_by_side(&site, ["/save/b", "/drop/a"]).await;
    assert_eq!(dropping.set_cookies(), [""; 0], "the browser has its cookie");
    assert_eq!(values(&site, ["a", "b"]).await, ["", "b"]);
}

#[tokio::test]
async fn two_requests_that_remove_the_last_keys_together_remove_the_cookie() {
    for paths in [["/remove/a", "/remove/b"], ["/drop/a", "/drop/b"]] {
        let site = Site::with_session().await;
        site.get("/set/b/2").await;
        let [first, last] = side_by_side(&site, paths).await;
        assert_eq!(first.set_cookies(), [""; 0], "{paths:?}");
        let removed = last.set_cookies();
        assert!(matches!(removed[..], [only] if only.contains("Max-Age=0")), "{paths:?}: {removed:?}");
    }
}

#[tokio::test]
async fn updates_at_the_same_time_all_count() {
    let site = Site::with_session().await;
    let pages = side_by_side(&site, ["/update/x"; 16]).await;
    let mut counts = pages.map(|page| page.text().parse::<u32>().unwrap());
    counts.sort_unstable();
    assert_eq!(counts.to_vec(), (1..=16).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_update_after_a_save_sees_what_another_request_wrote_before_the_save() {
    let site = Site::with_session().await;
    let [one, other] = side_by_side(&site, ["/update/x", "/save-and-update/b"]).await;
    assert_eq!((one.text(), other.text()), ("1".to_owned(), "2".to_owned()));
    assert_eq!(values(&site, ["a", "b"]).await, ["1", "b"]);
}

#[tokio::test]
async fn a_late_request_brings_no_destroyed_session_back() {
    for late in ["/set/b", "/remove/a", "/save/b", "/update/b", "/renew/b"] {
        let (logs, _guard) = Logs::capture();
        let site = Site::with_session().await;
        let cookie = site.cookie().unwrap();
        let [_, page] = side_by_side(&site, ["/destroy/x", late]).await;
        assert_eq!(page.set_cookies(), [""; 0], "{late}");
        assert_eq!(site.seen_with(&cookie).await, "", "{late}");
        let told = ["/save", "/update", "/renew"].iter().any(|told| late.starts_with(told));
        assert_eq!(page.status().as_u16(), if told { 409 } else { 200 }, "{late}");
        let lines = logs.take();
        assert!(lines.iter().any(|line| line.contains("ended while its request ran")), "{late}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_renewed_session_lives_under_one_id() {
    let site = Site::with_session().await;
    let old = site.cookie().unwrap();
    let [one, other] = side_by_side(&site, ["/renew/x"; 2]).await;
    assert_eq!(one.set_cookies().len() + other.set_cookies().len(), 1, "one of them came first");
    assert_eq!(site.seen_with(&old).await, "");
    let new = [one, other].iter().find_map(cookie_of).unwrap();
    assert_eq!(site.seen_with(&new).await, "1");
}

#[tokio::test]
async fn what_is_changed_while_it_is_renewed_is_not_written_to_the_old_id() {
    let site = Site::with_session().await;
    let old = site.cookie().unwrap();
    let [renewed, late] = side_by_side(&site, ["/renew/x", "/set/b"]).await;
    assert_eq!((cookie_of(&renewed).is_some(), cookie_of(&late)), (true, None));
    assert_eq!(site.seen_with(&old).await, "");
}

fn cookie_of(page: &TestResponse) -> Option<String> {
    let value = page.set_cookies().first()?.strip_prefix("__Host-session=")?.split(';').next()?.to_owned();
    Some(value).filter(|value| !value.is_empty())
}
