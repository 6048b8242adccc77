//! From what a connector answered to how the claim is settled. Pure.

use std::time::Duration;

use jiff::Timestamp;
use scim_relay_sdk::connector::{Decision, Delivered, DeliveryError, HoldKind, Link, Period};

use super::LaneSettings;
use crate::store::{Claim, Outcome};

/// How one attempt ended.
pub(super) enum Attempt {
    Answered(Result<Delivered, DeliveryError>),
    /// A person must approve it first. `link`: of a group that is in line but for those who should
    /// leave it.
    Held {
        kind: HoldKind,
        count: u64,
        summary: String,
        link: Option<Link>,
    },
    /// A person said no to what it asks for.
    Rejected {
        error: String,
        link: Option<Link>,
    },
    /// It took longer than a delivery may.
    TimedOut(Duration),
    Panicked,
}

/// How a target does with others' work, where it has failed an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has taken some since, so that what keeps failing is given up in the end.
    TakesOthers,
    /// It has taken none since, of however few.
    TakesNone,
    /// It takes nobody's: it is in trouble, and this is not the item's failure.
    FailsEverybody,
}

/// Crashes on the same item after which a person must look: the next one would crash, too.
const MAX_PANICS: u32 = 3;
/// A target may ask for this long a wait; beyond it is nonsense.
const LONGEST_ASKED: Duration = Duration::from_hours(24);

/// What to write down, and whether the target itself is in trouble.
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// The label of `scim_relay_deliveries_total{outcome}`.
    pub(super) word: &'static str,
    pub(super) trouble: Option<DeliveryError>,
    /// For what must happen once: `Some(true)` it did, `Some(false)` it certainly did not, `None`
    /// nobody knows.
    pub(super) happened: Option<bool>,
}

/// Nothing of this target's concern.
pub(super) fn nothing() -> Verdict {
    Verdict { outcome: Outcome::Nothing, word: "ignored", trouble: None, happened: None }
}

/// Not tried.
pub(super) fn released() -> Verdict {
    Verdict { outcome: Outcome::Released, word: "released", trouble: None, happened: None }
}

/// `in_doubt`: it may have happened before this attempt already. `standing`: how the target does with
/// others'.
pub(super) fn verdict(
    settings: &LaneSettings,
    claim: &Claim,
    attempt: Attempt,
    in_doubt: bool,
    standing: Standing,
    now: Timestamp,
    dice: f64,
) -> Verdict {
    let error = match attempt {
        Attempt::Answered(Err(DeliveryError::Partly { link, reason })) => {
            return Verdict {
                outcome: Outcome::Partly { link: *link, error: reason },
                word: "parked",
                trouble: None,
                happened: Some(true),
            };
        }
        Attempt::Answered(Ok(delivered)) => {
            return Verdict {
                word: delivered.action.word(),
                outcome: Outcome::Delivered {
                    link: delivered.link,
                    revisit: delivered.revisit,
                    action: delivered.action,
                },
                trouble: None,
                happened: Some(true),
            };
        }
        Attempt::Answered(Err(error)) => error,
        Attempt::Held { kind, count, summary, link } => {
            return held(kind, count, summary, link, (!in_doubt).then_some(false));
        }
        Attempt::Rejected { error, link } => {
            let happened = (!in_doubt).then_some(false);
            let outcome = match link {
                Some(link) => Outcome::Partly { link, error },
                None => Outcome::Parked { error },
            };
            return Verdict { outcome, word: "parked", trouble: None, happened };
        }
        Attempt::TimedOut(limit) => DeliveryError::in_doubt(format!("no end after {limit:?}")),
        Attempt::Panicked if claim.attempts + 1 >= MAX_PANICS => {
            let failures = claim.attempts + 1;
            let error =
                format!("the connector crashed on this item, its failure number {failures}");
            return parked(error, None);
        }
        Attempt::Panicked => DeliveryError::in_doubt("the connector crashed on this item"),
    };
    let happened = (!in_doubt && !error.is_in_doubt()).then_some(false);
    match error.decision() {
        Decision::Retry { at_least } => {
            let due = due(settings, claim, at_least, now, dice);
            match standing {
                Standing::FailsEverybody => {
                    let verdict = again(&error, due, false, happened);
                    Verdict { trouble: Some(error), ..verdict }
                }
                Standing::TakesOthers => given_up(settings, claim, &error, happened, now)
                    .unwrap_or_else(|| again(&error, due, true, happened)),
                Standing::TakesNone => again(&error, due, true, happened),
            }
        }
        Decision::Park => parked(error.chain(), happened),
        Decision::Hold { kind, count, summary } => held(kind, count, summary, None, happened),
        Decision::After(on) => {
            if let Some(verdict) = given_up(settings, claim, &error, happened, now) {
                return verdict;
            }
            let due = due(settings, claim, Duration::ZERO, now, dice);
            Verdict {
                outcome: Outcome::Waiting { on, due },
                word: "waiting",
                trouble: None,
                happened,
            }
        }
        Decision::PauseTarget => Verdict {
            outcome: Outcome::Released,
            word: "target_down",
            trouble: Some(error),
            happened,
        },
    }
}

/// The store could not be read, so nothing was tried.
pub(super) fn unreadable(
    settings: &LaneSettings,
    claim: &Claim,
    error: String,
    counted: bool,
    now: Timestamp,
    dice: f64,
) -> Verdict {
    let due = due(settings, claim, Duration::ZERO, now, dice);
    if counted {
        let error = DeliveryError::later(error);
        return given_up(settings, claim, &error, None, now)
            .unwrap_or_else(|| again(&error, due, true, None));
    }
    Verdict {
        outcome: Outcome::Retry { due, error, counted, in_doubt: false },
        word: "retried",
        trouble: None,
        happened: None,
    }
}

fn parked(error: String, happened: Option<bool>) -> Verdict {
    Verdict { outcome: Outcome::Parked { error }, word: "parked", trouble: None, happened }
}

fn held(
    kind: HoldKind,
    count: u64,
    summary: String,
    link: Option<Link>,
    happened: Option<bool>,
) -> Verdict {
    let outcome = Outcome::Held { kind, count, summary, link };
    Verdict { outcome, word: "held", trouble: None, happened }
}

fn again(error: &DeliveryError, due: Timestamp, counted: bool, happened: Option<bool>) -> Verdict {
    let (error, in_doubt) = (error.chain(), error.is_in_doubt());
    Verdict {
        outcome: Outcome::Retry { due, error, counted, in_doubt },
        word: "retried",
        trouble: None,
        happened,
    }
}

fn given_up(
    settings: &LaneSettings,
    claim: &Claim,
    error: &DeliveryError,
    happened: Option<bool>,
    now: Timestamp,
) -> Option<Verdict> {
    let failing = Duration::try_from(now.duration_since(claim.first_failed?)).unwrap_or_default();
    (failing >= settings.give_up_after).then(|| {
        let after = Period(settings.give_up_after);
        parked(format!("given up after {after}: {}", error.chain()), happened)
    })
}

fn due(
    settings: &LaneSettings,
    claim: &Claim,
    at_least: Duration,
    now: Timestamp,
    dice: f64,
) -> Timestamp {
    let delay = settings.backoff.delay(claim.attempts + 1, at_least.min(LONGEST_ASKED), dice);
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}
