//! The seam between the delivery engine and a target.
//!
//! To write a connector for a new kind of target:
//!
//! 1. Make a folder under `connectors/` with the same file names as its neighbours: `config.rs`
//!    (its section of a connector file, a plain serde struct that implements [`Settings`]),
//!    `client.rs` (the wire), `deliver.rs`, `preview.rs`, `error.rs` (one table from the
//!    protocol's codes to [`DeliveryError`]), and `inventory.rs` where the target can be read.
//! 2. Implement [`Connector`]. Everything general (scope, order, concurrency, rate, timeouts,
//!    back-off, pausing, safety, parking, metrics) is the engine's: a connector never sleeps,
//!    never retries, never reads the clock ([`Work::now`] has the time) and keeps nothing that a
//!    restart would lose.
//! 3. Make it idempotent: the same work may come twice, and after a timeout the first try may
//!    still happen. Read what is there, write the difference.
//! 4. Add one line to `src/daemon/connectors.rs`.

mod inventory;
mod outcome;
mod scope;
mod secret;
mod settings;
pub mod template;
mod units;
mod view;
mod work;

use async_trait::async_trait;

pub use inventory::{Entry, Inventory, InventoryError, Listing};
pub use outcome::{
    Action, BoxError, Decision, Delivered, DeliveryError, Health, HoldKind, Preview, chain,
};
pub use scope::Scope;
pub use secret::{Secret, SecretError, SecretRef, Secrets};
pub use settings::{BuildContext, Fate, Leavers, OrganizationInfo, Problem, Settings};
pub use template::{Escape, Template, TemplateError};
pub use units::{Period, PeriodError, Rate, Size};
pub use view::View;
pub use work::{
    Change, Gone, Link, Member, MemberDelta, MemberRef, MemberRemovals, NoOwners, Owner, Owners,
    Permit, Resource, Stage, Verb, Wanted, Work,
};

/// How the engine may treat several waiting changes to one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// The target mirrors state, so only the newest matters: LDAP, SCIM, REST.
    LatestState,
    /// The target is told of events, so each change is delivered: webhook events, mail.
    EveryEvent,
}

/// What a connector's configuration reads besides the resource itself. A change of these marks
/// the people concerned at that connector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// A mapping or a template uses `groups`. (Whether the scope does, the engine sees itself.)
    pub groups: bool,
}

/// One target.
#[async_trait]
pub trait Connector: Send + Sync {
    fn semantics(&self) -> Semantics;

    /// Whether a connector that is new gets everyone in scope (`true`), or only what changes from
    /// now on (mail).
    fn backfills(&self) -> bool {
        true
    }

    /// Whether a group's membership reaches this target, so that work for a group carries
    /// [`Work::members`].
    fn wants_members(&self) -> bool {
        false
    }

    fn reads(&self) -> Reads {
        Reads::default()
    }

    /// A rate of the connector's own, applied by the engine besides `limits.rate`.
    fn rate(&self) -> Option<Rate> {
        None
    }

    /// What must happen at most once ever: the engine writes it down durably before
    /// [`deliver`](Self::deliver) and skips the delivery when it is there already. One that was
    /// cut off after that comes again [in doubt](Work::in_doubt), for the connector to refuse until
    /// a person says to retry it. The key is unique within one organization at this
    /// connector, and the same for every attempt at the same work. `None` when the work does
    /// nothing that could happen twice.
    fn once_key(&self, _work: &Work) -> Option<String> {
        None
    }

    /// Whether [`deliver`](Self::deliver) would reach the target for this work at all. What does not
    /// (an event nobody asked for) uses up no rate.
    fn reaches(&self, _work: &Work) -> bool {
        true
    }

    /// Brings the target in line with `work`.
    ///
    /// The same work may come twice: creating what exists and removing what is gone both succeed.
    async fn deliver(&self, work: &Work) -> Result<Delivered, DeliveryError>;

    /// What [`deliver`](Self::deliver) would write, in the target's own notation (LDIF, an HTTP
    /// request, a mail). Touches nothing, and needs no reachable target.
    async fn preview(&self, work: &Work) -> Result<Preview, DeliveryError>;

    /// Reaches the target with the configured credentials and writes nothing.
    async fn probe(&self) -> Result<Health, DeliveryError>;

    /// The target's contents, where it can be read at all.
    fn inventory(&self) -> Option<&dyn Inventory> {
        None
    }
}
