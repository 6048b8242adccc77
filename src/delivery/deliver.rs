//! One delivery, from its claim to its settlement.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use jiff::Timestamp;
use scim_relay_sdk::connector::{DeliveryError, Permit, Work};

use super::outcome::{Attempt, Verdict, verdict};
use super::{LaneSettings, Shared, backoff, work};
use crate::metrics;
use crate::store::{Claim, Once, OnceKey, Outcome, Settlement, StoreError};

/// How much longer than `limits.timeout` the engine waits: a connector keeps to that limit itself,
/// and knows better what it was doing when it ran out.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// What a lane must know of a delivery's end.
pub(super) struct Ended {
    /// The target is in trouble: stop asking it.
    pub(super) trouble: Option<DeliveryError>,
    /// The target took something.
    pub(super) delivered: bool,
}

/// Carries out a claim and writes down how it ended; does not return before that is written.
pub(super) async fn deliver(shared: &Shared, settings: &LaneSettings, claim: Claim) -> Ended {
    let (verdict, covers, member_mark) = match prepare(shared, settings, &claim).await {
        Ok(Some(ready)) => {
            let begun = Instant::now();
            let attempt = attempt(settings, &ready.work).await;
            let label = metrics::Connector { connector: settings.name.to_string() };
            shared
                .metrics
                .delivery_duration
                .get_or_create(&label)
                .observe(begun.elapsed().as_secs_f64());
            if matches!(attempt, Attempt::Panicked) {
                shared.metrics.panics.inc();
            }
            let now = shared.clock.now();
            let verdict = verdict(settings, &claim, attempt, now, backoff::dice());
            if let Some(key) = &ready.once {
                note(shared, key, verdict.happened).await;
            }
            (verdict, ready.covers, ready.member_mark)
        }
        Ok(None) => (nothing(), claim.since - 1, 0),
        Err(Unready::Passed { covers, member_mark }) => (nothing(), covers, member_mark),
        Err(Unready::Store(error)) => {
            tracing::warn!(connector = %settings.name, %error, "cannot read what is to be delivered; trying again");
            (released(), claim.since, 0)
        }
    };
    let ended = Ended {
        delivered: matches!(verdict.outcome, Outcome::Delivered { .. }),
        trouble: verdict.trouble,
    };
    tell(shared, settings, &claim, &verdict.outcome, verdict.word);
    let now = shared.clock.now();
    settle(shared, Settlement { claim, covers, member_mark, outcome: verdict.outcome, now }).await;
    ended
}

/// Work that is ready to go.
struct Ready {
    work: Work,
    once: Option<OnceKey>,
    covers: i64,
    member_mark: i64,
}

enum Unready {
    /// Nothing to do at this target, as far as this reading goes.
    Passed { covers: i64, member_mark: i64 },
    Store(StoreError),
}

impl From<StoreError> for Unready {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

async fn prepare(
    shared: &Shared,
    settings: &LaneSettings,
    claim: &Claim,
) -> Result<Option<Ready>, Unready> {
    let Some(case) = shared.store.case(claim).await? else { return Ok(None) };
    let (covers, member_mark) = (case.covers, case.member_mark);
    let passed = || Unready::Passed { covers, member_mark };
    let organization = settings.organizations.get(&case.key.organization).ok_or_else(passed)?;
    let resource = work::resource(&case, organization);
    let permit = Permit {
        remove: true,
        remove_members: true,
        take_over: settings.take_over || claim.approved,
    };
    let now = shared.clock.now();
    let connector = settings.connector.as_ref();
    let mut work = work::judge(
        case,
        resource,
        connector,
        &settings.scope,
        claim.in_doubt,
        permit,
        claim.attempts + 1,
        now,
    )
    .ok_or_else(passed)?;
    let once = connector.once_key(&work).map(|key| OnceKey {
        connector: Arc::clone(&settings.name),
        organization: Arc::clone(&work.key.organization),
        key,
    });
    if let Some(key) = &once {
        match shared.store.once_begin(key, now).await? {
            // Cut off before anything was sent, or a person said to send it all the same.
            Once::Begun => work.in_doubt = false,
            Once::Interrupted => {}
            Once::Sent => return Err(passed()),
        }
    }
    Ok(Some(Ready { work, once, covers, member_mark }))
}

async fn attempt(settings: &LaneSettings, work: &Work) -> Attempt {
    let limit = settings.timeout + GRACE;
    let delivery = AssertUnwindSafe(settings.connector.deliver(work)).catch_unwind();
    match tokio::time::timeout(limit, delivery).await {
        Ok(Ok(answer)) => Attempt::Answered(answer),
        Ok(Err(_)) => Attempt::Panicked,
        Err(_) => Attempt::TimedOut(limit),
    }
}

fn nothing() -> Verdict {
    Verdict { outcome: Outcome::Nothing, word: "ignored", trouble: None, happened: None }
}

fn released() -> Verdict {
    Verdict { outcome: Outcome::Released, word: "released", trouble: None, happened: None }
}

/// Writes down whether what must happen once did happen. Where that is not known, the ledger says
/// "begun" and a person decides.
async fn note(shared: &Shared, key: &OnceKey, happened: Option<bool>) {
    let Some(happened) = happened else { return };
    until_written(shared, || shared.store.once_end(key, happened)).await;
}

async fn settle(shared: &Shared, settlement: Settlement) {
    let settlement = Arc::new(settlement);
    until_written(shared, || shared.store.settle(Settlement::clone(&settlement))).await;
}

/// An outcome that cannot be written (a full disk) waits for room; a hard stop leaves it to the
/// next start, where the claim is in doubt.
async fn until_written<F>(shared: &Shared, write: impl Fn() -> F)
where
    F: Future<Output = Result<(), StoreError>>,
{
    while let Err(error) = write().await {
        tracing::warn!(%error, "cannot write down how a delivery ended; trying again");
        tokio::select! {
            () = shared.hard.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// Counts an ending, and says it in the log where a person should know.
fn tell(shared: &Shared, settings: &LaneSettings, claim: &Claim, outcome: &Outcome, word: &str) {
    let connector = settings.name.to_string();
    shared
        .metrics
        .deliveries
        .get_or_create(&metrics::Delivery { connector: connector.clone(), outcome: word.to_owned() })
        .inc();
    match outcome {
        Outcome::Delivered { .. } => {
            let lag = seconds_since(claim.dirty_at, shared.clock.now());
            shared.metrics.delivery_lag.get_or_create(&metrics::Connector { connector }).observe(lag);
            tracing::debug!(connector = %settings.name, resource = claim.resource.0, outcome = word, "delivered");
        }
        Outcome::Parked { error } => {
            tracing::warn!(connector = %settings.name, resource = claim.resource.0, error, "parked until a person looks: `scim-relay queue list --state parked`");
        }
        Outcome::Held { summary, .. } => {
            tracing::warn!(connector = %settings.name, resource = claim.resource.0, summary, "waits for approval: `scim-relay held list`");
        }
        Outcome::Retry { error, due, .. } => {
            tracing::info!(connector = %settings.name, resource = claim.resource.0, error, %due, "will be tried again");
        }
        _ => {}
    }
}

fn seconds_since(then: Timestamp, now: Timestamp) -> f64 {
    now.duration_since(then).as_secs_f64().max(0.0)
}
