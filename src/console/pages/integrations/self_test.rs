//! The self-test in words: how far a provider's set-up has come. Texts without links, since they may
//! change while somebody looks.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::console::live::{SAY, Update, Updates};
use crate::console::reader::Reader;
use crate::operator::{Calls, Milestone, Progress, TokenLine, WhyNot};
use crate::token::Refusal;

#[derive(Debug, Serialize)]
pub(super) struct Test {
    steps: Vec<Step>,
    done: usize,
    /// `3 of 4 steps done`.
    count: String,
    /// From when on it looks, if somebody said so.
    since: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// `t1`, ...
    id: String,
    heading: &'static str,
    /// `todo`, `now`, `done`, `bad`.
    state: &'static str,
    text: String,
    /// Where the request is that says so.
    request: Option<String>,
}

impl Test {
    pub(super) fn new(
        reader: &Reader,
        organization: &str,
        calls: &Calls,
        tokens: &[TokenLine],
        since: Option<Timestamp>,
    ) -> Self {
        let progress = calls.progress(since);
        let done = progress.iter().filter(|one| matches!(one, Progress::Done { .. })).count();
        let steps = Milestone::ALL.iter().zip(&progress).zip(1..);
        let step = |((milestone, progress), number): ((&Milestone, &Progress), usize)| Step {
            id: format!("t{number}"),
            heading: heading(*milestone),
            state: match progress {
                Progress::Todo => "todo",
                Progress::Now => "now",
                Progress::Done { .. } => "done",
                Progress::Bad { .. } => "bad",
            },
            text: text(reader, *milestone, progress, tokens),
            request: request(progress)
                .map(|id| format!("/organizations/{organization}/requests/{id}")),
        };
        let count = format!("{done} of {} steps done", Milestone::ALL.len());
        Self { steps: steps.map(step).collect(), done, count, since }
    }
}

/// What may change while somebody looks.
impl From<&Test> for Updates {
    fn from(test: &Test) -> Self {
        let bar = Update::text(&*test.count).value(test.done as u64);
        let mut updates: Self = [
            ("test-count".to_owned(), Update::text(&*test.count)),
            ("test-bar".to_owned(), bar),
            (SAY.to_owned(), Update::text(&*test.count)),
        ]
        .into();
        for step in &test.steps {
            updates.insert(step.id.clone(), Update::default().state(step.state));
            updates.insert(format!("{}-text", step.id), Update::text(&*step.text));
        }
        updates
    }
}

fn heading(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Connection => "Your provider calls with a good token",
        Milestone::Person => "A person arrives",
        Milestone::Group => "A group arrives",
        Milestone::Deactivation => "A person is switched off or removed",
    }
}

fn text(
    reader: &Reader,
    milestone: Milestone,
    progress: &Progress,
    tokens: &[TokenLine],
) -> String {
    match progress {
        Progress::Todo => "Not yet".to_owned(),
        Progress::Now => waits(milestone).to_owned(),
        Progress::Done { at, .. } => format!("Last at {}", reader.when(*at)),
        Progress::Bad { at, why } => {
            format!("At {}, {}", reader.when(*at), why_not(why, tokens))
        }
    }
}

fn waits(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Connection => "Waits for its first call: let it test the connection",
        Milestone::Person => "Waits for somebody: assign or provision one person",
        Milestone::Group => "Waits for a group: assign or push one",
        Milestone::Deactivation => {
            "Waits for somebody to leave: take the assignment of one person back"
        }
    }
}

fn why_not(why: &WhyNot, tokens: &[TokenLine]) -> String {
    match why {
        WhyNot::BadToken { token, what, .. } => {
            let name = tokens.iter().find(|line| line.id == token.0).map(|line| &*line.name);
            let name = name.map(|name| format!(", “{name}”")).unwrap_or_default();
            format!("your provider came with {what}{name}. Give it one that works")
        }
        WhyNot::Stranger(stranger) => {
            let from =
                stranger.from.map(|from: IpAddr| format!(" from {from}")).unwrap_or_default();
            match stranger.refusal {
                Refusal::Malformed => format!(
                    "a call{from} came without a token of this relay. Was it cut off when it was pasted?"
                ),
                Refusal::Unknown | Refusal::Revoked | Refusal::Expired => format!(
                    "a call{from} came with a token that does not open this address. Is it another \
                     organization's?"
                ),
            }
        }
        WhyNot::Refused { status, detail, .. } => match detail {
            Some(detail) => format!("it was refused: {detail} ({status})"),
            None => format!("it was refused ({status})"),
        },
    }
}

fn request(progress: &Progress) -> Option<i64> {
    match progress {
        Progress::Done { request, .. }
        | Progress::Bad {
            why: WhyNot::BadToken { request, .. } | WhyNot::Refused { request, .. },
            ..
        } => Some(*request),
        Progress::Todo | Progress::Now | Progress::Bad { why: WhyNot::Stranger(_), .. } => None,
    }
}
