//! A filter held against a schema: whether its attributes exist and its comparisons make sense.

use serde_json::Value;

use super::eval::instant;
use super::{CompareOp, Filter, Names};
use crate::scim::error::Error;
use crate::scim::path::{AttrPath, shorten};
use crate::scim::schema::{Attribute, AttributeType, Found, ResourceType, Returned};

impl Filter {
    /// Refuses what could never be answered truly: unknown attributes, an order among booleans, a
    /// number compared with text, and anything about an attribute that is never returned, since
    /// the answer would tell its value bit by bit.
    pub fn check(&self, ty: &ResourceType) -> Result<(), Error> {
        self.check_any(&[ty])
    }

    /// The same for a list of several types: an attribute that one of them has is enough
    /// (RFC 7644 section 3.4.2.1).
    pub fn check_any(&self, types: &[&ResourceType]) -> Result<(), Error> {
        check(self, Scope::Types(types))
    }

    /// The same for the filter in `attribute[…]`.
    pub(crate) fn check_entries(&self, attribute: &Attribute) -> Result<(), Error> {
        check(self, Scope::Entry(attribute))
    }
}

/// Where the names of a filter must be known.
#[derive(Clone, Copy)]
enum Scope<'a> {
    Types(&'a [&'a ResourceType]),
    Entry(&'a Attribute),
}

impl<'a> Scope<'a> {
    /// What a path names, in each type that has it: in one at least.
    fn find(self, path: &AttrPath) -> Result<Vec<Found<'a>>, Error> {
        let shown = || shorten(&path.to_string());
        let (found, of): (Vec<_>, _) = match self {
            Self::Types(types) => {
                let kinds: Vec<_> = types.iter().map(|ty| ty.kind.name()).collect();
                let found = types.iter().filter_map(|ty| ty.find(path)).collect();
                (found, format!("an attribute of a {}", kinds.join(" or ")))
            }
            Self::Entry(entry) => {
                let found = Names::Entry(entry).find(path).into_iter().collect();
                (found, format!("part of `{}`", entry.name))
            }
        };
        if found.is_empty() {
            return Err(Error::invalid_filter(format!("`{}` is not {of}", shown())));
        }
        for one in &found {
            if let Found::Attribute { attribute, sub, .. } = one
                && sub.iter().chain([attribute]).any(|one| one.returned == Returned::Never)
            {
                return Err(Error::invalid_filter(format!("`{}` cannot be filtered by", shown())));
            }
        }
        Ok(found)
    }
}

fn check(filter: &Filter, scope: Scope<'_>) -> Result<(), Error> {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().try_for_each(|part| check(part, scope))
        }
        Filter::Not(inner) => check(inner, scope),
        Filter::Present(path) => scope.find(path).map(drop),
        Filter::Compare { path, op, value } => {
            scope.find(path)?.into_iter().try_for_each(|found| compare(path, *op, value, found))
        }
        Filter::ValuePath { path, filter } => {
            scope.find(path)?.into_iter().try_for_each(|found| match found {
                // A complex attribute with one value is a list of one here.
                Found::Attribute { attribute, sub: None, .. }
                    if attribute.multi_valued || attribute.kind == AttributeType::Complex =>
                {
                    check(filter, Scope::Entry(attribute))
                }
                _ => Err(Error::invalid_filter(format!("`{path}` has no entries to select from"))),
            })
        }
    }
}

fn compare(path: &AttrPath, op: CompareOp, value: &Value, found: Found<'_>) -> Result<(), Error> {
    let word = op.word();
    let attribute = match found {
        Found::Extension(_) => None,
        Found::Attribute { attribute, sub, .. } => sub.unwrap_or(attribute).compared(),
    };
    let Some(attribute) = attribute else {
        return Err(Error::invalid_filter(format!(
            "`{path}` is complex; compare one of its sub-attributes"
        )));
    };
    let kind = attribute.kind;
    let textual =
        matches!(kind, AttributeType::String | AttributeType::Reference | AttributeType::DateTime);
    let allowed = match kind {
        // RFC 7644 table 3: there is no order among booleans and binaries.
        AttributeType::Boolean | AttributeType::Binary => !op.orders() && !op.searches(),
        _ => textual || !op.searches(),
    };
    if !allowed {
        return Err(Error::invalid_filter(format!(
            "`{word}` does not work on `{path}`, which is a {}",
            kind.word()
        )));
    }
    let fits = match (kind, value) {
        // Null stands for no value, and there is no more and no less than that.
        (_, Value::Null) => matches!(op, CompareOp::Eq | CompareOp::Ne),
        (AttributeType::Boolean, Value::Bool(_))
        | (AttributeType::Integer | AttributeType::Decimal, Value::Number(_))
        | (
            AttributeType::String | AttributeType::Reference | AttributeType::Binary,
            Value::String(_),
        ) => true,
        (AttributeType::Boolean, Value::String(text)) => boolean(text).is_some(),
        (AttributeType::DateTime, Value::String(text)) => op.searches() || instant(text).is_some(),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(Error::invalid_filter(format!(
        "`{path} {word}` cannot be compared with `{}`: `{path}` is a {}",
        shorten(&value.to_string()),
        kind.word()
    )))
}

/// Entra writes booleans as text, in filters too.
pub(in crate::scim) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}
