//! Ends that are asked for, and a process that is stopped and goes on: nothing is cut off that was
//! accepted, and nobody waits for a target that hangs.

use std::time::{Duration, Instant};

use super::book::Fault;
use super::rounds::Rounds;
use crate::kit::dice::seed;
use crate::kit::relay::Setup;
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::targets::ldap;
use crate::kit::until;

/// It has ended within this time, whatever hangs.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// SIGTERM under load: what was accepted is answered, what was begun comes to its end, so nothing
/// comes twice.
pub(super) async fn sigterm_under_load(stops: usize) {
    let mut rounds = Rounds::begin(seed(), "5s").await;
    for _ in 0..stops {
        rounds.load(60).await;
        let begun = Instant::now();
        let ended = rounds.house.relay.terminate().await;
        let took = begun.elapsed();
        if ended.code() != Some(0) || took > ENDS_WITHIN {
            rounds.house.book.fault(Fault::BadEnd, format!("{ended} after {took:?}"));
        }
        rounds.start().await;
        rounds.school.compare(&rounds.provider, &rounds.house.book).await;
    }
    let counts = rounds.house.book.counts().clone();
    assert_eq!(counts.carried_out, 0, "what was carried out was answered");
    assert_eq!((counts.repeats, counts.doubts), (0, 0), "nothing was cut off");
    rounds.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_what_was_begun_and_nothing_comes_twice() {
    sigterm_under_load(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_sigterm_does_not_wait_and_loses_nothing() {
    let mut rounds = Rounds::begin(seed(), "5s").await;
    for _ in 0..5 {
        rounds.load(60).await;
        rounds.house.relay.signal("-TERM");
        rounds.chance(20).await;
        // The first may have sufficed by now.
        rounds.house.relay.signal("-TERM");
        let ended = rounds.house.relay.ended().await;
        if ended.code() != Some(0) {
            rounds.house.book.fault(Fault::BadEnd, ended.to_string());
        }
        rounds.start().await;
        rounds.school.compare(&rounds.provider, &rounds.house.book).await;
    }
    rounds.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_hangs_keeps_no_relay_from_ending() {
    let slapd = Slapd::start().await;
    let patient = "[limits]\ntimeout = \"10 minutes\"\n";
    let mut relay = Setup::new().connector("directory", ldap(&slapd, patient)).start().await;
    let provider = relay.provider("lillevik");
    slapd.pause();
    provider.hire("ada").await;
    let hangs = async |relay: &crate::kit::relay::Relay| {
        until("a delivery hangs", async || relay.connector("directory")["in_flight"] == 1).await;
    };

    hangs(&relay).await;
    let begun = Instant::now();
    relay.signal("-TERM");
    until("it has begun to stop", async || relay.readiness().await != Some(200)).await;
    relay.signal("-TERM");
    assert_eq!(relay.ended().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "the second one waited");

    relay.restart().await;
    hangs(&relay).await;
    let begun = Instant::now();
    assert_eq!(relay.terminate().await.code(), Some(0));
    assert!(begun.elapsed() < ENDS_WITHIN, "{:?}", begun.elapsed());

    slapd.resume();
    relay.restart().await;
    relay.settled().await;
    assert_eq!(slapd.one("(uid=ada)").dn, format!("uid=ada,ou=people,{SUFFIX}"));
}

/// A minute in which the process does not run, with time limits of a minute: here both are a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_stopped_for_longer_than_its_time_limits_goes_on_in_order() {
    let rounds = Rounds::begin(seed(), "1s").await;
    for _ in 0..3 {
        rounds.load(60).await;
        rounds.house.relay.signal("-STOP");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        rounds.house.relay.signal("-CONT");
        rounds.school.compare(&rounds.provider, &rounds.house.book).await;
    }
    let counts = rounds.house.book.counts().clone();
    assert_eq!(counts.unanswered, 0, "whoever waited was answered");
    rounds.end().await;
}
