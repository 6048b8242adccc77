//! `reconcile`: a target compared with what it should hold, as a diff.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use scim_relay::daemon::admin::wire::Reconciliation;
use scim_relay::reconcile::{Drift, DriftKind, Report};

use super::client::address;
use super::output::{Screen, Style, counted, number, tame};
use super::{Context, Exit, Failure, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    connector: String,
    /// Change nothing; exit with 3 where something differs
    #[arg(long)]
    dry_run: bool,
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result {
    let client = context.client()?;
    if std::io::stderr().is_terminal() {
        context.screen.note(&format!("{}: listing the target ...", args.connector));
    }
    let to = address(&["connectors", &args.connector, "reconcile"]);
    let report: Report = client.post(&to, &Reconciliation { dry_run: args.dry_run }).await?;
    if args.json {
        context.screen.json(&report)?;
    } else {
        context.screen.out(&text(&report, &context.screen))?;
    }
    if let Some(error) = &report.error {
        return Err(Failure::Failed(format!(
            "{}: the comparison did not come to its end, and nothing was changed: {}",
            report.connector,
            tame(error)
        )));
    }
    Ok(if report.dry_run && !report.drift.is_empty() { Exit::Difference } else { Exit::Done })
}

fn text(report: &Report, screen: &Screen) -> String {
    let mut text: String = report.drift.iter().map(|drift| entry(drift, screen)).collect();
    if report.error.is_some() {
        return text;
    }
    let seen = counted(report.seen as u64, "entry", "entries");
    let differ = number(report.drift.len() as u64);
    let after = match (report.drift.is_empty(), report.dry_run) {
        (true, _) => ": the target is in line".to_owned(),
        (false, true) => format!(", {differ} differ; nothing was changed"),
        (false, false) => {
            format!(", {differ} differ; {} will be put right", number(report.repairs as u64))
        }
    };
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}: {seen} at the target{after}", report.connector);
    text
}

fn entry(drift: &Drift, screen: &Screen) -> String {
    let (mark, style, meaning) = match drift.kind {
        DriftKind::Missing => ("+", Style::Green, "is missing"),
        DriftKind::Changed => ("~", Style::Yellow, "differs"),
        DriftKind::Orphaned => ("-", Style::Red, "belongs to nobody"),
        DriftKind::Duplicate => ("-", Style::Red, "is a second entry of the same"),
        DriftKind::Lingering => ("-", Style::Red, "is active and should not be"),
    };
    let whose = match (&drift.name, &drift.resource) {
        (Some(name), Some(resource)) => format!(" ({}, {resource})", tame(name)),
        _ => String::new(),
    };
    let head = format!("{mark} {}", tame(&drift.address));
    let mut text = format!("{} {meaning}{whose}\n", screen.paint(style, &head));
    for difference in &drift.differences {
        let _ = writeln!(text, "    {}", tame(&difference.attribute));
        let only = |these: &[String], others: &[String]| -> Vec<String> {
            these.iter().filter(|value| !others.contains(value)).map(|value| tame(value)).collect()
        };
        for value in only(&difference.target, &difference.expected) {
            let _ = writeln!(text, "      {}", screen.paint(Style::Red, &format!("- {value}")));
        }
        for value in only(&difference.expected, &difference.target) {
            let _ = writeln!(text, "      {}", screen.paint(Style::Green, &format!("+ {value}")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use scim_relay::reconcile::Difference;
    use scim_relay_sdk::scim::ResourceKind;

    use super::*;

    fn drift(kind: DriftKind, address: &str) -> Drift {
        Drift {
            kind,
            address: address.to_owned(),
            resource: None,
            name: None,
            differences: Vec::new(),
            row: None,
            target_id: None,
            of: ResourceKind::User,
        }
    }

    #[test]
    fn a_report_reads_like_a_diff() {
        let changed = Drift {
            resource: Some("User/1".to_owned()),
            name: Some("ada".to_owned()),
            differences: vec![Difference {
                attribute: "mail".to_owned(),
                target: vec!["same@x".to_owned(), "old@x".to_owned()],
                expected: vec!["ada@x".to_owned(), "same@x".to_owned()],
            }],
            ..drift(DriftKind::Changed, "uid=ada")
        };
        let report = Report {
            connector: "directory".to_owned(),
            started: jiff::Timestamp::UNIX_EPOCH,
            ended: jiff::Timestamp::UNIX_EPOCH,
            dry_run: true,
            seen: 1_204,
            error: None,
            drift: vec![changed, drift(DriftKind::Orphaned, "uid=eve")],
            repairs: 0,
        };
        insta::assert_snapshot!(text(&report, &Screen::new()), @r"
        ~ uid=ada differs (ada, User/1)
            mail
              - old@x
              + ada@x
        - uid=eve belongs to nobody
        directory: 1,204 entries at the target, 2 differ; nothing was changed
        ");
    }
}
