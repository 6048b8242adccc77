//! What all simulated targets have in common: a mood, and rules that hold for whoever calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use scim_relay_sdk::connector::{DeliveryError, Health, Rate, Wanted, Work};
use scim_relay_sdk::scim::ResourceId;

use super::chance;
use super::mood::{End, Mood, Plan, probed};
use super::record::Record;

/// What was on its way to the connector when it was stopped may arrive: the store is asked twice
/// more for a delivery that has its leave.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// The side of a target that is asked.
pub(super) struct Desk {
    pub(super) name: &'static str,
    pub(super) record: Arc<Record>,
    state: Mutex<State>,
}

struct State {
    mood: Mood,
    in_flight: BTreeSet<ResourceId>,
    /// How new what was begun last was.
    begun: BTreeMap<ResourceId, i64>,
    /// When what was begun last was made up: an attempt that is told to ask first calls again.
    attempts: BTreeMap<ResourceId, Timestamp>,
    /// Since when nothing may come: somebody stopped it, or it is in trouble.
    paused: Option<Duration>,
    tripped: Option<Duration>,
    /// When it last said that it is in trouble, and when that it is well.
    trouble: Option<Duration>,
    probed: Option<Duration>,
    pace: Option<Pace>,
    /// When a delivery begun last, for which leave was asked.
    came: Option<Duration>,
    panics: u64,
    calls: u64,
}

/// How often something may come: no more at once than this, and after that one in each `every`.
struct Pace {
    most: f64,
    left: f64,
    every: Duration,
    since: Duration,
}

impl Pace {
    /// One comes; `false` if that is one too many.
    fn takes_one(&mut self, now: Duration) -> bool {
        let earned = now.saturating_sub(self.since).div_duration_f64(self.every);
        self.left = (self.left + earned).min(self.most) - 1.0;
        self.since = now;
        self.left > -0.001
    }
}

