//! How often somebody may try to prove who they are. Pure: what time it is comes in.
//!
//! Tries count by who and from where together, with a pause that grows, and by either alone, with a
//! short one. So whoever guesses soon waits a quarter of an hour, from many places a minute; and who
//! is meant gets in from where they have been before, whatever others do.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::network;

/// How many are remembered of each kind; the longest quiet goes.
const MOST: usize = 10_000;
/// For how long a failure counts.
const MEMORY: Duration = Duration::from_hours(1);
/// For how long somebody is known at a place.
const KNOWN: Duration = Duration::from_hours(30 * 24);

struct Rule {
    /// So many failures cost no pause.
    free: u32,
    longest: Duration,
}

/// Of one account from one place.
const PAIR: Rule = Rule { free: 5, longest: Duration::from_mins(15) };
/// From one place, where a whole school may sit.
const PLACE: Rule = Rule { free: 30, longest: Duration::from_mins(1) };
/// Of one account, from places where it never was.
const ACCOUNT: Rule = Rule { free: 30, longest: Duration::from_mins(1) };

impl Rule {
    /// After so many failures.
    fn pause(&self, failures: u32) -> Duration {
        let Some(beyond) = failures.checked_sub(self.free + 1) else { return Duration::ZERO };
        Duration::from_secs(1 << beyond.min(20)).min(self.longest)
    }
}

#[derive(Default)]
pub(super) struct Throttle(Mutex<All>);

#[derive(Default)]
struct All {
    pairs: HashMap<(String, IpAddr), Tries>,
    places: HashMap<IpAddr, Tries>,
    accounts: HashMap<String, Tries>,
}

#[derive(Clone, Copy)]
struct Tries {
    failures: u32,
    /// No other try before.
    until: Timestamp,
    last: Timestamp,
    known: bool,
}

/// A try that has begun: it counts as a failure until it is known to be none.
pub(super) struct Try {
    pair: (String, IpAddr),
    /// How many in a row it would be.
    pub(super) failures: u32,
}

impl Throttle {
    /// Begins a try, or says how long to wait.
    pub(super) fn begin(&self, who: &str, from: IpAddr, now: Timestamp) -> Result<Try, Duration> {
        let place = network::of(from);
        let pair = (who.to_owned(), place);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let All { pairs, places, accounts } = &mut *all;
        let known = pairs.get(&pair).is_some_and(|tries| tries.known && tries.counts(now));
        let of_account = accounts.get(who).filter(|_| !known);
        let waits = [pairs.get(&pair), places.get(&place), of_account];
        let wait = waits.into_iter().flatten().map(|tries| tries.wait(now)).max();
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        count(places, place, &PLACE, now);
        if !known {
            count(accounts, who.to_owned(), &ACCOUNT, now);
        }
        let failures = count(pairs, pair.clone(), &PAIR, now);
        Ok(Try { pair, failures })
    }

    /// It was them.
    pub(super) fn succeeded(&self, one: Try, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (who, place) = &one.pair;
        // Others' failures at this place stay counted, or else whoever has one account could
        // guess at all.
        if let Some(tries) = all.places.get_mut(place) {
            tries.forgive(now);
        }
        if let Some(tries) = all.accounts.get_mut(who) {
            tries.forgive(now);
        }
        let known = Tries { failures: 0, until: now, last: now, known: true };
        all.pairs.insert(one.pair, known);
    }
}

impl Tries {
    fn wait(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.until.duration_since(now)).unwrap_or_default()
    }

    /// The last one was no failure. It began after the pause before it, so its own goes.
    fn forgive(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_sub(1);
        self.until = self.until.min(now);
    }

    /// Whether it is of any consequence still.
    fn counts(&self, now: Timestamp) -> bool {
        let memory = if self.known { KNOWN } else { MEMORY };
        now.duration_since(self.last) < memory.try_into().unwrap_or(jiff::SignedDuration::MAX)
    }
}

