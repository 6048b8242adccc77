//! How everything is, on one screen, and what to do about what is not well.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::Quirk;
use serde::{Deserialize, Serialize};

use super::attention::matters;
use super::sentences::sentences;
use super::{Operator, Result, Runtime, tokens};
use crate::delivery::{Cause, Failing};
use crate::metrics;
use crate::safety::{Removal, Safety, Share};
use crate::store::{Backlog, ConnectorRow, OrgId, Paused, Removals, RunRow, State, TokenRow};

/// How long before its end a token is spoken of.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A target at which nothing arrives for this long is worth a person's look.
const FAILS_FOR_LONG: SignedDuration = SignedDuration::from_mins(10);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub started: Timestamp,
    pub now: Timestamp,
    pub organizations: Vec<OrganizationStatus>,
    pub connectors: Vec<ConnectorStatus>,
    /// What waits for a human, in sentences that say what to do.
    pub attention: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OrganizationStatus {
    pub key: String,
    pub name: String,
    pub endpoint: String,
    pub users: u64,
    pub groups: u64,
    /// Tokens that would be accepted now.
    pub tokens: usize,
    pub last_used: Option<Timestamp>,
    /// Tokens that run out soon, and have no successor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ending: Vec<EndingToken>,
    /// Whether requests that leave the RFCs are refused.
    pub strict: bool,
    /// What its provider does that the RFCs do not know, the most frequent first.
    pub deviations: Vec<Deviation>,
}

/// A token that runs out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndingToken {
    pub id: i64,
    pub name: String,
    pub ends: Timestamp,
}

/// One kind of deviation since the daemon's start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// As the metric's label has it.
    pub quirk: String,
    /// For a person.
    pub what: String,
    pub requests: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectorStatus {
    pub name: String,
    pub kind: String,
    /// `up`, `down`, `refused` (our credentials), `paused` or `disabled`.
    pub state: String,
    pub since: Option<Timestamp>,
    pub error: Option<String>,
    pub paused: Option<Paused>,
    pub backlog: Backlog,
    /// What waits for approval, and what was done without it within the hour; by kind.
    pub held: Vec<HeldStatus>,
    /// Other limits than usual, while they hold.
    pub window: Option<WindowStatus>,
    pub in_flight: usize,
    /// Resources it holds something of.
    pub holds: u64,
    /// Since when the oldest entry waits that could be worked on.
    pub oldest: Option<Timestamp>,
    pub last_delivered: Option<Timestamp>,
    /// Set once nothing has arrived for a while although it is tried.
    pub failing: Option<Failing>,
    pub last_reconciliation: Option<RunRow>,
}

/// Where a connector stands with one kind of what people approve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldStatus {
    /// `removal`, `member_removal`, ...
    pub kind: String,
    /// Entries of the queue that wait for approval.
    pub held: u64,
    /// Removals in them, and those on their way: one entry of a group may be many.
    pub waiting: u64,
    /// Done within the hour without anybody's approval.
    pub executed: u64,
    /// How many an hour allows. None: each of them waits, or nothing runs that could ask.
    pub limit: Option<u64>,
}

impl HeldStatus {
    /// How many wait, as a person counts them.
    pub fn count(&self) -> u64 {
        match HoldKind::parse(&self.kind) {
            Some(HoldKind::MemberRemoval) => self.waiting.max(self.held),
            _ => self.held,
        }
    }
}

/// A `[[safety.window]]` that is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WindowStatus {
    /// The last day.
    pub until: Date,
    /// As in the file.
    pub max_removals: Option<String>,
    pub max_member_removals: Option<String>,
}

/// How a connector does, in a word.
pub(super) struct StateOf {
    pub(super) word: &'static str,
    pub(super) since: Option<Timestamp>,
    pub(super) error: Option<String>,
}

pub(super) fn state_of(runtime: &Runtime, row: &ConnectorRow) -> StateOf {
    let trouble = runtime.engine.health(&row.name).and_then(|health| health.trouble);
    let (word, since, error) = if !row.enabled {
        ("disabled", None, None)
    } else if let Some(paused) = &row.paused {
        ("paused", Some(paused.at), None)
    } else if let Some(trouble) = trouble {
        let word = match trouble.cause {
            Cause::Credentials => "refused",
            Cause::Unreachable | Cause::TakesNothing => "down",
        };
        (word, Some(trouble.since), Some(trouble.error))
    } else {
        ("up", None, None)
    };
    StateOf { word, since, error }
}

