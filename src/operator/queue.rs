//! The queue, for people: what waits and why, retry, skip.

use scim_relay_sdk::scim::{ResourceKey, ResourceKind};
use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result, parse_subject};
use crate::store::{Entry, EntryFilter, Known, Signed, State, Touch};

/// Rows of a list, unless more are asked for.
const LIMIT: usize = 100;

const HELD: &str = "what is held is not tried again but approved: `scim-relay held approve`";

/// Which rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct QueueQuery {
    pub connector: Option<String>,
    /// `pending`, `retrying`, ...
    pub state: Option<String>,
    /// `User/…`, by id or by name; names one row together with a connector.
    pub resource: Option<String>,
    pub organization: Option<String>,
    /// A piece of the last error, in whatever case.
    pub error: Option<String>,
    pub limit: Option<usize>,
}

impl QueueQuery {
    /// Whether it leaves nothing out.
    pub fn is_everything(&self) -> bool {
        let Self { connector, state, resource, organization, error, limit: _ } = self;
        [connector, state, resource, organization, error].into_iter().all(Option::is_none)
    }
}

/// The first of the rows that match, and how many there are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueuePage {
    pub total: u64,
    pub entries: Vec<Entry>,
}

/// A resource and the organization that it is of.
pub(super) struct Found {
    pub(super) organization: String,
    pub(super) kind: ResourceKind,
    pub(super) known: Known,
}

impl Operator {
    /// Rows that match, those that wait for a human first; and how many there are in all.
    pub async fn queue(&self, query: &QueueQuery) -> Result<QueuePage> {
        let filter = self.filter(query).await?;
        let entries = self.store.entries(filter.clone()).await?;
        let total = if entries.len() < filter.limit {
            entries.len() as u64
        } else {
            self.store.count_entries(filter).await?
        };
        Ok(QueuePage { total, entries })
    }

    /// Due now, counted afresh. How many rows.
    pub async fn retry(&self, actor: &Actor, query: &QueueQuery) -> Result<u64> {
        if query.state.as_deref() == Some(State::Held.word()) {
            return Err(OperatorError::Invalid(HELD.to_owned()));
        }
        let rows = self.touch(query, Touch::Retry, None).await?;
        self.note(actor, "queue.retry", None, describe(query), Some(format!("{rows} rows")))
            .await?;
        Ok(rows)
    }

    /// Given up for good, with a reason that is written down for each row.
    pub async fn skip(&self, actor: &Actor, query: &QueueQuery, reason: &str) -> Result<u64> {
        if reason.trim().is_empty() {
            return Err(OperatorError::Invalid(
                "a skip needs a reason, which is kept in the audit log: --reason TEXT".to_owned(),
            ));
        }
        if query.connector.is_none() {
            return Err(OperatorError::Invalid(
                "name a connector: what is skipped at all of them at once is a mistake".to_owned(),
            ));
        }
        let signed = Signed { by: actor.clone(), action: "queue.skip", reason: reason.to_owned() };
        let rows = self.touch(query, Touch::Skip, Some(signed)).await?;
        tracing::info!(actor = actor.name(), rows, what = describe(query), "skipped by a person");
        Ok(rows)
    }

    pub(super) async fn touch(
        &self,
        query: &QueueQuery,
        touch: Touch,
        signed: Option<Signed>,
    ) -> Result<u64> {
        let filter = self.filter(query).await?;
        let is_retry = matches!(touch, Touch::Retry);
        let rows = self.store.touch(filter.clone(), touch, signed, self.clock.now()).await?;
        if rows == 0 {
            let held = EntryFilter { state: Some(State::Held), limit: 1, ..filter };
            if is_retry && !self.store.entries(held).await?.is_empty() {
                return Err(OperatorError::Invalid(HELD.to_owned()));
            }
            return Err(OperatorError::NotFound(format!(
                "nothing in the queue matches {}, or it is being delivered at this moment",
                describe(query)
            )));
        }
        Ok(rows)
    }

    async fn filter(&self, query: &QueueQuery) -> Result<EntryFilter> {
        let connector = query.connector.as_deref().map(|name| self.connector(name)).transpose()?;
        let organization =
            query.organization.as_deref().map(|key| self.organization(key)).transpose()?;
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
        let resource = match &query.resource {
            None => None,
            Some(text) => Some(self.resolve(query.organization.as_deref(), text).await?.key()),
        };
        let (error, limit) = (query.error.clone(), query.limit.unwrap_or(LIMIT));
        Ok(EntryFilter { connector, resource, state, organization, error, limit })
    }

    /// The one resource that `User/…` or `Group/…` names, by id, or by a name that only one has. Who was
    /// deleted is meant where nobody living is.
    pub(super) async fn resolve(&self, organization: Option<&str>, text: &str) -> Result<Found> {
        let (kind, name) = parse_subject(text)?;
        let organizations = if let Some(key) = organization {
            vec![(key.to_owned(), self.organization(key)?)]
        } else {
            let runtime = self.runtime.load();
            runtime.organizations.iter().map(|(key, id)| (key.to_string(), *id)).collect()
        };
        let mut found = Vec::new();
        for (key, id) in organizations {
            let known = self.store.named(id, kind, name).await?.into_iter();
            found.extend(known.map(|known| Found { organization: key.clone(), kind, known }));
        }
        if found.iter().any(|one| one.known.deleted.is_none()) {
            found.retain(|one| one.known.deleted.is_none());
        }
        if found.len() > 1 {
            let each: Vec<String> = found.iter().map(Found::in_a_list).collect();
            return Err(OperatorError::Invalid(format!(
                "{text} may be {}; name one by its id",
                each.join(" or ")
            )));
        }
        found
            .pop()
            .ok_or_else(|| OperatorError::NotFound(format!("there is no {} `{name}`", kind.word())))
    }
}

impl Found {
    pub(super) fn key(&self) -> ResourceKey {
        ResourceKey {
            organization: self.organization.as_str().into(),
            kind: self.kind,
            id: self.known.stored.id,
        }
    }

    fn in_a_list(&self) -> String {
        let Self { organization, kind, known } = self;
        let deleted = if known.deleted.is_some() { ", deleted" } else { "" };
        format!("{kind}/{} (in {organization}{deleted})", known.stored.id)
    }
}

pub(super) fn describe(query: &QueueQuery) -> String {
    let parts: Vec<String> = [
        query.connector.clone(),
        query.resource.clone(),
        query.organization.as_ref().map(|organization| format!("in {organization}")),
        query.state.as_ref().map(|state| format!("state {state}")),
        query.error.as_ref().map(|error| format!("error \"{error}\"")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "everything".to_owned() } else { parts.join(" ") }
}
