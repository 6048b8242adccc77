//! One connector's deliveries: how many at once, how fast, and when none at all.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota};
use jiff::Timestamp;
use scim_relay_sdk::connector::{DeliveryError, Rate};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::deliver::{self, Ended};
use super::{Breaker, Health, LaneSettings, Shared, backoff};
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
    pub(super) settings: Arc<LaneSettings>,
    state: Arc<State>,
    tasks: TaskTracker,
}

struct State {
    breaker: Mutex<Breaker>,
    paused: watch::Sender<Option<Paused>>,
    /// A slot came free, or someone wants the lane to look again.
    nudge: Notify,
    in_flight: AtomicUsize,
    last_delivered: AtomicI64,
}

impl State {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    pub(super) fn health(&self) -> Health {
        let last = self.state.last_delivered.load(Ordering::Relaxed);
        Health {
            paused: self.state.paused.borrow().clone(),
            trouble: self.state.breaker().trouble().cloned(),
            in_flight: self.state.in_flight.load(Ordering::Relaxed),
            last_delivered: (last > 0).then(|| Timestamp::from_millisecond(last).ok()).flatten(),
        }
    }

    pub(super) fn set_paused(&self, paused: Option<Paused>) {
        if paused.is_none() {
            self.state.breaker().hurry(Timestamp::UNIX_EPOCH);
        }
        self.state.paused.send_replace(paused);
        self.state.nudge.notify_one();
    }

    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }
}

pub(super) fn start(shared: &Shared, settings: LaneSettings, stop: CancellationToken) -> Handle {
    let state = Arc::new(State {
        breaker: Mutex::default(),
        paused: watch::Sender::new(settings.paused.clone()),
        nudge: Notify::new(),
        in_flight: AtomicUsize::new(0),
        last_delivered: AtomicI64::new(0),
    });
    let settings = Arc::new(settings);
    let tasks = TaskTracker::new();
    let lane = Lane {
        shared: shared.clone(),
        limiters: limiters(&settings),
        settings: Arc::clone(&settings),
        state: Arc::clone(&state),
        tasks: tasks.clone(),
        claimed: VecDeque::new(),
        stop,
    };
    // Tracked twice: by the lane, so that a reload can wait for it, and by the daemon.
    shared.tasks.spawn(tasks.track_future(lane.run()));
    tasks.close();
    Handle { settings, state, tasks }
}

struct Lane {
    shared: Shared,
    settings: Arc<LaneSettings>,
    state: Arc<State>,
    limiters: Arc<Vec<DefaultDirectRateLimiter>>,
    tasks: TaskTracker,
    claimed: VecDeque<Claim>,
    stop: CancellationToken,
}

