//! `held`: what waits for a person's approval.

use std::collections::BTreeMap;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::daemon::admin::wire::Rejection;
use scim_relay::operator::{Decision, DecisionTaken, Obstacle, PAGE, Picked, words};
use scim_relay::store::{Decided, Held, HeldPage};
use scim_relay_sdk::connector::HoldKind;

use super::client::{address, query};
use super::output::{Cell, Side, Style, Table, counted, number, relative};
use super::subject::resource_key;
use super::{Context, Exit, Failure, Result};

/// Up to here a person sees at a glance what they decide.
const FEW: usize = 10;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// What waits, what for, and why
    List {
        connector: Option<String>,
        #[command(flatten)]
        of: OfKind,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Let these go, as they are now; a later change asks again
    Approve(Chosen),
    /// Keep these from happening until the person is wanted again
    Reject {
        #[command(flatten)]
        chosen: Chosen,
        /// Why; it is kept in the audit log and shown with each of them
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct OfKind {
    /// What waits for this alone
    #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(HoldKind::ALL.map(HoldKind::word)))]
    kind: Option<String>,
}

/// All that a connector holds, or some of it.
#[derive(Debug, clap::Args)]
pub(super) struct Chosen {
    connector: String,
    /// As `held list` prints them
    #[arg(value_name = "KIND/ID", value_parser = resource_key, required_unless_present_any = ["all", "kind"])]
    resources: Vec<String>,
    /// Everything that waits at this connector
    #[arg(long, conflicts_with = "resources")]
    all: bool,
    #[command(flatten)]
    of: OfKind,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(context: &Context, command: Command) -> Result {
    match command {
        Command::List { connector, of, json } => {
            let held = fetch(context, connector.as_deref(), of.kind.as_deref()).await?;
            if json {
                context.screen.json(&held)?;
            } else if held.is_empty() {
                context.screen.note(&nothing(connector.as_deref(), of.kind.as_deref()));
            } else {
                context.screen.out(&table(&held).text(&context.screen))?;
                context.screen.note(&what_next(&held));
            }
            Ok(Exit::Done)
        }
        Command::Approve(chosen) => decide(context, chosen, None).await,
        Command::Reject { chosen, reason } => decide(context, chosen, Some(reason)).await,
    }
}

/// All of it, however many pages that are, in an order for people.
async fn fetch(
    context: &Context,
    connector: Option<&str>,
    kind: Option<&str>,
) -> Result<Vec<Held>> {
    let client = context.client()?;
    let mut held = Vec::new();
    let mut after = None;
    loop {
        let pairs = [("connector", connector), ("kind", kind), ("after", after.as_deref())];
        let page: HeldPage = client.get(&query(address(&["held"]), &pairs)).await?;
        held.extend(page.held);
        match page.next {
            Some(next) => after = Some(next.to_string()),
            None => break,
        }
    }
    held.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(held)
}

fn order(held: &Held) -> (&str, &str, &str, &str) {
    (&held.connector, &held.hold_kind, &held.organization, &held.name)
}

/// Decides about those that are named, or about those that wait at this moment and not about what
/// comes while the person thinks.
async fn decide(context: &Context, chosen: Chosen, reason: Option<String>) -> Result {
    let Chosen { connector, resources, of, yes, .. } = chosen;
    let named = !resources.is_empty();
    let picks: Vec<Picked> = if named {
        let pick = |resource| Picked { resource, organization: None, mark: None };
        resources.into_iter().map(pick).collect()
    } else {
        let held = fetch(context, Some(&connector), of.kind.as_deref()).await?;
        if held.is_empty() {
            context.screen.note(&nothing(Some(&connector), of.kind.as_deref()));
            return Ok(Exit::Done);
        }
        let verb = if reason.is_some() { "Reject" } else { "Approve" };
        let question = format!("{verb} at {connector}: {}?", kinds(&held));
        if held.len() > FEW && !yes && !context.screen.confirmed(&question)? {
            context.screen.note("Nothing was decided.");
            return Ok(Exit::Failed);
        }
        held.iter().map(Picked::seen).collect()
    };
    let (verb, done) = match reason {
        None => ("approve", "approved"),
        Some(_) => ("reject", "rejected"),
    };
    let (mut decided, mut changed, mut not_held, mut obstacle) = (0, Vec::new(), Vec::new(), None);
    for picks in picks.chunks(PAGE) {
        let decision = Decision { connector: connector.clone(), picks: picks.to_vec() };
        let (client, to) = (context.client()?, address(&["held", verb]));
        let taken: DecisionTaken = match &reason {
            None => client.post(&to, &decision).await?,
            Some(reason) => {
                client.post(&to, &Rejection { decision, reason: reason.clone() }).await?
            }
        };
        obstacle = taken.obstacle;
        for (Picked { resource, .. }, outcome) in picks.iter().zip(taken.decided) {
            match outcome {
                Decided::Done => decided += 1,
                Decided::Changed => changed.push(resource.as_str()),
                Decided::NotHeld => not_held.push(resource.as_str()),
            }
        }
    }
    context.screen.note(&format!("{connector}: {} {done}", counted(decided, "entry", "entries")));
    if let Some(obstacle) = obstacle.filter(|_| decided > 0) {
        context.screen.note(&format!(
            "{connector}: {}; what is not done within 24 hours waits for approval again",
            not_yet(&connector, obstacle)
        ));
    }
    failures(&connector, named, &changed, &not_held)
}

/// Why what was approved does not happen at once.
fn not_yet(connector: &str, obstacle: Obstacle) -> String {
    match obstacle {
        Obstacle::Disabled => format!(
            "its file is gone or disabled, so nothing happens until `{connector}.toml` is back"
        ),
        Obstacle::Paused => format!(
            "it is paused, so nothing happens until `scim-relay connector resume {connector}`"
        ),
        Obstacle::Down => "its target is down, so nothing happens until it is back".to_owned(),
    }
}

/// What came to nothing, and what to do about it.
fn failures(connector: &str, named: bool, changed: &[&str], not_held: &[&str]) -> Result {
    let mut sentences = Vec::new();
    if !changed.is_empty() {
        sentences.push(format!(
            "{} not what was listed any more, and waits on: `scim-relay held list {connector}` shows \
             what it is now: {}",
            if changed.len() == 1 { "one is" } else { "some are" },
            some(changed)
        ));
    }
    // Of those that were not named, whoever is settled meanwhile needs no decision.
    if named && !not_held.is_empty() {
        sentences.push(format!(
            "nothing of {} waits for approval at {connector}, or not any more: `scim-relay held list \
             {connector}` shows what does",
            some(not_held)
        ));
    }
    if sentences.is_empty() { Ok(Exit::Done) } else { Err(Failure::Failed(sentences.join("; "))) }
}

/// The first of them.
fn some(resources: &[&str]) -> String {
    match resources.split_at_checked(FEW) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", first.join(", "), number(rest.len() as u64))
        }
        _ => resources.join(", "),
    }
}

fn nothing(connector: Option<&str>, kind: Option<&str>) -> String {
    let of = kind.map(|kind| format!(" of the kind {kind}")).unwrap_or_default();
    let at = connector.map(|connector| format!(" at {connector}")).unwrap_or_default();
    format!("Nothing{of} waits for approval{at}.")
}

/// `50 removals and 2 take-overs`.
fn kinds(held: &[Held]) -> String {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for one in held {
        *kinds.entry(one.hold_kind.as_str()).or_default() += 1;
    }
    let counts = kinds.into_iter().map(|(kind, count)| words::held(kind, count));
    counts.collect::<Vec<_>>().join(" and ")
}

fn what_next(held: &[Held]) -> String {
    let connector = &held[0].connector;
    let same = held.iter().all(|one| one.connector == *connector);
    let connector = if same { connector.as_str() } else { "CONNECTOR" };
    format!(
        "\n{} for approval. `scim-relay held approve {connector} KIND/ID ...` lets some go, \
         `--all` all of them; `scim-relay held reject {connector} ... --reason TEXT` keeps them from \
         happening.",
        counted(held.len() as u64, "entry waits", "entries wait")
    )
}

fn table(held: &[Held]) -> Table {
    let now = SystemClock.now();
    let mut table = Table::new(&[
        ("CONNECTOR", Side::Left),
        ("WHAT FOR", Side::Left),
        ("NAME", Side::Left),
        ("RESOURCE", Side::Left),
        ("SINCE", Side::Left),
        ("WHAT AND WHY", Side::Left),
    ]);
    for one in held {
        let name = match one.members {
            Some(members) => format!("{} ({})", one.name, counted(members, "member", "members")),
            None => one.name.clone(),
        };
        table.row([
            Cell::styled(one.connector.as_str(), Style::Bold),
            Cell::styled(one.hold_kind.replace('_', " "), Style::Yellow),
            name.into(),
            format!("{}/{}", one.kind, one.id).into(),
            relative(now, one.since).into(),
            one.summary.as_str().into(),
        ]);
    }
    table
}
