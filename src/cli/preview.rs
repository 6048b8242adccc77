//! `preview`: what would be written, as the target sees it. Nothing is sent.

use std::path::PathBuf;

use scim_relay::daemon::admin::wire::PreviewWish;
use scim_relay::operator::Previewed;

use super::client::address;
use super::output::tame_lines;
use super::subject::named;
use super::{Context, Exit, Result, offline};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    connector: String,
    #[command(flatten)]
    whose: Whose,
    /// Only in this organization
    #[arg(long, value_name = "ORG")]
    org: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// A user that the relay has, by userName or id
    #[arg(long, value_name = "USERNAME")]
    user: Option<String>,
    /// A group that the relay has, by displayName or id
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// A resource as a provider would send it; needs no running daemon. `-` is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result {
    let Args { connector, whose, org } = args;
    if let Some(file) = &whose.file {
        let text = offline::preview(context, &connector, file, org.as_deref()).await?;
        context.screen.out(&tame_lines(&text))?;
        return Ok(Exit::Done);
    }
    let Some(subject) = named(whose.user, whose.group) else {
        unreachable!("clap asks for one of the three")
    };
    let wish = PreviewWish { organization: org, subject };
    let to = address(&["connectors", &connector, "preview"]);
    let previews: Vec<Previewed> = context.client()?.post(&to, &wish).await?;
    for Previewed { organization, resource, text } in &previews {
        if previews.len() > 1 {
            context.screen.note(&format!("{resource} of {organization}:"));
        }
        context.screen.out(&tame_lines(text))?;
    }
    Ok(Exit::Done)
}
