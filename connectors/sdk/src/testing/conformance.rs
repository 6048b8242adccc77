//! What every connector must hold, whatever its target.

use jiff::{SignedDuration, Timestamp};

use crate::connector::{
    Connector, Delivered, DeliveryError, Link, Resource, Semantics, Verb, Work,
};
use crate::testing::{created, deleted, present};

/// What [`conformance`] saw, for further assertions.
#[derive(Debug)]
pub struct Conformance {
    pub created: Delivered,
    pub deleted: Delivered,
}

/// A password that must not be seen again.
const PASSWORD: &str = "canary-S3cret-of-Ada";

/// Delivers a create with a password, the same create again without one, an update, a delete and the same delete again; none
/// of them may fail, a repeat may not make a second entry, and nobody may be shown the password.
pub async fn conformance(
    connector: &dyn Connector,
    resource: Resource,
) -> Result<Conformance, DeliveryError> {
    let mut step =
        Step { semantics: connector.semantics(), seq: 0, now: created(resource.clone()).now };
    connector.probe().await?;

    let mut create = step.shape(created(resource.clone()), Verb::Created, None);
    create.password = Some(PASSWORD.into());
    let shown = connector.preview(&create).await?.text;
    assert!(!shown.contains(PASSWORD), "the preview shows a password: {shown}");
    let first = connector.deliver(&create).await?;
    assert!(!format!("{first:?}").contains(PASSWORD), "what is kept of it shows a password");
    let again = step.again(created(resource.clone()), Verb::Created, first.link.clone());
    let second = connector.deliver(&again).await?;
    assert_eq!(
        first.link.as_ref().map(|link| &link.target_id),
        second.link.as_ref().map(|link| &link.target_id),
        "the same create twice made two entries"
    );

    let mut changed = resource.clone();
    changed.attributes.insert("displayName".to_owned(), "Changed by conformance".into());
    let updated = connector
        .deliver(&step.shape(present(changed.clone()), Verb::Updated, second.link))
        .await?;

    let gone = step.shape(deleted(changed.clone()), Verb::Deleted, updated.link);
    let removed = connector.deliver(&gone).await?;
    let gone_again = step.again(deleted(changed), Verb::Deleted, removed.link.clone());
    connector.deliver(&gone_again).await?;
    Ok(Conformance { created: first, deleted: removed })
}

struct Step {
    semantics: Semantics,
    seq: i64,
    now: Timestamp,
}

impl Step {
    fn shape(&mut self, work: Work, verb: Verb, link: Option<Link>) -> Work {
        self.seq += 1;
        self.again(work, verb, link)
    }

    fn again(&self, mut work: Work, verb: Verb, link: Option<Link>) -> Work {
        work.link = link;
        work.now = self.now + SignedDuration::from_secs(self.seq);
        work.change = (self.semantics == Semantics::EveryEvent).then(|| crate::connector::Change {
            seq: self.seq,
            verb,
            at: work.now,
            attributes: vec!["displayName".to_owned()],
            joined: Vec::new(),
            left: Vec::new(),
            collapsed: false,
        });
        work
    }
}
