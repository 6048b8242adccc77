//! Writes down once a minute what charts are made of: what was counted since, and how it stands.
//! An end without notice loses no more than that minute.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::delivery::Shared;
use crate::metrics::{Counts, Deliveries};
use crate::operator::Runtime;
use crate::store::{
    ConnectorPast, ConnectorRow, Note, OrgId, Past, PastHealth, Quarter, Result, State,
};

/// Between two notes.
pub(super) const MINUTE: Duration = Duration::from_mins(1);

pub(super) async fn note(shared: &Shared, runtime: &Runtime) {
    let counts = shared.metrics.tally.take();
    if let Err(error) = write(shared, runtime, &counts).await {
        tracing::warn!(%error, "cannot write down what charts are made of; with the next minute");
        shared.metrics.tally.put_back(counts);
    }
}

async fn write(shared: &Shared, runtime: &Runtime, counts: &Counts) -> Result<()> {
    let now = shared.clock.now();
    let mut organizations: BTreeMap<OrgId, Past> = BTreeMap::new();
    for (id, counted) in &counts.organizations {
        let past = Past {
            changes: counted.changes,
            answered: counted.answered,
            refused: counted.refused,
            delivered: counted.deliveries.delivered,
            failed: counted.deliveries.failed,
            backlog: 0,
        };
        organizations.insert(OrgId(*id), past);
    }
    for counted in shared.store.counted(None).await? {
        if counted.state != State::Scheduled {
            organizations.entry(counted.organization).or_default().backlog += counted.entries;
        }
    }
    let mut connectors = Vec::new();
    for row in shared.store.connectors().await?.into_iter().filter(|row| row.enabled) {
        let Deliveries { delivered, failed } =
            counts.connectors.get(&row.name).copied().unwrap_or_default();
        let past = ConnectorPast {
            delivered,
            failed,
            backlog: row.backlog.open() + row.backlog.parked + row.backlog.held,
            lag: lag(shared.store.oldest(row.id).await?, now),
            health: health(runtime, &row),
        };
        connectors.push((row.id, past));
    }
    let organizations = organizations.into_iter().collect();
    shared.store.note(Note { now, organizations, connectors }).await
}

fn lag(oldest: Option<Timestamp>, now: Timestamp) -> Duration {
    let waited = oldest.map(|oldest| now.duration_since(oldest));
    waited.and_then(|waited| Duration::try_from(waited).ok()).unwrap_or_default()
}

fn health(runtime: &Runtime, row: &ConnectorRow) -> PastHealth {
    let trouble = runtime.engine.health(&row.name).and_then(|health| health.trouble);
    match (&row.paused, trouble) {
        (Some(_), _) => PastHealth::Stopped,
        (None, Some(_)) => PastHealth::Trouble,
        (None, None) => PastHealth::Well,
    }
}

/// Lets go of what is too old to be shown.
pub(super) async fn forget(shared: &Shared) {
    let before = Quarter::of(shared.clock.now() - crate::store::HISTORY);
    if let Err(error) = shared.store.forget_history(before).await {
        tracing::warn!(%error, "cannot remove what is too old for charts; trying again later");
    }
}
