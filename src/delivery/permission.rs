//! One attempt, and what safety allows in it: the connector is called without a permission, says
//! what it needs, and is called again once that is written down as allowed.

use jiff::{SignedDuration, Timestamp};
use scim_relay_sdk::connector::{
    DeliveryError, Gone, HoldKind, Link, MemberRemovals, Permit, Semantics, Stage, Wanted, Work,
};

use super::LaneSettings;
use super::deliver::call;
use super::lane::Core;
use super::outcome::Attempt;
use crate::safety::{FirstRun, Removal};
use crate::store::{Allowed, Ask, Claim, Reason, Refusal, StoreError};

/// Calls of one attempt: a group may have to be taken over, and that it goes, and that its members
/// do, are asked for one after another.
const CALLS: u32 = 4;
/// A clock that is this far ahead of the time that has passed was put there.
const PUT_AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// What a claim may do before anything is asked.
pub(super) fn granted(claim: &Claim) -> Permit {
    Permit {
        // A provider that renames somebody means that one; a configuration, everybody. Whoever has
        // stepped aside comes back for their name.
        rename: matches!(
            claim.reason,
            Reason::Change | Reason::Members | Reason::GiveWay | Reason::Revisit
        ) && claim.held != Some(HoldKind::Removal),
        step_aside: claim.reason == Reason::GiveWay,
        ..Permit::NONE
    }
}

pub(super) async fn attempt(
    core: &Core,
    claim: &Claim,
    mut work: Work,
    first_run: bool,
) -> Result<Attempt, StoreError> {
    let settings = &core.settings;
    if settings.safety.first_run == FirstRun::Plan
        && first_run
        && settings.connector.backfills()
        && matches!(work.wanted, Wanted::Present(_))
    {
        let wish =
            Wish { kind: HoldKind::FirstRun, count: 1, summary: plan(settings, &work).await };
        if let Some(refused) = wish.refused(core, claim, &work).await? {
            return Ok(refused.attempt(None));
        }
    }
    for _ in 0..CALLS {
        let wish = match call(settings, &work).await {
            Attempt::Answered(Err(DeliveryError::Hold { kind, count, summary })) => {
                Wish { kind, count, summary }
            }
            ended => return Ok(ended),
        };
        let (kind, count) = (wish.kind, wish.count);
        let Some(refused) = wish.refused(core, claim, &work).await? else {
            grant(&mut work.permit, kind, count);
            continue;
        };
        if kind != HoldKind::MemberRemoval || !may_leave_them_in(settings, &work) {
            return Ok(refused.attempt(None));
        }
        // Whoever joins does not wait for those who may not leave.
        work.permit.members = MemberRemovals::Leave;
        return Ok(match call(settings, &work).await {
            Attempt::Answered(Ok(delivered)) if delivered.link.is_some() => {
                refused.attempt(delivered.link)
            }
            ended => ended,
        });
    }
    Ok(Attempt::Answered(Err(DeliveryError::later(
        "what it needs a permission for changes while it is asked for",
    ))))
}

fn grant(permit: &mut Permit, kind: HoldKind, count: u64) {
    match kind {
        HoldKind::Removal => (permit.remove, permit.rename) = (true, true),
        HoldKind::MemberRemoval => permit.members = MemberRemovals::UpTo(count),
        HoldKind::TakeOver => permit.take_over = true,
        HoldKind::FirstRun => {}
    }
}

/// Whether the rest of a group can be brought in line without those who should leave it.
fn may_leave_them_in(settings: &LaneSettings, work: &Work) -> bool {
    settings.connector.semantics() == Semantics::LatestState
        && matches!(work.wanted, Wanted::Present(_))
        && work.members.is_some()
}

/// What would be done, in the target's own words: the first line that says something.
async fn plan(settings: &LaneSettings, work: &Work) -> String {
    let shown = settings.connector.preview(work).await;
    let line = shown.ok().and_then(|preview| {
        let mut lines = preview.text.lines();
        lines.find(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned)
    });
    line.map_or_else(|| "would be created".to_owned(), |line| format!("would write `{line}`"))
}

/// What a connector asks for.
struct Wish {
    kind: HoldKind,
    count: u64,
    summary: String,
}

/// That it may not, and why.
struct Refused {
    wish: Wish,
    why: Why,
}

enum Why {
    Refusal(Refusal),
    /// A purge is due by a clock that was put ahead by so much.
    PutAhead(SignedDuration),
}

