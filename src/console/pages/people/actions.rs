//! What can be done for one person or group: another try, a comparison, and a look at what would be
//! written.

use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use scim_relay_sdk::scim::ResourceKind;
use serde::{Deserialize, Serialize};

use super::address;
use super::person::trace;
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{Concern, OperatorError, QueueQuery, Subject, Trace};

/// Which connector; all of them, where none is named and that makes sense.
#[derive(Deserialize)]
pub(super) struct At {
    #[serde(default)]
    connector: String,
}

/// Those of a kind, as their addresses say it.
pub(super) fn kind(word: &str) -> Result<ResourceKind, Trouble> {
    match word {
        "people" => Ok(ResourceKind::User),
        "groups" => Ok(ResourceKind::Group),
        _ => Err(Trouble::NotFound),
    }
}

pub(super) async fn retry(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, word, id)): Path<(String, String, String)>,
    Form(at): Form<At>,
) -> Result<Response, Trouble> {
    let (kind, connector) = (kind(&word)?, at.connector);
    let trace = trace(&console, &viewer, &organization, kind, &id).await?;
    let query = QueueQuery {
        connector: Some(connector.clone()),
        resource: Some(format!("{kind}/{}", trace.id)),
        organization: Some(organization),
        ..QueueQuery::default()
    };
    let notice = match console.operator.retry(&viewer.actor, viewer.rights.reach(), &query).await {
        Ok(_) => Notice::done(format!("{connector} is asked again, right now.")),
        Err(OperatorError::NotFound(_)) => {
            Notice::but(format!("Nothing waits at {connector} any more."))
        }
        Err(error) => return Err(error.into()),
    };
    Ok(back(&console, &viewer, &trace, notice))
}

pub(super) async fn compare(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, word, id)): Path<(String, String, String)>,
    Form(at): Form<At>,
) -> Result<Response, Trouble> {
    let trace = trace(&console, &viewer, &organization, kind(&word)?, &id).await?;
    let served = trace.connectors.iter().filter(|stand| {
        matches!(stand.concern, Concern::InScope | Concern::OutOfScope(_))
            && (at.connector.is_empty() || at.connector == stand.connector)
    });
    let names: Vec<&str> = served.map(|stand| stand.connector.as_str()).collect();
    if names.is_empty() {
        return Err(Trouble::NotFound);
    }
    let named = trace.id.to_string();
    for name in &names {
        let subject = Some((trace.kind, named.as_str()));
        console.operator.resync(&viewer.actor, name, Some(&organization), subject).await?;
    }
    let notice =
        format!("Compared with {} and put right, as soon as it is their turn.", names.join(", "));
    Ok(back(&console, &viewer, &trace, Notice::done(notice)))
}

fn back(console: &Console, viewer: &Viewer, trace: &Trace, notice: Notice) -> Response {
    console.tell(viewer, notice);
    Redirect::to(&address(&trace.organization, trace.kind, trace.id)).into_response()
}

#[derive(Serialize)]
pub(super) struct Preview {
    address: String,
    called: String,
    connector: String,
    /// LDIF, HTTP requests, a mail; or why nothing would be written.
    text: String,
}

impl Content for Preview {
    const TEMPLATE: &'static str = "person-preview.html";
}

pub(super) async fn preview(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, word, id)): Path<(String, String, String)>,
    Query(at): Query<At>,
) -> Result<Response, Trouble> {
    let trace = trace(&console, &viewer, &organization, kind(&word)?, &id).await?;
    // One of those that have to do with them: what others are called is nobody's business.
    let stand = trace.connectors.iter().find(|stand| stand.connector == at.connector);
    let serves = stand
        .is_some_and(|stand| matches!(stand.concern, Concern::InScope | Concern::OutOfScope(_)));
    if !serves {
        return Err(Trouble::NotFound);
    }
    let subject = Subject {
        connector: at.connector.clone(),
        organization: Some(organization.clone()),
        kind: trace.kind,
        name: trace.id.to_string(),
    };
    let shown = console.operator.preview(&subject).await?;
    let text: Vec<String> = shown.into_iter().map(|one| one.text).collect();
    let content = Preview {
        address: address(&organization, trace.kind, trace.id),
        called: trace.called,
        connector: at.connector,
        text: text.join("\n"),
    };
    let title = format!("Preview of {}", content.called);
    Ok(console.page(&Page::new(&viewer, Section::People, title, &content).of(Some(&organization))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::page::sample;

    #[test]
    fn a_preview_shows_what_would_be_written_and_nothing_as_markup() {
        let html = sample::main_of(&Preview {
            address: "/organizations/lillevik/people/1".to_owned(),
            called: "Kari Nordli".to_owned(),
            connector: "directory".to_owned(),
            text: "dn: uid=kari\ncn: <script>".to_owned(),
        });
        assert!(html.contains("Nothing has been sent") && html.contains("cn: &lt;script&gt;"));
    }
}
