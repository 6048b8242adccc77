//! What the connector asks of a directory: a few operations, answered by a server
//! ([`client`](crate::client)) or by a file ([`memory`](crate::memory)).

use async_trait::async_trait;
use secrecy::SecretString;

use crate::dn::{self, Dn, Rdn};
use crate::error::Fault;
use crate::filter::Filter;

/// An attribute's values; octets, since not every syntax is text.
pub(crate) type Values = Vec<Vec<u8>>;

/// Attributes with their values, in order.
pub(crate) type Attributes = Vec<(String, Values)>;

/// An entry as it was read, or as much of it as was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its name, spelt as the directory spells it.
    pub(crate) dn: String,
    pub(crate) attributes: Attributes,
}

impl Entry {
    pub(crate) fn new(dn: impl Into<String>, attributes: Attributes) -> Self {
        Self { dn: dn.into(), attributes }
    }

    /// The attribute's values; none if it is absent.
    pub(crate) fn values(&self, attribute: &str) -> &[Vec<u8>] {
        values(&self.attributes, attribute)
    }

    /// The attribute's first value, if it is text.
    pub(crate) fn text(&self, attribute: &str) -> Option<&str> {
        std::str::from_utf8(self.values(attribute).first()?).ok()
    }

    pub(crate) fn has(&self, attribute: &str, value: &str) -> bool {
        self.values(attribute).iter().any(|held| held.eq_ignore_ascii_case(value.as_bytes()))
    }
}

/// The values under a name, in whatever case or alias.
pub(crate) fn values<'a>(attributes: &'a Attributes, name: &str) -> &'a [Vec<u8>] {
    attributes
        .iter()
        .find(|(held, _)| dn::same_attribute(held, name))
        .map_or(&[], |(_, values)| values)
}

/// One step of a modify. There is no replace: one that timed out and happens late would undo what
/// came after it, where an addition or a removal by value fails instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Modification {
    Add(String, Values),
    /// These values, or the whole attribute if there are none.
    Delete(String, Values),
}

/// What is written and never read, in the place of whatever is there: nobody knows what that is.
pub(crate) enum Secret {
    /// By the Password Modify operation (RFC 3062).
    Password(SecretString),
    Attribute(String, Values),
}

/// Where an entry goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewName {
    pub(crate) rdn: String,
    /// The new parent, if it is another.
    pub(crate) parent: Option<String>,
    /// Whether the values that named the entry until now go. Those of another attribute stay: an
    /// object class may demand them, and what is mapped is put right afterwards.
    pub(crate) delete_old: bool,
}

impl NewName {
    /// What leads from one name to the other.
    pub(crate) fn between(old: &Dn, new: &Dn) -> Self {
        let parent = new.parent();
        let named_by = |attribute: &str| {
            let steps = new.rdn().into_iter().flat_map(Rdn::values);
            steps.into_iter().any(|(name, _)| dn::same_attribute(name, attribute))
        };
        Self {
            rdn: new.rdn().map(ToString::to_string).unwrap_or_default(),
            parent: (old.parent() != parent).then(|| parent.to_string()),
            delete_old: old.rdn().into_iter().flat_map(Rdn::values).all(|(name, _)| named_by(name)),
        }
    }
}

/// How far down a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Base,
    Subtree,
}

#[derive(Clone, Debug)]
pub(crate) struct Query<'a> {
    pub(crate) base: &'a str,
    pub(crate) scope: Scope,
    pub(crate) filter: Filter,
    /// Operational attributes come only when they are named.
    pub(crate) attributes: &'a [String],
}

/// Receives the entries of a listing, one by one.
pub(crate) type Sink<'a> = dyn FnMut(Entry) + Send + 'a;

#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// What a person calls it: an address, a file.
    fn place(&self) -> &str;

    /// As whom we are known there, if that matters.
    fn identity(&self) -> Option<&str>;

    /// Whether an entry needs its parent to exist.
    fn has_containers(&self) -> bool;

    /// The first `limit` entries that match.
    async fn find(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Entry>, Fault>;

    /// Every entry that matches, however many; anything short of all is an error.
    async fn list(&self, query: &Query<'_>, sink: &mut Sink<'_>) -> Result<(), Fault>;

    async fn add(&self, dn: &str, attributes: Attributes) -> Result<(), Fault>;

    async fn modify(&self, dn: &str, changes: Vec<Modification>) -> Result<(), Fault>;

    async fn write_secret(&self, dn: &str, secret: Secret) -> Result<(), Fault>;

    async fn rename(&self, dn: &str, to: &NewName) -> Result<(), Fault>;

    async fn delete(&self, dn: &str) -> Result<(), Fault>;
}
