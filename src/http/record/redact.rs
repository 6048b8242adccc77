//! What must not be kept of a request: passwords, tokens, and whatever a schema says is never
//! returned (RFC 7643 section 7). In doubt it goes.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use axum::extract::Query;
use http::Uri;
use scim_relay_sdk::scim::{Attribute, ERROR_URN, Mutability, Returned, Schemas, fold};
use serde_json::{Map, Value};

/// What stands in its place.
const STRUCK: &str = "[redacted]";

/// A name with one of these in it is that of a secret, whatever the schemas say.
const WORDS: [&str; 6] = ["password", "passwd", "passphrase", "pwd", "secret", "token"];

/// How our bearer tokens begin, and how much of what follows is public (see `token`).
const TOKEN: &str = "scimr_";
const PUBLIC: usize = 12;

/// How many struck values are looked for in the answer, and their length together: each is looked
/// for in every text.
const LOOKED_FOR: usize = 128;
const LENGTH: usize = 8 * 1024;

/// Parameters of RFC 7644 section 3.4.2 and RFC 9865. Of others only the name is kept.
const PARAMETERS: [&str; 8] = [
    "filter",
    "attributes",
    "excludedAttributes",
    "sortBy",
    "sortOrder",
    "startIndex",
    "count",
    "cursor",
];

/// Goes through one request and its answer, in that order.
pub(super) struct Redactor {
    /// Attributes that are never returned, by their folded names.
    never: Vec<String>,
    /// What was struck, for an answer that repeats it.
    found: HashSet<String>,
    /// The length of all that.
    length: usize,
    /// Whether something was struck that is not in `found`: a text of which an answer may repeat any
    /// part, such as a filter, or more than is looked for.
    in_text: bool,
    answering: bool,
}

impl Redactor {
    pub(super) fn new(schemas: &Schemas) -> Self {
        let attributes = schemas.all().flat_map(|schema| &schema.attributes);
        let never = attributes
            .flat_map(|attribute| [attribute].into_iter().chain(&attribute.sub_attributes))
            .filter(|attribute| is_never_returned(attribute))
            .map(|attribute| fold(&attribute.name))
            .collect();
        Self { never, found: HashSet::new(), length: 0, in_text: false, answering: false }
    }

