//! `scim-relay demo`: a whole school on this machine, with nothing installed.
//!
//! `school` invents people, `folder` writes a configuration, `receiver` plays the systems that take
//! webhooks, `provider` pushes in Entra's dialect; `story` is what happens on that `stage`,
//! `arrivals` reads at the targets what came of it (`ldif` their directory, `signature` their
//! webhooks), `account` and `summary` tell it. The daemon in the middle is the real one.

mod account;
mod arrivals;
mod folder;
mod ldif;
mod provider;
mod receiver;
mod school;
mod signals;
mod signature;
mod stage;
mod story;
mod summary;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use scim_relay::config::{self, render};
use scim_relay::daemon::connectors::KINDS;
use scim_relay::daemon::{Daemon, StartError};
use scim_relay::operator::{Actor, Link, NewAccountRequest, NewTokenRequest, Role};
use scim_relay::store::Lost;
use tracing::level_filters::LevelFilter;

use account::Account;
use folder::{Folder, ORGANIZATION};
use provider::Provider;
use receiver::Receiver;
use school::School;
use signals::Signals;
use stage::Stage;
use story::Told;
use summary::Places;

/// Of the console.
const ADMINISTRATOR: &str = "demo@lillevik.example";

/// What a shell reports of a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many seconds it stays after the story. Left out: until Ctrl-C on a terminal, elsewhere
    /// not at all
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// How many pupils the school has, 8 to 1000
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(8..=1000))]
    pupils: u32,
    /// A new or empty folder for its files. Left out: a temporary one. Either stays
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Tells the story, and stays as long as it was told to. 0 when everything arrived, 1 when
/// something did not, 130 when Ctrl-C came in the middle of it.
pub(crate) async fn run(args: Args) -> ExitCode {
    match Box::pin(play(args)).await {
        Ok(code) => code,
        Err(error) => {
            // stderr may be closed, and there is nobody else to tell.
            drop(writeln!(
                io::stderr(),
                "
error: {error:#}"
            ));
            ExitCode::FAILURE
        }
    }
}

async fn play(args: Args) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let account = Account::new();
    let folder = Folder::make(args.folder.as_deref())?;
    log_to(&folder)?;
    let secrets = folder.secrets()?;
    let receiver = Receiver::start(&folder, &secrets).await?;
    let [scim, console] = folder::free_ports()?;
    folder.configure(scim, console, receiver.address())?;
    let daemon = daemon(&folder).await?;
    let places = Places {
        endpoint: format!("http://{scim}/scim/{ORGANIZATION}/v2"),
        token: token(&daemon).await?,
        console: format!("http://{console}"),
    };
    let link = invite(&daemon).await?;
    let provider = Provider::new(places.endpoint.clone(), places.token.clone());
    let operator = daemon.operator().clone();
    let mut stage = Stage::new(account, folder, provider, receiver, operator, args.pupils);
    introduce(&stage, &link);

    let mut school = School::new(args.pupils as usize);
    let told = tokio::select! {
        told = story::tell(&mut stage, &mut school) => Some(told),
        () = signals.next() => None,
    };
    let outcome = match told {
        Some(Ok(told)) => stay(&stage, &told, &places, args.seconds, &mut signals).await,
        Some(Err(error)) => Err(error),
        None => Ok(ExitCode::from(INTERRUPTED)),
    };
    stop(stage, daemon, &mut signals).await;
    outcome
}

/// The end of the story, until Ctrl-C or for as long as was said.
async fn stay(
    stage: &Stage,
    told: &Told,
    places: &Places,
    seconds: Option<u64>,
    signals: &mut Signals,
) -> Result<ExitCode> {
    summary::print(stage, told).await?;
    places.print(stage);
    let seconds = seconds.or((!stage.account.is_terminal()).then_some(0));
    match seconds {
        None => {
            stage.account.line("\nCtrl-C ends it.");
            signals.next().await;
        }
        Some(0) => {
            stage.account.line("\nIt ends here; --seconds 600 keeps it running for a while.");
        }
        Some(seconds) => {
            stage.account.line(format!("\nIt ends in {seconds} s; Ctrl-C ends it now."));
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                () = signals.next() => {}
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops in order; a second Ctrl-C does not wait for that.
async fn stop(stage: Stage, daemon: Daemon, signals: &mut Signals) {
    let Stage { account, folder, receiver, .. } = stage;
    tokio::select! {
        () = async { daemon.stop().await; receiver.stop().await } => {}
        () = signals.next() => {}
    }
    let path = folder.path().display();
    account
        .line(format!("\nEverything has stopped. The files stay; this removes them: rm -r {path}"));
}

fn introduce(stage: &Stage, link: &Link) {
    let account = &stage.account;
    account.title("A school on this machine, with a provider that pushes and four targets:");
    account.line("");
    account.row("directory", "people and classes, as LDIF change records");
    account.row("building", "who may open which doors, by REST calls");
    account.row("events", "a signed webhook for each change");
    account.row("welcome", "mails in everybody's language");
    account.line("");
    account.row("all of it in", stage.folder.path().display());
    account.row("console, to look on", &link.url);
    account.row("", "this link lets in whoever opens it first, as its administrator");
}

/// Whatever the daemon has to complain of goes into a file.
fn log_to(folder: &Folder) -> Result<()> {
    let path = folder.log();
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let started = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::WARN)
        .with_ansi(false)
        .with_target(false)
        .with_writer(Mutex::new(file))
        .try_init();
    if let Err(error) = started {
        bail!("the log cannot be kept in {}: {error}", path.display());
    }
    Ok(())
}

async fn daemon(folder: &Folder) -> Result<Daemon> {
    let loaded = config::load(&folder.config(), KINDS, None);
    let config = match loaded {
        Ok((config, _)) => config,
        Err(mistakes) => bail!("the configuration is wrong:\n{}", render(&mistakes, false)),
    };
    Daemon::start(config, None, Lost::Refused).await.map_err(|error| match error {
        StartError::Config(mistakes) => {
            anyhow::anyhow!("the configuration is wrong:\n{}", render(&mistakes, false))
        }
        error => error.into(),
    })
}

async fn token(daemon: &Daemon) -> Result<String> {
    let request = NewTokenRequest {
        organization: ORGANIZATION.to_owned(),
        name: Some("demo".to_owned()),
        ..NewTokenRequest::default()
    };
    let actor = Actor::relay("demo");
    daemon.operator().create_token(&actor, &request).await.context("cannot make a token")
}

/// Makes an administrator, and a link that lets them in at once.
async fn invite(daemon: &Daemon) -> Result<Link> {
    let account = NewAccountRequest {
        email: ADMINISTRATOR.to_owned(),
        name: "Demo".to_owned(),
        role: Role::Administrator,
        organizations: Vec::new(),
    };
    let (operator, actor) = (daemon.operator(), Actor::relay("demo"));
    operator.create_account(&actor, account, None).await.context("cannot make an account")?;
    operator.link_to_come_in(&actor, ADMINISTRATOR).await.context("cannot make a link")
}
