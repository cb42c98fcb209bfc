//! Operations on many sessions: those of an owner, by the owner's indexes, and all, by a scan.

use std::collections::{BTreeMap, HashMap, HashSet};

use ::redis::{Value, cmd};
use futures_util::future::{join_all, try_join_all};
use session_core::{
    SessionId,
    store::{Cursor, End, Owner, Page, RecordKey, SessionInfo, Spared, StoreError, StoreErrorKind},
};

use super::{
    FIRST, Meant, RedisStore,
    connection::Node,
    schema::{Info, OwnerText, application_text, digits, hex, id_of_hex, info, tombstone},
    scripts::{self, Answer, Call, DELETE, FORGET, INFO, bytes_of, unexpected},
    system_seconds,
};

impl RedisStore {
    /// Returns the newest sessions of an owner.
    ///
    /// A session may be renamed between the index and its record. The index then has another id for it, so the list is
    /// made again when the index named something that is gone. Leftovers stay in an index, and are gone each time.
    pub(super) async fn newest(&self, owner: Owner<'_>, now: u64, limit: u64) -> Result<Vec<SessionInfo>, StoreError> {
        let mut last_gone = HashSet::new();
        loop {
            let (mut infos, mut gone) = (Vec::new(), HashSet::new());
            for text in OwnerText::of(owner) {
                let [_, visits] = self.names.indexes(&text);
                self.newest_in(&visits, owner, now, limit, (&mut infos, &mut gone)).await?;
            }
            if gone.is_subset(&last_gone) {
                infos.sort_by_key(|info: &SessionInfo| std::cmp::Reverse(info.seen_at));
                infos.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                return Ok(infos);
            }
            last_gone = gone;
        }
    }

    /// Adds the newest sessions in one index.
    async fn newest_in(
        &self,
        index: &str,
        owner: Owner<'_>,
        now: u64,
        limit: u64,
        (infos, gone): (&mut Vec<SessionInfo>, &mut HashSet<SessionId>),
    ) -> Result<(), StoreError> {
        let (mut found, mut start) = (0, 0);
        while found < limit {
            let last = start + limit.min(BATCH) - 1;
            let value = self.connection.value(cmd("ZREVRANGE").arg(index).arg(start).arg(last)).await?;
            let ids = ids_of(value)?;
            if ids.is_empty() {
                break;
            }
            let live = self.live(&ids, owner, now, Unreadable::IsError).await?;
            gone.extend(ids.iter().filter(|id| !live.contains_key(id)));
            found += live.len() as u64;
            infos.extend(live.into_values().map(Info::into_info));
            start = last + 1;
        }
        Ok(())
    }

    /// Returns all live sessions of an owner.
    pub(super) async fn owned(
        &self,
        owner: Owner<'_>,
        now: u64,
        unreadable: Unreadable,
    ) -> Result<HashMap<SessionId, Info>, StoreError> {
        let (mut known, mut owned) = (HashSet::new(), HashMap::new());
        loop {
            let ids = self.noted(owner).await?;
            // A session may be renamed while this runs. Its new id is in the index before the old one is gone, so the
            // next round finds it. The loop ends with a round that finds only ids of the round before.
            let new: Vec<_> = ids.difference(&known).copied().collect();
            if new.is_empty() {
                return Ok(owned);
            }
            owned.retain(|id, _| ids.contains(id));
            owned.extend(self.live(&new, owner, now, unreadable).await?);
            known = ids;
        }
    }

    /// Returns the ids in the owner's indexes: all live sessions of the owner, and perhaps some that have ended.
    async fn noted(&self, owner: Owner<'_>) -> Result<HashSet<SessionId>, StoreError> {
        let mut noted = HashSet::new();
        for text in OwnerText::of(owner) {
            let [ends, _] = self.names.indexes(&text);
            noted.extend(ids_of(self.connection.value(cmd("ZRANGE").arg(ends).arg(0).arg(-1)).await?)?);
        }
        Ok(noted)
    }

    /// Reads the sessions with these ids that are alive and belong to the owner.
    async fn live(
        &self,
        ids: &[SessionId],
        owner: Owner<'_>,
        now: u64,
        unreadable: Unreadable,
    ) -> Result<HashMap<SessionId, Info>, StoreError> {
        let mut live = HashMap::new();
        for (id, info) in self.infos(ids, unreadable).await? {
            if info.is_live_of(owner, now) {
                live.insert(id, info);
            }
        }
        Ok(live)
    }

