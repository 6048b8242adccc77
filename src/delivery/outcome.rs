//! From what a connector answered to how the claim is settled. Pure.

use std::time::Duration;

use jiff::Timestamp;
use scim_relay_sdk::connector::{Decision, Delivered, DeliveryError};

use super::LaneSettings;
use crate::store::{Claim, Outcome};

/// How one attempt ended.
pub(super) enum Attempt {
    Answered(Result<Delivered, DeliveryError>),
    /// It took longer than a delivery may.
    TimedOut(Duration),
    Panicked,
}

/// Crashes on the same item after which a person must look: the next one would crash, too.
const MAX_PANICS: u32 = 3;

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

pub(super) fn verdict(
    settings: &LaneSettings,
    claim: &Claim,
    attempt: Attempt,
    now: Timestamp,
    dice: f64,
) -> Verdict {
    let error = match attempt {
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
        Attempt::TimedOut(limit) => {
            DeliveryError::in_doubt(format!("no end after {} s", limit.as_secs()))
        }
        Attempt::Panicked if claim.attempts + 1 >= MAX_PANICS => {
            return parked("the connector crashed on this item three times".to_owned(), None);
        }
        Attempt::Panicked => DeliveryError::in_doubt("the connector crashed on this item"),
    };
    let in_doubt = error.is_in_doubt();
    let happened = (!in_doubt).then_some(false);
    match error.decision() {
        Decision::Retry { at_least } => {
            retry(settings, claim, &error, at_least, in_doubt, happened, now, dice)
        }
        Decision::Park => parked(error.chain(), happened),
        Decision::Hold { kind, summary } => Verdict {
            outcome: Outcome::Held { kind, summary },
            word: "held",
            trouble: None,
            happened,
        },
        Decision::After(on) => Verdict {
            outcome: Outcome::Waiting { on },
            word: "waiting",
            trouble: None,
            happened,
        },
        Decision::PauseTarget => Verdict {
            outcome: Outcome::Released,
            word: "target_down",
            trouble: Some(error),
            happened,
        },
    }
}

fn parked(error: String, happened: Option<bool>) -> Verdict {
    Verdict { outcome: Outcome::Parked { error }, word: "parked", trouble: None, happened }
}

#[expect(clippy::too_many_arguments, reason = "all of what a retry hangs on")]
fn retry(
    settings: &LaneSettings,
    claim: &Claim,
    error: &DeliveryError,
    at_least: Duration,
    in_doubt: bool,
    happened: Option<bool>,
    now: Timestamp,
    dice: f64,
) -> Verdict {
    let failing = claim.first_failed.map_or(Duration::ZERO, |first| {
        Duration::try_from(now.duration_since(first)).unwrap_or_default()
    });
    if failing >= settings.give_up_after {
        let after = scim_relay_sdk::connector::Period(settings.give_up_after);
        return parked(format!("given up after {after}: {}", error.chain()), happened);
    }
    let delay = settings.backoff.delay(claim.attempts + 1, at_least, dice);
    Verdict {
        outcome: Outcome::Retry {
            due: now + delay,
            error: error.chain(),
            counted: true,
            in_doubt,
        },
        word: "retried",
        trouble: None,
        happened,
    }
}
