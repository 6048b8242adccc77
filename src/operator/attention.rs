//! What a person should do, most pressing first, in sentences. Pure.

use jiff::Timestamp;

use super::status::{ConnectorStatus, HeldStatus, OrganizationStatus, WindowStatus};
use super::words::{counted, held, number, relative, span};
use crate::delivery::Failing;

/// The most pressing first: what nobody but a person mends, what may be an accident, what heals by
/// itself, what somebody wanted so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Refused,
    Removals,
    Down,
    Parked,
    Held,
    Reconciliation,
    NoToken,
    Paused,
    Disabled,
    Window,
}

pub(super) fn attention(
    now: Timestamp,
    organizations: &[OrganizationStatus],
    connectors: &[ConnectorStatus],
) -> Vec<String> {
    let mut all: Vec<(Urgency, String)> = Vec::new();
    for connector in connectors {
        all.extend(of_connector(now, connector));
    }
    for organization in organizations.iter().filter(|organization| organization.tokens == 0) {
        let key = &organization.key;
        let sentence = format!(
            "{key}: no token is valid, so no provider can push; `scim-relay token create {key}` makes \
             one"
        );
        all.push((Urgency::NoToken, sentence));
    }
    all.sort_by_key(|(urgency, _)| *urgency);
    all.into_iter().map(|(_, sentence)| sentence).collect()
}

fn of_connector(now: Timestamp, connector: &ConnectorStatus) -> Vec<(Urgency, String)> {
    let name = &connector.name;
    let mut all = Vec::new();
    let mut say = |urgency, sentence: String| all.push((urgency, format!("{name}: {sentence}")));
    let error = connector.error.as_deref().unwrap_or_default();
    let ago = connector.since.map(|since| format!(" {}", relative(now, since))).unwrap_or_default();
    match connector.state.as_str() {
        "refused" => say(
            Urgency::Refused,
            format!(
                "the target turns us away, first{ago} ({error}); nothing is lost: put that right, then \
                 `scim-relay connector resume {name}` or a restart"
            ),
        ),
        "down" => {
            let since = connector.since.map(|since| now.duration_since(since));
            let long = since.and_then(span);
            let down = long
                .map_or_else(|| "is down".to_owned(), |span| format!("has been down for {span}"));
            say(
                Urgency::Down,
                format!(
                    "the target {down} ({error}); nothing is lost, and its work goes \
                     on by itself when it is back"
                ),
            );
        }
        "paused" => say(
            Urgency::Paused,
            format!(
                "paused by {}{ago}{}; `scim-relay connector resume {name}` lets it go on",
                connector.paused.as_ref().map_or("somebody", |paused| &paused.by),
                connector
                    .paused
                    .as_ref()
                    .and_then(|paused| paused.why.as_ref())
                    .map_or_else(String::new, |why| format!(" ({why})"))
            ),
        ),
        "disabled" if connector.backlog.open() > 0 || connector.holds > 0 => say(
            Urgency::Disabled,
            format!(
                "its file is gone or disabled; what it holds stays as it is, and {} there; \
                 `scim-relay connector forget {name}` drops what is known of it",
                counted(connector.backlog.open(), "entry waits", "entries wait")
            ),
        ),
        _ => {}
    }
    if let Some(Failing { since, tries, error }) = &connector.failing
        && connector.state == "up"
    {
        let long = span(now.duration_since(*since)).unwrap_or_else(|| "years".to_owned());
        say(
            Urgency::Down,
            format!(
                "nothing has arrived for {long}, in {} tries ({error}); nothing is given up \
                 meanwhile, and all of it is tried again by itself",
                number(*tries)
            ),
        );
    }
    if connector.backlog.parked > 0 {
        say(
            Urgency::Parked,
            format!(
                "{} parked; `scim-relay queue list --connector {name} --state parked` says why, then \
                 retry or skip",
                number(connector.backlog.parked)
            ),
        );
    }
    if let Some((urgency, sentence)) = approvals(name, &connector.held) {
        say(urgency, sentence);
    }
    if let Some(run) = &connector.last_reconciliation
        && let Some(error) = &run.error
    {
        let when = relative(now, run.ended);
        say(Urgency::Reconciliation, format!("the last reconciliation failed {when}: {error}"));
    }
    if let Some(window) = &connector.window {
        say(Urgency::Window, open(window));
    }
    all
}

/// What waits for approval, and why.
fn approvals(name: &str, kinds: &[HeldStatus]) -> Option<(Urgency, String)> {
    let kinds: Vec<&HeldStatus> = kinds.iter().filter(|kind| kind.held > 0).collect();
    let urgency = match kinds.iter().any(|kind| kind.limit.is_some()) {
        _ if kinds.is_empty() => return None,
        true => Urgency::Removals,
        false => Urgency::Held,
    };
    let each: Vec<String> = kinds
        .iter()
        .map(|kind| {
            let what = held(&kind.kind, kind.count());
            match kind.limit {
                None => what,
                Some(0) => format!("{what} (none is made without it)"),
                Some(limit) if kind.executed == 0 => {
                    format!("{what} (an hour allows {})", number(limit))
                }
                Some(limit) => format!(
                    "{what} ({} of at most {} in an hour are done)",
                    number(kind.executed),
                    number(limit)
                ),
            }
        })
        .collect();
    let one = kinds.iter().map(|kind| kind.count()).sum::<u64>() == 1;
    let verb = if one { "waits" } else { "wait" };
    Some((
        urgency,
        format!(
            "{} {verb} for approval; `scim-relay held list {name}` shows {}, then `held approve` or \
             `held reject`",
            each.join(" and "),
            if one { "it" } else { "them" }
        ),
    ))
}

