//! What a person sees of the queue and does to it.

use std::time::Duration;

use scim_relay_sdk::connector::HoldKind;

use super::kit::{Kit, held, linked, parked};
use crate::store::{
    Allowed, Ask, ConnectorId, EntryFilter, Outcome, Paused, People, Reason, Refusal, State, Store,
    Stored, Touch, Verdict,
};

#[tokio::test]
async fn a_retry_counts_afresh() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, parked("refused")).await;
    assert_eq!(kit.touch(dir, Touch::Retry).await, 1);
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert_eq!((claim.attempts, claim.first_failed), (0, None));
}

#[tokio::test]
async fn a_retry_answers_the_doubt_about_an_event_but_not_about_an_entry() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    let ada = kit.user("ada").await;
    for (connector, in_doubt) in [(hook, false), (dir, true)] {
        let claim = kit.claim_of(connector, &ada).await.unwrap();
        let due = kit.now();
        let cut_off =
            Outcome::Retry { due, error: "no answer".to_owned(), counted: true, in_doubt: true };
        kit.settle(&claim, cut_off).await;
        let claim = kit.claim_of(connector, &ada).await.unwrap();
        assert!(claim.in_doubt);
        kit.settle(&claim, parked("may have been sent")).await;
        kit.touch(connector, Touch::Retry).await;
        assert_eq!(kit.claim_of(connector, &ada).await.unwrap().in_doubt, in_doubt);
    }
}

#[tokio::test]
async fn a_retry_touches_neither_what_is_held_nor_what_lies_ahead_nor_what_is_worked_on() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    for name in ["held", "scheduled", "claimed"] {
        kit.user(name).await;
    }
    let claims = kit.claim(dir).await;
    kit.settle(&claims[0], held(HoldKind::TakeOver, 1)).await;
    let revisit = Some(kit.now() + Duration::from_hours(24));
    let action = scim_relay_sdk::connector::Action::Deactivated;
    kit.settle(&claims[1], Outcome::Delivered { link: None, revisit, action }).await;
    assert_eq!(kit.touch(dir, Touch::Retry).await, 0);
}

#[tokio::test]
async fn many_are_touched_each_once() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    kit.users(1_203).await;
    while let claims = kit.claim(dir).await
        && !claims.is_empty()
    {
        let settled = claims.iter().map(|claim| kit.settle(claim, parked("refused")));
        futures_util::future::join_all(settled).await;
    }
    assert_eq!(kit.touch(dir, Touch::Retry).await, 1_203);
    assert_eq!(kit.backlog(dir).await.pending, 1_203);
}

/// Whether the row may, as it is now.
async fn may_take_over(kit: &Kit, connector: ConnectorId, of: &Stored) -> bool {
    let claim = kit.claim_of(connector, of).await.unwrap();
    let ask = Ask { kind: HoldKind::TakeOver, count: 1, whole: false, limit: 0 };
    let allowed = kit.store.allow(&claim, ask, kit.now()).await.unwrap();
    kit.settle(&claim, Outcome::Released).await;
    allowed == Allowed::Yes
}

#[tokio::test]
async fn an_approval_is_for_what_was_seen_and_for_a_day() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let hold = async |kit: &Kit| {
        let claim = kit.claim_of(dir, &ada).await.unwrap();
        kit.settle(&claim, held(HoldKind::TakeOver, 1)).await;
        let entry = Kit::only(kit.entries(dir).await);
        assert_eq!((entry.state, entry.hold_kind.as_deref()), (State::Held, Some("take_over")));
    };
    hold(&kit).await;
    assert_eq!(kit.decide(dir, Verdict::Approve(None)).await, 1);
    assert!(may_take_over(&kit, dir, &ada).await);

    kit.change(&ada, "ada", "something else").await;
    assert!(!may_take_over(&kit, dir, &ada).await, "that is not what was seen");
    let mut kit = kit.reopened().await;
    kit.directory().await;
    hold(&kit).await;
    kit.decide(dir, Verdict::Approve(None)).await;
    kit.pass(Duration::from_hours(25));
    assert!(!may_take_over(&kit, dir, &ada).await, "it has lapsed");
}

