//! What waits for a person's word: as it is listed, and as it is decided.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::{ResourceId, ResourceKey, ResourceKind};
use serde::{Deserialize, Serialize};

use super::{ConnectorId, OrgId};

/// Something that a connector would do and may not yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    pub connector: String,
    pub organization: String,
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// userName or displayName, as it is now.
    pub name: String,
    /// `removal`, `member_removal`, ...
    pub hold_kind: String,
    /// What would be done, and why that waits.
    pub summary: String,
    /// When it fell out of line.
    pub since: Timestamp,
    /// Who it is about was deleted at the provider; else they are out of the connector's scope, or
    /// inactive.
    #[serde(default)]
    pub deleted: bool,
    /// Their entry is disabled or moved away already: what is left is to erase it.
    #[serde(default)]
    pub closed: bool,
    /// Of a group: how many are in it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub members: Option<u64>,
    /// Grows with whatever changes about it: an approval that names it is for this and nothing else.
    pub mark: i64,
}

/// Which of it, and how many at once.
#[derive(Clone, Debug)]
pub struct HeldFilter {
    pub connector: Option<ConnectorId>,
    pub kind: Option<HoldKind>,
    /// Of these alone; of all, where there is no list.
    pub organizations: Option<Vec<OrgId>>,
    pub after: HeldPlace,
    pub limit: usize,
}

/// A page of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldPage {
    pub held: Vec<Held>,
    /// Where the next page begins, if there may be one.
    pub next: Option<HeldPlace>,
}

/// Behind which row a page begins: of which connector and organization, and who has waited longest
/// there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeldPlace {
    pub connector: i64,
    pub organization: i64,
    pub dirty_at: i64,
    pub resource: i64,
}

/// What a person decides about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may happen, as it is now; why, if that was said.
    Approve(Option<String>),
    /// It shall not, for this reason.
    Reject(String),
}

/// About which resource it is decided.
#[derive(Clone, Debug)]
pub struct Pick {
    pub key: ResourceKey,
    /// As the person saw it; `None`: as it is now.
    pub mark: Option<i64>,
}

/// What came of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    Done,
    /// It does not wait for approval, or not any more.
    NotHeld,
    /// It is not what the person saw any more, and waits on.
    Changed,
}

impl fmt::Display for HeldPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector, organization, dirty_at, resource } = self;
        write!(f, "{connector}-{organization}-{dirty_at}-{resource}")
    }
}

impl FromStr for HeldPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Option<Vec<i64>> = text.split('-').map(|part| part.parse().ok()).collect();
        match parts.as_deref() {
            Some(&[connector, organization, dirty_at, resource]) => {
                Ok(Self { connector, organization, dirty_at, resource })
            }
            _ => Err("that is no place in the list"),
        }
    }
}

impl From<HeldPlace> for String {
    fn from(place: HeldPlace) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for HeldPlace {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
