//! What goes over the admin socket, besides what the operator's functions take and give.

use scim_relay_sdk::scim::ResourceKind;
use serde::{Deserialize, Serialize};

use crate::operator::{Decision, Link, NewAccountRequest, QueueQuery};

/// A token to be made, for the organization in the address.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TokenWish {
    pub name: Option<String>,
    /// Seconds from now; none: it does not expire.
    pub expires_in: Option<u64>,
    #[serde(default)]
    pub read_only: bool,
}

/// For how many seconds the old token lives on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Overlap {
    pub overlap: u64,
}

/// A token, this once.
#[derive(Serialize, Deserialize)]
pub struct MadeToken {
    pub token: String,
}

/// Who answered.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answered {
    pub summary: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Reconciliation {
    pub dry_run: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Resync {
    pub organization: Option<String>,
    /// None: everyone.
    pub subject: Option<Named>,
}

/// A resource by userName, displayName or id.
#[derive(Debug, Serialize, Deserialize)]
pub struct Named {
    pub kind: ResourceKind,
    pub name: String,
}

/// What the preview of a connector, named in the address, is for.
#[derive(Debug, Serialize, Deserialize)]
pub struct PreviewWish {
    pub organization: Option<String>,
    pub subject: Named,
}

/// One row of the queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct EntryQuery {
    pub connector: String,
    pub organization: Option<String>,
    /// `User/…`
    pub resource: String,
}

/// Why a connector is paused.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PauseWish {
    pub why: Option<String>,
}

/// Rows to be touched, with the reason where one is asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Touching {
    pub rows: QueueQuery,
    #[serde(default)]
    pub reason: String,
}

/// A decision against what waits.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rejection {
    #[serde(flatten)]
    pub decision: Decision,
    pub reason: String,
}

/// An account to be made.
#[derive(Serialize, Deserialize)]
pub struct AccountWish {
    #[serde(flatten)]
    pub account: NewAccountRequest,
    /// Left out: a link to set one is made.
    pub password: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub struct MadeAccount {
    pub link: Option<Link>,
}

/// How many rows it was.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rows {
    pub rows: u64,
}

/// Done; nothing to say.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {}

/// Why it was not done, in a sentence for a person.
#[derive(Debug, Serialize, Deserialize)]
pub struct Refusal {
    pub error: String,
}
