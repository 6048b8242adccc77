//! One connector's deliveries: how many at once, how fast, and when none at all.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use scim_relay_sdk::connector::{self, Action, DeliveryError, HoldKind};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::blame::Blame;
use super::holds::{Holds, noun};
use super::outcome::Verdict;
use super::rate::Rates;
use super::slots::Slots;
use super::{Breaker, Health, LaneSettings, Shared, deliver};
use crate::metrics;
use crate::safety::Removal;
use crate::store::{Claim, OrgId, Outcome, Paused, RowId, Settlement, StoreError};

/// Claims taken ahead of free slots, at most, for each slot: one commit then serves many deliveries.
const AHEAD: usize = 7;
/// And for all of them.
const MOST_AHEAD: usize = 256;
/// What is claimed begins within this time, or is given back: it is kept from newer content, and the
/// lane from what has become more urgent.
const SOON: Duration = Duration::from_secs(1);
/// The longest sleep without looking: a clock that jumps is noticed by then.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// To count what was delivered may take a second where that is a million.
const COUNTED_FOR: SignedDuration = SignedDuration::from_mins(1);
const AFTER_STORE_TROUBLE: Duration = Duration::from_secs(2);

/// A running lane, from outside.
pub(super) struct Handle {
    core: Arc<Core>,
    tasks: TaskTracker,
}

struct State {
    breaker: watch::Sender<Breaker>,
    paused: watch::Sender<Option<Paused>>,
    /// A slot came free, or someone wants the lane to look again.
    nudge: Notify,
    slots: Mutex<Slots>,
    blame: Mutex<Blame>,
    /// The rate allows nothing before this.
    resting: watch::Sender<Option<Instant>>,
    last_delivered: AtomicI64,
}

impl State {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn blame(&self) -> MutexGuard<'_, Blame> {
        self.blame.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    pub(super) fn health(&self) -> Health {
        let state = &self.core.state;
        let last = state.last_delivered.load(Ordering::Relaxed);
        Health {
            paused: state.paused.borrow().clone(),
            trouble: state.breaker.borrow().trouble().cloned(),
            failing: state.blame().failing().cloned(),
            in_flight: state.slots().taken(),
            last_delivered: (last > 0).then(|| Timestamp::from_millisecond(last).ok()).flatten(),
        }
    }

    pub(super) fn settings(&self) -> &LaneSettings {
        &self.core.settings
    }

    pub(super) async fn limit(&self, kind: HoldKind, of: Removal) -> Result<u64, StoreError> {
        let Core { shared, settings, .. } = &*self.core;
        let now = shared.clock.now();
        let delivered = self.core.delivered(kind, now).await?;
        Ok(settings.safety.limit(of, now, delivered))
    }

    pub(super) fn set_paused(&self, paused: Option<Paused>) {
        let state = &self.core.state;
        if paused.is_none() {
            state.breaker.send_modify(|breaker| breaker.hurry(Timestamp::UNIX_EPOCH));
        }
        state.paused.send_replace(paused);
        state.nudge.notify_one();
    }

    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }
}

pub(super) fn start(shared: &Shared, settings: LaneSettings, stop: CancellationToken) -> Handle {
    let state = State {
        breaker: watch::Sender::new(Breaker::default()),
        paused: watch::Sender::new(settings.paused.clone()),
        nudge: Notify::new(),
        slots: Mutex::new(Slots::new(settings.concurrency)),
        blame: Mutex::default(),
        resting: watch::Sender::new(None),
        last_delivered: AtomicI64::new(0),
    };
    let core = Arc::new(Core {
        shared: shared.clone(),
        rates: Rates::new([settings.rate, settings.connector.rate()].into_iter().flatten()),
        delivered: Mutex::default(),
        settings,
        state,
        holds: Holds::default(),
        stop,
    });
    let tasks = TaskTracker::new();
    let lane = Lane::new(Arc::clone(&core), tasks.clone());
    // Tracked twice: by the lane, so that a reload can wait for it, and by the daemon.
    shared.tasks.spawn(tasks.track_future(lane.run()));
    tasks.close();
    Handle { core, tasks }
}