impl Wish {
    async fn refused(
        self,
        core: &Core,
        claim: &Claim,
        work: &Work,
    ) -> Result<Option<Refused>, StoreError> {
        let (shared, safety) = (&core.shared, &core.settings.safety);
        let now = shared.clock.now();
        let ask = async |limit| {
            let whole = matches!(work.wanted, Wanted::Gone { .. });
            let ask = Ask { kind: self.kind, count: self.count, whole, limit };
            shared.store.allow(claim, ask, now).await
        };
        let ahead = put_ahead(claim, work, now, shared.clock.undisturbed());
        let answer = match (Removal::of(self.kind), ahead) {
            (Some(Removal::Entry), Some(_)) => ask(0).await?,
            (Some(removal), _) => {
                let limit = |delivered| safety.limit(removal, now, delivered);
                // What there is a share of is counted only where the least is not enough.
                let least = limit(0);
                match ask(least).await? {
                    Allowed::No(Refusal::Limit { .. }) => {
                        let mut delivered = core.delivered(self.kind, now).await?;
                        if removal == Removal::Member {
                            // Those who leave are no members any more, and still there.
                            delivered = delivered.saturating_add(self.count);
                        }
                        ask(limit(delivered)).await?
                    }
                    answer => answer,
                }
            }
            (None, _) if self.kind == HoldKind::TakeOver && safety.first_run == FirstRun::Go => {
                ask(u64::MAX).await?
            }
            (None, _) => ask(0).await?,
        };
        let why = match (answer, ahead) {
            (Allowed::Yes, _) => return Ok(None),
            (Allowed::No(Refusal::Limit { .. }), Some(by)) if self.kind == HoldKind::Removal => {
                Why::PutAhead(by)
            }
            (Allowed::No(refusal), _) => Why::Refusal(refusal),
        };
        Ok(Some(Refused { wish: self, why }))
    }
}

/// By how much the clock was put ahead, if that is what a purge is due by.
fn put_ahead(
    claim: &Claim,
    work: &Work,
    now: Timestamp,
    undisturbed: Timestamp,
) -> Option<SignedDuration> {
    let stage = work.link.as_ref().map(|link| link.stage);
    let is_purge = matches!(
        (&work.wanted, stage),
        (Wanted::Gone { why: Gone::Deleted, .. }, Some(Stage::Removed))
            | (Wanted::Gone { why: Gone::OutOfScope, .. }, Some(Stage::Deactivated))
    );
    let is_due = claim.reason == Reason::Revisit && claim.due <= undisturbed;
    let by = now.duration_since(undisturbed);
    (is_purge && !is_due && by >= PUT_AHEAD).then_some(by)
}

impl Refused {
    /// `link`: of a group that is in line but for those who should leave it.
    fn attempt(self, link: Option<Link>) -> Attempt {
        let Wish { kind, count, summary } = self.wish;
        let why = match self.why {
            Why::Refusal(Refusal::Rejected(reason)) => {
                return Attempt::Rejected { error: format!("rejected: {reason}"), link };
            }
            Why::Refusal(refusal) => reason(kind, &refusal),
            Why::PutAhead(by) => Some(format!(
                "the clock was put ahead by {} hours, and before that it was not due",
                by.as_hours()
            )),
        };
        let summary = match why {
            Some(why) => format!("{summary}: {why}"),
            None => summary,
        };
        Attempt::Held { kind, count, summary, link }
    }
}

/// Why it waits, where the summary does not say so.
fn reason(kind: HoldKind, refusal: &Refusal) -> Option<String> {
    let noun = match Removal::of(kind)? {
        Removal::Entry => "removals",
        Removal::Member => "member removals",
    };
    match refusal {
        Refusal::Limit { limit: 0, .. } => Some(format!("no {noun} are made without approval")),
        Refusal::Limit { executed, waiting, limit } => {
            let done = match executed {
                0 => format!("an hour allows {limit} {noun}"),
                _ => format!("{executed} of at most {limit} {noun} in an hour are done"),
            };
            Some(match waiting {
                0 => done,
                // Nobody has counted further.
                _ if waiting > limit => format!("{done}, and more than {limit} wait"),
                _ => format!("{done}, and {waiting} more wait"),
            })
        }
        _ => Some("held before, and not approved since".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(executed: u64, waiting: u64, limit: u64, expected: &str) {
        let refusal = Refusal::Limit { executed, waiting, limit };
        assert_eq!(reason(HoldKind::MemberRemoval, &refusal).unwrap(), expected);
    }

    #[test]
    fn a_limit_is_said_with_what_there_is_of_it_and_no_zeros() {
        check(0, 0, 0, "no member removals are made without approval");
        check(0, 0, 5, "an hour allows 5 member removals");
        check(0, 2, 5, "an hour allows 5 member removals, and 2 more wait");
        check(4, 0, 5, "4 of at most 5 member removals in an hour are done");
        check(4, 6, 5, "4 of at most 5 member removals in an hour are done, and more than 5 wait");
    }
}
