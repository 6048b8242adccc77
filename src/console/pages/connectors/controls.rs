//! What a person does to a connector as a whole: test, stop, let go on, deliver everybody anew,
//! forget. Whatever has consequences is confirmed on a page of its own.

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};

use super::{address, own};
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Mistake, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::ConnectorView;
use crate::store::State as Waits;

/// Of a reason.
pub(super) const LONGEST: usize = 500;

/// A page that asks before something is done.
#[derive(Serialize)]
pub(super) struct Confirm {
    connector: String,
    what: What,
    /// How much there is of it.
    #[serde(flatten)]
    sizes: Sizes,
    /// What was typed, if it was not right.
    typed: String,
    longest: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    Pause,
    Resync,
    Forget,
}

#[derive(Serialize)]
pub(super) struct Sizes {
    pub(super) people: u64,
    pub(super) groups: u64,
    /// Entries that it delivered.
    pub(super) holds: u64,
    pub(super) waiting: u64,
    pub(super) can_be_compared: bool,
}

impl Content for Confirm {
    const TEMPLATE: &'static str = "connector-confirm.html";
}

impl Confirm {
    pub(super) fn new(name: &str, what: What, sizes: Sizes, typed: impl Into<String>) -> Self {
        Self { connector: name.to_owned(), what, sizes, typed: typed.into(), longest: LONGEST }
    }
}

impl What {
    fn title(self, name: &str) -> String {
        match self {
            Self::Pause => format!("Pause {name}?"),
            Self::Resync => format!("Deliver everybody to {name} anew?"),
            Self::Forget => format!("Forget {name}?"),
        }
    }
}

async fn ask(
    console: &Console,
    viewer: &Viewer,
    name: &str,
    what: What,
    typed: String,
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    let view = console.operator.connector_within(name, viewer.rights.reach()).await?;
    let (people, groups) = console.operator.everybody_at(name).await?;
    let sizes = Sizes {
        people,
        groups,
        holds: view.status.holds,
        waiting: all(&view),
        can_be_compared: view.can_be_compared,
    };
    let content = Confirm::new(name, what, sizes, typed);
    let page = Page::new(viewer, Section::Connectors, what.title(name), &content);
    Ok(console.page(&page.mistakes(mistakes)))
}

/// What is in its queue, whenever it is due.
fn all(view: &ConnectorView) -> u64 {
    Waits::ALL.iter().map(|state| view.status.backlog.of(*state)).sum()
}

fn back(name: &str) -> Response {
    Redirect::to(&address(name)).into_response()
}

pub(super) async fn test(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    let tested = console.operator.test_connector(&viewer.actor, &name).await?;
    let notice = if tested.answered {
        Notice::done(format!("{name} answered: {}", tested.said))
    } else {
        Notice::failed(format!("The test of {name} failed: {}", tested.said))
    };
    console.tell(&viewer, notice);
    Ok(back(&name))
}

pub(super) async fn ask_pause(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    ask(&console, &viewer, &name, What::Pause, String::new(), Vec::new()).await
}

#[derive(Deserialize)]
pub(super) struct Pause {
    #[serde(default)]
    reason: String,
}

pub(super) async fn pause(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
    Form(Pause { reason }): Form<Pause>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    if let Some(mistake) = mistaken(&reason) {
        return ask(&console, &viewer, &name, What::Pause, reason, vec![mistake]).await;
    }
    let why = Some(reason.trim().to_owned());
    let pausing = console.operator.pause_connector(&viewer.actor, &name, why).await?;
    console.tell(
        &viewer,
        if pausing.changed {
            Notice::done(format!("{name} is paused. Changes are kept for it."))
        } else {
            Notice::but(format!("{name} was paused already; its first reason stays."))
        },
    );
    Ok(back(&name))
}

/// What is wrong with a reason.
pub(super) fn mistaken(reason: &str) -> Option<Mistake> {
    let text = match reason.trim().chars().count() {
        0 => "Say why: others will ask".to_owned(),
        1..=LONGEST => return None,
        _ => format!("Say it in at most {LONGEST} letters"),
    };
    Some(Mistake { field: "reason", text })
}

pub(super) async fn resume(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    let pausing = console.operator.resume_connector(&viewer.actor, &name).await?;
    console.tell(
        &viewer,
        Notice::done(if pausing.changed {
            format!("{name} goes on, with what was kept for it.")
        } else {
            format!("{name} is tried now.")
        }),
    );
    Ok(back(&name))
}

pub(super) async fn ask_resync(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    ask(&console, &viewer, &name, What::Resync, String::new(), Vec::new()).await
}

pub(super) async fn resync(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    console.operator.resync(&viewer.actor, &name, None, None).await?;
    console.tell(
        &viewer,
        Notice::done(format!("Everybody is being put in {name}'s queue, behind what is fresh.")),
    );
    Ok(back(&name))
}

pub(super) async fn ask_forget(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    let view = console.operator.connector_within(&name, viewer.rights.reach()).await?;
    if view.status.state != "disabled" {
        return Err(Trouble::Invalid(format!(
            "{name} is running. Remove its file or write `enabled = false` in it, reload the service, \
             and then it can be forgotten."
        )));
    }
    ask(&console, &viewer, &name, What::Forget, String::new(), Vec::new()).await
}

#[derive(Deserialize)]
pub(super) struct Forget {
    #[serde(default)]
    name: String,
}

pub(super) async fn forget(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
    Form(form): Form<Forget>,
) -> Result<Response, Trouble> {
    own(&console, &viewer, &name)?;
    if form.name.trim() != name {
        let text = format!("Type {name}, letter by letter");
        let typed = form.name.chars().take(LONGEST).collect();
        let mistakes = vec![Mistake { field: "name", text }];
        return ask(&console, &viewer, &name, What::Forget, typed, mistakes).await;
    }
    console.operator.forget_connector(&viewer.actor, &name).await?;
    console.tell(&viewer, Notice::done(format!("{name} is forgotten.")));
    Ok(Redirect::to("/connectors").into_response())
}
