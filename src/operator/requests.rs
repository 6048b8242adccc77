//! A provider's last requests and our answers, for people.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result};
use crate::store::{RequestFilter, RequestRow};

/// How many, unless more are asked for.
const LIMIT: usize = 100;
/// How long someone is kept waiting for the next one. Shorter than what a connection may be idle.
const WAIT: Duration = Duration::from_secs(20);

/// Which requests of an organization.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RequestQuery {
    /// The first that are later than this one, so that none is skipped; without it, the newest.
    pub after: Option<i64>,
    /// Those that were refused.
    #[serde(default)]
    pub failed: bool,
    pub limit: Option<usize>,
}

impl Operator {
    /// Oldest first. The look is written down, since they hold people's data.
    pub async fn requests(
        &self,
        actor: &Actor,
        organization: &str,
        query: &RequestQuery,
    ) -> Result<Vec<RequestRow>> {
        let id = self.organization(organization)?;
        let what = if query.failed { "last refused requests" } else { "last requests" };
        self.note(actor, "requests.read", Some(organization), what, None).await?;
        Ok(self.store.requests(id, filter(query)).await?)
    }

    /// Those that come after a look at the others has begun: waits until there are some. None where
    /// there were none for a while.
    pub async fn next_requests(
        &self,
        organization: &str,
        query: &RequestQuery,
    ) -> Result<Vec<RequestRow>> {
        let id = self.organization(organization)?;
        let mut recorded = self.store.recorded();
        let next = async {
            loop {
                recorded.mark_unchanged();
                let rows = self.store.requests(id, filter(query)).await?;
                if !rows.is_empty() || recorded.changed().await.is_err() {
                    return Ok(rows);
                }
            }
        };
        tokio::time::timeout(WAIT, next).await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    /// One of them.
    pub async fn request(&self, actor: &Actor, organization: &str, id: i64) -> Result<RequestRow> {
        let of = self.organization(organization)?;
        let filter = RequestFilter { after: None, only: Some(id), failed: false, limit: 1 };
        let found = self.store.requests(of, filter).await?.pop().ok_or_else(|| {
            OperatorError::NotFound(format!(
                "{organization} has no request {id}, or not any more; `scim-relay requests \
                 {organization}` shows those there are"
            ))
        })?;
        self.note(actor, "requests.read", Some(organization), format!("request {id}"), None)
            .await?;
        Ok(found)
    }
}

fn filter(query: &RequestQuery) -> RequestFilter {
    RequestFilter {
        after: query.after,
        only: None,
        failed: query.failed,
        limit: query.limit.unwrap_or(LIMIT),
    }
}
