//! What is on disk, in the domain's words.
//!
//! To add an operation: 1. say what it does here, in [`Store`], with its outcome as a value and
//! only what is broken as a [`StoreError`]; 2. write it for each backend in the file of that name
//! (`sqlite/resources.rs`, `sqlite/queue.rs`, ...); 3. hold it to its rule in `tests.rs`, which
//! runs for every backend.
//!
//! There is no transaction object: a transaction handed out across an await would forbid the group
//! commit. Each operation is one transaction, or a part of one that it shares with others.

mod accounts;
mod audit;
mod claim;
mod held;
mod history;
mod people;
mod requests;
mod search;
pub mod sqlite;
#[cfg(test)]
mod tests;
mod types;

use async_trait::async_trait;
use jiff::Timestamp;
use scim_relay_sdk::connector::{HoldKind, MemberRef, Owner};
use scim_relay_sdk::scim::{Membership, ResourceId, ResourceKind, Schemas};
use tokio::sync::watch;

use crate::vault::KeyId;

pub use accounts::{
    AccountChange, AccountId, AccountRow, Accounts, Added, Changed, Invitation, NewAccount,
    NewInvitation, NewSession, PasswordHash, Preferences, Purpose, Reach, Redeemed, Role, Seat,
    SecretHash, SessionId, SessionRow, Subject, TotpSecret, Welcome,
};
pub use audit::{AuditFilter, AuditPage, Audited};
pub use claim::*;
pub use held::{Decided, Held, HeldFilter, HeldPage, HeldPlace, Pick, Verdict};
pub use history::{ConnectorPast, EVERYONE, HISTORY, History, Note, Past, PastHealth, Quarter};
pub use people::{
    Counted, Entries, Entry, EntryFilter, EntryPlace, Known, LinkRow, LogRow, Move, Named, People,
    RowPick, Signed, Standing, Tally, Touch, Touched, Waiting,
};
pub use requests::{
    CallRow, KEPT_REQUESTS, KeptBody, NewRequest, RequestFilter, RequestPage, RequestRow,
    RequestSearch,
};
pub use search::{Found, Hit, MOST_FOUND, Place, Search, Typed};
pub use types::*;

/// The disk or the database failed; nothing was acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No room, a locked file, too many waiting writes: it heals by itself.
    #[error("the store cannot take writes just now: {0}")]
    Busy(String),
    /// What was read makes no sense, or an operation is wrong.
    #[error("the store failed: {0}")]
    Broken(String),
    /// What is on the disk is not what was written there. It stays as it is, for a person.
    #[error("{0}")]
    Damaged(String),
    /// The database cannot be opened; says what to do.
    #[error("{0}")]
    Open(String),
}

pub type Result<T> = std::result::Result<T, StoreError>;

/// A resource's memberships, told one by one: nobody holds a list of a hundred thousand.
pub trait Memberships {
    /// About how many there are, to make room for them.
    fn count(&mut self) -> Result<usize>;
    /// A group's members, or the groups a user is in, in the order they are served.
    fn each(&mut self, tell: &mut dyn FnMut(Membership)) -> Result<()>;
}

impl Memberships for Vec<Membership> {
    fn count(&mut self) -> Result<usize> {
        Ok(self.len())
    }

    fn each(&mut self, tell: &mut dyn FnMut(Membership)) -> Result<()> {
        self.drain(..).for_each(tell);
        Ok(())
    }
}

/// Writes resources down while they are read.
pub type Scribe = Box<dyn FnMut(&Stored, &mut dyn Memberships) -> Result<String> + Send>;

/// A backend. Clones of a handle share it.
#[async_trait]
pub trait Store: Accounts + History + People + Send + Sync {
    // === Registry ===

    /// The organizations of the configuration, in the order given, made where they are new.
    async fn organizations(&self, keys: Vec<String>) -> Result<Vec<OrgId>>;
    /// The connectors of the configuration: new ones are made (and back-filled), those that are
    /// not named any more are disabled, and one with another fingerprint re-evaluates everyone.
    /// No lane may run meanwhile: what is still claimed is taken back.
    async fn register(&self, connectors: Vec<Registration>) -> Result<Vec<ConnectorId>>;
    async fn connectors(&self) -> Result<Vec<ConnectorRow>>;
    /// Drops the passwords that were sealed with another key than this, or all if there is none; how
    /// many.
    async fn passwords_open_with(&self, key: Option<KeyId>) -> Result<u64>;
    /// Stops or resumes a connector on a person's word.
    async fn pause(&self, connector: ConnectorId, paused: Option<Paused>) -> Result<()>;
    /// How many users and groups live in an organization.
    async fn population(&self, organization: OrgId) -> Result<(u64, u64)>;

    // === Resources: each write is one transaction with its change row and its queue rows ===

