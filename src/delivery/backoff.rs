//! When to try again. Pure: the dice are an argument.

use std::time::Duration;

/// Exponential, doubled each time, with jitter, between `first` and `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait after the `failures`-th failure (1 for the first).
    ///
    /// `dice` is between 0 and 1 and moves the wait within the upper half of its window, so that
    /// many that failed together do not come back together. `at_least` is what the target asked
    /// for; it may exceed `longest`.
    pub fn delay(&self, failures: u32, at_least: Duration, dice: f64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(31));
        let window = self.first.saturating_mul(doubled).min(self.longest);
        window.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0).max(at_least)
    }
}

/// A number between 0 and 1 that nobody knows beforehand.
pub fn dice() -> f64 {
    let bytes = crate::ids::secret_bytes::<4>();
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_secs(5), longest: Duration::from_hours(1) };

    #[track_caller]
    fn check(failures: u32, at_least: u64, seconds: u64) {
        let delay = BACKOFF.delay(failures, Duration::from_secs(at_least), 1.0);
        assert_eq!(delay, Duration::from_secs(seconds));
    }

    #[test]
    fn the_wait_doubles_up_to_the_longest() {
        check(1, 0, 5);
        check(2, 0, 10);
        check(5, 0, 80);
        check(20, 0, 3_600);
        check(u32::MAX, 0, 3_600);
    }

    #[test]
    fn the_target_may_ask_for_more() {
        check(1, 120, 120);
        check(1, 86_400, 86_400);
        check(5, 10, 80);
    }

    #[test]
    fn jitter_stays_in_the_upper_half() {
        assert_eq!(BACKOFF.delay(2, Duration::ZERO, 0.0), Duration::from_secs(5));
        assert_eq!(BACKOFF.delay(2, Duration::ZERO, 0.5), Duration::from_millis(7_500));
    }
}