    /// The body of a request.
    pub(super) fn redact(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) => self.object(members),
            Value::Array(values) => values.iter_mut().for_each(|value| self.redact(value)),
            Value::String(text) if self.tells(text) => {
                self.in_text = true;
                STRUCK.clone_into(text);
            }
            Value::String(text) => *text = without_tokens(text),
            _ => {}
        }
    }

    fn object(&mut self, members: &mut Map<String, Value>) {
        let is_value = |key: &str| matches!(fold(key).trim(), "value" | "values");
        // `{"op": "replace", "path": "password", "value": ...}`, in any order and by any words: a
        // path that we do not understand may still name a secret.
        let about_secret = members.iter().any(|(key, member)| {
            !is_value(key) && member.as_str().is_some_and(|text| self.mentions(text))
        });
        // What our own sentences repeat of a request, `unsay` takes out.
        let ours = self.answering && is_error(members);
        for (key, mut member) in std::mem::take(members) {
            if ours && key == "detail" {
                members.insert(key, member);
                continue;
            }
            if self.mentions(&key) || (about_secret && is_value(&key)) {
                self.strike(&mut member);
            } else {
                self.redact(&mut member);
            }
            members.insert(without_tokens(&key), member);
        }
    }

    /// Strikes a value whole; that there is none may be seen.
    fn strike(&mut self, value: &mut Value) {
        if !value.is_null() {
            self.note(value);
            *value = STRUCK.into();
        }
    }

    fn note(&mut self, value: &Value) {
        match value {
            Value::String(text) if !text.is_empty() => self.look_for(text),
            Value::Number(number) => self.look_for(&number.to_string()),
            Value::Array(values) => values.iter().for_each(|value| self.note(value)),
            Value::Object(members) => members.values().for_each(|value| self.note(value)),
            _ => {}
        }
    }

    fn look_for(&mut self, secret: &str) {
        if self.found.contains(secret) {
            return;
        }
        if self.found.len() == LOOKED_FOR || self.length + secret.len() > LENGTH {
            self.in_text = true;
            return;
        }
        self.length += secret.len();
        self.found.insert(secret.to_owned());
    }

    /// The query, readable, with its question mark.
    pub(super) fn query(&mut self, uri: &Uri) -> String {
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
            return "?[unreadable]".to_owned();
        };
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| match value.as_str() {
                "" => name,
                _ if !PARAMETERS.iter().any(|known| known.eq_ignore_ascii_case(&name)) => {
                    format!("{name}={STRUCK}")
                }
                text if self.mentions(text) && !is_list(text) => {
                    self.in_text = true;
                    format!("{name}={STRUCK}")
                }
                text => format!("{name}={text}"),
            })
            .collect();
        format!("?{}", pairs.join("&"))
    }

    /// The body of an answer. It holds nothing secret that it does not repeat from the request.
    pub(super) fn redact_answer(&mut self, answer: &mut Value) {
        self.answering = true;
        self.redact(answer);
        self.unsay(answer);
    }

    fn unsay(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.unsay(value)),
            Value::Object(members) => {
                for (key, member) in members {
                    if key == "detail" && self.in_text {
                        *member = STRUCK.into();
                    }
                    self.unsay(member);
                }
            }
            _ => {}
        }
    }

    /// Any other text of the client's. One that repeats what was struck goes whole: what is left
    /// around it would tell where it stood, and how often.
    pub(super) fn text(&self, text: &str) -> String {
        if self.found.iter().any(|secret| text.contains(secret)) {
            return STRUCK.to_owned();
        }
        without_tokens(text)
    }

    /// Whether a secret is named: `password`, `urn:...:User:Password`, `x.userPassword`, `/password`,
    /// `cards[type eq "a"].pin`.
    fn mentions(&self, text: &str) -> bool {
        let text = fold(text);
        WORDS.iter().any(|word| text.contains(word))
            || text
                .split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '$'))
                .any(|piece| self.never.iter().any(|never| never == piece))
    }

    /// Whether a text says something about a secret besides its name: a filter, a path with one,
    /// JSON in a string.
    fn tells(&self, text: &str) -> bool {
        text.contains(['"', '\'', '=', ':', '{', '[', '%']) && !is_name(text) && self.mentions(text)
            || text.contains(' ') && is_comparison(text) && self.mentions(text)
    }
}

fn is_error(members: &Map<String, Value>) -> bool {
    let schemas = members.get("schemas").and_then(Value::as_array);
    schemas.is_some_and(|schemas| schemas.iter().any(|urn| urn == ERROR_URN))
}

fn is_never_returned(attribute: &Attribute) -> bool {
    attribute.returned == Returned::Never || attribute.mutability == Mutability::WriteOnly
}

/// An attribute path without a filter.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || matches!(c, ':' | '.' | '_' | '-' | '$'))
}

/// Names with commas between, as in `attributes`.
fn is_list(text: &str) -> bool {
    text.split(',').all(|name| is_name(name.trim()))
}

/// A filter without quotes: `password eq 1234`.
fn is_comparison(text: &str) -> bool {
    let operators = ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];
    text.split_whitespace().any(|word| operators.iter().any(|op| op.eq_ignore_ascii_case(word)))
}

/// A bearer token of ours, wherever it was pasted, keeps its public part alone.
fn without_tokens(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(TOKEN) {
        let (before, token) = rest.split_at(at + TOKEN.len());
        kept.push_str(before);
        let end = token.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (token, after) = token.split_at(end.unwrap_or(token.len()));
        kept.push_str(&token[..token.len().min(PUBLIC)]);
        if token.len() > PUBLIC {
            kept.push_str(STRUCK);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}
