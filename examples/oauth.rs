//! A log-in at another site, with a provider of its own: the way back is a GET, or a POST that brings no session.
//! `cargo run --example oauth`, then open <http://127.0.0.1:3000>. The provider is at `http://localhost:3001`, which is
//! another site for a browser. `PORT` chooses another port, and the provider has the next one.

use axum::{
    Form, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use session_axum::{Error, Keys, Session, SessionId, SessionLayer, Ticket, TicketData};
use session_examples::start;
use tower_http::csrf::CsrfLayer;

/// What the application remembers until the visitor comes back. `cross_site`: the browser sends it with a POST too.
#[derive(Serialize, Deserialize, TicketData)]
#[ticket(name = "oauth", path = "/callback", lifetime = "10m", cross_site)]
struct OAuth {
    state: String,
}

/// The user who has come back, for the next request. That one comes from this site, and so brings the session.
#[derive(Serialize, Deserialize, TicketData)]
#[ticket(name = "arrived", path = "/welcome", lifetime = "60s")]
struct Arrived {
    user: String,
}

/// Where the two sites are, and the keys of the provider.
#[derive(Clone)]
pub(crate) struct Sites {
    pub(crate) shop: String,
    pub(crate) provider: String,
    pub(crate) keys: Keys,
}

#[derive(Deserialize)]
struct Answer {
    code: String,
    state: String,
}

async fn home(session: Session) -> Result<Html<String>, Error> {
    let user = session.get::<String>("user")?.unwrap_or_else(|| "stranger".to_owned());
    let cart = session.get::<Vec<String>>("cart")?.unwrap_or_default().join(", ");
    Ok(Html(format!(
        "<h1>Hello {user}</h1> <p>Cart: {cart}</p> <a href=/add>Add tea</a> <a id=get href=/login/query>Log in</a> \
         <a id=post href=/login/form_post>Log in, back by a POST</a>"
    )))
}

async fn add(session: Session) -> Result<Redirect, Error> {
    session
        .update("cart", |cart: Option<Vec<String>>| [cart.unwrap_or_default(), vec!["tea".to_owned()]].concat())
        .await?;
    Ok(Redirect::to("/"))
}

/// Sends the visitor to the provider, with a state that only the ticket and the provider's answer have.
async fn begin(State(sites): State<Sites>, mode: &str) -> Result<impl IntoResponse, StatusCode> {
    let state = SessionId::random().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.to_string();
    let page = format!("{}/authorize?mode={mode}&state={state}&redirect_uri={}/callback", sites.provider, sites.shop);
    Ok((Ticket::new(OAuth { state }), Redirect::to(&page)))
}

/// Both ways back. A POST from another site brings the ticket and no session, so nothing here touches the session: a
/// new one would take the place of the visitor's.
fn come_back(sites: &Sites, ticket: Ticket<OAuth>, answer: &Answer) -> Response {
    match ticket.take() {
        Some(OAuth { state }) if state == answer.state => {}
        _ => return (StatusCode::BAD_REQUEST, "This log-in was not begun here. Please begin again.").into_response(),
    }
    match exchange(sites, &answer.code) {
        Some(user) => (Ticket::new(Arrived { user }), Redirect::to("/welcome")).into_response(),
        None => (StatusCode::BAD_REQUEST, "The provider does not know this code.").into_response(),
    }
}

/// The last step: the session is here again, with the cart.
async fn welcome(session: Session, ticket: Ticket<Arrived>) -> Result<Redirect, Error> {
    if let Some(Arrived { user }) = ticket.take() {
        session.renew();
        session.insert("user", user)?;
    }
    Ok(Redirect::to("/"))
}

/// Stands in for the request from server to server that exchanges the code for the user.
fn exchange(sites: &Sites, code: &str) -> Option<String> {
    sites.keys.sealer("code").open(code)
}

pub(crate) fn app(layer: SessionLayer, sites: Sites) -> Router {
    let by_get = async |State(sites): State<Sites>, ticket: Ticket<OAuth>, Query(answer): Query<Answer>| {
        come_back(&sites, ticket, &answer)
    };
    let by_post = async |State(sites): State<Sites>, ticket: Ticket<OAuth>, Form(answer): Form<Answer>| {
        come_back(&sites, ticket, &answer)
    };
    Router::new()
        .route("/", get(home))
        .route("/add", get(add))
        .route("/login/query", get(async |sites| begin(sites, "query").await))
        .route("/login/form_post", get(async |sites| begin(sites, "form_post").await))
        .route("/callback", get(by_get).post(by_post))
        .route("/welcome", get(welcome))
        .layer(layer)
        // The provider's POST is let through to this one path. There the ticket protects, and nothing touches the
        // session.
        .layer(CsrfLayer::new().with_insecure_bypass(|_, uri| uri.path() == "/callback"))
        .with_state(sites)
}

#[derive(Deserialize)]
struct Authorize {
    mode: String,
    state: String,
    redirect_uri: String,
}

/// The provider: everybody is Ada. A real one asks for a password, and checks `redirect_uri`.
async fn authorize(State(sites): State<Sites>, Query(request): Query<Authorize>) -> Result<Html<String>, StatusCode> {
    if request.redirect_uri != format!("{}/callback", sites.shop) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let code = sites.keys.sealer("code").seal("Ada", std::time::Duration::from_secs(60));
    let (code, state) = (code.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?, escape(&request.state));
    let (method, uri) = (if request.mode == "form_post" { "post" } else { "get" }, &request.redirect_uri);
    Ok(Html(format!(
        "<form method={method} action=\"{uri}\"><input type=hidden name=code value=\"{code}\"> \
         <input type=hidden name=state value=\"{state}\"> <button>Continue as Ada</button></form>"
    )))
}

pub(crate) fn provider(sites: Sites) -> Router {
    Router::new().route("/authorize", get(authorize)).with_state(sites)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // The provider is on the next port.
    let port = start::port()?;
    let other = start::port_after(port)?;
    let listener = start::listen_on(other, &start::command()).await?;
    let (shop, provider_url) = (format!("http://127.0.0.1:{port}"), format!("http://localhost:{other}"));
    let sites = Sites { shop, provider: provider_url, keys: Keys::generate() };
    // For a laptop. In production use HTTPS and `SessionLayer::signed(Keys::from_env("SESSION_SECRET")?)`.
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    tokio::spawn(axum::serve(listener, provider(sites.clone())).into_future());
    start::serve("The shop is at", "", app(layer, sites)).await
}
