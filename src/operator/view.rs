//! A connector as somebody may see it: all of it, or the part of one that is for others, too.

use jiff::Timestamp;
use scim_relay_sdk::connector::{Leavers, Semantics};
use serde::Serialize;

use super::glance::serves;
use super::probes::Tested;
use super::status::ConnectorStatus;
use super::{Operator, OperatorError, Result, Runtime};
use crate::config::{ConnectorConfig, Limits, Orphans, Piece, Retry};
use crate::safety::Safety;
use crate::store::{Backlog, ConnectorId, ConnectorRow, Reach};

/// How much of a connector is somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// Nobody else is concerned: it may be stopped, compared and forgotten, and its file seen.
    Whole,
    /// It is for other organizations, too.
    Part,
}

/// A connector on a page.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectorView {
    #[serde(flatten)]
    pub status: ConnectorStatus,
    pub share: Share,
    /// Key and name of the viewer's organizations that it serves.
    pub organizations: Vec<(String, String)>,
    /// When a target in trouble is asked again.
    pub next_try: Option<Timestamp>,
    /// Whether the target can be listed, and so compared.
    pub can_be_compared: bool,
    /// Whether the target is to mirror what the relay has, so that everybody may be delivered anew.
    pub mirrors: bool,
    /// Whether its file is there, if it says that it does not run.
    pub has_file: bool,
    pub last_test: Option<Tested>,
}

/// How a connector behaves, by its file.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Filters of its scope; none: everybody.
    pub users: Option<String>,
    pub groups: Option<String>,
    pub limits: Limits,
    pub retry: Retry,
    /// When it is compared, as cron's fields, and when that is next.
    pub schedule: Option<(String, Option<Timestamp>)>,
    pub repair: bool,
    pub orphans: Orphans,
    pub safety: Safety,
    pub leavers: Leavers,
    pub file: String,
    /// The file, without its secrets and comments.
    pub text: Vec<Piece>,
}

impl Operator {
    /// Those that serve somebody within reach, by name; or those of one organization.
    pub async fn connectors_within(
        &self,
        reach: &Reach,
        of: Option<&str>,
    ) -> Result<Vec<ConnectorView>> {
        let runtime = self.runtime.load_full();
        let mut views = Vec::new();
        for row in self.store.connectors().await? {
            let is_asked = |config| serves(config, reach, of);
            if of.is_some() && !config(&runtime, &row.name).is_some_and(is_asked) {
                continue;
            }
            if let Some(share) = share(&runtime, &row.name, reach) {
                views.push(self.view(&runtime, row, share, reach).await?);
            }
        }
        Ok(views)
    }

    pub async fn connector_within(&self, name: &str, reach: &Reach) -> Result<ConnectorView> {
        let share = self.share_of_connector(name, reach)?;
        let runtime = self.runtime.load_full();
        let rows = self.store.connectors().await?;
        let row = rows.into_iter().find(|row| row.name == name);
        let row = row.ok_or_else(|| unknown(name))?;
        self.view(&runtime, row, share, reach).await
    }

    /// Whose a connector is, of those within reach; an error where it is none of theirs.
    pub fn share_of_connector(&self, name: &str, reach: &Reach) -> Result<Share> {
        let runtime = self.runtime.load();
        let is_known = runtime.connectors.load().contains_key(name);
        let share = is_known.then(|| share(&runtime, name, reach)).flatten();
        share.ok_or_else(|| unknown(name))
    }

    /// Key and name of those within reach that a connector serves.
    pub fn served_by(&self, name: &str, reach: &Reach) -> Result<Vec<(String, String)>> {
        self.share_of_connector(name, reach)?;
        let runtime = self.runtime.load();
        let served = config(&runtime, name).map(|config| config.organizations.as_slice());
        let own = served.unwrap_or_default().iter().filter(|one| reach.contains(&one.key));
        Ok(own.map(|one| (one.key.to_string(), one.name.clone())).collect())
    }

