//! What a connector holds for a person's word: the list, and the page that asks before it is decided.

use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use scim_relay_sdk::connector::Leavers;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::controls::{LONGEST, mistaken};
use super::verdicts::{self, Consequence};
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Mistake, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::words::{self, counted, number};
use crate::operator::{Ballot, Choice, Counted, HeldQuery, HeldStatus, Obstacle, Picked};
use crate::store::{Held, HeldPlace};

/// Rows on a page.
const LISTED: usize = 100;
/// Names on the page that asks.
const NAMED: usize = 500;
/// Names in a sentence.
const FEW: usize = 5;

#[derive(Serialize)]
pub(super) struct List {
    pub(super) connector: String,
    pub(super) held: Vec<Held>,
    /// How many there are in all, of the viewer's organizations.
    pub(super) total: u64,
    /// How many of each kind; nothing where that is not counted.
    pub(super) kinds: Vec<Kind>,
    pub(super) kind: String,
    pub(super) org: String,
    /// Where the next page begins.
    pub(super) next: Option<String>,
    pub(super) is_first: bool,
}

#[derive(Serialize)]
pub(super) struct Kind {
    pub(super) word: String,
    pub(super) text: String,
}

impl Content for List {
    const TEMPLATE: &'static str = "held.html";
}

impl Kind {
    fn all(of: &[HeldStatus]) -> Vec<Self> {
        let waiting: Vec<_> = of.iter().filter(|kind| kind.held > 0).collect();
        if waiting.len() < 2 {
            return Vec::new();
        }
        let kind = |kind: &HeldStatus| Self {
            word: kind.kind.clone(),
            text: words::held(&kind.kind, kind.held),
        };
        waiting.into_iter().map(kind).collect()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    org: String,
    #[serde(default)]
    after: String,
}

impl Wish {
    fn query(&self, connector: &str) -> Result<HeldQuery, Trouble> {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let after = some(&self.after).map(|after| after.parse::<HeldPlace>());
        Ok(HeldQuery {
            connector: Some(connector.to_owned()),
            kind: some(&self.kind),
            organization: some(&self.org),
            after: after.transpose().map_err(|why| Trouble::Invalid(why.to_owned()))?,
        })
    }
}

pub(super) fn address(connector: &str) -> String {
    format!("/connectors/{connector}/held")
}

pub(super) async fn list(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
    Query(wish): Query<Wish>,
) -> Result<Response, Trouble> {
    draw(&console, &viewer, &name, wish, Vec::new()).await
}

async fn draw(
    console: &Console,
    viewer: &Viewer,
    name: &str,
    wish: Wish,
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    let reach = viewer.rights.reach();
    let view = console.operator.connector_within(name, reach).await?;
    let page = console.operator.held_up_to(reach, &wish.query(name)?, LISTED).await?;
    let content = List {
        connector: name.to_owned(),
        held: page.held,
        total: view.status.backlog.held,
        kinds: Kind::all(&view.status.held),
        kind: wish.kind,
        next: page.next.map(|next| next.to_string()),
        is_first: wish.after.is_empty(),
        org: wish.org.clone(),
    };
    let title = format!("What waits at {name}");
    let page = Page::new(viewer, Section::Connectors, title, &content).of(Some(&wish.org));
    Ok(console.page(&page.mistakes(mistakes)))
}

/// Takes down what was picked, and leads to the page that asks.
pub(super) async fn pick(
    viewer: Viewer,
    State(console): State<Console>,
    Path(name): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Trouble> {
    let value = |name: &str| {
        let mut all = fields.iter().filter(|(field, _)| field == name);
        all.next().map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let wish = Wish { kind: value("kind"), org: value("org"), after: value("after") };
    if !wish.org.is_empty() {
        viewer.sees(&wish.org)?;
    }
    let reach = viewer.rights.reach();
    console.operator.share_of_connector(&name, reach)?;
    let picks = fields.iter().filter(|(field, _)| field == "pick");
    let choice = if value("all").is_empty() {
        Choice::Some(picks.map(|(_, value)| picked(value)).collect::<Result<_, _>>()?)
    } else {
        Choice::All
    };
    if matches!(&choice, Choice::Some(picks) if picks.is_empty()) {
        let text = "Tick at least one of them, or decide about all".to_owned();
        let mistakes = vec![Mistake { field: "held", text }];
        return draw(&console, &viewer, &name, wish, mistakes).await;
    }
    // The page that was looked at does not narrow what was picked on it.
    let query = HeldQuery { after: None, ..wish.query(&name)? };
    let ballot = console.operator.make_ballot(&viewer.actor, reach, &query, &choice).await?;
    let decision = if value("decision") == "reject" { "?reject=1" } else { "" };
    Ok(Redirect::to(&format!("{}/{ballot}{decision}", address(&name))).into_response())
}

/// `lillevik/User/…/12`: whose, which, and as of which mark.
fn picked(text: &str) -> Result<Picked, Trouble> {
    let parts: Vec<&str> = text.split('/').collect();
    let [organization, kind, id, mark] = parts[..] else { return Err(no_row(text)) };
    Ok(Picked {
        resource: format!("{kind}/{id}"),
        organization: Some(organization.to_owned()),
        mark: Some(mark.parse().map_err(|_| no_row(text))?),
    })
}

fn no_row(text: &str) -> Trouble {
    Trouble::Invalid(format!("`{text}` is no row of that list"))
}

/// The page that asks.
#[derive(Serialize)]
pub(super) struct Ask {
    pub(super) connector: String,
    pub(super) ballot: String,
    pub(super) reject: bool,
    pub(super) count: usize,
    /// Names and groups, the first of them.
    pub(super) names: Vec<String>,
    pub(super) changed: usize,
    pub(super) more: bool,
    pub(super) consequences: Vec<Consequence>,
    pub(super) danger: bool,
    /// What was typed, if something was not right.
    pub(super) typed: String,
    pub(super) reason: String,
    pub(super) longest: usize,
}

impl Content for Ask {
    const TEMPLATE: &'static str = "held-decide.html";
}

impl Ask {
    pub(super) fn new(id: Uuid, ballot: &Ballot, leavers: &Leavers, reject: bool) -> Self {
        let Ballot { connector, held, changed, more } = ballot;
        let name = |held: &Held| match held.members {
            Some(members) => format!("{} ({})", held.name, counted(members, "member", "members")),
            None => held.name.clone(),
        };
        Self {
            connector: connector.clone(),
            ballot: id.to_string(),
            reject,
            count: held.len(),
            names: held.iter().take(NAMED).map(name).collect(),
            changed: *changed,
            more: *more,
            consequences: if reject {
                Vec::new()
            } else {
                verdicts::consequences(held, leavers, connector)
            },
            danger: !reject && verdicts::is_danger(held),
            typed: String::new(),
            reason: String::new(),
            longest: LONGEST,
        }
    }
}

fn title(ballot: &Ballot, reject: bool) -> String {
    let Ballot { connector, held, .. } = ballot;
    if reject {
        let changes = counted(held.len() as u64, "change", "changes");
        format!("Reject {changes} at {connector}?")
    } else {
        verdicts::question(held, connector)
    }
}

#[derive(Deserialize)]
pub(super) struct Which {
    reject: Option<String>,
}

pub(super) async fn ask(
    viewer: Viewer,
    State(console): State<Console>,
    Path((name, ballot)): Path<(String, Uuid)>,
    Query(which): Query<Which>,
) -> Result<Response, Trouble> {
    let reject = which.reject.is_some();
    ask_again(&console, &viewer, &name, ballot, |ask| ask.reject = reject, Vec::new())
}

fn ask_again(
    console: &Console,
    viewer: &Viewer,
    name: &str,
    id: Uuid,
    fill: impl FnOnce(&mut Ask),
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    console.operator.share_of_connector(name, viewer.rights.reach())?;
    let ballot = console.operator.ballot(&viewer.actor, id).filter(|one| one.connector == name);
    let Some(ballot) = ballot.filter(|ballot| !ballot.held.is_empty()) else {
        return Ok(gone(console, viewer, name));
    };
    let leavers = console.operator.behaviour(name).map_or(Leavers::Told, |of| of.leavers);
    let mut blank = Ask::new(id, &ballot, &leavers, false);
    fill(&mut blank);
    let Ask { reject, typed, reason, .. } = blank;
    let content = Ask { typed, reason, ..Ask::new(id, &ballot, &leavers, reject) };
    let page = Page::new(viewer, Section::Connectors, title(&ballot, reject), &content);
    Ok(console.page(&page.mistakes(mistakes)))
}

fn gone(console: &Console, viewer: &Viewer, name: &str) -> Response {
    console.tell(
        viewer,
        Notice::but("Nothing was decided: what was picked has changed, or was decided already. Here is what waits now."),
    );
    Redirect::to(&address(name)).into_response()
}

#[derive(Deserialize)]
pub(super) struct Word {
    #[serde(default)]
    reject: String,
    #[serde(default)]
    count: String,
    #[serde(default)]
    reason: String,
}

pub(super) async fn decide(
    viewer: Viewer,
    State(console): State<Console>,
    Path((name, id)): Path<(String, Uuid)>,
    Form(Word { reject, count, reason }): Form<Word>,
) -> Result<Response, Trouble> {
    let reject = !reject.is_empty();
    let Some(ballot) = console.operator.ballot(&viewer.actor, id) else {
        return Ok(gone(&console, &viewer, &name));
    };
    let mut mistakes: Vec<Mistake> = mistaken(&reason).into_iter().collect();
    let typed: String = count.chars().filter(char::is_ascii_digit).collect();
    if !reject && typed != ballot.held.len().to_string() {
        let text = format!("Type {}, the number in the heading", ballot.held.len());
        mistakes.insert(0, Mistake { field: "count", text });
    }
    if !mistakes.is_empty() {
        let fill = |ask: &mut Ask| {
            ask.reject = reject;
            ask.typed = count.chars().take(20).collect();
            ask.reason = reason;
        };
        return ask_again(&console, &viewer, &name, id, fill, mistakes);
    }
    let reach = viewer.rights.reach();
    let counted =
        console.operator.decide_ballot(&viewer.actor, reach, id, !reject, reason.trim()).await?;
    console.tell(&viewer, told(&counted, reject));
    Ok(Redirect::to(&address(&name)).into_response())
}

/// What came of it, in a notice.
fn told(counted: &Counted, reject: bool) -> Notice {
    let Counted { done, changed, over, obstacle } = counted;
    let verb = if reject { "rejected" } else { "approved" };
    let mut parts = vec![format!("{} {verb}.", number(*done as u64))];
    if !changed.is_empty() {
        let few = changed.iter().take(FEW).cloned().collect::<Vec<_>>().join(", ");
        let rest = match changed.len().saturating_sub(FEW) {
            0 => String::new(),
            rest => format!(" and {} more", number(rest as u64)),
        };
        let wait = if changed.len() == 1 { "waits" } else { "wait" };
        parts.push(format!("Changed meanwhile, so not decided: {few}{rest} {wait} on."));
    }
    if *over > 0 {
        let over = words::counted(*over as u64, "needs", "need");
        parts.push(format!("{over} no decision any more."));
    }
    if let Some(obstacle) = obstacle.filter(|_| *done > 0) {
        let when = match obstacle {
            Obstacle::Disabled => "when the connector runs again",
            Obstacle::Paused => "when the connector is resumed",
            Obstacle::Down => "when the system answers again",
        };
        parts.push(format!(
            "It happens {when}; what is not done within 24 hours waits for approval again."
        ));
    }
    let text = parts.join(" ");
    if changed.is_empty() && obstacle.is_none() { Notice::done(text) } else { Notice::but(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_tells_who_it_was_not_for() {
        let counted = Counted { done: 31, ..Counted::default() };
        assert_eq!(told(&counted, false), Notice::done("31 approved."));
        let names = ["kari", "ola", "ada", "bob", "cem", "dan", "eva"];
        let changed = names.map(str::to_owned).to_vec();
        let some = Counted { changed, over: 1, obstacle: Some(Obstacle::Paused), ..counted };
        assert_eq!(
            told(&some, false),
            Notice::but(
                "31 approved. Changed meanwhile, so not decided: kari, ola, ada, bob, cem and 2 more \
                 wait on. 1 needs no decision any more. It happens when the connector is resumed; \
                 what is not done within 24 hours waits for approval again."
            )
        );
        let one = Counted { changed: vec!["kari".to_owned()], ..Counted::default() };
        let text = "0 rejected. Changed meanwhile, so not decided: kari waits on.";
        assert_eq!(told(&one, true), Notice::but(text));
    }

    #[test]
    fn what_was_ticked_says_whose_which_and_as_it_was_seen() {
        let one = picked("lillevik/User/1234/12").unwrap();
        assert_eq!((one.resource.as_str(), one.mark), ("User/1234", Some(12)));
        assert_eq!(one.organization.as_deref(), Some("lillevik"));
        for nonsense in ["", "User/1234", "lillevik/User/1234", "lillevik/User/1234/x", "a/b/c/1/2"]
        {
            assert!(picked(nonsense).is_err(), "{nonsense}");
        }
    }
}
