//! A provider's last requests and our answers, for people.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use crate::store::RequestSearch;

use super::{Actor, Operator, OperatorError, Result};
use crate::store::{OrgId, RequestFilter, RequestPage, RequestRow};

/// How many, unless more are asked for.
const LIMIT: usize = 100;
/// How long someone is kept waiting for the next one. Shorter than what a connection may be idle.
const WAIT: Duration = Duration::from_secs(20);
/// Whoever asks again within this time goes on with the same look. Longer than the wait.
const PAUSE: Duration = Duration::from_mins(1);

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

/// Looks that go on, and when each was last asked for more.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<Look, Instant>>);

/// Who looks at what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Look {
    actor: Actor,
    organization: OrgId,
    failed: bool,
}

impl Looks {
    fn map(&self) -> MutexGuard<'_, HashMap<Look, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self, look: &Look, now: Instant) -> bool {
        let mut looks = self.map();
        looks.retain(|_, last| now.saturating_duration_since(*last) < PAUSE);
        looks.contains_key(look)
    }

    fn asked(&self, look: Look, now: Instant) {
        self.map().insert(look, now);
    }
}

impl Operator {
    /// Oldest first. The look is written down, since they hold people's data.
    pub async fn requests(
        &self,
        actor: &Actor,
        organization: &str,
        query: &RequestQuery,
    ) -> Result<Vec<RequestRow>> {
        let look = self.look(actor, organization, query)?;
        let id = look.organization;
        self.begin(look, organization).await?;
        Ok(self.store.requests(id, filter(query)).await?)
    }

    /// A page of them, newest first, without their bodies. Whoever turns pages goes on with one look.
    pub async fn request_page(
        &self,
        actor: &Actor,
        organization: &str,
        search: &RequestSearch,
    ) -> Result<RequestPage> {
        let query = RequestQuery { failed: search.failed, ..RequestQuery::default() };
        let look = self.look(actor, organization, &query)?;
        let id = look.organization;
        self.look_on(look, organization).await?;
        Ok(self.store.request_page(id, search.clone()).await?)
    }

    /// How many came after this one.
    pub async fn newer_requests(&self, organization: &str, than: i64) -> Result<u64> {
        let id = self.organization(organization)?;
        Ok(self.store.newer_requests(id, than).await?)
    }

    /// Waits until there are some. None where there were none for a while. The look is written down
    /// once, however often it is gone on with.
    pub async fn next_requests(
        &self,
        actor: &Actor,
        organization: &str,
        query: &RequestQuery,
    ) -> Result<Vec<RequestRow>> {
        let look = self.look(actor, organization, query)?;
        let id = look.organization;
        self.look_on(look, organization).await?;
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

    fn look(&self, actor: &Actor, organization: &str, query: &RequestQuery) -> Result<Look> {
        let (actor, organization) = (actor.clone(), self.organization(organization)?);
        Ok(Look { actor, organization, failed: query.failed })
    }

    async fn look_on(&self, look: Look, organization: &str) -> Result<()> {
        let now = Instant::now();
        if self.looks.goes_on(&look, now) {
            self.looks.asked(look, now);
            return Ok(());
        }
        self.begin(look, organization).await
    }

    async fn begin(&self, look: Look, organization: &str) -> Result<()> {
        let what = if look.failed { "last refused requests" } else { "last requests" };
        self.note(&look.actor, "requests.read", Some(organization), what, None).await?;
        // Not before it is written down.
        self.looks.asked(look, Instant::now());
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_goes_on_until_its_asker_pauses() {
        let (looks, begun) = (Looks::default(), Instant::now());
        let look = Look { actor: Actor::relay("kari"), organization: OrgId(1), failed: true };
        assert!(!looks.goes_on(&look, begun));
        assert!(!looks.goes_on(&look, begun), "to ask whether it does begins none");
        looks.asked(look.clone(), begun);
        for another in [
            Look { actor: Actor::relay("ola"), ..look.clone() },
            Look { organization: OrgId(2), ..look.clone() },
            Look { failed: false, ..look.clone() },
        ] {
            assert!(!looks.goes_on(&another, begun), "{another:?}");
        }
        let later = begun + PAUSE / 2;
        assert!(looks.goes_on(&look, later));
        looks.asked(look.clone(), later);
        assert!(looks.goes_on(&look, begun + PAUSE), "counted from the last time");
        assert!(!looks.goes_on(&look, later + PAUSE));
        assert!(looks.map().is_empty(), "what is over is forgotten");
    }
}
