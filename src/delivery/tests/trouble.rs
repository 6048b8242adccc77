//! A target that is down, or refuses us.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use scim_relay_sdk::connector::{DeliveryError, Semantics};

use super::kit::{Answer, Fake, Kit, Wish, eventually, plainly, told, unreachable};
use crate::delivery::Cause;
use crate::store::{State, Store};

#[tokio::test]
async fn a_target_that_is_down_stops_its_own_lane_alone_and_counts_no_attempt() {
    let mut kit = Kit::new().await;
    let down = kit.add("target", Fake::new(Semantics::LatestState), Wish::default()).await;
    let well = kit.add("other", Fake::new(Semantics::LatestState), Wish::default()).await;
    down.does(|_| unreachable());
    down.answers_probes(unreachable);
    kit.start();
    for number in 0..20 {
        kit.user(&format!("user{number}")).await;
    }
    eventually("the other one in line", async || well.count() == 20).await;
    eventually("trouble", async || kit.engine().health("target").unwrap().trouble.is_some()).await;
    kit.until_nobody_works().await;
    let entries = kit.entries().await;
    assert_eq!(entries.len(), 20);
    assert!(entries.iter().all(|entry| entry.attempts == 0 && entry.state == State::Pending));
    assert!(down.count() <= 4, "those in flight at most: {}", down.count());
    assert!(kit.metrics.text().contains("connector_up{connector=\"target\"} 0"));
    let trouble = kit.engine().health("target").unwrap().trouble.unwrap();
    assert_eq!((trouble.error.as_str(), trouble.cause), ("connection refused", Cause::Unreachable));
    assert!(kit.engine().health("other").unwrap().trouble.is_none());
}

#[tokio::test]
async fn a_target_in_trouble_is_probed_and_its_work_goes_on_in_order() {
    let wish = Wish { concurrency: 1, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|_| unreachable());
    fake.answers_probes(unreachable);
    let first = kit.user("first").await;
    eventually("trouble", async || kit.engine().health("target").unwrap().trouble.is_some()).await;
    for number in 0..5 {
        kit.pass(Duration::from_millis(1)).await;
        kit.user(&format!("user{number}")).await;
    }
    assert_eq!(fake.probes.load(Ordering::SeqCst), 0, "it is not time yet");
    for probes in 1..4 {
        kit.pass(Duration::from_mins(1)).await;
        eventually("a probe", async || fake.probes.load(Ordering::SeqCst) == probes).await;
        eventually("a longer wait", async || {
            let health = kit.engine().health("target").unwrap();
            health.trouble.is_some_and(|trouble| trouble.next_probe > kit.now())
        })
        .await;
    }
    let tried = fake.count();
    fake.does(plainly);
    fake.answers_probes(|| Answer::Done);
    kit.pass(Duration::from_mins(2)).await;
    kit.until_idle().await;
    let told = fake.told();
    assert_eq!(
        told[tried..],
        ["first", "user0", "user1", "user2", "user3", "user4"].map(str::to_owned)
    );
    assert!(kit.engine().health("target").unwrap().trouble.is_none());
    assert!(kit.entry(&first).await.is_none());
    assert!(kit.metrics.text().contains("connector_up{connector=\"target\"} 1"));
}

#[tokio::test]
async fn refused_credentials_are_said_to_be_that() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    fake.does(|_| Answer::Fail(DeliveryError::credentials("invalid credentials")));
    kit.user("ada").await;
    eventually("trouble", async || {
        let trouble = kit.engine().health("target").unwrap().trouble;
        trouble.is_some_and(|trouble| trouble.cause == Cause::Credentials)
    })
    .await;
    kit.until_nobody_works().await;
    kit.pass(Duration::from_secs(20)).await;
    kit.store.writable().await.unwrap();
    assert_eq!(fake.probes.load(Ordering::SeqCst), 0, "each try counts towards a lock-out");
}

#[tokio::test]
async fn a_target_that_answers_probes_and_takes_nothing_is_not_asked_all_the_time() {
    let wish = Wish { concurrency: 1, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|_| unreachable());
    let ada = kit.user("ada").await;
    let mut waits = Vec::new();
    for attempt in 1..=4 {
        eventually("an attempt", async || fake.count() == attempt).await;
        eventually("trouble", async || kit.engine().health("target").unwrap().trouble.is_some())
            .await;
        let trouble = kit.engine().health("target").unwrap().trouble.unwrap();
        let wait = trouble.next_probe.duration_since(kit.now());
        waits.push(wait.as_secs_f64());
        kit.pass(Duration::try_from(wait).unwrap()).await;
    }
    for (wait, window) in waits.iter().zip([2.0, 4.0, 8.0, 16.0]) {
        assert!((window / 2.0..=window).contains(wait), "{waits:?}");
    }
    assert_eq!(kit.entry(&ada).await.unwrap().attempts, 0);
}

