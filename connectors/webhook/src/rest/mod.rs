//! A foreign system's REST interface, kept in line by calls that the administrator writes down.

mod call;
mod template;

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use jiff::Timestamp;
use scim_relay_http::{Response, classify};
use scim_relay_sdk::connector::{
    Action, Connector, Delivered, DeliveryError, Gone, Health, HoldKind, Link, Preview, Problem,
    Reads, Semantics, Stage, View, Wanted, Work,
};
use scim_relay_sdk::scim::ResourceKind;
use serde::Deserialize;

use call::{Call, Rendered};

use crate::preview;
use crate::target::Target;

/// `[webhook.rest]`: the calls for people, and those for groups where the target has groups.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rest {
    create: Call,
    update: Option<Call>,
    delete: Call,
    deactivate: Option<Call>,
    groups: Option<GroupCalls>,
}

/// `[webhook.rest.groups]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupCalls {
    create: Call,
    update: Option<Call>,
    delete: Call,
    deactivate: Option<Call>,
}

/// The calls for one kind of resource.
#[derive(Clone, Copy)]
struct Calls<'a> {
    create: &'a Call,
    update: Option<&'a Call>,
    delete: &'a Call,
    deactivate: Option<&'a Call>,
}

impl Rest {
    fn calls(&self, kind: ResourceKind) -> Option<Calls<'_>> {
        match (kind, &self.groups) {
            (ResourceKind::User, _) => Some(Calls {
                create: &self.create,
                update: self.update.as_ref(),
                delete: &self.delete,
                deactivate: self.deactivate.as_ref(),
            }),
            (ResourceKind::Group, Some(groups)) => Some(Calls {
                create: &groups.create,
                update: groups.update.as_ref(),
                delete: &groups.delete,
                deactivate: groups.deactivate.as_ref(),
            }),
            (ResourceKind::Group, None) => None,
        }
    }

    /// Every call with its path below `rest`.
    pub(crate) fn all(&self) -> Vec<(String, &Call)> {
        let mut all = Vec::new();
        for (kind, prefix) in [(ResourceKind::User, ""), (ResourceKind::Group, "groups.")] {
            let Some(calls) = self.calls(kind) else { continue };
            let named = [
                ("create", Some(calls.create)),
                ("update", calls.update),
                ("delete", Some(calls.delete)),
                ("deactivate", calls.deactivate),
            ];
            let given = named.into_iter().filter_map(|(name, call)| Some((name, call?)));
            all.extend(given.map(|(name, call)| (format!("{prefix}{name}"), call)));
        }
        all
    }

    pub(crate) fn check(&self, several_organizations: bool) -> Vec<Problem> {
        let all = self.all().into_iter();
        let mut problems: Vec<_> = all
            .flat_map(|(path, call)| call.check(&format!("rest.{path}"), several_organizations))
            .collect();
        for (path, call) in self.all() {
            if call.reads_password() && !["create", "update"].contains(&path.as_str()) {
                problems.push(
                    Problem::new(format!("rest.{path}"), "there is no password for this call")
                        .help("a password comes with `create` and `update` of a person"),
                );
            }
        }
        problems
    }

    /// Whether a call passes people's passwords on.
    pub(crate) fn wants_password(&self) -> bool {
        self.all().iter().any(|(_, call)| call.reads_password())
    }
}

/// `[webhook.rest]`, ready to run.
pub(crate) struct RestConnector {
    pub(crate) rest: Arc<Rest>,
    pub(crate) target: Target,
}

/// What is to be done about a piece of work.
enum Plan<'a> {
    Nothing { why: &'static str, action: Action, link: Option<Link> },
    Send(Step<'a>),
}

/// A call, and what holds once it has succeeded.
struct Step<'a> {
    name: &'static str,
    call: &'a Call,
    rendered: Rendered,
    then: Then,
    action: Action,
}

/// What the target holds afterwards.
enum Then {
    /// The resource, as this hash says (of the `update` call, whichever call was made).
    Holds {
        hash: Option<String>,
        since: Timestamp,
    },
    Deactivated,
    Nothing,
}

