//! The migration of sessions and flash messages from a former layer or another system.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use http::HeaderValue;
use session_core::{
    SessionId,
    flash::Batch,
    former::{Former, FormerCookies, FormerSystem},
    store::{End, RecordKey, StoreError, StoreErrorKind},
    token::Token,
    unix_seconds,
};
use tokio::time::timeout;

use crate::{
    config::Settings,
    engine::{Arrival, Destination, Engine, rotated_to},
    error::Error,
    layer::SessionLayer,
    state::{
        loaded::{Ended, Loaded},
        outcome::{Outcome, Plan},
    },
    wire::{
        flash_cookies::{FormerBatch, ReceivedBatch},
        request_cookies::RequestCookies,
    },
};

/// The sessions that [`SessionLayer::migrating_from`] reads: those of another [`SessionLayer`], or of a
/// [`FormerSystem`].
///
/// # Examples
///
/// ```
/// # use session_axum::{FormerSessions, Keys, SessionLayer};
/// let former = FormerSessions::from(SessionLayer::signed(Keys::generate()));
/// assert_eq!(format!("{former:?}"), "FormerSessions { .. }");
/// ```
#[derive(Clone)]
pub struct FormerSessions(Source);

#[derive(Clone)]
enum Source {
    Layer(Arc<Settings>),
    System(Arc<dyn FormerSystem>),
}

impl From<SessionLayer> for FormerSessions {
    fn from(layer: SessionLayer) -> Self {
        Self(Source::Layer(Arc::clone(layer.settings())))
    }
}

impl<S: FormerSystem> From<S> for FormerSessions {
    fn from(system: S) -> Self {
        Self(Source::System(Arc::new(system)))
    }
}

session_core::opaque_debug!(FormerSessions);

/// Where sessions came from before, and until when they are read there.
#[derive(Clone)]
pub(crate) struct Rule {
    source: Source,
    /// In seconds since 1970.
    until: u64,
}

impl Rule {
    pub(crate) fn new(FormerSessions(source): FormerSessions, until: SystemTime) -> Self {
        Self { source, until: unix_seconds(until) }
    }
}

/// The rules of a layer, in the order in which they are tried.
pub(crate) struct Migration {
    rules: Vec<RuleHere>,
    just_moved: JustMoved,
}

/// A rule, and what its cookie has in common with the layer's.
#[derive(Clone)]
struct RuleHere {
    rule: Rule,
    /// Whether the cookies have the same name.
    has_our_name: bool,
    /// Whether the former cookie is authentic for this layer too.
    has_our_keys: bool,
    /// Whether a browser keeps the two cookies apart by Domain, path or Partitioned.
    has_other_place: bool,
}

/// What a migration has found for a request.
pub(crate) struct Arrived {
    pub(crate) loaded: Loaded,
    pub(crate) moving: Option<Arc<Moving>>,
    /// The attributes of the layer's cookie, which the session notes because former ones differ.
    pub(crate) place: Option<String>,
}

impl From<Loaded> for Arrived {
    fn from(loaded: Loaded) -> Self {
        Self { loaded, moving: None, place: None }
    }
}

/// What the response has to do in the former place: end the session that has moved, and remove its cookie.
pub(crate) struct Moving {
    /// The session that moves; `None` if only a former cookie came beside a session of this layer.
    from: Option<Origin>,
    /// The messages that the former system kept in the session.
    pub(crate) flash: Batch,
    /// Whether the former cookies are removed.
    removes: bool,
}

impl Moving {
    /// Returns the id of the session in a former layer.
    pub(crate) fn former_id(&self) -> Option<SessionId> {
        match &self.from.as_ref()?.content {
            Content::Layer(before) => before.session().map(|live| live.frame.id),
            Content::System(_) | Content::Gone => None,
        }
    }

    const fn of_leftovers(removes: bool) -> Self {
        Self { from: None, flash: Batch::NOTHING, removes }
    }
}

struct Origin {
    rule: usize,
    content: Content,
    successor: SessionId,
    /// Stands for the session in the memory of this process.
    former: SessionId,
    arrival: Arrival,
}

