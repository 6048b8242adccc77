//! A resource in words: its attributes as people read them, and what a change made of them.

use scim_relay_sdk::scim::Attributes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Told of one resource, and of one change.
const MOST: usize = 100;
/// Letters of a value.
const LETTERS: usize = 200;

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// `name.givenName`, `emails[work]`.
    pub path: String,
    /// `Given name`, `E-mail (work)`.
    pub label: String,
    pub value: String,
}

/// What a change made of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub path: String,
    pub label: String,
    /// None: there was no such thing.
    pub before: Option<String>,
    /// None: there is none any more.
    pub after: Option<String>,
}

/// What is told elsewhere, or to programs alone.
const ELSEWHERE: [&str; 6] = ["schemas", "id", "meta", "externalId", "groups", "members"];

pub(super) fn facts(attributes: &Attributes) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (name, value) in attributes {
        if ELSEWHERE.contains(&name.as_str()) {
            continue;
        }
        match value {
            // An extension: its attributes are like all others.
            Value::Object(own) if name.starts_with("urn:") => {
                for (name, value) in own {
                    tell(&mut facts, name, name, value);
                }
            }
            value => tell(&mut facts, name, name, value),
        }
    }
    facts.truncate(MOST);
    facts
}

pub(super) fn differences(before: &[Fact], after: &[Fact]) -> Vec<Difference> {
    let value = |facts: &[Fact], path: &str| {
        facts.iter().find(|fact| fact.path == path).map(|fact| fact.value.clone())
    };
    let gone = before.iter().filter(|fact| !after.iter().any(|other| other.path == fact.path));
    let all = after.iter().chain(gone).map(|Fact { path, label, .. }| Difference {
        before: value(before, path),
        after: value(after, path),
        path: path.clone(),
        label: label.clone(),
    });
    all.filter(|one| one.before != one.after).collect()
}

fn tell(facts: &mut Vec<Fact>, path: &str, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(parts) => {
            for (part, value) in parts {
                tell(facts, &format!("{path}.{part}"), part, value);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            for (number, value) in values.iter().enumerate() {
                let Value::Object(parts) = value else { continue };
                let kind = parts.get("type").and_then(Value::as_str);
                let known = kind.map_or_else(|| (number + 1).to_string(), str::to_owned);
                let mut place = format!("{path}[{known}]");
                if facts.iter().any(|fact| fact.path == place) {
                    place = format!("{path}[{known} {}]", number + 1);
                }
                let label = match kind {
                    Some(kind) => format!("{} ({kind})", label(name)),
                    None => label(name),
                };
                push(facts, place, label, &main_value(parts));
            }
        }
        Value::Array(values) => {
            let all: Vec<String> = values.iter().map(text).collect();
            push(facts, path.to_owned(), label(name), &all.join(", "));
        }
        value => push(facts, path.to_owned(), label(name), &text(value)),
    }
}

fn push(facts: &mut Vec<Fact>, path: String, label: String, value: &str) {
    if facts.len() < MOST && !value.is_empty() {
        let mut short: String = value.chars().take(LETTERS).collect();
        if short.len() < value.len() {
            short.push('…');
        }
        facts.push(Fact { path, label, value: short });
    }
}

/// Of an e-mail its address; of anything else that is many, whatever it says.
fn main_value(parts: &Map<String, Value>) -> String {
    for name in ["value", "formatted"] {
        if let Some(value) = parts.get(name).filter(|value| !value.is_object()) {
            return text(value);
        }
    }
    let rest = parts.iter().filter(|(name, value)| {
        !matches!(name.as_str(), "type" | "primary" | "$ref") && !value.is_null()
    });
    rest.map(|(_, value)| text(value)).collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `roomNumber` is `Room number`.
fn label(name: &str) -> String {
    match name {
        "displayName" => return "Display name".to_owned(),
        "userName" => return "User name".to_owned(),
        "emails" => return "E-mail".to_owned(),
        "phoneNumbers" => return "Phone".to_owned(),
        "preferredLanguage" => return "Language".to_owned(),
        "timezone" => return "Time zone".to_owned(),
        "addresses" => return "Address".to_owned(),
        "roles" => return "Role".to_owned(),
        "entitlements" => return "Entitlement".to_owned(),
        _ => {}
    }
    let mut label = String::new();
    for letter in name.chars() {
        if label.is_empty() {
            label.extend(letter.to_uppercase());
        } else if letter.is_uppercase() {
            label.push(' ');
            label.extend(letter.to_lowercase());
        } else {
            label.push(letter);
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Vec<Fact> {
        let Value::Object(attributes) = value else { panic!("an object") };
        facts(&attributes)
    }

    fn told(value: Value) -> String {
        let lines = of(value).into_iter().map(|fact| format!("{}: {}", fact.label, fact.value));
        lines.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn attributes_are_told_in_words() {
        for (value, expected) in [
            (json!({ "id": "1", "schemas": [], "externalId": "x", "active": true }), "Active: yes"),
            (json!({ "name": { "givenName": "Kari", "middleName": null } }), "Given name: Kari"),
            (json!({ "roomNumber": "0421", "empty": "" }), "Room number: 0421"),
            (
                json!({ "emails": [{ "value": "a@x", "type": "work", "primary": true }, { "value": "b@x" }] }),
                "E-mail (work): a@x; E-mail: b@x",
            ),
            (
                json!({ "addresses": [{ "type": "home", "locality": "Oslo", "country": "NO" }] }),
                "Address (home): Oslo, NO",
            ),
            (json!({ "urn:example:school": { "classes": ["10A", "10B"] } }), "Classes: 10A, 10B"),
            (
                json!({ "urn:x": { "manager": { "value": "42", "displayName": "Ola" } } }),
                "Value: 42; Display name: Ola",
            ),
        ] {
            assert_eq!(told(value), expected);
        }
        let long = of(json!({ "title": "x".repeat(10_000) }));
        assert_eq!(long[0].value.chars().count(), 201);
        let many: Map<String, Value> = (0..1_000).map(|n| (format!("a{n}"), json!(n))).collect();
        assert_eq!(facts(&many).len(), 100);
    }

    #[test]
    fn a_change_is_told_as_what_was_before_and_after() {
        let before = of(
            json!({ "title": "a", "roomNumber": "1", "emails": [{ "type": "work", "value": "a@x" }] }),
        );
        let after = of(
            json!({ "title": "a", "department": "B", "emails": [{ "type": "work", "value": "b@x" }] }),
        );
        let lines: Vec<String> = differences(&before, &after)
            .into_iter()
            .map(|one| format!("{}: {:?} {:?}", one.path, one.before, one.after))
            .collect();
        assert_eq!(
            lines,
            [
                "department: None Some(\"B\")",
                "emails[work]: Some(\"a@x\") Some(\"b@x\")",
                "roomNumber: Some(\"1\") None",
            ]
        );
        assert_eq!(differences(&after, &after), []);
    }
}
