//! What happens when nobody disturbs anything any more: all must come into line.

use std::time::Duration;

use jiff::SignedDuration;

use super::house::{Life, Target};
use super::mood::Mood;
use super::world::{World, key};
use crate::store::{EntryFilter, People, Reason, State, Store, Touch, Verdict};

impl World {
    /// Everything is in order again, and people see to what waits for them: then all must come
    /// into line, in a time that the longest wait decides.
    pub(super) async fn heal(&mut self, life: &mut Life) -> Result<(), String> {
        self.house.record.note("-- all is well from here on");
        self.house.fill_the_disk_for(Duration::ZERO);
        for at in 0..self.house.lines.len() {
            self.house.lines[at].target.desk().set_mood(Mood::Perfect);
            self.house.lines[at].settings.enabled = true;
        }
        self.house.reload(life).await;
        for at in 0..self.house.lines.len() {
            self.house.pause(life, at, false).await;
        }
        self.resync_what_was_skipped(life).await;
        self.disturbed();
        let begun = self.house.record.passed();
        let mut rounds = 0;
        while !self.is_quiet() {
            if self.waits_for_a_day(life) {
                self.house.record.jump(SignedDuration::from_hours(48));
                self.disturbed();
            }
            if self.house.record.passed() > begun + Duration::from_hours(12) {
                return Err(format!("nothing stands in the way, and yet:\n{}", self.queue()));
            }
            self.pass(life, Duration::from_mins(5)).await?;
            self.check(life)?;
            rounds += 1;
            if rounds % 9 == 0 {
                self.see_to_what_waits(life).await;
            }
        }
        self.check(life)?;
        self.compare()
    }

    async fn see_to_what_waits(&self, life: &Life) {
        for line in &self.house.lines {
            // Whoever rejected something thinks again.
            for state in [State::Held, State::Parked] {
                let (connector, state) = (Some(line.id), Some(state));
                let some = EntryFilter { connector, state, limit: 1_000, ..EntryFilter::default() };
                let some = life.store.entries(some).await.unwrap().entries;
                life.decide(line, some.iter().map(key).collect(), Verdict::Approve(None)).await;
            }
        }
        let parked = EntryFilter { state: Some(State::Parked), ..EntryFilter::default() };
        life.store.touch(parked, Touch::Retry, None, life.now()).await.unwrap();
    }

    /// What a person gave up stays as it is, until a person says otherwise.
    async fn resync_what_was_skipped(&mut self, life: &Life) {
        for (at, id, _) in &self.skipped {
            let line = &self.house.lines[*at];
            if let (Target::Directory(directory), Some(known)) =
                (&line.target, self.model.resources.get(id))
            {
                if !known.living {
                    // Nobody knows any more whose it was, and it may have a name that others want.
                    directory.tidy_up(*id);
                }
                let now = life.now();
                life.store.mark(line.id, vec![known.row], Reason::Resync, now).await.unwrap();
            }
        }
    }
}