#[tokio::test]
async fn a_target_that_fails_everybody_is_down_until_something_arrives() {
    let wish = Wish { concurrency: 1, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|_| Answer::Fail(DeliveryError::later("503 Service Unavailable")));
    for number in 0..20 {
        kit.user(&format!("user{number}")).await;
    }
    let trouble = async || kit.engine().health("target").unwrap().trouble;
    eventually("trouble", async || trouble().await.is_some()).await;
    kit.until_nobody_works().await;
    assert_eq!(fake.count(), 8, "enough to know it");
    let begun = trouble().await.unwrap();
    assert_eq!(
        (begun.error.as_str(), begun.cause),
        ("503 Service Unavailable", Cause::TakesNothing)
    );

    // It answers probes, and is tried again and again: that is nobody's failure.
    for tries in 9..=12 {
        kit.pass(Duration::from_mins(1)).await;
        eventually("a try", async || fake.count() == tries).await;
        eventually("a pause", async || trouble().await.unwrap().next_probe > kit.now()).await;
        kit.until_nobody_works().await;
        assert_eq!(trouble().await.unwrap().since, begun.since);
    }
    let attempts: Vec<_> = kit.entries().await.iter().map(|entry| entry.attempts).collect();
    assert_eq!(attempts.iter().sum::<u32>(), 7, "before that was known: {attempts:?}");
    let tried: BTreeSet<_> = fake.told()[8..].iter().cloned().collect();
    assert_eq!(tried.len(), 4, "one after another, not the same one again: {tried:?}");

    fake.does(plainly);
    kit.pass(Duration::from_mins(1)).await;
    kit.until_idle().await;
    assert!(trouble().await.is_none());
    assert!(kit.metrics.text().contains("connector_up{connector=\"target\"} 1"));
}

#[tokio::test]
async fn several_that_fail_by_themselves_hold_up_nobody_for_long() {
    let wish = Wish { concurrency: 1, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|work| match told(work) {
        odd if odd.starts_with("odd") => Answer::Fail(DeliveryError::later("500")),
        _ => plainly(work),
    });
    for number in 0..10 {
        kit.user(&format!("odd{number}")).await;
    }
    eventually("trouble", async || kit.engine().health("target").unwrap().trouble.is_some()).await;
    let even = kit.user("even").await;
    // One is tried each time, by turns of those who have failed and of those who have not.
    let mut tries = fake.count();
    while kit.entry(&even).await.is_some() {
        kit.pass(Duration::from_mins(1)).await;
        eventually("a try", async || fake.count() > tries).await;
        kit.until_nobody_works().await;
        tries = fake.count();
        assert!(tries < 20, "{:?}", fake.told());
    }
    assert!(kit.engine().health("target").unwrap().trouble.is_none());
}

#[tokio::test]
async fn a_probe_that_crashes_or_hangs_does_not_end_the_lane() {
    let wish = Wish { timeout: Duration::from_millis(2), ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|_| unreachable());
    kit.user("ada").await;
    eventually("trouble", async || kit.engine().health("target").unwrap().trouble.is_some()).await;
    let ways: [fn() -> Answer; 2] = [|| Answer::Panic, || Answer::Hang];
    for (way, error) in ways.into_iter().zip(["crashed while it probed", "the probe got no answer"])
    {
        fake.answers_probes(way);
        kit.pass(Duration::from_mins(2)).await;
        eventually(error, async || {
            let trouble = kit.engine().health("target").unwrap().trouble;
            trouble.is_some_and(|trouble| trouble.error.contains(error))
        })
        .await;
    }
    fake.does(plainly);
    fake.answers_probes(|| Answer::Done);
    kit.pass(Duration::from_mins(2)).await;
    kit.until_idle().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_probe() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    fake.does(|_| unreachable());
    fake.answers_probes(|| Answer::Hang);
    kit.user("ada").await;
    eventually("trouble", async || kit.engine().health("target").unwrap().trouble.is_some()).await;
    kit.pass(Duration::from_mins(2)).await;
    eventually("a probe", async || fake.probes.load(Ordering::SeqCst) == 1).await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), kit.engine().stop()).await;
    assert!(stopped.is_ok(), "a probe may take six minutes here");
}

#[tokio::test]
async fn somebody_who_resumes_a_connector_has_it_probed_at_once() {
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await;
    fake.does(|_| unreachable());
    kit.user("ada").await;
    eventually("trouble", async || kit.engine().health("target").unwrap().trouble.is_some()).await;
    kit.until_nobody_works().await;
    fake.does(plainly);
    kit.engine().set_paused("target", None);
    kit.until_idle().await;
}

/// A firewall before a receiver that dislikes a name, a system that keeps one account to itself.
#[tokio::test]
async fn who_alone_is_refused_holds_up_nobody_for_long() {
    let wish = Wish { concurrency: 1, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|work| match told(work).as_str() {
        "drop-table" => Answer::Fail(DeliveryError::credentials("403")),
        _ => plainly(work),
    });
    let odd = kit.user("drop-table").await;
    eventually("trouble", async || kit.engine().health("target").unwrap().trouble.is_some()).await;
    for number in 0..5 {
        kit.user(&format!("other{number}")).await;
    }
    // Twice it is believed; the third time the target has answered two probes since.
    for times in 2..=3 {
        kit.pass(Duration::from_mins(15)).await;
        let refused = || fake.told().iter().filter(|name| *name == "drop-table").count();
        eventually("it is refused again", async || refused() == times).await;
    }
    eventually("the others arrive", async || fake.count() == 8).await;
    let entry = kit.until(&odd, State::Retrying).await;
    let error = entry.last_error.unwrap();
    assert!(error.starts_with("403") && error.ends_with("so it is about this one"), "{error}");
    assert!(kit.engine().health("target").unwrap().trouble.is_none());
}