#[async_trait]
impl Connector for RestConnector {
    fn semantics(&self) -> Semantics {
        Semantics::LatestState
    }

    fn reads(&self) -> Reads {
        Reads { groups: self.rest.all().iter().any(|(_, call)| call.reads_groups()) }
    }

    async fn deliver(&self, work: &Work) -> Result<Delivered, DeliveryError> {
        let step = match self.plan(work)? {
            Plan::Nothing { action, link, .. } => {
                return Ok(Delivered { link, revisit: None, action });
            }
            Plan::Send(step) => step,
        };
        permitted(work, &step)?;
        let response = self.target.send(step.rendered.request()).await?;
        if let Some(other) = self.instead(work, &step, response.status)? {
            let response = self.target.send(other.rendered.request()).await?;
            self.judge(work, &other, &response)?;
            return Ok(delivered(work, other));
        }
        self.judge(work, &step, &response)?;
        Ok(delivered(work, step))
    }

    async fn preview(&self, work: &Work) -> Result<Preview, DeliveryError> {
        // That there is a password may be seen, and nothing more of it.
        let mut work = work.clone();
        work.password = work.password.map(|_| "***".into());
        let text = match self.plan(&work)? {
            Plan::Nothing { why, .. } => format!("nothing: {why}\n"),
            Plan::Send(step) => {
                let mut request = step.rendered.request();
                self.target.headers.add_to(request.headers_mut());
                preview::request(&request)
            }
        };
        Ok(Preview { text })
    }

    /// Connects to each host and asks nothing: the configured calls all write.
    async fn probe(&self) -> Result<Health, DeliveryError> {
        let mut reached: Vec<(String, String)> = Vec::new();
        for (_, call) in self.rest.all() {
            let origin = call.base().origin();
            if reached.iter().all(|(seen, _)| *seen != origin) {
                let found = self.target.client.reach(call.base()).await?;
                reached.push((origin, found.to_string()));
            }
        }
        let reached: Vec<String> =
            reached.into_iter().map(|(origin, found)| format!("{origin} ({found})")).collect();
        Ok(Health {
            summary: format!(
                "connected to {}; no request was made, since every call here writes, so \
                 credentials and paths are untried",
                reached.join(" and ")
            ),
        })
    }
}

impl RestConnector {
    fn plan(&self, work: &Work) -> Result<Plan<'_>, DeliveryError> {
        let resource = work.wanted.resource();
        let nothing = |why, action| Ok(Plan::Nothing { why, action, link: work.link.clone() });
        let Some(calls) = self.rest.calls(work.key.kind) else {
            return nothing("there is no `[webhook.rest.groups]`", Action::Ignored);
        };
        let held = work.link.as_ref();
        let gone = match &work.wanted {
            Wanted::Present(_) => return present(calls, work),
            Wanted::Gone { .. } if held.is_none() && !work.in_doubt => {
                return nothing("the target holds nothing of it", Action::Unchanged);
            }
            Wanted::Gone { why, .. } => *why,
        };
        let view = View::of(resource);
        match (gone, calls.deactivate) {
            (Gone::OutOfScope, Some(call)) => {
                let done = held.is_some_and(|link| link.stage != Stage::Active);
                if done && !work.in_doubt {
                    return nothing("it is deactivated already", Action::Unchanged);
                }
                step("deactivate", call, &view, Then::Deactivated, Action::Deactivated)
            }
            _ => step("delete", calls.delete, &view, Then::Nothing, Action::Deleted),
        }
    }

    /// The other call, where the answer says that the target is not in the state we knew: an
    /// update of what somebody removed is a create, and a create whose first try was cut off, and
    /// of which the target now says that it is there, is an update.
    fn instead(
        &self,
        work: &Work,
        step: &Step<'_>,
        status: StatusCode,
    ) -> Result<Option<Step<'_>>, DeliveryError> {
        let calls = self.rest.calls(work.key.kind);
        let Some(Calls { create, update: Some(update), .. }) = calls else { return Ok(None) };
        if step.call.expects(status) == Some(true) {
            return Ok(None);
        }
        let (name, call, action) = match (step.name, status) {
            ("update", StatusCode::NOT_FOUND | StatusCode::GONE) => {
                ("create", create, Action::Created)
            }
            ("create", StatusCode::CONFLICT) if work.in_doubt => {
                ("update", update, Action::Updated)
            }
            _ => return Ok(None),
        };
        let view = view(work);
        let then = holds(update, work);
        Ok(Some(Step { name, call, rendered: render(name, call, &view)?, then, action }))
    }

    fn judge(
        &self,
        work: &Work,
        step: &Step<'_>,
        response: &Response,
    ) -> Result<(), DeliveryError> {
        let status = response.status;
        // Whoever is not there needs no removal.
        let removal = matches!(step.then, Then::Deactivated | Then::Nothing);
        if removal && matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            return Ok(());
        }
        match step.call.expects(status) {
            Some(true) => Ok(()),
            Some(false) if status.is_success() => Err(DeliveryError::refused(format!(
                "{} answered {status}, which is not among `expect` of the `{}` call",
                step.rendered, step.name
            ))),
            // What it says may repeat the password.
            _ if work.password.is_some() && step.call.reads_password() => {
                classify(&step.rendered.to_string(), response, "", work.now)
            }
            _ => self.target.judge(&step.rendered.to_string(), response, work.now),
        }
    }
}

