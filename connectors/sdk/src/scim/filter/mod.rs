//! Filters (RFC 7644 section 3.4.2.2): what they are. `parse` reads them, `print` writes them,
//! `check` holds them against a schema, `eval` asks them about a resource, `explain` says why the answer
//! was no, and `settled` whether a type alone gives it.

mod check;
mod eval;
mod explain;
mod parse;
mod print;
mod quirks;
mod settled;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::error::Error;
use super::path::AttrPath;
use super::resource::ResourceKind;
use super::schema::{Attribute, AttributeType, Found, ResourceType, Schemas};

pub(super) use check::boolean;
pub(super) use eval::{instant, truth};
pub(super) use parse::bracketed;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

impl CompareOp {
    const ALL: [Self; 9] =
        [Self::Eq, Self::Ne, Self::Co, Self::Sw, Self::Ew, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    pub fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// Whether the comparison needs an order among the values.
    fn orders(self) -> bool {
        matches!(self, Self::Gt | Self::Ge | Self::Lt | Self::Le)
    }

    /// Whether the comparison looks at a part of a text.
    fn searches(self) -> bool {
        matches!(self, Self::Co | Self::Sw | Self::Ew)
    }
}

/// A condition on a resource, or on one entry of a multi-valued attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare {
        path: AttrPath,
        op: CompareOp,
        /// A string, a number, a boolean or null.
        value: Value,
    },
    Present(AttrPath),
    /// `emails[type eq "work"]`: one entry that fulfils the whole inner filter.
    ValuePath {
        path: AttrPath,
        filter: Box<Filter>,
    },
}

impl Filter {
    /// The attributes that the filter reads. Inside `emails[…]` that is `emails`.
    pub fn attributes(&self) -> Vec<&AttrPath> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::attributes).collect(),
            Self::Not(inner) => inner.attributes(),
            Self::Compare { path, .. } | Self::Present(path) | Self::ValuePath { path, .. } => {
                vec![path]
            }
        }
    }

    /// The comparisons `attribute eq value` without which the filter cannot hold, for look-ups in
    /// an index: `("username", "ada")`, `("emails.value", …)`, `("members.value", …)`.
    ///
    /// Names are in lower case and without the URN of a core schema. What an index finds must
    /// still be asked with [`Filter::matches`].
    pub fn required_equals(&self) -> Vec<(String, &Value)> {
        let mut found = Vec::new();
        self.collect_equals(None, &mut found);
        found
    }

    fn collect_equals<'a>(
        &'a self,
        outer: Option<&AttrPath>,
        found: &mut Vec<(String, &'a Value)>,
    ) {
        match self {
            Self::And(parts) => {
                for part in parts {
                    part.collect_equals(outer, found);
                }
            }
            Self::Or(parts) if parts.len() == 1 => parts[0].collect_equals(outer, found),
            // `eq null` asks for absence, which no index holds.
            Self::Compare { path, op: CompareOp::Eq, value } if !value.is_null() => {
                found.push((index_key(path, outer), value));
            }
            Self::ValuePath { path, filter } if outer.is_none() => {
                filter.collect_equals(Some(path), found);
            }
            _ => {}
        }
    }
}

/// The path as the store names its indexes.
fn index_key(path: &AttrPath, outer: Option<&AttrPath>) -> String {
    static BUILTIN: LazyLock<Schemas> = LazyLock::new(Schemas::builtin);

    let mut full = outer.unwrap_or(path).clone();
    if outer.is_some() {
        full.sub = Some(path.attribute.clone());
    }
    let types = ResourceKind::ALL.map(|kind| BUILTIN.of(kind));
    let core = |urn: &str| types.iter().any(|ty| ty.core.id.eq_ignore_ascii_case(urn));
    if full.schema.as_deref().is_some_and(core) {
        full.schema = None;
    }
    let mut key = full.to_string().to_ascii_lowercase();
    // `emails eq "x"` compares `emails.value`.
    let complex = types.iter().find_map(|ty| match ty.find(&full) {
        Some(Found::Attribute { attribute, sub: None, .. }) => {
            (attribute.kind == AttributeType::Complex).then(|| attribute.sub("value").is_some())
        }
        _ => None,
    });
    if complex == Some(true) {
        key.push_str(".value");
    }
    key
}

/// Where the names in a filter are looked up.
#[derive(Clone, Copy)]
enum Names<'a> {
    Resource(&'a ResourceType),
    /// One entry of a multi-valued attribute.
    Entry(&'a Attribute),
}

impl<'a> Names<'a> {
    fn find(self, path: &AttrPath) -> Option<Found<'a>> {
        let attribute = match self {
            Self::Resource(ty) => return ty.find(path),
            Self::Entry(_) if path.schema.is_some() || path.sub.is_some() => return None,
            Self::Entry(entry) if entry.kind == AttributeType::Complex => {
                entry.sub(&path.attribute)?
            }
            // The entries of a simple attribute are their own value.
            Self::Entry(entry) if path.attribute.eq_ignore_ascii_case("value") => entry,
            Self::Entry(_) => return None,
        };
        Some(Found::Attribute { extension: None, attribute, sub: None })
    }
}

/// A filter in a configuration file is a string; what is wrong with it is the message.
impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(|Error { detail, .. }| de::Error::custom(detail))
    }
}