/// That more than usual may be removed.
fn open(window: &WindowStatus) -> String {
    let removals = window.max_removals.as_ref().map(|share| format!("{share} may be removed"));
    let members = window
        .max_member_removals
        .as_ref()
        .map(|share| format!("{share} of the members may be taken out of groups"));
    let limits: Vec<String> = removals.into_iter().chain(members).collect();
    format!(
        "its [[safety.window]] is open until {}: in an hour {} without approval",
        window.until,
        limits.join(", and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Backlog, Paused, RunRow};

    const NOW: Timestamp = Timestamp::constant(1_788_220_800, 0);

    fn ago(hours: i64) -> Timestamp {
        NOW - jiff::SignedDuration::from_hours(hours)
    }

    fn connector(name: &str) -> ConnectorStatus {
        ConnectorStatus {
            name: name.to_owned(),
            kind: "ldap".to_owned(),
            state: "up".to_owned(),
            since: None,
            error: None,
            paused: None,
            backlog: Backlog::default(),
            held: Vec::new(),
            window: None,
            in_flight: 0,
            failing: None,
            holds: 0,
            oldest: None,
            last_delivered: None,
            last_reconciliation: None,
        }
    }

    fn of_kind(kind: &str, held: u64, executed: u64, limit: Option<u64>) -> HeldStatus {
        HeldStatus { kind: kind.to_owned(), held, waiting: held, executed, limit }
    }

    #[track_caller]
    fn check(held: Vec<HeldStatus>, expected: &str) {
        let told = attention(NOW, &[], &[ConnectorStatus { held, ..connector("ldap") }]);
        let [sentence] = &told[..] else { panic!("{told:?}") };
        let end = "; `scim-relay held list ldap` shows";
        assert_eq!(sentence.split(end).next(), Some(format!("ldap: {expected}").as_str()));
    }

    #[test]
    fn what_is_held_is_said_with_what_was_done_and_what_may_be() {
        check(
            vec![of_kind("removal", 57, 50, Some(50))],
            "57 removals (50 of at most 50 in an hour are done) wait for approval",
        );
        check(
            vec![of_kind("removal", 1, 0, Some(0))],
            "1 removal (none is made without it) waits for approval",
        );
        check(
            vec![of_kind("removal", 1_200, 4, Some(60)), of_kind("take_over", 2, 0, None)],
            "1,200 removals (4 of at most 60 in an hour are done) and 2 take-overs wait for approval",
        );
        // Of a connector that does not run nobody asks for a limit.
        check(vec![of_kind("removal", 3, 0, None)], "3 removals wait for approval");
        let group = HeldStatus { waiting: 250, ..of_kind("member_removal", 1, 0, Some(25)) };
        check(vec![group], "250 removals of members (an hour allows 25) wait for approval");
        let told = attention(NOW, &[], &[connector("ldap")]);
        assert_eq!(told, [""; 0]);
        let done =
            ConnectorStatus { held: vec![of_kind("removal", 0, 9, Some(50))], ..connector("x") };
        assert_eq!(attention(NOW, &[], &[done]), [""; 0], "nothing waits");
    }

    #[test]
    fn the_most_pressing_comes_first_and_what_heals_by_itself_later() {
        let failed = RunRow {
            started: ago(2),
            ended: ago(2),
            dry: false,
            error: Some("sizeLimitExceeded".to_owned()),
            seen: 5,
            drifted: 0,
        };
        let window = WindowStatus {
            until: "2026-08-15".parse().unwrap(),
            max_removals: Some("40%".to_owned()),
            max_member_removals: Some("100%".to_owned()),
        };
        let parked = Backlog { parked: 1_000, ..Backlog::default() };
        let paused = Paused { at: ago(3), by: "user kari".to_owned(), why: None };
        let connectors = [
            ConnectorStatus { window: Some(window), ..connector("window") },
            ConnectorStatus {
                state: "paused".to_owned(),
                since: Some(ago(3)),
                paused: Some(paused),
                ..connector("paused")
            },
            ConnectorStatus { last_reconciliation: Some(failed), ..connector("nightly") },
            ConnectorStatus { held: vec![of_kind("take_over", 2, 0, None)], ..connector("before") },
            ConnectorStatus { backlog: parked, ..connector("parked") },
            ConnectorStatus {
                state: "down".to_owned(),
                since: Some(ago(5)),
                error: Some("connection refused".to_owned()),
                ..connector("down")
            },
            ConnectorStatus {
                held: vec![of_kind("removal", 800, 0, Some(50))],
                ..connector("mass")
            },
            ConnectorStatus {
                state: "refused".to_owned(),
                since: Some(ago(1)),
                error: Some("invalidCredentials".to_owned()),
                ..connector("refused")
            },
        ];
        insta::assert_snapshot!(attention(NOW, &[], &connectors).join("\n"));
    }
}
