//! What is counted of each organization and each connector until it is written down, once a minute,
//! for the console's charts. No part of what Prometheus reads: organizations may be many.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The newest delays of an organization that are kept, for what is typical.
const DELAYS: usize = 256;

/// Organizations are known by their rows, connectors by their names.
#[derive(Default)]
pub struct Tally(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    counts: Counts,
    /// In milliseconds, by organization.
    delays: BTreeMap<i64, VecDeque<u32>>,
}

/// Since the last time that they were taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub organizations: BTreeMap<i64, OfOrganization>,
    pub connectors: BTreeMap<String, Deliveries>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfOrganization {
    /// Written by its provider.
    pub changes: u64,
    /// Requests that got what they asked for.
    pub answered: u64,
    pub refused: u64,
    pub deliveries: Deliveries,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deliveries {
    pub delivered: u64,
    /// Attempts.
    pub failed: u64,
}

impl OfOrganization {
    fn add(&mut self, other: Self) {
        self.changes += other.changes;
        self.answered += other.answered;
        self.refused += other.refused;
        self.deliveries.add(other.deliveries);
    }
}

impl Deliveries {
    fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.failed += other.failed;
    }
}

impl Tally {
    /// A request, and how many changes it made.
    pub fn request(&self, organization: i64, refused: bool, changes: u64) {
        let mut kept = self.kept();
        let own = kept.counts.organizations.entry(organization).or_default();
        own.changes += changes;
        *(if refused { &mut own.refused } else { &mut own.answered }) += 1;
    }

    /// Something reached its target, so many seconds after it changed.
    pub fn delivered(&self, connector: &str, organization: i64, delay: f64) {
        let mut kept = self.kept();
        kept.counts.delivery(connector, organization, Deliveries { delivered: 1, failed: 0 });
        let delays = kept.delays.entry(organization).or_default();
        if delays.len() == DELAYS {
            delays.pop_front();
        }
        // Forty-nine days are long enough.
        delays.push_back((delay * 1_000.0) as u32);
    }

    pub fn failed(&self, connector: &str, organization: i64) {
        let failed = Deliveries { delivered: 0, failed: 1 };
        self.kept().counts.delivery(connector, organization, failed);
    }

    /// All that was counted, and begins anew.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.kept().counts)
    }

    /// What these organizations, or all, have since the last time.
    pub fn so_far(&self, of: Option<&[i64]>) -> OfOrganization {
        let kept = self.kept();
        let mine = kept.counts.organizations.iter();
        let mine = mine.filter(|(id, _)| of.is_none_or(|of| of.contains(id)));
        mine.fold(OfOrganization::default(), |mut sum, (_, one)| {
            sum.add(*one);
            sum
        })
    }

    /// What was taken and could not be written down.
    pub fn put_back(&self, counts: Counts) {
        let mut kept = self.kept();
        for (organization, more) in counts.organizations {
            kept.counts.organizations.entry(organization).or_default().add(more);
        }
        for (connector, more) in counts.connectors {
            kept.counts.connectors.entry(connector).or_default().add(more);
        }
    }

    /// Seconds from a change to its delivery, as half of the last ones took at most; of these
    /// organizations, or of all.
    pub fn typical_delay(&self, of: Option<&[i64]>) -> Option<f64> {
        let kept = self.kept();
        let mine = kept.delays.iter().filter(|(id, _)| of.is_none_or(|of| of.contains(id)));
        let mut delays: Vec<u32> = mine.flat_map(|(_, delays)| delays).copied().collect();
        let middle = delays.len().checked_sub(1)? / 2;
        Some(f64::from(*delays.select_nth_unstable(middle).1) / 1_000.0)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn delivery(&mut self, connector: &str, organization: i64, one: Deliveries) {
        self.organizations.entry(organization).or_default().deliveries.add(one);
        match self.connectors.get_mut(connector) {
            Some(known) => known.add(one),
            None => drop(self.connectors.insert(connector.to_owned(), one)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_written_down_is_counted_the_next_time() {
        let tally = Tally::default();
        tally.request(1, false, 2);
        tally.request(1, true, 0);
        tally.delivered("dir", 1, 0.5);
        tally.failed("dir", 2);
        assert_eq!((tally.so_far(Some(&[2])).changes, tally.so_far(None).changes), (0, 2));
        let taken = tally.take();
        assert_eq!(tally.take(), Counts::default());
        tally.request(1, false, 1);
        tally.failed("dir", 2);
        tally.put_back(taken);
        let Counts { organizations, connectors } = tally.take();
        let first = OfOrganization {
            changes: 3,
            answered: 2,
            refused: 1,
            deliveries: Deliveries { delivered: 1, failed: 0 },
        };
        assert_eq!(organizations[&1], first);
        assert_eq!(organizations[&2].deliveries, Deliveries { delivered: 0, failed: 2 });
        assert_eq!(connectors["dir"], Deliveries { delivered: 1, failed: 2 });
    }

    #[test]
    fn a_delay_is_typical_of_the_newest_and_of_whose_they_are() {
        let tally = Tally::default();
        assert_eq!(tally.typical_delay(None), None);
        for _ in 0..DELAYS {
            tally.delivered("dir", 1, 600.0);
        }
        for delay in [1.0, 2.0, 90.0] {
            tally.delivered("dir", 2, delay);
        }
        assert_eq!(tally.typical_delay(Some(&[2])), Some(2.0));
        assert_eq!(tally.typical_delay(None), Some(600.0));
        assert_eq!(tally.typical_delay(Some(&[3])), None);
        for _ in 0..DELAYS {
            tally.delivered("dir", 1, 3.0);
        }
        assert_eq!(tally.typical_delay(Some(&[1])), Some(3.0), "what was slow once is long ago");
    }
}
