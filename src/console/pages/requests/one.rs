//! One request and its answer, as they are kept: what was secret is not there.

use axum::extract::{Path, State};
use axum::response::Response;
use jiff::Timestamp;
use scim_relay_sdk::scim::{Quirk, ResourceId, ResourceKind};
use serde::Serialize;
use serde_json::Value;

use super::words;
use crate::console::Console;
use crate::console::addresses;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::store::RequestRow;

#[derive(Serialize)]
pub(super) struct One {
    pub(super) list: String,
    pub(super) what: String,
    pub(super) status: u16,
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) ended: &'static str,
    /// What a refusal means, and in the answer's own words.
    pub(super) means: Option<&'static str>,
    pub(super) detail: Option<String>,
    pub(super) scim_type: Option<String>,
    /// Whom it was about.
    pub(super) person: Option<String>,
    pub(super) name: Option<String>,
    /// What was put up with.
    pub(super) deviations: Vec<String>,
    pub(super) id: i64,
    pub(super) at: Timestamp,
    pub(super) milliseconds: f64,
    pub(super) token: String,
    pub(super) token_name: String,
    pub(super) user_agent: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) line: String,
    pub(super) request: Body,
    pub(super) answer: Body,
}

#[derive(Serialize)]
pub(super) struct Body {
    /// None: there was none, or none that could be read.
    pub(super) text: Option<String>,
    pub(super) length: u64,
    pub(super) cut: bool,
}

impl Content for One {
    const TEMPLATE: &'static str = "request.html";
}

pub(super) async fn page(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, id)): Path<(String, i64)>,
) -> Result<Response, Trouble> {
    let row = console.operator.request(&viewer.actor, &organization, id).await?;
    let one = One::new(&organization, row);
    let page = Page::new(&viewer, Section::Requests, one.what.clone(), &one);
    Ok(console.page(&page.of(Some(&organization))))
}

impl One {
    pub(super) fn new(organization: &str, row: RequestRow) -> Self {
        let (tone, icon, ended) = words::ended(row.status);
        let deviations = row.quirks.iter().map(|word| deviation(word)).collect();
        Self {
            list: addresses::with_query("/requests", &[("org", organization)]),
            what: words::what(&row),
            status: row.status,
            tone,
            icon,
            ended,
            means: words::means(row.status, row.scim_type.as_deref()),
            person: row.resource.as_deref().and_then(|text| person(organization, text)),
            deviations,
            id: row.id,
            at: row.at,
            milliseconds: row.milliseconds,
            line: format!("{} {}", row.method, row.path),
            request: Body::new(row.request.as_ref(), row.request_length, row.request_cut),
            answer: Body::new(row.answer.as_ref(), row.answer_length, row.answer_cut),
            name: row.name,
            detail: row.detail,
            scim_type: row.scim_type,
            token: row.token,
            token_name: row.token_name,
            user_agent: row.user_agent,
            peer: row.peer,
        }
    }
}

impl Body {
    fn new(json: Option<&Value>, length: u64, cut: bool) -> Self {
        let text = json.map(|json| serde_json::to_string_pretty(json).unwrap_or_default());
        Self { text, length, cut }
    }
}

/// `User/…` or `Group/…`.
fn person(organization: &str, text: &str) -> Option<String> {
    let (kind, id) = text.split_once('/')?;
    let kind = ResourceKind::ALL.into_iter().find(|known| known.name() == kind)?;
    Some(addresses::person(organization, kind, ResourceId::parse(id)?))
}

fn deviation(word: &str) -> String {
    let known = Quirk::ALL.into_iter().find(|quirk| quirk.word() == word);
    known.map_or_else(|| word.replace('_', " "), |quirk| quirk.sentence().to_owned())
}