/// A person with the password that came for them.
fn view(work: &Work) -> View {
    let view = View::of(work.wanted.resource());
    work.password.iter().fold(view, View::with_password)
}

fn present<'a>(calls: Calls<'a>, work: &Work) -> Result<Plan<'a>, DeliveryError> {
    let (name, update) = match calls.update {
        Some(update) => ("update", update),
        None => ("create", calls.create),
    };
    let then = holds(update, work);
    let view = &view(work);
    let Some(link) = &work.link else {
        return step("create", calls.create, view, then, Action::Created);
    };
    let brings_password = work.password.is_some() && update.reads_password();
    if let Then::Holds { hash: hash @ Some(_), .. } = &then
        && link.stage == Stage::Active
        && link.hash == *hash
        && !work.in_doubt
        && !brings_password
    {
        return Ok(Plan::Nothing {
            why: "the target holds it like this already",
            action: Action::Unchanged,
            link: work.link.clone(),
        });
    }
    step(name, update, view, then, Action::Updated)
}

/// The state after a create or an update. It is named by the `update` call in both cases, since
/// that is what the next look compares with.
///
/// Without a password: by a hash of one that is known but for it, it could be guessed.
fn holds(update: &Call, work: &Work) -> Then {
    let active = work.link.as_ref().filter(|link| link.stage == Stage::Active);
    Then::Holds {
        // A create may succeed where an update has a value missing; then nothing is known.
        hash: update.render(&View::of(work.wanted.resource())).ok().map(|rendered| rendered.hash()),
        since: active.map_or(work.now, |link| link.since),
    }
}

fn step<'a>(
    name: &'static str,
    call: &'a Call,
    view: &View,
    then: Then,
    action: Action,
) -> Result<Plan<'a>, DeliveryError> {
    Ok(Plan::Send(Step { name, call, rendered: render(name, call, view)?, then, action }))
}

fn render(name: &str, call: &Call, view: &View) -> Result<Rendered, DeliveryError> {
    call.render(view).map_err(|why| DeliveryError::refused(format!("in the `{name}` call, {why}")))
}

fn permitted(work: &Work, step: &Step<'_>) -> Result<(), DeliveryError> {
    if step.action.is_removal() && !work.permit.remove {
        let summary = format!("{} for {}", step.rendered, work.key);
        return Err(DeliveryError::hold(HoldKind::Removal, 1, summary));
    }
    Ok(())
}

fn delivered(work: &Work, step: Step<'_>) -> Delivered {
    let link = |hash, stage, since| Link {
        target_id: work.key.id.to_string(),
        address: step.rendered.address(),
        hash,
        stage,
        since,
    };
    let link = match step.then {
        Then::Holds { hash, since } => Some(link(hash, Stage::Active, since)),
        Then::Deactivated => Some(link(None, Stage::Deactivated, work.now)),
        Then::Nothing => None,
    };
    Delivered { link, revisit: None, action: step.action }
}
