//! What a person may do: look, create tokens, retry, skip, pause, preview, reconcile. The console
//! and the command line share it.
//!
//! Whatever changes something is written to the audit log with who did it, and so is a look at what
//! a provider sent.

mod accounts;
mod activity;
mod attention;
mod ballots;
mod comparing;
mod connectors;
mod facts;
mod forget;
mod glance;
mod held;
mod house;
mod integrations;
mod overview;
mod people;
mod preview;
mod probes;
mod queue;
mod requests;
mod rights;
mod self_test;
mod sentences;
mod standing;
mod status;
mod tokens;
mod trace;
mod view;
pub mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use scim_relay_sdk::connector::Semantics;
use scim_relay_sdk::scim::ResourceKind;

use crate::clock::SharedClock;
use crate::config::Config;
use crate::delivery::Engine;
use crate::metrics::Metrics;
use crate::oidc::Provider;
use crate::store::{AuditRow, ConnectorId, OrgId, Store, StoreError};
use crate::token::TokenBook;
use crate::vault::Vault;

use ballots::Ballots;
use comparing::Reconciling;
use probes::Tests;
use requests::Looks;

pub use crate::oidc::Return;
pub use crate::store::{Actor, Invitation, MOST_FOUND, Place, Preferences, Reach, Role, SessionId};
pub use accounts::{
    AccountLine, Begun, Enrolment, Entry, Link, Member, NewAccountRequest, NewPassword, Proof,
    SessionLine, SignedIn, Visitor, Welcomed,
};
pub use activity::{ActivityPage, ActivityQuery, Deed, Object, Whom};
pub use attention::{Matter, What};
pub use ballots::{Ballot, Choice, Counted};
pub use comparing::{Compared, Differs, Finding, Running};
pub use connectors::{ConnectorLine, Pausing};
pub use facts::{Difference, Fact};
pub use glance::{Bells, Glance};
pub use held::{Decision, DecisionTaken, HeldQuery, Obstacle, PAGE, Picked};
pub use house::House;
pub use integrations::{Integration, Reachability};
pub use overview::Overview;
pub use people::{PEOPLE, PeoplePage, PeopleQuery, PersonLine, WaitsAt};
pub use preview::{Previewed, Subject};
pub use probes::Tested;
pub use queue::{QueueConnector, QueuePage, QueuePick, QueueQuery};
pub use requests::{RequestQuery, RequestSearch};
pub use rights::{Right, Rights};
pub use self_test::{Calls, Milestone, Progress, WhyNot};
pub use standing::{QueueEntry, Stands};
pub use status::{
    ConnectorStatus, Deviation, EndingToken, HeldStatus, OrganizationStatus, Status, WindowStatus,
};
pub use tokens::{LONGEST_NAME, NewTokenRequest, Rotation, TokenLine};
pub use trace::{
    Change, Concern, GroupOf, MOST, MailSent, Stand, Trace, TraceQuery, Traceable, Traced,
    TracedRequest,
};
pub use view::{Behaviour, ConnectorView, Share};

/// What runs by the configuration that is in force; a reload swaps it whole.
pub struct Runtime {
    pub config: Config,
    pub engine: Engine,
    pub organizations: BTreeMap<Arc<str>, OrgId>,
    /// Those whose file is gone, too: what they left can still be looked at, and forgotten.
    pub connectors: ArcSwap<BTreeMap<Arc<str>, ConnectorId>>,
    /// What passwords are sealed with.
    pub vault: Option<Arc<Vault>>,
    /// Where people can sign in besides with a password.
    pub oidc: Option<Arc<Provider>>,
}

impl Runtime {
    fn forget(&self, name: &str) {
        self.connectors.rcu(|known| {
            let mut rest = BTreeMap::clone(known);
            rest.remove(name);
            rest
        });
    }

    /// Whether a connector that runs wants each change, and not only the result.
    fn is_every_event(&self, name: &str) -> bool {
        let connector = self.engine.connector(name);
        connector.is_some_and(|connector| connector.semantics() == Semantics::EveryEvent)
    }
}

/// Everything a person can do. Cheap to clone.
#[derive(Clone)]
pub struct Operator {
    store: Arc<dyn Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    tokens: Arc<TokenBook>,
    runtime: Arc<ArcSwap<Runtime>>,
    looks: Arc<Looks>,
    reconciling: Arc<Reconciling>,
    tests: Arc<Tests>,
    door: Arc<accounts::Door>,
    ballots: Arc<Ballots>,
    started: Timestamp,
}