/// One more failure; how many there are in a row.
fn count<K: Hash + Eq + Clone>(
    all: &mut HashMap<K, Tries>,
    key: K,
    rule: &Rule,
    now: Timestamp,
) -> u32 {
    if all.len() >= MOST && !all.contains_key(&key) {
        all.retain(|_, tries| tries.counts(now));
        while all.len() >= MOST
            && let Some((oldest, _)) = all.iter().min_by_key(|(_, tries)| (tries.known, tries.last))
        {
            let oldest = oldest.clone();
            all.remove(&oldest);
        }
    }
    let none = Tries { failures: 0, until: now, last: now, known: false };
    let tries = all.entry(key).or_insert(none);
    let lately = now.duration_since(tries.last).unsigned_abs() < MEMORY;
    tries.failures = if lately { tries.failures.saturating_add(1) } else { 1 };
    tries.until = now + rule.pause(tries.failures);
    tries.last = now;
    tries.failures
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const START: Timestamp = Timestamp::constant(1_788_220_800, 0);

    fn at(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    fn place(number: u16) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, number, 0, 0, 0, 1).into()
    }

    /// How many tries fail within this time, at the pace that is allowed.
    fn failures(
        throttle: &Throttle,
        who: &str,
        from: IpAddr,
        seconds: std::ops::Range<u64>,
    ) -> u32 {
        seconds.filter(|second| throttle.begin(who, from, at(*second)).is_ok()).count() as u32
    }

    #[test]
    fn the_pause_grows_to_a_quarter_of_an_hour() {
        let throttle = Throttle::default();
        let mut now = START;
        let mut pauses = Vec::new();
        for _ in 0..17 {
            while let Err(wait) = throttle.begin("kari", place(1), now) {
                pauses.push(wait.as_secs());
                now += wait;
            }
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
    }

    #[test]
    fn who_is_meant_gets_in_from_elsewhere() {
        let throttle = Throttle::default();
        failures(&throttle, "kari", place(1), 0..600);
        assert!(throttle.begin("kari", place(1), at(600)).is_err());
        assert!(throttle.begin("kari", place(2), at(600)).is_ok());
    }

    #[test]
    fn guesses_from_many_places_are_few_and_do_not_keep_out_who_was_there_before() {
        let throttle = Throttle::default();
        let home = place(999);
        let signed_in = throttle.begin("kari", home, at(0)).unwrap();
        throttle.succeeded(signed_in, at(0));
        // An hour from a thousand places, each of which tries once a second.
        let guesses: u32 = (1..=3_600)
            .map(|second| {
                let from = place((second % 900) as u16);
                u32::from(throttle.begin("kari", from, at(second)).is_ok())
            })
            .sum();
        assert!((80..=110).contains(&guesses), "{guesses}");
        assert!(throttle.begin("kari", home, at(3_601)).is_ok());
        assert!(throttle.begin("kari", place(1_000), at(3_601)).is_err());
    }

    #[test]
    fn one_place_has_a_bound_for_all_accounts_and_a_success_does_not_lift_it() {
        let throttle = Throttle::default();
        let mut tried = 0;
        for second in 0..600 {
            // Between guesses at others, their own account opens.
            if let Ok(own) = throttle.begin("mallory", place(1), at(second)) {
                throttle.succeeded(own, at(second));
            }
            let somebody = format!("person {second}");
            tried += u32::from(throttle.begin(&somebody, place(1), at(second)).is_ok());
        }
        assert!((35..=60).contains(&tried), "{tried}");
        assert!(throttle.begin("person 0", place(2), at(600)).is_ok());
    }

    #[test]
    fn who_signs_in_often_is_never_held_up() {
        let throttle = Throttle::default();
        for _ in 0..1_000 {
            let one = throttle.begin("kari", place(1), START).unwrap();
            assert_eq!(one.failures, 1);
            throttle.succeeded(one, START);
        }
    }

    #[test]
    fn failures_are_forgotten_after_an_hour_and_there_are_never_too_many() {
        let throttle = Throttle::default();
        failures(&throttle, "kari", place(1), 0..100);
        let one = throttle.begin("kari", place(1), at(100 + 3_600)).unwrap();
        assert_eq!(one.failures, 1);
        for number in 0..MOST + 10 {
            let from = place((number % 60_000) as u16);
            drop(throttle.begin(&format!("person {number}"), from, at(3_800)));
        }
        let all = throttle.0.lock().unwrap();
        assert_eq!([all.pairs.len(), all.places.len(), all.accounts.len()], [MOST; 3]);
    }
}
