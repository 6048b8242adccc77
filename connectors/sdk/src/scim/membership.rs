//! A membership as either side of it shows it: a group its members, a user its groups.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::resource::{ResourceId, ResourceKind};

/// One entry of a group's `members` (RFC 7643 section 4.2) or of a user's `groups` (section 4.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Of the resource at the other end.
    pub id: ResourceId,
    /// The name that people know it by, as it is now.
    pub display: Option<String>,
    pub relation: Relation,
}

/// What the resource at the other end is to the one that lists it: the entry's `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// A member, of this kind.
    Member(ResourceKind),
    /// A group that names the user.
    DirectGroup,
    /// A group that names one of the user's groups, however far up.
    IndirectGroup,
}

impl Relation {
    pub fn kind(self) -> ResourceKind {
        match self {
            Self::Member(kind) => kind,
            Self::DirectGroup | Self::IndirectGroup => ResourceKind::Group,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Member(kind) => kind.name(),
            Self::DirectGroup => "direct",
            Self::IndirectGroup => "indirect",
        }
    }
}

/// As filters and templates read it, which know no address to make a `$ref` of.
impl Serialize for Membership {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entry = serializer.serialize_struct("Membership", 3)?;
        entry.serialize_field("value", &self.id)?;
        match &self.display {
            Some(display) => entry.serialize_field("display", display)?,
            None => entry.skip_field("display")?,
        }
        entry.serialize_field("type", self.relation.word())?;
        entry.end()
    }
}
