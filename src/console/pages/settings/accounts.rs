//! Accounts are made, changed and removed. What a form says of who it is about is in its address.

use axum::Router;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::Line;
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Mistake, Page, Section};
use crate::console::pages::welcome::sentence;
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{AccountLine, Link, NewAccountRequest, OperatorError, Role};

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/settings/accounts/new", get(empty).post(make))
        .route("/settings/accounts/{account}", get(show).post(change))
        .route("/settings/accounts/{account}/link", post(link))
        .route("/settings/accounts/{account}/off", post(switch_off))
        .route("/settings/accounts/{account}/on", post(switch_on))
        .route("/settings/accounts/{account}/remove", get(ask).post(remove))
}

/// What can be filled in.
#[derive(Serialize)]
pub(super) struct Filled {
    pub(super) email: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) organizations: Vec<String>,
}

impl Filled {
    /// From a form, which names each organization that is ticked.
    fn read(fields: Vec<(String, String)>) -> Result<Self, Trouble> {
        let mut filled = Self {
            email: String::new(),
            name: String::new(),
            role: Role::HelpDesk,
            organizations: Vec::new(),
        };
        for (name, value) in fields {
            match name.as_str() {
                "email" => filled.email = value,
                "name" => filled.name = value,
                "organization" => filled.organizations.push(value),
                "role" => {
                    filled.role = Role::parse(&value)
                        .ok_or_else(|| Trouble::Invalid(format!("`{value}` is no role")))?;
                }
                _ => {}
            }
        }
        Ok(filled)
    }
}

/// A choice of the form.
#[derive(Serialize)]
pub(super) struct Choice {
    pub(super) word: &'static str,
    pub(super) title: &'static str,
    pub(super) may: &'static str,
}

fn roles() -> Vec<Choice> {
    let may = |role| match role {
        Role::Administrator => "Everything, in every organization",
        Role::Owner => "Tokens, connectors and approvals of their organizations",
        Role::HelpDesk => "Looks at people, queue and requests, and may try again",
    };
    Role::ALL
        .map(|role| Choice { word: role.word(), title: role.title(), may: may(role) })
        .into_iter()
        .collect()
}

#[derive(Serialize)]
pub(super) struct AccountForm {
    /// The one that is changed; none: it is to be made.
    pub(super) of: Option<Line>,
    pub(super) filled: Filled,
    pub(super) roles: Vec<Choice>,
    /// Key and name.
    pub(super) organizations: Vec<(String, String)>,
}

impl Content for AccountForm {
    const TEMPLATE: &'static str = "settings-account.html";
}

impl AccountForm {
    pub(super) fn new(
        of: Option<AccountLine>,
        filled: Filled,
        organizations: Vec<(String, String)>,
    ) -> Self {
        Self { of: of.map(Line::new), filled, roles: roles(), organizations }
    }
}

fn form(
    console: &Console,
    viewer: &Viewer,
    of: Option<AccountLine>,
    filled: Filled,
    mistakes: Vec<Mistake>,
) -> Response {
    let title = of.as_ref().map_or_else(|| "Add an account".to_owned(), |of| of.email.clone());
    let page = AccountForm::new(of, filled, console.operator.organizations());
    console.page(&Page::new(viewer, Section::Settings, title, &page).mistakes(mistakes))
}

/// A one-time link, shown this once.
#[derive(Serialize)]
pub(super) struct LinkPage {
    pub(super) email: String,
    pub(super) link: Link,
}

impl Content for LinkPage {
    const TEMPLATE: &'static str = "settings-link.html";
}

fn shown(console: &Console, viewer: &Viewer, email: String, link: Link) -> Response {
    let page = LinkPage { email, link };
    console.page(&Page::new(viewer, Section::Settings, "Pass this link on", &page))
}

async fn find(console: &Console, id: i64) -> Result<AccountLine, Trouble> {
    let mut all = console.operator.accounts().await?.into_iter();
    all.find(|account| account.id.is_some_and(|known| known.0 == id)).ok_or(Trouble::NotFound)
}

async fn empty(viewer: Viewer, State(console): State<Console>) -> Result<Response, Trouble> {
    Ok(form(&console, &viewer, None, Filled::read(Vec::new())?, Vec::new()))
}