/// What a lane and its deliveries share.
pub(super) struct Core {
    pub(super) shared: Shared,
    pub(super) settings: LaneSettings,
    rates: Rates,
    /// What limits are a share of, as last counted.
    delivered: Mutex<HashMap<HoldKind, (Timestamp, u64)>>,
    state: State,
    /// What the log has said of what waits for approval.
    pub(super) holds: Holds,
    stop: CancellationToken,
}

impl Core {
    /// Waits until the rate allows one more; `false` if that is not soon, or the lane stops before.
    pub(super) async fn may_go(&self) -> bool {
        let leave = tokio::select! {
            biased;
            () = self.halted() => return false,
            leave = self.rates.leave(SOON) => leave,
        };
        if let Err(wait) = leave {
            self.state.resting.send_replace(Some(Instant::now() + wait));
        }
        leave.is_ok()
    }

    /// How much the connector has delivered of what this kind removes, as of a minute ago at most.
    pub(super) async fn delivered(
        &self,
        kind: HoldKind,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let known =
            self.delivered.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).copied();
        if let Some((at, count)) = known
            && now.duration_since(at).abs() < COUNTED_FOR
        {
            return Ok(count);
        }
        let count = self.shared.store.delivered(self.settings.id, kind, now).await?;
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        delivered.insert(kind, (now, count));
        Ok(count)
    }

    /// Until nothing more may be begun.
    async fn halted(&self) {
        let mut paused = self.state.paused.subscribe();
        let mut breaker = self.state.breaker.subscribe();
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            _ = paused.wait_for(Option::is_some) => {}
            _ = breaker.wait_for(Breaker::is_open) => {}
        }
    }

    /// What a delivery's end says of the target.
    pub(super) fn note(&self, item: RowId, verdict: &Verdict) {
        let now = self.shared.clock.now();
        if let Outcome::Retry { error, counted, .. } = &verdict.outcome
            && (*counted || verdict.trouble.is_some())
        {
            self.state.blame().failed(error, now);
        }
        // What was ignored never got to the target.
        if let Outcome::Delivered { action, .. } = &verdict.outcome
            && *action != Action::Ignored
        {
            self.state.blame().arrived(item, now);
            self.state.last_delivered.store(now.as_millisecond(), Ordering::Relaxed);
            let mut down = None;
            self.state.breaker.send_modify(|breaker| down = breaker.took(now));
            if let Some(down) = down {
                self.is_back(down, "it takes what it is given");
            }
            self.up(self.state.breaker.borrow().trouble().is_none());
        }
        if let Some(error) = &verdict.trouble {
            let mut news = false;
            self.state
                .breaker
                .send_modify(|breaker| news = breaker.trip(error, now, (self.shared.dice)()));
            if news {
                self.up(false);
                tracing::warn!(connector = %self.settings.name, error = error.chain(), "the target is in trouble; its work waits, and it is probed");
            }
        }
    }

    /// The target refused us for this item: whether it would refuse everybody's.
    pub(super) fn is_about_us(&self, item: RowId) -> bool {
        self.state.blame().is_about_us(item)
    }

    /// The target failed this item: whether it fails everybody's.
    pub(super) fn takes_nothing(&self, claim: &Claim) -> bool {
        self.state.blame().takes_nothing(claim.resource, claim.first_failed)
    }

    /// Whether an item that fails may be given up in the end.
    pub(super) fn may_give_up(&self, claim: &Claim) -> bool {
        claim.first_failed.is_some_and(|first| self.state.blame().may_give_up(first))
    }

    fn is_back(&self, down: SignedDuration, answer: &str) {
        tracing::info!(connector = %self.settings.name, seconds = down.as_secs(), answer, "the target is back");
    }

    fn up(&self, is_up: bool) {
        let label = metrics::Connector { connector: self.settings.name.to_string() };
        self.shared.metrics.connector_up.get_or_create(&label).set(is_up.into());
    }
}

struct Lane {
    core: Arc<Core>,
    tasks: TaskTracker,
    claimed: VecDeque<Claim>,
    /// How many are claimed ahead of free slots: more and more while they begin at once, and none
    /// once they have not.
    ahead: usize,
    /// When there was last a claim, and whether it brought all that was asked for.
    last_claim: Instant,
    was_full: bool,
}

