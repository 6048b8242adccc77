//! The queue, for people: what waits and why, retry, skip, resync.

use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result, resource_key};
use crate::store::{Entry, EntryFilter, State, Touch};

/// Rows of a list, unless more are asked for.
const LIMIT: usize = 100;

/// Which rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct QueueQuery {
    pub connector: Option<String>,
    /// `pending`, `retrying`, ...
    pub state: Option<String>,
    /// `User/…`; names one row together with a connector.
    pub resource: Option<String>,
    pub limit: Option<usize>,
}

impl Operator {
    /// Rows that match; those that wait for a human first.
    pub async fn queue(&self, query: &QueueQuery) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        for filter in self.filters(query)? {
            found.extend(self.store.entries(filter).await?);
        }
        Ok(found)
    }

    /// Due now, counted afresh. How many rows.
    pub async fn retry(&self, actor: &Actor, query: &QueueQuery) -> Result<u64> {
        let rows = self.touch(query, Touch::Retry).await?;
        self.note(actor, "queue.retry", None, describe(query), Some(format!("{rows} rows")))
            .await?;
        Ok(rows)
    }

    /// Given up for good, one row, with a reason that is written down.
    pub async fn skip(&self, actor: &Actor, query: &QueueQuery, reason: &str) -> Result<u64> {
        if reason.trim().is_empty() {
            return Err(OperatorError::Invalid(
                "a skip needs a reason, which is kept in the audit log: --reason TEXT".to_owned(),
            ));
        }
        if query.connector.is_none() || query.resource.is_none() {
            return Err(OperatorError::Invalid("name one row: CONNECTOR KIND/ID".to_owned()));
        }
        let rows = self.touch(query, Touch::Skip).await?;
        self.note(actor, "queue.skip", None, describe(query), Some(reason.to_owned())).await?;
        Ok(rows)
    }

    pub(super) async fn touch(&self, query: &QueueQuery, touch: Touch) -> Result<u64> {
        let mut rows = 0;
        for filter in self.filters(query)? {
            rows += self.store.touch(filter, touch.clone(), self.clock.now()).await?;
        }
        if rows == 0 {
            return Err(OperatorError::NotFound(format!(
                "nothing in the queue matches {}, or it is being delivered at this moment",
                describe(query)
            )));
        }
        Ok(rows)
    }

    /// One filter, or one for each organization where a resource is named without its own.
    fn filters(&self, query: &QueueQuery) -> Result<Vec<EntryFilter>> {
        let connector = query.connector.as_deref().map(|name| self.connector(name)).transpose()?;
        let state = query
            .state
            .as_deref()
            .map(|word| {
                State::parse(word).ok_or_else(|| {
                    let words: Vec<_> = State::ALL.iter().map(|state| state.word()).collect();
                    OperatorError::Invalid(format!(
                        "`{word}` is no state; there are {}",
                        words.join(", ")
                    ))
                })
            })
            .transpose()?;
        let filter =
            EntryFilter { connector, resource: None, state, limit: query.limit.unwrap_or(LIMIT) };
        let Some(resource) = &query.resource else { return Ok(vec![filter]) };
        let runtime = self.runtime.load();
        runtime
            .organizations
            .keys()
            .map(|organization| {
                let resource = Some(resource_key(organization, resource)?);
                Ok(EntryFilter { resource, ..filter.clone() })
            })
            .collect()
    }
}

pub(super) fn describe(query: &QueueQuery) -> String {
    let parts: Vec<String> = [
        query.connector.clone(),
        query.resource.clone(),
        query.state.as_ref().map(|state| format!("state {state}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "everything".to_owned() } else { parts.join(" ") }
}