/// A session in its former place.
enum Content {
    Layer(Loaded),
    System(Box<Former>),
    /// It is there no longer: another response has just moved it.
    Gone,
}

impl Migration {
    /// Compares the rules with the layer. Returns `None` if there are none.
    pub(crate) fn new(rules: &[Rule], settings: &Settings) -> Option<Arc<Self>> {
        let rules: Vec<_> = rules.iter().map(|rule| RuleHere::new(rule.clone(), settings)).collect();
        (!rules.is_empty()).then(|| Arc::new(Self { rules, just_moved: JustMoved::default() }))
    }

    fn active(&self, now: u64) -> impl Iterator<Item = (usize, &RuleHere)> {
        self.rules.iter().enumerate().filter(move |(_, rule)| now <= rule.rule.until)
    }

    /// Iterates over the former layers.
    pub(crate) fn layers(&self, now: u64) -> impl Iterator<Item = &Arc<Settings>> {
        self.active(now).filter_map(|(_, here)| match &here.rule.source {
            Source::Layer(former) => Some(former),
            Source::System(_) => None,
        })
    }

    /// Reads the sessions and messages that the request brought from other systems.
    pub(crate) async fn read_systems(
        &self,
        settings: &Settings,
        cookies: &RequestCookies,
        now: u64,
    ) -> Result<Vec<(usize, Former)>, Error> {
        let mut found = Vec::new();
        for (place, here) in self.active(now) {
            let Source::System(system) = &here.rule.source else { continue };
            let headers: Vec<_> = cookies.headers().iter().map(HeaderValue::as_bytes).collect();
            let read = system.read(FormerCookies::new(&headers), now);
            found.push((place, in_time(settings, read).await?));
        }
        Ok(found)
    }

    /// Goes on after the layer has looked for a session of its own. Only a request without one asks the former places.
    pub(crate) async fn go_on(
        &self,
        settings: &Settings,
        loaded: Loaded,
        cookies: &RequestCookies,
        systems: &[(usize, Former)],
        now: u64,
    ) -> Result<Arrived, Error> {
        if cookies.is_empty() || self.active(now).next().is_none() {
            return Ok(loaded.into());
        }
        if loaded.cookie_came && !is_unknown_here(&loaded, settings) {
            return self.beside(settings, loaded, cookies, now).await;
        }
        let mut over = None;
        for (place, here) in self.active(now) {
            let (content, arrival, identity, forgotten_after, flash) = match &here.rule.source {
                Source::Layer(former) => {
                    let before = former.engine().load(former.context(cookies, now)).await?;
                    let Some(live) = before.session() else {
                        let is_expired = before.over == Some(Ended::Expired);
                        let ids = former.engine().ids(former.context(cookies, now)).into_iter();
                        let identities: Vec<_> = ids.map(|(id, key)| identity_of(former, key, id)).collect();
                        if !is_expired && let Some(found) = find_moved(settings, &identities, cookies, now).await? {
                            return Ok(found);
                        }
                        if let Some(found) = self.find_just_moved(place, settings, &identities, cookies, now).await? {
                            return Ok(found);
                        }
                        over = over.or_else(|| before.cookie_came.then_some(before));
                        continue;
                    };
                    let identity = identity_of(former, live.stored().map(|stored| stored.record.key), live.frame.id);
                    let arrival = Arrival::of_live(live);
                    let last = former.limits().last_second(live.frame.times(), live.base().entries.metadata());
                    let forgotten_after = (!former.engine().remembers_ends()).then_some(last);
                    (Content::Layer(before), arrival, identity, forgotten_after, Batch::NOTHING)
                }
                Source::System(_) => {
                    let Some((_, former)) = systems.iter().find(|(system, _)| *system == place) else { continue };
                    let Some(session) = &former.session else {
                        if let Some(found) = find_moved(settings, &former.unknown, cookies, now).await? {
                            return Ok(found);
                        }
                        let unknown = &former.unknown;
                        if let Some(found) = self.find_just_moved(place, settings, unknown, cookies, now).await? {
                            return Ok(found);
                        }
                        continue;
                    };
                    if session.entries.is_empty() && session.flash.is_empty() {
                        continue;
                    }
                    let arrival = Arrival::of_entries(&session.entries, session.created_at, now);
                    let (identity, flash) = (session.identity.clone(), session.flash.clone());
                    let forgotten_after = Some(session.expires_at.unwrap_or(0));
                    (Content::System(Box::new(former.clone())), arrival, identity, forgotten_after, flash)
                }
            };
            let Some(identities) = Identity::new(settings, &identity) else { return Ok(loaded.into()) };
            let mark = forgotten_after.map(|last| (identities.mark, last.max(here.rule.until)));
            let destination = identities.destination(mark);
            let context = settings.context(cookies, now);
            let received = settings.engine().receive(Some(&arrival), destination, context).await?;
            let Some(successor) = received.session().map(|live| live.frame.id) else {
                return Ok(received.into());
            };
            let from = Origin { rule: place, content, successor, former: identities.former, arrival };
            let moving = Moving { from: Some(from), flash, removes: true };
            return Ok(Arrived { loaded: received, moving: Some(Arc::new(moving)), place: None });
        }
        Ok(over.map_or(loaded, |before| gone(&before)).into())
    }

