//! How much one may ask: requests of an organization, the size of one, guesses at tokens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::config::RateLimit;
use crate::network;
use crate::store::OrgId;

/// Failed authentications that one peer may make per second, and at once after a pause. Good
/// tokens are never held up by them, even behind the same proxy.
const GUESSES: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
const GUESSES_AT_ONCE: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

/// What the configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body, in bytes.
    pub max_body: usize,
    /// Of each organization.
    pub rate: RateLimit,
}

pub(super) struct Limiter {
    limits: Limits,
    rate: DefaultKeyedRateLimiter<OrgId>,
}

impl Limiter {
    pub(super) fn new(limits: Limits) -> Self {
        let quota = Quota::per_second(limits.rate.per_second).allow_burst(limits.rate.burst);
        Self { limits, rate: RateLimiter::keyed(quota) }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes one request of an organization, or says how long it has to wait.
    pub(super) fn admit(&self, organization: OrgId) -> Result<(), Duration> {
        admit(&self.rate, &organization)
    }

    pub(super) fn forget_the_quiet(&self) {
        self.rate.retain_recent();
    }
}

/// Bulks of one organization that are here at once: the one that is carried out, and those that
/// wait for it, each with all of its body.
const BULKS: usize = 4;

/// When a bulk that found no place may come again.
const BULK_RETRY: Duration = Duration::from_secs(10);

/// Whose bulk is being carried out: one of an organization at a time, since one may take long and
/// hold much.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<OrgId, Line>>);

#[derive(Clone)]
struct Line {
    places: Arc<Semaphore>,
    head: Arc<tokio::sync::Mutex<()>>,
}

impl Default for Line {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(BULKS)), head: Arc::default() }
    }
}

impl Turns {
    /// A place in the line, or how long to wait for one.
    pub(super) fn place(&self, organization: OrgId) -> Result<Place, Duration> {
        let line = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            lines.entry(organization).or_default().clone()
        };
        let held = line.places.try_acquire_owned().map_err(|_| BULK_RETRY)?;
        Ok(Place { head: line.head, held })
    }
}

/// A place in the line, held until it is dropped.
pub(super) struct Place {
    head: Arc<tokio::sync::Mutex<()>>,
    held: OwnedSemaphorePermit,
}

impl Place {
    /// Waits until nobody is ahead. The turn ends with what is returned.
    pub(super) async fn turn(self) -> (OwnedMutexGuard<()>, OwnedSemaphorePermit) {
        (self.head.lock_owned().await, self.held)
    }
}

/// Who failed to authenticate, and how often.
pub(super) struct Guesses(DefaultKeyedRateLimiter<IpAddr>);

impl Default for Guesses {
    fn default() -> Self {
        Self(RateLimiter::keyed(Quota::per_second(GUESSES).allow_burst(GUESSES_AT_ONCE)))
    }
}

impl Guesses {
    /// Counts a failure, or says how long this peer is to be quiet.
    pub(super) fn count(&self, peer: IpAddr) -> Result<(), Duration> {
        admit(&self.0, &network::of(peer))
    }

    /// Without it the list of peers would grow for ever.
    pub(super) fn forget_the_quiet(&self) {
        self.0.retain_recent();
    }
}

fn admit<K: Clone + std::hash::Hash + Eq>(
    limiter: &DefaultKeyedRateLimiter<K>,
    key: &K,
) -> Result<(), Duration> {
    limiter.check_key(key).map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_organization_does_not_use_up_what_another_may_ask() {
        let one = NonZeroU32::MIN;
        let rate = RateLimit { per_second: one, burst: one };
        let limiter = Limiter::new(Limits { max_body: 1, rate });
        assert_eq!(limiter.admit(OrgId(1)), Ok(()));
        let wait = limiter.admit(OrgId(1)).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert_eq!(limiter.admit(OrgId(2)), Ok(()));
    }

    #[test]
    fn the_bulks_of_one_organization_wait_in_line() {
        let turns = Turns::default();
        let turn = |of| turns.place(OrgId(of)).unwrap().turn().now_or_never();
        let first = turn(1).unwrap();
        assert!(turn(1).is_none());
        assert!(turn(2).is_some());
        drop(first);
        assert!(turn(1).is_some());
    }

    #[test]
    fn the_line_of_bulks_is_short() {
        let turns = Turns::default();
        let mut line: Vec<Place> = (0..BULKS).map(|_| turns.place(OrgId(1)).unwrap()).collect();
        assert_eq!(turns.place(OrgId(1)).err(), Some(BULK_RETRY));
        assert!(turns.place(OrgId(2)).is_ok(), "another organization has its own");
        let first = line.pop().unwrap().turn().now_or_never().unwrap();
        assert!(turns.place(OrgId(1)).is_err(), "the one that is carried out counts");
        drop(first);
        assert!(turns.place(OrgId(1)).is_ok());
    }
}
