//! kill -9 at any moment, and again: everything is counted from outside, and every fault is told.

mod book;
mod house;
mod ledger;
mod receiver;
mod removals;
mod rounds;
mod school;
mod soak;
mod stops;
mod upgrades;

use crate::kit::dice::seed;
use rounds::{MOMENTS, Rounds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_break_no_promise() {
    let mut rounds = Rounds::begin(seed(), "5s").await;
    for _ in 0..4 {
        for moment in MOMENTS {
            rounds.round(moment, 60).await;
        }
    }
    rounds.end().await;
}
