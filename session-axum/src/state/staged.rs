//! The staged changes of a request to its session, and the id that a new session will get.

use session_core::{RandomError, SessionId, store::Changes, token::IdSecret};

use super::loaded::Loaded;

/// The changes of handlers to the session since it was loaded or last saved.
#[derive(Clone, Debug, Default)]
pub(crate) struct Staged {
    pub(crate) changes: Changes,
    pub(crate) next_id: NextId,
}

impl Staged {
    /// Returns the part of the changes that still counts after a server error: only the end of the session.
    pub(crate) fn rolled_back(&self) -> Self {
        Self { changes: self.changes.rolled_back(), next_id: NextId::default() }
    }

    /// Ends the session. Changes that are staged later belong to a new session.
    pub(crate) fn destroy(&mut self) {
        self.changes.destroy();
        self.next_id = NextId::default();
    }

    /// Ends the session and begins another, with the owner, the label and the limits that were staged.
    pub(crate) fn replace(&mut self) {
        self.changes.replace();
        self.next_id = NextId::default();
    }

    pub(crate) fn renew(&mut self) {
        self.changes.renew();
        self.next_id.renew();
    }

    pub(crate) fn rotate(&mut self) {
        self.changes.rotate();
        self.next_id.renew();
    }

    /// Returns the session's current id, or the new id if the session gets another one.
    pub(crate) fn id(&mut self, loaded: &Loaded) -> Result<SessionId, RandomError> {
        self.next_id.id(loaded, &self.changes)
    }

    /// Removes the changes that a save has written.
    pub(crate) fn settle(&mut self, saved: &Self) {
        self.changes = self.changes.since(&saved.changes);
        if self.next_id.drawn_id() == saved.next_id.drawn_id() {
            self.next_id = NextId::default();
        }
    }
}

/// The new id of the session, and the secret for its cookie. Each is drawn only once, so that a repeated save writes
/// the same session.
#[derive(Clone, Debug, Default)]
pub(crate) struct NextId {
    drawn: Option<Box<Drawn>>,
    /// The id that was drawn before a renewal. A save may have begun to write a session under it.
    former: Option<SessionId>,
}

#[derive(Clone, Debug)]
struct Drawn {
    id: SessionId,
    secret: Option<IdSecret>,
}

impl NextId {
    /// Returns the session's current id, or the new id if the session gets another one.
    pub(crate) fn id(&mut self, loaded: &Loaded, changes: &Changes) -> Result<SessionId, RandomError> {
        match loaded.session() {
            Some(live) if !changes.needs_new_id() => Ok(live.frame.id),
            _ => Ok(self.draw(loaded, changes)?.id),
        }
    }

    /// Returns the id that the session will get, and the secret for its cookie.
    pub(crate) fn id_and_secret(
        &mut self,
        loaded: &Loaded,
        changes: &Changes,
    ) -> Result<(SessionId, IdSecret), RandomError> {
        let Drawn { id, secret } = self.draw(loaded, changes)?;
        let secret = match secret {
            Some(secret) => secret,
            None => secret.insert(IdSecret::random()?),
        };
        Ok((*id, secret.clone()))
    }

    fn draw(&mut self, loaded: &Loaded, changes: &Changes) -> Result<&mut Drawn, RandomError> {
        match &mut self.drawn {
            Some(drawn) => Ok(drawn),
            empty @ None => {
                let live = loaded.session().filter(|_| !changes.destroys()).map(|live| live.frame.id);
                // A renewed session stays on the same node of a cluster.
                let id = match self.former.or(live) {
                    Some(id) => id.renewed()?,
                    None => SessionId::random()?,
                };
                Ok(empty.insert(Box::new(Drawn { id, secret: None })))
            }
        }
    }

    /// Drops the id, so that a new id is drawn, on the same node of a cluster.
    fn renew(&mut self) {
        self.former = self.drawn_id().or(self.former);
        self.drawn = None;
    }

    fn drawn_id(&self) -> Option<SessionId> {
        self.drawn.as_ref().map(|drawn| drawn.id)
    }
}