impl Lane {
    async fn run(mut self) {
        let mut bell = self.shared.store.bell();
        let mut paused = self.state.paused.subscribe();
        while !self.stop.is_cancelled() {
            bell.mark_unchanged();
            let wait = self.step().await;
            let Some(wait) = wait else { continue };
            tokio::select! {
                () = self.stop.cancelled() => {}
                _ = bell.changed() => {}
                _ = paused.changed() => {}
                () = self.state.nudge.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.give_back().await;
    }

    /// Does what can be done now; how long to wait for more, if nothing can.
    async fn step(&mut self) -> Option<Duration> {
        if self.state.paused.borrow().is_some() {
            self.give_back().await;
            return Some(LOOK_AGAIN);
        }
        if let Some(wait) = self.mind_the_breaker().await {
            self.give_back().await;
            return Some(wait);
        }
        let free = self.free_slots();
        if self.claimed.len() < self.settings.concurrency {
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
        self.settings.concurrency.saturating_sub(self.state.in_flight.load(Ordering::Acquire))
    }

    async fn claim(&mut self) -> Result<(), Duration> {
        let limit = (self.settings.concurrency * AHEAD).min(MAX_CLAIMS) - self.claimed.len();
        let now = self.shared.clock.now();
        match self.shared.store.claim(self.settings.id, limit, now).await {
            Ok(claims) => {
                self.claimed.extend(claims);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(connector = %self.settings.name, %error, "cannot claim work just now");
                Err(AFTER_STORE_TROUBLE)
            }
        }
    }

    async fn until_next_due(&self) -> Duration {
        let now = self.shared.clock.now();
        match self.shared.store.next_due(self.settings.id, now).await {
            Ok(Some(due)) => {
                let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
                wait.clamp(Duration::from_millis(1), LOOK_AGAIN)
            }
            Ok(None) => LOOK_AGAIN,
            Err(_) => AFTER_STORE_TROUBLE,
        }
    }

    fn spawn(&self, claim: Claim) {
        self.state.in_flight.fetch_add(1, Ordering::AcqRel);
        let (shared, settings) = (self.shared.clone(), Arc::clone(&self.settings));
        let (state, limiters) = (Arc::clone(&self.state), Arc::clone(&self.limiters));
        self.shared.tasks.spawn(self.tasks.track_future(async move {
            let slot = Slot(&state);
            let work = async {
                for limiter in limiters.iter() {
                    limiter.until_ready().await;
                }
                deliver::deliver(&shared, &settings, claim).await
            };
            tokio::select! {
                ended = work => note(&shared, &settings, &state, ended),
                // The claim stays taken on disk; the next start gives it out again, in doubt.
                () = shared.hard.cancelled() => {}
            }
            drop(slot);
        }));
    }

    /// Probes a target that is in trouble when it is time; how long to wait while it is.
    async fn mind_the_breaker(&self) -> Option<Duration> {
        let now = self.shared.clock.now();
        let next = self.state.breaker().trouble()?.next_probe;
        if next > now {
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            return Some(wait.min(LOOK_AGAIN));
        }
        let limit = self.settings.timeout + deliver::GRACE;
        let probe = tokio::time::timeout(limit, self.settings.connector.probe()).await;
        let now = self.shared.clock.now();
        match probe.unwrap_or_else(|_| {
            Err(DeliveryError::Unreachable { what: "the probe got no answer".to_owned(), source: None })
        }) {
            Ok(health) => {
                if let Some(down) = self.state.breaker().mend(now) {
                    tracing::info!(connector = %self.settings.name, seconds = down.as_secs(), answer = health.summary, "the target is back");
                }
                up(&self.shared, &self.settings, 1);
                None
            }
            Err(error) => {
                self.state.breaker().still_down(&error, now, backoff::dice());
                tracing::debug!(connector = %self.settings.name, error = error.chain(), "the target is still down");
                Some(Duration::from_millis(1))
            }
        }
    }

    /// Gives back what was claimed and not begun.
    async fn give_back(&mut self) {
        let now = self.shared.clock.now();
        let settlements: Vec<_> = self
            .claimed
            .drain(..)
            .map(|claim| {
                let covers = claim.since;
                Settlement { claim, covers, member_mark: 0, outcome: Outcome::Released, now }
            })
            .map(|settlement| self.shared.store.settle(settlement))
            .collect();
        for result in futures_util::future::join_all(settlements).await {
            if let Err(error) = result {
                tracing::warn!(connector = %self.settings.name, %error, "cannot give back a claim; the next start will");
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

fn note(shared: &Shared, settings: &LaneSettings, state: &State, ended: Ended) {
    let now = shared.clock.now();
    if ended.delivered {
        state.last_delivered.store(now.as_millisecond(), Ordering::Relaxed);
        up(shared, settings, 1);
    }
    if let Some(error) = ended.trouble
        && state.breaker().trip(&error, now, backoff::dice())
    {
        up(shared, settings, 0);
        tracing::warn!(connector = %settings.name, error = error.chain(), "the target is in trouble; its work waits, and it is probed");
    }
}

fn up(shared: &Shared, settings: &LaneSettings, value: i64) {
    let label = metrics::Connector { connector: settings.name.to_string() };
    shared.metrics.connector_up.get_or_create(&label).set(value);
}

fn limiters(settings: &LaneSettings) -> Arc<Vec<DefaultDirectRateLimiter>> {
    let rates = [settings.rate, settings.connector.rate()];
    Arc::new(rates.into_iter().flatten().filter_map(limiter).collect())
}

fn limiter(rate: Rate) -> Option<DefaultDirectRateLimiter> {
    let count = NonZeroU32::new(rate.count)?;
    // At most a second's worth at once, so that a rate of 600 a minute is no burst of 600.
    let a_second = (f64::from(rate.count) / rate.per.as_secs_f64()).ceil().max(1.0) as u32;
    let quota = Quota::with_period(rate.per / count.get())?.allow_burst(NonZeroU32::new(a_second)?);
    Some(DefaultDirectRateLimiter::direct(quota))
}