    /// Reads the records with these ids, without their entries.
    async fn infos(&self, ids: &[SessionId], unreadable: Unreadable) -> Result<Vec<(SessionId, Info)>, StoreError> {
        let parts = self.parts(ids.iter().copied());
        let read = async |part: &Vec<SessionId>| {
            let names = part.iter().map(|id| self.names.record(*id)).collect();
            let texts = self.infos_at(names, unreadable).await?;
            let infos = part.iter().zip(texts).map(|(id, text)| match (info(*id, &text), unreadable) {
                (Err(_), Unreadable::Skipped) => Ok(None),
                (info, _) => Ok(info?.map(|info| (*id, info))),
            });
            infos.collect::<Result<Vec<_>, StoreError>>()
        };
        Ok(try_join_all(parts.iter().map(read)).await?.into_iter().flatten().flatten().collect())
    }

    pub(super) async fn infos_at(
        &self,
        names: Vec<String>,
        unreadable: Unreadable,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let [before, after] = match unreadable {
            Unreadable::IsError => [&b""[..]; 2],
            Unreadable::Skipped => [b"1", b"F"].map(<[u8; 1]>::as_slice),
        };
        let mut call = Call { script: &INFO, keys: names, arguments: vec![before.into()] };
        let mut answer = self.run_once(&call).await?;
        if let Answer::Former = answer {
            self.convert_readable(&call.keys, system_seconds()).await?;
            // A record that still has the former layout cannot be read.
            call.arguments = vec![after.into()];
            answer = self.run_once(&call).await?;
        }
        match answer {
            Answer::List(texts) => Ok(texts),
            Answer::Former => Err(scripts::unreadable()),
            _ => Err(unexpected()),
        }
    }

    /// Reads the records with these ids, all of one shard.
    pub(super) async fn texts(&self, ids: &[SessionId]) -> Result<Vec<(SessionId, Vec<u8>)>, StoreError> {
        let mut command = cmd("MGET");
        for id in ids {
            command.arg(self.names.record(*id));
        }
        let Value::Array(values) = self.connection.value(&command).await? else { return Err(unexpected()) };
        let found = ids.iter().zip(values).filter(|(_, value)| *value != Value::Nil);
        found.map(|(id, value)| Ok((*id, bytes_of(value)?))).collect()
    }

    /// Divides ids into parts that one command or script can take: of limited size, and in a cluster all of one shard.
    pub(super) fn parts(&self, ids: impl Iterator<Item = SessionId>) -> Vec<Vec<SessionId>> {
        let mut shards = BTreeMap::<_, Vec<_>>::new();
        for id in ids {
            let shard = if self.connection.is_one_server() { 0 } else { RecordKey::from_parts(id, [0; 32]).shard() };
            shards.entry(shard).or_default().push(id);
        }
        shards.into_values().flat_map(|ids| ids.chunks(BATCH as usize).map(<[_]>::to_vec).collect::<Vec<_>>()).collect()
    }

    /// Ends the sessions with these ids that are alive and meant. If some of them cannot be ended, the others are.
    pub(super) async fn end(&self, ids: &[SessionId], hash: &[u8], end: End, meant: &Meant<'_>, now: u64) -> Ended {
        let (state, rest) = tombstone(end, now);
        let (application, owner) = match *meant {
            Meant::All => (Vec::new(), Vec::new()),
            Meant::Of(Owner { application, name }) => (Vec::new(), OwnerText::new(Some(application), name).0),
            Meant::OfApplication(application) => (application_text(application), Vec::new()),
        };
        let arguments = [digits(now), hash.to_vec(), vec![state], rest, application, owner];
        let parts = self.parts(ids.iter().copied());
        let mut all = Ended::default();
        for ended in join_all(parts.iter().map(|part| self.end_part(part, &arguments))).await {
            all.add(ended);
        }
        all
    }