    /// Looks for a session that another response has just moved out of a former store. Its data is in a cookie now,
    /// which this request was too early to bring.
    async fn find_just_moved(
        &self,
        rule: usize,
        settings: &Settings,
        identities: &[Vec<u8>],
        cookies: &RequestCookies,
        now: u64,
    ) -> Result<Option<Arrived>, Error> {
        for identity in identities {
            let Some(identities) = Identity::new(settings, identity) else { continue };
            let Some(arrival) = self.just_moved.find(identities.former, now) else { continue };
            let destination = Destination { former: None, ..identities.destination(None) };
            let context = settings.context(cookies, now);
            let loaded = settings.engine().receive(Some(&arrival), destination, context).await?;
            let Some(successor) = loaded.session().map(|live| live.frame.id) else { return Ok(Some(loaded.into())) };
            let (content, former) = (Content::Gone, identities.former);
            let from = Origin { rule, content, successor, former, arrival };
            let moving = Moving { from: Some(from), flash: Batch::NOTHING, removes: true };
            return Ok(Some(Arrived { loaded, moving: Some(Arc::new(moving)), place: None }));
        }
        Ok(None)
    }

    /// Looks after former cookies beside a session of this layer, which counts.
    async fn beside(
        &self,
        settings: &Settings,
        mut loaded: Loaded,
        cookies: &RequestCookies,
        now: u64,
    ) -> Result<Arrived, Error> {
        let (mut leftover, mut has_list, mut sets_again, mut place) = (false, false, false, None);
        for (_, here) in self.active(now) {
            if let (Source::Layer(former), true) = (&here.rule.source, here.has_our_keys)
                && former.engine().revocations().is_some()
                && loaded.session().is_some()
            {
                // The session may have been ended by an instance that knows only the former list.
                let before = former.engine().load(former.context(cookies, now)).await?;
                if before.session().is_none() && before.rivals().is_empty() {
                    return Ok(gone(&before).into());
                }
                has_list = true;
            }
            let Some(live) = loaded.session().filter(|live| !live.is_late) else { continue };
            if here.has_our_keys && here.has_other_place {
                let ours = settings.session_cookie.spec.place();
                if live.base().entries.metadata().cookie() != Some(ours) {
                    place = Some(ours.to_owned());
                }
                if place.is_some() || settings.session_cookie.count(cookies) > 1 {
                    (leftover, sets_again) = (true, true);
                }
            } else if !here.has_our_keys && here.came(cookies, now) {
                leftover = true;
                sets_again |= here.has_our_name;
            }
        }
        if sets_again {
            let (came, _) = (loaded.cookie_came, loaded.cookie_is_stale);
            loaded = loaded.with_cookie(came, true);
        }
        let moving = (leftover || has_list).then(|| Arc::new(Moving::of_leftovers(leftover)));
        Ok(Arrived { loaded, moving, place })
    }

