//! Whether a target is worth asking. Pure: times come in as arguments.
//!
//! A target that is down, or refuses our credentials, costs nobody an attempt: its lane stops, and
//! the breaker says when to probe. Credentials are probed more slowly, since each refused bind
//! counts towards a lock-out of the account. A target that answers probes and yet takes nobody's
//! work is tried with some of it each time, and is in trouble until something arrives.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use scim_relay_sdk::connector::DeliveryError;

use super::Backoff;

const PROBE: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(1) };
const PROBE_CREDENTIALS: Backoff =
    Backoff { first: Duration::from_mins(1), longest: Duration::from_mins(15) };

/// Closed while the target answers.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    trouble: Option<Trouble>,
    /// It takes nothing and answers a probe, so that work is what is left to try it with.
    trying: bool,
    /// Since the target last took something: one that answers probes and takes nothing is not
    /// asked every other second for ever.
    probes: u32,
}

/// Why a target gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub since: Timestamp,
    /// What it said, or what went wrong on the way to it.
    pub error: String,
    pub cause: Cause,
    pub next_probe: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no way to it.
    Unreachable,
    /// It refuses who we are: somebody must change a credential.
    Credentials,
    /// It fails whatever is asked of it.
    TakesNothing,
}

impl Cause {
    fn of(error: &DeliveryError) -> Self {
        match error {
            DeliveryError::Unreachable { .. } => Self::Unreachable,
            DeliveryError::Credentials { .. } => Self::Credentials,
            _ => Self::TakesNothing,
        }
    }

    fn pace(self) -> Backoff {
        match self {
            Self::Credentials => PROBE_CREDENTIALS,
            Self::Unreachable | Self::TakesNothing => PROBE,
        }
    }
}

impl Breaker {
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    pub fn is_open(&self) -> bool {
        self.trouble.is_some() && !self.trying
    }

    /// The target failed us. `true` if that is news.
    pub fn trip(&mut self, error: &DeliveryError, now: Timestamp, dice: f64) -> bool {
        if self.is_open() {
            return false;
        }
        let is_news = self.trouble.is_none();
        self.failed(error, now, dice);
        is_news
    }

    /// A probe failed, too.
    pub fn still_down(&mut self, error: &DeliveryError, now: Timestamp, dice: f64) {
        self.failed(error, now, dice);
    }

    fn failed(&mut self, error: &DeliveryError, now: Timestamp, dice: f64) {
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        let cause = Cause::of(error);
        self.probes = self.probes.saturating_add(1);
        let next_probe = now + cause.pace().delay(self.probes, Duration::ZERO, dice);
        self.trouble = Some(Trouble { since, error: error.chain(), cause, next_probe });
        self.trying = false;
    }

    /// How long until it is to be probed; no longer than probes are apart, since the wall clock may
    /// have been set back.
    pub fn wait(&mut self, now: Timestamp) -> Option<Duration> {
        let trouble = self.trouble.as_mut().filter(|_| !self.trying)?;
        let longest = trouble.cause.pace().longest;
        let wait = Duration::try_from(trouble.next_probe.duration_since(now)).unwrap_or_default();
        if wait > longest {
            trouble.next_probe = now + longest;
        }
        Some(wait.min(longest))
    }

    /// Someone asks for a probe now.
    pub fn hurry(&mut self, now: Timestamp) {
        if let Some(trouble) = &mut self.trouble {
            trouble.next_probe = now;
        }
    }

    /// The target answers a probe. How long it was in trouble, if that ends it.
    pub fn answered(&mut self, now: Timestamp) -> Option<SignedDuration> {
        self.trying = self.takes_nothing();
        if self.trying { None } else { self.mend(now) }
    }

    /// The target took something. How long it was in trouble, if that ends it: what was on its way
    /// before it could not be reached any more says nothing.
    pub fn took(&mut self, now: Timestamp) -> Option<SignedDuration> {
        self.probes = 0;
        if self.takes_nothing() { self.mend(now) } else { None }
    }

