//! What was in the last month, in quarters of an hour, for the console's charts.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{ConnectorId, OrgId, Result};

/// For how long it is kept.
pub const HISTORY: Duration = Duration::from_hours(32 * 24);

/// What charts are made of. A part of [`Store`](super::Store).
#[async_trait]
pub trait History: Send + Sync {
    /// Adds to the quarter that it is.
    async fn note(&self, note: Note) -> Result<()>;
    /// The quarters of these organizations from one on, oldest first; those without anything are
    /// left out. [`EVERYONE`] is all of them together.
    async fn history(
        &self,
        of: Vec<OrgId>,
        from: Quarter,
    ) -> Result<BTreeMap<OrgId, Vec<(Quarter, Past)>>>;
    /// The same of every connector; no quarter is left out in which the relay ran.
    async fn connector_history(
        &self,
        from: Quarter,
    ) -> Result<BTreeMap<ConnectorId, Vec<(Quarter, ConnectorPast)>>>;
    /// Removes what came before.
    async fn forget_history(&self, before: Quarter) -> Result<()>;
}

/// All organizations together.
pub const EVERYONE: OrgId = OrgId(0);

/// A quarter of an hour, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarter(pub i64);

impl Quarter {
    const SECONDS: i64 = 15 * 60;

    pub fn of(at: Timestamp) -> Self {
        Self(at.as_second().div_euclid(Self::SECONDS))
    }

    pub fn start(self) -> Timestamp {
        Timestamp::from_second(self.0.saturating_mul(Self::SECONDS)).unwrap_or(Timestamp::MAX)
    }
}

/// What came since the last note, and how it stands.
#[derive(Clone, Debug)]
pub struct Note {
    pub now: Timestamp,
    pub organizations: Vec<(OrgId, Past)>,
    pub connectors: Vec<(ConnectorId, ConnectorPast)>,
}

/// An organization's quarter of an hour, or less of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    pub changes: u64,
    /// Requests that got what they asked for.
    pub answered: u64,
    pub refused: u64,
    pub delivered: u64,
    /// Attempts.
    pub failed: u64,
    /// In the queue, at most.
    pub backlog: u64,
}

impl Past {
    /// What two organizations have together.
    #[must_use]
    pub fn beside(self, other: Self) -> Self {
        Self {
            changes: self.changes + other.changes,
            answered: self.answered + other.answered,
            refused: self.refused + other.refused,
            delivered: self.delivered + other.delivered,
            failed: self.failed + other.failed,
            backlog: self.backlog + other.backlog,
        }
    }

    /// What two times have together.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        Self { backlog: self.backlog.max(later.backlog), ..self.beside(later) }
    }
}

/// A connector's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectorPast {
    pub delivered: u64,
    pub failed: u64,
    pub backlog: u64,
    /// How long the oldest entry had waited, at most.
    pub lag: Duration,
    /// At worst.
    pub health: PastHealth,
}

/// The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PastHealth {
    Well,
    /// A person stopped it.
    Stopped,
    Trouble,
}

impl PastHealth {
    pub const ALL: [Self; 3] = [Self::Well, Self::Stopped, Self::Trouble];
}
