//! Who is claimed next: what is fresh, what has failed and what is done in the background take
//! turns, and nothing that ends the process holds up the rest.

use std::collections::HashSet;
use std::time::Duration;

use super::kit::{Kit, directory, linked, parked};
use crate::store::{Claim, ConnectorId, Outcome, Reason, Registration, Room, RowId, State, Store};

fn retry(kit: &Kit) -> Outcome {
    let due = kit.now() + Duration::from_secs(1);
    Outcome::Retry { due, error: "busy".to_owned(), counted: true, in_doubt: false }
}

/// `f`resh, `r`etried or in the `b`ackground.
fn classes(claims: &[Claim]) -> String {
    let class = |claim: &Claim| match (claim.is_retry, claim.background) {
        (true, _) => 'r',
        (false, true) => 'b',
        (false, false) => 'f',
    };
    claims.iter().map(class).collect()
}

/// A directory for which so many are fresh, have failed, and are asked for in the background.
async fn waiting(fresh: usize, retried: usize, background: usize) -> (Kit, ConnectorId) {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let people = kit.users(retried + background).await;
    let (failing, known) = people.split_at(retried);
    for claim in kit.claim(dir).await {
        let fails = failing.iter().any(|one| one.row == claim.resource);
        kit.settle(&claim, if fails { retry(&kit) } else { linked(&claim.resource.0.to_string()) })
            .await;
    }
    let rows = known.iter().map(|one| one.row).collect();
    kit.store.mark(dir, rows, Reason::Drift, kit.now()).await.unwrap();
    kit.pass(Duration::from_secs(2));
    for number in 0..fresh {
        kit.user(&format!("fresh{number}")).await;
    }
    // A process begins with the first turn.
    (kit.reopened().await, dir)
}

#[tokio::test]
async fn each_class_has_its_share_and_what_is_left_over_goes_to_who_has_more() {
    for (fresh, retried, background, rows, expected) in [
        (20, 20, 20, 8, "frfbfrfb"),
        (1, 20, 20, 8, "frbrbrbr"),
        (20, 0, 0, 4, "ffff"),
        (0, 0, 20, 4, "bbbb"),
        (2, 1, 1, 8, "frfb"),
        (0, 20, 20, 4, "rbrb"),
    ] {
        let (kit, dir) = waiting(fresh, retried, background).await;
        let claims = kit.claim_some(dir, rows).await;
        assert_eq!(classes(&claims), expected, "{fresh} {retried} {background}");
    }
}

#[tokio::test]
async fn whoever_claims_one_at_a_time_keeps_to_the_shares() {
    let (kit, dir) = waiting(20, 20, 20).await;
    let mut all = String::new();
    for _ in 0..8 {
        all += &classes(&kit.claim_some(dir, 1).await);
    }
    assert_eq!(all, "frfbfrfb");
}

#[tokio::test]
async fn no_more_retries_are_claimed_than_there_is_room_for() {
    let (kit, dir) = waiting(2, 20, 0).await;
    let room = Room { rows: 8, retries: 1 };
    assert_eq!(classes(&kit.store.claim(dir, room, kit.now()).await.unwrap()), "frf");
    let none = Room { rows: 8, retries: 0 };
    assert!(kit.store.claim(dir, none, kit.now()).await.unwrap().is_empty());
    assert_eq!(kit.store.next_due(dir, none).await.unwrap(), None, "nothing that may begin");
    assert!(kit.store.next_due(dir, room).await.unwrap().unwrap() <= kit.now());
}

#[tokio::test]
async fn a_change_takes_its_resource_out_of_the_background() {
    for wants_events in [false, true] {
        let mut kit = Kit::new().await;
        let people = kit.users(20).await;
        let dir = kit.register(Registration { every_event: wants_events, ..directory() }).await;
        kit.walk_to_the_end().await;
        let ada = &people[13];
        kit.change(ada, "user13", "newer").await;
        let claims = kit.claim_some(dir, 4).await;
        assert_eq!(classes(&claims), "fbbb");
        assert_eq!((claims[0].resource, claims[0].reason), (ada.row, Reason::Backfill));
    }
}

#[tokio::test]
async fn what_comes_of_background_work_is_background_work() {
    let mut kit = Kit::new().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let (choir, band) = (kit.group("choir", &[&ada]).await, kit.group("band", &[&bob]).await);
    let dir = kit.directory().await;
    kit.walk_to_the_end().await;
    kit.change(&bob, "bob", "newer").await;
    // The groups first, so that each has a member to come yet.
    for group in [&choir, &band] {
        let claim = kit.claim_of(dir, group).await.unwrap();
        kit.settle(&claim, linked(&claim.resource.0.to_string())).await;
    }
    for one in [&ada, &bob] {
        let claim = kit.claim_of(dir, one).await.unwrap();
        kit.settle(&claim, linked(&claim.resource.0.to_string())).await;
    }
    let background = |claims: Vec<Claim>| -> HashSet<(RowId, bool)> {
        claims.iter().map(|claim| (claim.resource, claim.background)).collect()
    };
    let expected = HashSet::from([(choir.row, true), (band.row, false)]);
    assert_eq!(background(kit.claim(dir).await), expected);
}

