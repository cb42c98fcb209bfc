//! Sessions after the response, and sessions of clients without cookies.

mod bearer;
mod connections;
mod detached;
mod ended;
mod other_engines;
mod within_the_request;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use session_axum::{
    Detached, Error, ErrorKind, Session, SessionLayer, SessionResponseExt,
    testing::{Client, ManualClock},
};
use session_core::store::SessionStore;
use session_stores::MemoryStore;

use crate::support::{
    app::{NOW, keys},
    backends::Backend,
    watched::Watched,
};

/// The place where the sessions of several instances are kept.
enum Shared {
    Memory(MemoryStore),
    Backend(Backend),
}

impl Shared {
    fn memory() -> Self {
        Self::Memory(MemoryStore::new())
    }

    /// Returns a store with connections of its own.
    async fn connect(&self) -> Arc<dyn SessionStore> {
        match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Backend(backend) => backend.connect().await,
        }
    }
}

/// An application whose handlers leave detached handles for the test, and a browser.
struct Site {
    layer: SessionLayer,
    clock: ManualClock,
    app: Router,
    client: Client,
    handles: Handles,
}

impl Site {
    fn on(store: impl SessionStore, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> Self {
        let clock = ManualClock::at(NOW);
        Self::with(configure(SessionLayer::stored(store, keys()).clock(clock.clone())), clock)
    }

    fn with(layer: SessionLayer, clock: ManualClock) -> Self {
        let handles = Handles::default();
        let app = app(layer.clone(), handles.clone());
        Self { client: Client::new(app.clone()), layer, clock, app, handles }
    }

    /// Returns a site with a counting store. Its browser has a session with `a` in it.
    async fn watched() -> (Self, Watched) {
        let store = Watched::new();
        let site = Self::on(store.clone(), |layer| layer);
        site.get("/set/a/1").await;
        store.calls();
        (site, store)
    }

    async fn get(&self, path: &str) -> String {
        let page = self.client.get(path).await;
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        page.text()
    }

    /// Sends a request that leaves a handle, and then does something with its session.
    async fn handle(&self, action: &str) -> Detached {
        self.client.get(&format!("/handle/{action}")).await;
        self.handles.take()
    }

    fn cookie(&self) -> String {
        self.client.cookie(COOKIE).unwrap()
    }
}

/// The handles that the handlers have left.
#[derive(Clone, Default)]
struct Handles(Arc<Mutex<Vec<Detached>>>);

impl Handles {
    fn leave(&self, session: &Session) {
        self.0.lock().unwrap().push(session.detached());
    }

    fn take(&self) -> Detached {
        self.pop().expect("a handler has left a handle")
    }

    fn pop(&self) -> Option<Detached> {
        self.0.lock().unwrap().pop()
    }
}

fn app(layer: SessionLayer, handles: Handles) -> Router {
    Router::new()
        .route("/get/{key}", get(read))
        .route("/set/{key}/{value}", get(write))
        .route("/count", get(count))
        .route("/own/{owner}", get(own))
        .route("/do/{action}", get(act))
        .route("/handle/{action}", get(handle))
        .route("/within/{action}", get(use_within))
        .with_state(handles)
        .layer(layer)
}

async fn read(session: Session, Path(key): Path<String>) -> Result<String, Error> {
    Ok(session.get::<String>(&key)?.unwrap_or_default())
}

async fn write(session: Session, Path((key, value)): Path<(String, String)>) -> Result<(), Error> {
    session.insert(&key, value)
}

async fn count(session: Session) -> Result<(), Error> {
    session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1).await.map(drop)
}

async fn own(session: Session, Path(owner): Path<String>) -> Result<(), Error> {
    session.set_owner(owner)
}

async fn handle(session: Session, State(handles): State<Handles>, action: Path<String>) -> Response {
    handles.leave(&session);
    act(session, action).await
}

async fn act(session: Session, Path(action): Path<String>) -> Response {
    let done = match action.as_str() {
        "nothing" => Ok(()),
        "begin" => session.insert("a", "1"),
        "fail" => {
            session.insert("lost", true).unwrap();
            return StatusCode::BAD_GATEWAY.into_response();
        }
        "renew" => {
            session.renew();
            session.insert("renewed", "yes")
        }
        "rotate" => {
            session.rotate();
            Ok(())
        }
        "destroy" => {
            session.destroy();
            Ok(())
        }
        "replace" => return ().with_session([("a", "replaced")]).into_response(),
        "save" => {
            session.insert("a", "saved").unwrap();
            session.save().await
        }
        "wait" => std::future::pending().await,
        other => panic!("{other} is no action"),
    };
    done.into_response()
}

/// Uses the handle in the handler itself.
async fn use_within(session: Session, Path(action): Path<String>) -> Result<String, Error> {
    session.insert("a", "within")?;
    if action == "after-save" {
        session.save().await?;
    }
    let handle = session.detached();
    let written = handle.insert("b", "handle").await;
    if action == "unsaved" {
        assert_eq!(*written.as_ref().unwrap_err().kind(), ErrorKind::Unsaved);
    }
    written?;
    Ok(handle.get::<String>("a").await?.unwrap_or_default())
}

/// Makes the tests for each store.
macro_rules! each_store {
    ($($test:ident)+) => {
        each_store! { @ memory: Shared::memory() => $($test)+ }
        each_store! { @ sqlite: Shared::Backend(Backend::sqlite()) => $($test)+ }
        each_store! { @ postgres: Shared::Backend(Backend::postgres().await) => $($test)+ }
        each_store! { @ mariadb: Shared::Backend(Backend::mariadb().await) => $($test)+ }
        each_store! { @ redis: Shared::Backend(Backend::redis()) => $($test)+ }
    };
    (@ $name:ident: $shared:expr => $($test:ident)+) => {
        mod $name {
            #[allow(unused_imports, reason = "each store uses one of them")]
            use super::super::{Backend, Shared};

            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($shared).await;
            })+
        }
    };
}
use each_store;

const COOKIE: &str = "__Host-session";
const HOUR: Duration = Duration::from_secs(60 * 60);
