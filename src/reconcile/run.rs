//! One reconciliation, from the listing to the marks.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use scim_relay_sdk::connector::{
    Connector, Entry, Inventory, OrganizationInfo, Resource, Scope, chain,
};
use scim_relay_sdk::scim::{self, ResourceKind};
use serde::{Deserialize, Serialize};

use super::plan::{Drift, DriftKind, Plan, Side};
use crate::clock::SharedClock;
use crate::store::{ConnectorId, DriftRow, Holding, NewRun, Reason, RowId, Store, StoreError};

/// Resources compared at a time.
const CHUNK: usize = 500;
/// With fewer linked entries than this, any of them may well have gone.
const FEW: usize = 10;

/// What is reconciled.
pub struct Target {
    pub id: ConnectorId,
    pub name: Arc<str>,
    pub connector: Arc<dyn Connector>,
    pub scope: Scope,
    pub organizations: HashMap<Arc<str>, Arc<OrganizationInfo>>,
    /// Whether what is missing or changed is put right.
    pub repair: bool,
    /// Whether orphans are deprovisioned.
    pub deprovision_orphans: bool,
}

/// How far a run has come, for whoever waits for it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Entries that the target has listed.
    seen: AtomicU64,
    /// Resources that were compared with theirs.
    compared: AtomicU64,
}

impl Progress {
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    pub fn compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }
}

/// What a run found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub connector: String,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub dry_run: bool,
    /// Entries the target listed.
    pub seen: usize,
    /// Set when the run did not come to its end; nothing was repaired then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    pub drift: Vec<Drift>,
    /// Rows marked to be put right.
    pub repairs: usize,
}

/// Compares the target with the store, writes the findings down, and marks what is to be put right
/// unless this is a dry run.
pub async fn run(
    store: &dyn Store,
    clock: &SharedClock,
    target: &Target,
    dry_run: bool,
    progress: &Progress,
) -> Result<Report, StoreError> {
    let started = clock.now();
    let mut report = Report {
        connector: target.name.to_string(),
        started,
        ended: started,
        dry_run,
        seen: 0,
        error: None,
        drift: Vec::new(),
        repairs: 0,
    };
    match compare(store, target, progress).await? {
        Ok((seen, drift)) => (report.seen, report.drift) = (seen, drift),
        Err(error) => report.error = Some(error),
    }
    if report.error.is_none() && !dry_run {
        report.repairs = repair(store, target, &report.drift, clock.now()).await?;
    }
    report.ended = clock.now();
    store.record_run(record(target.id, &report)).await?;
    Ok(report)
}

/// The findings, or why there are none.
async fn compare(
    store: &dyn Store,
    target: &Target,
    progress: &Progress,
) -> Result<Result<(usize, Vec<Drift>), String>, StoreError> {
    let Some(inventory) = target.connector.inventory() else {
        return Ok(Err(format!(
            "{} cannot be listed, so there is nothing to compare",
            target.name
        )));
    };
    let mut seen = 0;
    let mut drift = Vec::new();
    for kind in ResourceKind::ALL {
        let mut entries: Vec<Entry> = Vec::new();
        let mut sink = |entry| {
            progress.seen.fetch_add(1, Ordering::Relaxed);
            entries.push(entry);
        };
        if let Err(error) = inventory.list(kind, &mut sink).await {
            return Ok(Err(chain(&error)));
        }
        let mut plan = Plan::new(kind, entries);
        let mut after = RowId(0);
        loop {
            let holdings = store.holdings(target.id, kind, after, CHUNK).await?;
            let Some(last) = holdings.last() else { break };
            after = last.row;
            progress.compared.fetch_add(holdings.len() as u64, Ordering::Relaxed);
            for holding in holdings {
                match side(target, inventory, holding) {
                    Ok(side) => plan.compare(&side),
                    Err(error) => return Ok(Err(error)),
                }
            }
        }
        let (found, linked) = plan.found();
        if linked > FEW && found * 2 < linked {
            return Ok(Err(format!(
                "the target lists only {found} of the {linked} {}s it was given; that is more \
                 likely a wrong base, a filter or a missing right than the truth, so nothing was \
                 repaired",
                kind.word()
            )));
        }
        seen += plan.seen();
        drift.extend(plan.end());
    }
    Ok(Ok((seen, drift)))
}

fn side(target: &Target, inventory: &dyn Inventory, holding: Holding) -> Result<Side, String> {
    let organization = target
        .organizations
        .get(&holding.key.organization)
        .ok_or_else(|| format!("organization {} is not configured", holding.key.organization))?;
    let name = scim::user_name(&holding.attributes)
        .or_else(|| scim::display_name(&holding.attributes))
        .unwrap_or_default()
        .to_owned();
    let resource = Resource {
        key: holding.key.clone(),
        organization: Arc::clone(organization),
        attributes: holding.attributes,
        groups: holding.groups,
    };
    let mut queued = holding.queued;
    let expected = if holding.deleted || !target.scope.contains(&resource) {
        None
    } else if let Ok(mut entry) = inventory.expected(&resource) {
        entry.members = holding
            .members
            .map(|members| members.iter().map(|one| inventory.normalised(one)).collect());
        Some(entry)
    } else {
        // What cannot be mapped is parked in the queue, and said there.
        queued = true;
        None
    };
    Ok(Side {
        row: holding.row,
        key: holding.key,
        name,
        link: holding.link.map(|link| (link.target_id, link.stage)),
        queued,
        expected,
    })
}

async fn repair(
    store: &dyn Store,
    target: &Target,
    drift: &[Drift],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut repairs = 0;
    if target.repair {
        let rows: Vec<RowId> = drift
            .iter()
            .filter(|drift| {
                matches!(drift.kind, DriftKind::Missing | DriftKind::Changed | DriftKind::Lingering)
            })
            .filter_map(|drift| drift.row)
            .collect();
        repairs += rows.len();
        for rows in rows.chunks(CHUNK) {
            store.mark(target.id, rows.to_vec(), Reason::Drift, now).await?;
        }
    }
    if target.deprovision_orphans {
        for drift in drift.iter().filter(|drift| drift.kind == DriftKind::Orphaned) {
            if let Some(target_id) = &drift.target_id {
                let (target_id, address) = (target_id.clone(), drift.address.clone());
                let taken = store.take_orphan(target.id, drift.of, target_id, address, now).await?;
                repairs += usize::from(taken);
            }
        }
    }
    Ok(repairs)
}

fn record(connector: ConnectorId, report: &Report) -> NewRun {
    NewRun {
        connector,
        started: report.started,
        ended: report.ended,
        dry: report.dry_run,
        error: report.error.clone(),
        seen: report.seen as u64,
        drift: report
            .drift
            .iter()
            .map(|drift| DriftRow {
                kind: drift.kind.word().to_owned(),
                resource: drift.row.map(|row| row.0),
                address: drift.address.clone(),
                detail: serde_json::to_value(&drift.differences).unwrap_or_default(),
            })
            .collect(),
    }
}
