//! PATCH as RFC 7644 section 3.5.2 tells it, on a person of a few attributes: plain JSON, no
//! schema, one rule after the other.

use scim_relay_sdk::scim::ENTERPRISE_URN;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Replace,
    Remove,
}

/// What an operation is about. A value of null says that there shall be none.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// `title`, `active`, `externalId`, `userName`.
    Simple(&'static str, Value),
    Department(Value),
    /// The sub-attributes to set; for a remove, the whole name.
    Name(Vec<(&'static str, Value)>),
    NamePart(&'static str, Value),
    /// The whole list; for a remove with values, those listed.
    Emails(Option<Vec<Value>>),
    /// The entries that a condition selects.
    Selected(Condition, Value),
    SelectedPart(Condition, &'static str, Value),
    /// `emails.display`: a part of every entry.
    EveryPart(&'static str, Value),
    /// Without a path: several at once.
    Several(Vec<Target>),
}

#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Type(&'static str),
    Primary(bool),
    Value(&'static str),
    /// `value eq "…" and type eq "…"`
    Both(&'static str, &'static str),
    NotType(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoTarget,
    Required,
}

type Entries = Vec<Value>;

/// All operations, or none.
pub(crate) fn patched(person: &Value, operations: &[(Op, Target)]) -> Result<Value, Refusal> {
    let mut person = person.clone();
    for (op, target) in operations {
        apply(&mut person, *op, target)?;
    }
    let mut entries: Entries = Vec::new();
    for entry in emails(&person) {
        if says_something(&entry) && !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    set_emails(&mut person, entries);
    if person.get("userName").is_none() { Err(Refusal::Required) } else { Ok(person) }
}

fn apply(person: &mut Value, op: Op, target: &Target) -> Result<(), Refusal> {
    match target {
        Target::Simple("userName", _) if op == Op::Remove => return Err(Refusal::Required),
        Target::Simple(name, value) => {
            set(person, name, if op == Op::Remove { &Value::Null } else { value });
        }
        Target::Department(value) => {
            let value = if op == Op::Remove { &Value::Null } else { value };
            set_part(person, ENTERPRISE_URN, "department", value);
        }
        Target::Name(_) if op == Op::Remove => set(person, "name", &Value::Null),
        Target::Name(parts) => {
            // A complex attribute keeps the parts that are not given.
            for (part, value) in parts {
                set_part(person, "name", part, value);
            }
        }
        Target::NamePart(part, value) => {
            set_part(person, "name", part, if op == Op::Remove { &Value::Null } else { value });
        }
        Target::Several(targets) => {
            for target in targets {
                apply(person, op, target)?;
            }
        }
        Target::Emails(list) => {
            let entries = whole_list(emails(person), op, list.as_deref());
            set_emails(person, entries);
        }
        Target::Selected(condition, value) => {
            let mut entries = emails(person);
            let selected = selected(&entries, condition);
            if selected.is_empty() && op != Op::Remove {
                return Err(Refusal::NoTarget);
            }
            for &index in &selected {
                match op {
                    Op::Add => merge(&mut entries[index], value),
                    Op::Replace => entries[index] = value.clone(),
                    Op::Remove => entries[index] = Value::Null,
                }
            }
            one_primary(&mut entries, &selected);
            entries.retain(|entry| !entry.is_null());
            set_emails(person, entries);
        }
        Target::SelectedPart(condition, part, value) => {
            let mut entries = emails(person);
            let mut chosen = selected(&entries, condition);
            if chosen.is_empty() {
                // What is not there has been removed already; and Entra fills it in.
                let mut made = match condition {
                    _ if op == Op::Remove => return Ok(()),
                    Condition::Type(word) => json!({ "type": word }),
                    Condition::Primary(flag) => json!({ "primary": flag }),
                    _ => return Err(Refusal::NoTarget),
                };
                if value.is_null() {
                    return Ok(());
                }
                set(&mut made, part, value);
                entries.push(made);
                chosen = vec![entries.len() - 1];
            } else {
                for &index in &chosen {
                    set(
                        &mut entries[index],
                        part,
                        if op == Op::Remove { &Value::Null } else { value },
                    );
                }
            }
            one_primary(&mut entries, &chosen);
            set_emails(person, entries);
        }
        Target::EveryPart(part, value) => {
            let mut entries = emails(person);
            if entries.is_empty() && op != Op::Remove && !value.is_null() {
                entries.push(json!({}));
            }
            for entry in &mut entries {
                set(entry, part, if op == Op::Remove { &Value::Null } else { value });
            }
            let all: Vec<_> = (0..entries.len()).collect();
            one_primary(&mut entries, &all);
            set_emails(person, entries);
        }
    }
    Ok(())
}

fn whole_list(mut entries: Entries, op: Op, list: Option<&[Value]>) -> Entries {
    let list = list.map(each_once);
    match (op, list) {
        (Op::Remove | Op::Replace, None) => Vec::new(),
        // Only those listed go; text is compared as its attribute says, which is without case.
        (Op::Remove, Some(list)) => {
            let lower = |value: &Value| value.to_string().to_lowercase();
            let gone = |entry: &Value| {
                list.iter().any(|listed| {
                    let mut parts = listed.as_object().into_iter().flatten();
                    parts.all(|(name, value)| lower(&entry[name]) == lower(value))
                })
            };
            entries.retain(|entry| !gone(entry));
            entries
        }
        (Op::Replace, Some(list)) => list,
        (Op::Add, list) => {
            let mut written = Vec::new();
            for given in list.unwrap_or_default() {
                if entries.iter().any(|entry| has_all_of(entry, &given)) {
                    continue;
                }
                // The same value and type is the same entry.
                let same = |entry: &Value| {
                    entry["value"] == given["value"] && entry["type"] == given["type"]
                };
                if let Some(index) = entries.iter().position(same) {
                    merge(&mut entries[index], &given);
                    // One that was primary before is not a new primary.
                    written.extend((given["primary"] == true).then_some(index));
                } else {
                    entries.push(given);
                    written.push(entries.len() - 1);
                }
            }
            one_primary(&mut entries, &written);
            entries
        }
    }
}

/// A list as a client gives it: each entry once, and the first primary is the one.
fn each_once(given: &[Value]) -> Entries {
    let mut list: Entries = Vec::new();
    for entry in given {
        if !list.contains(entry) {
            list.push(entry.clone());
        }
    }
    let all: Vec<_> = (0..list.len()).collect();
    one_primary(&mut list, &all);
    // One that is primary no more may be there already.
    let mut once: Entries = Vec::new();
    for entry in list {
        if !once.contains(&entry) {
            once.push(entry);
        }
    }
    once
}

/// Of the entries that were written, the first primary one is primary, and no other is.
fn one_primary(entries: &mut [Value], written: &[usize]) {
    let Some(&chosen) = written.iter().find(|&&index| entries[index]["primary"] == true) else {
        return;
    };
    for (index, entry) in entries.iter_mut().enumerate() {
        if index != chosen && entry["primary"] == true {
            entry["primary"] = false.into();
        }
    }
}

fn selected(entries: &[Value], condition: &Condition) -> Vec<usize> {
    let is = |entry: &Value, name: &str, word: &str| {
        entry[name].as_str().is_some_and(|text| text.eq_ignore_ascii_case(word))
    };
    let holds = |entry: &Value| match condition {
        Condition::Type(word) => is(entry, "type", word),
        Condition::Primary(flag) => entry["primary"] == *flag,
        Condition::Value(word) => is(entry, "value", word),
        Condition::Both(value, kind) => is(entry, "value", value) && is(entry, "type", kind),
        Condition::NotType(word) => !is(entry, "type", word),
    };
    (0..entries.len()).filter(|&index| holds(&entries[index])).collect()
}

fn has_all_of(entry: &Value, listed: &Value) -> bool {
    listed
        .as_object()
        .is_some_and(|listed| listed.iter().all(|(name, value)| entry[name] == *value))
}

fn merge(entry: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        entry[name] = value.clone();
    }
}

/// What has a type but no value says nothing.
fn says_something(entry: &Value) -> bool {
    entry.get("value").is_some() || entry.get("display").is_some()
}

fn set(object: &mut Value, name: &str, value: &Value) {
    let object = object.as_object_mut().expect("an object");
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value.clone());
    }
}

fn set_part(person: &mut Value, name: &str, part: &str, value: &Value) {
    let mut whole = person.get(name).cloned().unwrap_or_else(|| json!({}));
    set(&mut whole, part, value);
    let empty = whole == json!({});
    set(person, name, if empty { &Value::Null } else { &whole });
}

fn emails(person: &Value) -> Entries {
    person["emails"].as_array().cloned().unwrap_or_default()
}

fn set_emails(person: &mut Value, mut entries: Entries) {
    entries.retain(|entry| *entry != json!({}));
    let entries = if entries.is_empty() { Value::Null } else { entries.into() };
    set(person, "emails", &entries);
}
