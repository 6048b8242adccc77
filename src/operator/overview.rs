//! All that the first page is made of, of those within reach.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::attention::{Matter, matters};
use super::status::OrganizationStatus;
use super::view::ConnectorView;
use super::{Operator, Reach, Result};
use crate::store::{ConnectorPast, EVERYONE, OrgId, Past, Quarter};

/// Organizations that are told one by one, with their own past.
const TOLD: usize = 50;
/// Quarters of an hour.
const DAY: i64 = 24 * 4;

/// How everything is, and was.
#[derive(Clone, Debug)]
pub struct Overview {
    /// All of them, by key.
    pub organizations: Vec<OrganizationStatus>,
    /// The last day of the first of them.
    pub days: BTreeMap<String, Vec<(Quarter, Past)>>,
    /// All of them together, from when it was asked for.
    pub past: Vec<(Quarter, Past)>,
    pub connectors: Vec<ConnectorView>,
    /// Their last day.
    pub connector_days: BTreeMap<String, Vec<(Quarter, ConnectorPast)>>,
    /// Most pressing first.
    pub matters: Vec<Matter>,
    /// Seconds from a change to its delivery, for half of the last ones at most.
    pub typical_delay: Option<f64>,
}

impl Operator {
    /// Of this organization, or of all within reach; charts begin at `from`.
    pub async fn overview(
        &self,
        reach: &Reach,
        organization: Option<&str>,
        from: Timestamp,
    ) -> Result<Overview> {
        let runtime = self.runtime.load_full();
        let now = self.clock.now();
        let within = self.within(reach, organization)?;
        let is_within = |(_, id): &(&Arc<str>, &OrgId)| {
            within.as_ref().is_none_or(|within| within.contains(id))
        };
        let tokens = self.store.tokens().await?;
        let mut organizations = Vec::new();
        let mut told = Vec::new();
        for (key, id) in runtime.organizations.iter().filter(is_within) {
            organizations.push(self.organization_status(&runtime, key, *id, &tokens, now).await?);
            told.push(*id);
        }
        let connectors = self.connectors_within(reach, organization).await?;
        let of = within.clone().unwrap_or_else(|| vec![EVERYONE]);
        let past = self.store.history(of, Quarter::of(from)).await?;
        let day = Quarter(Quarter::of(now).0 + 1 - DAY);
        told.truncate(TOLD);
        let days = self.store.history(told.clone(), day).await?;
        let keyed = organizations.iter().map(|one| one.key.clone()).zip(told);
        let connector_days = self.store.connector_history(day).await?;
        let named = runtime.connectors.load_full();
        let known = |name: &str| connectors.iter().any(|view| view.status.name == name);
        let own: Option<Vec<i64>> = within.map(|within| within.iter().map(|id| id.0).collect());
        // What no minute has noted yet.
        let counted = self.metrics.tally.so_far(own.as_deref());
        let since = Past {
            changes: counted.changes,
            answered: counted.answered,
            refused: counted.refused,
            delivered: counted.deliveries.delivered,
            failed: counted.deliveries.failed,
            backlog: 0,
        };
        Ok(Overview {
            days: keyed.filter_map(|(key, id)| Some((key, days.get(&id)?.clone()))).collect(),
            past: together(past.into_values().chain([vec![(Quarter::of(now), since)]])),
            connector_days: named
                .iter()
                .filter(|(name, _)| known(name))
                .filter_map(|(name, id)| Some((name.to_string(), connector_days.get(id)?.clone())))
                .collect(),
            matters: matters(&organizations, connectors.iter().map(|view| &view.status)),
            typical_delay: self.metrics.tally.typical_delay(own.as_deref()),
            organizations,
            connectors,
        })
    }
}

/// Several organizations' quarters as one's.
fn together(all: impl Iterator<Item = Vec<(Quarter, Past)>>) -> Vec<(Quarter, Past)> {
    let mut sum: BTreeMap<Quarter, Past> = BTreeMap::new();
    for (quarter, past) in all.flatten() {
        let so_far = sum.entry(quarter).or_default();
        *so_far = so_far.beside(past);
    }
    sum.into_iter().collect()
}
