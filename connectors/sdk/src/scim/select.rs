//! The values a path leads to: `emails[type eq "work"].value` over a resource.

use serde_json::Value;

use super::{Attributes, Error, PatchPath, ResourceType};
use crate::scim::schema::Found;

/// Follows a path as PATCH writes it (RFC 7644 section 3.5.2) and returns what is there; nothing
/// where it leads nowhere.
pub fn select<'a>(
    path: &str,
    attributes: &'a Attributes,
    ty: &ResourceType,
) -> Result<Vec<&'a Value>, Error> {
    let path = PatchPath::parse(path, ty)?;
    let holder = match &path.attr.schema {
        Some(urn) => match attributes.get(urn) {
            Some(whole) if path.attr.is_extension() => return Ok(vec![whole]),
            Some(Value::Object(extension)) => extension,
            _ => return Ok(Vec::new()),
        },
        None => attributes,
    };
    let entries = match holder.get(&path.attr.attribute) {
        Some(Value::Array(entries)) => entries.iter().collect(),
        Some(value) => vec![value],
        None => Vec::new(),
    };
    let attribute = match ty.find(&path.attr) {
        Some(Found::Attribute { attribute, .. }) => Some(attribute),
        _ => None,
    };
    let selected = entries.into_iter().filter(|entry| match (&path.filter, attribute) {
        (Some(filter), Some(attribute)) => filter.matches_entry(entry, attribute),
        _ => true,
    });
    let sub = path.sub.as_deref().or(path.attr.sub.as_deref());
    Ok(match sub {
        Some(sub) => selected.filter_map(|entry| entry.get(sub)).collect(),
        None => selected.collect(),
    })
}
