//! The queue, for people: what waits and why, retry, skip.

use std::collections::BTreeMap;

use scim_relay_sdk::scim::{ResourceId, ResourceKey, ResourceKind};
use serde::{Deserialize, Serialize};

use super::people::{PEOPLE, PeopleQuery};
use super::status::state_of;
use super::{Actor, Operator, OperatorError, Reach, Result, parse_subject};
use crate::store::{
    Entries, Entry, EntryFilter, EntryPlace, Known, RowPick, Signed, State, Tally, Touch, Touched,
};

/// Rows of a list, unless more are asked for.
const LIMIT: usize = 100;
/// Rows that are picked one by one, at most: one transaction.
const PICKS: usize = 500;

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
    /// Behind this row.
    pub after: Option<EntryPlace>,
    pub limit: Option<usize>,
}

impl QueueQuery {
    /// Whether it leaves nothing out.
    pub fn is_everything(&self) -> bool {
        let Self { connector, state, resource, organization, error, after: _, limit: _ } = self;
        [connector, state, resource, organization, error].into_iter().all(Option::is_none)
    }
}

/// The first of the rows that match, and how many there are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueuePage {
    pub total: u64,
    pub entries: Vec<Entry>,
}

/// A row that was picked from a list.
#[derive(Clone, Debug)]
pub struct QueuePick {
    pub connector: String,
    pub organization: String,
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// As it was listed; none: as it is now.
    pub mark: Option<i64>,
}

/// A connector as whoever looks at the queue needs to know it.
#[derive(Clone, Debug)]
pub struct QueueConnector {
    pub name: String,
    /// As `status` has it.
    pub state: &'static str,
    /// It is told of each change, and not only of the result.
    pub every_event: bool,
}

/// A resource and the organization that it is of.
pub(super) struct Found {
    pub(super) organization: String,
    pub(super) kind: ResourceKind,
    pub(super) known: Known,
}

impl Operator {
    /// Rows that match, those that wait for a human first; and how many there are in all.
    pub async fn queue(&self, reach: &Reach, query: &QueueQuery) -> Result<QueuePage> {
        let filter = self.filter(reach, query).await?;
        let Entries { entries, .. } = self.store.entries(filter.clone()).await?;
        let total = if entries.len() < filter.limit {
            entries.len() as u64
        } else {
            self.store.count_entries(filter).await?
        };
        Ok(QueuePage { total, entries })
    }

    /// A page of them.
    pub async fn queue_page(&self, reach: &Reach, query: &QueueQuery) -> Result<Entries> {
        Ok(self.store.entries(self.filter(reach, query).await?).await?)
    }

    /// How many match in all.
    pub async fn queue_total(&self, reach: &Reach, query: &QueueQuery) -> Result<u64> {
        Ok(self.store.count_entries(self.filter(reach, query).await?).await?)
    }

    /// How many there are in each state, whatever their error.
    pub async fn queue_counts(
        &self,
        reach: &Reach,
        query: &QueueQuery,
    ) -> Result<BTreeMap<State, u64>> {
        let connector = query.connector.as_deref().map(|name| self.connector(name)).transpose()?;
        let organizations = self.within(reach, query.organization.as_deref())?;
        let mut counts = BTreeMap::new();
        for counted in self.store.counted(organizations).await? {
            if connector.is_none_or(|connector| connector == counted.connector) {
                *counts.entry(counted.state).or_default() += counted.entries;
            }
        }
        Ok(counts)
    }