    fn takes_nothing(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.cause == Cause::TakesNothing)
    }

    fn mend(&mut self, now: Timestamp) -> Option<SignedDuration> {
        self.trying = false;
        self.trouble.take().map(|trouble| now.duration_since(trouble.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn down() -> DeliveryError {
        DeliveryError::Unreachable { what: "connection refused".to_owned(), source: None }
    }

    #[test]
    fn only_the_first_failure_is_news() {
        let mut breaker = Breaker::default();
        assert!(breaker.trip(&down(), NOW, 1.0));
        assert!(!breaker.trip(&down(), NOW, 1.0));
        assert!(breaker.answered(NOW).is_some());
        assert!(breaker.answered(NOW).is_none());
    }

    #[test]
    fn probes_come_less_often_the_longer_it_lasts() {
        let mut breaker = Breaker::default();
        breaker.trip(&down(), NOW, 1.0);
        let mut waits = Vec::new();
        for _ in 0..7 {
            let at = breaker.trouble().unwrap().next_probe;
            waits.push(at.duration_since(NOW).as_secs());
            breaker.still_down(&down(), NOW, 1.0);
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_target_that_answers_and_takes_nothing_is_asked_less_often() {
        let mut breaker = Breaker::default();
        let mut wait = || {
            breaker.trip(&down(), NOW, 1.0);
            let at = breaker.trouble().unwrap().next_probe;
            breaker.answered(NOW);
            at.duration_since(NOW).as_secs()
        };
        assert_eq!([wait(), wait(), wait()], [2, 4, 8]);
        assert!(breaker.took(NOW).is_none());
        breaker.trip(&down(), NOW, 1.0);
        assert_eq!(breaker.trouble().unwrap().next_probe.duration_since(NOW).as_secs(), 2);
    }

    #[test]
    fn a_target_that_takes_nobodys_is_in_trouble_until_it_takes_something() {
        let mut breaker = Breaker::default();
        let fails = DeliveryError::later("503");
        assert!(breaker.trip(&fails, NOW, 1.0));
        let later = NOW + Duration::from_mins(1);
        for _ in 0..3 {
            assert!(breaker.is_open() && breaker.wait(later).is_some());
            assert!(breaker.answered(later).is_none(), "which says little");
            assert!(!breaker.is_open() && breaker.wait(later).is_none(), "it is tried");
            assert_eq!(breaker.trouble().unwrap().since, NOW);
            assert!(!breaker.trip(&fails, later, 1.0), "no news");
        }
        assert_eq!(breaker.trouble().unwrap().next_probe.duration_since(later).as_secs(), 16);
        assert!(breaker.took(later).is_some());
        assert!(breaker.trouble().is_none() && !breaker.is_open());
    }

    #[test]
    fn a_target_that_is_tried_and_gone_altogether_is_back_when_it_answers() {
        let mut breaker = Breaker::default();
        breaker.trip(&DeliveryError::later("503"), NOW, 1.0);
        breaker.answered(NOW);
        breaker.trip(&down(), NOW, 1.0);
        assert!(breaker.took(NOW).is_none(), "it was on its way");
        assert!(breaker.answered(NOW).is_some());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_put_the_probe_off() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.wait(NOW), None);
        let tomorrow = NOW + Duration::from_hours(24);
        breaker.trip(&down(), tomorrow, 1.0);
        assert_eq!(breaker.wait(tomorrow), Some(Duration::from_secs(2)));
        assert_eq!(breaker.wait(NOW), Some(PROBE.longest));
        assert_eq!(breaker.wait(NOW + PROBE.longest), Some(Duration::ZERO));
    }

    #[test]
    fn refused_credentials_are_probed_slowly_so_that_the_account_is_not_locked() {
        let mut breaker = Breaker::default();
        breaker.trip(&DeliveryError::credentials("invalid credentials"), NOW, 1.0);
        let trouble = breaker.trouble().unwrap();
        assert_eq!(trouble.cause, Cause::Credentials);
        assert_eq!(trouble.next_probe.duration_since(NOW).as_secs(), 60);
    }
}