    /// Ends the session in its former place after a response has moved it, and removes the former cookies. Returns the
    /// cookies of the response.
    pub(crate) async fn finish(
        &self,
        moving: &Moving,
        settings: &Settings,
        plan: Plan<'_>,
        cookies: Vec<String>,
        came: &RequestCookies,
    ) -> Result<Vec<String>, Error> {
        let (destroys, now) = (plan.changes.destroys(), plan.now);
        let has_moved = moving.from.is_some() && (!cookies.is_empty() || destroys);
        if moving.from.is_some() && !has_moved {
            return Ok(cookies);
        }
        let mut set = Vec::new();
        if let Some(from) = &moving.from {
            let end = if destroys { End::Deleted } else { rotated_to(from.successor) };
            let was_alive = self.rules[from.rule].end(settings, &from.content, end, now).await?;
            self.rules[from.rule].remove(Some(&from.content), came, &mut set);
            if !was_alive && !destroys && plan.outcome != Outcome::Replaced {
                settings.engine().undo_move(plan.loaded, now).await?;
                tracing::info!("a session ended in its former place while it was moved, and is over");
                return Ok(set);
            }
            settings.engine().note_move(from.former, from.successor, now);
            let goes_on = plan.continued().is_some() && !plan.changes.needs_new_id();
            if goes_on && settings.engine().records().is_none() {
                self.just_moved.note(from.former, from.arrival.changed_by(plan), now);
            } else {
                self.just_moved.forget(from.former);
            }
        }
        for (place, here) in self.active(now) {
            if moving.from.as_ref().is_some_and(|from| from.rule == place) {
                continue;
            }
            here.end_beside(settings, plan, came).await?;
            if moving.removes || destroys {
                here.remove(None, came, &mut set);
            }
        }
        set.extend(cookies);
        Ok(set)
    }

    /// Reads the flash messages that former layers and systems have set in cookies of their own.
    pub(crate) fn flash(
        &self,
        cookies: &RequestCookies,
        systems: &[(usize, Former)],
        now: u64,
        known: &mut Vec<ReceivedBatch>,
    ) {
        for (place, here) in self.active(now) {
            match &here.rule.source {
                Source::Layer(former) => {
                    let spec = &former.flash_cookie.spec;
                    for received in former.flash_cookie.read(cookies, now).batches {
                        let removal = received.clear(spec);
                        // The layer has read a cookie of its own name and keys already. It may lie in another place.
                        match known.iter_mut().find(|own| own.frame.id == received.frame.id) {
                            Some(own) => own.former.get_or_insert_with(FormerBatch::twin).removals.push(removal),
                            None => known.push(ReceivedBatch {
                                former: Some(FormerBatch::in_cookies(vec![removal])),
                                ..received
                            }),
                        }
                    }
                }
                Source::System(system) => {
                    let Some((_, former)) = systems.iter().find(|(read, _)| *read == place) else { continue };
                    if former.flash.is_empty() {
                        continue;
                    }
                    let is_read = |name: &str| former.flash_cookies.iter().any(|read| read == name);
                    let cookies = system.cookies().into_iter().filter(|cookie| is_read(cookie.name()));
                    let removals = cookies.map(|cookie| cookie.clear()).collect();
                    known.push(ReceivedBatch::of_former(former.flash.clone(), FormerBatch::in_cookies(removals), now));
                }
            }
        }
    }
}

impl RuleHere {
    fn new(rule: Rule, settings: &Settings) -> Self {
        let (mut has_our_name, mut has_our_keys, mut has_other_place) = (false, false, false);
        if let Source::Layer(former) = &rule.source {
            let (ours, theirs) = (&settings.session_cookie, &former.session_cookie);
            has_our_name = ours.spec.name() == theirs.spec.name();
            has_other_place = ours.spec.place() != theirs.spec.place();
            let sample = theirs.ring.as_ref().and_then(|ring| ring.seal(&[0; 32]).ok()).unwrap_or_default();
            has_our_keys = has_our_name
                && ours.ring.as_ref().is_some_and(|ring| {
                    Token::parse(sample.as_bytes(), ring.protection()).is_some_and(|token| ring.open(&token).is_some())
                });
        }
        Self { rule, has_our_name, has_our_keys, has_other_place }
    }

