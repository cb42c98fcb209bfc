//! Who is measured, and against what.

use std::{io, net::TcpListener};

use guard::{Scenario, Variant, by_hand, encrypted, plain, signed, typed};

use crate::{
    ours,
    peers::{self, Actix},
    server,
};

/// A row of the tables that is yet to be made.
pub struct Row {
    make: Make,
    baseline: usize,
    waits: bool,
    pub in_process: bool,
    on_sockets: bool,
}

enum Make {
    Axum(fn() -> Variant),
    Actix(fn() -> Actix),
}

/// Everybody, in the tables' order: the baselines, then ours, then the others. README.md says how to add one.
///
/// Those that are measured on sockets alone stand last, so that the tables of the others need not know of them.
pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        axum(plain).on_sockets(),
        actix(peers::plain_actix).on_sockets(),
        axum(signed).on_sockets(),
        axum(encrypted).on_sockets(),
        axum(typed),
        axum(ours::in_memory).on_sockets(),
        axum(peers::identity),
        axum(peers::as_layer).on_sockets(),
        axum(peers::as_extractor),
        axum(by_hand).on_sockets(),
        axum(peers::tower_cookies).on_sockets(),
        axum(peers::signed_jar).on_sockets(),
        axum(peers::private_jar),
        axum(peers::jwt).on_sockets(),
        axum(peers::cookie_store).on_sockets(),
        axum(peers::in_memory).on_sockets(),
        axum(peers::in_memory_signed).on_sockets(),
        axum(peers::axum_session).on_sockets().waits(),
        actix(peers::actix_session).on_sockets(),
        axum(ours::in_sqlite).on_sockets_alone(),
    ];
    if ours::is_installed("postgres") {
        rows.push(axum(ours::in_postgres).on_sockets_alone());
    }
    if ours::is_installed("redis-server") {
        rows.push(axum(ours::in_redis).on_sockets_alone());
    }
    rows
}

const PLAIN_AXUM: usize = 0;
const PLAIN_ACTIX: usize = 1;
/// Ours as most will use it: what the ratios are to.
pub const OURS: usize = 2;

const fn axum(make: fn() -> Variant) -> Row {
    Row { make: Make::Axum(make), baseline: PLAIN_AXUM, waits: false, in_process: true, on_sockets: false }
}

const fn actix(make: fn() -> Actix) -> Row {
    Row { make: Make::Actix(make), baseline: PLAIN_ACTIX, waits: false, in_process: true, on_sockets: false }
}

impl Row {
    /// It has others do its work, threads or servers, and its own instructions are those of waiting.
    const fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    /// It is measured as a server too.
    const fn on_sockets(mut self) -> Self {
        self.on_sockets = true;
        self
    }

    /// It is measured as a server, and nowhere else: to wait for a file or another server is most of what it does.
    const fn on_sockets_alone(mut self) -> Self {
        self.in_process = false;
        self.on_sockets()
    }

    pub fn contender(&self) -> Contender {
        let kind = match self.make {
            Make::Axum(make) => Kind::Axum(make()),
            Make::Actix(make) => Kind::Actix(make()),
        };
        Contender { kind, baseline: self.baseline, waits: self.waits, on_sockets: self.on_sockets }
    }
}

/// A variant, and the row that its cost is over.
pub struct Contender {
    kind: Kind,
    /// Where it stands; a framework without sessions is its own.
    pub baseline: usize,
    pub waits: bool,
    pub on_sockets: bool,
}

enum Kind {
    Axum(Variant),
    Actix(Actix),
}

impl Contender {
    pub const fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Axum(variant) => variant.name,
            Kind::Actix(actix) => actix.name,
        }
    }

    pub fn refresh(&mut self) {
        match &mut self.kind {
            Kind::Axum(variant) => variant.refresh(),
            Kind::Actix(actix) => actix.refresh(),
        }
    }

    /// The requests are made before `measure` begins, and it is handed what runs them.
    pub fn run<R>(&self, scenario: Scenario, times: usize, measure: impl FnOnce(&mut dyn FnMut()) -> R) -> R {
        match &self.kind {
            Kind::Axum(variant) => {
                let mut requests = variant.prepare(scenario, times);
                measure(&mut || variant.run(std::mem::take(&mut requests)))
            }
            Kind::Actix(actix) => {
                let mut requests = actix.prepare(scenario, times);
                measure(&mut || actix.run(std::mem::take(&mut requests)))
            }
        }
    }

    /// Answers on a socket until the process ends.
    pub fn serve(&self, listener: TcpListener) -> io::Result<()> {
        match &self.kind {
            Kind::Axum(variant) => server::axum(variant.router().clone(), listener),
            Kind::Actix(actix) => (actix.serve)(listener),
        }
    }
}
