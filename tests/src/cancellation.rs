//! Futures that are dropped while they wait: a client disconnects, or a timeout passes. Every operation of a store,
//! every request, every save and update of a handler, and every method of a handle is dropped at each of its polls.

mod handlers;
mod handles;
mod operations;
mod requests;

use std::sync::Arc;

use session_core::store::SessionStore;
use session_stores::MemoryStore;

use crate::support::{backends::Backend, watched::Watched};

/// A store, and what it is in for as long as it is used.
struct Kept {
    store: Arc<dyn SessionStore>,
    _backend: Option<Backend>,
}

impl Kept {
    fn in_memory() -> Self {
        Self { store: Arc::new(Watched::in_steps(Arc::new(MemoryStore::new()))), _backend: None }
    }

    async fn by(backend: Backend) -> Self {
        // How often a database lets a future wait differs from time to time, and the steps do not.
        Self { store: Arc::new(Watched::in_steps(backend.connect().await)), _backend: Some(backend) }
    }
}

/// Makes a test of each function for each store.
macro_rules! each_store {
    ($($test:ident)+) => {
        $crate::cancellation::each_store!(@ [$($test)+]
            memory: Kept::in_memory(),
            sqlite: Kept::by($crate::support::backends::Backend::sqlite()).await,
            postgres: Kept::by($crate::support::backends::Backend::postgres().await).await,
            mariadb: Kept::by($crate::support::backends::Backend::mariadb().await).await,
            redis: Kept::by($crate::support::backends::Backend::redis()).await,
            redis_cluster: Kept::by($crate::support::backends::Backend::redis_cluster()).await,
        );
    };
    (@ $tests:tt $($name:ident: $kept:expr,)+) => {
        $($crate::cancellation::each_store!(@@ $tests $name: $kept);)+
    };
    (@@ [$($test:ident)+] $name:ident: $kept:expr) => {
        mod $name {
            use super::Kept;

            $(#[tokio::test]
            async fn $test() {
                super::$test($kept).await;
            })+
        }
    };
}
use each_store;