    async fn create(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
        content: Content,
        members: Vec<String>,
        origin: Origin,
    ) -> Result<Written>;
    async fn update(&self, organization: OrgId, update: Update, origin: Origin) -> Result<Written>;
    async fn delete(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
        expected: Option<i64>,
        origin: Origin,
    ) -> Result<Deletion>;
    async fn get(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<Option<Stored>>;
    /// A page of those that match, each as `scribe` writes it down, all of one moment. A cursor names the last resource that was
    /// seen, so whatever is written between two pages, nobody is shown twice or passed over.
    async fn list(
        &self,
        organization: OrgId,
        schemas: &Schemas,
        request: ListRequest,
        scribe: Scribe,
    ) -> Result<Listing>;
    /// A resource as `scribe` writes it down, with its memberships, all of one moment.
    async fn write_out(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
        scribe: Scribe,
    ) -> Result<Option<(Stored, String)>>;
    /// Whether a group has more members than this; counts no further.
    async fn has_more_members(
        &self,
        organization: OrgId,
        group: ResourceId,
        than: usize,
    ) -> Result<bool>;

    /// The newest changes of a resource, newest first.
    async fn log(&self, organization: OrgId, resource: RowId, limit: usize) -> Result<Vec<LogRow>>;

    // === The queue ===

    /// Rings after a commit that made work. It carries no data.
    fn bell(&self) -> watch::Receiver<u64>;
    /// Takes rows that are due, in the order in which they are to begin: what is fresh, what has failed
    /// and what is done in the background in turns, and in each of them the organizations. One whose
    /// name somebody had who was deleted waits until the target has let go of that one.
    async fn claim(&self, connector: ConnectorId, room: Room, now: Timestamp)
    -> Result<Vec<Claim>>;
    /// When the next row falls due that there is room for; in the past, if one is due already.
    async fn next_due(&self, connector: ConnectorId, room: Room) -> Result<Option<Timestamp>>;
    /// What a claim is about; `None` when there is nothing left to do for it.
    async fn case(&self, claim: &Claim) -> Result<Option<Case>>;
    /// Everybody in a group, as events name them.
    async fn roster(&self, group: RowId) -> Result<Vec<MemberRef>>;
    /// Whether a claim may do what it asks for. Yes is on disk before this returns, and is counted
    /// once for all attempts of an hour. What was held stays so until a person approves the row.
    async fn allow(&self, claim: &Claim, ask: Ask, now: Timestamp) -> Result<Allowed>;
    /// What was done and what waits, of each kind.
    async fn removals(&self, connector: ConnectorId, now: Timestamp) -> Result<Vec<Removals>>;
    /// How much a connector has delivered of what this kind removes (entries, or memberships),
    /// before the removals of this hour.
    async fn delivered(
        &self,
        connector: ConnectorId,
        kind: HoldKind,
        now: Timestamp,
    ) -> Result<u64>;
    async fn settle(&self, settlement: Settlement) -> Result<()>;
    /// Marks resources dirty at a connector.
    async fn mark(
        &self,
        connector: ConnectorId,
        resources: Vec<RowId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<()>;
    /// Marks everyone of an organization (or of all) dirty, in chunks, in the background.
    async fn mark_everyone(
        &self,
        connector: ConnectorId,
        organization: Option<OrgId>,
        reason: Reason,
    ) -> Result<()>;
    /// Walks one chunk of what `mark_everyone` began; `false` when nothing is left.
    async fn walk_fanout(&self, now: Timestamp) -> Result<bool>;
    /// Whose an entry of the target is: a living resource's, or a deleted one's that is on its way
    /// out.
    async fn owner(&self, connector: ConnectorId, target_id: &str) -> Result<Option<Owner>>;
    /// Since when the oldest row waits that is to be worked on.
    async fn oldest(&self, connector: ConnectorId) -> Result<Option<Timestamp>>;

    // === What must happen once ===

    /// Writes down that this is about to be sent for this claim.
    async fn once_begin(&self, once: &OnceKey, claim: &Claim, now: Timestamp) -> Result<Once>;
    /// Writes down that it was sent (`true`), or certainly was not.
    async fn once_end(&self, once: &OnceKey, sent: bool) -> Result<()>;

    // === Reconciliation ===

    /// The resources of a kind that a connector serves, in order, after `after`; deleted ones
    /// too, as long as it holds something of them.
    async fn holdings(
        &self,
        connector: ConnectorId,
        kind: ResourceKind,
        after: RowId,
        limit: usize,
    ) -> Result<Vec<Holding>>;
    /// Makes a tombstone for an entry that belongs to nobody, so that it is deprovisioned like any
    /// other. `false` when the connector serves several organizations (whose would it be?) or the
    /// entry has an owner.
    async fn take_orphan(
        &self,
        connector: ConnectorId,
        kind: ResourceKind,
        target_id: String,
        address: String,
        now: Timestamp,
    ) -> Result<bool>;
    async fn record_run(&self, run: NewRun) -> Result<RunId>;
    // === The providers' last requests ===

    /// Adds to the ring of each organization, and lets the oldest go.
    async fn record_requests(&self, batch: Vec<NewRequest>) -> Result<()>;
    /// Rings after requests were recorded. It carries no data.
    fn recorded(&self) -> watch::Receiver<()>;
    /// The newest that match, oldest first.
    async fn requests(&self, organization: OrgId, filter: RequestFilter)
    -> Result<Vec<RequestRow>>;
    /// All that are kept of an organization, newest first.
    async fn calls(&self, organization: OrgId) -> Result<Vec<CallRow>>;
    /// Removes what came before. Does a bounded piece; `true` when there may be more.
    async fn forget_requests(&self, before: Timestamp) -> Result<bool>;

    // === Tokens, audit, upkeep ===

    async fn add_token(&self, token: NewToken) -> Result<TokenId>;
    async fn tokens(&self) -> Result<Vec<TokenRow>>;
    /// Ends a token at `at` (now: revoked; later: the overlap of a rotation).
    async fn end_token(
        &self,
        organization: OrgId,
        token: TokenId,
        at: Timestamp,
        revoke: bool,
    ) -> Result<bool>;
    async fn token_used(&self, used: Vec<(TokenId, Timestamp)>) -> Result<()>;
    async fn audit(&self, row: AuditRow) -> Result<()>;
    /// Removes what retention is over for: changes, tombstones everyone settled, reports. Events that
    /// a connector has not been told of yet become one. Does a bounded piece.
    async fn prune(&self, changes_before: Timestamp, reports_before: Timestamp) -> Result<Pruned>;
    /// Whether a write would be taken: what `readyz` asks.
    async fn writable(&self) -> Result<()>;
    /// Finishes what is queued and closes.
    async fn close(&self);
}
