//! From the stored text to what the provider reads. The text is joined, not parsed: a page of a
//! hundred users costs a hundred copies.

use std::fmt::Write;

use scim_relay_sdk::scim::{
    LIST_URN, Membership, Projection, ResourceId, ResourceKind, ResourceType,
};

use crate::store::{StoreError, Stored};

pub(super) fn etag(version: i64) -> String {
    format!("W/\"{version}\"")
}

pub(super) fn location(base: &str, kind: ResourceKind, id: ResourceId) -> String {
    format!("{base}/{}/{id}", kind.endpoint())
}

/// The head of a ListResponse up to its resources (RFC 7644 section 3.4.2).
pub(super) fn list_head(total: usize, start: usize, items: usize) -> String {
    format!(
        "{{\"schemas\":[\"{LIST_URN}\"],\"totalResults\":{total},\"startIndex\":{start},\
         \"itemsPerPage\":{items},\"Resources\":["
    )
}

/// The stored object, reopened at its end for what is kept beside it.
pub(super) fn whole(stored: &Stored, beside: &[Membership], base: &str) -> String {
    let open = stored.body.strip_suffix('}').unwrap_or(&stored.body);
    let mut text = String::with_capacity(open.len() + 320 + beside.len() * 200);
    text.push_str(open);
    if !beside.is_empty() {
        text.push_str(match stored.kind {
            ResourceKind::User => ",\"groups\":[",
            ResourceKind::Group => ",\"members\":[",
        });
        for (index, other) in beside.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            membership(&mut text, other, base);
        }
        text.push(']');
    }
    let kind = stored.kind;
    write!(
        text,
        ",\"meta\":{{\"resourceType\":\"{kind}\",\"created\":\"{}\",\"lastModified\":\"{}\",\
         \"location\":\"{base}/{}/{}\",\"version\":\"W/\\\"{}\\\"\"}}}}",
        stored.created,
        stored.modified,
        kind.endpoint(),
        stored.id,
        stored.version
    )
    .expect("writing to a string");
    text
}

fn membership(text: &mut String, other: &Membership, base: &str) {
    write!(
        text,
        "{{\"value\":\"{id}\",\"$ref\":\"{base}/{endpoint}/{id}\"",
        id = other.id,
        endpoint = other.relation.kind().endpoint()
    )
    .expect("writing to a string");
    if let Some(display) = &other.display {
        let display = serde_json::to_string(display).expect("a string is JSON");
        write!(text, ",\"display\":{display}").expect("writing to a string");
    }
    write!(text, ",\"type\":\"{}\"}}", other.relation.word()).expect("writing to a string");
}

/// Only what was asked for (RFC 7644 section 3.9).
pub(super) fn project(
    text: &str,
    projection: &Projection,
    ty: &ResourceType,
) -> Result<String, StoreError> {
    let mut attributes = serde_json::from_str(text)
        .map_err(|error| StoreError::Broken(format!("a stored resource is not JSON: {error}")))?;
    projection.apply(&mut attributes, ty);
    serde_json::to_string(&attributes)
        .map_err(|error| StoreError::Broken(format!("a resource cannot be written: {error}")))
}