    /// Returns whether the request brought a cookie of the former place.
    fn came(&self, cookies: &RequestCookies, now: u64) -> bool {
        match &self.rule.source {
            Source::Layer(former) if self.has_our_name => {
                former.session_cookie.ring.is_some()
                    && !former.session_cookie.find(cookies, now, Some).into_vec().is_empty()
            }
            Source::Layer(former) => former.session_cookie.count(cookies) > 0,
            Source::System(system) => system.cookies().first().is_some_and(|session| cookies.has_name(session.name())),
        }
    }

    /// Ends a session in its former place. Returns whether it was alive until then.
    async fn end(&self, settings: &Settings, content: &Content, end: End, now: u64) -> Result<bool, Error> {
        match (&self.rule.source, content) {
            (Source::Layer(former), Content::Layer(before)) => former.engine().end_moved(before, end, now).await,
            (Source::System(system), Content::System(former)) => {
                if let Some(session) = &former.session {
                    in_time(settings, system.end(session, now)).await?;
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }

    /// Ends what a former cookie beside a session of this layer leads to.
    async fn end_beside(&self, settings: &Settings, plan: Plan<'_>, came: &RequestCookies) -> Result<(), Error> {
        let (now, ours) = (plan.now, plan.loaded.session());
        match &self.rule.source {
            Source::Layer(former) if self.has_our_keys && former.engine().data_travels() => {
                let ends = plan.outcome == Outcome::Replaced || plan.changes.destroys();
                if let (Some(live), true, Some(list)) = (ours, ends, former.engine().revocations()) {
                    let end = if plan.changes.destroys() { End::Deleted } else { End::Renewed };
                    list.end_moved(live.frame.id, end, now).await?;
                }
            }
            Source::Layer(former) if self.has_our_keys || self.came(came, now) => {
                let before = former.engine().load(former.context(came, now)).await?;
                let is_ours = |id: SessionId| ours.is_some_and(|live| live.frame.id == id);
                if !before.session().is_some_and(|live| is_ours(live.frame.id)) {
                    former.engine().end_moved(&before, End::Deleted, now).await?;
                }
            }
            Source::Layer(_) => {}
            Source::System(system) => {
                if !self.came(came, now) {
                    return Ok(());
                }
                let headers: Vec<_> = came.headers().iter().map(HeaderValue::as_bytes).collect();
                let former = in_time(settings, system.read(FormerCookies::new(&headers), now)).await?;
                if let Some(session) = &former.session {
                    in_time(settings, system.end(session, now)).await?;
                }
            }
        }
        Ok(())
    }

    /// Adds the `Set-Cookie` values that remove the former session's cookies. They come before those that set this
    /// layer's, so that a cookie of the same name and place is set after all.
    fn remove(&self, content: Option<&Content>, came: &RequestCookies, set: &mut Vec<String>) {
        match &self.rule.source {
            Source::Layer(former) => {
                if !self.has_our_name || self.has_other_place || !self.has_our_keys {
                    set.extend(former.session_cookie.remove(came));
                }
            }
            Source::System(system) => {
                // Messages that can be read wait. Beside a session of ours, only the session was looked at.
                let keeps = |place: usize, name: &str| match content {
                    Some(Content::System(former)) => former.flash_cookies.iter().any(|flash| flash == name),
                    _ => place > 0,
                };
                let cookies = system.cookies().into_iter().enumerate();
                let cookies = cookies.filter(|(at, cookie)| came.has_name(cookie.name()) && !keeps(*at, cookie.name()));
                set.extend(cookies.map(|(_, cookie)| cookie.clear()));
            }
        }
    }
}

/// Looks in this layer's store for a session that the former place has no longer: it may have moved before.
async fn find_moved(
    settings: &Settings,
    identities: &[Vec<u8>],
    cookies: &RequestCookies,
    now: u64,
) -> Result<Option<Arrived>, Error> {
    if settings.engine().records().is_none() {
        return Ok(None);
    }
    for identity in identities {
        let Some(identities) = Identity::new(settings, identity) else { continue };
        let destination = identities.destination(None);
        let found = settings.engine().receive(None, destination, settings.context(cookies, now)).await?;
        if found.cookie_came {
            let moving = found.session().is_some().then(|| Arc::new(Moving::of_leftovers(true)));
            return Ok(Some(Arrived { loaded: found, moving, place: None }));
        }
    }
    Ok(None)
}

/// The sessions that this process has moved into cookies in the last minute. Requests of the same page come at once: all
/// but the first bring a former cookie to which the former store knows no session any more.
#[derive(Default)]
struct JustMoved(Mutex<VecDeque<(SessionId, Arrival, u64)>>);

impl JustMoved {
    fn note(&self, former: SessionId, arrival: Arrival, now: u64) {
        let mut known = self.known();
        known.retain(|(id, _, moved_at)| *id != former && End::is_known(*moved_at, now));
        known.push_back((former, arrival, now));
        if known.len() > MOST_JUST_MOVED {
            known.pop_front();
        }
    }

    fn find(&self, former: SessionId, now: u64) -> Option<Arrival> {
        let known = self.known();
        let (_, arrival, moved_at) = known.iter().find(|(id, ..)| *id == former)?;
        End::is_known(*moved_at, now).then(|| arrival.clone())
    }

    fn forget(&self, former: SessionId) {
        self.known().retain(|(id, ..)| *id != former);
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<(SessionId, Arrival, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many sessions are remembered that have just moved: a few MB.
const MOST_JUST_MOVED: usize = 1_024;

/// What a former session becomes here: its ids and secrets, and the keys of what is noted about it.
struct Identity {
    successors: Vec<(SessionId, session_core::token::IdSecret)>,
    mark: RecordKey,
    former: SessionId,
}

impl Identity {
    fn new(settings: &Settings, identity: &[u8]) -> Option<Self> {
        let successors = settings.successors(identity)?;
        let mark = RecordKey::of_moved(&settings.config.application, identity);
        Some(Self { successors, mark, former: mark.id() })
    }

    /// `mark` comes with the last second in which it is needed.
    fn destination(&self, mark: Option<(RecordKey, u64)>) -> Destination<'_> {
        Destination { successors: &self.successors, mark, former: Some(self.former) }
    }
}

/// Returns what tells a session of a former layer from all others.
fn identity_of(former: &Settings, key: Option<RecordKey>, id: SessionId) -> Vec<u8> {
    let mut identity = former.session_cookie.spec.name().as_bytes().to_vec();
    identity.extend_from_slice(id.as_bytes());
    if let Some(key) = key {
        identity.extend_from_slice(key.hash());
    }
    identity
}

/// Returns whether an authentic cookie of ours came, but the store knows nothing of its session. A former store with
/// the same keys may have it.
fn is_unknown_here(loaded: &Loaded, settings: &Settings) -> bool {
    matches!(settings.engine(), Engine::Store(_))
        && loaded.session().is_none()
        && loaded.rivals().is_empty()
        && loaded.over.is_none()
}

/// Returns what this layer says of a session that was over in its former place.
fn gone(before: &Loaded) -> Loaded {
    match before.over {
        Some(Ended::Elsewhere) if before.is_ended() => Loaded::ended(),
        over => Loaded::nothing_behind_a_cookie(over),
    }
}

/// Waits for another system, for as long as for a store.
async fn in_time<T>(settings: &Settings, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, Error> {
    let limit = settings.config.store.timeout();
    let answer = timeout(limit, answer).await;
    let late =
        || StoreError::new(StoreErrorKind::Unavailable, format!("the former system did not answer within {limit:?}"));
    answer.unwrap_or_else(|_| Err(late())).map_err(Error::from)
}
