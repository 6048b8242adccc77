//! People who are on their way to the provider and back. Kept in memory: whoever is under way while
//! the relay restarts sets out again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use subtle::ConstantTimeEq as _;

/// For how long somebody may be under way.
pub const BOUND_FOR: Duration = Duration::from_mins(10);
/// Who set out first goes first when there are more.
const MOST: usize = 1_000;

/// One person's way.
pub(super) struct Trip {
    /// What their browser keeps.
    pub(super) bound: String,
    pub(super) nonce: String,
    /// RFC 7636 section 4.1.
    pub(super) verifier: SecretString,
    pub(super) next: Option<String>,
}

#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<String, (Timestamp, Trip)>>);

impl Pending {
    pub(super) fn set_out(&self, state: String, trip: Trip, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, (begun, _)| lasts(*begun, now));
        }
        if all.len() >= MOST
            && let Some((oldest, _)) = all.iter().min_by_key(|(_, (begun, _))| *begun)
        {
            let oldest = oldest.clone();
            all.remove(&oldest);
        }
        all.insert(state, (now, trip));
    }

    /// Each state is good once, and for the browser that set out with it.
    pub(super) fn come_back(&self, state: &str, bound: &str, now: Timestamp) -> Option<Trip> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, trip) = all.remove(state)?;
        let same = bool::from(trip.bound.as_bytes().ct_eq(bound.as_bytes()));
        (same && lasts(begun, now)).then_some(trip)
    }
}

fn lasts(begun: Timestamp, now: Timestamp) -> bool {
    now.duration_since(begun).unsigned_abs() < BOUND_FOR
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::constant(1_788_220_800, 0);

    fn trip(bound: &str) -> Trip {
        let verifier = SecretString::from("verifier");
        Trip { bound: bound.to_owned(), nonce: "nonce".to_owned(), verifier, next: None }
    }

    #[test]
    fn a_way_is_gone_once_by_the_browser_that_set_out_and_soon() {
        let pending = Pending::default();
        pending.set_out("one".to_owned(), trip("mine"), START);
        assert!(pending.come_back("one", "mine", START + BOUND_FOR / 2).is_some());
        assert!(pending.come_back("one", "mine", START).is_none(), "once");
        pending.set_out("two".to_owned(), trip("mine"), START);
        assert!(pending.come_back("two", "theirs", START).is_none(), "another browser");
        assert!(pending.come_back("two", "mine", START).is_none(), "and that was the one time");
        pending.set_out("three".to_owned(), trip("mine"), START);
        assert!(pending.come_back("three", "mine", START + BOUND_FOR).is_none(), "too late");
        assert!(pending.come_back("", "", START).is_none());
    }

    #[test]
    fn who_sets_out_without_end_pushes_out_the_oldest() {
        let pending = Pending::default();
        for number in 0..=MOST {
            let at = START + Duration::from_millis(number as u64);
            pending.set_out(number.to_string(), trip("mine"), at);
        }
        assert!(pending.come_back("0", "mine", START).is_none());
        assert!(pending.come_back("1", "mine", START).is_some());
        assert_eq!(pending.0.lock().unwrap().len(), MOST - 1);
    }
}
