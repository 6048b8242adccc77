//! What waits for a person's word: removals, take-overs, whoever was there before a connector.

use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::{ResourceId, ResourceKey};
use serde::{Deserialize, Serialize};

use super::{Actor, Operator, OperatorError, Result, parse_subject};
use crate::store::{
    ConnectorRow, Decided, Held, HeldFilter, HeldPage, HeldPlace, Pick, Reach, Verdict,
};

/// Rows of a page, and decisions of one request: one transaction.
pub const PAGE: usize = 500;

/// Which of what waits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HeldQuery {
    pub connector: Option<String>,
    /// `removal`, `member_removal`, ...
    pub kind: Option<String>,
    pub organization: Option<String>,
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
    /// Why what was approved does not happen at once. What is not done within 24 hours waits for
    /// approval again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub obstacle: Option<Obstacle>,
}

/// What keeps a connector from doing at once what it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    Disabled,
    Paused,
    Down,
}

impl Picked {
    /// Exactly this, as it is.
    pub fn seen(held: &Held) -> Self {
        Self {
            resource: format!("{}/{}", held.kind, held.id),
            organization: Some(held.organization.clone()),
            mark: Some(held.mark),
        }
    }
}

impl Operator {
    /// A page of what waits for approval.
    pub async fn held(&self, reach: &Reach, query: &HeldQuery) -> Result<HeldPage> {
        self.held_up_to(reach, query, PAGE).await
    }

    /// A page of so many at most.
    pub async fn held_up_to(
        &self,
        reach: &Reach,
        query: &HeldQuery,
        limit: usize,
    ) -> Result<HeldPage> {
        let organizations = self.within(reach, query.organization.as_deref())?;
        let connector = query.connector.as_deref().map(|name| self.connector(name)).transpose()?;
        let kind = query.kind.as_deref().map(kind).transpose()?;
        let after = query.after.unwrap_or_default();
        Ok(self.store.held(HeldFilter { connector, kind, organizations, after, limit }).await?)
    }

    /// Lets exactly these go, as they were seen: a later change asks again.
    pub async fn approve(
        &self,
        actor: &Actor,
        reach: &Reach,
        decision: &Decision,
        why: Option<&str>,
    ) -> Result<DecisionTaken> {
        let verdict = Verdict::Approve(why.map(str::to_owned));
        let decided = self.decide(actor, reach, decision, verdict).await?;
        let rows = self.store.connectors().await?;
        let row = rows.iter().find(|row| row.name == decision.connector);
        Ok(DecisionTaken { decided, obstacle: row.and_then(|row| self.obstacle(row)) })
    }

    /// Parks these, with a reason.
    pub async fn reject(
        &self,
        actor: &Actor,
        reach: &Reach,
        decision: &Decision,
        reason: &str,
    ) -> Result<DecisionTaken> {
        if reason.trim().is_empty() {
            return Err(OperatorError::Invalid(
                "a rejection needs a reason, which is kept with it: --reason TEXT".to_owned(),
            ));
        }
        let decided =
            self.decide(actor, reach, decision, Verdict::Reject(reason.to_owned())).await?;
        Ok(DecisionTaken { decided, obstacle: None })
    }

    async fn decide(
        &self,
        actor: &Actor,
        reach: &Reach,
        decision: &Decision,
        verdict: Verdict,
    ) -> Result<Vec<Decided>> {
        let connector = self.connector(&decision.connector)?;
        if decision.picks.len() > PAGE {
            let message = format!("that is more than {PAGE} decisions in one request");
            return Err(OperatorError::Invalid(message));
        }
        let organizations: Vec<_> = {
            let runtime = self.runtime.load();
            runtime.organizations.keys().filter(|key| reach.contains(key)).cloned().collect()
        };
        let mut picks = Vec::new();
        let mut of = Vec::new();
        for (number, Picked { resource, organization, mark }) in decision.picks.iter().enumerate() {
            let (kind, name) = parse_subject(resource)?;
            if organization.is_some() {
                self.within(reach, organization.as_deref())?;
            }
            let Some(id) = ResourceId::parse(name) else {
                if organization.is_none() && *reach != Reach::Everywhere {
                    let message = format!("say of which organization {resource} is");
                    return Err(OperatorError::Invalid(message));
                }
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

    fn obstacle(&self, row: &ConnectorRow) -> Option<Obstacle> {
        let health = self.runtime.load().engine.health(&row.name);
        if !row.enabled {
            Some(Obstacle::Disabled)
        } else if row.paused.is_some() {
            Some(Obstacle::Paused)
        } else if health.is_some_and(|health| health.trouble.is_some()) {
            Some(Obstacle::Down)
        } else {
            None
        }
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
