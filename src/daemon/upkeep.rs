//! What happens every few seconds, every minute and every hour: tokens' and sessions' last use, what a
//! forgotten connector left, what charts are made of, retention.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::history;
use crate::delivery::Shared;
use crate::http::Scim;
use crate::metrics;
use crate::operator::{Operator, Runtime};

const OFTEN: Duration = Duration::from_secs(5);
/// For how long the providers' last requests can be looked at, at most.
const REQUESTS: Duration = Duration::from_hours(7 * 24);
/// Between two rounds of pruning; the first comes soon after the start.
const PRUNE: Duration = Duration::from_hours(1);

pub(super) async fn run(
    shared: Shared,
    scim: Arc<Scim>,
    operator: Operator,
    runtime: Arc<ArcSwap<Runtime>>,
) {
    let mut until_prune = Duration::from_mins(1);
    // The first comes soon, so that it is known from when on the relay runs.
    let mut until_note = OFTEN;
    loop {
        drop_forgotten(&shared).await;
        tokio::select! {
            () = shared.soft.cancelled() => {
                history::note(&shared, &runtime.load_full()).await;
                return;
            }
            () = tokio::time::sleep(OFTEN) => {}
        }
        if let Err(error) = scim.upkeep().await {
            tracing::warn!(%error, "cannot write down when tokens were last used");
        }
        if let Err(error) = operator.note_seen().await {
            tracing::warn!(%error, "cannot write down which sessions are used");
        }
        until_note = until_note.saturating_sub(OFTEN);
        if until_note.is_zero() {
            history::note(&shared, &runtime.load_full()).await;
            until_note = history::MINUTE;
        }
        until_prune = until_prune.saturating_sub(OFTEN);
        if until_prune.is_zero() {
            if let Err(error) = operator.forget_ended_sessions().await {
                tracing::warn!(%error, "cannot remove sessions that have ended");
            }
            prune(&shared, &runtime).await;
            history::forget(&shared).await;
            until_prune = PRUNE;
        }
    }
}

/// What an end of the daemon left of a connector that a person let go.
async fn drop_forgotten(shared: &Shared) {
    while !shared.soft.is_cancelled() {
        match shared.store.drop_forgotten().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot drop what a forgotten connector left; trying again");
                return;
            }
        }
    }
}

async fn prune(shared: &Shared, runtime: &ArcSwap<Runtime>) {
    let retention = runtime.load().config.retention;
    let now = shared.clock.now();
    let (changes, reports) = (now - retention.changes, now - retention.reports);
    let mut collapsed: BTreeMap<String, u64> = BTreeMap::new();
    let mut more = true;
    while more && !shared.soft.is_cancelled() {
        let pruned = match shared.store.forget_requests(now - REQUESTS).await {
            Ok(false) => shared.store.prune(changes, reports).await,
            Ok(true) => continue,
            Err(error) => Err(error),
        };
        match pruned {
            Ok(piece) => {
                more = piece.more;
                for (connector, events) in piece.collapsed {
                    *collapsed.entry(connector).or_default() += events;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot remove what retention is over for; trying again later");
                more = false;
            }
        }
    }
    for (connector, events) in collapsed {
        tracing::warn!(
            connector,
            events,
            "not told for longer than `retention.changes`: these events become one for each resource"
        );
        let label = metrics::Connector { connector };
        shared.metrics.events_collapsed.get_or_create(&label).inc_by(events);
    }
}
