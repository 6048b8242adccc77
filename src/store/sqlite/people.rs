//! What people look at and what they do, on the reading connections and in pieces of background work.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::{ResourceId, ResourceKind};

use super::writer::Done;
use super::{
    SqliteStore, audit, entries, find, follow, forget, held, once, reconcile, registry, requests,
    standing, tokens, touch,
};
use crate::store::{
    Actor, AuditFilter, AuditPage, AuditRow, ConnectorId, Counted, Decided, DriftLine, Entries,
    EntryFilter, Found, HeldFilter, HeldPage, Known, Move, OnceKey, OrgId, People, Pick,
    RequestPage, RequestRow, RequestSearch, Result, RowId, RowPick, Run, RunId, RunRow, Search,
    Signed, Standing, StoreError, Tally, Touch, Touched, Verdict,
};

#[async_trait]
impl People for SqliteStore {
    async fn entries(&self, filter: EntryFilter) -> Result<Entries> {
        let keys = self.keys();
        let found = self.readers.read_in_time(move |c| entries::entries(c, &filter, &keys)).await?;
        found.ok_or_else(too_long)
    }

    async fn count_entries(&self, filter: EntryFilter) -> Result<u64> {
        let keys = self.keys();
        let count = self.readers.read_in_time(move |c| entries::count(c, &filter, &keys)).await?;
        count.ok_or_else(too_long)
    }

    async fn counted(&self, organizations: Option<Vec<OrgId>>) -> Result<Vec<Counted>> {
        self.readers.look_up(|c| entries::counted(c, organizations.as_deref())).await
    }

    async fn touch(
        &self,
        filter: EntryFilter,
        touch: Touch,
        signed: Option<Signed>,
        now: Timestamp,
    ) -> Result<Tally> {
        let what = Arc::new((filter, touch, signed, self.keys()));
        let (mut touched, mut after) = (Tally::new(), Some(touch::START));
        // In chunks, since a million rows in one commit would hold up every provider; and the writer
        // does not look for them.
        while let Some(place) = after {
            let looked_for = Arc::clone(&what);
            let find = move |c: &Connection| {
                let (filter, touch, _, keys) = &*looked_for;
                touch::find(c, filter, touch, keys, place)
            };
            let found = self.readers.read(find).await?;
            after = touch::next(&found);
            if found.is_empty() {
                break;
            }
            let (what, clock) = (Arc::clone(&what), self.clock.clone());
            let more = self
                .background(move |c| {
                    clock.see(now);
                    let (filter, touch, signed, keys) = &*what;
                    touch::touch(c, &found, filter, touch, signed.as_ref(), keys, now)
                        .map(Done::ringing)
                })
                .await?;
            for (organization, rows) in more {
                *touched.entry(organization).or_default() += rows;
            }
        }
        Ok(touched)
    }

    async fn touch_picked(
        &self,
        picks: Vec<RowPick>,
        touch: Touch,
        signed: Signed,
        now: Timestamp,
    ) -> Result<Vec<Touched>> {
        let keys = self.keys();
        self.write(move |c| {
            touch::touch_picked(c, &picks, &touch, &signed, &keys, now).map(Done::ringing)
        })
        .await
    }

    async fn held(&self, filter: HeldFilter) -> Result<HeldPage> {
        let keys = self.keys();
        self.readers.read(move |c| held::held(c, &filter, &keys)).await
    }

    async fn decide(
        &self,
        connector: ConnectorId,
        picks: Vec<Pick>,
        verdict: Verdict,
        by: Actor,
        now: Timestamp,
    ) -> Result<Vec<Decided>> {
        let keys = self.keys();
        self.write(move |c| {
            held::decide(c, connector, &picks, &verdict, &by, &keys, now).map(Done::ringing)
        })
        .await
    }

    async fn find(&self, search: Search, offset: usize, limit: usize) -> Result<Found> {
        let keys = self.keys();
        self.readers.read(move |c| find::find(c, &search, offset, limit, &keys)).await
    }

