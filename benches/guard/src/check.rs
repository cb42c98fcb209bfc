//! Whether a row does what its columns say. What does nothing costs nothing, and would look like the best.

use http::HeaderValue;

use crate::{
    scenario::{FLASH, Scenario, Session, last_visit, seen},
    variant::{Answer, Cookies, Exchange, keep},
};

/// Every route answers as everybody's does: with the page, or with the redirect.
pub fn check_answers(name: &str, cookies: &Cookies, answer: impl Fn(Exchange) -> Answer) {
    for scenario in Scenario::ALL {
        for exchange in cookies.exchanges(scenario) {
            let path = exchange.path;
            let expected = if path == "/flash" { (303, "") } else { (200, "ok") };
            let answer = answer(exchange);
            assert_eq!((answer.status, answer.body.as_str()), expected, "{name}, {}: {path}", scenario.name());
        }
    }
}

/// What is read is what was kept, what is forged is nothing, and what is written or flashed is there afterwards.
pub fn check_session(name: &str, cookies: &Cookies, answer: impl Fn(Exchange) -> Answer) {
    let visits = Some(Session::small().visits);
    for (scenario, expected) in [
        (Scenario::Read, visits),
        (Scenario::ReadLarge, visits),
        (Scenario::NoCookie, None),
        (Scenario::Forged, None),
        (Scenario::FlashRound, Some(FLASH.len() as u64)),
    ] {
        let (found, _) = follow(cookies.exchanges(scenario), &answer);
        assert_eq!(found, expected, "{name}, {}", scenario.name());
    }
    let (_, written) = follow(cookies.exchanges(Scenario::Write), &answer);
    assert_eq!(follow([visit("/read", written)], &answer).0, Some(last_visit()), "{name}: read after write");
    let (_, shown) = follow(cookies.exchanges(Scenario::FlashRound), &answer);
    assert_eq!(follow([visit("/page", shown)], &answer).0, None, "{name}: a flash is shown once");
    // Last, since what it writes stays where sessions live on the server.
    check_answers(name, cookies, answer);
}

/// What the last handler found, and the cookies that a browser then has.
fn follow(exchanges: impl IntoIterator<Item = Exchange>, answer: impl Fn(Exchange) -> Answer) -> (Option<u64>, String) {
    let mut kept = String::new();
    seen();
    for exchange in exchanges {
        let cookie = exchange.cookie.as_ref().and_then(|cookie| cookie.to_str().ok()).unwrap_or_default().to_owned();
        kept = keep(&cookie, answer(exchange).set_cookies.iter().map(String::as_str));
    }
    (seen(), kept)
}

fn visit(path: &'static str, cookie: String) -> Exchange {
    Exchange { path, cookie: HeaderValue::try_from(cookie).ok() }
}
