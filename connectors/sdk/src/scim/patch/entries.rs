//! PATCH on a multi-valued attribute: the whole list, selected entries, and their
//! sub-attributes.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Op;
use super::apply::Target;
use super::budget::Budget;
use crate::scim::error::Error;
use crate::scim::filter::{CompareOp, Filter};
use crate::scim::fold::fold;
use crate::scim::quirk::Quirk;
use crate::scim::schema::{Attribute, AttributeType};
use crate::scim::validate::{MAX_VALUES, Reader, too_many};

/// The entries after the operation.
pub(super) fn next(
    target: &Target<'_>,
    mut entries: Vec<Value>,
    value: Option<&Value>,
    reader: &mut Reader,
    budget: &mut Budget,
) -> Result<Vec<Value>, Error> {
    let written = match (&target.path.filter, target.sub) {
        (Some(filter), _) => selected(target, filter, &mut entries, value, reader, budget)?,
        (None, Some(_)) => each(target, &mut entries, value, reader, budget)?,
        (None, None) => whole(target, &mut entries, value, reader, budget)?,
    };
    if entries.len() > MAX_VALUES {
        return Err(too_many(&target.at));
    }
    if one_primary(&mut entries, &written) {
        reader.quirks.note(Quirk::ManyPrimaries, &target.at);
    }
    entries.retain(|entry| !entry.is_null());
    Ok(entries)
}

/// A new primary clears the old one (RFC 7644 section 3.5.2). Of several new ones the first
/// stays, as in a POST; answers whether there were several.
fn one_primary(entries: &mut [Value], written: &[usize]) -> bool {
    let is_primary = |entry: &Value| entry.get("primary").and_then(Value::as_bool) == Some(true);
    let mut new = written.iter().filter(|&&index| is_primary(&entries[index]));
    let (Some(&kept), further) = (new.next(), new.next()) else { return false };
    let several = further.is_some();
    for (index, entry) in entries.iter_mut().enumerate() {
        if index != kept
            && is_primary(entry)
            && let Some(primary) = entry.get_mut("primary")
        {
            *primary = Value::Bool(false);
        }
    }
    several
}

/// The list itself. Answers, like its siblings, which entries were written.
fn whole(
    target: &Target<'_>,
    entries: &mut Vec<Value>,
    value: Option<&Value>,
    reader: &mut Reader,
    budget: &mut Budget,
) -> Result<Vec<usize>, Error> {
    let attribute = target.attribute;
    if target.op == Op::Remove && value.is_none_or(Value::is_null) {
        entries.clear();
        return Ok(Vec::new());
    }
    let value = match value.cloned().unwrap_or(Value::Null) {
        // What is added, or listed for removal, may be a value or a list of them.
        single if target.op != Op::Replace && !single.is_array() => Value::Array(vec![single]),
        value => value,
    };
    let given = match reader.value(attribute, value, &target.at)? {
        Some(Value::Array(given)) => given,
        _ => Vec::new(),
    };
    if target.op == Op::Replace {
        *entries = given;
        return Ok((0..entries.len()).collect());
    }
    let mut index = Index::of(entries);
    let mut written = Vec::new();
    for listed in given {
        let alike = index.alike(&listed);
        budget.spend(alike.len(), listed.to_string().len(), &target.at)?;
        if target.op == Op::Add {
            written.extend(add(attribute, entries, listed, &alike, &mut index));
            continue;
        }
        // RFC 7644 section 3.5.2.2 knows no value here, but Entra and JumpCloud list what is to
        // go; taking that for "all" would empty the attribute.
        for entry in alike {
            if agrees(attribute, &entries[entry], &listed, same_text) {
                entries[entry] = Value::Null;
            }
        }
    }
    entries.retain(|entry| !entry.is_null());
    Ok(written)
}

/// Where entries are by their `value`, so that a thousand that are listed are not compared with
/// each of a thousand.
struct Index {
    places: HashMap<String, Vec<usize>>,
    entries: usize,
}

impl Index {
    fn of(entries: &[Value]) -> Self {
        let mut index = Self { places: HashMap::new(), entries: 0 };
        for entry in entries {
            index.push(entry);
        }
        index
    }

    fn push(&mut self, entry: &Value) {
        if let Some(value) = Self::key(entry) {
            self.places.entry(value).or_default().push(self.entries);
        }
        self.entries += 1;
    }

    /// The entries that may be the one that is `listed`: all of them, if it has no `value`.
    fn alike(&self, listed: &Value) -> Vec<usize> {
        match Self::key(listed) {
            Some(value) => self.places.get(&value).cloned().unwrap_or_default(),
            None => (0..self.entries).collect(),
        }
    }

    fn key(entry: &Value) -> Option<String> {
        entry.get("value").unwrap_or(entry).as_str().map(fold)
    }
}

/// Puts an entry in. One that is there already stays as it is; one with the same value and type
/// takes the other sub-attributes over, since the pair is unique (RFC 7643 section 2.4).
fn add(
    attribute: &Attribute,
    entries: &mut Vec<Value>,
    entry: Value,
    alike: &[usize],
    index: &mut Index,
) -> Option<usize> {
    let same = |&place: &usize| agrees(attribute, &entries[place], &entry, |_, a, b| a == b);
    if alike.iter().any(same) {
        return None;
    }
    let twin = alike.iter().copied().find(|&place| {
        let present = &entries[place];
        present.get("value").is_some()
            && present.get("value") == entry.get("value")
            && present.get("type") == entry.get("type")
    });
    match (twin, entry) {
        (Some(twin), Value::Object(subs)) => {
            // One that has been primary all along must not outdo a new primary beside it.
            let primary = subs.get("primary") == Some(&Value::Bool(true));
            let mut whole = entries[twin].as_object()?.clone();
            whole.extend(subs);
            entries[twin] = Value::Object(attribute.in_order(whole));
            primary.then_some(twin)
        }
        (_, entry) => {
            index.push(&entry);
            entries.push(entry);
            Some(entries.len() - 1)
        }
    }
}

