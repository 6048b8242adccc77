//! Everyone at once.

use std::time::Duration;

use scim_relay_sdk::connector::Verb;

use super::kit::{Kit, NORTH, arc, directory, hook, linked};
use crate::store::{Reason, Registration, State, Store};

#[tokio::test]
async fn everyone_is_marked_in_chunks_also_when_it_is_cut_off_half_way() {
    let mut kit = Kit::new().await;
    kit.users(2_500).await;
    let dir = kit.directory().await;
    assert!(kit.store.walk_fanout(kit.now()).await.unwrap());
    assert_eq!(kit.backlog(dir).await.pending, 1_000);
    let late = kit.user("late").await;
    let kit = kit.reopened().await;
    assert_eq!(kit.state_of(dir, &late).await, Some(State::Pending), "marked by its own write");
    assert!(kit.walk_to_the_end().await >= 2);
    assert_eq!(kit.backlog(dir).await.pending, 2_501);
    assert!(!kit.store.walk_fanout(kit.now()).await.unwrap());
}

#[tokio::test]
async fn a_new_connector_gets_everyone() {
    let mut kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let gone = kit.user("gone").await;
    kit.delete(&gone).await;
    let dir = kit.directory().await;
    kit.walk_to_the_end().await;
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!((entry.id, entry.reason.as_str()), (ada.id, "backfill"));
    kit.deliver_all(dir).await;
    kit.directory().await;
    kit.walk_to_the_end().await;
    assert!(kit.entries(dir).await.is_empty(), "it is not new any more");
}

#[tokio::test]
async fn a_new_event_connector_is_told_that_everyone_was_created() {
    let mut kit = Kit::new().await;
    let ada = kit.user("ada").await;
    kit.change(&ada, "ada", "newer").await;
    let hook = kit.hook().await;
    // A change that comes before the walk is told after it, as what it is.
    kit.walk_to_the_end().await;
    kit.change(&ada, "ada", "newest").await;
    let mut told = Vec::new();
    while let Some(claim) = kit.claim_of(hook, &ada).await {
        let case = kit.case(&claim).await;
        told.push((case.change.as_ref().unwrap().verb, case.attributes["title"].clone()));
        kit.settle_as(&claim, Some(&case), linked("e1")).await;
    }
    assert_eq!(told, [(Verb::Created, "newer".into()), (Verb::Updated, "newest".into())]);
}

#[tokio::test]
async fn who_has_not_changed_for_years_is_told_to_a_new_event_connector_too() {
    let mut kit = Kit::new().await;
    let ada = kit.user("ada").await;
    kit.change(&ada, "ada", "newer").await;
    kit.pass(Duration::from_hours(24 * 365));
    while kit.store.prune(kit.now(), kit.now()).await.unwrap().more {}
    let hook = kit.hook().await;
    kit.walk_to_the_end().await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    let case = kit.case(&claim).await;
    assert_eq!(case.change.unwrap().verb, Verb::Created);
    assert_eq!(case.attributes["title"], "newer");
}

#[tokio::test]
async fn a_connector_that_backfills_nobody_hears_of_what_changes_from_now_on() {
    let mut kit = Kit::new().await;
    kit.user("ada").await;
    let mail =
        kit.register(Registration { name: "mail".to_owned(), backfills: false, ..hook() }).await;
    kit.walk_to_the_end().await;
    assert!(kit.entries(mail).await.is_empty());
    let bob = kit.user("bob").await;
    assert_eq!(Kit::only(kit.entries(mail).await).id, bob.id);
}

#[tokio::test]
async fn a_changed_file_evaluates_everyone_anew_but_tells_no_event_again() {
    let mut kit = Kit::new().await;
    let (dir, hook_id) = (kit.directory().await, kit.hook().await);
    let ada = kit.user("ada").await;
    let gone = kit.user("gone").await;
    for connector in [dir, hook_id] {
        kit.deliver_all(connector).await;
    }
    kit.delete(&gone).await;
    kit.deliver_all(dir).await;
    let changed = || "2".to_owned();
    kit.register(Registration { fingerprint: changed(), ..directory() }).await;
    kit.register(Registration { fingerprint: changed(), ..hook() }).await;
    kit.deliver_all(hook_id).await;
    kit.walk_to_the_end().await;
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!((entry.id, entry.reason.as_str()), (ada.id, "reconfigured"));
    assert!(kit.entries(hook_id).await.is_empty());
}

#[tokio::test]
async fn what_of_an_organization_waits_goes_when_a_connector_serves_it_no_longer() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ours, theirs) = (kit.user("ada").await, kit.user_in(kit.south, "ada").await);
    kit.deliver_all(dir).await;
    assert_eq!(kit.links(dir).await, 2);
    kit.store.mark_everyone(dir, None, Reason::Resync).await.unwrap();
    kit.walk_to_the_end().await;
    let north_only = Registration { organizations: vec![arc(NORTH)], ..directory() };
    kit.register(north_only).await;
    assert_eq!(Kit::only(kit.entries(dir).await).id, ours.id);
    kit.user_in(kit.south, "bob").await;
    kit.store.mark(dir, vec![theirs.row], Reason::Resync, kit.now()).await.unwrap();
    assert_eq!(kit.entries(dir).await.len(), 1, "nobody there is marked any more");
    assert_eq!(kit.links(dir).await, 2, "what the target holds stays as it is");
    // And it is served again.
    kit.deliver_all(dir).await;
    kit.directory().await;
    kit.walk_to_the_end().await;
    assert_eq!(kit.entries(dir).await.len(), 2);
}

#[tokio::test]
async fn everyone_of_one_organization_is_marked() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ours, _) = (kit.user("ada").await, kit.user_in(kit.south, "ada").await);
    kit.deliver_all(dir).await;
    kit.store.mark_everyone(dir, Some(kit.north), Reason::Resync).await.unwrap();
    kit.walk_to_the_end().await;
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!((entry.id, entry.reason.as_str()), (ours.id, "resync"));
}

#[tokio::test]
async fn who_was_deleted_is_marked_where_the_target_still_holds_something() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    kit.deliver_all(dir).await;
    kit.delete(&ada).await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, linked("kept in ou=leavers")).await;
    kit.store.mark_everyone(dir, None, Reason::Resync).await.unwrap();
    kit.walk_to_the_end().await;
    assert_eq!(Kit::only(kit.entries(dir).await).id, ada.id);
}
