//! How often a lane may go to its target: `limits.rate`, and the connector's own.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use scim_relay_sdk::connector::Rate;
use tokio::time::Instant;

/// All of a lane's rates.
pub(super) struct Rates {
    /// The slowest first: who has its leave waits for that of the others, which is not for long.
    limiters: Vec<Limiter>,
    clock: Ticks,
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>;

/// The runtime's time, which tests can move.
#[derive(Clone, Debug)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

impl Rates {
    pub(super) fn new(rates: impl IntoIterator<Item = Rate>) -> Self {
        let clock = Ticks(Instant::now());
        let mut quotas: Vec<Quota> = rates.into_iter().filter_map(quota).collect();
        quotas.sort_by_key(|quota| std::cmp::Reverse(quota.replenish_interval()));
        let limiters =
            quotas.into_iter().map(|quota| RateLimiter::direct_with_clock(quota, clock.clone()));
        Self { limiters: limiters.collect(), clock }
    }

    /// Waits for leave to go once. Who would wait for longer than `patience` is told so at once, and
    /// for how long: it has no leave, and uses up none.
    pub(super) async fn leave(&self, patience: Duration) -> Result<(), Duration> {
        for (number, limiter) in self.limiters.iter().enumerate() {
            while let Err(not_until) = limiter.check() {
                let wait = not_until.wait_time_from(self.clock.now());
                if number == 0 && wait > patience {
                    return Err(wait);
                }
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }
}

/// In bursts of a second's worth, and at least one: a rate of 600 a minute is no burst of 600.
fn quota(rate: Rate) -> Option<Quota> {
    let count = NonZeroU32::new(rate.count)?;
    let a_second = (f64::from(rate.count) / rate.per.as_secs_f64()).ceil().max(1.0) as u32;
    Some(Quota::with_period(rate.per / count.get())?.allow_burst(NonZeroU32::new(a_second)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    fn rate(count: u32, seconds: u64) -> Rate {
        Rate { count, per: Duration::from_secs(seconds) }
    }

    /// How many get leave within this time, where each asks as soon as it may.
    async fn within(seconds: u64, rates: &[Rate]) -> usize {
        let rates = Rates::new(rates.iter().copied());
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut count = 0;
        while Instant::now() < end {
            match rates.leave(PATIENCE).await {
                Ok(()) => count += 1,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_with_a_second_s_worth_at_first() {
        for (rates, seconds, expected) in [
            (&[rate(10, 60)][..], 60, 10),
            (&[rate(1, 3_600)], 7_200, 2),
            (&[rate(50, 1)], 10, 549),
            (&[rate(600, 60)], 60, 609),
            // Two of them: the slower one is kept, whichever comes first.
            (&[rate(50, 1), rate(10, 60)], 60, 10),
            (&[rate(10, 60), rate(50, 1)], 60, 10),
        ] {
            let count = within(seconds, rates).await;
            assert!(count.abs_diff(expected) <= 1, "{rates:?}: {count} in {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_for_long_is_told_so_and_uses_up_nothing() {
        let rates = Rates::new([rate(10, 60)]);
        assert_eq!(rates.leave(PATIENCE).await, Ok(()));
        for _ in 0..100 {
            let wait = rates.leave(PATIENCE).await.unwrap_err();
            assert!((5..=6).contains(&wait.as_secs()), "{wait:?}");
        }
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(rates.leave(PATIENCE).await, Ok(()));
    }
}
