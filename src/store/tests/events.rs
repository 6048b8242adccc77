//! Queue rows of connectors that want every change.

use std::time::Duration;

use jiff::SignedDuration;
use scim_relay_sdk::connector::Verb;

use super::kit::{Kit, linked, parked, unlinked};
use crate::store::{Outcome, Reason, State, Store, Touch};

#[tokio::test]
async fn every_change_is_handed_out_in_order_one_a_claim() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = kit.user("ada").await;
    for title in ["a", "b"] {
        kit.change(&ada, "ada", title).await;
    }
    kit.delete(&ada).await;
    let mut told = Vec::new();
    loop {
        let claims = kit.claim(hook).await;
        let [claim] = &claims[..] else { break };
        let case = kit.case(claim).await;
        let change = case.change.as_ref().unwrap();
        told.push((change.verb, case.attributes["title"].as_str().unwrap().to_owned()));
        assert_eq!(case.deleted, change.verb == Verb::Deleted);
        assert!(case.gone, "by now, whatever the change says");
        let end = if case.deleted { unlinked() } else { linked("e1") };
        kit.settle_as(claim, Some(&case), end).await;
    }
    let told: Vec<_> = told.iter().map(|(verb, title)| (*verb, title.as_str())).collect();
    let (created, updated, deleted) = (Verb::Created, Verb::Updated, Verb::Deleted);
    assert_eq!(told, [(created, ""), (updated, "a"), (updated, "b"), (deleted, "b")]);
    assert!(kit.entries(hook).await.is_empty());
}

#[tokio::test]
async fn each_event_counts_its_own_failures_and_its_own_lag() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = kit.user("ada").await;
    kit.pass(Duration::from_mins(1));
    let second = kit.now();
    kit.change(&ada, "ada", "newer").await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    let due = kit.now() + SignedDuration::from_secs(1);
    kit.settle(
        &claim,
        Outcome::Retry { due, error: "busy".to_owned(), counted: true, in_doubt: true },
    )
    .await;
    kit.pass(Duration::from_secs(1));
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    assert_eq!((claim.attempts, claim.in_doubt), (1, true));
    kit.settle(&claim, linked("e1")).await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    assert_eq!((claim.attempts, claim.first_failed, claim.in_doubt), (0, None, false));
    assert_eq!(claim.dirty_at, second);
}

#[tokio::test]
async fn a_parked_event_blocks_its_resource_and_no_other() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    kit.settle(&claim, parked("410 Gone")).await;
    kit.change(&ada, "ada", "newer").await;
    assert_eq!(kit.state_of(hook, &ada).await, Some(State::Parked), "its turn has not come");
    let claims = kit.claim(hook).await;
    assert_eq!(claims.iter().map(|claim| claim.resource).collect::<Vec<_>>(), [bob.row]);
}

#[tokio::test]
async fn skipping_goes_past_one_event_alone() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = kit.user("ada").await;
    kit.pass(Duration::from_mins(1));
    let second = kit.now();
    kit.change(&ada, "ada", "newer").await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    kit.settle(&claim, parked("410 Gone")).await;
    assert_eq!(kit.touch(hook, Touch::Skip).await, 1);
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    assert_eq!((claim.dirty_at, claim.attempts), (second, 0));
    let case = kit.case(&claim).await;
    assert_eq!(case.attributes["title"], "newer");
    kit.settle(&claim, parked("410 Gone")).await;
    assert_eq!(kit.touch(hook, Touch::Skip).await, 1);
    assert!(kit.entries(hook).await.is_empty(), "it was the last");
    kit.change(&ada, "ada", "newest").await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    assert_eq!(kit.case(&claim).await.attributes["title"], "newest");
}

#[tokio::test]
async fn skipping_leaves_alone_what_a_state_connector_has() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    kit.change(&ada, "ada", "newer").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert_eq!(kit.touch(dir, Touch::Skip).await, 0, "what is worked on is not touched");
    kit.settle(&claim, parked("refused")).await;
    assert_eq!(kit.touch(dir, Touch::Skip).await, 1);
    assert!(kit.entries(dir).await.is_empty());
}

#[tokio::test]
async fn an_event_is_the_change_as_it_was_however_late() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    let before = kit.case(&claim).await;
    kit.pass(Duration::from_secs(9));
    kit.change(&ada, "ada", "newer").await;
    let after = kit.case(&claim).await;
    assert_eq!(before.attributes, after.attributes);
    assert_eq!(before.change.unwrap().seq, after.change.unwrap().seq);
}

#[tokio::test]
async fn somebody_asked_for_again_gets_their_newest_event_again() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = kit.user("ada").await;
    kit.change(&ada, "ada", "newer").await;
    kit.deliver_all(hook).await;
    kit.store.mark(hook, vec![ada.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    let case = kit.case(&claim).await;
    assert_eq!(case.attributes["title"], "newer");
    kit.settle_as(&claim, Some(&case), linked("e1")).await;
    assert!(kit.entries(hook).await.is_empty());
}

#[tokio::test]
async fn who_may_have_been_told_of_somebody_is_told_that_they_are_gone() {
    for in_doubt in [true, false] {
        let mut kit = Kit::new().await;
        let hook = kit.hook().await;
        let ada = kit.user("ada").await;
        let claim = kit.claim_of(hook, &ada).await.unwrap();
        let (due, error) = (kit.now(), "no answer".to_owned());
        kit.settle(&claim, Outcome::Retry { due, error, counted: true, in_doubt }).await;
        assert_eq!(kit.touch(hook, Touch::Skip).await, 1);
        kit.delete(&ada).await;
        let claim = kit.claim_of(hook, &ada).await.unwrap();
        let case = kit.case(&claim).await;
        assert_eq!((case.deleted, case.link.is_some()), (true, in_doubt));
        kit.settle_as(&claim, Some(&case), unlinked()).await;
        assert_eq!(kit.links(hook).await, 0);
    }
}
