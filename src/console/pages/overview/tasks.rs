//! What waits for a person, in this page's words, each with the one thing to do. Pure.

use serde::Serialize;

use super::Names;
use crate::console::reader::Reader;
use crate::operator::words::{held, span};
use crate::operator::{EndingToken, HeldStatus, Matter, What, WindowStatus};

/// A line of what waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Task {
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) button: &'static str,
    /// After the button's word, for who hears it.
    pub(super) about: String,
    pub(super) href: String,
}

/// What this asks of a person; none of what heals by itself.
pub(super) fn task(reader: &Reader, names: &Names, matter: &Matter) -> Option<Task> {
    let Matter { of, what } = matter;
    let of = of.as_str();
    let ago = |since: &Option<jiff::Timestamp>| since.map(|since| reader.ago(since));
    let connector = format!("/connectors/{of}");
    let number = |count: u64| reader.number(i64::try_from(count).unwrap_or(i64::MAX));
    Some(match what {
        What::Down { .. } | What::Failing(_) => return None,
        What::Refused { error, .. } => Task {
            tone: "stop",
            icon: "trouble",
            title: format!("{of} turns the relay away"),
            text: format!(
                "It does not accept the account that the relay signs in with ({error}). Nothing is \
                 lost. Once that is put right on the server, let the connector go on."
            ),
            button: "Look",
            about: format!("at {of}"),
            href: connector,
        },
        What::Held { entries, kinds } => {
            let what = match kinds.as_slice() {
                [] if *entries == 1 => "1 change".to_owned(),
                [] => format!("{} changes", number(*entries)),
                kinds => {
                    let each = kinds.iter().map(|kind| held(&kind.kind, kind.count()));
                    each.collect::<Vec<_>>().join(" and ")
                }
            };
            let count =
                if kinds.is_empty() { *entries } else { kinds.iter().map(HeldStatus::count).sum() };
            let is = if count == 1 { "is" } else { "are" };
            Task {
                tone: "held",
                icon: "held",
                title: format!("{what} {is} held at {of}"),
                text: limits(reader, kinds),
                button: "Review",
                about: format!("what is held at {of}"),
                href: format!("{connector}/held"),
            }
        }
        What::Parked(count) => Task {
            tone: "stop",
            icon: "parked",
            title: match count {
                1 => format!("1 change is parked at {of}"),
                count => format!("{} changes are parked at {of}", number(*count)),
            },
            text:
                "Trying again has not helped, or would not. Each says why; once that is mended, it \
                   can be tried again."
                    .to_owned(),
            button: "See why",
            about: format!("something is parked at {of}"),
            href: format!("/queue?connector={of}&state=parked"),
        },
        What::Reconciliation { ended, error } => Task {
            tone: "wait",
            icon: "trouble",
            title: format!("The last comparison with {of} failed"),
            text: format!("{}: {error}.", reader.when(*ended)),
            button: "Look",
            about: format!("at the comparison with {of}"),
            href: connector,
        },
        What::NoToken => Task {
            tone: "stop",
            icon: "key",
            title: format!("{} has no valid token", names.of(of)),
            text: "No provider can push for it until there is one.".to_owned(),
            button: "Make one",
            about: format!("for {}", names.of(of)),
            href: format!("/integrations?org={of}"),
        },
        What::TokenEnds(EndingToken { name, ends, .. }) => Task {
            tone: "wait",
            icon: "key",
            title: match span(ends.duration_since(reader.now)) {
                Some(span) => format!("A token runs out in {span}"),
                None => "A token runs out".to_owned(),
            },
            text: format!(
                "“{name}” of {} ends on {}. After that, whoever uses it can no longer push.",
                names.of(of),
                reader.date(*ends)
            ),
            button: "Rotate",
            about: format!("“{name}”"),
            href: format!("/integrations?org={of}"),
        },
        What::Paused { since, paused } => Task {
            tone: "none",
            icon: "pause",
            title: format!("{of} is paused"),
            text: match paused {
                Some(paused) => format!(
                    "Paused by {}{}{}. Changes are kept for it.",
                    paused.by,
                    ago(since).map(|ago| format!(", {ago}")).unwrap_or_default(),
                    paused.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default(),
                ),
                None => "Changes are kept for it.".to_owned(),
            },
            button: "Look",
            about: format!("at {of}"),
            href: connector,
        },
        What::Disabled { waiting } => Task {
            tone: "none",
            icon: "cross",
            title: format!("{of} is switched off"),
            text: format!(
                "Its file is gone or says so. What the system has stays as it is; {}",
                match waiting {
                    0 => "nothing waits for it.".to_owned(),
                    1 => "1 change waits for it.".to_owned(),
                    waiting => format!("{} changes wait for it.", number(*waiting)),
                }
            ),
            button: "Look",
            about: format!("at {of}"),
            href: connector,
        },
        What::Window(window) => Task {
            tone: "none",
            icon: "clock",
            title: format!("More may be removed from {of} than usual"),
            text: open(reader, window),
            button: "Look",
            about: format!("at {of}"),
            href: connector,
        },
    })
}

/// Why it is held.
fn limits(reader: &Reader, kinds: &[HeldStatus]) -> String {
    let mut text: Vec<String> = Vec::new();
    for kind in kinds {
        let number = |count: u64| reader.number(i64::try_from(count).unwrap_or(i64::MAX));
        text.extend(match kind.limit {
            None => None,
            Some(0) => Some("Each of them has to be approved.".to_owned()),
            Some(limit) if kind.executed == 0 => {
                Some(format!("An hour allows {} without approval.", number(limit)))
            }
            Some(limit) => Some(format!(
                "An hour allows {} without approval, and {} were done.",
                number(limit),
                number(kind.executed)
            )),
        });
    }
    text.push("None of it happens until somebody approves.".to_owned());
    text.join(" ")
}

fn open(reader: &Reader, window: &WindowStatus) -> String {
    let removals = window.max_removals.as_ref().map(|share| format!("{share} of the entries"));
    let members =
        window.max_member_removals.as_ref().map(|share| format!("{share} of the memberships"));
    let limits: Vec<String> = removals.into_iter().chain(members).collect();
    format!(
        "As its file says: until {}, an hour allows {} without approval.",
        window
            .until
            .to_zoned(reader.zone.clone())
            .map_or_else(|_| window.until.to_string(), |until| reader.date(until.timestamp())),
        limits.join(" and ")
    )
}