    /// The rows of those whom a search finds, of the first page of them.
    pub async fn queue_of(
        &self,
        reach: &Reach,
        query: &QueueQuery,
        name: &str,
    ) -> Result<Vec<Entry>> {
        let filter = self.filter(reach, query).await?;
        let search = PeopleQuery {
            typed: name.to_owned(),
            organization: query.organization.clone(),
            limit: PEOPLE,
            ..PeopleQuery::default()
        };
        let found = self.people(reach, &search).await?.people.into_iter();
        let keys = found.filter(|one| !one.waits.is_empty()).map(|one| ResourceKey {
            organization: one.organization.into(),
            kind: one.kind,
            id: one.id,
        });
        let mut entries = Vec::new();
        for key in keys {
            let of_one = EntryFilter { resource: Some(key), ..filter.clone() };
            entries.extend(self.store.entries(of_one).await?.entries);
        }
        Ok(entries)
    }

    /// Connectors that have to do with somebody within reach, by name.
    pub async fn queue_connectors(&self, reach: &Reach) -> Result<Vec<QueueConnector>> {
        let runtime = self.runtime.load_full();
        let counted = self.store.counted(self.within(reach, None)?).await?;
        let mut rows = self.store.connectors().await?;
        rows.retain(|row| {
            let mut configured = runtime.config.connectors.iter();
            let serves = configured.find(|config| config.name == row.name).is_some_and(|config| {
                config.organizations.iter().any(|organization| reach.contains(&organization.key))
            });
            serves
                || *reach == Reach::Everywhere
                || counted.iter().any(|counted| counted.connector == row.id)
        });
        let mut connectors: Vec<QueueConnector> = rows
            .iter()
            .map(|row| QueueConnector {
                name: row.name.clone(),
                state: state_of(&runtime, row).word,
                every_event: runtime.is_every_event(&row.name),
            })
            .collect();
        connectors.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(connectors)
    }

