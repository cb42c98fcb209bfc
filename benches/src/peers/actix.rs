//! actix-session's signed cookie, over actix-web: a framework of its own, and so a baseline of its own.

use std::{future::Future, io, net::TcpListener};

use ::actix_session::{Session, SessionMiddleware, storage::CookieSessionStore};
use actix_http::Request;
use actix_service::Service;
use actix_web::{
    App, Error, HttpResponse, HttpServer,
    body::to_bytes,
    cookie::Key,
    dev::ServiceResponse,
    http::header,
    rt::System,
    test::{TestRequest, init_service},
    web::{Redirect, ServiceConfig, get},
};
use guard::{Answer, Cookies, Exchange, FLASH, Scenario, check_answers, check_session, drive, keep, next_visit, saw};
use http::HeaderValue;

/// Runs one request.
type Call = Box<dyn Fn(Request) -> ServiceResponse>;

pub struct Actix {
    pub name: &'static str,
    /// Answers on a socket until the process ends.
    pub serve: fn(TcpListener) -> io::Result<()>,
    call: Call,
    cookies: Cookies,
    keeps_sessions: bool,
}

impl Actix {
    fn baseline(name: &'static str, call: Call, serve: fn(TcpListener) -> io::Result<()>) -> Self {
        let cookies = Cookies::nobodys();
        check_answers(name, &cookies, |exchange| answer(&call, exchange));
        Self { name, serve, call, cookies, keeps_sessions: false }
    }

    /// Fetches the cookies, and checks that the routes do what they should.
    fn new(name: &'static str, call: Call, serve: fn(TcpListener) -> io::Result<()>) -> Self {
        let cookies = fetch(&call);
        check_session(name, &cookies, |exchange| answer(&call, exchange));
        Self { name, serve, call, cookies, keeps_sessions: true }
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
    let call = caller(init_service(App::new().configure(plain_routes)));
    Actix::baseline("plain actix-web", call, |listener| {
        let server = HttpServer::new(|| App::new().configure(plain_routes));
        System::new().block_on(server.workers(1).listen(listener)?.run())
    })
}

fn plain_routes(config: &mut ServiceConfig) {
    config
        .route("/seed/small", get().to(async || "ok"))
        .route("/untouched", get().to(async || "ok"))
        .route("/read", get().to(async || "ok"))
        .route("/write", get().to(async || "ok"))
        .route("/flash", get().to(async || Redirect::to("/page").see_other()))
        .route("/page", get().to(async || "ok"));
}

pub fn actix_session() -> Actix {
    let call = caller(init_service(App::new().wrap(middleware(Key::generate())).configure(routes)));
    Actix::new("actix-session, signed cookie (over actix-web)", call, |listener| {
        let key = Key::generate();
        let server = HttpServer::new(move || App::new().wrap(middleware(key.clone())).configure(routes));
        System::new().block_on(server.workers(1).listen(listener)?.run())
    })
}

fn middleware(key: Key) -> SessionMiddleware<CookieSessionStore> {
    SessionMiddleware::new(CookieSessionStore::default(), key)
}

fn routes(config: &mut ServiceConfig) {
    config
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

fn visit(call: &Call, path: &'static str, cookie: &str) -> String {
    let cookie_header = HeaderValue::from_str(cookie).ok().filter(|cookie| !cookie.is_empty());
    let answer = answer(call, Exchange { path, cookie: cookie_header });
    keep(cookie, answer.set_cookies.iter().map(String::as_str))
}

fn answer(call: &Call, exchange: Exchange) -> Answer {
    let response = call(request(exchange.path, exchange.cookie.as_ref().and_then(|cookie| cookie.to_str().ok())));
    let set = response.headers().get_all(header::SET_COOKIE);
    Answer {
        status: response.status().as_u16(),
        set_cookies: set.map(|value| value.to_str().unwrap_or_default().to_owned()).collect(),
        body: drive(to_bytes(response.into_body())).map_or_else(
            |_| panic!("{}: no body", exchange.path),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        ),
    }
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
