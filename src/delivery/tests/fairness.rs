//! That nobody takes a lane from the others.

use std::time::Duration;

use scim_relay_sdk::connector::Semantics;

use super::kit::{Answer, Fake, Kit, Wish, busy, eventually, told};
use crate::store::State;

#[tokio::test]
async fn what_fails_slowly_takes_half_of_the_slots_at_most() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    let is_poison = |work: &_| told(work).starts_with("poison");
    fake.does(move |work| if is_poison(work) { busy() } else { Answer::Done });
    for number in 0..8 {
        let poison = kit.user(&format!("poison{number}")).await;
        kit.until(&poison, State::Retrying).await;
    }
    fake.does(move |work| if is_poison(work) { Answer::Hang } else { Answer::Done });
    kit.pass(Duration::from_secs(6)).await;
    eventually("two of four slots hang", async || fake.count() == 8 + 2).await;
    for number in 0..20 {
        let name = format!("fresh{number}");
        kit.user(&name).await;
        eventually("the others get on", async || fake.told().contains(&name)).await;
    }
    eventually(
        "of the others nothing is left, nor is a third of those kept for later",
        async || {
            let entries = kit.entries().await;
            entries.len() == 8 && entries.iter().filter(|entry| entry.in_flight).count() == 2
        },
    )
    .await;
    assert_eq!(fake.count(), 8 + 2 + 20, "and no third one was tried");
}

#[tokio::test]
async fn what_is_claimed_ahead_goes_back_once_the_target_is_slow() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    fake.does(|_| Answer::Done);
    for number in 0..100 {
        kit.user(&format!("quick{number}")).await;
    }
    fake.does(|work| if told(work).starts_with("slow") { Answer::WhenOpen } else { Answer::Done });
    for number in 0..60 {
        kit.user(&format!("slow{number}")).await;
    }
    eventually("four in flight and nothing beside them", async || {
        let entries = kit.entries().await;
        entries.len() == 60 && entries.iter().filter(|entry| entry.in_flight).count() == 4
    })
    .await;
    assert!(kit.entries().await.iter().all(|entry| entry.attempts == 0));
    fake.open();
    kit.until_idle().await;
}

#[tokio::test]
async fn a_neighbour_gets_the_next_slot_however_many_wait_before_it() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    fake.does(|_| Answer::WhenOpen);
    for number in 0..60 {
        kit.user(&format!("slow{number}")).await;
    }
    eventually("all slots in use", async || fake.count() == 4).await;
    kit.neighbour("ada").await;
    fake.open();
    kit.until_idle().await;
    let place = fake.told().iter().position(|told| told == "ada").unwrap();
    // Four were before it, and a few slots may come free in the time of one claim.
    assert!(place <= 4 + 4, "{place}");
}