#[tokio::test]
async fn what_changes_after_the_claim_is_not_what_was_approved() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, held(HoldKind::TakeOver, 1)).await;
    kit.decide(dir, Verdict::Approve(None)).await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.change(&ada, "ada", "something else").await;
    let ask = Ask { kind: HoldKind::TakeOver, count: 1, whole: false, limit: 0 };
    let allowed = kit.store.allow(&claim, ask, kit.now()).await.unwrap();
    assert_eq!(allowed, Allowed::No(Refusal::Held));
}

#[tokio::test]
async fn a_rejection_parks_with_its_reason() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, held(HoldKind::TakeOver, 1)).await;
    assert_eq!(kit.decide(dir, Verdict::Reject("not ours".to_owned())).await, 1);
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!((entry.state, entry.hold_kind), (State::Parked, None));
    assert_eq!(entry.last_error.as_deref(), Some("rejected: not ours"));
}

#[tokio::test]
async fn entries_are_found_by_state_and_by_resource() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, parked("refused")).await;
    let find = async |connector, resource, state, limit| {
        let filter = EntryFilter { connector, resource, state, limit, ..EntryFilter::default() };
        let entries = kit.store.entries(filter).await.unwrap().entries;
        entries.into_iter().map(|entry| (entry.connector, entry.name)).collect::<Vec<_>>()
    };
    let pair = |connector: &str, name: &str| (connector.to_owned(), name.to_owned());
    assert_eq!(find(None, None, Some(State::Parked), 10).await, [pair("dir", "ada")]);
    assert_eq!(find(Some(hook), None, Some(State::Parked), 10).await, []);
    assert_eq!(
        find(None, Some(Kit::key(&bob)), None, 10)
            .await
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>(),
        [pair("dir", "bob"), pair("hook", "bob")].into()
    );
    assert_eq!(find(Some(dir), Some(Kit::key(&bob)), None, 10).await, [pair("dir", "bob")]);
    // Those that wait for a person come first.
    assert_eq!(find(None, None, None, 1).await, [pair("dir", "ada")]);
    let elsewhere =
        scim_relay_sdk::scim::ResourceKey { organization: "south".into(), ..Kit::key(&bob) };
    assert_eq!(find(None, Some(elsewhere), None, 10).await, []);
}

#[tokio::test]
async fn a_pause_is_remembered() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let paused = Paused { at: kit.now(), by: "kari".to_owned(), why: None };
    kit.store.pause(dir, Some(paused.clone())).await.unwrap();
    let mut kit = kit.reopened().await;
    kit.directory().await;
    assert_eq!(kit.store.connectors().await.unwrap()[0].paused, Some(paused));
    kit.store.pause(dir, None).await.unwrap();
    assert_eq!(kit.store.connectors().await.unwrap()[0].paused, None);
}

#[tokio::test]
async fn an_orphan_gets_a_tombstone_where_it_is_clear_whose_it_would_be() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let kind = scim_relay_sdk::scim::ResourceKind::User;
    let take = async |kit: &Kit, target: &str| {
        kit.store
            .take_orphan(dir, kind, target.to_owned(), "uid=x".to_owned(), kit.now())
            .await
            .unwrap()
    };
    assert!(!take(&kit, "e9").await, "two organizations");
    let north_only = crate::store::Registration {
        organizations: vec![super::kit::arc(super::kit::NORTH)],
        ..super::kit::directory()
    };
    kit.register(north_only).await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, linked("e1")).await;
    assert!(!take(&kit, "e1").await, "it has an owner");
    assert!(take(&kit, "e9").await);
    let claims = kit.claim(dir).await;
    let case = kit.case(&claims[0]).await;
    assert!(case.deleted);
    assert_eq!(case.link.unwrap().target_id, "e9");
    assert_eq!(claims[0].reason, Reason::Drift);
    assert_eq!(kit.store.population(kit.north).await.unwrap(), (1, 0));
}