    async fn follow_log(&self) -> Result<bool> {
        if !self.readers.look_up(follow::is_behind).await? {
            return Ok(false);
        }
        let Some(piece) = self.readers.read(follow::next).await? else { return Ok(false) };
        self.background(move |c| follow::write(c, &piece).map(Done::quiet)).await?;
        Ok(true)
    }

    async fn moves(&self, member: RowId, limit: usize) -> Result<Vec<Move>> {
        self.readers.look_up(|c| follow::moves(c, member, limit)).await
    }

    async fn standings(&self, resource: RowId) -> Result<Vec<Standing>> {
        let keys = self.keys();
        self.readers.read(move |c| standing::standings(c, resource, &keys)).await
    }

    async fn named(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        name: &str,
    ) -> Result<Vec<Known>> {
        self.readers.look_up(|c| standing::named(c, organization, kind, name)).await
    }

    async fn requests_about(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
        name: &str,
        limit: usize,
    ) -> Result<Vec<RequestRow>> {
        let name = name.to_owned();
        self.readers.read(move |c| requests::about(c, organization, (kind, id, &name), limit)).await
    }

    async fn request_page(
        &self,
        organization: OrgId,
        search: RequestSearch,
    ) -> Result<RequestPage> {
        self.readers.read(move |c| requests::page(c, organization, &search)).await
    }

    async fn newer_requests(&self, organization: OrgId, than: i64) -> Result<u64> {
        self.readers.look_up(|c| requests::newer(c, organization, than)).await
    }

    async fn audit_page(&self, filter: AuditFilter) -> Result<AuditPage> {
        self.readers.read(move |c| audit::page(c, &filter)).await
    }

    async fn once_look(&self, once: &OnceKey) -> Result<Option<(Timestamp, bool)>> {
        let key = once::digest(&self.ledger_key, once);
        self.readers.look_up(|c| once::look(c, &key)).await
    }

    async fn held_kinds(&self, connector: ConnectorId) -> Result<Vec<HoldKind>> {
        self.readers.look_up(|c| held::kinds(c, connector)).await
    }

    async fn acts_about(
        &self,
        organization: &str,
        id: ResourceId,
        limit: usize,
    ) -> Result<Vec<AuditRow>> {
        let organization = organization.to_owned();
        self.readers.read(move |c| standing::acts_about(c, &organization, id, limit)).await
    }

    async fn audit_log(&self, limit: usize) -> Result<Vec<AuditRow>> {
        self.readers.read(move |c| tokens::audit_log(c, limit)).await
    }

    async fn last_run(&self, connector: ConnectorId) -> Result<Option<RunRow>> {
        self.readers.look_up(|c| reconcile::last(c, connector)).await
    }

    async fn runs(&self, connector: ConnectorId, limit: usize) -> Result<Vec<Run>> {
        self.readers.look_up(move |c| reconcile::runs(c, connector, limit)).await
    }

    async fn drift(&self, run: RunId, after: i64, limit: usize) -> Result<Vec<DriftLine>> {
        let keys = self.keys();
        self.readers.look_up(move |c| reconcile::drift(c, run, after, limit, &keys)).await
    }

    async fn forget(&self, connector: ConnectorId) -> Result<bool> {
        let subscribers = self.subscribers();
        let begun = self
            .write(move |c| {
                let begun = forget::begin(c, connector)?;
                *subscribers.write().unwrap_or_else(PoisonError::into_inner) =
                    registry::subscribers(c)?;
                Ok(Done::quiet(begun))
            })
            .await;
        if begun.is_err() {
            self.subscribe_as_written().await?;
        }
        begun
    }

    async fn drop_forgotten(&self) -> Result<bool> {
        if !self.readers.look_up(forget::is_open).await? {
            return Ok(false);
        }
        self.background(|c| forget::piece(c).map(Done::quiet)).await
    }
}

fn too_long() -> StoreError {
    StoreError::Busy("looking through the queue took too long; narrow it down".to_owned())
}
