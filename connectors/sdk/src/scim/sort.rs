//! The order that a client asks for (RFC 7644 section 3.4.2.3).

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Error;
use super::filter::{instant, truth};
use super::fold::fold;
use super::path::{AttrPath, shorten};
use super::resource::Attributes;
use super::schema::{Attribute, AttributeType, Found, ResourceType, Returned};

/// `sortBy` and `sortOrder`, held against the types that are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortBy {
    /// Canonical, and never a complex attribute as a whole.
    path: AttrPath,
    descending: bool,
}

/// What a resource is sorted by. Only keys of one [`SortBy`] are comparable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SortKey {
    Boolean(bool),
    Integer(i64),
    /// The bits of a number, turned so that they have its order.
    Decimal(u64),
    /// Nanoseconds since 1970, so that an offset makes no difference.
    Instant(i128),
    /// Folded where the attribute ignores case.
    Text(String),
    /// Nothing to sort by comes last when ascending, and first when descending.
    Missing,
}

impl SortBy {
    pub fn parse(by: &str, order: Option<&str>, types: &[&ResourceType]) -> Result<Self, Error> {
        let descending = match order {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("ascending") => false,
            Some(word) if word.eq_ignore_ascii_case("descending") => true,
            Some(other) => {
                return Err(Error::invalid_value(format!(
                    "`sortOrder` is `ascending` or `descending`, not `{}`",
                    shorten(other)
                )));
            }
        };
        let split = AttrPath::parse(by, None)?;
        let known = types.iter().find_map(|ty| Some((ty.find(&split)?, split.resolve(ty)?)));
        let Some((found, mut path)) = known else {
            let kinds: Vec<_> = types.iter().map(|ty| ty.kind.name()).collect();
            return Err(Error::invalid_path(format!(
                "`{}` is not an attribute of a {}, so nothing can be sorted by it",
                shorten(by),
                kinds.join(" or ")
            )));
        };
        let Found::Attribute { attribute, sub, .. } = found else {
            return Err(complex(&path));
        };
        // An order tells about the values as much as a filter does.
        if sub.into_iter().chain([attribute]).any(|one| one.returned == Returned::Never) {
            return Err(Error::invalid_path(format!("nothing can be sorted by `{path}`")));
        }
        let target = sub.unwrap_or(attribute);
        let compared = target.compared().ok_or_else(|| complex(&path))?;
        if target.kind == AttributeType::Complex {
            path.sub = Some(compared.name.clone());
        }
        Ok(Self { path, descending })
    }

    pub fn path(&self) -> &AttrPath {
        &self.path
    }

    pub fn is_descending(&self) -> bool {
        self.descending
    }

    /// What a resource is sorted by; a type without the attribute has no value for it.
    pub fn key(&self, attributes: &Attributes, ty: &ResourceType) -> SortKey {
        self.value(attributes, ty).unwrap_or(SortKey::Missing)
    }

    fn value(&self, attributes: &Attributes, ty: &ResourceType) -> Option<SortKey> {
        let Some(Found::Attribute { extension, attribute, sub }) = ty.find(&self.path) else {
            return None;
        };
        let value = match extension {
            None => attributes.get(&attribute.name)?,
            Some(schema) => attributes.get(&schema.id)?.get(&attribute.name)?,
        };
        let entry = match value {
            Value::Array(entries) => preferred(entries)?,
            single => single,
        };
        match sub {
            None => key(entry, attribute),
            Some(sub) => key(entry.get(&sub.name)?, sub),
        }
    }

    /// Those that are equal keep the order of their creation, whichever way the list runs.
    pub fn compare(&self, one: &SortKey, other: &SortKey) -> Ordering {
        if self.descending { other.cmp(one) } else { one.cmp(other) }
    }
}

impl fmt::Display for SortBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, if self.descending { "descending" } else { "ascending" })
    }
}

/// The entry that stands for all: the primary one, else the first.
fn preferred(entries: &[Value]) -> Option<&Value> {
    let is_primary = |entry: &&Value| entry.get("primary").and_then(Value::as_bool) == Some(true);
    entries.iter().find(is_primary).or_else(|| entries.first())
}

fn key(value: &Value, attribute: &Attribute) -> Option<SortKey> {
    Some(match attribute.kind {
        AttributeType::Boolean => SortKey::Boolean(truth(value)?),
        AttributeType::Integer => SortKey::Integer(value.as_i64()?),
        AttributeType::Decimal => SortKey::Decimal(ordered(value.as_f64()?)),
        AttributeType::DateTime => SortKey::Instant(instant(value.as_str()?)?.as_nanosecond()),
        _ => match value.as_str()? {
            "" => return None,
            text if attribute.case_exact => SortKey::Text(text.to_owned()),
            text => SortKey::Text(fold(text)),
        },
    })
}

/// Negative numbers have their bits the wrong way round, and stand above the positive ones.
fn ordered(number: f64) -> u64 {
    // Zero has two signs and one place.
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn complex(path: &AttrPath) -> Error {
    Error::invalid_path(format!("`{path}` is complex; sort by one of its sub-attributes"))
}

#[cfg(test)]
#[path = "sort_tests.rs"]
mod tests;