impl Desk {
    pub(super) fn new(name: &'static str, record: &Arc<Record>) -> Self {
        let state = State {
            mood: Mood::Well,
            in_flight: BTreeSet::new(),
            begun: BTreeMap::new(),
            attempts: BTreeMap::new(),
            paused: None,
            tripped: None,
            trouble: None,
            probed: None,
            pace: None,
            came: None,
            panics: 0,
            calls: 0,
        };
        Self { name, record: Arc::clone(record), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    pub(super) fn set_paused(&self, paused: bool) {
        let now = self.record.passed();
        self.state().paused = paused.then_some(now);
    }

    /// A new lane knows of no trouble.
    pub(super) fn forget_trouble(&self) {
        self.state().tripped = None;
    }

    /// A lane begins, with this rate. All that it may do at once may have had leave a while before.
    pub(super) fn set_pace(&self, rate: Option<Rate>, concurrency: usize) {
        let since = self.record.passed();
        self.state().pace = rate.map(|rate| {
            let every = rate.per / rate.count;
            let most = (1.0 / every.as_secs_f64()).ceil().max(1.0) + concurrency as f64;
            Pace { most, left: most, every, since }
        });
    }

    /// Whether something came within as long as its rate may have kept it away, and a moment.
    pub(super) fn is_at_its_pace(&self, moment: Duration) -> bool {
        let now = self.record.passed();
        let State { pace, came, .. } = &*self.state();
        let since = came.filter(|_| pace.is_some());
        since.zip(pace.as_ref()).is_some_and(|(at, pace)| now < at + pace.every + moment)
    }

    pub(super) fn panics(&self) -> u64 {
        self.state().panics
    }

    pub(super) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Whether it took nothing within this time because of trouble, whatever it says to probes.
    pub(super) fn was_in_trouble(&self, within: Duration) -> bool {
        let now = self.record.passed();
        self.state().trouble.is_some_and(|at| now < at + within)
    }

    /// Whether it has answered a probe within this time: until then its work lay still.
    pub(super) fn was_probed(&self, within: Duration) -> bool {
        let now = self.record.passed();
        self.state().probed.is_some_and(|at| now < at + within)
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.state().in_flight.is_empty()
    }

    /// A delivery begins. `age` grows with what the work is made of.
    pub(super) fn begin(&self, work: &Work, age: i64) -> Visit<'_> {
        let now = self.record.passed();
        let mut state = self.state();
        let plan = Plan::of(state.mood);
        state.calls += 1;
        let id = work.key.id;
        let since = |since: Option<Duration>| since.is_some_and(|since| now > since + ON_ITS_WAY);
        let (paused, tripped) = (since(state.paused), since(state.tripped));
        let goes_on = state.attempts.insert(id, work.now) == Some(work.now);
        let alone = state.in_flight.insert(id);
        let before = state.begun.insert(id, age).unwrap_or(age);
        let too_soon = !goes_on && state.pace.as_mut().is_some_and(|pace| !pace.takes_one(now));
        if !goes_on {
            state.came = Some(now);
        }
        drop(state);
        let what = format!("{}: {} {age}", self.name, told(work));
        self.record.note(&format!(
            "{what} -> {:?}{}",
            plan.end,
            if plan.acts { "" } else { " (not done)" }
        ));
        for (is, rule) in [
            (paused && !goes_on, "delivered although paused"),
            (tripped && !goes_on, "delivered although the target is in trouble"),
            (!alone, "two deliveries of one resource at once"),
            (too_soon, "more often than its rate allows"),
            (age < before, "an older state was delivered after a newer one"),
        ] {
            if is {
                self.record.wrong(format!("{what}: {rule}"));
            }
        }
        Visit { desk: self, id, plan }
    }

    pub(super) async fn probe(&self) -> Result<Health, DeliveryError> {
        let mood = self.state().mood;
        self.record.note(&format!("{}: probed, {mood:?}", self.name));
        tokio::time::sleep(chance::millis(100)).await;
        match probed(mood) {
            None => std::future::pending().await,
            Some(Err(error)) => Err(error),
            Some(Ok(())) => {
                let now = self.record.passed();
                let mut state = self.state();
                (state.tripped, state.probed) = (None, Some(now));
                Ok(Health { summary: "here".to_owned() })
            }
        }
    }
}

/// A delivery that is under way.
pub(super) struct Visit<'a> {
    desk: &'a Desk,
    id: ResourceId,
    pub(super) plan: Plan,
}

impl Visit<'_> {
    /// What is said at the end, after `result` was come to; `None`: that.
    pub(super) async fn end(&self) -> Option<DeliveryError> {
        tokio::time::sleep(self.plan.after).await;
        match self.plan.end {
            End::Panic => {
                self.desk.state().panics += 1;
                // A panic that says nothing on the terminal.
                std::panic::resume_unwind(Box::new("the script says so"))
            }
            End::Hang => std::future::pending().await,
            // A refusal may be about the one resource, and stops nobody else then.
            End::Unreachable => {
                let now = self.desk.record.passed();
                let mut state = self.desk.state();
                state.tripped.get_or_insert(now);
                state.trouble = Some(now);
            }
            _ => {}
        }
        self.plan.end.error()
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.desk.state().in_flight.remove(&self.id);
    }
}

/// What a work is about, for people.
pub(super) fn told(work: &Work) -> String {
    let attributes = &work.wanted.resource().attributes;
    let text = |name: &str| attributes.get(name).and_then(|value| value.as_str());
    let name = text("userName").or_else(|| text("displayName")).unwrap_or_default();
    let what = match &work.wanted {
        Wanted::Present(_) => text("title").unwrap_or_default().to_owned(),
        Wanted::Gone { why, .. } => format!("{why:?}"),
    };
    let id = work.key.id.to_string();
    format!(
        "{name} {what} ({}, attempt {}{})",
        &id[id.len() - 4..],
        work.attempt,
        if work.in_doubt { ", in doubt" } else { "" }
    )
}
