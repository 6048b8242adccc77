//! The first page: whether provisioning works, what waits for a person, and how it was.

mod answer;
mod chart;
mod tasks;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::connectors::kind_name;
use crate::console::Console;
use crate::console::live::{self, SAY, Update, Updates};
use crate::console::page::{Content, Page, Section};
use crate::console::reader::Reader;
use crate::console::trouble::Trouble;
use crate::console::viewer::{Filter, Viewer};
use crate::operator::words::span;
use crate::operator::{self, ConnectorView, OrganizationStatus, Right};
use crate::store::Backlog;

use answer::Answer;
use chart::{Chart, Period, Spark, Strip};
use tasks::Task;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/", get(overview))
}

/// Rows of the organizations' table.
const MOST: usize = 50;

#[derive(Serialize)]
struct Overview {
    answer: Answer,
    tasks: Vec<Task>,
    /// Nobody was ever pushed: there is nothing to be drawn.
    is_empty: bool,
    is_month: bool,
    charts: [Chart; 2],
    marks: Vec<String>,
    figures: Figures,
    connectors: Vec<ConnectorLine>,
    organizations: Vec<OrganizationLine>,
    /// That are not among them.
    more: usize,
    /// Only one is seen, or chosen.
    chosen: Option<String>,
}

#[derive(Serialize)]
struct Figures {
    people: u64,
    groups: u64,
    delivered: u64,
    queue: u64,
    /// In words; none: nothing was delivered since the start, and nothing waits.
    delay: Option<String>,
    wait: Option<String>,
}

#[derive(Serialize)]
struct ConnectorLine {
    name: String,
    kind: String,
    state: String,
    strip: Strip,
    queue: u64,
    behind: String,
    person: String,
    /// What goes on by itself, and when.
    itself: Option<String>,
}

#[derive(Serialize)]
struct OrganizationLine {
    key: String,
    name: String,
    last_push: Option<Timestamp>,
    spark: Spark,
    people: u64,
    groups: u64,
    tokens: usize,
    /// That the first of its tokens ends that has no successor: `in 9 days`.
    ends: Option<String>,
}

impl Content for Overview {
    const TEMPLATE: &'static str = "overview.html";
}

/// What organizations are called.
struct Names<'a>(&'a [OrganizationStatus]);

impl Names<'_> {
    fn of<'a>(&'a self, key: &'a str) -> &'a str {
        let named = self.0.iter().find(|one| one.key == key);
        named.map_or(key, |one| &one.name)
    }
}

impl Overview {
    async fn of(
        console: &Console,
        viewer: &Viewer,
        org: Option<&str>,
        period: Period,
    ) -> Result<Self, Trouble> {
        let reader = &viewer.reader;
        let reach = viewer.rights.reach();
        let from = period.start(reader).min(Period::Day.start(reader));
        let all = console.operator.overview(reach, org, from).await?;
        Ok(Self::new(reader, &all, period))
    }

    fn new(reader: &Reader, all: &operator::Overview, period: Period) -> Self {
        let names = Names(&all.organizations);
        let slots = period.slots(reader, &all.past);
        let backlog = |view: &ConnectorView| {
            let Backlog { parked, held, .. } = view.status.backlog;
            view.status.backlog.open() + parked + held
        };
        let queue = all.connectors.iter().map(backlog).sum();
        let oldest = all.connectors.iter().filter_map(|view| view.status.oldest).min();
        let figures = Figures {
            people: all.organizations.iter().map(|one| one.users).sum(),
            groups: all.organizations.iter().map(|one| one.groups).sum(),
            delivered: chart::today(reader, &all.past),
            queue,
            delay: all.typical_delay.and_then(typical),
            wait: oldest.and_then(|oldest| span(reader.now.duration_since(oldest))),
        };
        let connectors = all.connectors.iter().map(|view| {
            let day = all.connector_days.get(&view.status.name);
            ConnectorLine::new(reader, view, day.map_or(&[], Vec::as_slice), backlog(view))
        });
        let organizations = all.organizations.iter().take(MOST).map(|one| {
            let day = all.days.get(&one.key);
            OrganizationLine::new(reader, one, day.map_or(&[], Vec::as_slice))
        });
        Self {
            answer: Answer::new(reader, all),
            tasks: all.matters.iter().filter_map(|one| tasks::task(reader, &names, one)).collect(),
            is_empty: figures.people == 0 && figures.groups == 0,
            is_month: period == Period::Month,
            charts: [
                chart::changes(period, reader, &slots),
                chart::backlog(period, reader, &slots, queue),
            ],
            marks: period.marks(reader),
            connectors: connectors.collect(),
            organizations: organizations.collect(),
            more: all.organizations.len().saturating_sub(MOST),
            chosen: match all.organizations.as_slice() {
                [one] => Some(one.key.clone()),
                _ => None,
            },
            figures,
        }
    }

