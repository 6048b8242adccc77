//! The store in one SQLite file: WAL, `synchronous=FULL`, one writer thread with group commit,
//! and readers beside it.

mod accounts;
mod audit;
#[cfg(test)]
mod backlog_costs;
mod cases;
mod checkpoint;
mod claims;
mod clock;
#[cfg(test)]
mod costs;
mod cursor;
mod database;
mod entries;
mod fanout;
mod find;
mod follow;
mod forget;
mod held;
mod history;
mod index;
mod links;
mod list;
mod mark;
mod members;
#[cfg(test)]
pub(crate) mod memory;
mod needs;
mod once;
mod open;
mod passwords;
mod people;
#[cfg(test)]
mod plans;
mod prune;
mod queue;
mod readers;
mod reconcile;
mod registry;
mod removals;
mod requests;
mod resources;
mod rows;
mod settle;
mod standing;
mod tokens;
mod touch;
mod turnout;
mod values;
mod writer;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use scim_relay_sdk::connector::{HoldKind, MemberRef, Owner};
use scim_relay_sdk::scim::{ResourceId, ResourceKind, Schemas};
use tokio::sync::watch;

pub use self::database::{FILE, SqliteStore};
use self::list::List;
use self::values::{is_taken, kind_number, kind_of, millis, sql, time};
use self::writer::Done;
use super::{
    Allowed, Ask, AuditRow, CallRow, Case, Claim, ConnectorId, ConnectorRow, Content, Deletion,
    Holding, ListRequest, Listing, LogRow, NewRequest, NewRun, NewToken, Once, OnceKey, OrgId,
    Origin, Paused, Pruned, Reason, Registration, Removals, RequestFilter, RequestRow, Result,
    Room, RowId, RunId, Scribe, Settlement, Store, StoreError, Stored, TokenId, TokenRow, Update,
    Written,
};
use crate::vault::KeyId;

#[async_trait]
impl Store for SqliteStore {
    async fn organizations(&self, keys: Vec<String>) -> Result<Vec<OrgId>> {
        let ids = self.write(move |c| registry::organizations(c, &keys).map(Done::quiet)).await?;
        let known = self.readers.look_up(registry::organization_keys).await?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(ids)
    }

    async fn register(&self, connectors: Vec<Registration>) -> Result<Vec<ConnectorId>> {
        let subscribers = self.subscribers();
        let registered = self
            .write(move |c| {
                // No lane runs while connectors are registered, so whatever is still claimed was
                // left behind by one that could not give it back.
                claims::take_back(c)?;
                let ids = registry::register(c, &connectors)?;
                // Inside the writer, so that no write in between goes by the old list.
                *subscribers.write().unwrap_or_else(PoisonError::into_inner) =
                    registry::subscribers(c)?;
                Ok(Done::ringing(ids))
            })
            .await;
        if registered.is_err() {
            self.subscribe_as_written().await?;
        }
        registered
    }

    async fn connectors(&self) -> Result<Vec<ConnectorRow>> {
        self.readers.read(registry::connectors).await
    }

    async fn passwords_open_with(&self, key: Option<KeyId>) -> Result<u64> {
        self.write(move |c| passwords::forget_unreadable(c, key).map(Done::quiet)).await
    }

    async fn pause(&self, connector: ConnectorId, paused: Option<Paused>) -> Result<()> {
        self.write(move |c| registry::pause(c, connector, paused.as_ref()).map(Done::ringing)).await
    }

    async fn population(&self, organization: OrgId) -> Result<(u64, u64)> {
        self.readers.look_up(|c| registry::population(c, organization)).await
    }

    async fn create(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
        content: Content,
        members: Vec<String>,
        origin: Origin,
    ) -> Result<Written> {
        let (subscribers, clock) = (self.subscribers(), self.clock.clone());
        self.write(move |c| {
            clock.see(origin.now);
            let subscribers = subscribers.read().unwrap_or_else(PoisonError::into_inner);
            resources::create(c, &subscribers, organization, kind, id, &content, members, origin)
        })
        .await
    }

    async fn update(&self, organization: OrgId, update: Update, origin: Origin) -> Result<Written> {
        let (subscribers, clock) = (self.subscribers(), self.clock.clone());
        self.write(move |c| {
            clock.see(origin.now);
            let subscribers = subscribers.read().unwrap_or_else(PoisonError::into_inner);
            resources::update(c, &subscribers, organization, update, origin)
        })
        .await
    }

    async fn delete(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
        expected: Option<i64>,
        origin: Origin,
    ) -> Result<Deletion> {
        let (subscribers, clock) = (self.subscribers(), self.clock.clone());
        self.write(move |c| {
            clock.see(origin.now);
            let subscribers = subscribers.read().unwrap_or_else(PoisonError::into_inner);
            resources::delete(c, &subscribers, organization, kind, id, expected, origin)
        })
        .await
    }

