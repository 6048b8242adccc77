//! When the next reconciliation is due, by the wall clock of the configured zone.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::config::Schedule;

/// The longest sleep without looking at the clock, which may jump.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// A clock that went back by more than this was set, and what was planned by it means nothing.
const FAR_BACK: SignedDuration = SignedDuration::from_hours(1);

/// A connector and its schedule.
pub struct Due {
    pub connector: Arc<str>,
    pub schedule: Schedule,
}

/// Calls `fire` with a connector's name whenever its schedule says so, one after another, until
/// `stop`. A run that takes longer than its interval is followed by the next future one, not by
/// those that were missed.
pub async fn timer<F>(
    clock: SharedClock,
    zone: TimeZone,
    due: Vec<Due>,
    stop: CancellationToken,
    fire: impl Fn(Arc<str>) -> F,
) where
    F: Future<Output = ()>,
{
    let mut calendar = Calendar::new(zone, due, clock.now());
    loop {
        if let Some(index) = calendar.ready(clock.now()) {
            fire(Arc::clone(&calendar.due[index].connector)).await;
            calendar.ran(index, clock.now());
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(calendar.wait(clock.now())) => {}
        }
    }
}

/// What comes when. Pure: the time is an argument.
struct Calendar {
    zone: TimeZone,
    due: Vec<Due>,
    /// When each comes next.
    next: Vec<Option<Timestamp>>,
    /// The last time that was told.
    looked: Timestamp,
}

impl Calendar {
    fn new(zone: TimeZone, due: Vec<Due>, now: Timestamp) -> Self {
        let mut calendar = Self { zone, due, next: Vec::new(), looked: now };
        calendar.plan(now);
        calendar
    }

    fn plan(&mut self, now: Timestamp) {
        self.next = self.due.iter().map(|one| one.schedule.next(&self.zone, now)).collect();
    }

    /// Whose time has come.
    fn ready(&mut self, now: Timestamp) -> Option<usize> {
        // A clock that is set back by little only makes everyone wait as much longer; planned anew,
        // what has just run would run again.
        if now.duration_since(self.looked) < -FAR_BACK {
            self.plan(now);
        }
        self.looked = now;
        self.next.iter().position(|next| next.is_some_and(|next| next <= now))
    }

    fn ran(&mut self, index: usize, now: Timestamp) {
        self.next[index] = self.due[index].schedule.next(&self.zone, now);
    }

    fn wait(&self, now: Timestamp) -> Duration {
        self.next.iter().flatten().min().map_or(LOOK_AGAIN, |soonest| {
            Duration::try_from(soonest.duration_since(now)).unwrap_or_default().min(LOOK_AGAIN)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Day {
        calendar: Calendar,
        now: Timestamp,
        fired: Vec<String>,
    }

    impl Day {
        fn begins(at: &str, schedule: &str) -> Self {
            let now = at.parse().unwrap();
            let zone = TimeZone::get("Europe/Oslo").unwrap();
            let schedule = Schedule::parse(schedule).unwrap();
            let due = vec![Due { connector: "directory".into(), schedule }];
            Self { calendar: Calendar::new(zone, due, now), now, fired: Vec::new() }
        }

        /// Lets time pass as the timer does, a look at a time.
        fn pass(&mut self, time: SignedDuration) {
            let end = self.now + time;
            while self.now < end {
                while let Some(index) = self.calendar.ready(self.now) {
                    self.fired.push(self.now.strftime("%F %R").to_string());
                    self.calendar.ran(index, self.now);
                }
                self.now += self.calendar.wait(self.now).max(Duration::from_millis(1));
            }
        }

        fn jump(&mut self, time: SignedDuration) {
            self.now += time;
        }
    }

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    #[test]
    fn a_clock_that_is_set_back_neither_stops_a_schedule_nor_runs_it_twice() {
        let mut day = Day::begins("2026-06-10T00:00:00Z", "15 2 * * *");
        day.pass(SignedDuration::from_secs(15 * 60 + 1));
        assert_eq!(day.fired, ["2026-06-10 00:15"]);
        // By so little that it has run already, and may not again.
        day.jump(SignedDuration::from_secs(-10));
        day.pass(SignedDuration::from_mins(5));
        assert_eq!(day.fired.len(), 1, "{:?}", day.fired);
        for back in [DAY, DAY * 365] {
            let before = day.fired.len();
            day.jump(-back);
            day.pass(DAY * 2);
            assert_eq!(day.fired.len() - before, 2, "{:?}", day.fired);
        }
    }

    #[test]
    fn a_clock_that_is_put_ahead_fires_once_for_all_that_it_passed() {
        for ahead in [DAY, DAY * 365] {
            let mut day = Day::begins("2026-06-10T12:00:00Z", "15 2 * * *");
            day.pass(SignedDuration::from_hours(1));
            day.jump(ahead);
            day.pass(SignedDuration::from_mins(5));
            assert_eq!(day.fired.len(), 1, "{:?}", day.fired);
            day.pass(DAY);
            assert_eq!(day.fired.len(), 2, "{:?}", day.fired);
        }
    }

    #[test]
    fn each_day_has_its_run_when_the_hour_is_skipped_and_when_it_comes_twice() {
        for begin in ["2026-03-27T12:00:00Z", "2026-10-23T12:00:00Z"] {
            let mut days = Day::begins(begin, "30 2 * * *");
            days.pass(DAY * 4);
            assert_eq!(days.fired.len(), 4, "{:?}", days.fired);
        }
    }
}
