//! The audit log as people read it: newest first, from page to page.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AuditRow;

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of these organizations alone; all rows, where there is no list: those of none, too.
    pub organizations: Option<Vec<String>>,
    /// Exactly this one.
    pub actor: Option<String>,
    /// What comes before the dot of an action: `token`, `queue`, ...
    pub about: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Older than this one.
    pub before: Option<i64>,
    pub limit: usize,
}

/// Some rows, and where to read on if there may be more. Where few match, a page may have fewer than
/// were asked for, since no more than so many are looked at for it.
#[derive(Clone, Debug, Default)]
pub struct AuditPage {
    pub rows: Vec<Audited>,
    pub next: Option<i64>,
}

/// A row and its number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Audited {
    pub id: i64,
    #[serde(flatten)]
    pub row: AuditRow,
}
