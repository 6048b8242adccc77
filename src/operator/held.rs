//! What waits for a person's word: removals, take-overs, whoever was there before a connector.

use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::{ResourceId, ResourceKey};
use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result, parse_subject};
use crate::store::{ConnectorRow, Decided, HeldFilter, HeldPage, HeldPlace, Pick, Verdict};

/// Rows of a page, and decisions of one request: one transaction.
pub const PAGE: usize = 500;

/// Which of what waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HeldQuery {
    pub connector: Option<String>,
    /// `removal`, `member_removal`, ...
    pub kind: Option<String>,
    /// [`HeldPage::next`] of the page before.
    pub after: Option<HeldPlace>,
}

/// About what of a connector something is decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decision {
    pub connector: String,
    pub picks: Vec<Picked>,
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Picked {
    /// `User/…`
    pub resource: String,
    /// None: whichever has it.
    pub organization: Option<String>,
    /// As it was listed; none: as it is now.
    pub mark: Option<i64>,
}

/// What came of each, in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecisionTaken {
    pub decided: Vec<Decided>,
    /// Why what was approved does not happen at once, and what to do.
    pub note: Option<String>,
}

impl Operator {
    /// A page of what waits for approval.
    pub async fn held(&self, query: &HeldQuery) -> Result<HeldPage> {
        let connector = query.connector.as_deref().map(|name| self.connector(name)).transpose()?;
        let kind = query.kind.as_deref().map(kind).transpose()?;
        let after = query.after.unwrap_or_default();
        Ok(self.store.held(HeldFilter { connector, kind, after, limit: PAGE }).await?)
    }

    /// Lets exactly these go, as they were seen: a later change asks again.
    pub async fn approve(&self, actor: &Actor, decision: &Decision) -> Result<DecisionTaken> {
        let decided = self.decide(actor, decision, Verdict::Approve).await?;
        let rows = self.store.connectors().await?;
        let row = rows.iter().find(|row| row.name == decision.connector);
        Ok(DecisionTaken { decided, note: row.and_then(|row| self.obstacle(row)) })
    }

    /// Parks these, with a reason.
    pub async fn reject(
        &self,
        actor: &Actor,
        decision: &Decision,
        reason: &str,
    ) -> Result<DecisionTaken> {
        if reason.trim().is_empty() {
            return Err(OperatorError::Invalid(
                "a rejection needs a reason, which is kept with it: --reason TEXT".to_owned(),
            ));
        }
        let decided = self.decide(actor, decision, Verdict::Reject(reason.to_owned())).await?;
        Ok(DecisionTaken { decided, note: None })
    }

    async fn decide(
        &self,
        actor: &Actor,
        decision: &Decision,
        verdict: Verdict,
    ) -> Result<Vec<Decided>> {
        let connector = self.connector(&decision.connector)?;
        if decision.picks.len() > PAGE {
            let message = format!("that is more than {PAGE} decisions in one request");
            return Err(OperatorError::Invalid(message));
        }
        let organizations: Vec<_> = self.runtime.load().organizations.keys().cloned().collect();
        let mut picks = Vec::new();
        let mut of = Vec::new();
        for (number, Picked { resource, organization, mark }) in decision.picks.iter().enumerate() {
            let (kind, name) = parse_subject(resource)?;
            let Some(id) = ResourceId::parse(name) else {
                let key = self.resolve(organization.as_deref(), resource).await?.key();
                picks.push(Pick { key, mark: *mark });
                of.push(number);
                continue;
            };
            // One that is named by its id alone is looked for in each organization.
            let here = |key: &&std::sync::Arc<str>| {
                organization.as_deref().is_none_or(|organization| organization == &***key)
            };
            for organization in organizations.iter().filter(here) {
                let key = ResourceKey { organization: organization.clone(), kind, id };
                picks.push(Pick { key, mark: *mark });
                of.push(number);
            }
        }
        let who = actor.clone();
        let answers = self.store.decide(connector, picks, verdict, who, self.clock.now()).await?;
        let mut decided = vec![Decided::NotHeld; decision.picks.len()];
        for (number, answer) in of.into_iter().zip(answers) {
            if answer != Decided::NotHeld {
                decided[number] = answer;
            }
        }
        let done = decided.iter().filter(|decided| **decided == Decided::Done).count();
        tracing::info!(
            connector = decision.connector,
            decided = done,
            "held work was decided by a person"
        );
        Ok(decided)
    }

    /// What keeps a connector from doing at once what it may.
    fn obstacle(&self, row: &ConnectorRow) -> Option<String> {
        let name = &row.name;
        let health = self.runtime.load().engine.health(name);
        let why = if !row.enabled {
            format!("its file is gone or disabled, so nothing happens until `{name}.toml` is back")
        } else if row.paused.is_some() {
            format!("it is paused, so nothing happens until `scim-relay connector resume {name}`")
        } else if health.is_some_and(|health| health.trouble.is_some()) {
            "its target is down, so nothing happens until it is back".to_owned()
        } else {
            return None;
        };
        Some(format!("{why}; what is not done within 24 hours waits for approval again"))
    }
}

fn kind(word: &str) -> Result<HoldKind> {
    HoldKind::parse(word).ok_or_else(|| {
        let words = HoldKind::ALL.map(HoldKind::word);
        OperatorError::Invalid(format!(
            "`{word}` is held for nothing; there are {}",
            words.join(", ")
        ))
    })
}
