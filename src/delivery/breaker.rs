//! Whether a target is worth asking. Pure: times come in as arguments.
//!
//! A target that is down, or refuses our credentials, costs nobody an attempt: its lane stops, and
//! the breaker says when to probe. Credentials are probed more slowly, since each refused bind
//! counts towards a lock-out of the account.

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
    /// It refuses who we are: somebody must change a credential.
    pub credentials: bool,
    pub next_probe: Timestamp,
}

impl Breaker {
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    pub fn is_open(&self) -> bool {
        self.trouble.is_some()
    }

    /// The target failed us. `true` if that is news.
    pub fn trip(&mut self, error: &DeliveryError, now: Timestamp, dice: f64) -> bool {
        if self.trouble.is_some() {
            return false;
        }
        let credentials = matches!(error, DeliveryError::Credentials { .. });
        self.trouble =
            Some(Trouble { since: now, error: error.chain(), credentials, next_probe: now });
        self.schedule(now, dice);
        true
    }

    /// A probe failed, too.
    pub fn still_down(&mut self, error: &DeliveryError, now: Timestamp, dice: f64) {
        if let Some(trouble) = &mut self.trouble {
            trouble.error = error.chain();
            trouble.credentials = matches!(error, DeliveryError::Credentials { .. });
        }
        self.schedule(now, dice);
    }

    /// How long until it is to be probed; no longer than probes are apart, since the wall clock may
    /// have been set back.
    pub fn wait(&mut self, now: Timestamp) -> Option<Duration> {
        let trouble = self.trouble.as_mut()?;
        let longest = pace(trouble.credentials).longest;
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

    /// The target answers. How long it did not, if that is news.
    pub fn mend(&mut self, now: Timestamp) -> Option<SignedDuration> {
        self.trouble.take().map(|trouble| now.duration_since(trouble.since))
    }

    /// The target took something: whatever was the matter is over.
    pub fn took(&mut self) {
        self.probes = 0;
    }

    fn schedule(&mut self, now: Timestamp, dice: f64) {
        let Some(trouble) = &mut self.trouble else { return };
        self.probes = self.probes.saturating_add(1);
        trouble.next_probe =
            now + pace(trouble.credentials).delay(self.probes, Duration::ZERO, dice);
    }
}

fn pace(credentials: bool) -> Backoff {
    if credentials { PROBE_CREDENTIALS } else { PROBE }
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
        assert!(breaker.mend(NOW).is_some());
        assert!(breaker.mend(NOW).is_none());
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
            breaker.mend(NOW);
            at.duration_since(NOW).as_secs()
        };
        assert_eq!([wait(), wait(), wait()], [2, 4, 8]);
        breaker.took();
        breaker.trip(&down(), NOW, 1.0);
        assert_eq!(breaker.trouble().unwrap().next_probe.duration_since(NOW).as_secs(), 2);
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
        assert!(trouble.credentials);
        assert_eq!(trouble.next_probe.duration_since(NOW).as_secs(), 60);
    }
}
