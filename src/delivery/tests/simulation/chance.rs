//! What is left to chance while a schedule runs, on the one thread that it runs on.

use std::cell::RefCell;
use std::time::Duration;

use super::super::dice::Dice;

thread_local! {
    static DICE: RefCell<Dice> = RefCell::new(Dice::new(0));
}

pub(super) fn seed(seed: u64) {
    DICE.with_borrow_mut(|dice| *dice = Dice::new(seed));
}

/// Below `sides`.
pub(super) fn throw(sides: u64) -> u64 {
    DICE.with_borrow_mut(|dice| dice.throw(sides))
}

pub(super) fn percent(percent: u64) -> bool {
    throw(100) < percent
}

pub(super) fn millis(below: u64) -> Duration {
    Duration::from_millis(throw(below))
}

/// Between 0 and 1, as the engine asks for it.
pub(super) fn share() -> f64 {
    throw(1 << 32) as f64 / f64::from(u32::MAX)
}

/// One of those whose weights these are.
pub(super) fn weighed<T: Copy>(choices: &[(u64, T)]) -> T {
    let mut left = throw(choices.iter().map(|(weight, _)| weight).sum());
    for &(weight, choice) in choices {
        if left < weight {
            return choice;
        }
        left -= weight;
    }
    unreachable!("one of them was thrown")
}
