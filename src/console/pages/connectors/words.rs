//! How a connector behaves, in words. Pure.

use std::time::Duration;

use jiff::Timestamp;
use scim_relay_sdk::connector::{Fate, Leavers, Period, Rate};
use serde::Serialize;

use crate::config::{Limits, Orphans, Retry};
use crate::operator::Behaviour;
use crate::safety::{FirstRun, Safety, Share};

/// What a kind of target is called.
pub(in crate::console::pages) fn kind(word: &str) -> &str {
    match word {
        "ldap" => "LDAP directory",
        "webhook" => "Webhook",
        "email" => "E-mail",
        other => other,
    }
}

/// A line of what a connector does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub(super) label: &'static str,
    pub(super) text: String,
    /// As it stands in the file.
    pub(super) code: Option<String>,
    /// When it happens next.
    pub(super) next: Option<Timestamp>,
}

impl Line {
    fn new(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into(), code: None, next: None }
    }
}

pub(super) fn behaviour(of: &Behaviour, can_be_compared: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for (label, filter, everybody) in
        [("People", &of.users, "All of them"), ("Groups", &of.groups, "All of them")]
    {
        lines.push(match filter {
            Some(filter) => Line { code: Some(filter.clone()), ..Line::new(label, "Those with") },
            None => Line::new(label, everybody),
        });
    }
    lines.extend(compares(of, can_be_compared));
    lines.extend(tries(&of.retry));
    lines.extend(holds(&of.safety));
    lines.extend(leavers(&of.leavers));
    lines.push(Line::new("Speed", speed(&of.limits)));
    lines
}

fn compares(of: &Behaviour, can_be_compared: bool) -> Vec<Line> {
    if !can_be_compared {
        return vec![Line::new("Compares", "Never: what this kind of system has cannot be read")];
    }
    let repair = if of.repair { "puts right what differs" } else { "only reports what differs" };
    let mut lines = vec![match &of.schedule {
        None => Line::new("Compares", format!("When somebody asks, and {repair}")),
        Some((source, next)) => {
            let (text, code) = match schedule(source) {
                Some(words) => (format!("{words}, and {repair}"), None),
                None => (format!("By a schedule, and {repair}"), Some(source.clone())),
            };
            Line { code, next: *next, ..Line::new("Compares", text) }
        }
    }];
    let orphans = match of.orphans {
        Orphans::Report => "An entry that belongs to nobody is reported and stays",
        Orphans::Deprovision => "An entry that belongs to nobody is treated like a leaver's",
    };
    lines.push(Line::new("Not ours", orphans));
    lines
}

fn tries(retry: &Retry) -> [Line; 2] {
    [
        Line::new(
            "Tries again",
            format!(
                "After {}, then slower, up to {} apart",
                lasting(retry.first),
                lasting(retry.longest)
            ),
        ),
        Line::new(
            "Gives up",
            format!(
                "Never by itself: what has failed for {} waits for a person",
                lasting(retry.give_up_after)
            ),
        ),
    ]
}

fn holds(safety: &Safety) -> Vec<Line> {
    let limit = |share: Share, what: &str| match share {
        Share::Count(0) => format!("every removal of {what}"),
        Share::Count(count) => format!("more than {count} removals of {what} in an hour"),
        Share::Percent(_) => {
            let floor = safety.floor;
            format!("removals of more than {share} of the {what} in an hour (or of {floor})")
        }
    };
    let removals = limit(safety.max_removals, "entries");
    let members = limit(safety.max_member_removals, "memberships");
    let before = match safety.first_run {
        FirstRun::Guard => "Entries from before the relay are changed after approval",
        FirstRun::Plan => "Everybody whom the relay knew before this connector waits for approval",
        FirstRun::Go => "Entries from before the relay are taken over at once",
    };
    vec![
        Line::new("Holds", sentence(&format!("{removals}, and {members}"))),
        Line::new("At first", before),
    ]
}

fn leavers(leavers: &Leavers) -> Vec<Line> {
    match leavers {
        Leavers::Told => {
            vec![Line::new("Leavers", "The system is told; what it does then is its own affair")]
        }
        Leavers::Entries { deactivated, deleted, purge_after } => {
            let told = |of: &Fate| {
                let purge = purge_after
                    .filter(|_| matches!(of, Fate::Disabled | Fate::Moved(_)))
                    .map(|period| format!("; {period} later it is deleted"))
                    .unwrap_or_default();
                format!("Their entry {}{purge}", fate(of))
            };
            vec![Line::new("Deactivated", told(deactivated)), Line::new("Deleted", told(deleted))]
        }
    }
}

/// What becomes of an entry: `is disabled and stays`.
pub(super) fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Disabled => "is disabled and stays".to_owned(),
        Fate::Moved(place) => format!("is disabled and moved to {place}"),
        Fate::Deleted => "is deleted at once".to_owned(),
        Fate::Kept => "stays as it is".to_owned(),
    }
}

fn speed(limits: &Limits) -> String {
    let rate = limits.rate.map(|rate| format!(", at most {}", per(rate))).unwrap_or_default();
    format!("{} at a time{rate}; each may take {}", limits.concurrency, lasting(limits.timeout))
}

fn per(rate: Rate) -> String {
    let unit = match rate.per.as_secs() {
        1 => "a second".to_owned(),
        60 => "a minute".to_owned(),
        3_600 => "an hour".to_owned(),
        86_400 => "a day".to_owned(),
        _ => format!("in {}", lasting(rate.per)),
    };
    format!("{} {unit}", rate.count)
}

fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        1 => "1 second".to_owned(),
        2..60 if time.subsec_nanos() == 0 => format!("{seconds} seconds"),
        _ => Period(time).to_string(),
    }
}

/// What the common schedules say; none: it is one of the others.
fn schedule(source: &str) -> Option<String> {
    const DAYS: [&str; 7] =
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let fields: Vec<&str> = source.split_ascii_whitespace().collect();
    let [minute, hour, "*", "*", weekday] = fields[..] else { return None };
    let number = |text: &str| text.parse::<u8>().ok();
    let day = match weekday {
        "*" => "day",
        weekday => DAYS[usize::from(number(weekday)? % 7)],
    };
    match (minute.strip_prefix("*/"), number(minute), hour, number(hour)) {
        (None, Some(minute), _, Some(hour)) => {
            Some(format!("Every {day} at {hour:02}:{minute:02}"))
        }
        (None, Some(minute), "*", None) if weekday == "*" => {
            Some(format!("Every hour at {minute} minutes past"))
        }
        (Some(step), None, "*", None) if weekday == "*" => {
            Some(format!("Every {} minutes", number(step)?))
        }
        _ => None,
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    pub(in crate::console::pages::connectors) fn directory() -> Behaviour {
        Behaviour {
            users: Some("userType eq \"student\"".to_owned()),
            groups: None,
            limits: Limits {
                concurrency: 8,
                rate: Rate::parse("50/s"),
                timeout: Duration::from_secs(10),
            },
            retry: Retry {
                first: Duration::from_secs(5),
                longest: Duration::from_hours(1),
                give_up_after: Duration::from_hours(7 * 24),
            },
            schedule: Some(("15 2 * * *".to_owned(), "2026-11-19T01:15:00Z".parse().ok())),
            repair: true,
            orphans: Orphans::Report,
            safety: Safety::usual(TimeZone::UTC),
            leavers: Leavers::Entries {
                deactivated: Fate::Disabled,
                deleted: Fate::Moved("ou=leavers,dc=lillevik,dc=example".to_owned()),
                purge_after: Some(Period(Duration::from_hours(90 * 24))),
            },
            file: "/etc/scim-relay/connectors.d/directory.toml".to_owned(),
            text: Vec::new(),
        }
    }

    fn told(of: &Behaviour, can_be_compared: bool) -> String {
        let line = |line: Line| {
            let code = line.code.map(|code| format!(" `{code}`")).unwrap_or_default();
            format!("{}: {}{code}\n", line.label, line.text)
        };
        behaviour(of, can_be_compared).into_iter().map(line).collect()
    }

    #[test]
    fn a_directory_says_what_it_does() {
        insta::assert_snapshot!(told(&directory(), true), @r#"
        People: Those with `userType eq "student"`
        Groups: All of them
        Compares: Every day at 02:15, and puts right what differs
        Not ours: An entry that belongs to nobody is reported and stays
        Tries again: After 5 seconds, then slower, up to 1 hour apart
        Gives up: Never by itself: what has failed for 7 days waits for a person
        Holds: Removals of more than 5% of the entries in an hour (or of 25), and removals of more than 20% of the memberships in an hour (or of 25)
        At first: Entries from before the relay are changed after approval
        Deactivated: Their entry is disabled and stays; 90 days later it is deleted
        Deleted: Their entry is disabled and moved to ou=leavers,dc=lillevik,dc=example; 90 days later it is deleted
        Speed: 8 at a time, at most 50 a second; each may take 10 seconds
        "#);
    }

    #[test]
    fn a_receiver_of_events_says_what_it_does() {
        let receiver = Behaviour {
            users: None,
            schedule: None,
            leavers: Leavers::Told,
            safety: Safety {
                max_removals: Share::Count(0),
                max_member_removals: Share::Count(10),
                first_run: FirstRun::Plan,
                ..Safety::usual(TimeZone::UTC)
            },
            ..directory()
        };
        insta::assert_snapshot!(told(&receiver, false), @"
        People: All of them
        Groups: All of them
        Compares: Never: what this kind of system has cannot be read
        Tries again: After 5 seconds, then slower, up to 1 hour apart
        Gives up: Never by itself: what has failed for 7 days waits for a person
        Holds: Every removal of entries, and more than 10 removals of memberships in an hour
        At first: Everybody whom the relay knew before this connector waits for approval
        Leavers: The system is told; what it does then is its own affair
        Speed: 8 at a time, at most 50 a second; each may take 10 seconds
        ");
    }

    #[test]
    fn common_schedules_are_said_in_words_and_others_are_shown() {
        for (source, words) in [
            ("15 2 * * *", Some("Every day at 02:15")),
            ("0 6 * * 1", Some("Every Monday at 06:00")),
            ("0 6 * * 7", Some("Every Sunday at 06:00")),
            ("5 * * * *", Some("Every hour at 5 minutes past")),
            ("*/10 * * * *", Some("Every 10 minutes")),
            ("15 2 1 * *", None),
            ("15 2,14 * * *", None),
            ("15 2 * * 1-5", None),
            ("*/10 4 * * *", None),
            ("0 15 2 * * *", None),
        ] {
            assert_eq!(schedule(source).as_deref(), words, "{source}");
        }
    }

    #[test]
    fn times_are_said_in_their_largest_unit() {
        for (seconds, words) in [
            (1, "1 second"),
            (5, "5 seconds"),
            (60, "1 minute"),
            (90, "90s"),
            (7_200, "2 hours"),
            (604_800, "7 days"),
        ] {
            assert_eq!(lasting(Duration::from_secs(seconds)), words);
        }
    }
}
