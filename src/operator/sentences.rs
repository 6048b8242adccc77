//! What a person should do, in the sentences of the command line. Pure.

use jiff::Timestamp;

use super::attention::{Matter, What};
use super::status::{EndingToken, HeldStatus, WindowStatus};
use super::words::{counted, held, number, relative, span};
use crate::delivery::Failing;
use crate::store::Paused;

/// One each, with the command that helps.
pub(super) fn sentences(now: Timestamp, matters: &[Matter]) -> Vec<String> {
    let told = |Matter { of, what }: &Matter| format!("{of}: {}", sentence(now, of, what));
    matters.iter().map(told).collect()
}

fn sentence(now: Timestamp, of: &str, what: &What) -> String {
    let ago = |since: &Option<Timestamp>| {
        since.map(|since| format!(" {}", relative(now, since))).unwrap_or_default()
    };
    match what {
        What::Refused { since, error } => format!(
            "the target turns us away, first{} ({error}); nothing is lost: put that right, then \
             `scim-relay connector resume {of}` or a restart",
            ago(since)
        ),
        What::Down { since, error } => {
            let long = since.and_then(|since| span(now.duration_since(since)));
            let down = long
                .map_or_else(|| "is down".to_owned(), |span| format!("has been down for {span}"));
            format!(
                "the target {down} ({error}); nothing is lost, and its work goes on by itself when \
                 it is back"
            )
        }
        What::Failing(Failing { since, tries, error }) => format!(
            "nothing has arrived for {}, in {} tries ({error}); nothing is given up meanwhile, and \
             all of it is tried again by itself",
            span(now.duration_since(*since)).unwrap_or_else(|| "years".to_owned()),
            number(*tries)
        ),
        What::Paused { since, paused } => format!(
            "paused by {}{}{}; `scim-relay connector resume {of}` lets it go on",
            paused.as_ref().map_or("somebody", |paused| &paused.by),
            ago(since),
            match paused {
                Some(Paused { why: Some(why), .. }) => format!(" ({why})"),
                _ => String::new(),
            }
        ),
        What::Disabled { waiting } => format!(
            "its file is gone or disabled; what it holds stays as it is, and {} there; \
             `scim-relay connector forget {of}` drops what is known of it",
            counted(*waiting, "entry waits", "entries wait")
        ),
        What::Parked(count) => format!(
            "{} parked; `scim-relay queue list --connector {of} --state parked` says why, then retry \
             or skip",
            number(*count)
        ),
        What::Held { entries, kinds } => approvals(of, *entries, kinds),
        What::Reconciliation { ended, error } => {
            format!("the last reconciliation failed {}: {error}", relative(now, *ended))
        }
        What::NoToken => format!(
            "no token is valid, so no provider can push; `scim-relay token create {of}` makes one"
        ),
        What::TokenEnds(EndingToken { id, name, ends }) => format!(
            "the token \"{name}\" runs out {}, and its provider cannot push then; `scim-relay token \
             rotate {of} {id}` makes its successor",
            relative(now, *ends)
        ),
        What::Window(window) => open(window),
    }
}

/// What waits for approval, and why.
fn approvals(name: &str, entries: u64, kinds: &[HeldStatus]) -> String {
    let each = kinds.iter().map(|kind| {
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
    });
    let (what, count) = if kinds.is_empty() {
        (counted(entries, "entry", "entries"), entries)
    } else {
        (each.collect::<Vec<_>>().join(" and "), kinds.iter().map(HeldStatus::count).sum())
    };
    let (verb, them) = if count == 1 { ("waits", "it") } else { ("wait", "them") };
    format!(
        "{what} {verb} for approval; `scim-relay held list {name}` shows {them}, then `held approve` \
         or `held reject`"
    )
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
    use crate::operator::attention::matters;
    use crate::operator::status::{ConnectorStatus, OrganizationStatus};
    use crate::store::{Backlog, RunRow};

    fn told(connectors: &[ConnectorStatus]) -> Vec<String> {
        sentences(NOW, &matters(&[], connectors.iter()))
    }

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
        let all = told(&[ConnectorStatus { held, ..connector("ldap") }]);
        let [sentence] = &all[..] else { panic!("{all:?}") };
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
        assert_eq!(told(&[connector("ldap")]), [""; 0]);
        let done =
            ConnectorStatus { held: vec![of_kind("removal", 0, 9, Some(50))], ..connector("x") };
        assert_eq!(told(&[done]), [""; 0], "nothing waits");
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
        insta::assert_snapshot!(told(&connectors).join("\n"));
    }

    #[test]
    fn an_organization_without_a_token_is_told_and_one_whose_token_runs_out() {
        let organization = |key: &str, tokens, ending| OrganizationStatus {
            key: key.to_owned(),
            name: String::new(),
            endpoint: String::new(),
            users: 0,
            groups: 0,
            tokens,
            last_used: None,
            ending,
            strict: false,
            deviations: Vec::new(),
        };
        let ending = EndingToken { id: 7, name: "Entra ID".to_owned(), ends: ago(-9 * 24) };
        let all = [organization("solvang", 2, vec![ending]), organization("lillevik", 0, vec![])];
        let matters = matters(&all, std::iter::empty());
        insta::assert_snapshot!(sentences(NOW, &matters).join("\n"), @r#"
        lillevik: no token is valid, so no provider can push; `scim-relay token create lillevik` makes one
        solvang: the token "Entra ID" runs out in 9 days, and its provider cannot push then; `scim-relay token rotate solvang 7` makes its successor
        "#);
    }
}
