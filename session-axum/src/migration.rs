//! The migration of sessions and flash messages from a former layer or another system.

use std::{sync::Arc, time::SystemTime};

use http::HeaderValue;
use session_core::{
    SessionId,
    flash::Batch,
    former::{Former, FormerCookies, FormerSystem},
    store::{End, StoreError, StoreErrorKind},
    unix_seconds,
};
use tokio::time::timeout;

use crate::{
    config::Settings,
    engine::{Arrival, Context, Destination, Engine, FormerId, rotated_to},
    error::{Chain, Error},
    layer::SessionLayer,
    observe::Refusals,
    state::{
        loaded::{Ended, Live, Loaded},
        outcome::{Outcome, Plan},
    },
    wire::{
        flash_cookies::{FormerBatch, ReceivedBatch},
        request_cookies::RequestCookies,
    },
};

mod identity;
mod just_moved;

use identity::Identity;
use just_moved::JustMoved;

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
    /// Whether the former cookies are removed, and the sessions of those that came beside ours are ended. Otherwise only
    /// a log-out does so.
    removes: bool,
}

impl Moving {
    /// Returns the session as it is in a former layer.
    pub(crate) fn former_session(&self) -> Option<&Arc<Live>> {
        match &self.from.as_ref()?.content {
            Content::Layer(before) => before.shared_session(),
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
    identity: Identity,
    /// The last second in which a mark is needed.
    marked_until: Option<u64>,
    arrival: Arrival,
}

/// A session in its former place.
enum Content {
    Layer(Loaded),
    System(Box<Former>),
    /// It is there no longer: another response has just moved it.
    Gone,
}

/// What a former place says of a request.
enum Read {
    /// No session, and none that is over.
    Nothing,
    /// The session is there, and moves with the response.
    There(Box<Leaving>),
    /// It has moved here before.
    Here(Arrived),
    /// It is over there.
    Over(Loaded),
}

/// A session that was read in its former place.
struct Leaving {
    content: Content,
    arrival: Arrival,
    identity: Identity,
    /// The last second in which the former place could find the session again after the move; `None` if it remembers
    /// that the session has ended.
    forgotten_after: Option<u64>,
    /// Whether another response has moved it a moment ago.
    has_just_moved: bool,
    flash: Batch,
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
        if loaded.cookie_came && !is_unknown_here(&loaded, settings, settings.context(cookies, now)) {
            return self.beside(settings, loaded, cookies, now).await;
        }
        let is_only_unknown = loaded.cookie_came;
        let mut over = None;
        for (place, here) in self.active(now) {
            // A token of ours that is unknown here may be known in a former store with the same keys, and nowhere else.
            if is_only_unknown && !here.has_our_keys {
                continue;
            }
            let read = match &here.rule.source {
                Source::Layer(former) => self.read_layer(place, settings, former, cookies, now).await?,
                Source::System(system) => {
                    let Some((_, former)) = systems.iter().find(|(read, _)| *read == place) else { continue };
                    self.read_system(place, settings, &**system, former, cookies, now).await?
                }
            };
            match read {
                Read::Nothing => {}
                Read::Over(before) => over = over.or(Some(before)),
                Read::Here(arrived) => return Ok(arrived),
                Read::There(leaving) => return self.receive(place, settings, *leaving, cookies, now).await,
            }
        }
        let Some(before) = over else { return Ok(loaded.into()) };
        // A log-out ends several sessions of former cookies, although the request gets none of them.
        let moving = before.has_rivals().then(|| Arc::new(Moving::of_leftovers(false)));
        Ok(Arrived { loaded: gone(&before), moving, place: None })
    }

    /// Reads the session that a request brought from a former layer.
    async fn read_layer(
        &self,
        place: usize,
        settings: &Settings,
        former: &Settings,
        cookies: &RequestCookies,
        now: u64,
    ) -> Result<Read, Error> {
        let before = former.engine().load(former.context(cookies, now)).await?;
        let Some(live) = before.session() else {
            let ids = former.engine().former_ids(former.context(cookies, now));
            let identities: Vec<_> = ids.iter().filter_map(|id| Identity::of_layer(settings, former, id)).collect();
            // A session that was logged out or has expired there has not moved.
            if !before.has_own_end()
                && let Some(found) = find_moved(settings, &identities, cookies, now).await?
            {
                return Ok(Read::Here(found));
            }
            if let Some(found) = self.find_just_moved(place, settings, &identities, cookies, now).await? {
                return Ok(Read::Here(found));
            }
            return Ok(if before.cookie_came { Read::Over(before) } else { Read::Nothing });
        };
        let Some(identity) = Identity::of_layer(settings, former, &FormerId::of_live(live)) else {
            return Ok(Read::Nothing);
        };
        // A session that is late because it has moved here is not late.
        let has_just_moved = live.is_late && live.successor.is_some_and(|id| identity.becomes(id));
        let arrival = Arrival::of_live(live, live.is_late && !has_just_moved);
        let last = former.limits().last_second(live.frame.times(), live.base().entries.metadata());
        let forgotten_after = (!former.engine().remembers_ends()).then_some(last);
        let content = Content::Layer(before);
        let flash = Batch::NOTHING;
        Ok(Read::There(Box::new(Leaving { content, arrival, identity, forgotten_after, has_just_moved, flash })))
    }

    /// Looks at the session that a request brought from another system.
    async fn read_system(
        &self,
        place: usize,
        settings: &Settings,
        system: &dyn FormerSystem,
        former: &Former,
        cookies: &RequestCookies,
        now: u64,
    ) -> Result<Read, Error> {
        let Some(session) = &former.session else {
            let unknown = former.unknown.iter();
            let unknown: Vec<_> = unknown.filter_map(|it| Identity::of_system(settings, system, it)).collect();
            let found = match find_moved(settings, &unknown, cookies, now).await? {
                Some(found) => Some(found),
                None => self.find_just_moved(place, settings, &unknown, cookies, now).await?,
            };
            return Ok(found.map_or(Read::Nothing, Read::Here));
        };
        if session.entries.is_empty() && session.flash.is_empty() {
            return Ok(Read::Nothing);
        }
        let Some(identity) = Identity::of_system(settings, system, &session.identity) else {
            return Ok(Read::Nothing);
        };
        Ok(Read::There(Box::new(Leaving {
            content: Content::System(Box::new(former.clone())),
            arrival: Arrival::of_entries(&session.entries, session.created_at, now),
            identity,
            forgotten_after: Some(session.expires_at.unwrap_or(0)),
            has_just_moved: false,
            flash: session.flash.clone(),
        })))
    }

    /// Prepares the move of a session, or finds it here if another request has moved it.
    async fn receive(
        &self,
        rule: usize,
        settings: &Settings,
        leaving: Leaving,
        cookies: &RequestCookies,
        now: u64,
    ) -> Result<Arrived, Error> {
        let Leaving { content, arrival, identity, forgotten_after, has_just_moved, flash } = leaving;
        let here = &self.rules[rule];
        let marked_until = forgotten_after.map(|last| last.max(here.rule.until));
        let destination = Destination { has_just_moved, ..identity.destination(marked_until) };
        let context = settings.context(cookies, now);
        let loaded = settings.engine().receive(Some(&arrival), destination, context).await?;
        let Some(live) = loaded.session() else { return Ok(loaded.into()) };
        let (successor, sets_cookie) = (live.frame.id, !live.is_late && !has_just_moved);
        let place =
            (sets_cookie && here.may_be_ours_elsewhere()).then(|| settings.session_cookie.spec.place().to_owned());
        let from = Some(Origin { rule, content, successor, identity, marked_until, arrival });
        Ok(Arrived { loaded, moving: Some(Arc::new(Moving { from, flash, removes: true })), place })
    }

    /// Looks for a session that another response has just moved out of a former store. Its data is in a cookie now,
    /// which this request was too early to bring.
    async fn find_just_moved(
        &self,
        rule: usize,
        settings: &Settings,
        identities: &[Identity],
        cookies: &RequestCookies,
        now: u64,
    ) -> Result<Option<Arrived>, Error> {
        for identity in identities {
            let Some(arrival) = self.just_moved.find(identity.mark.id(), now) else { continue };
            let leaving = Leaving {
                content: Content::Gone,
                arrival,
                identity: identity.clone(),
                forgotten_after: None,
                has_just_moved: true,
                flash: Batch::NOTHING,
            };
            return self.receive(rule, settings, leaving, cookies, now).await.map(Some);
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
                if before.session().is_none() && !before.has_rivals() {
                    return Ok(gone(&before).into());
                }
                has_list = true;
            }
            let Some(live) = loaded.session().filter(|live| !live.is_late) else { continue };
            if here.may_be_ours_elsewhere() {
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
            let came = loaded.cookie_came;
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
        systems: &[(usize, Former)],
    ) -> Result<Vec<String>, Error> {
        let (destroys, now) = (plan.changes.destroys(), plan.now);
        let has_ended = destroys || plan.outcome == Outcome::Removed;
        if moving.from.is_some() && cookies.is_empty() && !has_ended {
            return Ok(cookies);
        }
        let mut set = Vec::new();
        if let Some(from) = &moving.from {
            match self.finish_move(from, settings, plan, has_ended).await {
                Ok(true) => self.rules[from.rule].remove(systems, came, &mut set),
                Ok(false) => {
                    self.rules[from.rule].remove(systems, came, &mut set);
                    return Ok(set);
                }
                Err(error) if has_ended => return Err(error),
                // The session is here now, and its cookie must reach the browser. The former one ends when it comes
                // beside ours.
                Err(error) => {
                    tracing::error!(
                        name: "migration.former_not_ended", target: "session_axum::migration",
                        error = %Chain(&error), "a session has moved, and its former one cannot be ended yet"
                    );
                }
            }
        }
        for (place, here) in self.active(now) {
            if moving.from.as_ref().is_some_and(|from| from.rule == place) {
                continue;
            }
            match here.end_beside(settings, plan, came, moving.removes || has_ended).await {
                Err(error) if has_ended => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        name: "migration.former_not_found", target: "session_axum::migration",
                        error = %Chain(&error), "a former cookie came beside a session, and cannot be looked up"
                    );
                    continue;
                }
                Ok(()) => {}
            }
            if moving.removes || has_ended {
                here.remove(systems, came, &mut set);
            }
        }
        set.extend(cookies);
        Ok(set)
    }

