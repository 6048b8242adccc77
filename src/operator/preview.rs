//! What would be written for one resource, as the target sees it. Nothing is sent.

use jiff::Timestamp;
use scim_relay_sdk::connector::{Permit, Semantics, Verb};
use scim_relay_sdk::scim::ResourceKind;
use serde::{Deserialize, Serialize};

use super::{Operator, OperatorError, Result};
use crate::delivery::{self, Try};
use crate::store::{Claim, Reason};

/// Whose preview.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subject {
    pub connector: String,
    /// None: looked for in every organization the connector serves.
    pub organization: Option<String>,
    pub kind: ResourceKind,
    /// userName, displayName or id.
    pub name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Previewed {
    pub organization: String,
    pub resource: String,
    /// LDIF, HTTP requests, a mail; or why nothing would be written.
    pub text: String,
}

impl Operator {
    pub async fn preview(&self, subject: &Subject) -> Result<Vec<Previewed>> {
        let id = self.connector(&subject.connector)?;
        let runtime = self.runtime.load_full();
        let lane = runtime.engine.settings(&subject.connector).ok_or_else(|| {
            OperatorError::Invalid(format!("{} is not running", subject.connector))
        })?;
        let mut previews = Vec::new();
        for (key, info) in &lane.organizations {
            if subject.organization.as_deref().is_some_and(|wanted| wanted != &**key) {
                continue;
            }
            let organization = self.organization(key)?;
            for stored in self.find(key, organization, subject.kind, &subject.name).await? {
                let claim = imagined(id, organization, stored.row, self.clock.now());
                let case = self.store.case(&claim).await?;
                let Some(mut case) = case else { continue };
                if lane.connector.semantics() == Semantics::EveryEvent
                    && let Some(change) = &mut case.change
                    && case.link.is_none()
                {
                    // What a person who is new to this connector would cause.
                    change.verb = Verb::Created;
                }
                let resource = delivery::resource(&case, info);
                let has_password = case.password.is_some();
                let work = delivery::judge(
                    case,
                    resource,
                    lane.connector.as_ref(),
                    &lane.scope,
                    Try { in_doubt: false, permit: Permit::ALL, number: 1, now: self.clock.now() },
                );
                let text = match work {
                    None => "out of this connector's scope: nothing would be written\n".to_owned(),
                    Some(mut work) => {
                        // A person sees that there is one, and nothing more.
                        work.password = has_password.then(|| "***".into());
                        let shown = lane.connector.preview(&work).await;
                        shown
                            .map(|preview| preview.text)
                            .map_err(|error| OperatorError::Target(error.chain()))?
                    }
                };
                previews.push(Previewed {
                    organization: key.to_string(),
                    resource: format!("{}/{}", subject.kind, stored.id),
                    text,
                });
            }
        }
        if previews.is_empty() {
            return Err(OperatorError::NotFound(format!(
                "there is no {} `{}` where {} looks",
                subject.kind.word(),
                subject.name,
                subject.connector
            )));
        }
        Ok(previews)
    }
}

/// A claim that was never made: only for reading its case.
pub(super) fn imagined(
    connector: crate::store::ConnectorId,
    organization: crate::store::OrgId,
    resource: crate::store::RowId,
    now: Timestamp,
) -> Claim {
    Claim {
        connector,
        resource,
        organization,
        since: 0,
        mark: 0,
        epoch: 0,
        reason: Reason::Resync,
        entire: true,
        attempts: 0,
        first_failed: None,
        dirty_at: now,
        in_doubt: false,
        collapsed: false,
        is_retry: false,
        background: false,
        due: now,
        held: None,
    }
}
