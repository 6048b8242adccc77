//! Events that nobody has been told of for longer than the log is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use scim_relay_sdk::connector::Verb;

use super::kit::{Kit, linked, parked};
use crate::store::{Claim, ConnectorId, Paused, State, Store, Stored, Touch};

const DAY: Duration = Duration::from_hours(24);

/// Prunes what is older than ninety days; how many events became a part of another one.
async fn prune(kit: &Kit) -> BTreeMap<String, u64> {
    let before = kit.now() - 90 * DAY;
    let mut all = BTreeMap::new();
    loop {
        let piece = kit.store.prune(before, before).await.unwrap();
        for (connector, events) in piece.collapsed {
            *all.entry(connector).or_default() += events;
        }
        if !piece.more {
            return all;
        }
    }
}

/// Ada, with a change each thirty days: two of them are too old in the end, counted from her first.
async fn ada(kit: &Kit) -> Stored {
    let ada = kit.user("ada").await;
    for title in ["a", "b", "c"] {
        kit.pass(30 * DAY);
        kit.change(&ada, "ada", title).await;
    }
    kit.pass(40 * DAY);
    ada
}

/// What is told of her, each with whether more has become of it than that.
async fn told(kit: &Kit, hook: ConnectorId) -> Vec<(Verb, String, bool)> {
    let mut told = Vec::new();
    while let [claim] = &kit.claim(hook).await[..] {
        let case = kit.case(claim).await;
        let change = case.change.as_ref().unwrap();
        let title = case.attributes["title"].as_str().unwrap().to_owned();
        told.push((change.verb, title, change.collapsed));
        assert_eq!(change.attributes.contains(&"userName".to_owned()), change.collapsed);
        kit.settle_as(claim, Some(&case), linked("e1")).await;
    }
    told
}

async fn log(kit: &Kit, one: &Stored) -> usize {
    kit.store.log(kit.north, one.row, 10).await.unwrap().len()
}

fn hooks(events: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([("hook".to_owned(), events)])
}

fn updated(title: &str, collapsed: bool) -> (Verb, String, bool) {
    (Verb::Updated, title.to_owned(), collapsed)
}

#[tokio::test]
async fn what_is_too_old_is_told_as_one_with_what_is_young_enough() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = ada(&kit).await;
    assert_eq!(prune(&kit).await, hooks(2));
    assert_eq!(log(&kit, &ada).await, 2, "nobody pins what is older than that");
    let entry = Kit::only(kit.entries(hook).await);
    assert_eq!(entry.state, State::Pending);
    assert!(entry.last_error.unwrap().contains("told as one event"));
    assert_eq!(prune(&kit).await, BTreeMap::new(), "it is counted once");
    assert_eq!(told(&kit, hook).await, [updated("b", true), updated("c", false)]);
}

#[tokio::test]
async fn what_is_too_old_altogether_is_told_as_it_is_now() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = ada(&kit).await;
    kit.pass(365 * DAY);
    assert_eq!(prune(&kit).await, hooks(3));
    assert_eq!(log(&kit, &ada).await, 1);
    assert_eq!(told(&kit, hook).await, [updated("c", true)]);
    assert!(kit.entries(hook).await.is_empty());
}

#[tokio::test]
async fn who_waits_for_a_person_or_is_gone_from_the_configuration_pins_nothing() {
    for case in ["parked", "paused", "gone"] {
        let mut kit = Kit::new().await;
        let hook = kit.hook().await;
        let first = kit.user("ada").await;
        match case {
            "parked" => {
                let claim = kit.claim_of(hook, &first).await.unwrap();
                kit.settle(&claim, parked("410 Gone")).await;
            }
            "paused" => {
                let paused = Paused { at: kit.now(), by: "kari".to_owned(), why: None };
                kit.store.pause(hook, Some(paused)).await.unwrap();
            }
            _ => {
                kit.store.register(Vec::new()).await.unwrap();
            }
        }
        kit.change(&first, "ada", "newer").await;
        kit.pass(91 * DAY);
        assert_eq!(prune(&kit).await, hooks(1), "{case}");
        assert_eq!(log(&kit, &first).await, 1, "{case}");
        if case == "parked" {
            let entry = Kit::only(kit.entries(hook).await);
            let error = entry.last_error.unwrap();
            assert_eq!((entry.state, entry.attempts), (State::Parked, 0), "a person still decides");
            assert!(error.starts_with("410 Gone; "), "{error}");
            kit.touch(hook, Touch::Retry).await;
        }
        assert_eq!(told(&kit, hook).await, [updated("newer", true)], "{case}");
    }
}

#[tokio::test]
async fn what_is_just_being_told_is_left_until_it_has_been() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = ada(&kit).await;
    kit.pass(365 * DAY);
    let claim: Claim = kit.claim_of(hook, &ada).await.unwrap();
    let case = kit.case(&claim).await;
    assert_eq!(prune(&kit).await, BTreeMap::new());
    assert_eq!(log(&kit, &ada).await, 4);
    kit.settle_as(&claim, Some(&case), linked("e1")).await;
    assert_eq!(prune(&kit).await, hooks(2), "the first of them was told");
    assert_eq!(told(&kit, hook).await, [updated("c", true)]);
}

#[tokio::test]
async fn what_was_told_goes_and_is_no_event_that_is_missed() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = ada(&kit).await;
    assert_eq!(kit.deliver_all(hook).await, 4);
    kit.pass(365 * DAY);
    assert_eq!(prune(&kit).await, BTreeMap::new());
    assert_eq!(log(&kit, &ada).await, 1);
}