    async fn end_part(&self, ids: &[SessionId], arguments: &[Vec<u8>]) -> Ended {
        let mut ended = Ended::default();
        let result = async {
            let former = self.end_once(ids, arguments, &mut ended).await?;
            if former.is_empty() {
                return Ok(());
            }
            let names: Vec<_> = former.iter().map(|id| self.names.record(*id)).collect();
            self.convert_readable(&names, system_seconds()).await?;
            // A record that still has the former layout cannot be read.
            let left = self.end_once(&former, arguments, &mut ended).await?;
            if left.is_empty() { Ok(()) } else { Err(scripts::unreadable()) }
        }
        .await;
        if let Err(error) = result {
            ended.note(error);
        }
        ended
    }

    /// Runs the script that ends sessions. It replies with a letter for each record. Returns the ids of records that a
    /// former version of this crate wrote.
    async fn end_once(
        &self,
        ids: &[SessionId],
        arguments: &[Vec<u8>],
        ended: &mut Ended,
    ) -> Result<Vec<SessionId>, StoreError> {
        let keys = ids.iter().map(|id| self.names.record(*id)).collect();
        let arguments = arguments.iter().map(Into::into).collect();
        let Answer::List(results) = self.run_once(&Call { script: &DELETE, keys, arguments }).await? else {
            return Err(unexpected());
        };
        let mut former = Vec::new();
        for (id, result) in ids.iter().zip(&results) {
            match result.split_first() {
                Some((b'E', owner)) => {
                    ended.count += 1;
                    // A single session leaves its owner's indexes at once. Many sessions do when the indexes are next
                    // written to.
                    if ids.len() == 1 && !owner.is_empty() {
                        self.forget(&OwnerText(owner.to_vec()), *id).await?;
                    }
                }
                Some((b'F', _)) => former.push(*id),
                Some((b'U', _)) => ended.note(scripts::unreadable()),
                _ => {}
            }
        }
        Ok(former)
    }

    /// Removes a session that has ended from its owner's indexes.
    async fn forget(&self, owner: &OwnerText, id: SessionId) -> Result<(), StoreError> {
        let arguments = vec![hex(id).into_bytes().into()];
        self.run(&Call { script: &FORGET, keys: self.names.indexes(owner).to_vec(), arguments }).await.map(drop)
    }

    /// Ends the sessions of an owner, except those that are spared. If some of them cannot be ended, the others are.
    pub(super) async fn end_owned(&self, owner: Owner<'_>, spared: Spared, now: u64) -> Result<u64, StoreError> {
        let (mut ended, mut known) = (Ended::default(), HashSet::new());
        // A session that is renamed while this runs has another id then, and the next round finds it.
        loop {
            let ending = self.ending(owner, spared, now, &mut ended).await?;
            if ending.is_subset(&known) {
                return ended.result();
            }
            let ids: Vec<_> = ending.iter().copied().collect();
            ended.add(self.end(&ids, &[], End::Deleted, &Meant::Of(owner), now).await);
            known = ending;
        }
    }

    /// Returns the ids of the sessions that end. If none of the newest is spared, this needs no look at the records.
    /// Otherwise a record that cannot be read is noted in `ended` and not counted.
    async fn ending(
        &self,
        owner: Owner<'_>,
        spared: Spared,
        now: u64,
        ended: &mut Ended,
    ) -> Result<HashSet<SessionId>, StoreError> {
        let mut ids = self.noted(owner).await?;
        ids.retain(|id| spared.id != Some(*id));
        if spared.newest == 0 || ids.len() as u64 <= spared.newest {
            return Ok(if spared.newest == 0 { ids } else { HashSet::new() });
        }
        let owned = match self.owned(owner, now, Unreadable::IsError).await {
            Err(error) if error.kind() == StoreErrorKind::Unreadable => {
                ended.note(error);
                self.owned(owner, now, Unreadable::Skipped).await?
            }
            owned => owned?,
        };
        let mut began: Vec<_> = owned.iter().map(|(id, info)| (info.0.created_at, *id)).collect();
        began.retain(|(_, id)| spared.id != Some(*id));
        began.sort_unstable_by_key(|began| std::cmp::Reverse(*began));
        let newest = usize::try_from(spared.newest).unwrap_or(usize::MAX);
        Ok(began.into_iter().skip(newest).map(|(_, id)| id).collect())
    }

