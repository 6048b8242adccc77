//! Whether a resource fulfils a filter, by what its schema says of each attribute.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::check::boolean;
use super::{CompareOp, Filter, Names};
use crate::scim::fold::fold;
use crate::scim::path::AttrPath;
use crate::scim::resource::Attributes;
use crate::scim::schema::{Attribute, AttributeType, Found, ResourceType};

impl Filter {
    /// Whether `attributes` fulfil the filter.
    ///
    /// A comparison holds if it holds for one of several values. An attribute that is not there
    /// is equal to nothing but null, so `ne` holds for it; one that the type does not know is
    /// never there (RFC 7644 section 3.4.2.1).
    pub fn matches(&self, attributes: &Attributes, ty: &ResourceType) -> bool {
        holds(self, Names::Resource(ty), Subject::Resource(attributes))
    }

    /// Whether one entry of `attribute` fulfils the filter.
    pub(crate) fn matches_entry(&self, entry: &Value, attribute: &Attribute) -> bool {
        holds(self, Names::Entry(attribute), Subject::Entry(entry))
    }
}

/// What a filter is asked about.
#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Resource(&'a Attributes),
    Entry(&'a Value),
}

/// Recursion is safe here: the parser limits how deep filters nest.
pub(super) fn holds(filter: &Filter, names: Names<'_>, subject: Subject<'_>) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| holds(part, names, subject)),
        Filter::Or(parts) => parts.iter().any(|part| holds(part, names, subject)),
        Filter::Not(inner) => !holds(inner, names, subject),
        Filter::Present(path) => match names.find(path) {
            Some(found) => values(path, found, subject).into_iter().any(present),
            None => false,
        },
        Filter::Compare { path, op, value } => compare(path, *op, value, names, subject),
        Filter::ValuePath { path, filter } => {
            let Some(found @ Found::Attribute { attribute, sub: None, .. }) = names.find(path)
            else {
                return false;
            };
            values(path, found, subject)
                .into_iter()
                .any(|entry| filter.matches_entry(entry, attribute))
        }
    }
}

/// The values at `found`, one by one, complex ones whole.
pub(super) fn values<'a>(
    path: &AttrPath,
    found: Found<'_>,
    subject: Subject<'a>,
) -> Vec<&'a Value> {
    let (extension, attribute, sub) = match found {
        Found::Extension(schema) => {
            let Subject::Resource(attributes) = subject else { return Vec::new() };
            return attributes.get(&schema.id).into_iter().collect();
        }
        Found::Attribute { extension, attribute, sub } => (extension, attribute, sub),
    };
    let value = match subject {
        Subject::Resource(attributes) => match extension {
            None => attributes.get(&attribute.name),
            Some(schema) => attributes.get(&schema.id).and_then(|all| all.get(&attribute.name)),
        },
        Subject::Entry(Value::Object(entry)) => entry.get(&attribute.name),
        Subject::Entry(entry) => path.attribute.eq_ignore_ascii_case("value").then_some(entry),
    };
    let entries = match value {
        None => &[],
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    match sub {
        None => entries.iter().collect(),
        Some(sub) => entries.iter().filter_map(|entry| entry.get(&sub.name)).collect(),
    }
}

/// Whether a value says anything (RFC 7643 section 2.5; RFC 7644 table 3 on `pr`).
fn present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(entries) => entries.iter().any(present),
        Value::Object(subs) => subs.values().any(present),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compare(
    path: &AttrPath,
    op: CompareOp,
    wanted: &Value,
    names: Names<'_>,
    subject: Subject<'_>,
) -> bool {
    let Some(found @ Found::Attribute { attribute, sub, .. }) = names.find(path) else {
        return holds_for_nothing(op, wanted);
    };
    let target = sub.unwrap_or(attribute);
    let Some(compared) = target.compared() else { return false };
    let mut stored = values(path, found, subject);
    if target.kind == AttributeType::Complex {
        stored = stored.into_iter().filter_map(|entry| entry.get(&compared.name)).collect();
    }
    stored.retain(|value| !value.is_null());
    match (op, wanted) {
        (CompareOp::Eq, Value::Null) => !stored.into_iter().any(present),
        (CompareOp::Ne, Value::Null) => stored.into_iter().any(present),
        _ if stored.is_empty() => holds_for_nothing(op, wanted),
        _ => stored.into_iter().any(|value| value_holds(op, value, wanted, compared)),
    }
}

/// What a comparison says of an attribute without a value.
pub(super) fn holds_for_nothing(op: CompareOp, wanted: &Value) -> bool {
    match op {
        CompareOp::Eq => wanted.is_null(),
        CompareOp::Ne => !wanted.is_null(),
        _ => false,
    }
}

fn value_holds(op: CompareOp, stored: &Value, wanted: &Value, attribute: &Attribute) -> bool {
    if op.searches() {
        return match (stored.as_str(), wanted.as_str()) {
            (Some(stored), Some(wanted)) if attribute.case_exact => search(op, stored, wanted),
            (Some(stored), Some(wanted)) => search(op, &fold(stored), &fold(wanted)),
            _ => false,
        };
    }
    // What has no place in the order of the attribute's type is not the same either.
    let order = order(stored, wanted, attribute);
    match op {
        CompareOp::Eq => order == Some(Ordering::Equal),
        CompareOp::Ne => order != Some(Ordering::Equal),
        // RFC 7644 table 3: booleans and binaries have no order.
        _ if matches!(attribute.kind, AttributeType::Boolean | AttributeType::Binary) => false,
        CompareOp::Gt => order == Some(Ordering::Greater),
        CompareOp::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        CompareOp::Lt => order == Some(Ordering::Less),
        CompareOp::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}

fn search(op: CompareOp, stored: &str, wanted: &str) -> bool {
    match op {
        CompareOp::Co => stored.contains(wanted),
        CompareOp::Sw => stored.starts_with(wanted),
        _ => stored.ends_with(wanted),
    }
}

fn order(stored: &Value, wanted: &Value, attribute: &Attribute) -> Option<Ordering> {
    match attribute.kind {
        AttributeType::Boolean => Some(truth(stored)?.cmp(&truth(wanted)?)),
        AttributeType::Integer | AttributeType::Decimal => {
            match (stored.as_i64(), wanted.as_i64()) {
                (Some(stored), Some(wanted)) => Some(stored.cmp(&wanted)),
                _ => stored.as_f64()?.partial_cmp(&wanted.as_f64()?),
            }
        }
        AttributeType::DateTime => {
            Some(instant(stored.as_str()?)?.cmp(&instant(wanted.as_str()?)?))
        }
        _ if attribute.case_exact => Some(stored.as_str()?.cmp(wanted.as_str()?)),
        _ => Some(fold(stored.as_str()?).cmp(&fold(wanted.as_str()?))),
    }
}

pub(in crate::scim) fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| boolean(value.as_str()?))
}

/// The instant a date names; one without an offset is UTC.
pub(in crate::scim) fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    // A date alone parses as midnight, but is no xsd:dateTime (RFC 7643 section 2.3.5).
    if !text.contains(['T', 't']) {
        return None;
    }
    let local: DateTime = text.parse().ok()?;
    local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
