//! To skip, with a reason: a page that says what it means comes first, and what was done is in
//! the activity, a line for each.

use std::collections::BTreeMap;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::{Deserialize, Serialize};

use super::told::{Tried, told};
use super::{Which, back, called, picked as read};
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Mistake, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::words::{counted, number};
use crate::operator::{OperatorError, QueueConnector, QueueQuery};
use crate::store::{Entry, State as Of};

/// Names that are shown, at most.
const NAMES: usize = 100;
/// Of a reason.
const LONGEST: usize = 500;

/// The page that asks.
#[derive(Serialize)]
pub(super) struct Ask {
    pub(super) count: u64,
    /// How many of them are shown below at each connector.
    pub(super) connectors: Vec<At>,
    /// How many of those are held.
    pub(super) held: u64,
    pub(super) names: Vec<String>,
    pub(super) more: u64,
    /// What was ticked; none: all that match.
    pub(super) picks: Vec<String>,
    pub(super) which: Which,
    pub(super) back: String,
    pub(super) typed: Typed,
    pub(super) longest: usize,
}

#[derive(Serialize)]
pub(super) struct At {
    pub(super) name: String,
    pub(super) every_event: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Typed {
    #[serde(default)]
    pub(super) count: String,
    #[serde(default)]
    pub(super) reason: String,
}

impl Content for Ask {
    const TEMPLATE: &'static str = "queue-skip.html";
}

impl Ask {
    fn new(entries: &[Entry], connectors: &[QueueConnector], count: u64) -> Self {
        let mut at: BTreeMap<&str, bool> = BTreeMap::new();
        for entry in entries {
            let known = connectors.iter().find(|connector| connector.name == entry.connector);
            at.insert(&entry.connector, known.is_some_and(|connector| connector.every_event));
        }
        let connectors = at.into_iter();
        let shown = entries.iter().take(NAMES);
        Self {
            count,
            connectors: connectors
                .map(|(name, every_event)| At { name: name.to_owned(), every_event })
                .collect(),
            held: entries.iter().filter(|entry| entry.state == Of::Held).count() as u64,
            more: count.saturating_sub(shown.len() as u64),
            names: shown.map(called).collect(),
            picks: Vec::new(),
            which: Which::default(),
            back: String::new(),
            typed: Typed::default(),
            longest: LONGEST,
        }
    }

    fn title(&self) -> String {
        format!("Skip {}?", counted(self.count, "entry", "entries"))
    }

