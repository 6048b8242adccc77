//! `account`: who may come in to the console. Passwords never stand on a command line, where other
//! users of the machine could read them.

use std::io::{self, IsTerminal as _, Read as _};

use clap::Subcommand;
use jiff::Timestamp;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::daemon::admin::wire::{AccountWish, Done, MadeAccount};
use scim_relay::operator::{AccountLine, Link, NewAccountRequest, Role};

use super::client::address;
use super::output::{Cell, Side, Style, Table, maybe_relative, relative};
use super::{Context, Exit, Failure, Result};

/// More is no password.
const LONGEST_INPUT: u64 = 4_096;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an account, and print a link with which its owner sets a password
    Add {
        #[arg(value_name = "EMAIL")]
        email: String,
        /// administrator: everything, everywhere; owner: everything of their organizations;
        /// helpdesk: people, queue and requests
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,
        /// An organization that it is for; repeat it for more [default for helpdesk: all]
        #[arg(long = "org", value_name = "ORG")]
        organizations: Vec<String>,
        /// What the person is called
        #[arg(long, value_name = "N", default_value = "", hide_default_value = true)]
        name: String,
        /// Read the password from standard input instead of making a link
        #[arg(long)]
        password_stdin: bool,
    },
    /// All accounts
    List {
        #[arg(long)]
        json: bool,
    },
    /// Remove an account; its sessions end
    Remove {
        #[arg(value_name = "EMAIL")]
        email: String,
    },
    /// Print a link with which its owner sets a new password; the old one is good until they do
    Password {
        #[arg(value_name = "EMAIL")]
        email: String,
    },
}

fn role(word: &str) -> std::result::Result<Role, String> {
    Role::parse(word).ok_or_else(|| {
        let roles = Role::ALL.map(Role::word).join(", ");
        format!("there is no such role; roles are {roles}")
    })
}

pub(super) async fn run(context: &Context, command: Command) -> Result {
    let client = context.client()?;
    match command {
        Command::Add { email, role, organizations, name, password_stdin } => {
            let password = if password_stdin { Some(read_password()?) } else { None };
            let account = NewAccountRequest { email: email.clone(), name, role, organizations };
            let wish = AccountWish { account, password };
            let made: MadeAccount = client.post(&address(&["accounts"]), &wish).await?;
            match made.link {
                None => context.screen.note(&format!("{email} has an account now.")),
                Some(link) => print(context, &email, &link)?,
            }
        }
        Command::List { json } => {
            let lines: Vec<AccountLine> = client.get(&address(&["accounts"])).await?;
            if json {
                context.screen.json(&lines)?;
            } else if lines.is_empty() {
                context.screen.note(
                    "There are no accounts; `scim-relay account add EMAIL --role administrator` \
                     makes the first",
                );
            } else {
                let table = table(&lines, SystemClock.now());
                context.screen.out(&table.text(&context.screen))?;
            }
        }
        Command::Remove { email } => {
            let Done {} = client.post(&address(&["accounts", &email, "remove"]), &()).await?;
            context.screen.note(&format!("{email} has no account any more."));
        }
        Command::Password { email } => {
            let link: Link = client.post(&address(&["accounts", &email, "link"]), &()).await?;
            print(context, &email, &link)?;
        }
    }
    Ok(Exit::Done)
}

/// The link stands alone on stdout, so that it can be piped to where it goes.
fn print(context: &Context, email: &str, link: &Link) -> Result<()> {
    context.screen.out(&format!("{}\n", link.url))?;
    context.screen.note(&format!(
        "Give this link to {email} and nobody else: whoever opens it sets the password. It works \
         once, for 24 hours."
    ));
    Ok(())
}

fn read_password() -> Result<String> {
    if io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "--password-stdin reads a password that is piped in; without it, a link to set one is \
             made"
                .to_owned(),
        ));
    }
    let mut text = String::new();
    io::stdin()
        .take(LONGEST_INPUT)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Failed(format!("the password cannot be read: {error}")))?;
    // The end of its line is not a part of it.
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn table(lines: &[AccountLine], now: Timestamp) -> Table {
    let mut table = Table::new(&[
        ("EMAIL", Side::Left),
        ("NAME", Side::Left),
        ("ROLE", Side::Left),
        ("ORGANIZATIONS", Side::Left),
        ("STATE", Side::Left),
        ("CREATED", Side::Left),
        ("LAST SIGN-IN", Side::Left),
    ]);
    for line in lines {
        let (state, style) = match (line.disabled, line.password, line.last_sign_in) {
            (Some(_), _, _) => ("disabled", Style::Yellow),
            (None, false, None) => ("invited", Style::Yellow),
            (None, _, _) => ("active", Style::Green),
        };
        let organizations =
            line.organizations.as_ref().map_or_else(|| "all".to_owned(), |own| own.join(", "));
        table.row([
            line.email.as_str().into(),
            line.name.as_str().into(),
            line.role.word().into(),
            organizations.into(),
            Cell::styled(state, style),
            relative(now, line.created).into(),
            maybe_relative(now, line.last_sign_in).into(),
        ]);
    }
    table
}
