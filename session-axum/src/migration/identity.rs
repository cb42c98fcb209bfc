//! What tells a former session from all others, and what it becomes here.

use session_core::{
    SessionId,
    former::FormerSystem,
    store::{Entries, RecordKey},
    token::IdSecret,
};

use crate::{
    config::Settings,
    engine::{Destination, FormerId},
};

/// What a former session becomes here: its ids and secrets, and the keys of what is noted about it.
#[derive(Clone)]
pub(super) struct Identity {
    successors: Vec<(SessionId, IdSecret)>,
    /// The key under which it is noted that the session has moved, whatever its content was.
    pub(super) mark: RecordKey,
    /// Stands for the content.
    content: RecordKey,
}

impl Identity {
    /// Creates the identity of a session of a former layer. Where the data is in the cookie, an older cookie of the same
    /// session becomes another session: otherwise the cookie from before a log-in would open what the log-in has made.
    pub(super) fn of_layer(settings: &Settings, former: &Settings, id: &FormerId) -> Option<Self> {
        let mut identity = tagged(b"layer", former.session_cookie.spec.name());
        identity.extend_from_slice(id.id.as_bytes());
        identity.extend(id.key.iter().flat_map(|key| *key.hash()));
        let mark = identity.clone();
        for (key, text) in id.content.iter().flat_map(Entries::fields) {
            for part in [key, text] {
                identity.extend_from_slice(&(part.len() as u64).to_be_bytes());
                identity.extend_from_slice(part.as_bytes());
            }
        }
        Self::new(settings, &mark, &identity)
    }

    /// Creates the identity of a session of another system.
    pub(super) fn of_system(settings: &Settings, system: &dyn FormerSystem, identity: &[u8]) -> Option<Self> {
        let cookies = system.cookies();
        let mut all = tagged(b"system", cookies.first().map_or("", |cookie| cookie.name()));
        all.extend_from_slice(identity);
        Self::new(settings, &all, &all)
    }

    fn new(settings: &Settings, mark: &[u8], identity: &[u8]) -> Option<Self> {
        let successors = settings.successors(identity)?;
        let key = |identity: &[u8]| RecordKey::of_moved(&settings.config.application, identity);
        Some(Self { successors, mark: key(mark), content: key(identity) })
    }

    pub(super) fn destination(&self, marked_until: Option<u64>) -> Destination<'_> {
        let Self { successors, mark, content } = self;
        Destination { successors, mark: *mark, marked_until, content: *content, has_just_moved: false }
    }

    /// Returns whether this is an id that the session can get here.
    pub(super) fn becomes(&self, id: SessionId) -> bool {
        self.successors.iter().any(|(successor, _)| *successor == id)
    }
}

/// Begins an identity with the kind of the former place and the name of its cookie.
fn tagged(kind: &[u8], name: &str) -> Vec<u8> {
    let mut identity = kind.to_vec();
    identity.extend_from_slice(&(name.len() as u64).to_be_bytes());
    identity.extend_from_slice(name.as_bytes());
    identity
}
