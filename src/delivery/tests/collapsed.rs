//! What a receiver of events is told after it took none for longer than the log is kept.

use std::time::Duration;

use scim_relay_sdk::connector::{Semantics, Verb};

use super::kit::{Fake, Kit, Wish};
use crate::store::Store;

#[tokio::test]
async fn a_group_is_told_with_everybody_who_is_in_it() {
    let mut kit = Kit::new().await;
    let fake = kit.add("target", Fake::new(Semantics::EveryEvent), Wish::default()).await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let choir = kit.group("choir", &[&ada, &bob]).await;
    kit.rename(&choir, "quartet").await;
    kit.pass(Duration::from_hours(1)).await;
    while kit.store.prune(kit.now(), kit.now()).await.unwrap().more {}

    kit.start();
    kit.until_idle().await;
    let seen = fake.seen.lock().unwrap();
    let told: Vec<_> = seen.iter().filter(|work| work.key.id == choir.id).collect();
    let [work] = told[..] else { panic!("one event: {told:?}") };
    let change = work.change.as_ref().unwrap();
    assert_eq!((change.verb, change.collapsed), (Verb::Created, true), "it did not know it");
    let mut joined: Vec<_> = change.joined.iter().map(|member| member.value.clone()).collect();
    joined.sort();
    let mut members = [ada.id.to_string(), bob.id.to_string()];
    members.sort();
    assert_eq!(joined, members);
}