    /// Ends a session in its former place after it has moved. Returns whether it goes on here, or has ended on purpose.
    async fn finish_move(
        &self,
        from: &Origin,
        settings: &Settings,
        plan: Plan<'_>,
        has_ended: bool,
    ) -> Result<bool, Error> {
        let now = plan.now;
        let end = if has_ended { End::Deleted } else { rotated_to(from.successor) };
        let goes_on = plan.continued().is_some() && !plan.changes.needs_new_id();
        if goes_on && settings.engine().records().is_none() {
            // Before the former place forgets it, so that no request in between finds neither.
            self.just_moved.note(from.identity.mark.id(), from.arrival.changed_by(plan), now);
        }
        let was_alive = self.rules[from.rule].end(settings, &from.content, end, now).await?;
        if has_ended || (!was_alive && plan.outcome != Outcome::Replaced) {
            settings.engine().end_arrived(plan.loaded, now).await?;
        }
        let destination = from.identity.destination(from.marked_until);
        settings.engine().note_move(destination, from.successor, has_ended, now).await?;
        if !goes_on || !was_alive {
            self.just_moved.forget(from.identity.mark.id());
        }
        if was_alive || has_ended || plan.outcome == Outcome::Replaced {
            return Ok(true);
        }
        tracing::info!(
            name: "migration.ended_meanwhile", target: "session_axum::migration",
            "a session ended in its former place while it was moved, and is over"
        );
        Ok(false)
    }

