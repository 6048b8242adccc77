//! Where each connector stands with somebody, in words: pure.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay_sdk::connector::HoldKind;
use serde::Serialize;

use crate::operator::{self, Concern, Trace};
use crate::store::State;

/// How pressing it is: what waits for a person comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    Held,
    Parked,
    Rejected,
    /// The connector does not work, and something waits.
    Stopped,
    Retrying,
    Waiting,
    Pending,
    /// Something lies ahead.
    Scheduled,
    InLine,
    /// Switched off there, and nothing waits.
    Off,
    Gone,
    /// It is none of the connector's business.
    Outside,
    /// Nobody knows: the connector does not run.
    Unknown,
}

/// One connector.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Stand {
    pub(super) connector: String,
    /// `ldap`, which is an icon, too.
    pub(super) kind: String,
    pub(super) standing: Standing,
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) word: &'static str,
    /// A sentence that ends with `at`, if there is one.
    pub(super) said: String,
    pub(super) at: Option<Timestamp>,
    /// What the target said.
    pub(super) error: Option<String>,
    /// When the relay goes on by itself.
    pub(super) next: Option<Timestamp>,
    /// Its own entry for somebody: an address in a directory.
    pub(super) address: Option<String>,
    /// Nothing of somebody is there, as far as the relay knows.
    pub(super) absent: bool,
    pub(super) every_event: bool,
    /// The connector's, where it does not work.
    pub(super) trouble: Option<&'static str>,
    pub(super) hold: Option<&'static str>,
    /// Whoever has to be delivered first.
    pub(super) behind: Option<String>,
    /// The row in the queue.
    pub(super) entry: Option<String>,
    pub(super) may_retry: bool,
    /// It runs and serves somebody, so that it can be asked what it would write.
    pub(super) serves: bool,
}

/// All that have to do with somebody, the most pressing first.
pub(super) fn stands(trace: &Trace) -> Vec<Stand> {
    let mut all: Vec<Stand> = trace.connectors.iter().filter_map(|one| stand(trace, one)).collect();
    all.sort_by_key(|one| one.standing);
    all
}

fn stand(trace: &Trace, one: &operator::Stand) -> Option<Stand> {
    let link = one.link.as_ref().filter(|link| !matches!(link.stage.as_str(), "gone" | "removed"));
    let applied = one.link.as_ref().and_then(|link| link.applied_at);
    let mut stand = Stand {
        connector: one.connector.clone(),
        kind: one.kind.clone(),
        standing: Standing::InLine,
        tone: "ok",
        icon: "ok",
        word: "In line",
        said: String::new(),
        at: None,
        error: None,
        next: None,
        address: link.map(|link| link.address.clone()).filter(|_| !one.every_event),
        absent: link.is_none() && !one.every_event,
        every_event: one.every_event,
        trouble: trouble(&one.state),
        hold: None,
        behind: None,
        entry: None,
        may_retry: false,
        serves: matches!(one.concern, Concern::InScope | Concern::OutOfScope(_)),
    };
    if one.waits.is_some() {
        waits(&mut stand, trace, one);
        return Some(stand);
    }
    let is_off = link.is_some_and(|link| link.stage == "deactivated");
    match &one.concern {
        // A connector of others has nothing to do with somebody, and is not named.
        Concern::Elsewhere | Concern::NotRunning if link.is_none() => return None,
        Concern::InScope if is_off => {
            stand.is(Standing::Off, "none", "cross", "Switched off");
            stand.says("Switched off there, as the provider says. Last written", applied);
        }
        Concern::InScope => match (one.every_event, applied) {
            (true, Some(_)) => stand.says("Told of the last change", applied),
            (true, None) => stand.says("Told of changes from now on", None),
            (false, Some(_)) => stand.says("Last written", applied),
            (false, None) => stand.says("There is nothing to write", None),
        },
        Concern::OutOfScope(why) => {
            stand.is(Standing::Outside, "none", "cross", "Not for this system");
            stand.says(why, None);
        }
        Concern::Deleted | Concern::Elsewhere if link.is_some() => {
            stand.is(Standing::Off, "none", "cross", "Switched off");
            stand.says("The entry stays, as the settings say. Last written", applied);
        }
        Concern::Deleted | Concern::Elsewhere => {
            stand.is(Standing::Gone, "none", "leaver", "Gone");
            stand.says("Nothing is there any more since", applied);
        }
        Concern::NotRunning => {
            stand.is(Standing::Unknown, "none", "cross", "Switched off");
            stand.says("This connector is switched off. Last written", applied);
        }
    }
    Some(stand)
}

