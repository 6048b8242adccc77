//! What people look at and what they do: the queue, one person's story, a connector that is no more.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use scim_relay_sdk::connector::{HoldKind, MemberRef, Verb};
use scim_relay_sdk::scim::{ResourceId, ResourceKey, ResourceKind};
use serde::{Deserialize, Serialize};

use super::{
    Actor, AuditFilter, AuditPage, AuditRow, ConnectorId, Decided, DriftLine, Found, HeldFilter,
    HeldPage, OnceKey, OrgId, Pick, RequestPage, RequestRow, RequestSearch, Result, RowId, Run,
    RunId, RunRow, Search, State, Stored, Verdict,
};

/// What people look at, and what they do. A part of [`Store`](super::Store).
#[async_trait]
pub trait People: Send + Sync {
    /// Rows that match: those that wait for a person first, what lies ahead last.
    async fn entries(&self, filter: EntryFilter) -> Result<Entries>;
    /// How many match in all.
    async fn count_entries(&self, filter: EntryFilter) -> Result<u64>;
    /// How many rows there are, by connector, organization and state, from counters; of these
    /// organizations, or of all.
    async fn counted(&self, organizations: Option<Vec<OrgId>>) -> Result<Vec<Counted>>;
    /// What a person does to the rows that match, in bounded pieces; how many there were of each
    /// organization.
    async fn touch(
        &self,
        filter: EntryFilter,
        touch: Touch,
        signed: Option<Signed>,
        now: Timestamp,
    ) -> Result<Tally>;
    /// What a person does to these rows, in one transaction; what came of each, in their order.
    async fn touch_picked(
        &self,
        picks: Vec<RowPick>,
        touch: Touch,
        signed: Signed,
        now: Timestamp,
    ) -> Result<Vec<Touched>>;
    /// What waits for approval, page by page.
    async fn held(&self, filter: HeldFilter) -> Result<HeldPage>;
    /// Approves or rejects these, and writes down who did; what came of each, in their order.
    async fn decide(
        &self,
        connector: ConnectorId,
        picks: Vec<Pick>,
        verdict: Verdict,
        by: Actor,
        now: Timestamp,
    ) -> Result<Vec<Decided>>;
    /// Whoever has this name or id, and who had it until they were deleted: the living first.
    async fn named(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        name: &str,
    ) -> Result<Vec<Known>>;
    /// A page of those who are called like that, of all organizations that are asked for.
    async fn find(&self, search: Search, offset: usize, limit: usize) -> Result<Found>;
    /// Brings what they are found by up to date with the log, and who came into which group and left
    /// it, a piece at a time; `false` when nothing is left.
    async fn follow_log(&self) -> Result<bool>;
    /// Which groups somebody came into and left, the last first.
    async fn moves(&self, member: RowId, limit: usize) -> Result<Vec<Move>>;
    /// Where each connector stands with a resource.
    async fn standings(&self, resource: RowId) -> Result<Vec<Standing>>;
    /// The newest requests that were about a resource, or were refused under its name; oldest first.
    async fn requests_about(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
        name: &str,
        limit: usize,
    ) -> Result<Vec<RequestRow>>;
    /// A page of an organization's last requests, newest first.
    async fn request_page(&self, organization: OrgId, search: RequestSearch)
    -> Result<RequestPage>;
    /// How many of them came after this one.
    async fn newer_requests(&self, organization: OrgId, than: i64) -> Result<u64>;
    /// When what must happen once did (`true`), or was begun.
    async fn once_look(&self, once: &OnceKey) -> Result<Option<(Timestamp, bool)>>;
    /// What a connector holds something for.
    async fn held_kinds(&self, connector: ConnectorId) -> Result<Vec<HoldKind>>;
    /// What people did that names a resource, or looked at of it; the last first, of the last few thousand
    /// things that they did in its organization.
    async fn acts_about(
        &self,
        organization: &str,
        id: ResourceId,
        limit: usize,
    ) -> Result<Vec<AuditRow>>;
    async fn audit_log(&self, limit: usize) -> Result<Vec<AuditRow>>;
    /// A page of it, newest first.
    async fn audit_page(&self, filter: AuditFilter) -> Result<AuditPage>;
    async fn last_run(&self, connector: ConnectorId) -> Result<Option<RunRow>>;
    /// The newest of a connector's reconciliations, newest first.
    async fn runs(&self, connector: ConnectorId, limit: usize) -> Result<Vec<Run>>;
    /// What one of them found, in order, behind a place in it.
    async fn drift(&self, run: RunId, after: i64, limit: usize) -> Result<Vec<DriftLine>>;
    /// Begins to drop all that is known of a connector: what comes back under its name is a new one.
    /// `false` if it is enabled, and nothing was done.
    async fn forget(&self, connector: ConnectorId) -> Result<bool>;
    /// Drops a piece of what forgotten connectors left; `false` when nothing is left.
    async fn drop_forgotten(&self) -> Result<bool>;
}

/// A queue row, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub connector: String,
    pub organization: String,
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// userName or displayName, as it is now.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub display_name: Option<String>,
    pub state: State,
    pub reason: String,
    pub attempts: u32,
    pub dirty_at: Timestamp,
    pub due: Timestamp,
    pub in_flight: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_error: Option<String>,
    /// While it is held.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hold_kind: Option<String>,
    /// Parked because a person rejected it.
    pub rejected: bool,
    /// Grows with whatever changes about it: what is done to a row that was picked names it.
    pub mark: i64,
}