    async fn get(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Stored>> {
        self.readers.look_up(|c| rows::living(c, organization, kind, id)).await
    }

    async fn list(
        &self,
        organization: OrgId,
        schemas: &Schemas,
        request: ListRequest,
        mut scribe: Scribe,
    ) -> Result<Listing> {
        let list = List::new(organization, schemas, request, self.cursor_key);
        if list.is_quick() {
            return self.readers.look_up(|c| list.read(c, &mut scribe)).await;
        }
        let listing = self.readers.read_for(organization, move |c| list.read(c, &mut scribe));
        Ok(listing.await?.unwrap_or(Listing::TooMany))
    }

    async fn write_out(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
        scribe: Scribe,
    ) -> Result<Option<(Stored, String)>> {
        match kind {
            ResourceKind::User => {
                self.readers
                    .look_up(|c| members::write_out(c, organization, kind, id, scribe))
                    .await
            }
            // Its members may be many.
            ResourceKind::Group => {
                let read =
                    move |c: &Connection| members::write_out(c, organization, kind, id, scribe);
                let read = self.readers.read_for(organization, read).await?;
                read.ok_or_else(|| StoreError::Busy("reading a group took too long".to_owned()))
            }
        }
    }

    async fn has_more_members(
        &self,
        organization: OrgId,
        group: ResourceId,
        than: usize,
    ) -> Result<bool> {
        self.readers.look_up(|c| members::are_more(c, organization, group, than)).await
    }

    async fn log(&self, organization: OrgId, resource: RowId, limit: usize) -> Result<Vec<LogRow>> {
        self.readers.read(move |c| resources::log(c, organization, resource, limit)).await
    }

    fn bell(&self) -> watch::Receiver<u64> {
        self.writer.bell()
    }

    async fn claim(
        &self,
        connector: ConnectorId,
        room: Room,
        now: Timestamp,
    ) -> Result<Vec<Claim>> {
        self.mind_the_clock(now).await?;
        // Every commit rings, so most looks find nothing: they must not cost a commit themselves.
        if !self.readers.look_up(|c| claims::is_due(c, connector, room, now)).await? {
            return Ok(Vec::new());
        }
        let (turns, clock) = (Arc::clone(&self.turns), self.clock.clone());
        self.background(move |c| {
            clock.note(c, now)?;
            let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            claims::claim(c, connector, room, now, &mut turns).map(Done::quiet)
        })
        .await
    }

    async fn next_due(&self, connector: ConnectorId, room: Room) -> Result<Option<Timestamp>> {
        self.readers.look_up(|c| claims::next_due(c, connector, room)).await
    }

    async fn case(&self, claim: &Claim) -> Result<Option<Case>> {
        let key = self.key_of(claim.organization)?;
        // A whole membership may be long; anything else is a few rows by their keys.
        if !claim.entire {
            return self.readers.look_up(|c| cases::case(c, claim, &key)).await;
        }
        let claim = claim.clone();
        self.readers.read(move |c| cases::case(c, &claim, &key)).await
    }

    async fn roster(&self, group: RowId) -> Result<Vec<MemberRef>> {
        self.readers.read(move |c| members::roster(c, group)).await
    }

    async fn allow(&self, claim: &Claim, ask: Ask, now: Timestamp) -> Result<Allowed> {
        let claim = claim.clone();
        self.background(move |c| removals::allow(c, &claim, ask, now).map(Done::quiet)).await
    }

    async fn removals(&self, connector: ConnectorId, now: Timestamp) -> Result<Vec<Removals>> {
        self.readers.read(move |c| removals::all(c, connector, now)).await
    }

    async fn delivered(
        &self,
        connector: ConnectorId,
        kind: HoldKind,
        now: Timestamp,
    ) -> Result<u64> {
        self.readers.read(move |c| removals::delivered(c, connector, kind, now)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<()> {
        let clock = self.clock.clone();
        self.background(move |c| {
            clock.see(settlement.now);
            settle::settle(c, &settlement)
        })
        .await
    }

    async fn mark(
        &self,
        connector: ConnectorId,
        resources: Vec<RowId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<()> {
        let clock = self.clock.clone();
        self.background(move |c| {
            clock.see(now);
            let background = reason == Reason::Drift;
            queue::mark(c, connector, &resources, reason, background, now).map(Done::ringing)
        })
        .await
    }

    async fn mark_everyone(
        &self,
        connector: ConnectorId,
        organization: Option<OrgId>,
        reason: Reason,
    ) -> Result<()> {
        self.write(move |c| fanout::begin(c, connector, organization, reason).map(Done::ringing))
            .await
    }

    async fn walk_fanout(&self, now: Timestamp) -> Result<bool> {
        if !self.readers.look_up(fanout::is_open).await? {
            return Ok(false);
        }
        let clock = self.clock.clone();
        self.background(move |c| {
            clock.see(now);
            fanout::walk(c, now).map(Done::ringing)
        })
        .await
    }

    async fn owner(&self, connector: ConnectorId, target_id: &str) -> Result<Option<Owner>> {
        let (keys, target_id) = (self.keys(), target_id.to_owned());
        self.readers.look_up(move |c| links::owner(c, connector, &target_id, &keys)).await
    }

    async fn oldest(&self, connector: ConnectorId) -> Result<Option<Timestamp>> {
        self.readers.look_up(|c| queue::oldest(c, connector)).await
    }

    async fn once_begin(&self, once: &OnceKey, claim: &Claim, now: Timestamp) -> Result<Once> {
        let key = once::digest(&self.ledger_key, once);
        let row = (claim.connector, claim.resource);
        self.background(move |c| once::begin(c, &key, row, now).map(Done::quiet)).await
    }

    async fn once_end(&self, once: &OnceKey, sent: bool) -> Result<()> {
        let key = once::digest(&self.ledger_key, once);
        self.background(move |c| once::end(c, &key, sent).map(Done::quiet)).await
    }

    async fn holdings(
        &self,
        connector: ConnectorId,
        kind: ResourceKind,
        after: RowId,
        limit: usize,
    ) -> Result<Vec<Holding>> {
        let keys = self.keys();
        self.readers
            .read(move |c| reconcile::holdings(c, connector, kind, after, limit, &keys))
            .await
    }

    async fn take_orphan(
        &self,
        connector: ConnectorId,
        kind: ResourceKind,
        target_id: String,
        address: String,
        now: Timestamp,
    ) -> Result<bool> {
        self.background(move |c| {
            reconcile::take_orphan(c, connector, kind, &target_id, &address, now).map(Done::ringing)
        })
        .await
    }

    async fn record_run(&self, run: NewRun) -> Result<RunId> {
        self.background(move |c| reconcile::record(c, &run).map(Done::quiet)).await
    }

    async fn record_requests(&self, batch: Vec<NewRequest>) -> Result<()> {
        self.background(move |c| requests::record(c, &batch).map(Done::quiet)).await?;
        self.recorded.send_replace(());
        Ok(())
    }

    fn recorded(&self) -> watch::Receiver<()> {
        self.recorded.subscribe()
    }

    async fn requests(
        &self,
        organization: OrgId,
        filter: RequestFilter,
    ) -> Result<Vec<RequestRow>> {
        self.readers.read(move |c| requests::requests(c, organization, filter)).await
    }

    async fn calls(&self, organization: OrgId) -> Result<Vec<CallRow>> {
        self.readers.read(move |c| requests::calls(c, organization)).await
    }

    async fn forget_requests(&self, before: Timestamp) -> Result<bool> {
        self.background(move |c| requests::forget(c, before).map(Done::quiet)).await
    }

    async fn add_token(&self, token: NewToken) -> Result<TokenId> {
        self.write(move |c| tokens::add(c, &token).map(Done::quiet)).await
    }

    async fn tokens(&self) -> Result<Vec<TokenRow>> {
        self.readers.read(tokens::all).await
    }

    async fn end_token(
        &self,
        organization: OrgId,
        token: TokenId,
        at: Timestamp,
        revoke: bool,
    ) -> Result<bool> {
        self.write(move |c| tokens::end(c, organization, token, at, revoke).map(Done::quiet)).await
    }

    async fn token_used(&self, used: Vec<(TokenId, Timestamp)>) -> Result<()> {
        self.background(move |c| tokens::used(c, &used).map(Done::quiet)).await
    }

    async fn audit(&self, row: AuditRow) -> Result<()> {
        self.write(move |c| tokens::audit(c, &row).map(Done::quiet)).await
    }

    async fn prune(&self, changes_before: Timestamp, reports_before: Timestamp) -> Result<Pruned> {
        let pruned = Arc::clone(&self.pruned);
        self.background(move |c| {
            let mut cursor = pruned.load(Ordering::Acquire);
            let piece = prune::prune(c, changes_before, reports_before, &mut cursor)?;
            pruned.store(cursor, Ordering::Release);
            Ok(Done::quiet(piece))
        })
        .await
    }

    async fn writable(&self) -> Result<()> {
        self.write(|c| registry::write_nothing_much(c).map(Done::quiet)).await
    }

    async fn close(&self) {
        self.writer.close();
    }
}