/// Why it was not done, in a sentence for whoever asked.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no such thing; names what there is.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done like that.
    #[error("{0}")]
    Invalid(String),
    /// A target did not answer as it should.
    #[error("{0}")]
    Target(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub type Result<T> = std::result::Result<T, OperatorError>;

impl Operator {
    pub fn new(
        store: Arc<dyn Store>,
        clock: SharedClock,
        metrics: Arc<Metrics>,
        tokens: Arc<TokenBook>,
        runtime: Arc<ArcSwap<Runtime>>,
    ) -> Self {
        let started = clock.now();
        Self {
            store,
            clock,
            metrics,
            tokens,
            runtime,
            looks: Arc::default(),
            reconciling: Arc::default(),
            tests: Arc::default(),
            door: Arc::default(),
            ballots: Arc::default(),
            started,
        }
    }

    /// Key and name of each organization.
    pub fn organizations(&self) -> Vec<(String, String)> {
        let runtime = self.runtime.load();
        let named = |(key, one): (&Arc<str>, &crate::config::Organization)| {
            (key.to_string(), one.info.name.clone())
        };
        runtime.config.organizations.iter().map(named).collect()
    }

    /// How the console is reached.
    pub fn console(&self) -> crate::config::Console {
        self.runtime.load().config.console.clone()
    }

    /// The zone of schedules, and of whoever did not say theirs.
    pub fn timezone(&self) -> TimeZone {
        self.runtime.load().config.timezone.clone()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn organization(&self, key: &str) -> Result<OrgId> {
        let runtime = self.runtime.load();
        runtime.organizations.get(key).copied().ok_or_else(|| {
            OperatorError::NotFound(format!(
                "there is no organization `{key}`; there {}",
                listed(runtime.organizations.keys())
            ))
        })
    }

    /// Of which organizations something is shown to somebody: of this one, if it is theirs, or of all
    /// that they have. `None` is all there are.
    fn within(&self, reach: &Reach, organization: Option<&str>) -> Result<Option<Vec<OrgId>>> {
        match (organization, reach) {
            (None, Reach::Everywhere) => Ok(None),
            (None, Reach::Only(own)) => {
                let runtime = self.runtime.load();
                Ok(Some(
                    own.iter().filter_map(|key| runtime.organizations.get(key).copied()).collect(),
                ))
            }
            (Some(key), _) if reach.contains(key) => Ok(Some(vec![self.organization(key)?])),
            // Whether there is one is not theirs to know.
            (Some(key), _) => {
                Err(OperatorError::NotFound(format!("there is no organization `{key}`")))
            }
        }
    }

    fn connector(&self, name: &str) -> Result<ConnectorId> {
        let known = self.runtime.load().connectors.load_full();
        known.get(name).copied().ok_or_else(|| {
            OperatorError::NotFound(format!(
                "there is no connector `{name}`; there {}",
                listed(known.keys())
            ))
        })
    }

    async fn note(
        &self,
        actor: &Actor,
        action: &str,
        organization: Option<&str>,
        subject: impl Into<String>,
        detail: Option<String>,
    ) -> Result<()> {
        let row = AuditRow {
            at: self.clock.now(),
            actor: actor.name().to_owned(),
            from: actor.from().map(|from| from.to_string()),
            action: action.to_owned(),
            organization: organization.map(str::to_owned),
            subject: subject.into(),
            detail,
        };
        // The audit log names them; this one may go to whoever collects logs.
        tracing::info!(action, "done by a person");
        tracing::debug!(actor = row.actor, action, subject = row.subject, "done by a person");
        Ok(self.store.audit(row).await?)
    }
}

/// `are ldap, mail` or `is none`.
fn listed<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> String {
    let names: Vec<&str> = names.map(|name| &**name).collect();
    match names.as_slice() {
        [] => "is none".to_owned(),
        [one] => format!("is only `{one}`"),
        many => format!("are {}", many.join(", ")),
    }
}

/// `User/…` or `Group/…`, by id, as every list prints it, or by name.
fn parse_subject(text: &str) -> Result<(ResourceKind, &str)> {
    let parsed = text.split_once('/').and_then(|(kind, name)| {
        let kind =
            ResourceKind::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(kind))?;
        Some((kind, name))
    });
    parsed.filter(|(_, name)| !name.is_empty()).ok_or_else(|| {
        OperatorError::Invalid(format!(
            "`{text}` names no resource; write it as `queue list` prints it, or with a name: User/ada"
        ))
    })
}
