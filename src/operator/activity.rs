//! What people did, and the relay itself where that is written down: the audit log, page by page.

use std::time::Duration;

use jiff::Timestamp;
use scim_relay_sdk::scim::{Attributes, ResourceId, ResourceKind};
use serde::Serialize;

use super::people::called;
use super::{Actor, Operator, Reach, Result};
use crate::store::{AuditFilter, Audited};

/// Which of it.
#[derive(Clone, Debug, Default)]
pub struct ActivityQuery {
    pub organization: Option<String>,
    pub actor: Option<String>,
    /// What comes before the dot of an action: `token`, `queue`, ...
    pub about: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Older than this one.
    pub before: Option<i64>,
    pub limit: usize,
}

/// A page of it.
#[derive(Clone, Debug, Default)]
pub struct ActivityPage {
    pub deeds: Vec<Deed>,
    /// Before which the next page begins, if there may be one.
    pub next: Option<i64>,
}

/// What somebody did, and to whom.
#[derive(Clone, Debug)]
pub struct Deed {
    pub audited: Audited,
    pub object: Object,
}

/// What a row is about, as far as its subject says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Object {
    pub connector: Option<String>,
    pub whom: Option<Whom>,
}

/// A person or a group, by the name that they have or last had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Whom {
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// None: erased since.
    pub name: Option<String>,
}

impl Operator {
    /// Newest first, with the names of whom it was about.
    pub async fn activity(&self, reach: &Reach, query: &ActivityQuery) -> Result<ActivityPage> {
        let page = self.store.audit_page(self.audit_filter(reach, query)?).await?;
        let mut deeds = Vec::new();
        for audited in page.rows {
            let mut object = Object::read(&audited.row.action, &audited.row.subject);
            if let (Some(whom), Some(key)) = (&mut object.whom, &audited.row.organization)
                && let Ok(organization) = self.organization(key)
            {
                let id = whom.id.to_string();
                let known = self.store.named(organization, whom.kind, &id).await?;
                whom.name = known.first().map(|known| {
                    let body: Attributes =
                        serde_json::from_str(&known.stored.body).unwrap_or_default();
                    called(&body)
                });
            }
            deeds.push(Deed { audited, object });
        }
        Ok(ActivityPage { deeds, next: page.next })
    }

    /// The rows as they are, for who takes them along.
    pub async fn activity_rows(
        &self,
        reach: &Reach,
        query: &ActivityQuery,
    ) -> Result<(Vec<Audited>, Option<i64>)> {
        let page = self.store.audit_page(self.audit_filter(reach, query)?).await?;
        Ok((page.rows, page.next))
    }

    /// That somebody takes the log along is in it, too.
    pub async fn activity_taken(
        &self,
        actor: &Actor,
        query: &ActivityQuery,
        what: &str,
    ) -> Result<()> {
        let organization = query.organization.as_deref();
        self.note(actor, "activity.export", organization, what, None).await
    }

    /// How long it is kept.
    pub fn activity_kept(&self) -> Duration {
        self.runtime.load().config.retention.reports
    }

    fn audit_filter(&self, reach: &Reach, query: &ActivityQuery) -> Result<AuditFilter> {
        let organizations = match (&query.organization, reach) {
            (None, Reach::Everywhere) => None,
            (None, Reach::Only(own)) => Some(own.iter().map(ToString::to_string).collect()),
            (Some(key), _) => {
                self.within(reach, Some(key))?;
                Some(vec![key.clone()])
            }
        };
        Ok(AuditFilter {
            organizations,
            actor: query.actor.clone(),
            about: query.about.clone(),
            from: query.from,
            to: query.to,
            before: query.before,
            limit: query.limit,
        })
    }
}

impl Object {
    /// `dir User/…`, `User/…`, or a connector's name.
    fn read(action: &str, subject: &str) -> Self {
        let (before, last) = match subject.rsplit_once(' ') {
            Some((before, last)) => (Some(before), last),
            None => (None, subject),
        };
        let whom = last.split_once('/').and_then(|(kind, id)| {
            let kind = ResourceKind::ALL.into_iter().find(|known| known.name() == kind)?;
            Some(Whom { kind, id: ResourceId::parse(id)?, name: None })
        });
        let connector = match &whom {
            Some(_) => before.map(str::to_owned),
            None => action.starts_with("connector.").then(|| subject.to_owned()),
        };
        Self { connector, whom }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_says_whom_and_where() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        let whom = |kind| Some(Whom { kind, id: ResourceId::parse(id).unwrap(), name: None });
        let check = |action: &str, subject: &str, connector: Option<&str>, whom| {
            let connector = connector.map(str::to_owned);
            assert_eq!(Object::read(action, subject), Object { connector, whom }, "{subject}");
        };
        check("queue.skip", &format!("dir User/{id}"), Some("dir"), whom(ResourceKind::User));
        check("trace.read", &format!("Group/{id}"), None, whom(ResourceKind::Group));
        check("connector.pause", "building access", Some("building access"), None);
        check("queue.retry", "dir state parked", None, None);
        check("token.create", "12 Entra ID", None, None);
        check("trace.read", "User kari, of which there are several", None, None);
        check("trace.read", "User/kari", None, None);
    }
}
