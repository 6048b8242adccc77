//! A provider's last requests and our answers, as they are kept: redacted before they come here.

use std::time::Duration;

use jiff::Timestamp;
use scim_relay_sdk::scim::{Quirk, ResourceId, ResourceKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{OrgId, TokenId};

/// How many are kept of each organization; the oldest go first.
pub const KEPT_REQUESTS: usize = 1_000;

/// One of them, on its way in.
#[derive(Clone, Debug)]
pub struct NewRequest {
    pub organization: OrgId,
    pub at: Timestamp,
    pub took: Duration,
    pub method: String,
    /// Below the organization's base address, with the query.
    pub path: String,
    pub status: u16,
    pub token: TokenId,
    pub user_agent: Option<String>,
    pub peer: Option<String>,
    pub subject: Option<(ResourceKind, ResourceId)>,
    pub quirks: Vec<Quirk>,
    pub scim_type: Option<String>,
    pub detail: Option<String>,
    pub request: KeptBody,
    pub answer: KeptBody,
}

/// What is left of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptBody {
    /// JSON text; none where there was none that could be read.
    pub json: Option<String>,
    /// Whether that is only its beginning.
    pub cut: bool,
    /// Of the whole, in bytes, as it came or went.
    pub length: u64,
}

/// Which of them.
#[derive(Clone, Copy, Debug)]
pub struct RequestFilter {
    /// The first that are later than this one; without it, the newest.
    pub after: Option<i64>,
    /// This one alone.
    pub only: Option<i64>,
    /// Those that were refused.
    pub failed: bool,
    /// So many at most.
    pub limit: usize,
}

/// One of them in few words: enough to tell how far a provider's set-up has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRow {
    pub id: i64,
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub token: TokenId,
    pub peer: Option<String>,
    pub detail: Option<String>,
    /// Of a change of a person that went well and says whether they are active.
    pub body: Option<String>,
    /// What a bulk came to.
    pub bulk: Option<String>,
}

/// What somebody looks for among an organization's last requests.
#[derive(Clone, Debug, Default)]
pub struct RequestSearch {
    /// Older than this one.
    pub before: Option<i64>,
    /// Those that were refused.
    pub failed: bool,
    pub method: Option<String>,
    /// A piece of a name, a path or a token's name, in whatever case.
    pub text: Option<String>,
    pub since: Option<Timestamp>,
    pub limit: usize,
}

/// Some of them, newest first, without their bodies.
#[derive(Clone, Debug, Default)]
pub struct RequestPage {
    pub rows: Vec<RequestRow>,
    /// Before which the next page begins, if there is one.
    pub next: Option<i64>,
    /// The newest of all, whatever was looked for; 0: there is none.
    pub newest: i64,
}

/// One of them, as people read it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestRow {
    pub id: i64,
    pub at: Timestamp,
    pub milliseconds: f64,
    pub method: String,
    pub path: String,
    pub status: u16,
    /// The visible part of the token, and what people call it.
    pub token: String,
    pub token_name: String,
    pub user_agent: Option<String>,
    pub peer: Option<String>,
    /// `User/…` or `Group/…`, where it is known whom it was about.
    pub resource: Option<String>,
    /// The userName or displayName of that, or of what was sent.
    pub name: Option<String>,
    /// Deviations that were tolerated.
    pub quirks: Vec<String>,
    pub scim_type: Option<String>,
    pub detail: Option<String>,
    pub request: Option<Value>,
    pub request_length: u64,
    pub request_cut: bool,
    pub answer: Option<Value>,
    pub answer_length: u64,
    pub answer_cut: bool,
}
