//! Saves and updates that a handler begins and drops, at each of their polls. The handler goes on, and its answer holds.

use axum::{Router, extract::Path, routing::get};
use session_axum::{Error, Flash, Session};

use super::{
    Kept, each_store,
    requests::{Site, shown},
};
use crate::support::{
    jar::send,
    polls::{at_each_poll, drop_after},
};

/// What a handler does before it begins to save, and what the next request then sees. After the dropped save it also
/// inserts `c`.
const CASES: [(&str, &str); 7] = [
    ("insert", "a b c n=1"),
    ("login", "a b c n=1"),
    ("rotate", "a b c n=1"),
    ("logout", "b c"),
    ("clear", "c"),
    ("end", "c"),
    ("lifetime", "a c n=1"),
];

/// Drops a save after so many polls. The answer says whether the save had ended, and what the session is.
async fn drop_save(
    session: Session,
    flash: Flash,
    Path((what, polls)): Path<(String, usize)>,
) -> Result<String, Error> {
    match what.as_str() {
        "insert" => {}
        "login" => session.renew(),
        "rotate" => session.rotate(),
        "logout" | "end" => drop(session.destroy()),
        "clear" => session.clear(),
        "lifetime" => session.set_lifetime(std::time::Duration::from_secs(86_400)),
        other => panic!("{other}"),
    }
    if !["clear", "end", "lifetime"].contains(&what.as_str()) {
        session.insert("b", true)?;
    }
    let saved = drop_after(polls, session.save()).await.transpose()?;
    session.insert("c", true)?;
    Ok(format!("{} {}", saved.is_some(), shown(&session, &flash)?))
}

async fn a_dropped_save_is_done_with_the_response(kept: Kept) {
    let more = Router::new().route("/drop/{what}/{polls}", get(drop_save));
    for mut site in Site::each(&kept, more).await {
        for (what, expected) in CASES {
            let dropped = at_each_poll(async |polls| {
                site.start().await;
                let before = site.browser.header();
                let answer = site.get(&format!("/drop/{what}/{polls}")).await;
                let (has_ended, answered) = answer.split_once(' ').unwrap();
                let context = format!("{what}, {polls} polls, {}", site.engine);
                assert_eq!(answered, format!("{expected} hello"), "{context}");
                assert_eq!(site.get("/show").await, answered, "{context}");
                let is_over = ["login", "logout", "end"].contains(&what);
                if is_over {
                    assert_eq!(send(&site.app, "/show", &before).await.0, "hello", "{context}");
                }
                if site.is_stored() {
                    // The owner goes with the log-out and with everything that is cleared.
                    let devices = if ["logout", "end", "clear"].contains(&what) { "0" } else { "1" };
                    assert_eq!(site.devices().await, devices, "{context}");
                }
                has_ended.parse().unwrap()
            })
            .await;
            assert!(dropped >= if site.is_stored() { 2 } else { 1 }, "{what}, {}: {dropped}", site.engine);
        }
    }
}

/// Drops an update after so many polls, and makes another one.
async fn drop_update(session: Session, Path(polls): Path<usize>) -> Result<String, Error> {
    let add = |n: Option<u32>| n.unwrap_or(0) + 1;
    let updated = drop_after(polls, session.update("n", add)).await.transpose()?;
    let n = session.update("n", add).await?;
    Ok(format!("{} {n}", updated.is_some()))
}

async fn a_dropped_update_counts_once_or_not_at_all(kept: Kept) {
    let more = Router::new().route("/update/{polls}", get(drop_update));
    for mut site in Site::each(&kept, more).await {
        let dropped = at_each_poll(async |polls| {
            site.start().await;
            let answer = site.get(&format!("/update/{polls}")).await;
            let (has_ended, n) = answer.split_once(' ').unwrap();
            let context = format!("{polls} polls, {}", site.engine);
            assert!(n == "3" || (n == "2" && has_ended == "false"), "{context}: {answer}");
            assert!(polls > 0 || n == "2", "{context}: {answer}");
            assert_eq!(site.get("/show").await, format!("a n={n} hello"), "{context}");
            has_ended.parse().unwrap()
        })
        .await;
        assert!(dropped >= if site.is_stored() { 2 } else { 1 }, "{}: {dropped}", site.engine);
    }
}

each_store! {
    a_dropped_save_is_done_with_the_response
    a_dropped_update_counts_once_or_not_at_all
}