/// Whether `entry` has all that `listed` says.
fn agrees(
    attribute: &Attribute,
    entry: &Value,
    listed: &Value,
    same: impl Fn(&Attribute, &Value, &Value) -> bool,
) -> bool {
    match (entry, listed) {
        (Value::Object(entry), Value::Object(listed)) => listed.iter().all(|(name, value)| {
            let present = entry.get(name);
            present.is_some_and(|present| match attribute.sub(name) {
                Some(sub) => same(sub, present, value),
                None => present == value,
            })
        }),
        _ => same(attribute, entry, listed),
    }
}

fn same_text(attribute: &Attribute, left: &Value, right: &Value) -> bool {
    match (left.as_str(), right.as_str()) {
        (Some(left), Some(right)) if !attribute.case_exact => fold(left) == fold(right),
        _ => left == right,
    }
}

/// `emails.display` without a filter: the sub-attribute of every entry.
fn each(
    target: &Target<'_>,
    entries: &mut Vec<Value>,
    value: Option<&Value>,
    reader: &mut Reader,
    budget: &mut Budget,
) -> Result<Vec<usize>, Error> {
    let all: Vec<usize> = (0..entries.len()).collect();
    if all.is_empty() && target.op != Op::Remove {
        let value = value.cloned().unwrap_or(Value::Null);
        entries.extend(target.merged(None, value, reader)?);
        return Ok((0..entries.len()).collect());
    }
    write(target, entries, &all, value, reader, budget)?;
    Ok(all)
}

/// `emails[type eq "work"]`, perhaps with `.value` behind it.
fn selected(
    target: &Target<'_>,
    filter: &Filter,
    entries: &mut Vec<Value>,
    value: Option<&Value>,
    reader: &mut Reader,
    budget: &mut Budget,
) -> Result<Vec<usize>, Error> {
    budget.spend(entries.len(), filter.to_string().len(), &target.at)?;
    let matching: Vec<usize> = (0..entries.len())
        .filter(|&index| filter.matches_entry(&entries[index], target.attribute))
        .collect();
    if !matching.is_empty() {
        write(target, entries, &matching, value, reader, budget)?;
        return Ok(matching);
    }
    // What is not there has been removed already.
    if target.op == Op::Remove {
        return Ok(Vec::new());
    }
    let Some(entry) = made_by(target, filter, value) else {
        return Err(Error::no_target(format!("`{}` selects no value", target.path.shown())));
    };
    // Clearing what is not there has been done already.
    if value.is_none_or(Value::is_null) {
        return Ok(Vec::new());
    }
    reader.quirks.note(Quirk::MissingEntry, &target.path.shown());
    match reader.entry(target.attribute, entry, &target.at)? {
        Some(entry) => {
            entries.push(entry);
            Ok(vec![entries.len() - 1])
        }
        None => Ok(Vec::new()),
    }
}

/// The entry that `attr[type eq "x"].sub` makes where there is none: Entra replaces the work
/// address of people who have none yet, where RFC 7644 section 3.5.2.3 would have `noTarget`.
fn made_by(target: &Target<'_>, filter: &Filter, value: Option<&Value>) -> Option<Value> {
    let (sub, Filter::Compare { path, op: CompareOp::Eq, value: wanted }) = (target.sub?, filter)
    else {
        return None;
    };
    let selector = target.attribute.sub(&path.attribute)?;
    if !matches!(selector.name.as_str(), "type" | "primary") {
        return None;
    }
    let mut entry = Map::new();
    entry.insert(selector.name.clone(), wanted.clone());
    entry.insert(sub.name.clone(), value.cloned().unwrap_or(Value::Null));
    Some(Value::Object(entry))
}

/// Carries the operation out on the entries at `indexes`. An entry that goes becomes null for
/// now, so that the other indexes stay true.
fn write(
    target: &Target<'_>,
    entries: &mut [Value],
    indexes: &[usize],
    value: Option<&Value>,
    reader: &mut Reader,
    budget: &mut Budget,
) -> Result<(), Error> {
    let attribute = target.attribute;
    let value = value.unwrap_or(&Value::Null);
    budget.spend(indexes.len(), value.to_string().len(), &target.at)?;
    for &index in indexes {
        let current = entries[index].take();
        let value = value.clone();
        let next = match (target.op, target.sub) {
            (Op::Remove, None) => None,
            (Op::Remove, Some(sub)) if sub.required => {
                return Err(target.path.required());
            }
            (Op::Remove, Some(_)) => target.merged(Some(current), Value::Null, reader)?,
            // The selected records are replaced as a whole (RFC 7644 section 3.5.2.3).
            (Op::Replace, None) => reader.entry(attribute, value, &target.at)?,
            _ if attribute.kind == AttributeType::Complex => {
                target.merged(Some(current), value, reader)?
            }
            _ => reader.entry(attribute, value, &target.at)?,
        };
        entries[index] = next.unwrap_or(Value::Null);
    }
    Ok(())
}
