//! Connectors: test, pause, resume, reconcile, resync.

use scim_relay_sdk::scim::{Filter, ResourceId, ResourceKind, Start};
use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result};
use crate::store::{ConnectorId, ListRequest, Listing, Paused, Reason, Scribe, Wanted};

/// A connector in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectorLine {
    pub name: String,
    pub kind: String,
    pub file: String,
    pub organizations: Vec<String>,
    pub state: String,
    pub waiting: u64,
    pub parked: u64,
    pub held: u64,
}

/// Whether a connector is paused now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pausing {
    /// Whether it was not before.
    pub changed: bool,
    pub paused: Option<Paused>,
}

impl Operator {
    pub async fn list_connectors(&self) -> Result<Vec<ConnectorLine>> {
        let runtime = self.runtime.load_full();
        let status = self.status().await?;
        Ok(status
            .connectors
            .into_iter()
            .map(|connector| {
                let config =
                    runtime.config.connectors.iter().find(|config| config.name == connector.name);
                ConnectorLine {
                    file: config
                        .map(|config| config.file.display().to_string())
                        .unwrap_or_default(),
                    organizations: config
                        .map(|config| {
                            config.organizations.iter().map(|o| o.key.to_string()).collect()
                        })
                        .unwrap_or_default(),
                    waiting: connector.backlog.open(),
                    parked: connector.backlog.parked,
                    held: connector.backlog.held,
                    name: connector.name,
                    kind: connector.kind,
                    state: connector.state,
                }
            })
            .collect())
    }

    /// Delivers nothing more to it. One that is paused already stays so by the first word.
    pub async fn pause_connector(
        &self,
        actor: &Actor,
        name: &str,
        why: Option<String>,
    ) -> Result<Pausing> {
        let id = self.connector(name)?;
        let why = why.filter(|why| !why.trim().is_empty());
        if let Some(paused) = self.paused(id).await? {
            return Ok(Pausing { changed: false, paused: Some(paused) });
        }
        let paused =
            Some(Paused { at: self.clock.now(), by: actor.name().to_owned(), why: why.clone() });
        self.store.pause(id, paused.clone()).await?;
        self.runtime.load().engine.set_paused(name, paused.clone());
        self.note(actor, "connector.pause", None, name, why).await?;
        Ok(Pausing { changed: true, paused })
    }

    /// Lets it go on; a target in trouble is probed at once.
    pub async fn resume_connector(&self, actor: &Actor, name: &str) -> Result<Pausing> {
        let id = self.connector(name)?;
        let changed = self.paused(id).await?.is_some();
        if changed {
            self.store.pause(id, None).await?;
        }
        self.runtime.load().engine.set_paused(name, None);
        self.note(actor, "connector.resume", None, name, None).await?;
        Ok(Pausing { changed, paused: None })
    }

    async fn paused(&self, id: ConnectorId) -> Result<Option<Paused>> {
        let rows = self.store.connectors().await?;
        Ok(rows.into_iter().find(|row| row.id == id).and_then(|row| row.paused))
    }

    /// Marks one resource dirty at a connector, or everyone (`subject` none).
    pub async fn resync(
        &self,
        actor: &Actor,
        name: &str,
        organization: Option<&str>,
        subject: Option<(ResourceKind, &str)>,
    ) -> Result<u64> {
        let id = self.connector(name)?;
        let organizations = if let Some(key) = organization {
            vec![(key.to_owned(), self.organization(key)?)]
        } else {
            let runtime = self.runtime.load();
            runtime.organizations.iter().map(|(key, id)| (key.to_string(), *id)).collect()
        };
        let Some((kind, named)) = subject else {
            for (_, organization) in &organizations {
                self.store.mark_everyone(id, Some(*organization), Reason::Resync).await?;
            }
            self.note(actor, "connector.resync", organization, name, Some("everyone".to_owned()))
                .await?;
            return Ok(0);
        };
        let mut rows = Vec::new();
        for (key, organization) in &organizations {
            let found = self.find(key, *organization, kind, named).await?;
            rows.extend(found.into_iter().map(|stored| stored.row));
        }
        if rows.is_empty() {
            return Err(OperatorError::NotFound(format!("there is no {} `{named}`", kind.word())));
        }
        let count = rows.len() as u64;
        self.store.mark(id, rows, Reason::Resync, self.clock.now()).await?;
        let detail = Some(format!("{} {named}", kind.word()));
        self.note(actor, "connector.resync", organization, name, detail).await?;
        Ok(count)
    }

    /// Resources by userName, displayName or id.
    pub(super) async fn find(
        &self,
        key: &str,
        organization: crate::store::OrgId,
        kind: ResourceKind,
        named: &str,
    ) -> Result<Vec<crate::store::Stored>> {
        let runtime = self.runtime.load_full();
        let Some(known) = runtime.config.organizations.get(key) else { return Ok(Vec::new()) };
        let attribute = match kind {
            ResourceKind::User => "userName",
            ResourceKind::Group => "displayName",
        };
        for attribute in [attribute, "id"] {
            let quoted = serde_json::to_string(named).expect("a string is JSON");
            let filter = Filter::parse(&format!("{attribute} eq {quoted}"))
                .map_err(|error| OperatorError::Invalid(error.to_string()))?;
            let request = ListRequest {
                base: "".into(),
                kinds: vec![Wanted { kind, memberships: false }],
                filter: Some(filter),
                sort: None,
                start: Start::Index(1),
                count: 10,
            };
            let ids: Scribe = Box::new(|stored, _| Ok(stored.id.to_string()));
            let schemas = &known.info.schemas;
            let listing = self.store.list(organization, schemas, request, ids).await?;
            if let Listing::Page(page) = listing
                && !page.resources.is_empty()
            {
                let mut found = Vec::new();
                for id in page.resources.iter().filter_map(|id| ResourceId::parse(id)) {
                    found.extend(self.store.get(organization, kind, id).await?);
                }
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

pub(super) fn disabled(name: &str) -> OperatorError {
    OperatorError::Invalid(format!(
        "{name} is not running: its file is gone or says `enabled = false`"
    ))
}