    /// Ends all sessions of an application. If some of them cannot be ended, the others are. A scan may miss a session
    /// that is renamed while it runs, so there is another one, until a scan ends nothing.
    pub(super) async fn end_application(&self, application: &str, now: u64) -> Result<u64, StoreError> {
        let mut ended = Ended::default();
        for _ in 0..MOST_SCANS {
            let before = ended.count;
            for node in self.connection.nodes().await? {
                if let Err(error) = self.end_on_node(node, application, now, &mut ended).await {
                    ended.note(error);
                }
            }
            if ended.count == before {
                break;
            }
        }
        ended.result()
    }

    async fn end_on_node(&self, node: Node, application: &str, now: u64, ended: &mut Ended) -> Result<(), StoreError> {
        let mut cursor = FIRST.to_owned();
        loop {
            let (next, keys) = self.scan(node, &cursor, None).await?;
            let ids: Vec<_> = keys.iter().filter_map(|key| self.names.id_of(key.as_bytes())).collect();
            ended.add(self.end(&ids, &[], End::Deleted, &Meant::OfApplication(application), now).await);
            if next == FIRST {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Returns a page of all sessions. The cursor is the number of the machine and the cursor of its scan.
    pub(super) async fn page(&self, now: u64, cursor: Option<&Cursor>) -> Result<Page, StoreError> {
        let nodes = self.connection.nodes().await?;
        let (number, place) = cursor.and_then(|cursor| cursor.as_str().split_once(':')).unwrap_or(("0", FIRST));
        let number: usize = number.parse().unwrap_or(nodes.len());
        let Some(node) = nodes.get(number) else { return Ok(Page { sessions: Vec::new(), next: None }) };
        let (next, keys) = self.scan(*node, place, None).await?;
        let ids: HashSet<_> = keys.iter().filter_map(|key| self.names.id_of(key.as_bytes())).collect();
        let infos = self.infos(&ids.into_iter().collect::<Vec<_>>(), Unreadable::Skipped).await?;
        let live = infos.into_iter().map(|(_, info)| info).filter(|info| !info.0.is_expired(now));
        let next = match (next.as_str(), number + 1) {
            (FIRST, number) if number == nodes.len() => None,
            (FIRST, number) => Some(Cursor::new(format!("{number}:{FIRST}"))),
            (next, _) => Some(Cursor::new(format!("{number}:{next}"))),
        };
        Ok(Page { sessions: live.map(Info::into_info).collect(), next })
    }

    /// Returns the keys of some records on one machine, and where the scan goes on.
    pub(super) async fn scan(
        &self,
        node: Node,
        cursor: &str,
        kind: Option<&str>,
    ) -> Result<(String, Vec<String>), StoreError> {
        let mut command = cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(self.names.all_records()).arg("COUNT").arg(BATCH);
        if let Some(kind) = kind {
            command.arg("TYPE").arg(kind);
        }
        let Value::Array(reply) = self.connection.value_of(node, &command).await? else { return Err(unexpected()) };
        let [next, Value::Array(keys)] = <[Value; 2]>::try_from(reply).map_err(|_| unexpected())? else {
            return Err(unexpected());
        };
        let text = |value| String::from_utf8(bytes_of(value)?).map_err(|_| unexpected());
        Ok((text(next)?, keys.into_iter().map(text).collect::<Result<_, _>>()?))
    }
}

/// How many sessions an operation has ended, and an error that it met on the way.
#[derive(Default)]
pub(super) struct Ended {
    count: u64,
    error: Option<StoreError>,
}

impl Ended {
    pub(super) fn result(self) -> Result<u64, StoreError> {
        self.error.map_or(Ok(self.count), Err)
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        other.error.into_iter().for_each(|error| self.note(error));
    }

    /// Keeps the first error. An unreadable record counts less than any other error, because the caller may try again
    /// after the others.
    fn note(&mut self, error: StoreError) {
        if self.error.as_ref().is_none_or(|first| first.kind() == StoreErrorKind::Unreadable) {
            self.error = Some(error);
        }
    }
}

/// What becomes of records that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    IsError,
    Skipped,
}

fn ids_of(value: Value) -> Result<Vec<SessionId>, StoreError> {
    let Value::Array(members) = value else { return Err(unexpected()) };
    let ids = members.into_iter().map(|member| Ok(id_of_hex(&bytes_of(member)?)));
    Ok(ids.collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten().collect())
}

/// The largest number of records in one command.
const BATCH: u64 = 1_000;

/// The largest number of scans for the sessions of one application.
const MOST_SCANS: u32 = 3;