/// Some of the queue's rows, and where to read on if there may be more.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    pub entries: Vec<Entry>,
    pub next: Option<EntryPlace>,
}

/// Which queue rows.
#[derive(Clone, Debug, Default)]
pub struct EntryFilter {
    pub connector: Option<ConnectorId>,
    pub resource: Option<ResourceKey>,
    pub state: Option<State>,
    /// Of these alone; of all, where there is no list.
    pub organizations: Option<Vec<OrgId>>,
    /// A piece of the last error, in whatever case.
    pub error: Option<String>,
    /// Behind this row.
    pub after: Option<EntryPlace>,
    pub limit: usize,
}

/// How many rows of an organization are in a state at a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub connector: ConnectorId,
    pub organization: OrgId,
    pub state: State,
    pub entries: u64,
}

/// How many rows of each organization.
pub type Tally = BTreeMap<OrgId, u64>;

/// A row that a person picked from a list.
#[derive(Clone, Debug)]
pub struct RowPick {
    pub connector: ConnectorId,
    pub key: ResourceKey,
    /// As the person saw it; `None`: as it is now.
    pub mark: Option<i64>,
}

/// What came of a row that was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    Done,
    /// It is not in the queue any more.
    Gone,
    /// It is being delivered at this moment.
    InFlight,
    /// What is held is approved or rejected, and not tried again.
    Held,
    /// What lies ahead keeps its day.
    Scheduled,
    /// It is not what the person saw any more, and was left alone.
    Changed,
}

/// Where a row stands in the list of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryPlace {
    /// In the order of states.
    pub state: u8,
    pub connector: i64,
    pub organization: i64,
    pub dirty_at: i64,
    pub resource: i64,
}

impl fmt::Display for EntryPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, connector, organization, dirty_at, resource } = self;
        write!(f, "{state}-{connector}-{organization}-{dirty_at}-{resource}")
    }
}

impl FromStr for EntryPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let place = || {
            let mut parts = text.splitn(5, '-');
            Some(Self {
                state: parts.next()?.parse().ok()?,
                connector: parts.next()?.parse().ok()?,
                organization: parts.next()?.parse().ok()?,
                dirty_at: parts.next()?.parse().ok()?,
                resource: parts.next()?.parse().ok()?,
            })
        };
        place().ok_or("that is no place in the queue")
    }
}

impl From<EntryPlace> for String {
    fn from(place: EntryPlace) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for EntryPlace {
    type Error = &'static str;

    fn try_from(text: String) -> std::result::Result<Self, Self::Error> {
        text.parse()
    }
}

/// Whose word it was that rows were touched, for the audit log: a line for each of them.
#[derive(Clone, Debug)]
pub struct Signed {
    pub by: Actor,
    /// `queue.skip`, ...
    pub action: &'static str,
    pub reason: Option<String>,
}

/// What a person does to queue rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Due now, counted afresh.
    Retry,
    /// Given up for good; for an every-event connector past this one event alone.
    Skip,
}

/// One row of the change log, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogRow {
    pub seq: i64,
    pub verb: Verb,
    pub at: Timestamp,
    pub attributes: Vec<String>,
    pub joined: Vec<MemberRef>,
    pub left: Vec<MemberRef>,
    /// So many came or left that nobody is named.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub crowd: bool,
    pub token: Option<String>,
    /// The resource after it.
    #[serde(skip)]
    pub body: String,
}

/// Somebody came into a group, or left it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Move {
    pub at: Timestamp,
    /// As it is called now; none, if nothing is kept of it.
    pub group: Option<Named>,
    pub left: bool,
}

/// Somebody or something that is there, or was until it was deleted.
#[derive(Clone, Debug)]
pub struct Known {
    pub stored: Stored,
    pub deleted: Option<Timestamp>,
}

/// Where a connector stands with one resource, for people.
#[derive(Clone, Debug)]
pub struct Standing {
    pub connector: ConnectorId,
    pub link: Option<LinkRow>,
    pub waits: Option<Waiting>,
    /// A password is on its way.
    pub password: bool,
}

/// What a connector last applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkRow {
    pub address: String,
    pub target_id: String,
    /// `active`, `deactivated`, `removed` or `gone`.
    pub stage: String,
    /// In that stage.
    pub since: Timestamp,
    /// The newest change in it.
    pub seq: i64,
    /// Not known of what was applied by an early version.
    pub applied_at: Option<Timestamp>,
}

/// A queue row with all that is about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Waiting {
    pub entry: Entry,
    pub first_failed: Option<Timestamp>,
    /// Since when it is being delivered.
    pub delivering: Option<Timestamp>,
    /// The last attempt may have been carried out.
    pub in_doubt: bool,
    /// When a person approved it as it is now.
    pub approved_at: Option<Timestamp>,
    pub waits_for: Option<Named>,
    /// Who waits for it: the first of them.
    pub awaited_by: Vec<Named>,
    /// Changes that were not delivered yet, the oldest first; the first of them.
    pub undelivered: Vec<LogRow>,
}

/// A resource in a sentence.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Named {
    pub kind: ResourceKind,
    pub id: ResourceId,
    pub name: String,
}
