//! What a target holds, for reconciliation.

use async_trait::async_trait;

use super::{DeliveryError, Resource};
use crate::scim::ResourceKind;

/// A target that can be listed.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Streams every entry this connector is responsible for into `sink`.
    ///
    /// A listing that ends early, for whatever reason (a size limit, a lost connection, a referral),
    /// is an error: what was seen until then says nothing about what is absent.
    async fn list(
        &self,
        kind: ResourceKind,
        listing: &mut Listing<'_>,
    ) -> Result<(), InventoryError>;

    /// What [`list`](Self::list) would show for this resource, if the target were in line;
    /// `target_id` and `members` are left empty.
    fn expected(&self, resource: &Resource) -> Result<Entry, DeliveryError>;

    /// A link's address as [`Entry::members`] has it, where the target spells one in several ways.
    fn normalised(&self, address: &str) -> String {
        address.to_owned()
    }
}

/// Where [`Inventory::list`] puts what it finds.
pub type Listing<'a> = dyn FnMut(Entry) + Send + 'a;

/// One entry of a target, in a form that two of them can be compared by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The target's immutable id; empty in an expected entry.
    pub target_id: String,
    /// Its DN or address, as a person reads it.
    pub address: String,
    /// Values by attribute name, normalised and sorted: what the connector manages and no more.
    /// A group's members are not among them.
    pub values: Vec<(String, Vec<String>)>,
    /// Values to find an unlinked entry by: `(attribute, value)`, normalised.
    pub correlation: Vec<(String, String)>,
    /// A group's members by [`normalised`](Inventory::normalised) address, placeholders left out.
    pub members: Option<Vec<String>>,
    /// Entries that must never be touched (administrators, service accounts).
    pub protected: bool,
    /// Deactivated by us, or in the place where leavers go.
    pub deactivated: bool,
}

/// A listing that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    #[error("the listing is incomplete: {0}")]
    Incomplete(String),
    #[error(transparent)]
    Target(#[from] DeliveryError),
}
