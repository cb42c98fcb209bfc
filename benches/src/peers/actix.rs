//! actix-session's signed cookie, over actix-web: a framework of its own, and so a baseline of its own.

use std::future::Future;

use ::actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
use actix_http::Request;
use actix_service::Service;
use actix_web::{
    App, Error, HttpResponse,
    cookie::Key,
    dev::ServiceResponse,
    http::header,
    test::{TestRequest, init_service},
    web::{Redirect, get},
};
use guard::{Cookies, FLASH, Scenario, drive, keep, next_visit, saw};

/// Runs one request.
type Call = Box<dyn Fn(Request) -> ServiceResponse>;

pub struct Actix {
    pub name: &'static str,
    call: Call,
    cookies: Cookies,
    keeps_sessions: bool,
}

impl Actix {
    fn new(name: &'static str, keeps_sessions: bool, call: Call) -> Self {
        let cookies = if keeps_sessions { fetch(&call) } else { Cookies::nobodys() };
        Self { name, call, cookies, keeps_sessions }
    }

    pub fn refresh(&mut self) {
        if self.keeps_sessions {
            self.cookies = fetch(&self.call);
        }
    }

    pub fn prepare(&self, scenario: Scenario, times: usize) -> Vec<Request> {
        let exchanges = (0..times).flat_map(|_| self.cookies.exchanges(scenario));
        exchanges.map(|it| request(it.path, it.cookie.as_ref().and_then(|cookie| cookie.to_str().ok()))).collect()
    }

    pub fn run(&self, requests: Vec<Request>) {
        for request in requests {
            drop((self.call)(request));
        }
    }
}

pub fn plain_actix() -> Actix {
    let app = App::new()
        .route("/untouched", get().to(async || "ok"))
        .route("/read", get().to(async || "ok"))
        .route("/write", get().to(async || "ok"))
        .route("/flash", get().to(async || Redirect::to("/page").see_other()))
        .route("/page", get().to(async || "ok"));
    Actix::new("plain actix-web", false, caller(init_service(app)))
}

pub fn actix_session() -> Actix {
    let app = App::new()
        .wrap(SessionMiddleware::new(CookieSessionStore::default(), Key::generate()))
        .route("/seed/small", get().to(async |session: Session| seed(&session, &guard::Session::small())))
        .route("/seed/large", get().to(async |session: Session| seed(&session, &guard::Session::large())))
        .route("/untouched", get().to(async || "ok"))
        .route(
            "/read",
            get().to(async |session: Session| {
                saw(session.get("visits").unwrap_or_default());
                "ok"
            }),
        )
        .route(
            "/write",
            get().to(async |session: Session| {
                session.insert("visits", next_visit()).unwrap_or_default();
                "ok"
            }),
        )
        .route(
            "/flash",
            get().to(async |session: Session| {
                session.insert("flash", FLASH).unwrap_or_default();
                Redirect::to("/page").see_other()
            }),
        )
        .route(
            "/page",
            get().to(async |session: Session| {
                let flash = session.remove_as::<String>("flash").and_then(Result::ok);
                saw(flash.map(|text| text.len() as u64));
                "ok"
            }),
        );
    Actix::new("actix-session, signed cookie (over actix-web)", true, caller(init_service(app)))
}

fn caller<S>(service: impl Future<Output = S>) -> Call
where
    S: Service<Request, Response = ServiceResponse, Error = Error> + 'static,
{
    let service = drive(service);
    Box::new(move |request| match drive(service.call(request)) {
        Ok(response) => response,
        Err(error) => panic!("{error}"),
    })
}

fn seed(session: &Session, values: &guard::Session) -> HttpResponse {
    for (key, value) in super::json::values(values) {
        session.insert(key, value).unwrap_or_default();
    }
    HttpResponse::Ok().body("ok")
}

fn fetch(call: &Call) -> Cookies {
    let small = visit(call, "/seed/small", "");
    Cookies::of(&small, &visit(call, "/seed/large", ""), &visit(call, "/flash", &small))
}

fn visit(call: &Call, path: &str, cookie: &str) -> String {
    let response = call(request(path, Some(cookie).filter(|cookie| !cookie.is_empty())));
    let set = response.headers().get_all(header::SET_COOKIE).map(|value| value.to_str().unwrap_or_default());
    keep(cookie, set)
}

fn request(path: &str, cookie: Option<&str>) -> Request {
    let mut request = TestRequest::get().uri(path);
    for header in [("host", "shop.example"), ("accept", "*/*")] {
        request = request.insert_header(header);
    }
    if let Some(cookie) = cookie {
        request = request.insert_header(("cookie", cookie));
    }
    request.to_request()
}
