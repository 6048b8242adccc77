//! One connector: how it does, what waits for a person, how it behaves, what its file says.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::words::{self, Line};
use crate::config::Piece;
use crate::console::Console;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{Behaviour, ConnectorView, Share, words::held};

#[derive(Serialize)]
pub(super) struct Connector {
    #[serde(flatten)]
    pub(super) view: ConnectorView,
    pub(super) kind_name: String,
    /// `31 removals`, for each kind of what waits for approval.
    pub(super) held_words: Vec<String>,
    pub(super) behaviour: Vec<Line>,
    pub(super) file: Option<String>,
    pub(super) text: Vec<Piece>,
}

impl Content for Connector {
    const TEMPLATE: &'static str = "connector.html";
}

impl Connector {
    pub(super) fn new(view: ConnectorView, behaviour: Option<Behaviour>) -> Self {
        let waiting = view.status.held.iter().filter(|kind| kind.held > 0);
        let held_words = waiting.map(|kind| held(&kind.kind, kind.count())).collect();
        let lines = behaviour.as_ref().map(|of| words::behaviour(of, view.can_be_compared));
        let (file, text) = behaviour.map(|of| (of.file, of.text)).unzip();
        Self {
            kind_name: words::kind(&view.status.kind).to_owned(),
            held_words,
            behaviour: lines.unwrap_or_default(),
            file,
            text: text.unwrap_or_default(),
            view,
        }
    }
}

pub(super) async fn show(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
) -> Result<Response, Trouble> {
    let view = console.operator.connector_within(&name, viewer.rights.reach()).await?;
    let behaviour =
        if view.share == Share::Whole { console.operator.behaviour(&name) } else { None };
    let content = Connector::new(view, behaviour);
    Ok(console.page(&Page::new(&viewer, Section::Connectors, &name, &content)))
}
