//! `/settings/licences`: what the relay is made of, and under which licences.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::console::Console;
use crate::console::page::{Content, Page, Section};
use crate::console::viewer::Viewer;

/// A line for each crate: name and version, a tab, its licence. `tests/licences.rs` holds it to what
/// is built.
const LIST: &str = include_str!("../../licences.txt");

#[derive(Serialize)]
pub(super) struct Licences {
    /// What, and its licence.
    crates: Vec<(&'static str, &'static str)>,
}

impl Content for Licences {
    const TEMPLATE: &'static str = "settings-licences.html";
}

impl Licences {
    pub(super) fn new() -> Self {
        Self { crates: LIST.lines().filter_map(|line| line.split_once('\t')).collect() }
    }
}

pub(super) async fn show(viewer: Viewer, State(console): State<Console>) -> Response {
    console.page(&Page::new(&viewer, Section::Settings, "Licences", &Licences::new()))
}
