//! What goes into the store and what comes out of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use scim_relay_sdk::connector::Link;
use scim_relay_sdk::scim::{
    Attributes, Filter, MemberOp, Membership, ResourceId, ResourceKey, ResourceKind, SortBy, Start,
};
use serde::{Deserialize, Serialize};

use crate::vault::Sealed;

macro_rules! row_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);
    )+};
}

row_ids! {
    /// An organization's row. Every look-up of its data takes one: there is no other way in.
    OrgId,
    /// A resource's row; lists come in its order.
    RowId,
    ConnectorId,
    TokenId,
    RunId,
}

/// The columns that look-ups need beside the JSON, compared as the schema says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Folded; users only.
    pub user_name: Option<String>,
    /// Folded; groups only.
    pub display_name: Option<String>,
    /// Exact.
    pub external_id: Option<String>,
}

/// A resource's content: the JSON text that is served (without `meta`, `members` and `groups`),
/// and what it is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub body: String,
    pub lookups: Lookups,
    /// Names of the top-level attributes that differ from before.
    pub changed: Vec<String>,
    /// A new password, for the connectors that ask for it: no part of the resource, and in no log.
    pub password: Option<Sealed>,
}

impl Content {
    /// The same, and a password with it.
    #[must_use]
    pub fn with_password(mut self, password: Option<Sealed>) -> Self {
        if password.is_some() {
            self.changed.push("password".to_owned());
        }
        self.password = password;
        self
    }
}

/// Who writes, and when: for the log.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub token: Option<TokenId>,
    pub now: Timestamp,
}

/// A resource as it is kept.
#[derive(Clone, Debug)]
pub struct Stored {
    pub row: RowId,
    pub id: ResourceId,
    pub kind: ResourceKind,
    pub version: i64,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub body: String,
}

/// A write that came to its end; what a caller must handle is here, what is broken is a
/// [`StoreError`](super::StoreError).
#[derive(Clone, Debug)]
pub enum Written {
    Done {
        stored: Stored,
        /// Whether anything was written at all.
        changed: bool,
    },
    NotFound,
    /// The version was not the expected one; this is the version there is.
    Conflict(i64),
    /// Another living resource has this userName.
    UserNameTaken,
    /// This id, given as a member, names nobody.
    UnknownMember(String),
    /// A group cannot be a member of itself.
    MemberOfItself,
}

/// A change of an existing resource.
#[derive(Clone, Debug)]
pub struct Update {
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// Compare-and-set: `None` where only members change, so that two of them never collide.
    pub expected: Option<i64>,
    /// `None`: the attributes stay as they are.
    pub content: Option<Content>,
    pub members: Vec<MemberOp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deletion {
    Done,
    NotFound,
    Conflict(i64),
}

/// Which resources, in which order, and which page of them.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Of the organization: a resource's `meta.location` begins with it.
    pub base: Arc<str>,
    pub kinds: Vec<Wanted>,
    pub filter: Option<Filter>,
    /// None: in the order of creation.
    pub sort: Option<SortBy>,
    pub start: Start,
    pub count: usize,
}

/// A type that is listed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub kind: ResourceKind,
    /// Whether the scribe is told each one's members or groups.
    pub memberships: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    /// On all pages together.
    pub total: usize,
    /// As the scribe wrote them.
    pub resources: Vec<String>,
    /// Where a cursor was asked for and something is left: the cursor of the next page.
    pub next: Option<String>,
}

/// How a request for a list ended.
#[derive(Clone, Debug)]
pub enum Listing {
    Page(Page),
    /// The cursor is none of ours, or belongs to another list.
    InvalidCursor,
    /// The place that the cursor names is not to be found again.
    ExpiredCursor,
    /// There was too much to look at.
    TooMany,
}

/// A connector as the store must know it.
#[derive(Clone, Debug)]
pub struct Registration {
    pub name: String,
    pub kind: &'static str,
    pub every_event: bool,
    pub members: bool,
    pub reads_groups: bool,
    /// Asks for people's passwords.
    pub passwords: bool,
    pub enabled: bool,
    /// Whether one that is new gets everyone.
    pub backfills: bool,
    /// Changes when its mapping or scope may have.
    pub fingerprint: String,
    pub organizations: Vec<Arc<str>>,
}

/// A connector's row.
#[derive(Clone, Debug)]
pub struct ConnectorRow {
    pub id: ConnectorId,
    pub name: String,
    pub kind: String,
    pub enabled: bool,
    pub paused: Option<Paused>,
    pub backlog: Backlog,
    /// Resources it holds something of.
    pub links: u64,
}

/// Stopped by a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub at: Timestamp,
    pub by: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// Where a queue row stands (surfaces: states of a queue entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Pending,
    Retrying,
    Scheduled,
    Waiting,
    Parked,
    Held,
}

impl State {
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Retrying, Self::Scheduled, Self::Waiting, Self::Parked, Self::Held];

    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Scheduled => "scheduled",
            Self::Waiting => "waiting",
            Self::Parked => "parked",
            Self::Held => "held",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// How many rows are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    pub pending: u64,
    pub retrying: u64,
    pub scheduled: u64,
    pub waiting: u64,
    pub parked: u64,
    pub held: u64,
}

impl Backlog {
    pub fn of(&self, state: State) -> u64 {
        match state {
            State::Pending => self.pending,
            State::Retrying => self.retrying,
            State::Scheduled => self.scheduled,
            State::Waiting => self.waiting,
            State::Parked => self.parked,
            State::Held => self.held,
        }
    }

    pub fn add(&mut self, state: State, entries: u64) {
        *match state {
            State::Pending => &mut self.pending,
            State::Retrying => &mut self.retrying,
            State::Scheduled => &mut self.scheduled,
            State::Waiting => &mut self.waiting,
            State::Parked => &mut self.parked,
            State::Held => &mut self.held,
        } += entries;
    }

