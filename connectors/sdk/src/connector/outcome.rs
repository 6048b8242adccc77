//! What a connector answers.

use std::error::Error as StdError;
use std::time::Duration;

use jiff::Timestamp;

use super::Link;
use crate::scim::ResourceKey;

/// The target is in line with the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// What the connector holds now; `None` when it holds nothing any more.
    pub link: Option<Link>,
    /// Come again at this time: a staged deprovisioning, a purge.
    pub revisit: Option<Timestamp>,
    pub action: Action,
}

/// What was done, for counters, the log and a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Created,
    /// An entry that was there was found to be this resource, and taken on.
    Adopted,
    Updated,
    Renamed,
    /// The target held it already.
    Unchanged,
    Deactivated,
    Moved,
    Deleted,
    /// An event or a mail went out.
    Sent,
    /// Nothing of this target's concern.
    Ignored,
}

impl Action {
    /// The label of `scim_relay_deliveries_total{outcome}` and the word people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Adopted => "adopted",
            Self::Updated => "updated",
            Self::Renamed => "renamed",
            Self::Unchanged => "unchanged",
            Self::Deactivated => "deactivated",
            Self::Moved => "moved",
            Self::Deleted => "deleted",
            Self::Sent => "sent",
            Self::Ignored => "ignored",
        }
    }

    /// Whether people lost something by it: what safety counts.
    pub fn is_removal(self) -> bool {
        matches!(self, Self::Deactivated | Self::Moved | Self::Deleted)
    }
}

/// The cause of a failure, as a library gave it.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a delivery did not arrive.
///
/// Messages are lowercase fragments without the cause; whoever logs one walks `source()`.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// This item failed and may succeed later: busy, 5xx, a timeout in the middle.
    #[error("{what}")]
    Later {
        what: String,
        /// What the target itself asked for (`Retry-After`).
        retry_after: Option<Duration>,
        /// Whether the target may have carried it out all the same.
        in_doubt: bool,
        source: Option<BoxError>,
    },
    /// The target will never take this item as it is.
    #[error("{reason}")]
    Refused { reason: String },
    /// The target holds `link`, and in it all but what it will never take as it is: a password
    /// against its rules. What is linked is linked, so that later changes arrive.
    #[error("{reason}")]
    Partly { link: Box<Link>, reason: String },
    /// A permission is missing; nothing was written.
    #[error("needs approval: {summary}")]
    Hold {
        kind: HoldKind,
        /// How many entries, or members of a group, it is about.
        count: u64,
        summary: String,
    },
    /// Another resource must settle first, whatever its end.
    #[error("waits for {0}")]
    After(ResourceKey),
    /// The target cannot be reached, so nobody's work would succeed.
    #[error("{what}")]
    Unreachable { what: String, source: Option<BoxError> },
    /// The target refuses our credentials, or the connection's configuration is wrong.
    #[error("{what}")]
    Credentials { what: String, source: Option<BoxError> },
}

/// What a person is asked to approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldKind {
    /// An entry would be deleted, disabled, moved or purged, or renamed by a changed configuration.
    Removal,
    /// Members would be taken out of a group.
    MemberRemoval,
    /// An entry that was there before the relay would be changed.
    TakeOver,
    /// The connector is new, and all that it would write is looked at first.
    FirstRun,
}

impl HoldKind {
    pub const ALL: [Self; 4] = [Self::Removal, Self::MemberRemoval, Self::TakeOver, Self::FirstRun];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Removal => "removal",
            Self::MemberRemoval => "member_removal",
            Self::TakeOver => "take_over",
            Self::FirstRun => "first_run",
        }
    }
}

/// What the engine does about a [`DeliveryError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This item, later, and not before this long.
    Retry { at_least: Duration },
    /// This item, not as it is: a human looks.
    Park,
    /// Needs a permission it does not have.
    Hold { kind: HoldKind, count: u64, summary: String },
    /// Once that one has settled.
    After(ResourceKey),
    /// Hold all of this connector's work and probe; no attempt is counted.
    PauseTarget,
}

impl DeliveryError {
    /// This item, later.
    pub fn later(what: impl Into<String>) -> Self {
        Self::Later { what: what.into(), retry_after: None, in_doubt: false, source: None }
    }

    /// Sent, but never answered: the outcome is unknown.
    pub fn in_doubt(what: impl Into<String>) -> Self {
        Self::Later { what: what.into(), retry_after: None, in_doubt: true, source: None }
    }

    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }

    pub fn unreachable(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Unreachable { what: what.into(), source: Some(source.into()) }
    }

    pub fn credentials(what: impl Into<String>) -> Self {
        Self::Credentials { what: what.into(), source: None }
    }

    pub fn hold(kind: HoldKind, count: u64, summary: impl Into<String>) -> Self {
        Self::Hold { kind, count, summary: summary.into() }
    }

    pub fn decision(&self) -> Decision {
        match self {
            Self::Later { retry_after, .. } => {
                Decision::Retry { at_least: retry_after.unwrap_or_default() }
            }
            Self::Refused { .. } | Self::Partly { .. } => Decision::Park,
            Self::Hold { kind, count, summary } => {
                Decision::Hold { kind: *kind, count: *count, summary: summary.clone() }
            }
            Self::After(key) => Decision::After(key.clone()),
            Self::Unreachable { .. } | Self::Credentials { .. } => Decision::PauseTarget,
        }
    }

    /// Whether the target may have carried the work out although it failed.
    pub fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Later { in_doubt: true, .. })
    }

    /// See [`chain`].
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// A message with its causes, once, for the queue's last error and the log.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// One line for `connector test`: who answered, as whom we are known there.
    pub summary: String,
}

/// What would be written, as the target sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// LDIF, an HTTP request, a mail; secrets replaced by `***`.
    pub text: String,
}
