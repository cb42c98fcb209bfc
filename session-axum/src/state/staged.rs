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
        if self.next_id.drawn() == saved.next_id.drawn() {
            self.next_id = NextId::default();
        }
    }
}

/// The new id of the session, and the secret for its cookie. Each is drawn only once, so that a repeated save writes
/// the same session.
#[derive(Clone, Debug, Default)]
pub(crate) struct NextId(Option<Box<Drawn>>);

#[derive(Clone, Debug)]
enum Drawn {
    Id {
        id: SessionId,
        secret: Option<IdSecret>,
    },
    /// The id that was drawn before a renewal, if none was drawn since. A save may have begun to write a session under
    /// it.
    Former(SessionId),
}

impl NextId {
    /// Returns the session's current id, or the new id if the session gets another one.
    pub(crate) fn id(&mut self, loaded: &Loaded, changes: &Changes) -> Result<SessionId, RandomError> {
        match loaded.session() {
            Some(live) if !changes.needs_new_id() => Ok(live.frame.id),
            _ => Ok(*self.draw(loaded, changes)?.0),
        }
    }

    /// Returns the id that the session will get, and the secret for its cookie.
    pub(crate) fn id_and_secret(
        &mut self,
        loaded: &Loaded,
        changes: &Changes,
    ) -> Result<(SessionId, IdSecret), RandomError> {
        let (id, secret) = self.draw(loaded, changes)?;
        let secret = match secret {
            Some(secret) => secret,
            None => secret.insert(IdSecret::random()?),
        };
        Ok((*id, secret.clone()))
    }

    fn draw(&mut self, loaded: &Loaded, changes: &Changes) -> Result<(&SessionId, &mut Option<IdSecret>), RandomError> {
        let former = match self.0.as_deref() {
            Some(Drawn::Former(former)) => Some(*former),
            _ => None,
        };
        if self.drawn().is_none() {
            let live = loaded.session().filter(|_| !changes.destroys()).map(|live| live.frame.id);
            // A renewed session stays on the same node of a cluster.
            let id = match former.or(live) {
                Some(id) => id.renewed()?,
                None => SessionId::random()?,
            };
            self.0 = Some(Box::new(Drawn::Id { id, secret: None }));
        }
        match self.0.as_deref_mut() {
            Some(Drawn::Id { id, secret }) => Ok((id, secret)),
            _ => unreachable!("it was drawn above"),
        }
    }

    /// Drops the id, so that a new id is drawn, on the same node of a cluster.
    fn renew(&mut self) {
        if let Some(drawn) = &mut self.0
            && let Drawn::Id { id, .. } = **drawn
        {
            **drawn = Drawn::Former(id);
        }
    }

    /// Returns the new id, if it was drawn already.
    pub(crate) fn drawn(&self) -> Option<SessionId> {
        match self.0.as_deref() {
            Some(Drawn::Id { id, .. }) => Some(*id),
            Some(Drawn::Former(_)) | None => None,
        }
    }
}