async fn make(
    viewer: Viewer,
    State(console): State<Console>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let filled = Filled::read(fields)?;
    let request = NewAccountRequest {
        email: filled.email.clone(),
        name: filled.name.clone(),
        role: filled.role,
        organizations: filled.organizations.clone(),
    };
    match console.operator.create_account(&viewer.actor, request, None).await {
        Ok(()) => {}
        Err(OperatorError::Invalid(why)) => {
            let mistakes = vec![Mistake { field: field(&why), text: sentence(&why) }];
            return Ok(form(&console, &viewer, None, filled, mistakes));
        }
        Err(error) => return Err(error.into()),
    }
    let link = console.operator.link_for_password(&viewer.actor, &filled.email).await?;
    Ok(shown(&console, &viewer, filled.email, link))
}

/// Which field a sentence is about.
fn field(why: &str) -> &'static str {
    if why.contains("organization") {
        "organizations"
    } else if why.contains("name has") {
        "name"
    } else {
        "email"
    }
}

async fn show(
    viewer: Viewer,
    State(console): State<Console>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let account = find(&console, id).await?;
    let filled = Filled {
        email: account.email.clone(),
        name: account.name.clone(),
        role: account.role,
        organizations: account.organizations.iter().flatten().map(ToString::to_string).collect(),
    };
    Ok(form(&console, &viewer, Some(account), filled, Vec::new()))
}

async fn change(
    viewer: Viewer,
    State(console): State<Console>,
    Path(id): Path<i64>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let (account, filled) = (find(&console, id).await?, Filled::read(fields)?);
    let email = account.email.clone();
    match changed(&console, &viewer, &account, &filled).await {
        Ok(()) => {}
        Err(OperatorError::Invalid(why)) => {
            let mistakes = vec![Mistake { field: field(&why), text: sentence(&why) }];
            return Ok(form(&console, &viewer, Some(account), filled, mistakes));
        }
        Err(error) => return Err(error.into()),
    }
    console.tell(&viewer, Notice::done(format!("{email} is changed.")));
    Ok(Redirect::to("/settings").into_response())
}

/// Only what differs, since a changed role ends their sessions.
async fn changed(
    console: &Console,
    viewer: &Viewer,
    account: &AccountLine,
    filled: &Filled,
) -> crate::operator::Result<()> {
    let email = &account.email;
    let own: Vec<&str> = account.organizations.iter().flatten().map(|key| &**key).collect();
    if account.role != filled.role || own != filled.organizations {
        let organizations = &filled.organizations;
        console.operator.change_role(&viewer.actor, email, filled.role, organizations).await?;
    }
    if account.name != filled.name {
        console.operator.rename_account(&viewer.actor, email, &filled.name).await?;
    }
    Ok(())
}

async fn link(
    viewer: Viewer,
    State(console): State<Console>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let email = find(&console, id).await?.email;
    let link = console.operator.link_for_password(&viewer.actor, &email).await?;
    Ok(shown(&console, &viewer, email, link))
}

async fn switch_off(
    viewer: Viewer,
    State(console): State<Console>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    switched(&console, &viewer, id, true).await
}

async fn switch_on(
    viewer: Viewer,
    State(console): State<Console>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    switched(&console, &viewer, id, false).await
}

async fn switched(
    console: &Console,
    viewer: &Viewer,
    id: i64,
    off: bool,
) -> Result<Response, Trouble> {
    let email = find(console, id).await?.email;
    console.operator.disable_account(&viewer.actor, &email, off).await?;
    let text = if off { "is switched off, and signed out everywhere" } else { "may sign in again" };
    console.tell(viewer, Notice::done(format!("{email} {text}.")));
    Ok(Redirect::to("/settings").into_response())
}

#[derive(Serialize)]
pub(super) struct RemovePage {
    pub(super) of: Line,
}

impl Content for RemovePage {
    const TEMPLATE: &'static str = "settings-remove.html";
}

async fn ask(
    viewer: Viewer,
    State(console): State<Console>,
    Path(id): Path<i64>,
) -> Result<Response, Trouble> {
    let account = find(&console, id).await?;
    let title = format!("Remove {}?", account.email);
    let page = RemovePage { of: Line::new(account) };
    Ok(console.page(&Page::new(&viewer, Section::Settings, title, &page)))
}

#[derive(Deserialize)]
struct Nothing {}

async fn remove(
    viewer: Viewer,
    State(console): State<Console>,
    Path(id): Path<i64>,
    Form(Nothing {}): Form<Nothing>,
) -> Result<Response, Trouble> {
    let email = find(&console, id).await?.email;
    console.operator.remove_account(&viewer.actor, &email).await?;
    console.tell(&viewer, Notice::done(format!("{email} is removed.")));
    Ok(Redirect::to("/settings").into_response())
}
