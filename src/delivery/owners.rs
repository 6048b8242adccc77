//! Whose an entry of the target is, as connectors may ask before they take one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use scim_relay_sdk::connector::{DeliveryError, Owner, Owners};

use crate::store::{ConnectorId, Store};

/// Answers from the store's links of one connector.
pub(super) struct Linked {
    pub(super) store: Arc<dyn Store>,
    pub(super) connector: ConnectorId,
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked").field("connector", &self.connector).finish_non_exhaustive()
    }
}

#[async_trait]
impl Owners for Linked {
    async fn of(&self, target_id: &str) -> Result<Option<Owner>, DeliveryError> {
        self.store
            .owner(self.connector, target_id)
            .await
            .map_err(|error| DeliveryError::later(format!("cannot see whose entry it is: {error}")))
    }
}
