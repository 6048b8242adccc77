//! One connector's deliveries: how many at once, how fast, and when none at all.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use governor::{DefaultDirectRateLimiter, Quota};
use jiff::Timestamp;
use scim_relay_sdk::connector::{self, DeliveryError, Rate};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::outcome::Verdict;
use super::{Breaker, Health, LaneSettings, Shared, backoff, deliver};
use crate::metrics;
use crate::store::{Claim, Outcome, Paused, Settlement};

/// Claims taken ahead of free slots, for each slot: one commit then serves many deliveries.
const AHEAD: usize = 8;
/// Claims taken at once, at most.
const MAX_CLAIMS: usize = 256;
/// The longest sleep without looking: a clock that jumps is noticed by then.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
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
    in_flight: AtomicUsize,
    last_delivered: AtomicI64,
}

impl Handle {
    pub(super) fn health(&self) -> Health {
        let state = &self.core.state;
        let last = state.last_delivered.load(Ordering::Relaxed);
        Health {
            paused: state.paused.borrow().clone(),
            trouble: state.breaker.borrow().trouble().cloned(),
            in_flight: state.in_flight.load(Ordering::Relaxed),
            last_delivered: (last > 0).then(|| Timestamp::from_millisecond(last).ok()).flatten(),
        }
    }

    pub(super) fn settings(&self) -> &LaneSettings {
        &self.core.settings
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
        in_flight: AtomicUsize::new(0),
        last_delivered: AtomicI64::new(0),
    };
    let rates: Vec<Rate> =
        [settings.rate, settings.connector.rate()].into_iter().flatten().collect();
    let ahead = rates.iter().map(|rate| 2 * a_second(*rate) as usize).min().unwrap_or(MAX_CLAIMS);
    let most = (settings.concurrency * AHEAD).min(ahead.max(settings.concurrency)).min(MAX_CLAIMS);
    let core = Arc::new(Core {
        shared: shared.clone(),
        limiters: rates.into_iter().filter_map(limiter).collect(),
        settings,
        state,
        stop,
    });
    let tasks = TaskTracker::new();
    let lane =
        Lane { core: Arc::clone(&core), tasks: tasks.clone(), claimed: VecDeque::new(), most };
    // Tracked twice: by the lane, so that a reload can wait for it, and by the daemon.
    shared.tasks.spawn(tasks.track_future(lane.run()));
    tasks.close();
    Handle { core, tasks }
}

/// What a lane and its deliveries share.
pub(super) struct Core {
    pub(super) shared: Shared,
    pub(super) settings: LaneSettings,
    limiters: Vec<DefaultDirectRateLimiter>,
    state: State,
    stop: CancellationToken,
}

impl Core {
    /// Waits until the rate allows one more; `false` if the lane stops before that.
    pub(super) async fn may_go(&self) -> bool {
        let leave = async {
            for limiter in &self.limiters {
                limiter.until_ready().await;
            }
        };
        tokio::select! {
            biased;
            () = self.halted() => false,
            () = leave => true,
        }
    }

    /// Until nothing more may be begun.
    async fn halted(&self) {
        let mut paused = self.state.paused.subscribe();
        let mut breaker = self.state.breaker.subscribe();
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = paused.wait_for(Option::is_some) => {}
            _ = breaker.wait_for(Breaker::is_open) => {}
        }
    }

    /// What a delivery's end says of the target.
    pub(super) fn note(&self, verdict: &Verdict) {
        let now = self.shared.clock.now();
        if matches!(verdict.outcome, Outcome::Delivered { .. }) {
            self.state.last_delivered.store(now.as_millisecond(), Ordering::Relaxed);
            self.state.breaker.send_modify(Breaker::took);
            self.up(!self.state.breaker.borrow().is_open());
        }
        if let Some(error) = &verdict.trouble {
            let mut news = false;
            self.state
                .breaker
                .send_modify(|breaker| news = breaker.trip(error, now, backoff::dice()));
            if news {
                self.up(false);
                tracing::warn!(connector = %self.settings.name, error = error.chain(), "the target is in trouble; its work waits, and it is probed");
            }
        }
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
    /// How many are claimed ahead of free slots: about as many as begin within two seconds, so that
    /// what waits here is not kept from newer content for long.
    most: usize,
}

