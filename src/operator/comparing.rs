//! Comparing a target with what it should hold: on demand, by schedule, or in the background while
//! somebody watches; and putting right what was found.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::OwnedMutexGuard;

use super::connectors::disabled;
use super::{Actor, Operator, OperatorError, Result};
use crate::config::{Orphans, sounds_secret};
use crate::metrics;
use crate::reconcile::{self, Difference, DriftKind, Progress, Report, Target};
use crate::store::{DriftLine, Reason, RowId, Run, RunId};

/// Differences on a page.
const DRIFT: usize = 50;
/// Differences that are put right in one piece.
const PIECE: usize = 500;
/// Values of an attribute that are shown: a group may have lost a thousand members.
const VALUES: usize = 20;
/// Runs that are listed.
const RUNS: usize = 20;

/// Whose comparison is running, by connector.
#[derive(Default)]
pub(super) struct Reconciling {
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    running: Mutex<HashMap<String, Begun>>,
}

#[derive(Clone)]
struct Begun {
    at: Timestamp,
    by: String,
    progress: Arc<Progress>,
}

impl Reconciling {
    fn turn(&self, connector: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(locked(&self.turns).entry(connector.to_owned()).or_default())
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes it out of those that run, however it ends.
struct Entered<'a>(&'a Reconciling, String);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        locked(&self.0.running).remove(&self.1);
    }
}

/// A comparison under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Running {
    pub since: Timestamp,
    pub by: String,
    /// Entries that the target has listed so far.
    pub seen: u64,
    /// People and groups that were compared so far.
    pub compared: u64,
    /// About how many of either there are.
    pub of: u64,
}

impl Running {
    /// From 0 to 100.
    pub fn percent(&self) -> u64 {
        let all = self.of.max(1) * 2;
        ((self.seen.min(self.of) + self.compared.min(self.of)) * 100 / all).min(99)
    }
}

/// A comparison that was made, and a page of what it found.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    pub run: Run,
    pub drift: Vec<Finding>,
    /// Behind which the next page begins.
    pub next: Option<i64>,
}

/// Something that differs, for a person.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    #[serde(flatten)]
    pub line: DriftLine,
    pub differences: Vec<Differs>,
    /// Whether it is put right by delivering somebody anew.
    pub repairable: bool,
}

/// What an attribute says, and what it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Differs {
    pub attribute: String,
    /// It may be a secret, so neither side is shown.
    pub hidden: bool,
    pub target: Vec<String>,
    pub expected: Vec<String>,
    /// How many more values there are than are shown.
    pub more_there: usize,
    pub more_wanted: usize,
}

impl Differs {
    fn new(difference: Difference) -> Self {
        let Difference { attribute, mut target, mut expected } = difference;
        let hidden = sounds_secret(&attribute);
        let most = if hidden { 0 } else { VALUES };
        let more = |values: &mut Vec<String>| {
            let more = values.len().saturating_sub(most);
            values.truncate(most);
            more
        };
        let (more_there, more_wanted) = (more(&mut target), more(&mut expected));
        Self { attribute, hidden, target, expected, more_there, more_wanted }
    }
}

impl Finding {
    fn new(line: DriftLine) -> Self {
        let ours = [DriftKind::Missing, DriftKind::Changed, DriftKind::Lingering];
        let repairable = line.row.is_some() && ours.iter().any(|kind| kind.word() == line.kind);
        let found: Vec<Difference> =
            serde_json::from_value(line.detail.clone()).unwrap_or_default();
        Self { differences: found.into_iter().map(Differs::new).collect(), repairable, line }
    }
}

impl Operator {
    /// Compares the target with what it should hold. A second one of the same connector waits for
    /// the first: it would find the same once more, and put it right once more.
    pub async fn reconcile(&self, actor: &Actor, name: &str, dry_run: bool) -> Result<Report> {
        self.connector(name)?;
        let turn = self.reconciling.turn(name).lock_owned().await;
        self.compare(actor, name, dry_run, turn).await
    }

    /// Begins one that changes nothing, in the background; it ends with the connectors that run now.
    pub fn begin_comparison(&self, actor: &Actor, name: &str) -> Result<()> {
        self.target(name)?;
        let Ok(turn) = self.reconciling.turn(name).try_lock_owned() else {
            return Err(OperatorError::Invalid(format!("{name} is being compared already")));
        };
        let (operator, actor, name) = (self.clone(), actor.clone(), name.to_owned());
        drop(self.runtime.load().engine.beside(async move {
            if let Err(error) = operator.compare(&actor, &name, true, turn).await {
                tracing::error!(connector = name, %error, "a comparison could not be made");
            }
        }));
        Ok(())
    }

    /// The one that is under way.
    pub async fn running_comparison(&self, name: &str) -> Result<Option<Running>> {
        let begun = locked(&self.reconciling.running).get(name).cloned();
        let Some(Begun { at, by, progress }) = begun else { return Ok(None) };
        let rows = self.store.connectors().await?;
        let of = rows.iter().find(|row| row.name == name).map_or(0, |row| row.links);
        let (seen, compared) = (progress.seen(), progress.compared());
        Ok(Some(Running { since: at, by, seen, compared, of }))
    }