#[tokio::test]
async fn who_is_added_alone_is_fresh_and_those_below_a_group_that_moves_are_not() {
    let mut kit = Kit::new().await;
    let dir = kit.register(Registration { reads_groups: true, ..directory() }).await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let inner = kit.group("inner", &[&bob]).await;
    let outer = kit.group("outer", &[]).await;
    kit.deliver_all(dir).await;
    kit.add(&outer, &[&ada, &inner]).await;
    let background: HashSet<_> = kit
        .claim(dir)
        .await
        .iter()
        .filter(|claim| claim.background)
        .map(|claim| claim.resource)
        .collect();
    assert_eq!(background, HashSet::from([bob.row]));
}

#[tokio::test]
async fn what_is_given_back_keeps_its_place_and_the_clock_of_its_failures() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let people = kit.users(3).await;
    let claim = kit.claim_of(dir, &people[0]).await.unwrap();
    kit.settle(&claim, retry(&kit)).await;
    kit.pass(Duration::from_hours(1));
    let due = async |kit: &Kit| {
        let entries = kit.entries(dir).await;
        entries.iter().find(|entry| entry.id == people[0].id).unwrap().due
    };
    let before = due(&kit).await;
    let mut failed = Vec::new();
    for _ in 0..3 {
        let claim = kit.claim_of(dir, &people[0]).await.unwrap();
        failed.push(claim.first_failed.unwrap());
        kit.settle(&claim, Outcome::Released).await;
        assert_eq!(due(&kit).await, before);
    }
    // An hour, less the second after which it was due, was not its own failing: counted once.
    assert!(failed.iter().all(|at| kit.now().duration_since(*at).as_secs() == 1), "{failed:?}");
    let kit = kit.reopened().await;
    let claim = kit.claim_of(dir, &people[0]).await.unwrap();
    assert_eq!(claim.first_failed, Some(failed[0]), "nor twice over a restart");
}

/// Restarts in the middle of whatever is claimed.
async fn cut_off(kit: Kit, dir: ConnectorId) -> Kit {
    kit.claim(dir).await;
    kit.reopened().await
}

#[tokio::test]
async fn what_may_have_ended_the_process_three_times_waits_and_the_others_get_on() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (poison, beside) = (kit.user("poison").await, kit.user("beside").await);
    for _ in 0..2 {
        kit = cut_off(kit, dir).await;
        assert_eq!(kit.state_of(dir, &poison).await, Some(State::Pending), "twice may be chance");
    }
    kit = cut_off(kit, dir).await;
    assert!(kit.claim(dir).await.is_empty(), "not at once");
    let fresh = kit.user("fresh").await;
    assert_eq!(kit.claim(dir).await[0].resource, fresh.row, "the others get on");
    let entries = kit.entries(dir).await;
    for one in [&poison, &beside] {
        let entry = entries.iter().find(|entry| entry.id == one.id).unwrap();
        assert_eq!((entry.state, entry.attempts), (State::Retrying, 0), "nobody is parked for it");
        assert!(entry.last_error.as_ref().unwrap().contains("ended 3 times in a row"), "{entry:?}");
        let wait = entry.due.duration_since(kit.now()).as_secs();
        assert!(wait <= 1, "{wait}");
    }
    kit.pass(Duration::from_secs(10));
    let claim = kit.claim_of(dir, &beside).await.expect("its time comes");
    kit.settle(&claim, parked("refused")).await;
    assert_eq!(kit.query("SELECT count(*) FROM queue WHERE cuts = 0"), 2, "it was not that one");
}

#[tokio::test]
async fn the_wait_of_what_keeps_ending_the_process_grows_up_to_an_hour() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    kit.user("poison").await;
    let mut waits = Vec::new();
    for _ in 0..14 {
        kit = cut_off(kit, dir).await;
        let entry = Kit::only(kit.entries(dir).await);
        waits.push(entry.due.duration_since(kit.now()).as_secs().max(0));
        kit.pass(Duration::from_hours(2));
    }
    assert_eq!(waits[..2], [0, 0]);
    for (cut, wait) in waits.iter().enumerate().skip(2) {
        let longest = (1 << (cut - 2)).min(3_600);
        assert!((longest / 2..=longest).contains(wait), "{waits:?}");
    }
}

#[tokio::test]
async fn being_given_back_says_nothing_of_what_may_end_the_process() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let poison = kit.user("poison").await;
    for _ in 0..2 {
        kit = cut_off(kit, dir).await;
        let claim = kit.claim_of(dir, &poison).await.unwrap();
        kit.settle(&claim, Outcome::Released).await;
    }
    kit = cut_off(kit, dir).await;
    assert_eq!(kit.state_of(dir, &poison).await, Some(State::Retrying));
}
