//! The same for hours: `tests/soak` runs these, and says how.

use std::time::{Duration, Instant};

use super::removals::kills_in_the_middle_of_a_mass_deletion;
use super::rounds::{MOMENTS, Rounds};
use super::stops::sigterm_under_load;
use super::upgrades::kills_in_an_upgrade;
use crate::kit::dice::seed;
use crate::kit::say;
use crate::mails::kills_between_the_text_and_its_answer;

/// Rounds between two looks at the targets.
const CENSUS: usize = 50;
const WRITES: usize = 120;

/// What the script was asked for.
fn asked(name: &str) -> Option<f64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
}

/// Whether there is one more round to go.
fn goes_on(rounds: usize, begun: Instant) -> bool {
    match asked("SCIM_RELAY_SOAK_HOURS") {
        Some(hours) => begun.elapsed() < Duration::from_secs_f64(hours * 3_600.0),
        None => (rounds as f64) < asked("SCIM_RELAY_SOAK_ROUNDS").unwrap_or(100.0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "for hours: tests/soak"]
async fn fifty_kills_in_the_middle_of_a_mass_deletion() {
    kills_in_the_middle_of_a_mass_deletion(50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "for hours: tests/soak"]
async fn fifty_ends_under_load() {
    sigterm_under_load(50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "for hours: tests/soak"]
async fn fifty_kills_in_an_upgrade() {
    kills_in_an_upgrade(50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "for hours: tests/soak"]
async fn fifty_kills_between_the_text_of_a_mail_and_its_answer() {
    kills_between_the_text_and_its_answer(50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "for hours: tests/soak"]
async fn kills_under_load() {
    say(&format!("seed {}", seed()));
    let begun = Instant::now();
    let mut rounds = Rounds::begin(seed(), "5s").await;
    let mut done = 0;
    while goes_on(done, begun) {
        let moment = MOMENTS[done % MOMENTS.len()];
        let began = Instant::now();
        rounds.round(moment, WRITES).await;
        done += 1;
        if done % CENSUS == 0 {
            rounds.census().await;
        }
        let took = began.elapsed().as_secs_f64();
        let counts = rounds.house.book.counts().clone();
        let (writes, faults) = (counts.acknowledged, counts.faults());
        say(&format!("round {done}: {moment:?}, {took:.1} s, {writes} writes, {faults} faults"));
        // What broke it is to be found as it was.
        rounds.house.book.close();
    }
    rounds.end().await;
}
