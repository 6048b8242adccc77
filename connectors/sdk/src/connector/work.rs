//! What the engine asks of a connector.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{DeliveryError, HoldKind, OrganizationInfo};
use crate::scim::{Attributes, Membership, ResourceKey, ResourceKind};

/// One piece of work: bring this resource, at this target, to this state.
#[derive(Clone, Debug)]
pub struct Work {
    pub key: ResourceKey,
    pub wanted: Wanted,
    /// For [`Semantics::EveryEvent`](super::Semantics::EveryEvent): the one change this call is
    /// about. Bodies are made from it alone, so that every attempt sends the same bytes.
    pub change: Option<Change>,
    /// For a group at a connector that [wants members](super::Connector::wants_members).
    pub members: Option<MemberDelta>,
    /// Who leaves a group without costing anybody anything, by address (where each event counts, by
    /// id): a former name of somebody who stays, an entry that is gone or deactivated, which was
    /// counted as a removal itself. Whoever asks for [`Permit::members`] leaves out those of them
    /// that the group holds.
    pub bygone: BTreeSet<String>,
    /// A new password of the person who is wanted, for a connector that
    /// [asks for it](super::Settings::wants_password). It comes once: with every attempt until one
    /// is delivered.
    pub password: Option<SecretString>,
    /// What this connector last applied for this resource; `None` if it holds nothing of it.
    pub link: Option<Link>,
    /// An earlier attempt was cut off: the target may or may not have carried it out.
    pub in_doubt: bool,
    /// What the resource was since such an attempt, oldest first, where nothing is linked: the target
    /// may hold it as any of these, under a name that it had then.
    pub earlier: Vec<Resource>,
    pub permit: Permit,
    /// Whose the target's other entries are.
    pub owners: Arc<dyn Owners>,
    /// 1 for the first try.
    pub attempt: u32,
    /// When this attempt began.
    pub now: Timestamp,
}

/// What the target should hold.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The resource, as it is now (`LatestState`) or as the change left it (`EveryEvent`).
    Present(Arc<Resource>),
    /// Nothing, or a deactivated entry. `last` is the resource as it last was.
    Gone { last: Arc<Resource>, why: Gone },
}

impl Wanted {
    /// The resource, present or as it last was.
    pub fn resource(&self) -> &Arc<Resource> {
        match self {
            Self::Present(resource) | Self::Gone { last: resource, .. } => resource,
        }
    }
}

/// Why a target should hold it no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Deleted at the provider.
    Deleted,
    /// Left the connector's scope: deactivate.
    OutOfScope,
}

/// A resource as connectors see it.
#[derive(Clone, Debug)]
pub struct Resource {
    pub key: ResourceKey,
    pub organization: Arc<OrganizationInfo>,
    /// Canonical names; `id`, `externalId` and `meta` included, `members` not.
    pub attributes: Attributes,
    /// The groups a user is in, directly or through others; filled for connectors that
    /// [read](super::Reads) them, or whose scope does.
    pub groups: Vec<Membership>,
}

impl Resource {
    /// The attributes as filters and paths read them: `groups` among them, where they are filled.
    pub fn whole(&self) -> Cow<'_, Attributes> {
        if self.groups.is_empty() {
            return Cow::Borrowed(&self.attributes);
        }
        let mut whole = self.attributes.clone();
        whole.insert("groups".to_owned(), json!(self.groups));
        Cow::Owned(whole)
    }
}

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Created,
    Updated,
    Deleted,
}

impl Verb {
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

/// One row of the change log.
#[derive(Clone, Debug)]
pub struct Change {
    /// Grows with every change in the store; with the organization it names the event.
    pub seq: i64,
    pub verb: Verb,
    pub at: Timestamp,
    /// Canonical names of the top-level attributes that changed.
    pub attributes: Vec<String>,
    /// Who joined the group, in this change.
    pub joined: Vec<MemberRef>,
    /// Who left it.
    pub left: Vec<MemberRef>,
    /// Changes before it were never told and are not known any more: they are told with this one. Any
    /// attribute may have changed, and of a group `joined` is everybody who is in it.
    pub collapsed: bool,
}

/// A member as the change log names it: enough for a receiver to know the person, fixed when the
/// change was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRef {
    /// The member's SCIM id.
    pub value: String,
    #[serde(rename = "type")]
    pub kind: ResourceKind,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub display: Option<String>,
    #[serde(rename = "userName", skip_serializing_if = "Option::is_none", default)]
    pub user_name: Option<String>,
    #[serde(rename = "externalId", skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
}

