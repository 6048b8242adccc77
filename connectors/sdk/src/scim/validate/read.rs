//! One value as its attribute's schema wants it (RFC 7643 section 2.3).

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::civil::DateTime;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::MemberValue;
use super::order::once_each;
use crate::scim::error::Error;
use crate::scim::filter::boolean;
use crate::scim::path::shorten;
use crate::scim::quirk::{Quirk, Quirks};
use crate::scim::resource::ResourceKind;
use crate::scim::schema::{Attribute, AttributeType, Mutability, Returned};

/// The longest text of one value. Targets take far less, and a photo is an address, not a picture.
const MAX_TEXT: usize = 64 * 1024;
/// The most values of one attribute, members apart: nobody has more addresses, and comparing each
/// with each must stay cheap.
pub(crate) const MAX_VALUES: usize = 1000;
/// Attributes that end up in mail headers, log lines and directory names, where a line break or a
/// NUL changes the meaning of what follows.
const ONE_LINE: [&str; 4] = ["userName", "displayName", "externalId", "emails.value"];

/// Reads values and remembers the quirks it met.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) quirks: Quirks,
}

impl Reader {
    /// The whole value of an attribute, or none where it says nothing: null, an empty list, an
    /// empty object (RFC 7643 section 2.5).
    pub(crate) fn value(
        &mut self,
        attribute: &Attribute,
        value: Value,
        at: &str,
    ) -> Result<Option<Value>, Error> {
        if !attribute.multi_valued {
            let value = self.one(attribute, value, at);
            return self.entry(attribute, value, at);
        }
        let given = match value {
            Value::Null => return Ok(None),
            Value::Array(given) => given,
            single => {
                self.quirks.note(Quirk::SingleValue, at);
                vec![single]
            }
        };
        if given.len() > MAX_VALUES {
            return Err(too_many(at));
        }
        let mut entries = Vec::with_capacity(given.len());
        for value in given {
            entries.extend(self.entry(attribute, value, at)?);
        }
        once_each(attribute, &mut entries);
        if self.one_primary(&mut entries, at) {
            once_each(attribute, &mut entries);
        }
        Ok((!entries.is_empty()).then_some(Value::Array(entries)))
    }

    /// What a complex attribute with one value is given, out of the list of one that may be around
    /// it. Simple ones keep refusing lists: a list is nobody's name.
    pub(crate) fn one(&mut self, attribute: &Attribute, value: Value, at: &str) -> Value {
        match value {
            Value::Array(mut given)
                if attribute.kind == AttributeType::Complex && given.len() == 1 =>
            {
                self.quirks.note(Quirk::ListForOne, at);
                given.swap_remove(0)
            }
            value => value,
        }
    }

    /// At most one entry is primary (RFC 7643 section 2.4). The first one keeps it: providers
    /// list the address they mean first. Answers whether others had to be put right.
    fn one_primary(&mut self, entries: &mut [Value], at: &str) -> bool {
        let mut primaries = entries
            .iter_mut()
            .filter_map(|entry| entry.get_mut("primary"))
            .filter(|primary| primary.as_bool() == Some(true));
        primaries.next();
        let mut several = false;
        for further in primaries {
            *further = Value::Bool(false);
            self.quirks.note(Quirk::ManyPrimaries, at);
            several = true;
        }
        several
    }

    /// One value: a single-valued attribute's, or one entry of a list.
    pub(crate) fn entry(
        &mut self,
        attribute: &Attribute,
        value: Value,
        at: &str,
    ) -> Result<Option<Value>, Error> {
        match (attribute.kind, value) {
            (_, Value::Null) => Ok(None),
            (AttributeType::Complex, Value::Object(subs)) => self.complex(attribute, subs, at),
            (AttributeType::Complex, bare @ (Value::String(_) | Value::Number(_)))
                if attribute.sub("value").is_some() =>
            {
                let quirk = match (attribute.name.as_str(), attribute.multi_valued) {
                    ("manager", false) => Quirk::BareManager,
                    _ => Quirk::BareValue,
                };
                self.quirks.note(quirk, at);
                self.complex(attribute, Map::from_iter([("value".to_owned(), bare)]), at)
            }
            (_, value) => self.simple(attribute, value, at),
        }
    }

