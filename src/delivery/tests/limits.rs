//! How fast a lane works.

use std::time::Duration;

use scim_relay_sdk::connector::{Rate, Semantics};

use super::kit::{Fake, Kit, Wish, eventually, is, unreachable};
use crate::store::{Paused, State, Store};

const HOURLY: Option<Rate> = Some(Rate { count: 1, per: Duration::from_hours(1) });

#[tokio::test]
async fn a_rate_is_kept_and_a_stop_does_not_wait_for_it() {
    let wish = Wish { rate: HOURLY, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    for number in 0..10 {
        kit.user(&format!("user{number}")).await;
    }
    eventually("the first", async || fake.count() == 1).await;
    // An hour is too long to keep anything for.
    kit.until_nobody_works().await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), kit.engine().stop()).await;
    assert!(stopped.is_ok());
    let entries = kit.entries().await;
    assert_eq!((entries.len(), fake.count()), (9, 1));
    assert!(entries.iter().all(|entry| !entry.in_flight && entry.attempts == 0));
}

#[tokio::test]
async fn who_waits_for_the_rate_heeds_a_pause_and_a_target_in_trouble() {
    for by_person in [true, false] {
        let nearly_a_second = Rate { count: 1, per: Duration::from_millis(900) };
        let wish = Wish { rate: Some(nearly_a_second), ..Wish::default() };
        let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
        if !by_person {
            fake.does(|_| unreachable());
        }
        for number in 0..20 {
            kit.user(&format!("user{number}")).await;
        }
        eventually("the first", async || fake.count() > 0).await;
        if by_person {
            let paused = Paused { at: kit.now(), by: "kari".to_owned(), why: None };
            kit.engine().set_paused("target", Some(paused));
        }
        kit.until_nobody_works().await;
        let told = fake.count();
        assert!(told < 10, "{told}");
        let left = if by_person { 20 - told } else { 20 };
        assert_eq!(kit.entries().await.len(), left);
    }
}

#[tokio::test]
async fn what_does_not_reach_the_target_uses_up_no_rate() {
    let mut fake = Fake::new(Semantics::EveryEvent);
    fake.reaches = |work| is(work, "ada");
    let wish = Wish { rate: HOURLY, scope: Some("title ne \"out\""), ..Wish::default() };
    let (kit, fake) = Kit::running(fake, wish).await;
    let out = kit.user("eve").await;
    kit.change(&out, "eve", "out").await;
    for number in 0..10 {
        kit.user(&format!("user{number}")).await;
    }
    kit.until_idle().await;
    kit.user("ada").await;
    kit.until_idle().await;
    let ada = fake.told().iter().filter(|told| *told == "ada").count();
    assert_eq!(ada, 1);
}

#[tokio::test]
async fn a_slow_lane_keeps_nothing_that_it_cannot_deliver_soon() {
    let wish = Wish { rate: HOURLY, ..Wish::default() };
    let mut kit = Kit::new().await;
    let fake = kit.add("target", Fake::new(Semantics::LatestState), wish).await;
    for number in 0..50 {
        kit.user(&format!("user{number}")).await;
    }
    kit.start();
    eventually("the first", async || fake.count() == 1).await;
    kit.until_nobody_works().await;
    let entries = kit.entries().await;
    assert_eq!(entries.len(), 49);
    assert!(entries.iter().all(|entry| entry.state == State::Pending && entry.attempts == 0));
    // It may be paused and go on meanwhile: that is no new leave.
    let paused = Paused { at: kit.now(), by: "kari".to_owned(), why: None };
    for paused in [Some(paused), None] {
        kit.engine().set_paused("target", paused);
        kit.store.writable().await.unwrap();
        kit.until_nobody_works().await;
    }
    assert_eq!(fake.count(), 1);
}
