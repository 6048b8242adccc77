//! What the story plays on: the daemon, the provider, the targets, and the account of it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use scim_relay::operator::{Actor, Operator, QueueQuery, Reach};
use scim_relay::reconcile::Report;
use tokio::time::Instant;

use super::account::{Account, count};
use super::arrivals::{Arrivals, Batch};
use super::folder::{Folder, ORGANIZATION};
use super::provider::Provider;
use super::receiver::Receiver;

/// Within what everything arrives, or something is wrong; more for each hundred pupils.
const DEADLINE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Stage {
    pub(super) account: Account,
    pub(super) folder: Folder,
    pub(super) provider: Provider,
    pub(super) receiver: Receiver,
    pub(super) arrivals: Arrivals,
    pub(super) operator: Operator,
    deadline: Duration,
}

impl Stage {
    pub(super) fn new(
        account: Account,
        folder: Folder,
        provider: Provider,
        receiver: Receiver,
        operator: Operator,
        pupils: u32,
    ) -> Self {
        let deadline = DEADLINE + Duration::from_millis(100) * pupils;
        let arrivals = Arrivals::default();
        Self { account, folder, provider, receiver, arrivals, operator, deadline }
    }

    /// Waits until everything has arrived everywhere; what that was.
    pub(super) async fn settled(&mut self) -> Result<Batch> {
        self.settled_apart_from(None).await
    }

    /// Waits until everything has arrived, but for one connector's.
    pub(super) async fn settled_apart_from(&mut self, apart: Option<&str>) -> Result<Batch> {
        let begun = Instant::now();
        loop {
            let status = self.operator.status().await.context("the relay's state is unknown")?;
            let concerned = || {
                status.connectors.iter().filter(|connector| Some(connector.name.as_str()) != apart)
            };
            // What is parked or held waits for a person, so it would never arrive.
            let stuck = concerned().any(|one| one.backlog.parked + one.backlog.held > 0);
            let late =
                begun.elapsed() > self.deadline && concerned().any(|one| one.backlog.open() > 0);
            if stuck || late {
                let seconds = begun.elapsed().as_secs_f64();
                bail!("after {seconds:.1} s {}", self.what_is_missing(apart).await?);
            }
            if concerned().all(|one| one.backlog.open() == 0) {
                return self.arrivals.collect(&self.folder, &self.receiver);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// How many entries wait for a connector's target.
    pub(super) async fn waiting(&self, connector: &str) -> Result<u64> {
        let status = self.operator.status().await.context("the relay's state is unknown")?;
        let one = status.connectors.iter().find(|one| one.name == connector);
        Ok(one.map_or(0, |one| one.backlog.open()))
    }

    /// Compares the directory with what it should hold.
    pub(super) async fn reconcile(&self) -> Result<Report> {
        let actor = Actor::relay("demo");
        let report = self.operator.reconcile(&actor, "directory", false).await;
        let report = report.context("the directory cannot be reconciled")?;
        match &report.error {
            Some(error) => bail!("the reconciliation of the directory failed: {error}"),
            None => Ok(report),
        }
    }

    /// How many users and groups the relay holds.
    pub(super) async fn population(&self) -> Result<(u64, u64)> {
        let status = self.operator.status().await.context("the relay's state is unknown")?;
        let own = status.organizations.iter().find(|one| one.key == ORGANIZATION);
        own.map(|one| (one.users, one.groups)).context("the demonstration's organization is gone")
    }

    async fn what_is_missing(&self, apart: Option<&str>) -> Result<String> {
        let query = QueueQuery { limit: Some(1_000), ..QueueQuery::default() };
        let page = self
            .operator
            .queue(&Reach::Everywhere, &query)
            .await
            .context("the queue is unknown")?;
        let entries = page.entries;
        let mut missing = entries.iter().filter(|entry| Some(entry.connector.as_str()) != apart);
        let number = missing.clone().count();
        let Some(first) = missing.next() else {
            return Ok("something had not arrived".to_owned());
        };
        let why = first.last_error.as_deref().unwrap_or("no attempt has ended yet");
        Ok(format!(
            "{} not arrived; the first: {} at `{}` is {}: {why}",
            count(number, "delivery has", "deliveries have"),
            first.name,
            first.connector,
            first.state.word(),
        ))
    }
}
