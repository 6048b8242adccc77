//! `token`: made, listed, rotated, revoked. A token stands alone on stdout, so that it can be piped
//! to where it is kept.

use clap::Subcommand;
use jiff::Timestamp;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::daemon::admin::wire::{Done, MadeToken, Overlap, TokenWish};
use scim_relay::operator::TokenLine;
use scim_relay_sdk::connector::Period;

use super::client::address;
use super::output::{Cell, Side, Style, Table, maybe_relative, relative};
use super::{Context, Exit, Result};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, this once
    Create {
        #[arg(value_name = "ORG")]
        organization: String,
        /// What people call it, such as the provider's name
        #[arg(long, value_name = "N")]
        name: Option<String>,
        /// When it ends by itself: "365d", "30 days" [default: never]
        #[arg(long, value_name = "DURATION", value_parser = Period::parse)]
        expires: Option<Period>,
        /// It may look, and change nothing
        #[arg(long)]
        read_only: bool,
    },
    /// The tokens of an organization, without their secrets
    List {
        #[arg(value_name = "ORG")]
        organization: String,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Make a successor and print it; the old token lives on for a while
    Rotate {
        #[arg(value_name = "ORG")]
        organization: String,
        id: i64,
        /// For how long the old token lives on
        #[arg(long, value_name = "DURATION", value_parser = Period::parse, default_value = "24h")]
        overlap: Period,
    },
    /// End a token at once
    Revoke {
        #[arg(value_name = "ORG")]
        organization: String,
        id: i64,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> Result {
    let client = context.client()?;
    let tokens = |organization: &str| address(&["organizations", organization, "tokens"]);
    match command {
        Command::Create { organization, name, expires, read_only } => {
            let wish =
                TokenWish { name, expires_in: expires.map(|period| period.0.as_secs()), read_only };
            let made: MadeToken = client.post(&tokens(&organization), &wish).await?;
            context.screen.out(&format!("{}\n", made.token))?;
            context.screen.note(&format!(
                "This is the only time that the token is shown. Give it to the provider of \
                 {organization} as its secret token."
            ));
        }
        Command::List { organization, json } => {
            let lines: Vec<TokenLine> = client.get(&tokens(&organization)).await?;
            if json {
                context.screen.json(&lines)?;
            } else if lines.is_empty() {
                context.screen.note(&format!(
                    "{organization} has no tokens; `scim-relay token create {organization}` makes one"
                ));
            } else {
                let table = table(&lines, SystemClock.now());
                context.screen.out(&table.text(&context.screen))?;
            }
        }
        Command::Rotate { organization, id, overlap } => {
            let to =
                address(&["organizations", &organization, "tokens", &id.to_string(), "rotate"]);
            let overlap_seconds = Overlap { overlap: overlap.0.as_secs() };
            let made: MadeToken = client.post(&to, &overlap_seconds).await?;
            context.screen.out(&format!("{}\n", made.token))?;
            context.screen.note(&format!(
                "This is the only time that the token is shown. The old one ends in {overlap}."
            ));
        }
        Command::Revoke { organization, id } => {
            let to =
                address(&["organizations", &organization, "tokens", &id.to_string(), "revoke"]);
            let Done {} = client.post(&to, &()).await?;
            context.screen.note(&format!("Token {id} of {organization} is revoked."));
        }
    }
    Ok(Exit::Done)
}

fn table(lines: &[TokenLine], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("ID", Side::Right),
        ("NAME", Side::Left),
        ("TOKEN", Side::Left),
        ("MAY", Side::Left),
        ("STATE", Side::Left),
        ("CREATED", Side::Left),
        ("LAST USED", Side::Left),
        ("EXPIRES", Side::Left),
    ]);
    for line in lines {
        let style = if line.state == "active" { Style::Green } else { Style::Yellow };
        table.row([
            line.id.to_string().into(),
            line.name.as_str().into(),
            format!("{}…", line.prefix).into(),
            if line.read_only { "read" } else { "write" }.into(),
            Cell::styled(line.state.as_str(), style),
            relative(now, line.created).into(),
            maybe_relative(now, line.last_used).into(),
            line.expires.map_or_else(|| "never".to_owned(), |then| relative(now, then)).into(),
        ]);
    }
    table
}