    /// What the engine still has to do now, by itself.
    pub fn open(&self) -> u64 {
        self.pending + self.retrying + self.waiting
    }
}

/// Why a row was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Change,
    /// The connector is new.
    Backfill,
    /// Its configuration changed.
    Reconfigured,
    /// A person asked.
    Resync,
    /// Reconciliation found a difference.
    Drift,
    /// A member's entry at this connector came, went or moved.
    Members,
    /// A stage of deprovisioning is due.
    Revisit,
    /// It and another one wait for each other's name: this one steps aside.
    GiveWay,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Change,
        Self::Backfill,
        Self::Reconfigured,
        Self::Resync,
        Self::Drift,
        Self::Members,
        Self::Revisit,
        Self::GiveWay,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Backfill => "backfill",
            Self::Reconfigured => "reconfigured",
            Self::Resync => "resync",
            Self::Drift => "drift",
            Self::Members => "members",
            Self::Revisit => "revisit",
            Self::GiveWay => "give_way",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    /// Whether a group must be compared whole, since the log does not say what differs.
    pub fn is_entire(self) -> bool {
        !matches!(self, Self::Change | Self::Members | Self::Revisit | Self::GiveWay)
    }
}

/// A token, without its secret.
#[derive(Clone, Debug)]
pub struct TokenRow {
    pub id: TokenId,
    pub organization: OrgId,
    pub lookup: String,
    pub hash: [u8; 32],
    pub name: String,
    pub read_only: bool,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    pub made_by: Option<String>,
    /// The one that was to end when this one was made.
    pub replaces: Option<TokenId>,
}

#[derive(Clone, Debug)]
pub struct NewToken {
    pub organization: OrgId,
    pub lookup: String,
    pub hash: [u8; 32],
    pub name: String,
    pub read_only: bool,
    pub created: Timestamp,
    pub expires: Option<Timestamp>,
    pub made_by: Option<String>,
    pub replaces: Option<TokenId>,
}

/// A piece of what retention was over for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// There may be more.
    pub more: bool,
    /// How many events became a part of another one, by connector.
    pub collapsed: BTreeMap<String, u64>,
}

/// What a connector holds, joined with the resource: one side of a reconciliation.
#[derive(Clone, Debug)]
pub struct Holding {
    pub row: RowId,
    pub key: ResourceKey,
    pub deleted: bool,
    pub attributes: Attributes,
    pub groups: Vec<Membership>,
    pub link: Option<Link>,
    /// A row of the queue is still open: what differs is on its way.
    pub queued: bool,
    /// Addresses of a group's members at this connector.
    pub members: Option<Vec<String>>,
}

/// A finished reconciliation.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub connector: ConnectorId,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub dry: bool,
    pub error: Option<String>,
    pub seen: u64,
    pub drift: Vec<DriftRow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftRow {
    pub kind: String,
    pub resource: Option<i64>,
    pub address: String,
    pub detail: serde_json::Value,
}

/// A difference as it was found, for people.
#[derive(Clone, Debug, Serialize)]
pub struct DriftLine {
    /// Its place in the run.
    pub id: i64,
    pub kind: String,
    /// DN or address at the target.
    pub address: String,
    /// Whose it is, where there is somebody.
    pub whose: Option<ResourceKey>,
    /// userName or displayName, as it is now.
    pub name: String,
    /// A list of what differs, as it was written down.
    #[serde(skip)]
    pub detail: serde_json::Value,
    #[serde(skip)]
    pub row: Option<RowId>,
}

/// A reconciliation that came to its end, or failed.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub id: RunId,
    #[serde(flatten)]
    pub outcome: RunRow,
}

/// A reconciliation's outcome, for `status` and metrics.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRow {
    pub started: Timestamp,
    pub ended: Timestamp,
    pub dry: bool,
    pub error: Option<String>,
    pub seen: u64,
    pub drifted: u64,
}

/// Who does something: a Unix user, an account of the console, the relay itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    name: String,
    /// Known of whom the console serves.
    from: Option<IpAddr>,
}

impl Actor {
    /// Whoever the kernel names at the other end of the admin socket.
    pub fn unix(name: String) -> Self {
        Self { name, from: None }
    }

    /// Of the console, by e-mail address.
    pub fn account(email: String, from: IpAddr) -> Self {
        Self { name: email, from: Some(from) }
    }

    /// Somebody at the console's door.
    pub fn stranger(from: IpAddr) -> Self {
        Self { name: "somebody".to_owned(), from: Some(from) }
    }

    /// A part of the relay, of its own accord.
    pub fn relay(part: &str) -> Self {
        Self { name: part.to_owned(), from: None }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn from(&self) -> Option<IpAddr> {
        self.from
    }
}

/// Something a person did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditRow {
    pub at: Timestamp,
    /// The Unix user of the admin socket, an account's e-mail address, or the daemon itself.
    pub actor: String,
    /// The address they came from, if they came from one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// `token.create`, `queue.skip`, ...
    pub action: String,
    pub organization: Option<String>,
    pub subject: String,
    pub detail: Option<String>,
}

/// What must happen at most once: a connector's own key, within an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceKey {
    pub connector: Arc<str>,
    pub organization: Arc<str>,
    pub key: String,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Once {
    /// Written down now: go on.
    Begun,
    /// An earlier attempt for this very row was cut off in the middle.
    Interrupted,
    /// One for another row was: of somebody who has left since, and is back under the same key.
    InterruptedElsewhere,
    /// It went out.
    Sent,
}

/// Whether a person has put up with what is missing from the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// It is not opened.
    #[default]
    Refused,
    /// It goes on without.
    Accepted,
}
