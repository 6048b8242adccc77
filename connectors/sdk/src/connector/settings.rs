//! A connector's section of its file, from what was written to what can run.

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::{Connector, Period, Secret, Secrets};
use crate::scim::Schemas;

/// The section of a connector file that is one kind's own, e.g. `[ldap]`.
///
/// Values are checked by their types while they are read, so that a mistake has its line; what
/// several values say together is checked by [`check`](Self::check).
pub trait Settings: DeserializeOwned + Send + Sync + 'static {
    /// The section's name, which is the connector's kind.
    const SECTION: &'static str;

    /// What does not fit together. `several_organizations` is true when the connector serves more
    /// than one, so that templates must tell them apart.
    fn check(&self, several_organizations: bool) -> Vec<Problem>;

    /// Every secret with its path inside the section, e.g. `bind_password`.
    fn secrets(&self) -> Vec<(&'static str, &Secret)>;

    /// Whether a mapping or a template reads `password`, so that people's passwords are passed on to
    /// this target ([`Work::password`](super::Work)). Only where the target mirrors
    /// [state](super::Semantics::LatestState): an event is no place for a password.
    fn wants_password(&self) -> bool {
        false
    }

    /// What becomes of whoever leaves, for the person who approves it.
    fn leavers(&self) -> Leavers {
        Leavers::Told
    }

    /// Reads the files and secrets the section names, and makes the connector. Reaches no target.
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem>;
}

/// What a connector may need to be built.
pub struct BuildContext<'a> {
    /// The connector's name: its file's stem.
    pub name: &'a str,
    /// The folder that relative paths start from: where the connector's file is.
    pub folder: &'a Path,
    pub secrets: &'a dyn Secrets,
    /// `limits.timeout`, for the steps of one delivery.
    pub timeout: std::time::Duration,
    /// `limits.concurrency`, for pools.
    pub concurrency: usize,
    /// The organizations it serves.
    pub organizations: &'a [Arc<OrganizationInfo>],
}

/// An organization, as connectors see it.
#[derive(Clone, Debug)]
pub struct OrganizationInfo {
    /// Its key in the configuration: `lillevik`.
    pub key: Arc<str>,
    /// Its name for people: `Lillevik kommune`.
    pub name: String,
    /// BCP 47 language tag of those who named none.
    pub locale: Option<String>,
    /// What its resources may hold: the built-in schemas and those it declares.
    pub schemas: Arc<Schemas>,
}

/// What a connector does about people who leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leavers {
    /// The target is told; what it does then is its own affair.
    Told,
    /// Their entries are changed.
    Entries {
        /// Of who leaves the scope, or is inactive.
        deactivated: Fate,
        /// Of who is deleted at the provider.
        deleted: Fate,
        /// When an entry that is disabled or moved is deleted.
        purge_after: Option<Period>,
    },
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Disabled,
    /// Disabled where that is possible, and moved there.
    Moved(String),
    Deleted,
    /// It stays as it is.
    Kept,
}

/// A mistake in a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Dotted path inside the section: `users.deprovision.move_to`; empty for the section itself.
    pub path: String,
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), help: None }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
