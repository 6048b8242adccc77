//! What a filter and an order read of a resource: no more than that is taken out of its text, and
//! what is kept beside it is fetched only where it is read.

use std::borrow::Cow;
use std::fmt;

use rusqlite::Connection;
use scim_relay_sdk::scim::{
    AttrPath, Attributes, Filter, Membership, ResourceId, ResourceKind, ResourceType, SortBy,
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value, json};

use super::members::{self, Ancestry};
use super::rows;
use crate::store::{OrgId, Result, StoreError, Stored};

/// What is read of resources of one type.
pub(super) struct Needs {
    /// Keys of the stored object.
    keys: Vec<String>,
    meta: bool,
    beside: Beside,
}

/// What is read of that which is kept beside a resource.
enum Beside {
    Nothing,
    /// The groups above a user.
    Groups,
    /// A group's members, who may be many.
    Members,
    /// The only one who can make the filter hold, or nobody: an id that is not one of ours.
    Member(Option<ResourceId>),
}

impl Needs {
    pub(super) fn of(filter: Option<&Filter>, sort: Option<&SortBy>, ty: &ResourceType) -> Self {
        let paths = filter.into_iter().flat_map(Filter::attributes).chain(sort.map(SortBy::path));
        let mut keys: Vec<String> = paths.filter_map(|path| key(path, ty)).collect();
        let readers = |name: &str| keys.iter().filter(|key| *key == name).count();
        let beside = match ty.kind {
            ResourceKind::User if readers("groups") > 0 => Beside::Groups,
            ResourceKind::User => Beside::Nothing,
            ResourceKind::Group => match (readers("members"), filter.and_then(only_member)) {
                (0, _) => Beside::Nothing,
                (1, Some(member)) => Beside::Member(ResourceId::parse(member)),
                _ => Beside::Members,
            },
        };
        keys.sort_unstable();
        keys.dedup();
        Self { meta: keys.iter().any(|key| key == "meta"), beside, keys }
    }

    /// Whether that may be a hundred thousand members.
    pub(super) fn may_be_many(&self) -> bool {
        matches!(self.beside, Beside::Members)
    }

    pub(super) fn read(
        &self,
        c: &Connection,
        organization: OrgId,
        base: &str,
        ancestry: &mut Ancestry<'_>,
        stored: &Stored,
    ) -> Result<Attributes> {
        let mut text = serde_json::Deserializer::from_str(&stored.body);
        let mut attributes = Only(&self.keys).deserialize(&mut text).map_err(|error| {
            StoreError::Broken(format!("a stored resource is not a JSON object: {error}"))
        })?;
        if self.meta {
            let mut meta = rows::meta(stored);
            meta["location"] = address(base, stored.kind, stored.id);
            attributes.insert("meta".to_owned(), meta);
        }
        let mut all = Vec::new();
        let mut tell = |one: Membership| {
            let mut entry = json!(one);
            entry["$ref"] = address(base, one.relation.kind(), one.id);
            all.push(entry);
        };
        let name = match self.beside {
            Beside::Nothing => return Ok(attributes),
            Beside::Groups => {
                ancestry.of(stored.row)?.into_iter().for_each(tell);
                "groups"
            }
            Beside::Members => {
                members::of_group(c, organization, stored.row, &mut tell)?;
                "members"
            }
            Beside::Member(id) => {
                if let Some(id) = id {
                    members::one(c, organization, stored.row, id)?.into_iter().for_each(tell);
                }
                "members"
            }
        };
        attributes.insert(name.to_owned(), all.into());
        Ok(attributes)
    }
}

/// The id without which no entry of `members` makes the filter hold, where one condition alone
/// reads `members`.
fn only_member(filter: &Filter) -> Option<&str> {
    let equals = filter.required_equals().into_iter();
    equals.filter(|(path, _)| path == "members.value").find_map(|(_, value)| value.as_str())
}

fn address(base: &str, kind: ResourceKind, id: ResourceId) -> Value {
    format!("{base}/{}/{id}", kind.endpoint()).into()
}

/// Under which key of the stored object a path's value is.
fn key(path: &AttrPath, ty: &ResourceType) -> Option<String> {
    let path = path.resolve(ty)?;
    Some(path.schema.unwrap_or(path.attribute))
}

/// Reads these members of an object and skips the others.
struct Only<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Only<'_> {
    type Value = Attributes;

    fn deserialize<D: Deserializer<'de>>(
        self,
        text: D,
    ) -> std::result::Result<Attributes, D::Error> {
        text.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Only<'_> {
    type Value = Attributes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut members: A,
    ) -> std::result::Result<Attributes, A::Error> {
        let mut attributes = Attributes::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if self.0.iter().any(|key| *key == name) {
                attributes.insert(name.into_owned(), members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(attributes)
    }
}
