//! What time it is in a simulation, what happened last, and what was wrong.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::clock::Clock;

/// Lines that are shown of a schedule that failed.
const KEPT: usize = 120;

/// Shared by everybody in a simulation.
#[derive(Debug)]
pub(super) struct Record(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Time that passed in the lives of the process before this one.
    before: Duration,
    /// When this one began, by the runtime's own clock.
    since: Option<Instant>,
    /// What the wall clock says when none has passed.
    zero: Timestamp,
    /// By how much it was set ahead, all in all.
    ahead: SignedDuration,
    /// When somebody last set the wall clock.
    jumped: Option<Duration>,
    trace: VecDeque<String>,
    wrong: Option<String>,
}

impl Record {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            before: Duration::ZERO,
            since: None,
            zero: Timestamp::constant(1_788_220_800, 0),
            ahead: SignedDuration::ZERO,
            jumped: None,
            trace: VecDeque::new(),
            wrong: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A process begins, in a runtime of its own.
    pub(super) fn begin(&self) {
        self.state().since = Some(Instant::now());
    }

    /// It ended, and the runtime with it.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.before = state.passed();
        state.since = None;
    }

    /// How long the simulation has run, whatever the wall clock says.
    pub(super) fn passed(&self) -> Duration {
        self.state().passed()
    }

    /// The wall clock is set ahead, or back.
    pub(super) fn jump(&self, by: SignedDuration) {
        let mut state = self.state();
        state.zero += by;
        state.ahead += by.max(SignedDuration::ZERO);
        state.jumped = Some(state.passed());
    }

    /// How much time it has been for hours that are counted: those that the wall clock was set back
    /// come once.
    pub(super) fn counted(&self) -> SignedDuration {
        let state = self.state();
        state.ahead + SignedDuration::try_from(state.passed()).expect("no such long schedules")
    }

    /// Whether the wall clock was set that short a time ago.
    pub(super) fn jumped_within(&self, time: SignedDuration) -> bool {
        let state = self.state();
        state.jumped.is_some_and(|at| state.passed() < at + time.unsigned_abs())
    }

    pub(super) fn note(&self, text: &str) {
        let mut state = self.state();
        let passed = state.passed();
        let (seconds, millis) = (passed.as_secs(), passed.subsec_millis());
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        if state.trace.len() == KEPT {
            state.trace.pop_front();
        }
        let line = format!("{hours:3}:{minutes:02}:{:02}.{millis:03} {text}", seconds % 60);
        state.trace.push_back(line);
    }

    /// A rule was broken. The first one counts.
    pub(super) fn wrong(&self, what: String) {
        self.note(&format!("WRONG: {what}"));
        self.state().wrong.get_or_insert(what);
    }

    pub(super) fn verdict(&self) -> Result<(), String> {
        self.state().wrong.clone().map_or(Ok(()), Err)
    }

    pub(super) fn trace(&self) -> String {
        Vec::from(self.state().trace.clone()).join("\n")
    }
}

impl State {
    fn passed(&self) -> Duration {
        self.before + self.since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

impl Clock for Record {
    fn now(&self) -> Timestamp {
        let state = self.state();
        state.zero + state.passed()
    }
}
