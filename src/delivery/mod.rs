//! From the queue to the connectors.
//!
//! Words: a *claim* is a queue row that nobody else works on; its *case* is what it is about; a
//! *delivery* is one attempt at it; it ends in a *settlement*. A *lane* is one connector's
//! deliveries. A connector whose target is down or refuses us is *paused by its breaker*, which
//! *probes* it; one that a person stopped is *paused*.
//!
//! Nothing here is remembered that a kill could lose: what a lane holds in memory are claims, which
//! the store gives out again.

mod backoff;
mod blame;
mod breaker;
mod deliver;
mod fanout;
mod holds;
mod lane;
mod outcome;
mod owners;
mod permission;
mod rate;
mod slots;
#[cfg(test)]
mod tests;
mod work;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use scim_relay_sdk::connector::{Connector, HoldKind, OrganizationInfo, Rate, Scope};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use backoff::{Backoff, dice};
pub use blame::Failing;
pub use breaker::{Breaker, Cause, Trouble};
pub use work::{Try, judge, resource};

use crate::clock::SharedClock;
use crate::metrics::Metrics;
use crate::safety::{Removal, Safety};
use crate::store::{ConnectorId, Paused, Store, StoreError};
use crate::vault::Vault;

/// What a lane needs to know of its connector.
pub struct LaneSettings {
    pub id: ConnectorId,
    pub name: Arc<str>,
    pub connector: Arc<dyn Connector>,
    pub scope: Scope,
    pub organizations: HashMap<Arc<str>, Arc<OrganizationInfo>>,
    /// Deliveries at once.
    pub concurrency: usize,
    pub rate: Option<Rate>,
    /// Of one delivery.
    pub timeout: std::time::Duration,
    pub backoff: Backoff,
    /// Of failures of one item, after which a person must look.
    pub give_up_after: std::time::Duration,
    /// What it may remove and take over without a person's approval.
    pub safety: Safety,
    /// For a connector that asks for passwords.
    pub vault: Option<Arc<Vault>>,
    pub paused: Option<Paused>,
}

/// What every lane shares.
#[derive(Clone)]
pub struct Shared {
    pub store: Arc<dyn Store>,
    pub clock: SharedClock,
    /// What decides where it is left to chance.
    pub dice: fn() -> f64,
    pub metrics: Arc<Metrics>,
    pub tasks: TaskTracker,
    /// First signal: claim no more, finish what is in flight.
    pub soft: CancellationToken,
    /// Second signal, or the deadline: drop what is in flight; the store gives it out again.
    pub hard: CancellationToken,
}

/// The running lanes, and what a person may do to them.
#[derive(Default)]
pub struct Engine {
    lanes: HashMap<Arc<str>, lane::Handle>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// How a connector does.
#[derive(Clone, Debug)]
pub struct Health {
    pub paused: Option<Paused>,
    /// Why its target gets nothing just now.
    pub trouble: Option<Trouble>,
    /// That it is asked and nothing arrives.
    pub failing: Option<Failing>,
    pub in_flight: usize,
    pub last_delivered: Option<Timestamp>,
}

impl Engine {
    /// Starts a lane for each connector, and the walker that marks everyone where that was asked.
    pub fn start(shared: &Shared, lanes: Vec<LaneSettings>) -> Self {
        let stop = shared.soft.child_token();
        let mut handles = HashMap::new();
        for settings in lanes {
            let name = Arc::clone(&settings.name);
            handles.insert(name, lane::start(shared, settings, stop.clone()));
        }
        shared.tasks.spawn(fanout::walk(shared.clone(), stop.clone()));
        Self { lanes: handles, stop, tasks: shared.tasks.clone() }
    }

    /// Ends these lanes: they claim no more, finish what is in flight and give back the rest.
    pub async fn stop(&self) {
        self.stop.cancel();
        for lane in self.lanes.values() {
            lane.ended().await;
        }
    }

    /// Does this beside the lanes, and no longer than they run: a stop or a reload cuts it off, and
    /// then nothing comes of it.
    pub fn beside<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let stop = self.stop.clone();
        self.tasks.spawn(async move { stop.run_until_cancelled(work).await })
    }

    pub fn connector(&self, name: &str) -> Option<Arc<dyn Connector>> {
        Some(Arc::clone(&self.lanes.get(name)?.settings().connector))
    }

    pub fn settings(&self, name: &str) -> Option<&LaneSettings> {
        Some(self.lanes.get(name)?.settings())
    }

    pub fn health(&self, name: &str) -> Option<Health> {
        Some(self.lanes.get(name)?.health())
    }

    /// How many removals of a kind a connector may make in an hour; none of a kind that is not
    /// limited, or of a connector that does not run.
    pub async fn limit(&self, name: &str, kind: HoldKind) -> Result<Option<u64>, StoreError> {
        match (self.lanes.get(name), Removal::of(kind)) {
            (Some(lane), Some(removal)) => lane.limit(kind, removal).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Stops a lane on a person's word, or lets it go on; a broken target is then probed at once.
    pub fn set_paused(&self, name: &str, paused: Option<Paused>) {
        if let Some(lane) = self.lanes.get(name) {
            lane.set_paused(paused);
        }
    }
}
