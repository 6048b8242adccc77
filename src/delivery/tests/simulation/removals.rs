//! What a directory took away: in no hour more than the limit, but for what a person approved.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use scim_relay_sdk::scim::ResourceId;

use super::chance;
use super::record::Record;
use crate::safety::{Removal, Safety, Share};

/// From when an attempt may remove something until it has.
const ATTEMPT: SignedDuration = SignedDuration::from_mins(3);
const WINDOW: SignedDuration = SignedDuration::from_hours(1);

pub(super) struct Removals {
    name: &'static str,
    record: Arc<Record>,
    entries: u64,
    members: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whom a person let go, until it is done.
    approved: BTreeSet<ResourceId>,
    made: Vec<(SignedDuration, Removal, u64)>,
}

impl Removals {
    pub(super) fn new(name: &'static str, record: &Arc<Record>) -> Self {
        let record = Arc::clone(record);
        let (entries, members) = (chance::throw(4), chance::throw(5));
        Self { name, record, entries, members, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn safety(&self) -> Safety {
        Safety {
            max_removals: Share::Count(self.entries),
            max_member_removals: Share::Count(self.members),
            ..Safety::usual(TimeZone::UTC)
        }
    }

    pub(super) fn approve(&self, of: impl IntoIterator<Item = ResourceId>) {
        self.state().approved.extend(of);
    }

    /// Nobody else has anything left to be done that was approved.
    pub(super) fn wait(&self, waiting: &BTreeSet<ResourceId>) {
        self.state().approved.retain(|id| waiting.contains(id));
    }

    pub(super) fn made(&self, what: Removal, of: ResourceId, count: u64) {
        let now = self.record.counted();
        let mut state = self.state();
        // Who was allowed before somebody set the clock may be done after that.
        if count == 0 || state.approved.contains(&of) || self.record.jumped_within(ATTEMPT) {
            return;
        }
        state.made.push((now, what, count));
        let since = now - WINDOW + ATTEMPT;
        let recent = state.made.iter().filter(|(at, kind, _)| *at > since && *kind == what);
        let count: u64 = recent.map(|(.., count)| count).sum();
        drop(state);
        let limit = match what {
            Removal::Entry => self.entries,
            Removal::Member => self.members,
        };
        if count > limit {
            let name = self.name;
            self.record.wrong(format!("{name}: {what:?}: {count} in an hour of at most {limit}"));
        }
    }
}
