//! One person, or group, with all that is known: the answer first, where each connector stands, what
//! happened, what the provider has. Each look is in the audit log.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use scim_relay_sdk::scim::{ResourceId, ResourceKind};
use serde::Serialize;

use super::address;
use super::list::{Asked, Line};
use super::stands::{self, Stand};
use super::story::{self, Day};
use super::verdict::{Subject, Verdict, verdict};
use crate::console::Console;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{Fact, PEOPLE, PeoplePage, Right, Trace, TraceQuery, Traceable, Traced};

#[derive(Serialize)]
pub(super) struct Person {
    /// What the forms post to.
    address: String,
    organization: String,
    organization_name: String,
    kind: ResourceKind,
    id: ResourceId,
    called: String,
    /// What they sign in with, where that is not their name.
    user_name: Option<String>,
    external_id: Option<String>,
    active: Option<bool>,
    created: Timestamp,
    modified: Timestamp,
    deleted: Option<Timestamp>,
    verdict: Verdict,
    is_well: bool,
    /// The connector that the verdict is about.
    pressing: Option<Stand>,
    stands: Vec<Stand>,
    in_line: usize,
    days: Vec<Day>,
    is_cut: bool,
    facts: Vec<Fact>,
    groups: Vec<Group>,
    more_groups: usize,
    namesakes: Vec<Namesake>,
    members: Option<Members>,
    may_retry: bool,
    may_approve: bool,
    may_operate: bool,
}

impl Content for Person {
    const TEMPLATE: &'static str = "person.html";
}

#[derive(Serialize)]
struct Group {
    href: String,
    name: String,
    direct: bool,
}

#[derive(Serialize)]
struct Namesake {
    href: String,
    #[serde(flatten)]
    one: Traceable,
}

/// Some of a group's.
#[derive(Serialize)]
pub(super) struct Members {
    all: usize,
    typed: String,
    state: String,
    lines: Vec<Line>,
    total: usize,
    more: bool,
    from: usize,
    to: usize,
    before: Option<String>,
    after: Option<String>,
}

pub(super) async fn person(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, id)): Path<(String, String)>,
) -> Result<Response, Trouble> {
    let trace = trace(&console, &viewer, &organization, ResourceKind::User, &id).await?;
    draw(&console, &viewer, trace, None)
}

pub(super) async fn group(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, id)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let trace = trace(&console, &viewer, &organization, ResourceKind::Group, &id).await?;
    let members = match trace.members {
        None => None,
        Some(all) => {
            let query = asked.query(PEOPLE);
            let page = console.operator.members(&organization, trace.id, &query).await?;
            let address = address(&organization, trace.kind, trace.id);
            Some(Members::new(all, &asked, page, &address))
        }
    };
    draw(&console, &viewer, trace, members)
}

/// The whole story, by id alone: names are looked for elsewhere.
pub(super) async fn trace(
    console: &Console,
    viewer: &Viewer,
    organization: &str,
    kind: ResourceKind,
    id: &str,
) -> Result<Trace, Trouble> {
    viewer.sees(organization)?;
    let id = ResourceId::parse(id).ok_or(Trouble::NotFound)?;
    let query = TraceQuery { kind, name: id.to_string() };
    match console.operator.trace(&viewer.actor, organization, &query).await? {
        Traced::Story(story) if story.id == id => Ok(*story),
        // Somebody whose name is this id.
        Traced::Story(_) | Traced::Several(_) => Err(Trouble::NotFound),
    }
}

fn draw(
    console: &Console,
    viewer: &Viewer,
    trace: Trace,
    members: Option<Members>,
) -> Result<Response, Trouble> {
    let all = console.operator.organizations();
    let named = all.into_iter().find(|(key, _)| *key == trace.organization);
    let (organization, name) = named.ok_or(Trouble::NotFound)?;
    let content = Person::new(viewer, trace, name, members);
    let page = Page::new(viewer, Section::People, content.called.as_str(), &content);
    Ok(console.page(&page.of(Some(&organization))))
}

impl Person {
    pub(super) fn new(
        viewer: &Viewer,
        trace: Trace,
        organization_name: String,
        members: Option<Members>,
    ) -> Self {
        let stands = stands::stands(&trace);
        let days = story::days(&trace, &viewer.reader);
        let Trace { organization, kind, id, name, called, .. } = trace;
        let called = if called.is_empty() { id.to_string() } else { called };
        let subject = Subject {
            name: &called,
            kind,
            is_deleted: trace.deleted.is_some(),
            may_approve: viewer.may(Right::Approve),
        };
        let verdict = verdict(&subject, &stands);
        let is_well = verdict.is_well();
        let group = |group: crate::operator::GroupOf| Group {
            href: address(&organization, ResourceKind::Group, group.id),
            name: group.name.unwrap_or_else(|| group.id.to_string()),
            direct: group.direct,
        };
        let namesake =
            |one: Traceable| Namesake { href: address(&organization, kind, one.id), one };
        Self {
            address: address(&organization, kind, id),
            organization_name,
            kind,
            id,
            user_name: (kind == ResourceKind::User && name != called).then_some(name),
            external_id: trace.external_id,
            active: trace.active,
            created: trace.created,
            modified: trace.modified,
            deleted: trace.deleted,
            pressing: stands.first().filter(|_| !is_well).cloned(),
            in_line: stands.iter().filter(|one| one.tone == "ok").count(),
            verdict,
            is_well,
            stands,
            days,
            is_cut: trace.more_changes || trace.more_requests,
            facts: trace.facts,
            groups: trace.groups.into_iter().map(group).collect(),
            more_groups: trace.more_groups,
            namesakes: trace.namesakes.into_iter().map(namesake).collect(),
            members,
            may_retry: viewer.may(Right::Retry),
            may_approve: viewer.may(Right::Approve),
            may_operate: viewer.may(Right::Operate),
            called,
            organization,
        }
    }
}

impl Members {
    pub(super) fn new(all: usize, asked: &Asked, page: PeoplePage, address: &str) -> Self {
        let PeoplePage { people, total, more } = page;
        let from = (asked.number() - 1) * PEOPLE;
        let to = from + people.len();
        Self {
            all,
            typed: asked.typed(),
            state: asked.state.clone(),
            from: from + 1,
            to,
            before: (asked.number() > 1).then(|| asked.at(address, asked.number() - 1)),
            after: (to < total).then(|| asked.at(address, asked.number() + 1)),
            lines: people.into_iter().map(Line::new).collect(),
            total,
            more,
        }
    }
}