    /// How many people and groups there are in the organizations that it serves.
    pub async fn everybody_at(&self, name: &str) -> Result<(u64, u64)> {
        let runtime = self.runtime.load_full();
        let served = config(&runtime, name).map(|config| config.organizations.as_slice());
        let (mut people, mut groups) = (0, 0);
        for organization in served.unwrap_or_default() {
            let id = self.organization(&organization.key)?;
            let population = self.store.population(id).await?;
            people += population.0;
            groups += population.1;
        }
        Ok((people, groups))
    }

    /// How it behaves; none where its file is gone.
    pub fn behaviour(&self, name: &str) -> Option<Behaviour> {
        let runtime = self.runtime.load();
        let config = config(&runtime, name)?;
        let now = self.clock.now();
        let schedule = config.reconcile.schedule.as_ref();
        Some(Behaviour {
            users: config.scope.users.as_ref().map(ToString::to_string),
            groups: config.scope.groups.as_ref().map(ToString::to_string),
            limits: config.limits,
            retry: config.retry,
            schedule: schedule.map(|schedule| {
                (schedule.source().to_owned(), schedule.next(&runtime.config.timezone, now))
            }),
            repair: config.reconcile.repair,
            orphans: config.reconcile.orphans,
            safety: config.safety.clone(),
            leavers: config.settings.leavers(),
            file: config.file.display().to_string(),
            text: config.shown(),
        })
    }

    async fn view(
        &self,
        runtime: &Runtime,
        row: ConnectorRow,
        share: Share,
        reach: &Reach,
    ) -> Result<ConnectorView> {
        let config = config(runtime, &row.name);
        let id = row.id;
        let organizations = self.served_by(&row.name, reach)?;
        let connector = runtime.engine.connector(&row.name);
        let trouble = runtime.engine.health(&row.name).and_then(|health| health.trouble);
        let last_test = self.tests.last(&row.name).filter(|_| share == Share::Whole);
        let mut status = self.connector_status(runtime, row, self.clock.now()).await?;
        if share == Share::Part {
            leave_out_others(&mut status);
            status.backlog = self.own_backlog(id, &organizations).await?;
        }
        Ok(ConnectorView {
            next_try: trouble.filter(|_| status.paused.is_none()).map(|trouble| trouble.next_probe),
            status,
            share,
            organizations,
            can_be_compared: connector.as_ref().is_some_and(|one| one.inventory().is_some()),
            mirrors: connector.is_some_and(|one| one.semantics() == Semantics::LatestState),
            has_file: config.is_some(),
            last_test,
        })
    }

    /// What is in a connector's queue of these organizations, from counters.
    async fn own_backlog(&self, id: ConnectorId, of: &[(String, String)]) -> Result<Backlog> {
        let organizations = of.iter().map(|(key, _)| self.organization(key));
        let organizations = organizations.collect::<Result<Vec<_>>>()?;
        let mut backlog = Backlog::default();
        for counted in self.store.counted(Some(organizations)).await? {
            if counted.connector == id {
                backlog.add(counted.state, counted.entries);
            }
        }
        Ok(backlog)
    }
}

fn config<'a>(runtime: &'a Runtime, name: &str) -> Option<&'a ConnectorConfig> {
    runtime.config.connectors.iter().find(|config| config.name == name)
}

/// A connector whose file is gone says no more whom it served, so it is for who sees everything.
fn share(runtime: &Runtime, name: &str, reach: &Reach) -> Option<Share> {
    if *reach == Reach::Everywhere {
        return Some(Share::Whole);
    }
    let served = &config(runtime, name)?.organizations;
    let own = served.iter().filter(|organization| reach.contains(&organization.key)).count();
    match own {
        0 => None,
        all if all == served.len() => Some(Share::Whole),
        _ => Some(Share::Part),
    }
}

/// What tells of other organizations' people.
fn leave_out_others(status: &mut ConnectorStatus) {
    status.holds = 0;
    status.in_flight = 0;
    status.held.clear();
    status.failing = None;
    status.oldest = None;
    status.last_reconciliation = None;
}

fn unknown(name: &str) -> OperatorError {
    OperatorError::NotFound(format!("there is no connector `{name}`"))
}
