//! Whether provisioning works, in a sentence. Pure.

use serde::Serialize;

use crate::console::reader::Reader;
use crate::operator::{ConnectorView, Overview};

/// What the page opens with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Answer {
    pub(super) tone: &'static str,
    icon: &'static str,
    pub(super) heading: String,
    /// What else is to be known.
    pub(super) lead: String,
}

/// Exceptions that are named; of more there is only a number.
const NAMED: usize = 3;

impl Answer {
    pub(super) fn new(reader: &Reader, all: &Overview) -> Self {
        let last_push = all.organizations.iter().filter_map(|one| one.last_used).max();
        let pushed = last_push.map(|at| format!("Last push {}.", reader.ago(at)));
        let running: Vec<&ConnectorView> =
            all.connectors.iter().filter(|view| view.status.state != "disabled").collect();
        let (stuck, well): (Vec<&ConnectorView>, Vec<_>) =
            running.iter().copied().partition(|view| is_stuck(view));
        let shut = || all.organizations.iter().filter(|one| one.tokens == 0);
        let is_empty = all.organizations.iter().all(|one| one.users + one.groups == 0);

        let (tone, icon, heading, more) = if is_empty {
            let more = match last_push {
                None => {
                    "No provider has called so far. Once one is set up, people show up here a few \
                         seconds after it sends them."
                }
                Some(_) => "The provider has sent nobody so far.",
            };
            ("info", "pending", "Nothing has arrived yet".to_owned(), more.to_owned())
        } else if running.is_empty() {
            let more = "What arrives is kept, and there is no connector that would pass it on.";
            ("wait", "trouble", "Nothing is delivered".to_owned(), more.to_owned())
        } else if well.is_empty() {
            let heading = "Nothing can be delivered".to_owned();
            let more = match stuck.as_slice() {
                [one] => format!("{} {}. What arrives is kept.", one.status.name, why(one)),
                many => {
                    format!("None of the {} connectors works. What arrives is kept.", many.len())
                }
            };
            ("stop", "trouble", heading, more)
        } else if shut().count() == all.organizations.len() {
            let more = format!("No token is valid. {}", working(&well, stuck.len()));
            ("stop", "trouble", "Nothing can be received".to_owned(), more)
        } else {
            let at = stuck.iter().map(|view| format!("to {}", view.status.name));
            let of = shut().map(|one| format!("for {}", one.name));
            let except: Vec<String> = at.chain(of).collect();
            match except.as_slice() {
                [] => ("ok", "ok", "Provisioning works".to_owned(), working(&well, 0)),
                except => (
                    "wait",
                    "trouble",
                    format!("Provisioning works, except {}", listed(except)),
                    working(&well, stuck.len()),
                ),
            }
        };
        let lead: Vec<String> = pushed.into_iter().chain([more]).collect();
        Self { tone, icon, heading, lead: lead.join(" ") }
    }
}

/// Whether nothing reaches its target.
fn is_stuck(view: &ConnectorView) -> bool {
    view.status.state != "up" || view.status.failing.is_some()
}

fn why(view: &ConnectorView) -> &'static str {
    match view.status.state.as_str() {
        "refused" => "turns the relay away",
        "paused" => "is paused",
        "down" => "cannot be reached",
        _ => "takes nothing",
    }
}

fn working(well: &[&ConnectorView], stuck: usize) -> String {
    match (well.len(), stuck) {
        (1, 0) => "The connector is working.".to_owned(),
        (all, 0) => format!("All {all} connectors are working."),
        (1, _) => "The other connector is working.".to_owned(),
        (others, _) => format!("The other {others} connectors are working."),
    }
}

/// `to a`, `to a and for B`, `in 12 places`.
fn listed(except: &[String]) -> String {
    match except {
        many if many.len() > NAMED => format!("in {} places", many.len()),
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        one => one.concat(),
    }
}

/// What goes on by itself, and when.
pub(super) fn itself(reader: &Reader, view: &ConnectorView) -> Option<String> {
    let status = &view.status;
    let again = match view.next_try {
        Some(at) if at > reader.now => format!("tries again by itself at {}", reader.clock(at)),
        _ => "tries again by itself".to_owned(),
    };
    let since = status.since.map(|since| reader.when(since));
    match (status.state.as_str(), &status.failing) {
        ("down", _) => Some(format!(
            "{} has not answered{}. The relay {again}; nothing is lost.",
            status.name,
            since.map(|since| format!(" since {since}")).unwrap_or_default()
        )),
        ("up", Some(failing)) => Some(format!(
            "{} answers, and has taken nothing since {}. The relay {again}; nothing is lost.",
            status.name,
            reader.when(failing.since)
        )),
        _ => None,
    }
}
