//! What waits for a person's word: entries that were there before the relay.

use super::queue::describe;
use super::{Actor, Operator, OperatorError, QueueQuery, Result};
use crate::store::{Entry, Touch};

impl Operator {
    pub async fn held(&self, connector: Option<String>) -> Result<Vec<Entry>> {
        let query = QueueQuery {
            connector,
            state: Some("held".to_owned()),
            limit: Some(10_000),
            ..QueueQuery::default()
        };
        self.queue(&query).await
    }

    /// Lets exactly these go, as they are now: a later change asks again.
    pub async fn approve(&self, actor: &Actor, query: &QueueQuery) -> Result<u64> {
        let rows = self.touch(query, Touch::Approve).await?;
        self.note(actor, "held.approve", None, describe(query), Some(format!("{rows} rows")))
            .await?;
        Ok(rows)
    }

    /// Parks these, with a reason.
    pub async fn reject(&self, actor: &Actor, query: &QueueQuery, reason: &str) -> Result<u64> {
        if reason.trim().is_empty() {
            return Err(OperatorError::Invalid(
                "a rejection needs a reason, which is kept with it: --reason TEXT".to_owned(),
            ));
        }
        let rows = self.touch(query, Touch::Reject(reason.to_owned())).await?;
        self.note(actor, "held.reject", None, describe(query), Some(reason.to_owned())).await?;
        Ok(rows)
    }
}