    async fn compare(
        &self,
        actor: &Actor,
        name: &str,
        dry_run: bool,
        _turn: OwnedMutexGuard<()>,
    ) -> Result<Report> {
        let target = self.target(name)?;
        let progress = Arc::new(Progress::default());
        let begun = Begun {
            at: self.clock.now(),
            by: actor.name().to_owned(),
            progress: Arc::clone(&progress),
        };
        locked(&self.reconciling.running).insert(name.to_owned(), begun);
        let _entered = Entered(&self.reconciling, name.to_owned());
        let report =
            reconcile::run(self.store.as_ref(), &self.clock, &target, dry_run, &progress).await?;
        self.count_drift(&report);
        let detail = match &report.error {
            Some(error) => format!("failed: {error}"),
            None => format!("{} entries, {} differ", report.seen, report.drift.len()),
        };
        tracing::info!(connector = name, dry_run, detail, "reconciled");
        self.note(actor, "connector.reconcile", None, name, Some(detail)).await?;
        Ok(report)
    }

    fn target(&self, name: &str) -> Result<Target> {
        let id = self.connector(name)?;
        let runtime = self.runtime.load();
        let config = runtime.config.connectors.iter().find(|config| config.name == name);
        let (Some(config), Some(connector)) = (config, runtime.engine.connector(name)) else {
            return Err(disabled(name));
        };
        if connector.inventory().is_none() {
            return Err(OperatorError::Invalid(format!(
                "{name} is of a kind ({}) whose target cannot be listed, so there is nothing to compare",
                config.settings.kind()
            )));
        }
        let served = config.organizations.iter();
        Ok(Target {
            id,
            name: name.into(),
            connector,
            scope: config.scope.clone(),
            organizations: served.map(|info| (Arc::clone(&info.key), Arc::clone(info))).collect(),
            repair: config.reconcile.repair,
            deprovision_orphans: config.reconcile.orphans == Orphans::Deprovision,
        })
    }

    fn count_drift(&self, report: &Report) {
        if report.error.is_some() {
            return;
        }
        for kind in DriftKind::ALL {
            let label = metrics::OfKind {
                connector: report.connector.clone(),
                kind: kind.word().to_owned(),
            };
            let found = report.drift.iter().filter(|drift| drift.kind == kind).count();
            self.metrics.reconcile_drift.get_or_create(&label).set(found as i64);
        }
        let label = metrics::Connector { connector: report.connector.clone() };
        let ended = report.ended.as_millisecond() as f64 / 1_000.0;
        self.metrics.reconcile_last_success.get_or_create(&label).set(ended);
    }

    /// The last comparisons, newest first.
    pub async fn comparisons(&self, name: &str) -> Result<Vec<Run>> {
        Ok(self.store.runs(self.connector(name)?, RUNS).await?)
    }

    /// A page of what one of them found; the newest, if none is named.
    pub async fn comparison(
        &self,
        name: &str,
        run: Option<i64>,
        after: i64,
    ) -> Result<Option<Compared>> {
        let runs = self.comparisons(name).await?;
        let found = match run {
            None => runs.into_iter().next(),
            Some(id) => Some(named(runs, name, id)?),
        };
        let Some(run) = found else { return Ok(None) };
        let mut drift = self.store.drift(run.id, after, DRIFT + 1).await?;
        let more = drift.len() > DRIFT;
        drift.truncate(DRIFT);
        let next = drift.last().filter(|_| more).map(|line| line.id);
        Ok(Some(Compared { run, drift: drift.into_iter().map(Finding::new).collect(), next }))
    }

    /// Marks what a comparison found to be put right: these of it, or all; how many.
    pub async fn put_right(
        &self,
        actor: &Actor,
        name: &str,
        run: i64,
        only: Option<&[i64]>,
    ) -> Result<u64> {
        let id = self.connector(name)?;
        let run = named(self.comparisons(name).await?, name, run)?;
        let (mut after, mut count) = (0, 0);
        loop {
            let drift = self.store.drift(run.id, after, PIECE).await?;
            let Some(last) = drift.last() else { break };
            after = last.id;
            let wanted =
                drift.into_iter().filter(|line| only.is_none_or(|only| only.contains(&line.id)));
            let repairable = wanted.map(Finding::new).filter(|finding| finding.repairable);
            let rows: Vec<RowId> = repairable.filter_map(|finding| finding.line.row).collect();
            count += rows.len() as u64;
            if !rows.is_empty() {
                self.store.mark(id, rows, Reason::Drift, self.clock.now()).await?;
            }
        }
        let detail = super::words::counted(count, "entry that differed", "entries that differed");
        self.note(actor, "connector.repair", None, name, Some(detail)).await?;
        Ok(count)
    }
}

fn named(runs: Vec<Run>, name: &str, id: i64) -> Result<Run> {
    runs.into_iter().find(|run| run.id == RunId(id)).ok_or_else(|| {
        OperatorError::NotFound(format!("{name} has no comparison {id}, or not any more"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_in_part_and_what_may_be_secret_is_not() {
        let differs = |attribute: &str, there: usize| {
            let target = (0..there).map(|number| format!("canary{number}")).collect();
            let expected = vec!["x".to_owned()];
            Differs::new(Difference { attribute: attribute.to_owned(), target, expected })
        };
        let members = differs("members", 1_000);
        assert_eq!((members.target.len(), members.more_there), (VALUES, 980));
        assert_eq!((members.expected.len(), members.more_wanted), (1, 0));
        let secret = differs("userPassword", 1);
        assert!(secret.hidden && secret.target.is_empty() && secret.expected.is_empty());
    }

    #[test]
    fn a_comparison_is_never_done_before_its_end() {
        let at = Timestamp::UNIX_EPOCH;
        for (seen, compared, of, percent) in [
            (0, 0, 0, 0),
            (0, 0, 700, 0),
            (350, 0, 700, 25),
            (700, 350, 700, 75),
            (900, 900, 700, 99),
        ] {
            let running = Running { since: at, by: String::new(), seen, compared, of };
            assert_eq!(running.percent(), percent, "{running:?}");
        }
    }
}
