//! PATCH (RFC 7644 section 3.5.2): the request as it was sent. `apply` carries it out, `entries`
//! knows multi-valued attributes, `members` those of a group, `member_filter` whom a filter on them
//! selects, `budget` bounds the work.

mod apply;
mod budget;
mod entries;
mod member_filter;
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
pub use member_filter::MemberFilter;

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
    /// Those leave whom the filter selects, if anybody.
    RemoveWhere(MemberFilter),
    RemoveAll,
    Replace(Vec<MemberValue>),
}

/// A resource after a PATCH.
#[derive(Clone, Debug)]
pub struct Patched {
    pub attributes: Attributes,
    pub member_ops: Vec<MemberOp>,
    pub password: Option<SecretString>,
    pub quirks: Quirks,
}

impl PatchRequest {
    /// Reads the body of a PATCH.
    pub fn parse(body: Value) -> Result<Self, Error> {
        let mut quirks = Quirks::default();
        match Self::operations(body, &mut quirks) {
            Ok(operations) => Ok(Self { operations, quirks }),
            Err(error) => Err(error.met(&quirks)),
        }
    }

    /// Where the request itself deviates, whatever it is applied to.
    pub fn quirks(&self) -> &Quirks {
        &self.quirks
    }

    fn operations(body: Value, quirks: &mut Quirks) -> Result<Vec<Operation>, Error> {
        let Value::Object(body) = body else {
            return Err(Error::invalid_syntax("the body is not a JSON object"));
        };
        let [schemas, operations] = picked(body, ["schemas", "Operations"])?;
        if !is_patch(&schemas.unwrap_or_default())? {
            quirks.note(Quirk::MissingSchemas, "schemas");
        }
        let Some(Value::Array(given)) = operations else {
            return Err(Error::invalid_syntax("`Operations` is not a list of operations"));
        };
        if given.is_empty() {
            quirks.note(Quirk::NoOperations, "Operations");
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
        let numbered = given.into_iter().enumerate();
        numbered.map(|(number, operation)| Operation::parse(number, operation, quirks)).collect()
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
    fn parse(number: usize, operation: Value, quirks: &mut Quirks) -> Result<Self, Error> {
        let Value::Object(given) = operation else {
            return Err(Error::invalid_syntax("an operation is not a JSON object"));
        };
        let [op, path, value] = picked(given, ["op", "path", "value"])?;
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
            quirks.note(Quirk::CapitalOp, &format!("Operations[{number}].op"));
        }
        let path = match path {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) if path.is_empty() => {
                quirks.note(Quirk::EmptyPath, &format!("Operations[{number}].path"));
                None
            }
            Some(Value::String(path)) => Some(path),
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

/// The values at `names`, which may be written in any case (RFC 7643 section 2.1) but once.
fn picked<const N: usize>(
    given: Map<String, Value>,
    names: [&str; N],
) -> Result<[Option<Value>; N], Error> {
    let mut values = [const { None }; N];
    for (key, value) in given {
        let Some(index) = names.iter().position(|name| name.eq_ignore_ascii_case(&key)) else {
            continue;
        };
        if values[index].replace(value).is_some() {
            return Err(Error::invalid_syntax(format!("`{}` is given twice", names[index])));
        }
    }
    Ok(values)
}