    fn complex(
        &mut self,
        attribute: &Attribute,
        given: Map<String, Value>,
        at: &str,
    ) -> Result<Option<Value>, Error> {
        let mut read: Vec<Option<Value>> = vec![None; attribute.sub_attributes.len()];
        for (name, value) in self.unpacked(attribute, given, at) {
            let Some(index) = attribute
                .sub_attributes
                .iter()
                .position(|sub| sub.name.eq_ignore_ascii_case(&name))
            else {
                self.quirks.note(Quirk::UnknownAttribute, &format!("{at}.{name}"));
                continue;
            };
            let sub = &attribute.sub_attributes[index];
            if sub.mutability == Mutability::ReadOnly {
                continue;
            }
            let at = format!("{at}.{}", sub.name);
            // An empty `value` is how some providers say that there is none.
            if sub.name == "value" && value.as_str() == Some("") {
                self.quirks.note(Quirk::EmptyValue, &at);
                continue;
            }
            let Some(value) = self.value(sub, value, &at)? else { continue };
            if read[index].replace(value).is_some() {
                return Err(super::twice(&at));
            }
        }
        let subs: Map<String, Value> = attribute
            .sub_attributes
            .iter()
            .zip(read)
            .filter_map(|(sub, value)| Some((sub.name.clone(), value?)))
            .collect();
        Ok((!subs.is_empty()).then_some(Value::Object(subs)))
    }

    /// Entra sends an app role as `{"value": "{\"value\":\"Admin\",\"displayName\":\"…\"}"}`: the
    /// entry as text in its own value.
    fn unpacked(
        &mut self,
        attribute: &Attribute,
        given: Map<String, Value>,
        at: &str,
    ) -> Map<String, Value> {
        if !attribute.multi_valued {
            return given;
        }
        let text = given.get("value").and_then(Value::as_str).filter(|text| text.starts_with('{'));
        let inner = text.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        // What is text within text once more is data, or a value would change with each reading.
        let is_plain = |value: &Value| value.as_str().is_some_and(|text| !text.starts_with('{'));
        let Some(mut inner) = inner.filter(|inner| inner.get("value").is_some_and(is_plain)) else {
            return given;
        };
        self.quirks.note(Quirk::JsonInText, &format!("{at}.value"));
        let mut unpacked = given;
        for (key, name) in [("value", "value"), ("displayName", "display")] {
            if let Some(value) = inner.remove(key) {
                unpacked.insert(name.to_owned(), value);
            }
        }
        unpacked
    }

    fn simple(
        &mut self,
        attribute: &Attribute,
        value: Value,
        at: &str,
    ) -> Result<Option<Value>, Error> {
        let wrong = |value: &Value| {
            let kind = match attribute.kind {
                AttributeType::Integer => "an integer",
                AttributeType::Decimal => "a number",
                AttributeType::Boolean => "a boolean",
                AttributeType::Complex => "an object",
                AttributeType::DateTime => "a date and time such as 2026-11-22T08:30:00Z",
                AttributeType::Binary => "base64",
                AttributeType::String | AttributeType::Reference => "a string",
            };
            let shown = match attribute.returned {
                // Not even to the client that has just sent it.
                Returned::Never => String::new(),
                _ => format!(": {}", shorten(&value.to_string())),
            };
            Err(Error::invalid_value(format!("`{at}` is not {kind}{shown}")))
        };
        match attribute.kind {
            AttributeType::Boolean => match &value {
                Value::Bool(_) => Ok(Some(value)),
                // Entra says "True" and "False"; anything else is a mistake.
                Value::String(text) => match boolean(text) {
                    Some(truth) => {
                        self.quirks.note(Quirk::StringBoolean, at);
                        Ok(Some(Value::Bool(truth)))
                    }
                    None => wrong(&value),
                },
                _ => wrong(&value),
            },
            AttributeType::Integer | AttributeType::Decimal => {
                let is_number = |number: &Value| match attribute.kind {
                    // RFC 7643 section 2.3.4: no fraction and no exponent.
                    AttributeType::Integer => number.is_i64() || number.is_u64(),
                    _ => number.is_number(),
                };
                if is_number(&value) {
                    return Ok(Some(value));
                }
                // Mappings that compute a value give text.
                let text = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
                match text.filter(is_number) {
                    Some(number) => {
                        self.quirks.note(Quirk::StringNumber, at);
                        Ok(Some(number))
                    }
                    None => wrong(&value),
                }
            }
            AttributeType::Complex => wrong(&value),
            _ => {
                let Value::String(text) = &value else { return wrong(&value) };
                if text.len() > MAX_TEXT {
                    return Err(Error::invalid_value(format!(
                        "`{at}` is longer than {MAX_TEXT} bytes"
                    )));
                }
                let fits = match attribute.kind {
                    AttributeType::DateTime => is_date_time(text),
                    AttributeType::Binary => is_base64(text),
                    _ => true,
                };
                if !fits {
                    return wrong(&value);
                }
                if attribute.kind == AttributeType::Reference && !is_uri_reference(text) {
                    self.quirks.note(Quirk::NotAUri, at);
                }
                if ONE_LINE.contains(&at) && text.contains(|c: char| c.is_control() && c != '\t') {
                    return Err(Error::invalid_value(format!(
                        "`{at}` contains a line break or another control character"
                    )));
                }
                if at == "userName" && text.contains(is_invisible) {
                    return Err(Error::invalid_value(
                        "`userName` contains a character that cannot be seen",
                    ));
                }
                // A blank anchor would tie together everybody who has one.
                if at == "externalId" && text.trim().is_empty() {
                    self.quirks.note(Quirk::EmptyValue, at);
                    return Ok(None);
                }
                Ok(Some(value))
            }
        }
    }