    /// Of what a text cannot say: pills, and what waits for a person.
    fn looks(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.answer.tone.hash(&mut hasher);
        for Task { title, href, .. } in &self.tasks {
            (title, href).hash(&mut hasher);
        }
        for connector in &self.connectors {
            (&connector.name, &connector.state).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn texts(&self, reader: &Reader) -> Updates {
        let number = |count: u64| reader.number(i64::try_from(count).unwrap_or(i64::MAX));
        let Figures { people, groups, delivered, queue, delay, wait } = &self.figures;
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
        let mut texts = vec![
            ("answer".to_owned(), self.answer.heading.clone()),
            (SAY.to_owned(), self.answer.heading.clone()),
            ("lead".to_owned(), self.answer.lead.clone()),
            ("n-people".to_owned(), number(*people)),
            ("n-groups".to_owned(), number(*groups)),
            ("n-delivered".to_owned(), number(*delivered)),
            ("n-q".to_owned(), number(*queue)),
            ("n-delay".to_owned(), or_dash(delay)),
            ("n-wait".to_owned(), or_dash(wait)),
        ];
        for ConnectorLine { name, queue, behind, person, .. } in &self.connectors {
            texts.push((format!("q-{name}"), number(*queue)));
            texts.push((format!("behind-{name}"), behind.clone()));
            texts.push((format!("person-{name}"), person.clone()));
        }
        texts.into_iter().map(|(id, text)| (id, Update::text(text))).collect()
    }
}

impl ConnectorLine {
    fn new(
        reader: &Reader,
        view: &ConnectorView,
        day: &[(crate::store::Quarter, crate::store::ConnectorPast)],
        queue: u64,
    ) -> Self {
        let status = &view.status;
        let number = |count: u64| reader.number(i64::try_from(count).unwrap_or(i64::MAX));
        let oldest = status.oldest.filter(|_| status.backlog.open() > 0);
        let waits = [(status.backlog.parked, "parked"), (status.backlog.held, "held")];
        let waits = waits.into_iter().filter(|(count, _)| *count > 0);
        let waits: Vec<String> =
            waits.map(|(count, word)| format!("{} {word}", number(count))).collect();
        Self {
            name: status.name.clone(),
            kind: kind_name(&status.kind).to_owned(),
            state: status.state.clone(),
            strip: chart::strip(reader, day),
            queue,
            behind: oldest
                .and_then(|oldest| span(reader.now.duration_since(oldest)))
                .unwrap_or_default(),
            person: waits.join(", "),
            itself: answer::itself(reader, view),
        }
    }
}

impl OrganizationLine {
    fn new(
        reader: &Reader,
        one: &OrganizationStatus,
        day: &[(crate::store::Quarter, crate::store::Past)],
    ) -> Self {
        Self {
            key: one.key.clone(),
            name: one.name.clone(),
            last_push: one.last_used,
            spark: chart::spark(reader, day),
            people: one.users,
            groups: one.groups,
            tokens: one.tokens,
            ends: one.ending.iter().map(|token| token.ends).min().map(|ends| reader.ago(ends)),
        }
    }
}

/// In tenths of a second, where it is short.
fn typical(seconds: f64) -> Option<String> {
    Some(match seconds {
        ..0.1 => "below 0.1 s".to_owned(),
        0.1..10.0 => format!("{seconds:.1} s"),
        _ => span(SignedDuration::try_from_secs_f64(seconds).ok()?)?,
    })
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    period: String,
    /// Of the page that lives, as it was drawn.
    #[serde(default)]
    looks: Option<u64>,
}

/// Whoever has people alone begins with them.
async fn overview(
    viewer: Viewer,
    State(console): State<Console>,
    Query(filter): Query<Filter>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    if !viewer.may(Right::Operate) {
        return Ok(Redirect::to("/people").into_response());
    }
    let org = filter.chosen();
    let period = if asked.period == "month" { Period::Month } else { Period::Day };
    let content = Overview::of(&console, &viewer, org, period).await?;
    let address = format!("{}&looks={}", live::address("overview", org), content.looks());
    let page = Page::new(&viewer, Section::Overview, "Overview", &content).of(org);
    Ok(console.page(&page.live(address)))
}

pub(in crate::console) async fn live(
    console: &Console,
    viewer: &Viewer,
    at: &Uri,
) -> Result<Updates, Trouble> {
    let (filter, asked): (Filter, Asked) = (live::asked(at)?, live::asked(at)?);
    let page = Overview::of(console, viewer, filter.chosen(), Period::Day).await?;
    let mut texts = page.texts(&viewer.reader);
    let is_other = asked.looks.is_some_and(|looks| looks != page.looks());
    let news = Update::default().state(if is_other { "new" } else { "none" });
    texts.insert("news".to_owned(), news);
    Ok(texts)
}
