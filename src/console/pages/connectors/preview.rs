//! What would be written for one person or group, as the target sees it. Nothing is sent.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use scim_relay_sdk::scim::ResourceKind;
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{OperatorError, Previewed, Subject};

/// Of a name or an id.
const LONGEST: usize = 256;

#[derive(Serialize)]
pub(super) struct Preview {
    pub(super) connector: String,
    /// Key and name of the organizations to choose from.
    pub(super) organizations: Vec<(String, String)>,
    pub(super) organization: String,
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// What would be written; none: nobody was named yet.
    pub(super) previews: Option<Vec<Previewed>>,
    /// Why there is nothing to be shown.
    pub(super) nothing: Option<String>,
    pub(super) longest: usize,
}

impl Content for Preview {
    const TEMPLATE: &'static str = "connector-preview.html";
}

/// `resource=User/…` by id or by name, as links have it, or `kind` and `name`, as the form has them.
#[derive(Deserialize)]
pub(super) struct Wish {
    org: Option<String>,
    resource: Option<String>,
    kind: Option<String>,
    name: Option<String>,
}

impl Wish {
    fn subject(&self) -> (ResourceKind, String) {
        let fields =
            (self.kind.as_deref().unwrap_or_default(), self.name.as_deref().unwrap_or_default());
        let link = self.resource.as_deref().and_then(|all| all.split_once('/'));
        let (kind, name) = link.unwrap_or(fields);
        let is_group = kind.eq_ignore_ascii_case("group");
        let kind = if is_group { ResourceKind::Group } else { ResourceKind::User };
        (kind, name.trim().to_owned())
    }
}

pub(super) async fn show(
    viewer: Viewer,
    State(console): State<Console>,
    Path(connector): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Response, Trouble> {
    let reach = viewer.rights.reach();
    let organizations = console.operator.served_by(&connector, reach)?;
    let (kind, name) = wish.subject();
    let organization = wish.org.filter(|key| !key.is_empty());
    if name.chars().count() > LONGEST {
        return Err(Trouble::Invalid(format!("no name is longer than {LONGEST} letters")));
    }
    let mut previews = None;
    let mut nothing = None;
    if !name.is_empty() {
        match look(&console, &connector, &organizations, organization.as_deref(), kind, &name).await
        {
            Ok(found) => previews = Some(found),
            Err(OperatorError::NotFound(_)) => {
                nothing = Some(format!("There is no {} `{name}` there.", kind.word()));
            }
            Err(OperatorError::Invalid(why) | OperatorError::Target(why)) => nothing = Some(why),
            Err(error @ OperatorError::Store(_)) => return Err(error.into()),
        }
    }
    let title = format!("What {connector} would get");
    let content = Preview {
        connector,
        organizations,
        organization: organization.unwrap_or_default(),
        kind: kind.name(),
        name,
        previews,
        nothing,
        longest: LONGEST,
    };
    Ok(console.page(&Page::new(&viewer, Section::Connectors, title, &content)))
}

/// In one organization after the other: whoever has some of them looks in no other.
async fn look(
    console: &Console,
    connector: &str,
    served: &[(String, String)],
    wanted: Option<&str>,
    kind: ResourceKind,
    name: &str,
) -> Result<Vec<Previewed>, OperatorError> {
    let mut found = Vec::new();
    for (key, _) in served.iter().filter(|(key, _)| wanted.is_none_or(|wanted| wanted == key)) {
        let subject = Subject {
            connector: connector.to_owned(),
            organization: Some(key.clone()),
            kind,
            name: name.to_owned(),
        };
        match console.operator.preview(&subject).await {
            Ok(previews) => found.extend(previews),
            Err(OperatorError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if found.is_empty() {
        return Err(OperatorError::NotFound(name.to_owned()));
    }
    Ok(found)
}