impl Lane {
    fn new(core: Arc<Core>, tasks: TaskTracker) -> Self {
        let claimed = VecDeque::new();
        Self { core, tasks, claimed, ahead: 0, last_claim: Instant::now(), was_full: false }
    }

    async fn run(mut self) {
        let core = Arc::clone(&self.core);
        let mut bell = core.shared.store.bell();
        let mut paused = core.state.paused.subscribe();
        if let Ok(kinds) = core.shared.store.held_kinds(core.settings.id).await {
            core.holds.begin_with(kinds);
        }
        while !core.stop.is_cancelled() {
            bell.mark_unchanged();
            let wait = self.step().await;
            let Some(wait) = wait else { continue };
            tokio::select! {
                biased;
                () = core.stop.cancelled() => {}
                _ = bell.changed() => {}
                _ = paused.changed() => {}
                () = core.state.nudge.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.give_back().await;
    }

    /// Does what can be done now; how long to wait for more, if nothing can.
    async fn step(&mut self) -> Option<Duration> {
        self.mind_the_holds().await;
        if self.core.state.paused.borrow().is_some() {
            self.give_back().await;
            return Some(LOOK_AGAIN);
        }
        if let Some(wait) = self.mind_the_breaker().await {
            self.give_back().await;
            return Some(wait);
        }
        if let Some(wait) = self.rest() {
            self.give_back().await;
            return Some(wait);
        }
        if self.waits_too_long() {
            self.give_back().await;
        }
        self.begin();
        let free = self.core.state.slots().free();
        // Before they run out, so that no slot waits for a commit.
        if self.claimed.len() < self.ahead.div_ceil(2).min(self.core.settings.concurrency).max(free)
        {
            if let Err(wait) = self.claim(free).await {
                return Some(wait);
            }
            self.begin();
        }
        // A slot that comes free nudges.
        if self.core.state.slots().free() == 0 {
            let too_long = SOON.saturating_sub(self.last_claim.elapsed());
            return Some(if self.claimed.is_empty() { LOOK_AGAIN } else { too_long });
        }
        Some(self.until_next_due().await)
    }

    /// How long the rate allows nothing more, if it does not.
    fn rest(&self) -> Option<Duration> {
        let until = (*self.core.state.resting.borrow())?;
        let wait = until.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            self.core.state.resting.send_replace(None);
            return None;
        }
        Some(wait.min(LOOK_AGAIN))
    }

    fn waits_too_long(&self) -> bool {
        !self.claimed.is_empty() && self.last_claim.elapsed() >= SOON
    }

    /// Begins as many of those that are claimed as there are slots for.
    fn begin(&mut self) {
        loop {
            let next = self.core.state.slots().take(&mut self.claimed);
            let Some(claim) = next else { return };
            self.spawn(claim);
        }
    }

    /// Says it once when nothing of a kind is held any more.
    async fn mind_the_holds(&self) {
        let Core { shared, settings, holds, .. } = &*self.core;
        if holds.is_empty() {
            return;
        }
        if let Ok(left) = shared.store.held_kinds(settings.id).await {
            for kind in holds.left(&left) {
                tracing::info!(connector = %settings.name, "holds no {} any more: everything was decided or is not wanted any more", noun(kind));
            }
        }
    }

    async fn claim(&mut self, free: usize) -> Result<(), Duration> {
        let Core { shared, settings, state, .. } = &*self.core;
        if self.was_full && self.last_claim.elapsed() < SOON / 2 {
            let most = (AHEAD * settings.concurrency).min(MOST_AHEAD);
            self.ahead = (2 * self.ahead + 1).min(most);
        }
        let rows = (free + self.ahead).saturating_sub(self.claimed.len());
        let room = state.slots().room(&self.claimed, rows);
        match shared.store.claim(settings.id, room, shared.clock.now()).await {
            Ok(claims) => {
                self.was_full = claims.len() == rows;
                self.last_claim = Instant::now();
                self.claimed.extend(claims);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(connector = %settings.name, %error, "cannot claim work just now");
                Err(AFTER_STORE_TROUBLE)
            }
        }
    }

    async fn until_next_due(&self) -> Duration {
        let Core { shared, settings, state, .. } = &*self.core;
        let room = state.slots().room(&self.claimed, 1);
        match shared.store.next_due(settings.id, room).await {
            Ok(Some(due)) => {
                let wait = Duration::try_from(due.duration_since(shared.clock.now()));
                wait.unwrap_or_default().clamp(Duration::from_millis(1), LOOK_AGAIN)
            }
            Ok(None) => LOOK_AGAIN,
            Err(_) => AFTER_STORE_TROUBLE,
        }
    }

    fn spawn(&self, claim: Claim) {
        let core = Arc::clone(&self.core);
        self.core.shared.tasks.spawn(self.tasks.track_future(async move {
            let slot = Slot {
                state: &core.state,
                organization: claim.organization,
                is_retry: claim.is_retry,
            };
            tokio::select! {
                biased;
                () = deliver::deliver(&core, claim) => {}
                // The claim stays taken on disk; the next start gives it out again, in doubt.
                () = core.shared.hard.cancelled() => {}
            }
            drop(slot);
        }));
    }

    /// Probes a target that is in trouble when it is time; how long to wait while it is.
    async fn mind_the_breaker(&self) -> Option<Duration> {
        let Core { shared, settings, state, stop, .. } = &*self.core;
        let mut wait = None;
        state.breaker.send_if_modified(|breaker| {
            wait = breaker.wait(shared.clock.now());
            false
        });
        let wait = wait?;
        if !wait.is_zero() {
            return Some(wait.min(LOOK_AGAIN));
        }
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => return Some(LOOK_AGAIN),
            answer = self.probe() => answer,
        };
        let now = shared.clock.now();
        match answer {
            Ok(health) => {
                let mut down = None;
                state.breaker.send_modify(|breaker| down = breaker.answered(now));
                state.blame().answered_probe();
                if let Some(down) = down {
                    self.core.is_back(down, &health.summary);
                    self.core.up(true);
                }
                None
            }
            Err(error) => {
                state
                    .breaker
                    .send_modify(|breaker| breaker.still_down(&error, now, (shared.dice)()));
                tracing::debug!(connector = %settings.name, error = error.chain(), "the target is still down");
                Some(Duration::from_millis(1))
            }
        }
    }

