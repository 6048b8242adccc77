//! A connector's comparison: how far it is while it runs, what it found, and putting that right.

use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::Uri;
use serde::{Deserialize, Serialize};

use super::own;
use crate::console::Console;
use crate::console::live::{self, SAY, Update, Updates};
use crate::console::notices::Notice;
use crate::console::page::{Content, Mistake, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::words::{counted, number};
use crate::operator::{Compared, Running};
use crate::store::Run;

#[derive(Serialize)]
pub(super) struct Comparison {
    pub(super) connector: String,
    pub(super) running: Option<Progress>,
    pub(super) shown: Option<Compared>,
    pub(super) runs: Vec<Run>,
    pub(super) is_first: bool,
}

impl Content for Comparison {
    const TEMPLATE: &'static str = "comparison.html";
}

/// One that is under way, in words.
#[derive(Serialize)]
pub(super) struct Progress {
    pub(super) text: String,
    pub(super) percent: u64,
    #[serde(flatten)]
    pub(super) running: Running,
}

impl Progress {
    pub(super) fn new(running: Running) -> Self {
        let Running { seen, compared, of, .. } = &running;
        let text = if *compared == 0 {
            let entries = counted(*seen, "entry", "entries");
            format!("Read {entries} of about {}", number(*of))
        } else {
            let seen = counted(*seen, "entry", "entries");
            format!("Read {seen}, compared {} of about {}", number(*compared), number(*of))
        };
        Self { text, percent: running.percent(), running }
    }
}

pub(super) fn address(connector: &str) -> String {
    format!("/connectors/{connector}/comparison")
}

#[derive(Deserialize)]
pub(super) struct Which {
    run: Option<i64>,
    after: Option<i64>,
}

pub(super) async fn show(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    draw(&console, &viewer, &name, &which, Vec::new()).await
}

async fn draw(
    console: &Console,
    viewer: &Viewer,
    name: &str,
    which: &Which,
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    own(console, viewer, name)?;
    let operator = &console.operator;
    let running = operator.running_comparison(name).await?.map(Progress::new);
    let after = which.after.unwrap_or_default();
    let shown = operator.comparison(name, which.run, after).await?;
    let content = Comparison {
        connector: name.to_owned(),
        shown,
        runs: operator.comparisons(name).await?,
        is_first: after == 0,
        running,
    };
    let page = Page::new(viewer, Section::Connectors, format!("{name} compared"), &content);
    let page = if content.running.is_some() {
        page.live(format!("{}&connector={name}", live::address("comparison", None)))
    } else {
        page
    };
    Ok(console.page(&page.mistakes(mistakes)))
}

pub(super) async fn begin(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    console.operator.begin_comparison(&viewer.actor, &name)?;
    Ok(Redirect::to(&address(&name)).into_response())
}

/// `run`, and either `all` or some `pick`s.
pub(super) async fn put_right(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    let number_of = |text: &str| {
        text.parse::<i64>().map_err(|_| Trouble::Invalid(format!("`{text}` is no number")))
    };
    let all = |name: &str| -> Vec<&str> {
        let those = fields.iter().filter(|(field, _)| field == name);
        those.map(|(_, value)| value.as_str()).collect()
    };
    let run = number_of(all("run").first().copied().unwrap_or_default())?;
    let picks = all("pick").into_iter().map(number_of).collect::<Result<Vec<_>, _>>()?;
    let only = all("all").is_empty().then_some(picks.as_slice());
    if only.is_some_and(<[i64]>::is_empty) {
        let text = "Tick at least one of them, or put all right".to_owned();
        let which = Which { run: Some(run), after: None };
        let mistakes = vec![Mistake { field: "found", text }];
        return draw(&console, &viewer, &name, &which, mistakes).await;
    }
    let count = console.operator.put_right(&viewer.actor, &name, run, only).await?;
    let entries = counted(count, "entry is", "entries are");
    console.tell(
        &viewer,
        Notice::done(format!(
            "{entries} in the queue to be put right. What would be removed is held as always."
        )),
    );
    Ok(Redirect::to(&super::address(&name)).into_response())
}

#[derive(Deserialize)]
struct Watched {
    connector: String,
}

/// What the page says while a comparison runs.
pub(in crate::console) async fn live(
    console: &Console,
    viewer: &Viewer,
    at: &Uri,
) -> Result<Updates, Trouble> {
    let Watched { connector } = live::asked(at)?;
    own(console, viewer, &connector)?;
    let mut updates = Updates::new();
    if let Some(running) = console.operator.running_comparison(&connector).await? {
        let Progress { text, percent, .. } = Progress::new(running);
        updates.insert("cmp-text".to_owned(), Update::text(text));
        updates.insert("cmp-bar".to_owned(), Update::default().value(percent));
    } else {
        let text = "The comparison has come to its end.";
        updates.insert("cmp-text".to_owned(), Update::text(text));
        updates.insert("cmp-bar".to_owned(), Update::default().value(100));
        updates.insert(SAY.to_owned(), Update::text(text));
    }
    Ok(updates)
}
