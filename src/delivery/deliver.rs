//! One delivery, from its claim to its settlement.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use jiff::Timestamp;
use scim_relay_sdk::connector::{DeliveryError, Verb, Wanted, Work};
use scim_relay_sdk::scim::ResourceKind;

use super::holds::noun;
use super::lane::Core;
use super::outcome::{self, Attempt, Standing, Verdict, verdict};
use super::owners::Linked;
use super::{LaneSettings, Shared, permission, work};
use crate::metrics;
use crate::store::{Case, Claim, Once, OnceKey, Outcome, Reason, Settlement, StoreError};

/// Steps (connect, bind, search, write, read back, ...) that one delivery may take: it gets that
/// many times `limits.timeout` as a whole.
pub(super) const STEPS: u32 = 6;

/// Carries out a claim and writes down how it ended; does not return before that is written.
pub(super) async fn deliver(core: &Core, claim: Claim) {
    let shared = &core.shared;
    let mut read = Read { mark: claim.mark, covers: claim.since - 1, member_mark: 0 };
    let verdict = carry_out(core, &claim, &mut read).await;
    // Before the row is given back: nobody is to claim it for a target that is in trouble.
    core.note(claim.resource, &verdict);
    tell(core, &claim, &verdict.outcome, verdict.word);
    let Read { mark, covers, member_mark } = read;
    let now = shared.clock.now();
    settle(shared, Settlement { claim, mark, covers, member_mark, outcome: verdict.outcome, now })
        .await;
}

/// Up to where the store was read.
struct Read {
    mark: i64,
    covers: i64,
    member_mark: i64,
}

async fn carry_out(core: &Core, claim: &Claim, read: &mut Read) -> Verdict {
    let (shared, settings) = (&core.shared, &core.settings);
    let case = match shared.store.case(claim).await {
        Ok(Some(case)) => case,
        Ok(None) => return outcome::nothing(),
        Err(error) => return unreadable(core, claim, &error),
    };
    *read = Read { mark: case.mark, covers: case.covers, member_mark: case.member_mark };
    let now = shared.clock.now();
    let judged = catch_unwind(AssertUnwindSafe(|| judge(settings, claim, case, now)));
    let Judged { mut work, first_run, once, reaches, introduces } = match judged {
        Ok(Some(judged)) => judged,
        Ok(None) => return outcome::nothing(),
        Err(_) => return ended(core, claim, Attempt::Panicked, claim.in_doubt),
    };
    if reaches && !core.may_go().await {
        return outcome::released();
    }
    if introduces && let Some(change) = &mut work.change {
        match shared.store.roster(claim.resource).await {
            Ok(roster) => (change.joined, change.left) = (roster, Vec::new()),
            Err(error) => return unreadable(core, claim, &error),
        }
    }
    work.owners = Arc::new(Linked { store: Arc::clone(&shared.store), connector: claim.connector });
    if let Some(key) = &once {
        match shared.store.once_begin(key, claim, shared.clock.now()).await {
            // Cut off before anything was sent.
            Ok(Once::Begun) => work.in_doubt = false,
            // In doubt, unless a person said to send it all the same.
            Ok(Once::Interrupted) => {}
            Ok(Once::InterruptedElsewhere) => work.in_doubt = true,
            Ok(Once::Sent) => return outcome::nothing(),
            Err(error) => return unreadable(core, claim, &error),
        }
    }
    let begun = Instant::now();
    let in_doubt = work.in_doubt;
    let attempt = permission::attempt(core, claim, work, first_run).await;
    let label = metrics::Connector { connector: settings.name.to_string() };
    shared.metrics.delivery_duration.get_or_create(&label).observe(begun.elapsed().as_secs_f64());
    let verdict = match attempt {
        Ok(attempt) => ended(core, claim, attempt, in_doubt),
        Err(error) => unreadable(core, claim, &error),
    };
    if let Some(key) = &once {
        note(shared, key, verdict.happened).await;
    }
    verdict
}

/// What is to be done at the target.
struct Judged {
    work: Work,
    /// See [`Case::first_run`].
    first_run: bool,
    /// Under which key, if once only.
    once: Option<OnceKey>,
    /// Whether it reaches the target at all.
    reaches: bool,
    /// A receiver of events hears of this group for the first time, long after it was made, or for the
    /// first time in months: what the one change says of its members is not all there is to say.
    introduces: bool,
}

