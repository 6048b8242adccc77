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
        check(self, Names::Resource(ty))
    }

    /// The same for the filter in `attribute[…]`.
    pub(crate) fn check_entries(&self, attribute: &Attribute) -> Result<(), Error> {
        check(self, Names::Entry(attribute))
    }
}

fn check(filter: &Filter, names: Names<'_>) -> Result<(), Error> {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().try_for_each(|part| check(part, names))
        }
        Filter::Not(inner) => check(inner, names),
        Filter::Present(path) => find(path, names).map(drop),
        Filter::Compare { path, op, value } => compare(path, *op, value, names),
        Filter::ValuePath { path, filter } => match find(path, names)? {
            Found::Attribute { attribute, sub: None, .. } if attribute.multi_valued => {
                check(filter, Names::Entry(attribute))
            }
            // A complex attribute with one value is a list of one here.
            Found::Attribute { attribute, sub: None, .. }
                if attribute.kind == AttributeType::Complex =>
            {
                check(filter, Names::Entry(attribute))
            }
            _ => Err(Error::invalid_filter(format!("`{path}` has no entries to select from"))),
        },
    }
}

fn find<'a>(path: &AttrPath, names: Names<'a>) -> Result<Found<'a>, Error> {
    let shown = || shorten(&path.to_string());
    let found = names.find(path).ok_or_else(|| {
        Error::invalid_filter(match names {
            Names::Resource(ty) => format!("`{}` is not an attribute of a {}", shown(), ty.kind),
            Names::Entry(entry) => format!("`{}` is not part of `{}`", shown(), entry.name),
        })
    })?;
    if let Found::Attribute { attribute, sub, .. } = found
        && sub.into_iter().chain([attribute]).any(|one| one.returned == Returned::Never)
    {
        return Err(Error::invalid_filter(format!("`{}` cannot be filtered by", shown())));
    }
    Ok(found)
}

fn compare(path: &AttrPath, op: CompareOp, value: &Value, names: Names<'_>) -> Result<(), Error> {
    let word = op.word();
    let attribute = match find(path, names)? {
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
