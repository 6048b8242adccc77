//! `bulkId:x` stands for the id of the resource that the POST with the bulkId `x` makes (RFC 7644
//! section 3.7.2): as the id in a path, as any value in the data, and as a value that the path of
//! a PATCH operation compares with.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::operation::BulkWrite;
use crate::scim::error::Error;
use crate::scim::path::shorten;
use crate::scim::resource::ResourceId;

const PREFIX: &str = "bulkId:";

/// The places of the POSTs that a write refers to.
pub(super) fn wanted(
    write: &mut BulkWrite,
    posts: &HashMap<String, usize>,
) -> Result<BTreeSet<usize>, Error> {
    let mut wanted = BTreeSet::new();
    each(write, &mut |bulk_id| {
        let index = posts.get(bulk_id).ok_or_else(|| {
            let bulk_id = shorten(bulk_id);
            Error::invalid_value(format!("no POST of this request has the bulkId `{bulk_id}`"))
        })?;
        wanted.insert(*index);
        Ok(None)
    })?;
    Ok(wanted)
}

/// Puts ids where the references are.
pub(super) fn resolve(
    mut write: BulkWrite,
    made: &HashMap<String, Option<ResourceId>>,
) -> Result<BulkWrite, Error> {
    each(&mut write, &mut |bulk_id| match made.get(bulk_id) {
        Some(Some(id)) => Ok(Some(*id)),
        _ => Err(Error::new(
            409,
            None,
            format!("it refers to `{PREFIX}{}`, and that POST failed", shorten(bulk_id)),
        )),
    })?;
    Ok(write)
}

type Visit<'a> = &'a mut dyn FnMut(&str) -> Result<Option<ResourceId>, Error>;

/// Shows each reference to `visit`, and puts there what it answers.
fn each(write: &mut BulkWrite, visit: Visit<'_>) -> Result<(), Error> {
    match write {
        BulkWrite::Create { data, .. } => values(data, visit),
        BulkWrite::Replace { id, data, .. } => {
            whole(id, visit)?;
            values(data, visit)
        }
        BulkWrite::Patch { id, data, .. } => {
            whole(id, visit)?;
            for path in paths(data) {
                compared(path, visit)?;
            }
            values(data, visit)
        }
        BulkWrite::Delete { id, .. } => whole(id, visit),
    }
}

fn values(value: &mut Value, visit: Visit<'_>) -> Result<(), Error> {
    match value {
        Value::String(text) => whole(text, visit),
        Value::Array(all) => all.iter_mut().try_for_each(|value| values(value, visit)),
        Value::Object(all) => all.values_mut().try_for_each(|value| values(value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn whole(text: &mut String, visit: Visit<'_>) -> Result<(), Error> {
    if let Some(bulk_id) = text.strip_prefix(PREFIX)
        && let Some(id) = visit(bulk_id)?
    {
        *text = id.to_string();
    }
    Ok(())
}

/// The `path` of each operation of a PATCH.
fn paths(data: &mut Value) -> impl Iterator<Item = &mut String> {
    let named = |name: &'static str| {
        move |(key, value): (&String, _)| key.eq_ignore_ascii_case(name).then_some(value)
    };
    let lists = data.as_object_mut().into_iter().flatten().filter_map(named("Operations"));
    let operations = lists.filter_map(Value::as_array_mut).flatten();
    let keys = operations.filter_map(Value::as_object_mut).flatten();
    keys.filter_map(named("path")).filter_map(|path| match path {
        Value::String(path) => Some(path),
        _ => None,
    })
}

/// `members[value eq "bulkId:x"]`.
fn compared(path: &mut String, visit: Visit<'_>) -> Result<(), Error> {
    const OPENING: &str = "\"bulkId:";
    let mut rest = path.as_str();
    let mut whole = String::new();
    while let Some((before, after)) = rest.split_once(OPENING) {
        let Some((bulk_id, after)) = after.split_once('"') else { break };
        whole.push_str(before);
        let value =
            visit(bulk_id)?.map_or_else(|| format!("{PREFIX}{bulk_id}"), |id| id.to_string());
        whole.extend(["\"", &value, "\""]);
        rest = after;
    }
    if !whole.is_empty() {
        whole.push_str(rest);
        *path = whole;
    }
    Ok(())
}
