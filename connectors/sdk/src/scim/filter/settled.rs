//! Filters whose answer a resource type gives: in a list of several types, only those that can
//! match need be read.

use serde_json::{Value, json};

use super::Filter;
use super::eval::holds_for_nothing;
use crate::scim::schema::ResourceType;

impl Filter {
    /// Whether every resource of the type fulfils the filter, or none does; nothing where it
    /// depends on the resource.
    pub fn settled(&self, ty: &ResourceType) -> Option<bool> {
        match self {
            Self::And(parts) => unless(parts, ty, false),
            Self::Or(parts) => unless(parts, ty, true),
            Self::Not(inner) => inner.settled(ty).map(|holds| !holds),
            Self::Present(path) | Self::ValuePath { path, .. } => {
                ty.find(path).is_none().then_some(false)
            }
            Self::Compare { path, op, value } if ty.find(path).is_none() => {
                Some(holds_for_nothing(*op, value))
            }
            Self::Compare { path, .. } => {
                let path = path.resolve(ty)?;
                let is_type = path.schema.is_none()
                    && path.attribute == "meta"
                    && path.sub.as_deref() == Some("resourceType");
                let Value::Object(any) = json!({ "meta": { "resourceType": ty.kind.name() } })
                else {
                    return None;
                };
                is_type.then(|| self.matches(&any, ty))
            }
        }
    }
}

/// One part that is `decisive` settles the whole; otherwise all of them must be settled.
fn unless(parts: &[Filter], ty: &ResourceType, decisive: bool) -> Option<bool> {
    let settled: Vec<_> = parts.iter().map(|part| part.settled(ty)).collect();
    if settled.contains(&Some(decisive)) {
        return Some(decisive);
    }
    settled.iter().all(Option::is_some).then_some(!decisive)
}