    /// These rows as they are now, without those that are gone.
    pub async fn queue_picked(&self, reach: &Reach, picks: &[QueuePick]) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for row in self.rows(reach, picks)? {
            let (connector, resource) = (Some(row.connector), Some(row.key));
            let one = EntryFilter { connector, resource, limit: 1, ..EntryFilter::default() };
            entries.extend(self.store.entries(one).await?.entries);
        }
        Ok(entries)
    }

    /// Due now, counted afresh. How many rows.
    pub async fn retry(&self, actor: &Actor, reach: &Reach, query: &QueueQuery) -> Result<u64> {
        if query.state.as_deref() == Some(State::Held.word()) {
            return Err(OperatorError::Invalid(HELD.to_owned()));
        }
        let rows = self.touch(reach, query, Touch::Retry, None).await?;
        for (organization, rows) in &rows {
            let organization = {
                let runtime = self.runtime.load();
                let mut all = runtime.organizations.iter();
                all.find(|(_, id)| *id == organization).map(|(key, _)| key.clone())
            };
            let detail = super::words::counted(*rows, "entry", "entries");
            let what = describe(query);
            self.note(actor, "queue.retry", organization.as_deref(), what, Some(detail)).await?;
        }
        Ok(rows.into_values().sum())
    }

    /// Given up for good, with a reason that is written down for each row.
    pub async fn skip(
        &self,
        actor: &Actor,
        reach: &Reach,
        query: &QueueQuery,
        reason: &str,
    ) -> Result<u64> {
        if query.connector.is_none() {
            return Err(OperatorError::Invalid(
                "name a connector: what is skipped at all of them at once is a mistake".to_owned(),
            ));
        }
        let signed = skipping(actor, reason)?;
        let rows = self.touch(reach, query, Touch::Skip, Some(signed)).await?;
        let rows = rows.into_values().sum();
        tracing::info!(rows, what = describe(query), "skipped by a person");
        Ok(rows)
    }

    /// These are due now, counted afresh; what came of each, in their order.
    pub async fn retry_picked(
        &self,
        actor: &Actor,
        reach: &Reach,
        picks: &[QueuePick],
    ) -> Result<Vec<Touched>> {
        let signed = Signed { by: actor.clone(), action: "queue.retry", reason: None };
        self.touch_picked(reach, picks, Touch::Retry, signed).await
    }

    /// These are given up for good, unless they have changed since they were listed; what came of
    /// each, in their order.
    pub async fn skip_picked(
        &self,
        actor: &Actor,
        reach: &Reach,
        picks: &[QueuePick],
        reason: &str,
    ) -> Result<Vec<Touched>> {
        self.touch_picked(reach, picks, Touch::Skip, skipping(actor, reason)?).await
    }

    async fn touch_picked(
        &self,
        reach: &Reach,
        picks: &[QueuePick],
        touch: Touch,
        signed: Signed,
    ) -> Result<Vec<Touched>> {
        let rows = self.rows(reach, picks)?;
        let (actor, action) = (signed.by.clone(), signed.action);
        let touched = self.store.touch_picked(rows, touch, signed, self.clock.now()).await?;
        let done = touched.iter().filter(|touched| **touched == Touched::Done).count();
        tracing::info!(actor = actor.name(), action, rows = done, "done by a person");
        Ok(touched)
    }

    /// None of them is of an organization that is out of reach.
    fn rows(&self, reach: &Reach, picks: &[QueuePick]) -> Result<Vec<RowPick>> {
        if picks.len() > PICKS {
            let message = format!("that is more than {PICKS} entries at once");
            return Err(OperatorError::Invalid(message));
        }
        let row = |pick: &QueuePick| {
            let QueuePick { connector, organization, kind, id, mark } = pick;
            self.within(reach, Some(organization))?;
            let organization = organization.as_str().into();
            Ok(RowPick {
                connector: self.connector(connector)?,
                key: ResourceKey { organization, kind: *kind, id: *id },
                mark: *mark,
            })
        };
        picks.iter().map(row).collect()
    }

    pub(super) async fn touch(
        &self,
        reach: &Reach,
        query: &QueueQuery,
        touch: Touch,
        signed: Option<Signed>,
    ) -> Result<Tally> {
        let filter = self.filter(reach, query).await?;
        let is_retry = matches!(touch, Touch::Retry);
        let rows = self.store.touch(filter.clone(), touch, signed, self.clock.now()).await?;
        if rows.is_empty() {
            let held = EntryFilter { state: Some(State::Held), limit: 1, ..filter };
            if is_retry && !self.store.entries(held).await?.entries.is_empty() {
                return Err(OperatorError::Invalid(HELD.to_owned()));
            }
            return Err(OperatorError::NotFound(format!(
                "nothing in the queue matches {}, or it is being delivered at this moment",
                describe(query)
            )));
        }
        Ok(rows)
    }

    async fn filter(&self, reach: &Reach, query: &QueueQuery) -> Result<EntryFilter> {
        let connector = query.connector.as_deref().map(|name| self.connector(name)).transpose()?;
        let organizations = self.within(reach, query.organization.as_deref())?;
        let state = query.state.as_deref().map(state).transpose()?;
        let resource = match &query.resource {
            None => None,
            Some(text) => Some(self.resolve(query.organization.as_deref(), text).await?.key()),
        };
        let (error, limit) = (query.error.clone(), query.limit.unwrap_or(LIMIT));
        let after = query.after;
        Ok(EntryFilter { connector, resource, state, organizations, error, after, limit })
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

/// Each row that is given up is written down with this.
fn skipping(actor: &Actor, reason: &str) -> Result<Signed> {
    if reason.trim().is_empty() {
        return Err(OperatorError::Invalid(
            "a skip needs a reason, which is kept in the audit log: --reason TEXT".to_owned(),
        ));
    }
    Ok(Signed { by: actor.clone(), action: "queue.skip", reason: Some(reason.to_owned()) })
}

fn state(word: &str) -> Result<State> {
    State::parse(word).ok_or_else(|| {
        let words: Vec<_> = State::ALL.iter().map(|state| state.word()).collect();
        OperatorError::Invalid(format!("`{word}` is no state; there are {}", words.join(", ")))
    })
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
