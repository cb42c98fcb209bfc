//! How a request's cost grows with what it carries: more keys, other people's cookies, a header as long as servers
//! take.

use std::time::{Duration, Instant};

use axum::{Router, body::Body, routing::get};
use http::{HeaderValue, Request};
use session_axum::{Keys, Session, SessionLayer};

use crate::{
    instructions,
    plain::routes,
    scenario::saw,
    variant::{Exchange, header_value, send, settled, visit},
};

/// What a request that reads one number carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// A session of 5 keys.
    FewKeys,
    /// A session of 50 keys, and as many bytes.
    ManyKeys,
    /// Before the session's cookie, 50 that are not ours.
    ForeignCookies,
    /// As many of them as 64 KB hold.
    LongHeader,
    /// Before the session's cookie, 64 KB of cookies that only have its name.
    LongForgery,
}

impl Load {
    pub const ALL: [Self; 5] =
        [Self::FewKeys, Self::ManyKeys, Self::ForeignCookies, Self::LongHeader, Self::LongForgery];
}

/// Ours, plain axum, and what a browser brings to them.
pub struct Growth {
    ours: Router,
    plain: Router,
    few: String,
    many: String,
}

impl Growth {
    #[expect(clippy::new_without_default, reason = "it draws keys, and asks for cookies")]
    pub fn new() -> Self {
        let router = Router::new()
            .route("/seed/few", get(async |session: Session| seed(&session, 5)))
            .route("/seed/many", get(async |session: Session| seed(&session, 50)))
            .route(
                "/read",
                get(async |session: Session| {
                    saw(session.get("visits").unwrap_or_default());
                    "ok"
                }),
            );
        let ours = settled(router.layer(SessionLayer::signed(Keys::generate())));
        let (few, many) = (visit(&ours, "/seed/few", ""), visit(&ours, "/seed/many", ""));
        // The layer looks harder at its first requests.
        (0..1_001).for_each(|_| drop(visit(&ours, "/read", &few)));
        Self { plain: settled(routes()), ours, few, many }
    }

    /// How many times as much as reading one key of 5 it costs to read one of 50, each over plain axum. The three take
    /// turns, and of each the fastest turn counts, which nothing else on the machine slowed down.
    pub fn many_keys_over_few(&self) -> f64 {
        let turns = [
            (&self.plain, self.cookie(Load::FewKeys)),
            (&self.ours, self.cookie(Load::FewKeys)),
            (&self.ours, self.cookie(Load::ManyKeys)),
        ];
        let mut least = [Duration::MAX; 3];
        for _ in 0..ROUNDS {
            for (least, (router, cookie)) in least.iter_mut().zip(&turns) {
                *least = time(router, cookie).min(*least);
            }
        }
        let [plain, few, many] = least;
        (many - plain).div_duration_f64(few - plain)
    }

    /// Runs every load between marks, in their order: for [`instructions_of`].
    pub fn count(&self) {
        for load in Load::ALL {
            let cookie = self.cookie(load);
            run(&self.ours, requests(&cookie));
            let requests = requests(&cookie);
            instructions::counted(|| run(&self.ours, requests));
        }
    }

    fn cookie(&self, load: Load) -> HeaderValue {
        let session = &self.few;
        header_value(&match load {
            Load::FewKeys => session.clone(),
            Load::ManyKeys => self.many.clone(),
            Load::ForeignCookies => cookies(FOREIGN).take(50).chain([session.clone()]).collect::<Vec<_>>().join("; "),
            Load::LongHeader => filled(FOREIGN, session),
            Load::LongForgery => filled(session.split('=').next().unwrap_or_default(), session),
        })
    }
}

/// Instructions of a request under each of [`Load::ALL`], if `argument` makes this program count them.
pub fn instructions_of(argument: &str) -> std::io::Result<Vec<u64>> {
    Ok(instructions::of(argument)?.into_iter().map(|count| count / TIMES as u64).collect())
}

fn seed(session: &Session, keys: usize) -> Result<&'static str, session_axum::Error> {
    let others = keys - 1;
    for key in 0..others {
        // `"keyNN":"..",` is eleven bytes and the value.
        session.insert(&format!("key{key:02}"), "x".repeat(SIZE / others - 11))?;
    }
    session.insert("visits", 1_041)?;
    Ok("ok")
}

/// Of the other keys: both 4 and 49 divide it.
const SIZE: usize = 1_960;

fn cookies(name: &str) -> impl Iterator<Item = String> {
    (0..).map(move |n| format!("{name}=a-value-of-24-bytes-{n:04}"))
}

fn filled(name: &str, session: &str) -> String {
    let mut header = String::new();
    for cookie in cookies(name) {
        if header.len() + cookie.len() + session.len() + 4 > HEADER {
            break;
        }
        header.push_str(&cookie);
        header.push_str("; ");
    }
    header + session
}

const FOREIGN: &str = "somebody_elses";
const HEADER: usize = 64 * 1024;

fn time(router: &Router, cookie: &HeaderValue) -> Duration {
    let requests = requests(cookie);
    let start = Instant::now();
    run(router, requests);
    start.elapsed()
}

fn requests(cookie: &HeaderValue) -> Vec<Request<Body>> {
    (0..TIMES).map(|_| Exchange { path: "/read", cookie: Some(cookie.clone()) }.request()).collect()
}

fn run(router: &Router, requests: Vec<Request<Body>>) {
    for request in requests {
        drop(send(router, request));
    }
}

const TIMES: usize = 32;
const ROUNDS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::seen;

    #[test]
    fn every_load_still_finds_the_session() {
        let growth = Growth::new();
        for load in Load::ALL {
            seen();
            drop(send(&growth.ours, Exchange { path: "/read", cookie: Some(growth.cookie(load)) }.request()));
            assert_eq!(seen(), Some(1_041), "{load:?}");
        }
    }

    #[test]
    fn sessions_of_few_and_of_many_keys_are_equally_long() {
        let growth = Growth::new();
        assert_eq!(growth.few.len(), growth.many.len());
    }

    #[test]
    fn a_long_header_has_64_kilobytes() {
        let growth = Growth::new();
        for load in [Load::LongHeader, Load::LongForgery] {
            let length = growth.cookie(load).len();
            assert!((HEADER - 64..=HEADER).contains(&length), "{load:?}: {length}");
        }
    }
}