impl Operator {
    pub async fn status(&self) -> Result<Status> {
        let runtime = self.runtime.load_full();
        let now = self.clock.now();
        let tokens = self.store.tokens().await?;
        let mut organizations = Vec::new();
        for (key, id) in &runtime.organizations {
            organizations.push(self.organization_status(&runtime, key, *id, &tokens, now).await?);
        }
        let mut connectors = Vec::new();
        for row in self.store.connectors().await? {
            connectors.push(self.connector_status(&runtime, row, now).await?);
        }
        let attention = sentences(now, &matters(&organizations, connectors.iter()));
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            now,
            organizations,
            connectors,
            attention,
        })
    }

    pub(super) async fn organization_status(
        &self,
        runtime: &Runtime,
        key: &str,
        id: OrgId,
        tokens: &[TokenRow],
        now: Timestamp,
    ) -> Result<OrganizationStatus> {
        let (users, groups) = self.store.population(id).await?;
        let info = runtime.config.organizations.get(key);
        let tokens = tokens::lines(key, id, tokens, now);
        let active = tokens.iter().filter(|token| token.is_active());
        let ending =
            active.clone().filter(|token| token.replaced_by.is_none()).filter_map(|token| {
                let ends = token.expires.filter(|ends| ends.duration_since(now) < SOON)?;
                Some(EndingToken { id: token.id, name: token.name.clone(), ends })
            });
        Ok(OrganizationStatus {
            key: key.to_owned(),
            name: info.map(|one| one.info.name.clone()).unwrap_or_default(),
            endpoint: runtime.config.endpoint(key),
            users,
            groups,
            ending: ending.collect(),
            tokens: active.count(),
            last_used: tokens.iter().filter_map(|token| token.last_used).max(),
            strict: info.is_some_and(|one| one.strict),
            deviations: self.deviations(key),
        })
    }

    fn deviations(&self, organization: &str) -> Vec<Deviation> {
        let counted = |quirk: Quirk| {
            let label = metrics::Tolerated {
                organization: organization.to_owned(),
                quirk: quirk.word().to_owned(),
            };
            // A kind that was never met has no counter, and gets none by being asked for.
            let requests = self.metrics.quirks.get(&label)?.get();
            Some(Deviation { quirk: label.quirk, what: quirk.sentence().to_owned(), requests })
        };
        let mut all: Vec<_> = Quirk::ALL.into_iter().filter_map(counted).collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.requests));
        all
    }

    pub(super) async fn connector_status(
        &self,
        runtime: &Runtime,
        row: ConnectorRow,
        now: Timestamp,
    ) -> Result<ConnectorStatus> {
        let safety = runtime.engine.settings(&row.name).map(|settings| &settings.safety);
        let held = self.held_status(runtime, &row, now).await?;
        let health = runtime.engine.health(&row.name);
        let StateOf { word, since, error } = state_of(runtime, &row);
        Ok(ConnectorStatus {
            state: word.to_owned(),
            since,
            error,
            paused: row.paused,
            backlog: row.backlog,
            held,
            window: safety.and_then(|safety| window(safety, now)),
            in_flight: health.as_ref().map_or(0, |health| health.in_flight),
            holds: row.links,
            oldest: self.store.oldest(row.id).await?,
            failing: health.as_ref().and_then(|health| {
                let failing = health.failing.clone()?;
                let lasts = self.clock.now().duration_since(failing.since);
                (lasts >= FAILS_FOR_LONG).then_some(failing)
            }),
            last_delivered: health.and_then(|health| health.last_delivered),
            last_reconciliation: self.store.last_run(row.id).await?,
            name: row.name,
            kind: row.kind,
        })
    }

    async fn held_status(
        &self,
        runtime: &Runtime,
        row: &ConnectorRow,
        now: Timestamp,
    ) -> Result<Vec<HeldStatus>> {
        let mut kinds = Vec::new();
        for removals in self.store.removals(row.id, now).await? {
            let Removals { kind, executed, waiting, held } = removals;
            let limit = match Removal::of(kind) {
                // To count what it is a share of takes a while.
                Some(_) if held > 0 || executed > 0 => {
                    runtime.engine.limit(&row.name, kind).await?
                }
                _ => None,
            };
            let kind = kind.word().to_owned();
            kinds.push(HeldStatus { kind, held, waiting, executed, limit });
        }
        Ok(kinds)
    }

    /// Brings the gauges up to date, before they are read.
    pub async fn refresh_gauges(&self) -> Result<()> {
        let status = self.status().await?;
        for connector in &status.connectors {
            let label = || metrics::Connector { connector: connector.name.clone() };
            for state in State::ALL {
                let label = metrics::InState {
                    connector: connector.name.clone(),
                    state: state.word().to_owned(),
                };
                let entries = i64::try_from(connector.backlog.of(state)).unwrap_or(i64::MAX);
                self.metrics.queue_entries.get_or_create(&label).set(entries);
            }
            let age = connector
                .oldest
                .map_or(0.0, |oldest| status.now.duration_since(oldest).as_secs_f64().max(0.0));
            self.metrics.queue_oldest.get_or_create(&label()).set(age);
            self.metrics
                .connector_paused
                .get_or_create(&label())
                .set(i64::from(connector.paused.is_some()));
            let up = matches!(connector.state.as_str(), "up" | "paused");
            self.metrics.connector_up.get_or_create(&label()).set(i64::from(up));
            for HeldStatus { kind, held, executed, .. } in &connector.held {
                let label =
                    metrics::OfKind { connector: connector.name.clone(), kind: kind.clone() };
                let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
                self.metrics.held.get_or_create(&label).set(gauge(*held));
                if HoldKind::parse(kind).and_then(Removal::of).is_some() {
                    self.metrics.removals.get_or_create(&label).set(gauge(*executed));
                }
            }
        }
        Ok(())
    }
}

fn window(safety: &Safety, now: Timestamp) -> Option<WindowStatus> {
    let window = safety.window(now)?;
    let written = |share: Option<Share>| share.map(|share| share.to_string());
    Some(WindowStatus {
        until: window.days.last(safety.today(now)),
        max_removals: written(window.max_removals),
        max_member_removals: written(window.max_member_removals),
    })
}