/// `None` if nothing is to be done.
fn judge(settings: &LaneSettings, claim: &Claim, case: Case, now: Timestamp) -> Option<Judged> {
    let organization = settings.organizations.get(&case.key.organization)?;
    let resource = work::resource(&case, organization);
    let first_run = case.first_run;
    let permit = permission::granted(claim);
    let connector = settings.connector.as_ref();
    let password = settings.vault.as_ref().zip(case.password.clone()).and_then(|(vault, sealed)| {
        let opened = vault.open(&case.key, &sealed);
        if opened.is_none() {
            tracing::warn!(connector = %settings.name, resource = claim.resource.0, "a password cannot be opened with the key there is, and is left out");
        }
        opened
    });
    let left_since = case.gone && !case.deleted;
    let is_late = claim.reason == Reason::Backfill
        || case.change.as_ref().is_some_and(|change| change.verb == Verb::Updated);
    let attempt = claim.attempts + 1;
    let mut work = work::judge(
        case,
        resource,
        connector,
        &settings.scope,
        work::Try { in_doubt: claim.in_doubt, permit, number: attempt, now },
    )?;
    work.password = password.filter(|_| matches!(work.wanted, Wanted::Present(_)));
    let once = connector.once_key(&work).map(|key| OnceKey {
        connector: Arc::clone(&settings.name),
        organization: Arc::clone(&work.key.organization),
        key,
    });
    if left_since && once.is_some() {
        // Nobody is welcomed who has left again.
        return None;
    }
    let is_created = work.change.as_ref().is_some_and(|change| change.verb == Verb::Created);
    let is_news = is_late && is_created && work.link.is_none();
    let is_collapsed = work.change.as_ref().is_some_and(|change| change.collapsed);
    let introduces = (is_news || is_collapsed) && work.key.kind == ResourceKind::Group;
    let reaches = connector.reaches(&work);
    Some(Judged { work, first_run, once, reaches, introduces })
}

/// Calls the connector, once.
pub(super) async fn call(settings: &LaneSettings, work: &Work) -> Attempt {
    let limit = settings.timeout.saturating_mul(STEPS);
    let delivery = AssertUnwindSafe(settings.connector.deliver(work)).catch_unwind();
    match tokio::time::timeout(limit, delivery).await {
        Ok(Ok(answer)) => Attempt::Answered(answer),
        Ok(Err(_)) => Attempt::Panicked,
        Err(_) => Attempt::TimedOut(limit),
    }
}

fn ended(core: &Core, claim: &Claim, attempt: Attempt, in_doubt: bool) -> Verdict {
    if matches!(attempt, Attempt::Panicked) {
        core.shared.metrics.panics.inc();
    }
    let failed = matches!(
        attempt,
        Attempt::Answered(Err(DeliveryError::Later { .. })) | Attempt::TimedOut(_)
    );
    let attempt = match attempt {
        Attempt::Answered(Err(error @ DeliveryError::Credentials { .. }))
            if !core.is_about_us(claim.resource) =>
        {
            let what =
                format!("{}; the target is well otherwise, so it is about this one", error.chain());
            Attempt::Answered(Err(DeliveryError::later(what)))
        }
        attempt => attempt,
    };
    let standing = if failed && core.takes_nothing(claim) {
        Standing::FailsEverybody
    } else if core.may_give_up(claim) {
        Standing::TakesOthers
    } else {
        Standing::TakesNone
    };
    verdict(
        &core.settings,
        claim,
        attempt,
        in_doubt,
        standing,
        core.shared.clock.now(),
        (core.shared.dice)(),
    )
}

/// The store could not say what is to be done. Busy, it will; but a row that makes no sense is
/// parked in the end, as whatever else keeps failing.
fn unreadable(core: &Core, claim: &Claim, error: &StoreError) -> Verdict {
    let (settings, now) = (&core.settings, core.shared.clock.now());
    tracing::warn!(connector = %settings.name, resource = claim.resource.0, %error, "cannot read what is to be delivered");
    let counted = !matches!(error, StoreError::Busy(_));
    outcome::unreadable(settings, claim, error.to_string(), counted, now, (core.shared.dice)())
}

/// Writes down whether what must happen once did happen. Where that is not known, the ledger says
/// "begun" and a person decides.
async fn note(shared: &Shared, key: &OnceKey, happened: Option<bool>) {
    let Some(happened) = happened else { return };
    until_written(shared, || shared.store.once_end(key, happened)).await;
}

async fn settle(shared: &Shared, settlement: Settlement) {
    until_written(shared, || shared.store.settle(settlement.clone())).await;
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
            biased;
            () = shared.hard.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

/// Counts an ending, and says it in the log where a person should know.
fn tell(core: &Core, claim: &Claim, outcome: &Outcome, word: &str) {
    let Core { shared, settings, holds, .. } = core;
    let connector = settings.name.to_string();
    shared
        .metrics
        .deliveries
        .get_or_create(&metrics::Delivery {
            connector: connector.clone(),
            outcome: word.to_owned(),
        })
        .inc();
    if matches!(outcome, Outcome::Retry { .. } | Outcome::Parked { .. } | Outcome::Partly { .. }) {
        shared.metrics.tally.failed(&settings.name, claim.organization.0);
    }
    match outcome {
        Outcome::Delivered { .. } => {
            let lag = seconds_since(claim.dirty_at, shared.clock.now());
            shared
                .metrics
                .delivery_lag
                .get_or_create(&metrics::Connector { connector })
                .observe(lag);
            shared.metrics.tally.delivered(&settings.name, claim.organization.0, lag);
            tracing::debug!(connector = %settings.name, resource = claim.resource.0, outcome = word, "delivered");
        }
        Outcome::Parked { error } | Outcome::Partly { error, .. } => {
            tracing::warn!(connector = %settings.name, resource = claim.resource.0, error, "parked until a person looks: `scim-relay queue list --state parked`");
        }
        Outcome::Held { kind, summary, .. } => {
            if holds.begins(*kind) {
                tracing::warn!(connector = %settings.name, "begins to hold {} for a person's approval: `scim-relay held list {}`", noun(*kind), settings.name);
            }
            tracing::debug!(connector = %settings.name, resource = claim.resource.0, summary, "waits for approval");
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