    async fn probe(&self) -> Result<connector::Health, DeliveryError> {
        let settings = &self.core.settings;
        let failed =
            |what: &str| DeliveryError::Unreachable { what: what.to_owned(), source: None };
        let limit = settings.timeout.saturating_mul(deliver::STEPS);
        let probe = AssertUnwindSafe(settings.connector.probe()).catch_unwind();
        match tokio::time::timeout(limit, probe).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                self.core.shared.metrics.panics.inc();
                Err(failed("the connector crashed while it probed"))
            }
            Err(_) => Err(failed("the probe got no answer")),
        }
    }

    /// Gives back what was claimed and not begun: it was too much. A target that is tried again and
    /// again would be asked for one class only, if the others' turns went by each time.
    async fn give_back(&mut self) {
        if !self.claimed.is_empty() {
            self.ahead = 0;
        }
        let Core { shared, settings, .. } = &*self.core;
        let now = shared.clock.now();
        let claims: Vec<_> = self.claimed.drain(..).collect();
        let settled = claims.into_iter().map(async |claim| {
            let (mark, covers, outcome) = (claim.mark, claim.since, Outcome::Released);
            let settlement =
                Settlement { claim: claim.clone(), mark, covers, member_mark: 0, outcome, now };
            (claim, shared.store.settle(settlement).await)
        });
        for (claim, result) in futures_util::future::join_all(settled).await {
            if let Err(error) = result {
                tracing::warn!(connector = %settings.name, %error, "cannot give back a claim just now");
                self.claimed.push_back(claim);
            }
        }
    }
}

/// A slot in use; free again when dropped, whatever happened.
struct Slot<'a> {
    state: &'a State,
    organization: OrgId,
    is_retry: bool,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.state.slots().give_back(self.organization, self.is_retry);
        self.state.nudge.notify_one();
    }
}
