//! A queue row at work: claimed, read, asked for and settled.

use std::collections::BTreeSet;

use jiff::Timestamp;
use scim_relay_sdk::connector::{Action, Change, HoldKind, Link, MemberDelta};
use scim_relay_sdk::scim::{Attributes, Membership, ResourceKey};

use super::{ConnectorId, OrgId, Reason, RowId};
use crate::vault::Sealed;

/// For how many rows a lane has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub rows: usize,
    /// How many of them may be such as have failed before.
    pub retries: usize,
}

/// A row that was claimed: nobody else works on it until it is settled.
#[derive(Clone, Debug)]
pub struct Claim {
    pub connector: ConnectorId,
    pub resource: RowId,
    pub organization: OrgId,
    pub since: i64,
    pub mark: i64,
    pub epoch: i64,
    pub reason: Reason,
    pub entire: bool,
    pub attempts: u32,
    pub first_failed: Option<Timestamp>,
    pub dirty_at: Timestamp,
    /// An earlier attempt was cut off.
    pub in_doubt: bool,
    /// Events that were too old to be kept are told with this one.
    pub collapsed: bool,
    /// It has failed before.
    pub is_retry: bool,
    /// It was marked with many others, so that nobody waits for this one.
    pub background: bool,
    /// When it fell due.
    pub due: Timestamp,
    /// What it was held for, before or after a person's word, and not delivered since.
    pub held: Option<HoldKind>,
}

/// What a claim is about, read at one moment.
#[derive(Clone, Debug)]
pub struct Case {
    pub key: ResourceKey,
    /// Set when the resource was deleted at the provider.
    pub deleted: bool,
    /// As it is now, or (for every-event connectors) as the change left it; `id`, `meta` included.
    pub attributes: Attributes,
    /// What they were at an attempt that was cut off, or have been since, oldest first; only of a
    /// claim in doubt without a link, for a connector that wants the result.
    pub earlier: Vec<Attributes>,
    /// Of a user; filled where the connector reads them.
    pub groups: Vec<Membership>,
    pub link: Option<Link>,
    pub change: Option<Change>,
    pub members: Option<MemberDelta>,
    /// See [`Work::bygone`](scim_relay_sdk::connector::Work::bygone).
    pub bygone: BTreeSet<String>,
    /// It was there before the connector came, and that has held nothing of it yet.
    pub first_run: bool,
    /// The password that the connector has not got yet.
    pub password: Option<Sealed>,
    /// Gone by now, whatever the change says that this is about.
    pub gone: bool,
    /// [`Claim::mark`] at this reading, which may be newer than the claim.
    pub mark: i64,
    /// Up to which change this reading goes.
    pub covers: i64,
    /// Up to which member mark this reading goes.
    pub member_mark: i64,
}

/// How a claim ended.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub claim: Claim,
    /// Of the [`Case`] that was worked on, or of the claim where none was read.
    pub mark: i64,
    pub covers: i64,
    pub member_mark: i64,
    pub outcome: Outcome,
    pub now: Timestamp,
}

#[derive(Clone, Debug)]
pub enum Outcome {
    /// The target is in line.
    Delivered { link: Option<Link>, revisit: Option<Timestamp>, action: Action },
    /// In line as far as the target will take it; the rest waits until a person looks.
    Partly { link: Link, error: String },
    /// Again at `due`. `counted`: it was this item's failure, not the target's.
    Retry { due: Timestamp, error: String, counted: bool, in_doubt: bool },
    /// Until a person looks.
    Parked { error: String },
    /// Until a person approves. `link`: of a group that is in line but for those who should leave it.
    Held { kind: HoldKind, count: u64, summary: String, link: Option<Link> },
    /// Until that one has settled; again at `due`, where it is not waiting for anything itself.
    Waiting { on: ResourceKey, due: Timestamp },
    /// The target's concern it is not, or not any more: in line as it is.
    Nothing,
    /// Not tried: given back as it was.
    Released,
}

/// A connector's wish to do what a person may have to approve first.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    pub kind: HoldKind,
    /// How many entries, or members of a group.
    pub count: u64,
    /// All of it goes: of a group, its members with it.
    pub whole: bool,
    /// How many an hour allows, those included that wait; [`u64::MAX`]: any number.
    pub limit: u64,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Written down as done: go on.
    Yes,
    No(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// With what was done within the hour and with what waits, it would be too many. `waiting` is
    /// counted no further than `limit` and one more.
    Limit { executed: u64, waiting: u64, limit: u64 },
    /// It was held for this before, and only a person frees it.
    Held,
    /// A person said no, and why.
    Rejected(String),
}

/// Where a connector stands with one kind of what people approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removals {
    pub kind: HoldKind,
    /// Done within the hour without a person's word.
    pub executed: u64,
    /// Held, or on its way and to be asked for.
    pub waiting: u64,
    /// Rows of the queue that are held.
    pub held: u64,
}