    /// A group's members, each once, in the order given.
    pub(crate) fn members(&mut self, value: &Value) -> Result<Vec<MemberValue>, Error> {
        if !(value.is_array() || value.is_null()) {
            self.quirks.note(Quirk::SingleValue, "members");
        }
        self.some_members(value)
    }

    /// The same where one member is as good as a list.
    pub(crate) fn some_members(&mut self, value: &Value) -> Result<Vec<MemberValue>, Error> {
        let given = match value {
            Value::Null => &[],
            Value::Array(given) => given.as_slice(),
            single => std::slice::from_ref(single),
        };
        let mut members = Vec::with_capacity(given.len());
        let mut seen = HashSet::new();
        for member in given {
            let member = self.member(member)?;
            if seen.insert(member.value.clone()) {
                members.push(member);
            }
        }
        Ok(members)
    }

    fn member(&mut self, member: &Value) -> Result<MemberValue, Error> {
        let (id, kind) = match member {
            Value::Object(subs) => {
                let sub = |wanted: &str| {
                    subs.iter()
                        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                        .and_then(|(_, value)| value.as_str())
                };
                // Other words for the type are in use (`direct`), and say nothing about the kind.
                let kind = sub("type").and_then(|word| {
                    ResourceKind::ALL
                        .into_iter()
                        .find(|kind| kind.name().eq_ignore_ascii_case(word))
                });
                (sub("value"), kind)
            }
            bare => {
                self.quirks.note(Quirk::BareValue, "members");
                (bare.as_str(), None)
            }
        };
        match id {
            Some(id) if !id.is_empty() && id.len() <= MAX_TEXT => {
                Ok(MemberValue { value: id.to_owned(), kind })
            }
            _ => Err(Error::invalid_value(
                "an entry of `members` has no `value` with the id of a user or group",
            )),
        }
    }
}

pub(crate) fn password(value: &Value) -> Result<Option<SecretString>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if text.len() <= MAX_TEXT => Ok(Some(text.as_str().into())),
        // The message must not repeat it.
        _ => Err(Error::invalid_value("`password` is not a string, or is too long")),
    }
}

pub(crate) fn too_many(at: &str) -> Error {
    Error::invalid_value(format!("`{at}` has more than {MAX_VALUES} values"))
}

/// What would make two names that look alike, or one that reads backwards: joiners, marks of
/// direction, soft hyphens. RFC 7644 section 5 has user names prepared by a profile that takes
/// none of them (RFC 8265 section 3.3).
fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// The form of xsd:dateTime (RFC 7643 section 2.3.5).
fn is_date_time(text: &str) -> bool {
    text.contains(['T', 't'])
        && (text.parse::<Timestamp>().is_ok() || text.parse::<DateTime>().is_ok())
}

/// Whether a reference could be one: a URI, or one relative to ours (RFC 7643 section 2.3.7), in
/// the characters of RFC 3986 section 2, and up to its first colon a scheme (sections 3.1 and 4.2).
fn is_uri_reference(text: &str) -> bool {
    let letters = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte));
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let escapes = text.split('%').skip(1).map(str::as_bytes);
    let escaped = escapes.into_iter().all(|after| hex(after.first()) && hex(after.get(1)));
    let head = text.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme = head.split_once(':').is_none_or(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    !text.is_empty() && letters && escaped && scheme && text.matches('#').count() <= 1
}

/// Base64 in either alphabet (RFC 7643 section 2.3.6); PEM-like line breaks do no harm.
fn is_base64(text: &str) -> bool {
    text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b'\n' | b'\r')
    })
}
