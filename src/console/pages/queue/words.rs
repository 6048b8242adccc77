//! The queue in words: why a row is there, and what comes next. Pure.

use jiff::Timestamp;
use scim_relay_sdk::connector::HoldKind;
use serde::Serialize;

use super::called;
use crate::store::{Entry, Reason, State};

/// Of a message in a list.
const LONGEST: usize = 200;

/// What happens to a row next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub(super) enum Next {
    /// A person says what.
    Person,
    /// It is being delivered.
    InFlight,
    Now,
    /// It is tried for the so manieth time.
    Try {
        at: Timestamp,
        number: u32,
    },
    /// It lies ahead.
    Day {
        at: Timestamp,
    },
    /// After somebody that it waits for.
    Other,
    /// First the connector must do something.
    Connector {
        when: &'static str,
    },
}

pub(super) fn next(entry: &Entry, connector_state: &str) -> Next {
    if entry.in_flight {
        return Next::InFlight;
    }
    match (entry.state, connector_state) {
        (State::Held | State::Parked, _) => Next::Person,
        (_, "disabled") => Next::Connector { when: "is switched on" },
        (_, "paused") => Next::Connector { when: "is resumed" },
        (State::Scheduled, _) => Next::Day { at: entry.due },
        (State::Waiting, _) => Next::Other,
        (_, "down") => Next::Connector { when: "answers again" },
        (_, "refused") => Next::Connector { when: "lets us in again" },
        (State::Retrying, _) => Next::Try { at: entry.due, number: entry.attempts + 1 },
        (State::Pending, _) => Next::Now,
    }
}

/// What went wrong, or what it is there for.
pub(super) fn why(entry: &Entry) -> String {
    let error = entry.last_error.as_deref().filter(|error| !error.is_empty());
    match (entry.state, error) {
        (State::Parked, Some(error)) if entry.rejected => {
            let reason = error.strip_prefix("rejected: ").unwrap_or(error);
            format!("A person said no: {reason}")
        }
        (State::Held, None) => held(entry.hold_kind.as_deref()).to_owned(),
        (State::Pending | State::Scheduled, _) | (_, None) => reason(&entry.reason).to_owned(),
        (_, Some(error)) => error.to_owned(),
    }
}

pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// What a person is to approve.
pub(super) fn held(kind: Option<&str>) -> &'static str {
    match kind.and_then(HoldKind::parse) {
        Some(HoldKind::Removal) => "A removal waits for approval",
        Some(HoldKind::MemberRemoval) => "Members would leave the group, which waits for approval",
        Some(HoldKind::TakeOver) => "Would change an entry that was there before, after approval",
        Some(HoldKind::FirstRun) => {
            "The connector is new, and what it would write waits for approval"
        }
        None => "Waits for approval",
    }
}

/// As `store::Reason` words it.
pub(super) fn reason(word: &str) -> &'static str {
    match Reason::parse(word) {
        Some(Reason::Change) => "Changed at the provider",
        Some(Reason::Backfill) => "The connector is new",
        Some(Reason::Reconfigured) => "The connector’s file changed",
        Some(Reason::Resync) => "A person asked for it",
        Some(Reason::Drift) => "A comparison found a difference",
        Some(Reason::Members) => "Members of the group came, left or moved",
        Some(Reason::Revisit) => "The next step after leaving",
        Some(Reason::GiveWay) => "Makes room for somebody else’s name",
        None => "",
    }
}

/// Over the page of one entry.
pub(super) fn heading(entry: &Entry) -> String {
    let (who, connector) = (called(entry), &entry.connector);
    if entry.in_flight {
        return format!("{who} is being delivered to {connector}");
    }
    match entry.state {
        State::Held => format!("{who} waits for approval at {connector}"),
        State::Parked if entry.rejected => format!("A person said no to {who} at {connector}"),
        State::Parked => format!("{who} waits for a person at {connector}"),
        State::Waiting => format!("{who} waits for somebody else at {connector}"),
        State::Retrying => format!("{who} is tried again at {connector}"),
        State::Pending => format!("{who} is next at {connector}"),
        State::Scheduled => format!("{who} comes up at {connector} on a later day"),
    }
}

