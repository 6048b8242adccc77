//! What can be said of everything at a glance: the numbers of the menu, and what rings when they
//! may be others.

use tokio::sync::watch;

use super::{Operator, Result};
use crate::config::ConnectorConfig;
use crate::store::{Reach, State};

/// The numbers of the menu.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// In the queue, but for what is planned for a later day.
    pub queue: u64,
    /// Connectors whose target cannot be reached, or refuses us.
    pub troubled: u64,
}

/// Rings when something may have changed. It carries no data, and once is for many.
pub struct Bells {
    queue: watch::Receiver<u64>,
    requests: watch::Receiver<()>,
}

impl Bells {
    pub async fn rung(&mut self) {
        tokio::select! {
            Ok(()) = self.queue.changed() => {}
            Ok(()) = self.requests.changed() => {}
            // The store is closed.
            else => std::future::pending().await,
        }
    }
}

impl Operator {
    pub fn bells(&self) -> Bells {
        Bells { queue: self.store.bell(), requests: self.store.recorded() }
    }

    /// Of this organization, or of all within reach.
    pub async fn glance(&self, reach: &Reach, organization: Option<&str>) -> Result<Glance> {
        let runtime = self.runtime.load_full();
        let counted = self.store.counted(self.within(reach, organization)?).await?;
        let here = counted.iter().filter(|counted| counted.state != State::Scheduled);
        let in_trouble = |connector: &&ConnectorConfig| {
            let health = runtime.engine.health(&connector.name);
            let troubled = |health: &crate::delivery::Health| {
                health.paused.is_none() && health.trouble.is_some()
            };
            serves(connector, reach, organization) && health.as_ref().is_some_and(troubled)
        };
        Ok(Glance {
            queue: here.map(|counted| counted.entries).sum(),
            troubled: runtime.config.connectors.iter().filter(in_trouble).count() as u64,
        })
    }
}

/// Whether a connector serves this organization, or any within reach.
pub(super) fn serves(
    connector: &ConnectorConfig,
    reach: &Reach,
    organization: Option<&str>,
) -> bool {
    let is_asked = |key: &str| organization.map_or(reach.contains(key), |asked| asked == key);
    connector.organizations.iter().any(|served| is_asked(&served.key))
}