    /// Reads the flash messages that former layers and systems have set in cookies of their own.
    pub(crate) fn flash(
        &self,
        cookies: &RequestCookies,
        systems: &[(usize, Former)],
        now: u64,
        known: &mut Vec<ReceivedBatch>,
    ) {
        let mut read_names: Vec<&str> = Vec::new();
        for (place, here) in self.active(now) {
            match &here.rule.source {
                Source::Layer(former) => {
                    let spec = &former.flash_cookie.spec;
                    for received in former.flash_cookie.read(cookies, now, &Refusals::default()).batches {
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
                    // Another system may have read the same cookie.
                    let is_known = former.flash_cookies.iter().any(|name| read_names.contains(&name.as_str()));
                    if former.flash.is_empty() || is_known {
                        continue;
                    }
                    read_names.extend(former.flash_cookies.iter().map(String::as_str));
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
            let rings = ours.ring.as_ref().zip(theirs.ring.as_ref());
            has_our_keys = has_our_name && rings.is_some_and(|(ours, theirs)| ours.opens_tokens_of(theirs));
        }
        Self { rule, has_our_name, has_our_keys, has_other_place }
    }

    /// Returns whether a cookie of the former place may be authentic here, and lies where this layer's does not. Only
    /// what the session has noted tells the two apart.
    const fn may_be_ours_elsewhere(&self) -> bool {
        self.has_our_keys && self.has_other_place
    }

    /// Returns whether the request brought a cookie of the former place.
    fn came(&self, cookies: &RequestCookies, now: u64) -> bool {
        match &self.rule.source {
            Source::Layer(former) => {
                !former.session_cookie.find(cookies, now, &Refusals::default(), Some).into_vec().is_empty()
            }
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
    async fn end_beside(
        &self,
        settings: &Settings,
        plan: Plan<'_>,
        came: &RequestCookies,
        ends: bool,
    ) -> Result<(), Error> {
        let (now, ours) = (plan.now, plan.loaded.session());
        match &self.rule.source {
            Source::Layer(former) if self.has_our_keys && former.engine().data_travels() => {
                let has_ended = matches!(plan.outcome, Outcome::Replaced | Outcome::Removed) || plan.changes.destroys();
                if let (Some(live), true, Some(list)) = (ours, has_ended, former.engine().revocations()) {
                    let is_renewed = plan.outcome == Outcome::Replaced && !plan.changes.destroys();
                    let end = if is_renewed { End::Renewed } else { End::Deleted };
                    list.end_moved(live.frame.id, end, now).await?;
                }
            }
            _ if !ends => {}
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
    fn remove(&self, systems: &[(usize, Former)], came: &RequestCookies, set: &mut Vec<String>) {
        match &self.rule.source {
            Source::Layer(former) => {
                if !self.has_our_name || self.has_other_place || !self.has_our_keys {
                    set.extend(former.session_cookie.remove(came));
                }
            }
            Source::System(system) => {
                // Messages that can be read wait. If no system was asked, the request has a session of ours, and only the
                // former session's cookie is known.
                let is_read = |name: &str| {
                    systems.iter().any(|(_, former)| former.flash_cookies.iter().any(|flash| flash == name))
                };
                let keeps = |at: usize, name: &str| if systems.is_empty() { at > 0 } else { is_read(name) };
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
    identities: &[Identity],
    cookies: &RequestCookies,
    now: u64,
) -> Result<Option<Arrived>, Error> {
    if settings.engine().records().is_none() {
        return Ok(None);
    }
    for identity in identities {
        let destination = identity.destination(None);
        let found = settings.engine().receive(None, destination, settings.context(cookies, now)).await?;
        if found.cookie_came {
            let moving = found.session().is_some().then(|| Arc::new(Moving::of_leftovers(true)));
            return Ok(Some(Arrived { loaded: found, moving, place: None }));
        }
    }
    Ok(None)
}

/// Returns whether a token of ours came, but the store knows nothing of its session.
fn is_unknown_here(loaded: &Loaded, settings: &Settings, context: Context<'_>) -> bool {
    matches!(settings.engine(), Engine::Store(_))
        && loaded.session().is_none()
        && !loaded.has_rivals()
        && loaded.over.is_none()
        && !settings.engine().former_ids(context).is_empty()
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
