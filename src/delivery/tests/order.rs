//! That each resource is told in order, whatever happens.

use std::collections::HashMap;
use std::time::Duration;

use scim_relay_sdk::connector::{DeliveryError, Semantics};

use super::dice::Dice;
use super::kit::{Answer, Fake, Kit, Wish, busy, eventually, told, unreachable};

async fn run(seed: u64, semantics: Semantics) {
    let (kit, fake) = Kit::running(Fake::new(semantics), Wish::default()).await;
    let (taken, delivered) = std::sync::mpsc::channel();
    let mut dice = Dice::new(seed);
    fake.does(move |work| {
        let answer = match dice.throw(12) {
            0 | 1 => busy(),
            2 => Answer::Fail(DeliveryError::in_doubt("no answer")),
            3 => unreachable(),
            _ => Answer::Done,
        };
        if matches!(answer, Answer::Done) {
            taken.send(told(work)).unwrap();
        }
        answer
    });
    let mut written: HashMap<String, Vec<String>> = HashMap::new();
    let mut people = Vec::new();
    for number in 0..5 {
        let name = format!("user{number}");
        people.push(kit.user(&name).await);
        written.insert(name.clone(), vec![name]);
    }
    let mut dice = Dice::new(seed ^ 0x5eed);
    for step in 0..60 {
        let who = dice.throw(5) as usize;
        let name = format!("user{who}");
        kit.change(&people[who], &name, &step.to_string()).await;
        written.get_mut(&name).unwrap().push(format!("{name} {step}"));
        if dice.throw(3) == 0 {
            kit.pass(Duration::from_secs(dice.throw(20))).await;
        }
    }
    eventually("everything delivered", async || {
        kit.pass(Duration::from_mins(2)).await;
        kit.entries().await.is_empty()
    })
    .await;
    let mut seen: HashMap<String, Vec<String>> = HashMap::new();
    for told in delivered.try_iter() {
        seen.entry(told.split(' ').next().unwrap().to_owned()).or_default().push(told);
    }
    for (name, written) in written {
        let seen = &seen[&name];
        if semantics == Semantics::EveryEvent {
            assert_eq!(*seen, written, "seed {seed}");
        } else {
            // Some were overtaken, none comes after a newer one, and the last one is the last.
            let mut places = seen.iter().map(|one| written.iter().position(|other| other == one));
            assert!(places.all(|place| place.is_some()));
            let places: Vec<_> =
                seen.iter().map(|one| written.iter().position(|other| other == one)).collect();
            assert!(places.is_sorted(), "seed {seed}: {places:?}");
            assert_eq!(seen.last(), written.last(), "seed {seed}");
        }
    }
}

#[tokio::test]
async fn every_event_of_a_resource_is_told_once_and_in_the_order_in_which_it_was_written() {
    for seed in 0..6 {
        run(seed, Semantics::EveryEvent).await;
    }
}

#[tokio::test]
async fn the_newest_state_is_told_last_and_never_an_older_one_after_it() {
    for seed in 0..6 {
        run(seed, Semantics::LatestState).await;
    }
}
