//! Who is measured, and against what.

use guard::{Scenario, Variant, encrypted, plain, signed, typed};

use crate::peers::{self, Actix};

/// A variant, and the row that its cost is over.
pub struct Contender {
    pub kind: Kind,
    /// Where it stands; a framework without sessions is its own.
    pub baseline: usize,
}

pub enum Kind {
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
}

/// Everybody: the baselines first, then ours, then the others.
pub fn all() -> Vec<Contender> {
    let axum = |variant| Contender { kind: Kind::Axum(variant), baseline: PLAIN_AXUM };
    let actix = |actix| Contender { kind: Kind::Actix(actix), baseline: PLAIN_ACTIX };
    vec![
        axum(plain()),
        actix(peers::plain_actix()),
        axum(signed()),
        axum(encrypted()),
        axum(typed()),
        axum(peers::identity()),
        axum(peers::as_layer()),
        axum(peers::as_extractor()),
        axum(peers::tower_cookies()),
        axum(peers::signed_jar()),
        axum(peers::private_jar()),
        axum(peers::jwt()),
        axum(peers::cookie_store()),
        axum(peers::in_memory()),
        axum(peers::in_memory_signed()),
        axum(peers::axum_session()),
        actix(peers::actix_session()),
    ]
}

const PLAIN_AXUM: usize = 0;
const PLAIN_ACTIX: usize = 1;
/// Ours as most will use it: what the ratios are to.
pub const OURS: usize = 2;
