//! Integrations: where an organization's provider finds its address and its token, how it is set up,
//! and whether it works.

mod guides;
mod one;
mod self_test;
mod tokens;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::console::addresses::with_query;
use crate::console::live::{self, Updates};
use crate::console::page::{Content, Page, Section};
use crate::console::reader::Language;
use crate::console::trouble::Trouble;
use crate::console::viewer::{Viewer, needs};
use crate::operator::{Integration, Right};

use one::One;
use self_test::Test;

pub(super) fn routes() -> Router<Console> {
    let token = "/organizations/{organization}/tokens/{id}";
    let routes = Router::new()
        .route("/integrations", get(look))
        .route("/organizations/{organization}/tokens/new", get(tokens::new).post(tokens::create))
        .route(&format!("{token}/rotate"), get(tokens::ask_rotate).post(tokens::rotate))
        .route(&format!("{token}/revoke"), get(tokens::ask_revoke).post(tokens::revoke));
    needs(Right::Tokens, routes)
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    org: Option<String>,
    /// Of the guides.
    lang: Option<String>,
    /// From when on the self-test looks; `now` becomes the time.
    since: Option<String>,
}

/// Where the page of an organization is.
fn address(organization: &str) -> String {
    with_query("/integrations", &[("org", organization)])
}

async fn look(
    viewer: Viewer,
    State(console): State<Console>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let mut mine = console.operator.integrations(viewer.rights.reach()).await?;
    let several = mine.len() > 1;
    let chosen = asked.org.as_deref().filter(|org| !org.is_empty());
    let Some(organization) = chosen.map(str::to_owned).or_else(|| only(&mine)) else {
        let all = All { rows: mine.iter().map(Row::new).collect() };
        return Ok(console.page(&Page::new(&viewer, Section::Integrations, "Integrations", &all)));
    };
    let place = mine.iter().position(|one| one.key == organization).ok_or(Trouble::NotFound)?;
    let integration = mine.swap_remove(place);
    let since = match asked.since.as_deref() {
        None | Some("") => None,
        Some("now") => {
            let to = format!("{}&since={:.0}#self-test", address(&organization), viewer.reader.now);
            return Ok(Redirect::to(&to).into_response());
        }
        Some(text) => Some(moment(text)?),
    };
    let wanted = asked.lang.as_deref().and_then(Language::parse);
    let calls = console.operator.calls(&organization).await?;
    let reachability = console.operator.reachability();
    let one = One::new(&viewer, several, integration, &calls, reachability, since, wanted);
    let title = format!("Integrations, {}", one.name());
    let since = since.map(|since| format!("{since:.0}")).unwrap_or_default();
    let watched = [("page", "integrations"), ("org", &organization), ("since", &since)];
    let page = Page::new(&viewer, Section::Integrations, title, &one);
    Ok(console.page(&page.of(Some(&organization)).live(with_query("/events", &watched))))
}

/// What the self-test of an organization says now.
pub(in crate::console) async fn live(
    console: &Console,
    viewer: &Viewer,
    at: &Uri,
) -> Result<Updates, Trouble> {
    let Asked { org, since, .. } = live::asked(at)?;
    let organization = org.ok_or(Trouble::NotFound)?;
    let since = since.as_deref().map(moment).transpose()?;
    let tokens = console.operator.list_tokens(&organization).await?;
    let calls = console.operator.calls(&organization).await?;
    Ok(Updates::from(&Test::new(&viewer.reader, &organization, &calls, &tokens, since)))
}

fn only(mine: &[Integration]) -> Option<String> {
    match mine {
        [one] => Some(one.key.clone()),
        _ => None,
    }
}

fn moment(text: &str) -> Result<Timestamp, Trouble> {
    text.parse()
        .map_err(|_| Trouble::Invalid("the address names no time after `since=`".to_owned()))
}

/// All organizations that the viewer has, if there are several or none.
#[derive(Debug, Serialize)]
struct All {
    rows: Vec<Row>,
}

impl Content for All {
    const TEMPLATE: &'static str = "integrations.html";
}

#[derive(Debug, Serialize)]
struct Row {
    key: String,
    name: String,
    endpoint: String,
    tokens: usize,
    last_used: Option<Timestamp>,
}

impl Row {
    fn new(one: &Integration) -> Self {
        Self {
            key: one.key.clone(),
            name: one.name.clone(),
            endpoint: one.endpoint.clone(),
            tokens: one.tokens.iter().filter(|token| token.is_active()).count(),
            last_used: one.tokens.iter().filter_map(|token| token.last_used).max(),
        }
    }
}

#[cfg(test)]
mod tests;
