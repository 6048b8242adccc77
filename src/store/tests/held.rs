//! What waits for a person's word, and what comes of it.

use std::time::Duration;

use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::ResourceKey;

use super::kit::{Kit, SOUTH, arc};
use crate::store::{
    Actor, Allowed, Ask, ConnectorId, Decided, Held, HeldFilter, HeldPlace, Outcome, People, Pick,
    State, Store, Stored, Touch, Verdict,
};

fn hold(kind: HoldKind, summary: &str) -> Outcome {
    Outcome::Held { kind, count: 1, summary: summary.to_owned(), link: None }
}

/// Everyone who is due at a connector is held for `kind`.
async fn hold_all(kit: &Kit, connector: ConnectorId, kind: HoldKind) {
    for claim in kit.claim(connector).await {
        kit.settle(&claim, hold(kind, "delete `uid=ada`")).await;
    }
}

async fn listed(
    kit: &Kit,
    connector: Option<ConnectorId>,
    kind: Option<HoldKind>,
    limit: usize,
) -> Vec<Held> {
    let (mut all, mut after) = (Vec::new(), HeldPlace::default());
    loop {
        let filter = HeldFilter { connector, kind, organizations: None, after, limit };
        let page = kit.store.held(filter).await.unwrap();
        all.extend(page.held);
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

fn pick(of: &Stored, mark: Option<i64>) -> Pick {
    Pick { key: Kit::key(of), mark }
}

async fn decide(
    kit: &Kit,
    connector: ConnectorId,
    picks: Vec<Pick>,
    verdict: Verdict,
) -> Vec<Decided> {
    let by = Actor::unix("user kari".to_owned());
    kit.store.decide(connector, picks, verdict, by, kit.now()).await.unwrap()
}

#[tokio::test]
async fn all_that_is_held_is_listed_whatever_the_size_of_a_page() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    kit.users(7).await;
    hold_all(&kit, dir, HoldKind::Removal).await;
    hold_all(&kit, hook, HoldKind::TakeOver).await;
    for limit in [1, 2, 7, 14, 100] {
        let all = listed(&kit, None, None, limit).await;
        let mut seen: Vec<_> = all.iter().map(|held| (held.connector.clone(), held.id)).collect();
        seen.dedup();
        assert_eq!(seen.len(), 14, "pages of {limit}");
        assert_eq!(listed(&kit, Some(hook), None, limit).await.len(), 7, "pages of {limit}");
        let of_kind = listed(&kit, None, Some(HoldKind::Removal), limit).await;
        assert!(of_kind.len() == 7 && of_kind.iter().all(|held| held.connector == "dir"));
    }
    assert!(listed(&kit, Some(dir), Some(HoldKind::TakeOver), 3).await.is_empty());
}

#[tokio::test]
async fn what_is_held_says_who_it_is_what_for_and_how_many_are_in_a_group() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    kit.deliver_all(dir).await;
    kit.group("choir", &[&ada, &bob]).await;
    hold_all(&kit, dir, HoldKind::MemberRemoval).await;
    let [held] = &listed(&kit, None, None, 10).await[..] else { panic!("one is held") };
    assert_eq!((held.name.as_str(), held.organization.as_str()), ("choir", "north"));
    assert_eq!((held.hold_kind.as_str(), held.members), ("member_removal", Some(2)));
    assert_eq!((held.summary.as_str(), held.since), ("delete `uid=ada`", kit.now()));
}

#[tokio::test]
async fn an_approval_is_for_those_that_are_named_and_for_what_was_seen() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob, cem) = (kit.user("ada").await, kit.user("bob").await, kit.user("cem").await);
    hold_all(&kit, dir, HoldKind::Removal).await;
    let seen = listed(&kit, Some(dir), None, 10).await;
    let mark = |of: &Stored| seen.iter().find(|held| held.id == of.id).map(|held| held.mark);
    // Bob changes while the person thinks, and is held again for something else.
    kit.change(&bob, "bob", "something else").await;
    hold_all(&kit, dir, HoldKind::Removal).await;

    let picks = vec![pick(&ada, mark(&ada)), pick(&bob, mark(&bob))];
    let decided = decide(&kit, dir, picks, Verdict::Approve(None)).await;

    assert_eq!(decided, [Decided::Done, Decided::Changed]);
    assert_eq!(kit.state_of(dir, &ada).await, Some(State::Pending));
    assert_eq!(kit.state_of(dir, &bob).await, Some(State::Held));
    assert_eq!(kit.state_of(dir, &cem).await, Some(State::Held), "nobody named him");
    let claims = kit.claim(dir).await;
    let [claim] = &claims[..] else { panic!("one goes") };
    assert_eq!(claim.resource, ada.row);
    let ask = Ask { kind: HoldKind::Removal, count: 1, whole: false, limit: 0 };
    assert_eq!(kit.store.allow(claim, ask, kit.now()).await.unwrap(), Allowed::Yes);
    // Without a mark it is approved as it is now.
    assert_eq!(
        decide(&kit, dir, vec![pick(&bob, None)], Verdict::Approve(None)).await,
        [Decided::Done]
    );
}