    fn draw(&self, console: &Console, viewer: &Viewer, mistakes: Vec<Mistake>) -> Response {
        let page = Page::new(viewer, Section::Queue, self.title(), self);
        console.page(&page.of(Some(&self.which.org)).mistakes(mistakes))
    }
}

/// What was ticked, and what was typed about it.
#[derive(Deserialize)]
pub(super) struct Ticked {
    #[serde(default)]
    pick: Vec<String>,
    #[serde(default)]
    back: String,
    #[serde(default)]
    reason: String,
}

/// A reason is there, and no longer than a sentence or two.
fn unreasoned(reason: &str) -> Option<Mistake> {
    let text = match reason.trim().chars().count() {
        0 => "Say why: it is kept in Activity, with each of them".to_owned(),
        long if long > LONGEST => format!("Say it in at most {LONGEST} characters"),
        _ => return None,
    };
    Some(Mistake { field: "reason", text })
}

pub(super) async fn ask_picked(
    viewer: Viewer,
    State(console): State<Console>,
    Form(ticked): Form<Ticked>,
) -> Result<Response, Trouble> {
    ask_about(&console, &viewer, ticked, Vec::new()).await
}

async fn ask_about(
    console: &Console,
    viewer: &Viewer,
    ticked: Ticked,
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    let Ticked { pick, back: to, reason } = ticked;
    let picks = pick.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    let (operator, reach) = (&console.operator, viewer.rights.reach());
    let entries = operator.queue_picked(reach, &picks).await?;
    if entries.is_empty() {
        let nothing = if picks.is_empty() {
            "Nothing was picked, so nothing was done."
        } else {
            "What was picked is in line by now, so there was nothing to skip."
        };
        console.tell(viewer, Notice::but(nothing));
        return Ok(Redirect::to(back(&to)).into_response());
    }
    let connectors = operator.queue_connectors(reach).await?;
    let ask = Ask {
        picks: pick,
        back: back(&to).to_owned(),
        typed: Typed { count: String::new(), reason },
        ..Ask::new(&entries, &connectors, entries.len() as u64)
    };
    Ok(ask.draw(console, viewer, mistakes))
}

pub(super) async fn picked(
    viewer: Viewer,
    State(console): State<Console>,
    Form(ticked): Form<Ticked>,
) -> Result<Response, Trouble> {
    if let Some(mistake) = unreasoned(&ticked.reason) {
        return ask_about(&console, &viewer, ticked, vec![mistake]).await;
    }
    let picks = ticked.pick.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    let (operator, reach) = (&console.operator, viewer.rights.reach());
    let entries = operator.queue_picked(reach, &picks).await?;
    let reason = ticked.reason.trim();
    let touched = operator.skip_picked(&viewer.actor, reach, &picks, reason).await?;
    console.tell(&viewer, told(Tried::Skipped, &picks, &entries, &touched));
    Ok(Redirect::to(back(&ticked.back)).into_response())
}

pub(super) async fn ask_all(
    viewer: Viewer,
    State(console): State<Console>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    let (ask, _) = all_that_match(&console, &viewer, which, Typed::default()).await?;
    Ok(ask.draw(&console, &viewer, Vec::new()))
}

async fn all_that_match(
    console: &Console,
    viewer: &Viewer,
    which: Which,
    typed: Typed,
) -> Result<(Ask, QueueQuery), Trouble> {
    let (operator, reach) = (&console.operator, viewer.rights.reach());
    let query = QueueQuery { limit: Some(NAMES), after: None, ..which.query()? };
    let entries = operator.queue_page(reach, &query).await?.entries;
    let count = operator.queue_total(reach, &query).await?;
    let connectors = operator.queue_connectors(reach).await?;
    let back = which.address();
    let ask = Ask { which, back, typed, ..Ask::new(&entries, &connectors, count) };
    Ok((ask, query))
}

/// All that match, and what was typed about them.
#[derive(Deserialize)]
pub(super) struct Sure {
    #[serde(default)]
    state: String,
    #[serde(default)]
    connector: String,
    #[serde(default)]
    org: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    count: String,
    #[serde(default)]
    reason: String,
}

pub(super) async fn all(
    viewer: Viewer,
    State(console): State<Console>,
    Form(sure): Form<Sure>,
) -> Result<Response, Trouble> {
    let Sure { state, connector, org, error, count, reason } = sure;
    let which = Which { state, connector, org, error, ..Which::default() };
    let typed = Typed { count, reason };
    let (ask, query) = all_that_match(&console, &viewer, which, typed).await?;
    let digits: String = ask.typed.count.chars().filter(char::is_ascii_digit).collect();
    let mut mistakes = Vec::new();
    if digits.parse() != Ok(ask.count) {
        let text = format!("Type {}: so many match now", number(ask.count));
        mistakes.push(Mistake { field: "count", text });
    }
    mistakes.extend(unreasoned(&ask.typed.reason));
    if !mistakes.is_empty() {
        return Ok(ask.draw(&console, &viewer, mistakes));
    }
    let (operator, reach) = (&console.operator, viewer.rights.reach());
    let reason = ask.typed.reason.trim();
    let notice = match operator.skip(&viewer.actor, reach, &query, reason).await {
        Ok(rows) => {
            Notice::done(format!("{} skipped.", counted(rows, "entry was", "entries were")))
        }
        Err(OperatorError::NotFound(_)) => {
            Notice::but("Nothing was skipped: nothing that matches waits any more.")
        }
        Err(error) => return Err(error.into()),
    };
    console.tell(&viewer, notice);
    Ok(Redirect::to(&ask.back).into_response())
}