/// What it means and what a person can do about it, the most pressing first.
pub(super) fn means(
    entry: &Entry,
    connector_state: &str,
    every_event: bool,
    in_doubt: bool,
) -> Vec<String> {
    let name = &entry.connector;
    let mut all = Vec::new();
    let is_stuck = match connector_state {
        "disabled" => Some("is switched off, or its file is gone"),
        "paused" => Some("is paused"),
        "down" => Some("is down, and is tried until it is back"),
        "refused" => Some("does not let the relay in"),
        _ => None,
    };
    let goes_on = match entry.state {
        State::Held | State::Parked => "",
        _ => " This goes on by itself afterwards.",
    };
    all.extend(is_stuck.map(|is_stuck| format!("{name} {is_stuck}.{goes_on}")));
    if entry.in_flight {
        all.push("There is nothing to do: look again in a moment.".to_owned());
        return all;
    }
    let text = match entry.state {
        State::Pending => "It is delivered when its turn comes. There is nothing to do.",
        State::Retrying => "It is tried again by itself. Trying it now does no harm.",
        State::Scheduled => "It lies ahead, and is done on its day. There is nothing to do.",
        State::Waiting => "It goes on by itself when whoever it waits for has been delivered.",
        State::Parked if entry.rejected => {
            "It stays as it is until the provider wants something else, or a person approves it after \
             all."
        }
        State::Parked => {
            "The relay has given up on it. Mend what the message says, then try again."
        }
        State::Held => "Nothing is done before a person has approved or rejected it.",
    };
    all.push(text.to_owned());
    if in_doubt && every_event {
        all.push(
            "The last attempt was cut off, and may have arrived. Look for it at the other end: if it is \
             there, skip this; if it is not, try again, which sends it once more."
                .to_owned(),
        );
    } else if in_doubt {
        all.push(
            "The last attempt was cut off, and may have been carried out. Trying again does no harm: \
             what is there already is not written twice."
                .to_owned(),
        );
    }
    let offers_skip = !matches!(entry.state, State::Pending | State::Scheduled);
    if offers_skip && !(in_doubt && every_event) {
        all.push(skipping(every_event, entry.state).to_owned());
    }
    all
}

/// What it means to skip.
fn skipping(every_event: bool, state: State) -> &'static str {
    match state {
        State::Held => "Skipping drops what is asked for: it is not done.",
        _ if every_event => "Skipping goes past this one event; later ones are told.",
        _ => "Skipping leaves the other system as it is until the next change.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::pages::queue::tests::entry;

    #[test]
    fn what_comes_next_is_true_of_the_connector_too() {
        let due: Timestamp = "2026-11-18T09:00:00Z".parse().unwrap();
        let is = |state: State, connector: &str| {
            next(&Entry { state, due, attempts: 3, ..entry("kari") }, connector)
        };
        for connector in ["up", "paused", "disabled", "down", "refused"] {
            assert_eq!(is(State::Parked, connector), Next::Person);
            assert_eq!(is(State::Held, connector), Next::Person);
        }
        assert_eq!(is(State::Pending, "up"), Next::Now);
        assert_eq!(is(State::Retrying, "up"), Next::Try { at: due, number: 4 });
        assert_eq!(is(State::Waiting, "up"), Next::Other);
        assert_eq!(is(State::Waiting, "down"), Next::Other);
        assert_eq!(is(State::Scheduled, "down"), Next::Day { at: due });
        for (connector, when) in [
            ("paused", "is resumed"),
            ("disabled", "is switched on"),
            ("down", "answers again"),
            ("refused", "lets us in again"),
        ] {
            assert_eq!(is(State::Pending, connector), Next::Connector { when });
            assert_eq!(is(State::Retrying, connector), Next::Connector { when });
        }
        let flying = Entry { in_flight: true, ..entry("kari") };
        assert_eq!(next(&flying, "up"), Next::InFlight);
    }

    #[test]
    fn why_is_the_error_or_what_it_is_there_for() {
        let check = |entry: Entry, expected: &str| assert_eq!(why(&entry), expected);
        let error = |text: &str| Some(text.to_owned());
        let parked = |text| Entry { state: State::Parked, last_error: error(text), ..entry("x") };
        check(parked("unknown building 0421 (422)"), "unknown building 0421 (422)");
        let rejected = Entry { rejected: true, ..parked("rejected: they stay until June") };
        check(rejected, "A person said no: they stay until June");
        let held = Entry { state: State::Held, hold_kind: error("removal"), ..entry("x") };
        check(held, "A removal waits for approval");
        check(entry("x"), "Changed at the provider");
        // What failed before is not why it is due now.
        let due = Entry { last_error: error("busy"), reason: "resync".to_owned(), ..entry("x") };
        check(due, "A person asked for it");
    }

    #[test]
    fn what_a_person_can_do_is_said_for_every_state() {
        let mut told = Vec::new();
        for state in State::ALL {
            let entry = Entry { state, ..entry("Kari Nordli") };
            let means = means(&entry, "up", false, false).join(" ");
            told.push(format!("{}: {means}", heading(&entry)));
        }
        for (connector, every_event, in_doubt, rejected) in [
            ("down", true, true, false),
            ("paused", false, true, false),
            ("refused", true, false, false),
            ("disabled", false, false, true),
        ] {
            let entry = Entry { state: State::Parked, rejected, ..entry("Kari Nordli") };
            let means = means(&entry, connector, every_event, in_doubt).join(" ");
            told.push(format!("{}: {means}", heading(&entry)));
        }
        insta::assert_snapshot!(told.join("\n\n"));
    }

    #[test]
    fn a_long_message_ends_in_a_list() {
        assert_eq!(shortened("short"), "short");
        let long = "å".repeat(LONGEST + 1);
        assert_eq!(shortened(&long), format!("{}…", "å".repeat(LONGEST)));
    }
}
