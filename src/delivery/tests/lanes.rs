//! When a lane works and when it does not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use scim_relay_sdk::connector::Semantics;

use super::kit::{Answer, Fake, Kit, Wish, eventually};
use crate::store::{Paused, State, Store};

fn paused(kit: &Kit) -> Paused {
    Paused { at: kit.now(), by: "kari".to_owned(), why: None }
}

#[tokio::test]
async fn a_paused_lane_does_nothing_and_resumes() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    kit.engine().set_paused("target", Some(paused(&kit)));
    let ada = kit.user("ada").await;
    kit.pass(Duration::from_hours(1)).await;
    kit.store.writable().await.unwrap();
    let entry = kit.until(&ada, State::Pending).await;
    assert_eq!((fake.count(), entry.attempts), (0, 0));
    assert_eq!(kit.engine().health("target").unwrap().paused, Some(paused_at(&kit)));
    kit.engine().set_paused("target", None);
    kit.until_idle().await;
    assert_eq!(fake.told(), ["ada"]);
}

/// The pause of an hour ago.
fn paused_at(kit: &Kit) -> Paused {
    Paused { at: kit.now() - Duration::from_hours(1), ..paused(kit) }
}

#[tokio::test]
async fn a_lane_may_begin_paused() {
    let mut kit = Kit::new().await;
    let wish = Wish { paused: Some(paused(&kit)), ..Wish::default() };
    let fake = kit.add("target", Fake::new(Semantics::LatestState), wish).await;
    kit.start();
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Pending).await;
    kit.engine().set_paused("target", None);
    kit.until_idle().await;
    assert_eq!(fake.count(), 1);
}

#[tokio::test]
async fn pausing_lets_what_is_in_flight_end_and_gives_back_the_rest() {
    let wish = Wish { concurrency: 2, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|_| Answer::WhenOpen);
    for number in 0..10 {
        kit.user(&format!("user{number}")).await;
    }
    eventually("two in flight", async || fake.count() == 2).await;
    kit.engine().set_paused("target", Some(paused(&kit)));
    eventually("the rest given back", async || {
        kit.entries().await.iter().filter(|entry| entry.in_flight).count() == 2
    })
    .await;
    fake.open();
    kit.until_nobody_works().await;
    assert_eq!((kit.entries().await.len(), fake.count()), (8, 2));
    kit.engine().set_paused("target", None);
    kit.until_idle().await;
}

#[tokio::test]
async fn a_soft_stop_finishes_what_is_in_flight_and_gives_back_the_rest() {
    let wish = Wish { concurrency: 2, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|_| Answer::WhenOpen);
    for number in 0..10 {
        kit.user(&format!("user{number}")).await;
    }
    eventually("two in flight", async || fake.count() == 2).await;
    kit.soft.cancel();
    let mut stopping = Box::pin(kit.engine().stop());
    assert!(futures_util::poll!(&mut stopping).is_pending(), "two are still in flight");
    fake.open();
    stopping.await;
    let entries = kit.entries().await;
    assert_eq!((entries.len(), fake.count()), (8, 2));
    assert!(entries.iter().all(|entry| !entry.in_flight && entry.attempts == 0));
    kit.tasks.close();
    kit.tasks.wait().await;
    // The next process has nothing to be in doubt about.
    drop(fake);
    let mut kit = kit.cut_off_and_reopened().await;
    kit.start();
    kit.until_idle().await;
    assert!(kit.fake().seen.lock().unwrap().iter().all(|work| !work.in_doubt));
}

#[tokio::test]
async fn a_hard_stop_leaves_what_is_in_flight_to_the_next_start_in_doubt() {
    let wish = Wish { concurrency: 1, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|_| Answer::Hang);
    let ada = kit.user("ada").await;
    eventually("one in flight", async || fake.count() == 1).await;
    drop(fake);
    let mut kit = kit.cut_off_and_reopened().await;
    assert!(!kit.entry(&ada).await.unwrap().in_flight);
    kit.fake().does(super::kit::plainly);
    kit.start();
    kit.until_idle().await;
    assert!(kit.fake().last().in_doubt);
}

#[tokio::test]
async fn no_more_are_in_flight_than_allowed_and_all_that_are() {
    for concurrency in [1, 3, 8] {
        let wish = Wish { concurrency, ..Wish::default() };
        let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
        fake.does(|_| Answer::WhenOpen);
        for number in 0..30 {
            kit.user(&format!("user{number}")).await;
        }
        eventually("all slots in use", async || fake.count() == concurrency).await;
        assert_eq!(kit.engine().health("target").unwrap().in_flight, concurrency);
        fake.open();
        kit.until_idle().await;
        assert_eq!((fake.most.load(Ordering::SeqCst), fake.count()), (concurrency, 30));
    }
}

#[tokio::test]
async fn one_resource_is_in_one_hand() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    fake.does(|_| Answer::WhenOpen);
    let ada = kit.user("ada").await;
    eventually("one in flight", async || fake.count() == 1).await;
    for title in ["a", "b", "c"] {
        kit.change(&ada, "ada", title).await;
    }
    let bob = kit.user("bob").await;
    eventually("bob in flight", async || fake.count() == 2).await;
    assert_eq!(fake.told(), ["ada", "bob"]);
    fake.open();
    kit.until_idle().await;
    assert_eq!(fake.told(), ["ada", "bob", "ada c"], "and what came meanwhile is one delivery");
    assert!(kit.entry(&bob).await.is_none());
}

#[tokio::test]
async fn a_row_that_falls_due_later_is_not_forgotten() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    let mut first = true;
    fake.does(move |_| if std::mem::take(&mut first) { super::kit::busy() } else { Answer::Done });
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Retrying).await;
    kit.pass(Duration::from_secs(6)).await;
    kit.until_idle().await;
    assert_eq!(fake.count(), 2);
}
