//! A lane's slots: who has them, and who gets the next one. Pure.
//!
//! Whoever has failed before may fail slowly, up to the time limit each time: together they get half
//! of the slots and no more, so that there is always one before long for what is fresh. A slot that
//! comes free goes to the organization that has fewest.

use std::collections::{HashMap, VecDeque};

use crate::store::{Claim, OrgId, Room};

#[derive(Debug)]
pub(super) struct Slots {
    all: usize,
    retries: usize,
    taken: usize,
    taken_by: HashMap<OrgId, usize>,
}

impl Slots {
    pub(super) fn new(all: usize) -> Self {
        Self { all, retries: 0, taken: 0, taken_by: HashMap::new() }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    pub(super) fn free(&self) -> usize {
        self.all.saturating_sub(self.taken)
    }

    /// For `rows` more beside those that are `claimed` and have no slot yet. A retry is claimed only
    /// for a slot that it may have at once, so that none stands in the way of others.
    pub(super) fn room(&self, claimed: &VecDeque<Claim>, rows: usize) -> Room {
        let may_retry = (self.all / 2).max(1);
        let retries = self.retries + claimed.iter().filter(|claim| claim.is_retry).count();
        Room { rows, retries: may_retry.saturating_sub(retries) }
    }

    /// Gives a free slot to one of those that are claimed.
    pub(super) fn take(&mut self, claimed: &mut VecDeque<Claim>) -> Option<Claim> {
        if self.free() == 0 {
            return None;
        }
        let order = claimed.iter().enumerate();
        let (next, _) = order.min_by_key(|(place, claim)| {
            (self.taken_by.get(&claim.organization).copied().unwrap_or(0), *place)
        })?;
        let claim = claimed.remove(next)?;
        self.taken += 1;
        self.retries += usize::from(claim.is_retry);
        *self.taken_by.entry(claim.organization).or_default() += 1;
        Some(claim)
    }

    pub(super) fn give_back(&mut self, organization: OrgId, is_retry: bool) {
        self.taken -= 1;
        self.retries -= usize::from(is_retry);
        if let Some(taken) = self.taken_by.get_mut(&organization) {
            *taken -= 1;
            if *taken == 0 {
                self.taken_by.remove(&organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::{ConnectorId, Reason, RowId};

    fn claim(organization: i64, is_retry: bool) -> Claim {
        Claim {
            connector: ConnectorId(1),
            resource: RowId(1),
            organization: OrgId(organization),
            since: 1,
            mark: 1,
            epoch: 1,
            reason: Reason::Change,
            entire: false,
            attempts: 0,
            first_failed: None,
            dirty_at: Timestamp::UNIX_EPOCH,
            in_doubt: false,
            due: Timestamp::UNIX_EPOCH,
            held: None,
            collapsed: false,
            is_retry,
            background: false,
        }
    }

    /// Who gets the slots, one after the other.
    fn given(all: usize, organizations: &[i64]) -> Vec<i64> {
        let mut slots = Slots::new(all);
        let mut claimed = organizations.iter().map(|&one| claim(one, false)).collect();
        std::iter::from_fn(|| slots.take(&mut claimed).map(|claim| claim.organization.0)).collect()
    }

    #[test]
    fn a_slot_goes_to_the_organization_that_has_fewest() {
        assert_eq!(given(4, &[1, 1, 1, 1, 2, 2, 3]), [1, 2, 3, 1]);
        assert_eq!(given(4, &[1, 1, 1, 1, 1]), [1, 1, 1, 1]);
        assert_eq!(given(4, &[2, 1]), [2, 1]);
    }

    #[test]
    fn a_slot_that_came_free_goes_to_who_had_none() {
        let mut slots = Slots::new(2);
        let mut claimed = [1, 1, 1, 2].map(|one| claim(one, false)).into();
        slots.take(&mut claimed);
        slots.take(&mut claimed);
        assert_eq!((slots.free(), slots.take(&mut claimed).is_none()), (0, true));
        slots.give_back(OrgId(1), false);
        slots.give_back(OrgId(2), false);
        assert_eq!((slots.taken(), slots.free()), (0, 2));
    }

    #[test]
    fn half_of_the_slots_are_for_retries_and_one_at_least() {
        for (all, expected) in [(1, 1), (2, 1), (3, 1), (8, 4)] {
            let mut slots = Slots::new(all);
            let retries =
                |slots: &Slots, claimed: &VecDeque<Claim>| slots.room(claimed, 10).retries;
            let mut claimed: VecDeque<Claim> = [claim(1, true)].into();
            assert_eq!(retries(&slots, &VecDeque::new()), expected, "{all}");
            assert_eq!(retries(&slots, &claimed), expected - 1, "{all}: one is claimed");
            slots.take(&mut claimed);
            assert_eq!(retries(&slots, &claimed), expected - 1, "{all}: one is in flight");
            slots.give_back(OrgId(1), true);
            assert_eq!(retries(&slots, &claimed), expected, "{all}: it has ended");
        }
    }
}