/// What to do about a group's members.
#[derive(Clone, Debug)]
pub enum MemberDelta {
    /// These joined and those left since the connector last settled this group, net. Nothing is
    /// said of the others.
    Changed { joined: Vec<Member>, left: Vec<Member> },
    /// The whole membership, as far as this connector knows the members: compare with the target.
    All(Vec<Member>),
}

/// A member that this connector holds an entry for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub key: ResourceKey,
    /// [`Link::target_id`] of the member at this connector.
    pub target_id: String,
    /// [`Link::address`] of the member: a DN, a remote id.
    pub address: String,
}

/// What a connector holds for a resource, as it last told the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The target's own, immutable id (entryUUID, objectGUID, a remote SCIM id). Unique at a
    /// connector: two resources never own one entry.
    pub target_id: String,
    /// Where it is now: a DN, a URL.
    pub address: String,
    /// A hash of the projection that was applied; a connector's own business.
    pub hash: Option<String>,
    pub stage: Stage,
    /// When `stage` was reached.
    pub since: Timestamp,
}

/// How far the deprovisioning of an entry has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Active,
    /// Deactivated (disabled, or kept as it is) after leaving the scope.
    Deactivated,
    /// Deprovisioned after a delete, and still there: moved, disabled. Purged later, if ever.
    Removed,
}

/// Tells what belongs to somebody else at this connector, so that one person's entry is never taken
/// for another's.
#[async_trait]
pub trait Owners: fmt::Debug + Send + Sync {
    /// Whose the entry with this [`Link::target_id`] is; `None` if the relay holds nothing of the
    /// kind, or if it is left over from a resource that is gone.
    async fn of(&self, target_id: &str) -> Result<Option<Owner>, DeliveryError>;
}

/// Somebody whom an entry belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub key: ResourceKey,
    /// Deleted at the provider, and the entry will be gone in a moment.
    pub leaving: bool,
}

/// Where nothing is linked, or nobody asks.
#[derive(Clone, Copy, Debug)]
pub struct NoOwners;

#[async_trait]
impl Owners for NoOwners {
    async fn of(&self, _target_id: &str) -> Result<Option<Owner>, DeliveryError> {
        Ok(None)
    }
}

/// What safety allows without asking. A connector that needs a permission it does not have
/// answers [`DeliveryError::Hold`] and writes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Delete, disable, move or purge an entry.
    pub remove: bool,
    /// Give a linked entry another name.
    pub rename: bool,
    pub members: MemberRemovals,
    /// Change or remove an entry that was there before the relay and is not linked.
    pub take_over: bool,
    /// Take a passing name: another resource waits for the one that this one has, and this one
    /// waits for another's.
    pub step_aside: bool,
}

impl Permit {
    pub const ALL: Self = Self {
        remove: true,
        rename: true,
        members: MemberRemovals::UpTo(u64::MAX),
        take_over: true,
        step_aside: true,
    };
    pub const NONE: Self = Self {
        remove: false,
        rename: false,
        members: MemberRemovals::UpTo(0),
        take_over: false,
        step_aside: false,
    };
}

/// Taking members out of a group, besides those who are [bygone](Work::bygone).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRemovals {
    /// So many at most; with more to take out, the answer is [`DeliveryError::Hold`] with how many.
    UpTo(u64),
    /// None: everything else of the group is written, and they are left in.
    Leave,
}

impl MemberRemovals {
    /// Answers [`DeliveryError::Hold`] if so many members may not be taken out.
    pub fn demand(
        self,
        count: usize,
        summary: impl FnOnce() -> String,
    ) -> Result<(), DeliveryError> {
        let count = count as u64;
        match self {
            Self::UpTo(most) if count > most => {
                Err(DeliveryError::hold(HoldKind::MemberRemoval, count, summary()))
            }
            _ => Ok(()),
        }
    }
}