impl Lane {
    async fn run(mut self) {
        let core = Arc::clone(&self.core);
        let mut bell = core.shared.store.bell();
        let mut paused = core.state.paused.subscribe();
        while !core.stop.is_cancelled() {
            bell.mark_unchanged();
            let wait = self.step().await;
            let Some(wait) = wait else { continue };
            tokio::select! {
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
        if self.core.state.paused.borrow().is_some() {
            self.give_back().await;
            return Some(LOOK_AGAIN);
        }
        if let Some(wait) = self.mind_the_breaker().await {
            self.give_back().await;
            return Some(wait);
        }
        let free = self.free_slots();
        if self.claimed.len() < self.core.settings.concurrency {
            match self.claim().await {
                Ok(()) => {}
                Err(wait) => return Some(wait),
            }
        }
        if self.claimed.is_empty() {
            return Some(self.until_next_due().await);
        }
        if free == 0 {
            return Some(LOOK_AGAIN);
        }
        for _ in 0..free {
            let Some(claim) = self.claimed.pop_front() else { break };
            self.spawn(claim);
        }
        // With slots still free and rows still due, look at once; a slot that comes free nudges.
        if self.free_slots() > 0 { None } else { Some(LOOK_AGAIN) }
    }

    fn free_slots(&self) -> usize {
        let in_flight = self.core.state.in_flight.load(Ordering::Acquire);
        self.core.settings.concurrency.saturating_sub(in_flight)
    }

    async fn claim(&mut self) -> Result<(), Duration> {
        let Core { shared, settings, .. } = &*self.core;
        let limit = self.most.saturating_sub(self.claimed.len());
        match shared.store.claim(settings.id, limit, shared.clock.now()).await {
            Ok(claims) => {
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
        let shared = &self.core.shared;
        match shared.store.next_due(self.core.settings.id).await {
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
        core.state.in_flight.fetch_add(1, Ordering::AcqRel);
        self.core.shared.tasks.spawn(self.tasks.track_future(async move {
            let slot = Slot(&core.state);
            tokio::select! {
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
        let next = state.breaker.borrow().trouble()?.next_probe;
        let now = shared.clock.now();
        if next > now {
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            return Some(wait.min(LOOK_AGAIN));
        }
        let answer = tokio::select! {
            () = stop.cancelled() => return Some(LOOK_AGAIN),
            answer = self.probe() => answer,
        };
        let now = shared.clock.now();
        match answer {
            Ok(health) => {
                let mut down = None;
                state.breaker.send_modify(|breaker| down = breaker.mend(now));
                if let Some(down) = down {
                    tracing::info!(connector = %settings.name, seconds = down.as_secs(), answer = health.summary, "the target is back");
                }
                self.core.up(true);
                None
            }
            Err(error) => {
                state
                    .breaker
                    .send_modify(|breaker| breaker.still_down(&error, now, backoff::dice()));
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

    /// Gives back what was claimed and not begun.
    async fn give_back(&mut self) {
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
struct Slot<'a>(&'a State);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.0.nudge.notify_one();
    }
}

fn limiter(rate: Rate) -> Option<DefaultDirectRateLimiter> {
    let count = NonZeroU32::new(rate.count)?;
    let quota =
        Quota::with_period(rate.per / count.get())?.allow_burst(NonZeroU32::new(a_second(rate))?);
    Some(DefaultDirectRateLimiter::direct(quota))
}

/// A second's worth, and at least one: a rate of 600 a minute is no burst of 600.
fn a_second(rate: Rate) -> u32 {
    (f64::from(rate.count) / rate.per.as_secs_f64()).ceil().max(1.0) as u32
}
