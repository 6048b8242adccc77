//! What every connector must hold, whatever its target.

use jiff::{SignedDuration, Timestamp};

use crate::connector::{
    Action, Connector, Delivered, DeliveryError, HoldKind, Link, Member, MemberDelta,
    MemberRemovals, Permit, Resource, Semantics, Verb, Work,
};
use crate::testing::{created, deleted, group_work, present};

/// What [`conformance`] saw, for further assertions.
#[derive(Debug)]
pub struct Conformance {
    pub created: Delivered,
    pub deleted: Delivered,
}

/// A password that must not be seen again.
const PASSWORD: &str = "canary-S3cret-of-Ada";

/// Delivers a create with a password, the same create again without one, an update, a delete and the same delete again; none
/// of them may fail, a repeat may not make a second entry, nobody may be shown the password, and nothing
/// may be removed without permission.
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
    let asks = asks_before_a_removal(connector, &gone).await?;
    let removed = connector.deliver(&gone).await?;
    let removes = removed.action.is_removal() || (asks && removed.action == Action::Sent);
    assert_eq!(
        removes, asks,
        "{:?}: written without permission, or asked for nothing",
        removed.action
    );
    let gone_again = step.again(deleted(changed), Verb::Deleted, removed.link.clone());
    connector.deliver(&gone_again).await?;
    Ok(Conformance { created: first, deleted: removed })
}

/// Whether a removal without the permission is asked for; a target that removes nothing is not held
/// up.
async fn asks_before_a_removal(
    connector: &dyn Connector,
    gone: &Work,
) -> Result<bool, DeliveryError> {
    let mut work = gone.clone();
    work.permit = Permit { remove: false, rename: false, ..Permit::ALL };
    match connector.deliver(&work).await {
        Err(DeliveryError::Hold { kind: HoldKind::Removal, count, .. }) => {
            assert!(count > 0, "a removal of nothing is asked for");
            Ok(true)
        }
        Ok(delivered) => {
            assert!(!delivered.action.is_removal(), "removed without permission");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// What every connector must hold that keeps the members of groups in line: none is taken out
/// without permission, by a change or by a comparison or with the whole group, others need not
/// wait for them, and who is bygone makes room for nobody else.
pub async fn member_conformance(
    connector: &dyn Connector,
    group: Resource,
    members: [Member; 3],
) -> Result<(), DeliveryError> {
    let [one, two, three] = members;
    let all = |members: &[&Member]| MemberDelta::All(members.iter().copied().cloned().collect());
    let work = |members, permitted, link: Option<Link>| {
        let mut work = group_work(group.clone(), members);
        work.link = link;
        work.permit.members = permitted;
        work
    };
    let made = connector.deliver(&work(all(&[&one, &two]), MemberRemovals::UpTo(0), None)).await?;
    let deliver = async |members, permitted| {
        connector.deliver(&work(members, permitted, made.link.clone())).await
    };
    let moves = MemberDelta::Changed { joined: vec![three.clone()], left: vec![one.clone()] };
    let everybody = all(&[&one, &two, &three]);
    let those_who_stay = all(&[&two, &three]);

    let none = MemberRemovals::UpTo(0);
    assert_asks_for(1, deliver(moves.clone(), none).await);
    assert_asks_for(1, deliver(all(&[&two]), none).await);
    deliver(moves, MemberRemovals::Leave).await?;
    let now = deliver(everybody.clone(), none).await?;
    assert_eq!(now.action, Action::Unchanged, "who joins comes in, and who leaves is left in");
    deliver(those_who_stay.clone(), MemberRemovals::Leave).await?;
    let now = deliver(everybody, none).await?;
    assert_eq!(now.action, Action::Unchanged, "who leaves is left in by a comparison, too");
    deliver(those_who_stay.clone(), MemberRemovals::UpTo(1)).await?;
    let now = deliver(those_who_stay.clone(), none).await?;
    assert_eq!(now.action, Action::Unchanged, "with permission, one leaves");

    let both = MemberDelta::Changed { joined: Vec::new(), left: vec![two.clone(), three.clone()] };
    for leavers in [both, all(&[])] {
        let deliver_with = async |bygone: &Member, members: &MemberDelta, permitted| {
            let mut work = work(members.clone(), permitted, made.link.clone());
            work.bygone.insert(bygone.address.clone());
            connector.deliver(&work).await
        };
        assert_asks_for(2, deliver_with(&one, &leavers, none).await);
        assert_asks_for(1, deliver_with(&two, &leavers, none).await);
        deliver_with(&two, &leavers, MemberRemovals::Leave).await?;
        let now = deliver(all(&[&three]), none).await?;
        assert_eq!(now.action, Action::Unchanged, "who is bygone leaves, and nobody else");
        deliver(those_who_stay.clone(), none).await?;
    }

    let mut gone = deleted(group.clone());
    gone.link = made.link;
    gone.permit.members = MemberRemovals::UpTo(1);
    assert_asks_for(2, connector.deliver(&gone).await);
    gone.permit.members = MemberRemovals::UpTo(2);
    let removed = connector.deliver(&gone).await?;
    assert!(removed.action.is_removal(), "{:?}", removed.action);
    Ok(())
}

fn assert_asks_for(members: u64, answer: Result<Delivered, DeliveryError>) {
    let asked = match answer {
        Err(DeliveryError::Hold { kind: HoldKind::MemberRemoval, count, .. }) => count,
        other => panic!("members leave without permission: {other:?}"),
    };
    assert_eq!(asked, members, "members are asked for");
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