/// Something is in the queue.
fn waits(stand: &mut Stand, trace: &Trace, one: &operator::Stand) {
    let Some(waits) = &one.waits else { return };
    let entry = &waits.entry;
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    stand.entry = Some(format!(
        "/queue/entry?connector={}&org={}&resource={}/{}",
        encoded(&one.connector),
        encoded(&trace.organization),
        trace.kind,
        trace.id
    ));
    stand.error.clone_from(&entry.last_error);
    let is_waiting = !matches!(entry.state, State::Held | State::Parked | State::Scheduled);
    stand.may_retry = waits.delivering.is_none()
        && !entry.rejected
        && matches!(entry.state, State::Parked | State::Retrying);
    match (entry.state, stand.trouble) {
        (State::Held, _) => {
            stand.is(Standing::Held, "held", "held", "Held");
            let kind = entry.hold_kind.as_deref().and_then(HoldKind::parse);
            stand.hold = kind.map(HoldKind::word);
            stand.says(
                match kind {
                    Some(HoldKind::Removal) => "The removal there waits for a person since",
                    Some(HoldKind::MemberRemoval) => "Taking members out waits for a person since",
                    Some(HoldKind::TakeOver) => {
                        "An entry was there before the relay; changing it waits for a person since"
                    }
                    Some(HoldKind::FirstRun) | None => {
                        "What would be written there waits for a person since"
                    }
                },
                Some(entry.dirty_at),
            );
        }
        (State::Parked, _) if entry.rejected => {
            stand.is(Standing::Rejected, "stop", "parked", "Rejected");
            stand.says(
                "A person said no to what would happen there. It waits since",
                Some(entry.dirty_at),
            );
        }
        (State::Parked, _) => {
            stand.is(Standing::Parked, "stop", "parked", "Parked");
            stand.says("It refused the last change, which waits since", Some(entry.dirty_at));
        }
        (_, Some(trouble)) if is_waiting => {
            let (tone, icon, word) = match one.state.as_str() {
                "paused" => ("none", "pause", "Paused"),
                "disabled" => ("none", "cross", "Switched off"),
                "refused" => ("stop", "trouble", "Refuses us"),
                _ => ("wait", "retry", "Not reachable"),
            };
            stand.is(Standing::Stopped, tone, icon, word);
            let trouble = trouble.replacen("it ", "It ", 1);
            stand.says(&format!("{trouble}, so the last change waits since"), Some(entry.dirty_at));
        }
        (State::Retrying, _) => {
            stand.is(Standing::Retrying, "wait", "retry", "Retrying");
            let tries = match entry.attempts {
                0 | 1 => "Not delivered at the first try. It waits since".to_owned(),
                tries => format!("Not delivered after {tries} tries. It waits since"),
            };
            stand.next = Some(entry.due);
            stand.says(&tries, Some(entry.dirty_at));
        }
        (State::Waiting, _) => {
            stand.is(Standing::Waiting, "none", "clock", "Waiting");
            let other = waits.waits_for.as_ref().map(|other| other.name.clone());
            let first = other.as_deref().unwrap_or("another one");
            stand.says(
                &format!("{first} has to be delivered first. It waits since"),
                Some(entry.dirty_at),
            );
            stand.behind = other;
        }
        (State::Scheduled, _) => {
            stand.is(Standing::Scheduled, "none", "clock", "Scheduled");
            stand.next = Some(entry.due);
            stand.says("The next step lies ahead", None);
        }
        (State::Pending, _) => {
            stand.is(Standing::Pending, "info", "pending", "Pending");
            stand.says(
                "The last change is delivered when its turn comes. It came",
                Some(entry.dirty_at),
            );
        }
    }
    if waits.delivering.is_some() {
        stand.says("It is being delivered at this moment", None);
    }
}

impl Stand {
    fn is(
        &mut self,
        standing: Standing,
        tone: &'static str,
        icon: &'static str,
        word: &'static str,
    ) {
        (self.standing, self.tone, self.icon, self.word) = (standing, tone, icon, word);
    }

    fn says(&mut self, said: &str, at: Option<Timestamp>) {
        let said = match at {
            // Nobody knows when.
            None => said.trim_end_matches(" since").trim_end_matches(" Last written"),
            Some(_) => said,
        };
        (self.said, self.at) = (said.trim_end_matches('.').to_owned(), at);
    }
}

/// Why nothing goes out.
fn trouble(state: &str) -> Option<&'static str> {
    Some(match state {
        "paused" => "it is paused",
        "down" => "it cannot be reached",
        "refused" => "it does not let the relay in",
        "disabled" => "it is switched off",
        _ => return None,
    })
}
