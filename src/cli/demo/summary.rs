//! The last page: what it came to, and where to look.

use std::env;

use anyhow::Result;

use super::ADMINISTRATOR;
use super::arrivals::by_language;
use super::stage::Stage;
use super::story::Told;

pub(super) async fn print(stage: &Stage, told: &Told) -> Result<()> {
    let (users, groups) = stage.population().await?;
    let (account, total) = (&stage.account, &stage.arrivals.total);
    let languages =
        by_language(total.languages.iter().map(|(name, count)| (name.as_str(), *count)));
    account.title("\nSummary");
    account.row("acts", format!("{}, in {:.1} s", account.acts(), told.took.as_secs_f64()));
    account.row("requests pushed", stage.provider.sent());
    account.row("the relay holds", format!("{users} users, {groups} groups"));
    account.row(
        "LDIF records",
        format!(
            "{}: {} add, {} modify, {} modrdn, {} delete",
            total.records(),
            total.added,
            total.modified,
            total.renamed,
            total.deleted
        ),
    );
    account.row(
        "webhooks received",
        format!(
            "{}: {} REST calls, {} events",
            total.calls + total.events,
            total.calls,
            total.events
        ),
    );
    account.row("signatures verified", format!("{} of {}", total.verified, total.events));
    account.row("mails", format!("{}: {languages}", total.mails()));
    account.row("refused and retried", format!("{}, none lost", total.refused));
    account.row("reconciliation", format!("{} compared, {} differ", told.compared, told.differed));
    Ok(())
}

/// This program, as it was called.
fn program() -> String {
    let called = env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    called.unwrap_or_else(|| "scim-relay".to_owned())
}

/// Where to look, while it runs.
pub(super) struct Places {
    pub(super) endpoint: String,
    pub(super) token: String,
    pub(super) console: String,
}

impl Places {
    pub(super) fn print(&self, stage: &Stage) {
        let (account, folder) = (&stage.account, stage.folder.path().display());
        let config = stage.folder.config();
        let config = config.display();
        account.title("\nLook around");
        account.row("endpoint", &self.endpoint);
        account.row("token", &self.token);
        account.row("folder", &folder);
        account.row("", "directory.ldif, mails/*.eml, received/*.json, relay.log,");
        account.row("", "config.toml and connectors.d/*.toml to take from");
        account.row("console", &self.console);
        let program = program();
        let again = format!("{program} --config {config} account password {ADMINISTRATOR}");
        account.row("  a link to sign in", again);
        account.row("metrics", format!("{}/metrics", self.console));
        account.row("status", format!("{program} --config {config} status"));
        account
            .row("ask it yourself", format!("curl -H 'Authorization: Bearer {}' \\", self.token));
        account.row("", format!("  '{}/Users?count=2'", self.endpoint));
    }
}
