//! The engine and the store under a clock that the tests move, with targets of all moods, and
//! schedules of writes, faults, restarts and what people do, made by chance.
//!
//! A schedule that breaks a rule is made shorter, and printed with the seed it comes from. To run
//! others, or one again: `SIMULATE_SEEDS=1000..2000` (or `1234`), to make them longer
//! `SIMULATE_STEPS=500`.

mod chance;
mod checks;
mod directory;
mod healing;
mod house;
mod model;
mod mood;
mod receiver;
mod record;
mod removals;
mod steps;
mod target;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::steps::Step;
use self::world::{End, World};

/// What is run where nothing else is asked for.
const SEEDS: Range<u64> = 0..20;
const STEPS: usize = 150;
/// Attempts to make a schedule that fails shorter.
const SHORTER: usize = 400;

/// What a schedule came to.
#[derive(Default)]
struct Tally {
    simulated: Duration,
    deliveries: u64,
}

struct Failure {
    what: String,
    trace: String,
}

fn run(seed: u64, steps: &[Step]) -> Result<Tally, Failure> {
    chance::seed(seed);
    let mut world = World::new();
    let record = std::sync::Arc::clone(&world.house.record);
    let mut lives = || -> Result<(), String> {
        let mut steps = steps.iter();
        loop {
            // Whatever is left of a process when its runtime ends is cut off where it is.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            if let End::Over = runtime.block_on(world.live(&mut steps))? {
                return Ok(());
            }
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(&mut lives)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panicked: {}", said.unwrap_or_default()))
    });
    outcome.map_err(|what| Failure { what, trace: record.trace() })?;
    let deliveries = world.house.lines.iter().map(|line| line.target.desk().calls()).sum();
    Ok(Tally { simulated: record.passed(), deliveries })
}

/// Leaves out what is not needed for a rule to be broken.
fn shorter(seed: u64, mut steps: Vec<Step>, mut failure: Failure) -> (Vec<Step>, Failure) {
    let mut tries = SHORTER;
    let mut piece = steps.len() / 2;
    while piece > 0 {
        let mut from = 0;
        while from < steps.len() && tries > 0 {
            tries -= 1;
            let mut fewer = steps.clone();
            fewer.drain(from..(from + piece).min(steps.len()));
            match run(seed, &fewer) {
                Err(again) => (steps, failure) = (fewer, again),
                Ok(_) => from += piece,
            }
        }
        piece /= 2;
    }
    (steps, failure)
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("SIMULATE_SEEDS") else { return SEEDS };
    let number = |text: &str| text.parse::<u64>().expect("SIMULATE_SEEDS is a number, or from..to");
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    }
}

fn steps() -> usize {
    let text = std::env::var("SIMULATE_STEPS").ok();
    text.map_or(STEPS, |text| text.parse().expect("SIMULATE_STEPS is a number"))
}

#[test]
#[expect(clippy::print_stderr, reason = "how much was simulated, for whoever runs it by hand")]
fn whatever_happens_every_change_is_delivered_in_order_or_visibly_waits() {
    let (seeds, steps) = (seeds(), steps());
    let next = AtomicU64::new(seeds.start);
    let begun = Instant::now();
    let total = Mutex::new(Tally::default());
    let failed = Mutex::new(None);
    let work = || {
        while failed.lock().unwrap().is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                break;
            }
            match run(seed, &steps::schedule(seed, steps)) {
                Ok(tally) => {
                    let mut total = total.lock().unwrap();
                    total.simulated += tally.simulated;
                    total.deliveries += tally.deliveries;
                }
                Err(failure) => {
                    failed.lock().unwrap().get_or_insert((seed, failure));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    if let Some((seed, failure)) = failed.into_inner().unwrap() {
        let (shorter, failure) = shorter(seed, steps::schedule(seed, steps), failure);
        panic!(
            "seed {seed}: {}\n\n{}\n\nThat took {} of {steps} steps. Again: SIMULATE_SEEDS={seed} SIMULATE_STEPS={steps}",
            failure.what,
            failure.trace,
            shorter.len(),
        );
    }
    let (total, took) = (total.into_inner().unwrap(), begun.elapsed().as_secs_f64());
    let count = seeds.end - seeds.start;
    eprintln!(
        "{count} schedules of {steps} steps in {took:.1} s: {:.0} steps, {:.0} deliveries and {:.0} simulated hours a second",
        count as f64 * steps as f64 / took,
        total.deliveries as f64 / took,
        total.simulated.as_secs_f64() / 3_600.0 / took,
    );
}
