//! PATCH (RFC 7644 section 3.5.2): the request as it was sent. `apply` carries it out, `entries`
//! knows multi-valued attributes, `members` those of a group.

mod apply;
mod entries;
mod members;
#[cfg(test)]
mod tests;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::error::Error;
use super::path::shorten;
use super::quirk::{Quirk, Quirks};
use super::resource::Attributes;
use super::validate::MemberValue;

/// The URN of a PATCH request.
pub const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The most operations of one request. Providers send a few dozen; long lists of members are one
/// operation.
const MAX_OPERATIONS: usize = 1000;

/// What a PATCH asks for, not yet held against a resource.
#[derive(Clone, Debug)]
pub struct PatchRequest {
    operations: Vec<Operation>,
    quirks: Quirks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

#[derive(Clone, Debug)]
struct Operation {
    op: Op,
    path: Option<String>,
    /// Always there for `add` and `replace`, though perhaps null.
    value: Option<Value>,
}

/// A change of a group's members. They are applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberOp {
    Add(Vec<MemberValue>),
    /// The ids that leave; one that is no member is no mistake.
    Remove(Vec<String>),
    RemoveAll,
    Replace(Vec<MemberValue>),
}

/// A resource after a PATCH.
#[derive(Clone, Debug)]
pub struct Patched {
    pub attributes: Attributes,
    pub member_ops: Vec<MemberOp>,
    pub password: Option<SecretString>,
    pub quirks: Vec<Quirk>,
}

impl PatchRequest {
    /// Reads the body of a PATCH.
    pub fn parse(body: Value) -> Result<Self, Error> {
        let Value::Object(body) = body else {
            return Err(Error::invalid_syntax("the body is not a JSON object"));
        };
        let mut quirks = Quirks::default();
        let mut operations = None;
        let mut declared = false;
        for (key, value) in body {
            if key.eq_ignore_ascii_case("schemas") {
                declared = is_patch(&value)?;
            } else if key.eq_ignore_ascii_case("operations") {
                operations = Some(value);
            }
        }
        if !declared {
            quirks.note(Quirk::MissingPatchSchema);
        }
        let Some(Value::Array(given)) = operations else {
            return Err(Error::invalid_syntax("`Operations` is not a list of operations"));
        };
        if given.is_empty() {
            return Err(Error::invalid_syntax("`Operations` is empty"));
        }
        if given.len() > MAX_OPERATIONS {
            return Err(Error::new(
                413,
                None,
                format!(
                    "{} operations are more than the {MAX_OPERATIONS} of one request",
                    given.len()
                ),
            ));
        }
        let operations = given
            .into_iter()
            .map(|operation| Operation::parse(operation, &mut quirks))
            .collect::<Result<_, _>>()?;
        Ok(Self { operations, quirks })
    }
}

/// Some clients leave `schemas` out; one that names something else did not mean a PATCH.
fn is_patch(schemas: &Value) -> Result<bool, Error> {
    let urns = match schemas {
        Value::Null => return Ok(false),
        Value::Array(urns) => urns,
        _ => return Err(Error::invalid_syntax("`schemas` is not a list of URNs")),
    };
    if urns.is_empty() {
        return Ok(false);
    }
    let named = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_URN));
    if urns.iter().any(named) {
        return Ok(true);
    }
    Err(Error::invalid_syntax(format!("`schemas` of a PATCH must name {PATCH_URN}")))
}

impl Operation {
    fn parse(operation: Value, quirks: &mut Quirks) -> Result<Self, Error> {
        let Value::Object(given) = operation else {
            return Err(Error::invalid_syntax("an operation is not a JSON object"));
        };
        let Parts { op, path, value } = Parts::of(given);
        let Some(Value::String(word)) = op else {
            return Err(Error::invalid_syntax("an operation has no `op`"));
        };
        let op = match word.to_ascii_lowercase().as_str() {
            "add" => Op::Add,
            "replace" => Op::Replace,
            "remove" => Op::Remove,
            _ => {
                return Err(Error::invalid_syntax(format!(
                    "`op` is `{}`; it is one of add, replace, remove",
                    shorten(&word)
                )));
            }
        };
        if word.bytes().any(|letter| letter.is_ascii_uppercase()) {
            quirks.note(Quirk::CapitalOp);
        }
        let path = match path {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.trim().is_empty() => None,
            Some(Value::String(path)) => Some(path.trim().to_owned()),
            Some(_) => return Err(Error::invalid_path("`path` is not a string")),
        };
        match (op, &path, &value) {
            (Op::Remove, None, _) => {
                Err(Error::no_target("a remove needs a `path`, or it would remove everything"))
            }
            (Op::Add | Op::Replace, _, None) => {
                Err(Error::invalid_value(format!("`{word}` needs a `value`")))
            }
            _ => Ok(Self { op, path, value }),
        }
    }
}

/// The three keys of an operation, found in any case.
#[derive(Default)]
struct Parts {
    op: Option<Value>,
    path: Option<Value>,
    value: Option<Value>,
}

impl Parts {
    fn of(given: Map<String, Value>) -> Self {
        let mut parts = Self::default();
        for (key, value) in given {
            let slot = if key.eq_ignore_ascii_case("op") {
                &mut parts.op
            } else if key.eq_ignore_ascii_case("path") {
                &mut parts.path
            } else if key.eq_ignore_ascii_case("value") {
                &mut parts.value
            } else {
                continue;
            };
            *slot = Some(value);
        }
        parts
    }
}
