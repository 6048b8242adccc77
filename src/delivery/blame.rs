//! Whether a failure is the target's or the item's own. Pure.
//!
//! A connector can only say what it saw of one item. It cannot know that a target which refuses us
//! for this one (a firewall that dislikes a name) takes everybody else's, so that stopping would let
//! one person hold up all; nor that a target which fails this one takes nobody's, so that the item
//! is not to be given up for it.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::store::RowId;

/// How often an item is believed that the target refuses us, although it was found well since.
const BELIEVED: u32 = 2;
/// Where more are refused than these, it is not about items.
const MOST: usize = 10;
/// Where this many begin to fail, and none arrives between them, it is not about them.
const SEVERAL: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Blame {
    /// How often the target was found well: something arrived, or it answered a probe.
    well: u64,
    last_arrived: Option<Timestamp>,
    refused: HashMap<RowId, Refused>,
    /// Some of those that have begun to fail since something arrived.
    witnesses: HashSet<RowId>,
    failing: Option<Failing>,
}

/// An item for which the target refused us.
#[derive(Debug)]
struct Refused {
    times: u32,
    /// How often it had been found well by then.
    well: u64,
}

/// Nothing arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    pub since: Timestamp,
    /// Tries that failed since then.
    pub tries: u64,
    pub error: String,
}

impl Blame {
    pub(super) fn arrived(&mut self, item: RowId, now: Timestamp) {
        self.well += 1;
        self.last_arrived = Some(now);
        self.refused.remove(&item);
        self.witnesses.clear();
        self.failing = None;
    }

    pub(super) fn answered_probe(&mut self) {
        self.well += 1;
    }

    pub(super) fn failed(&mut self, error: &str, now: Timestamp) {
        let failing = Failing { since: now, tries: 0, error: String::new() };
        let failing = self.failing.get_or_insert(failing);
        failing.tries += 1;
        error.clone_into(&mut failing.error);
    }

    pub(super) fn failing(&self) -> Option<&Failing> {
        self.failing.as_ref()
    }

    /// The target refused us for this item: whether it would refuse everybody's.
    pub(super) fn is_about_us(&mut self, item: RowId) -> bool {
        if self.refused.len() >= MOST && !self.refused.contains_key(&item) {
            self.refused.clear();
        }
        let well = self.well;
        let refused = self.refused.entry(item).or_insert(Refused { times: 0, well });
        if refused.times == 0 || refused.well < well {
            *refused = Refused { times: refused.times + 1, well };
        }
        refused.times <= BELIEVED
    }

    /// The target failed this item: whether it fails everybody's. What it failed before and took
    /// others' since says nothing of that: it may be the item.
    pub(super) fn takes_nothing(&mut self, item: RowId, first_failed: Option<Timestamp>) -> bool {
        let is_new =
            first_failed.is_none_or(|first| self.last_arrived.is_some_and(|last| last < first));
        if is_new && self.witnesses.len() < SEVERAL {
            self.witnesses.insert(item);
        }
        self.witnesses.len() == SEVERAL
    }

    /// Whether an item that failed first at this time may be given up: only by a target that has
    /// taken something since.
    pub(super) fn may_give_up(&self, first_failed: Timestamp) -> bool {
        self.last_arrived.is_some_and(|last| last >= first_failed)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const LATER: Timestamp = Timestamp::constant(60, 0);
    const ADA: RowId = RowId(1);
    const GRACE: RowId = RowId(2);

    #[test]
    fn a_target_that_refuses_one_and_is_well_otherwise_refuses_that_one() {
        let mut blame = Blame::default();
        // However often, as long as it is not found well.
        assert!((0..10).all(|_| blame.is_about_us(ADA)));
        blame.arrived(GRACE, NOW);
        assert!(blame.is_about_us(ADA));
        blame.answered_probe();
        assert!(!blame.is_about_us(ADA));
        assert!(!blame.is_about_us(ADA), "it is not forgotten");
        assert!(blame.is_about_us(GRACE), "whoever else is refused is believed");
        blame.arrived(ADA, NOW);
        assert!(blame.is_about_us(ADA));
    }

    #[test]
    fn a_target_that_refuses_many_refuses_us_whatever_it_answers_to_probes() {
        let mut blame = Blame::default();
        let everybody = (0..=MOST as i64).map(RowId);
        for _ in 0..5 {
            let believed = everybody.clone().filter(|item| blame.is_about_us(*item)).count();
            assert!(believed > 0);
            blame.answered_probe();
        }
    }

    #[test]
    fn a_target_that_fails_several_and_takes_none_between_takes_nobodys() {
        let mut blame = Blame::default();
        assert!((0..10).all(|_| !blame.takes_nothing(ADA, None)), "one alone, however often");
        let mut others = (2..=SEVERAL as i64).map(RowId);
        let last = others.next_back().unwrap();
        assert!(others.all(|item| !blame.takes_nothing(item, None)));
        assert!(blame.takes_nothing(last, None) && blame.takes_nothing(ADA, None));
        blame.arrived(GRACE, NOW);
        assert!(!blame.takes_nothing(ADA, None));
    }

    #[test]
    fn those_that_failed_while_others_arrived_say_nothing_of_the_target() {
        let mut blame = Blame::default();
        let several = || (1..=SEVERAL as i64).map(RowId);
        assert!(several().all(|item| !blame.takes_nothing(item, Some(NOW))), "nobody knows yet");
        blame.arrived(GRACE, LATER);
        assert!(several().all(|item| !blame.takes_nothing(item, Some(NOW))));
        let since = Some(LATER + SignedDuration::from_secs(1));
        assert!(several().any(|item| blame.takes_nothing(item, since)));
    }

    #[test]
    fn nothing_is_given_up_for_a_target_that_takes_nothing() {
        let mut blame = Blame::default();
        assert!(!blame.may_give_up(NOW));
        blame.arrived(GRACE, NOW);
        assert!(blame.may_give_up(NOW));
        assert!(!blame.may_give_up(LATER));
    }

    #[test]
    fn that_nothing_arrives_is_known_from_the_first_failure_until_something_does() {
        let mut blame = Blame::default();
        blame.failed("busy", NOW);
        blame.failed("gone", NOW + SignedDuration::from_hours(1));
        let failing = Failing { since: NOW, tries: 2, error: "gone".to_owned() };
        assert_eq!(blame.failing(), Some(&failing));
        blame.arrived(GRACE, LATER);
        assert_eq!(blame.failing(), None);
    }
}