#[tokio::test]
async fn what_does_not_wait_for_approval_cannot_be_decided() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, hold(HoldKind::Removal, "")).await;
    let abroad = ResourceKey { organization: arc(SOUTH), ..Kit::key(&ada) };
    let nowhere = ResourceKey { organization: arc("nowhere"), ..Kit::key(&ada) };
    let picks =
        vec![pick(&bob, None), Pick { key: abroad, mark: None }, Pick { key: nowhere, mark: None }];
    assert_eq!(decide(&kit, dir, picks, Verdict::Approve(None)).await, [Decided::NotHeld; 3]);
    let elsewhere = vec![pick(&ada, None)];
    assert_eq!(decide(&kit, hook, elsewhere, Verdict::Approve(None)).await, [Decided::NotHeld]);
    assert_eq!(kit.state_of(dir, &ada).await, Some(State::Held));
    assert_eq!(kit.rows("audit"), 0, "nothing was decided");
}

#[tokio::test]
async fn each_decision_is_in_the_audit_log_with_who_and_why() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    hold_all(&kit, dir, HoldKind::TakeOver).await;
    decide(&kit, dir, vec![pick(&ada, None)], Verdict::Approve(None)).await;
    let reject = Verdict::Reject("not ours".to_owned());
    assert_eq!(decide(&kit, dir, vec![pick(&bob, None)], reject).await, [Decided::Done]);

    let [rejected, approved] = &kit.store.audit_log(10).await.unwrap()[..] else {
        panic!("two decisions")
    };
    assert_eq!((approved.actor.as_str(), approved.action.as_str()), ("user kari", "held.approve"));
    assert_eq!(approved.subject, format!("dir User/{}", ada.id));
    assert_eq!(approved.detail.as_deref(), Some("take over"));
    assert_eq!(rejected.action, "held.reject");
    assert_eq!(rejected.detail.as_deref(), Some("not ours"));
    assert_eq!(kit.state_of(dir, &bob).await, Some(State::Parked));
}

#[tokio::test]
async fn an_approval_that_came_to_nothing_is_told_where_it_is_asked_again() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let summary = async |kit: &Kit| {
        hold_all(kit, dir, HoldKind::TakeOver).await;
        let [held] = &listed(kit, Some(dir), None, 10).await[..] else { panic!("one is held") };
        held.summary.clone()
    };
    assert_eq!(summary(&kit).await, "delete `uid=ada`");
    kit.decide(dir, Verdict::Approve(None)).await;
    kit.change(&ada, "ada", "something else").await;
    assert_eq!(summary(&kit).await, "changed since it was approved; delete `uid=ada`");
    kit.decide(dir, Verdict::Approve(None)).await;
    kit.pass(Duration::from_hours(25));
    let lapsed = "not done within 24 hours of its approval; delete `uid=ada`";
    assert_eq!(summary(&kit).await, lapsed);
    // That was said; what is held for later is something else.
    kit.change(&ada, "ada", "once more").await;
    assert_eq!(summary(&kit).await, "delete `uid=ada`");
}

#[tokio::test]
async fn what_was_rejected_may_be_approved_after_all_and_what_was_given_up_may_not() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    hold_all(&kit, dir, HoldKind::Removal).await;
    let no = || Verdict::Reject("they stay".to_owned());
    decide(&kit, dir, vec![pick(&ada, None), pick(&bob, None)], no()).await;
    assert!(kit.entries(dir).await.iter().all(|entry| entry.rejected));
    kit.touch(dir, Touch::Retry).await;
    for claim in kit.claim(dir).await {
        let error =
            if claim.resource == ada.row { "rejected: they stay" } else { "no such object" };
        kit.settle(&claim, Outcome::Parked { error: error.to_owned() }).await;
    }

    let both = vec![pick(&ada, None), pick(&bob, None)];
    let decided = decide(&kit, dir, both, Verdict::Approve(None)).await;
    assert_eq!(decided, [Decided::Done, Decided::NotHeld]);
    let claim = kit.claim_of(dir, &ada).await.expect("it is to be delivered");
    let ask = Ask { kind: HoldKind::Removal, count: 1, whole: false, limit: 0 };
    assert_eq!(kit.store.allow(&claim, ask, kit.now()).await.unwrap(), Allowed::Yes);
}

#[tokio::test]
async fn one_organizations_list_has_nothing_of_another() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    kit.users(5).await;
    let abroad = kit.user_in(kit.south, "ada").await;
    for connector in [dir, hook] {
        hold_all(&kit, connector, HoldKind::Removal).await;
    }
    let of = async |organizations: Option<Vec<crate::store::OrgId>>| {
        let after = HeldPlace::default();
        let filter =
            HeldFilter { connector: Some(hook), kind: None, organizations, after, limit: 10 };
        kit.store.held(filter).await.unwrap().held
    };
    let south = of(Some(vec![kit.south])).await;
    assert_eq!(south.iter().map(|held| held.id).collect::<Vec<_>>(), [abroad.id]);
    assert_eq!(of(Some(vec![kit.north])).await.len(), 5);
    assert!(of(Some(Vec::new())).await.is_empty());
    assert_eq!(of(None).await.len(), 6);
}

#[tokio::test]
async fn what_is_held_says_whether_they_were_deleted_and_whether_their_entry_is_closed() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    kit.deliver_all(dir).await;
    kit.delete(&ada).await;
    kit.change(&bob, "bob", "something else").await;
    hold_all(&kit, dir, HoldKind::Removal).await;
    let all = listed(&kit, Some(dir), None, 10).await;
    let find = |of: &Stored| all.iter().find(|held| held.id == of.id).unwrap();
    assert_eq!((find(&ada).deleted, find(&ada).closed), (true, false));
    assert_eq!((find(&bob).deleted, find(&bob).closed), (false, false));
}
