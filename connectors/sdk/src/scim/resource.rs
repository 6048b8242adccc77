//! What a SCIM resource is, apart from its rules: its kind, its identity, its attributes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::schema::ResourceType;

/// The attributes of one resource under their canonical names (RFC 7643 section 2.1), extensions
/// as objects under their schema URN.
pub type Attributes = Map<String, Value>;

/// The two resource types the relay serves (RFC 7643 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResourceKind {
    User,
    Group,
}

impl ResourceKind {
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// The resource type's name, as in `meta.resourceType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// The endpoint below the base address, without slashes.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// The word used in commands and events: `user`, `group`.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The public identifier of a resource: a UUID, version 7 when the relay made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResourceId(pub Uuid);

impl ResourceId {
    /// Reads an id as a client sends it; anything that is not a hyphenated lower-case UUID names
    /// no resource of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Which resource, everywhere in the house.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourceKey {
    /// The organization's key in the configuration, e.g. `lillevik`.
    pub organization: Arc<str>,
    pub kind: ResourceKind,
    pub id: ResourceId,
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id)
    }
}

/// `userName`, if it is there.
pub fn user_name(attributes: &Attributes) -> Option<&str> {
    text(attributes, "userName")
}

pub fn display_name(attributes: &Attributes) -> Option<&str> {
    text(attributes, "displayName")
}

pub fn external_id(attributes: &Attributes) -> Option<&str> {
    text(attributes, "externalId")
}

/// The primary e-mail address, or the first one where none is primary.
pub fn email(attributes: &Attributes) -> Option<&str> {
    let emails = attributes.get("emails")?.as_array()?;
    let is_primary = |entry: &&Value| entry.get("primary").and_then(Value::as_bool) == Some(true);
    let value = |entry: &'_ Value| entry.get("value").is_some_and(Value::is_string);
    let mut with_value = emails.iter().filter(|entry| value(entry));
    let chosen = with_value.clone().find(is_primary).or_else(|| with_value.next())?;
    chosen.get("value")?.as_str()
}

fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name)?.as_str()
}

/// The `schemas` of a resource (RFC 7643 section 3): its core, and the extensions it has
/// attributes of.
pub fn schemas_of<'a>(attributes: &Attributes, ty: &'a ResourceType) -> Vec<&'a str> {
    let extensions = ty.extensions.iter().map(|schema| schema.id.as_str());
    std::iter::once(ty.core.id.as_str())
        .chain(extensions.filter(|urn| attributes.contains_key(*urn)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
    fn check(emails: Value, expected: Option<&str>) {
        let Value::Object(user) = json!({ "emails": emails }) else { unreachable!() };
        assert_eq!(email(&user), expected, "{emails}");
    }

    #[test]
    fn the_address_is_the_primary_one_or_the_first() {
        check(json!([{ "value": "a" }, { "value": "b", "primary": true }]), Some("b"));
        check(json!([{ "type": "work" }, { "value": "b" }, { "value": "c" }]), Some("b"));
        check(json!([{ "primary": true }, { "value": "b" }]), Some("b"));
        check(json!([]), None);
        check(json!("a"), None);
    }
}
