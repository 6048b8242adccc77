//! Where a connector stands with one resource, and what a person can do about it.

use jiff::Timestamp;
use scim_relay_sdk::scim::{ResourceId, ResourceKind};
use serde::{Deserialize, Serialize};

use super::{Operator, OperatorError, Result};
use crate::store::{LinkRow, State, Waiting};

/// One entry of the queue, with all that is about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueEntry {
    #[serde(flatten)]
    pub waits: Waiting,
    /// The connector's, as `status` has it.
    pub connector_state: String,
    /// What the target holds of it.
    pub link: Option<LinkRow>,
    pub password: bool,
    /// What a person can do, in sentences.
    pub advice: Vec<String>,
}

/// Where a connector stands with a resource.
#[derive(Clone, Debug)]
pub enum Stands {
    Waits(Box<QueueEntry>),
    /// Nothing waits; when it was delivered last, if it was.
    InLine {
        kind: ResourceKind,
        id: ResourceId,
        at: Option<Timestamp>,
    },
}

impl Operator {
    /// What waits of a resource at a connector.
    pub async fn queue_entry(
        &self,
        connector: &str,
        organization: Option<&str>,
        resource: &str,
    ) -> Result<QueueEntry> {
        match self.queue_stand(connector, organization, resource).await? {
            Stands::Waits(entry) => Ok(*entry),
            Stands::InLine { at: last, .. } => Err(OperatorError::NotFound(format!(
                "nothing of {resource} waits at {connector}: {}",
                match last {
                    Some(last) => format!("it was brought in line at {last:.0}"),
                    None => "either it is in line or it is none of this connector's".to_owned(),
                }
            ))),
        }
    }

    /// What waits of a resource at a connector, or since when nothing does.
    pub async fn queue_stand(
        &self,
        connector: &str,
        organization: Option<&str>,
        resource: &str,
    ) -> Result<Stands> {
        let id = self.connector(connector)?;
        let found = self.resolve(organization, resource).await?;
        let standings = self.store.standings(found.known.stored.row).await?;
        let standing = standings.into_iter().find(|standing| standing.connector == id);
        let (link, waits, password) = match standing {
            None => (None, None, false),
            Some(standing) => (standing.link, standing.waits, standing.password),
        };
        let Some(waits) = waits else {
            let (kind, id) = (found.kind, found.known.stored.id);
            return Ok(Stands::InLine { kind, id, at: link.and_then(|link| link.applied_at) });
        };
        let rows = self.store.connectors().await?;
        let row = rows.iter().find(|row| row.id == id);
        let runtime = self.runtime.load_full();
        let state = row.map_or("disabled", |row| super::status::state_of(&runtime, row).word);
        let advice = advice(&waits, state, runtime.is_every_event(connector));
        let connector_state = state.to_owned();
        Ok(Stands::Waits(Box::new(QueueEntry { waits, connector_state, link, password, advice })))
    }
}

/// What a person can do about an entry, the most pressing first.
pub(super) fn advice(waits: &Waiting, connector_state: &str, every_event: bool) -> Vec<String> {
    let entry = &waits.entry;
    let name = &entry.connector;
    let row = format!("{name} {}/{}", entry.kind, entry.id);
    let mut all = Vec::new();
    match connector_state {
        "disabled" => all.push(format!(
            "{name} does not run: its file is gone or says `enabled = false`. What waits goes on when it \
             is back; `scim-relay connector forget {name}` drops all of it."
        )),
        "paused" => all.push(format!(
            "{name} is paused: `scim-relay connector resume {name}` lets it go on."
        )),
        "down" => all.push(format!(
            "{name} is down, and is tried until it is back: this goes on by itself then."
        )),
        "refused" => all.push(format!(
            "{name} turns us away: `scim-relay status` says why. Put that right, then `scim-relay \
             connector resume {name}`."
        )),
        _ => {}
    }
    let skip = if every_event {
        "goes past this one event"
    } else if entry.state == State::Held {
        "drops it: what it asks for is not done"
    } else {
        "leaves the target as it is until the next change"
    };
    let skip = format!("`scim-relay queue skip {row} --reason TEXT` {skip}.");
    if waits.delivering.is_some() {
        all.push("It is being delivered at this moment.".to_owned());
        return all;
    }
    match entry.state {
        State::Pending => all.push("It is delivered when its turn comes.".to_owned()),
        State::Retrying => {
            all.push(format!(
                "It is tried again by itself; `scim-relay queue retry {row}` does it now."
            ));
            all.push(skip);
        }
        State::Scheduled => all.push("It lies ahead: there is nothing to do.".to_owned()),
        State::Waiting => match &waits.waits_for {
            Some(other) => all.push(format!(
                "It goes on when {} `{}` has been delivered: `scim-relay queue show {name} {}/{}` says \
                 why that was not yet.",
                other.kind.word(),
                other.name,
                other.kind,
                other.id
            )),
            None => all.push("It goes on when another one has been delivered.".to_owned()),
        },
        State::Parked if entry.rejected => {
            all.push(format!(
                "A person rejected it: it stays as it is until the provider wants something else. \
                 `scim-relay held approve {row}` lets it happen after all."
            ));
            all.push(skip);
        }
        State::Parked => {
            all.push(format!(
                "It was given up. When what the error says is mended: `scim-relay queue retry {row}`."
            ));
            all.push(skip);
        }
        State::Held => {
            all.push(format!(
                "`scim-relay held approve {row}` lets it happen; `scim-relay held reject {row} --reason \
                 TEXT` parks it."
            ));
            all.push(skip);
        }
    }
    all
}
