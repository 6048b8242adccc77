//! A running relay whose configuration changes.

use serde_json::json;

use crate::kit::relay::Setup;
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::smtp;
use crate::kit::targets::{ldap, mail, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

const NOBODY: &[&str] = &[];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_that_is_added_gets_everybody_and_mails_nobody() {
    let slapd = Slapd::start().await;
    let mails = smtp::Server::start("starttls", &["auth"]);
    let hooks = Webhooks::start().await;
    let relay = Setup::new().start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    let grace = provider.hire("grace").await;
    provider.group("choir", &[&ada, &grace]).await;
    // A person who has gone already is nobody to a new connector.
    let gone = provider.hire("gone").await;
    provider.delete(&format!("Users/{gone}")).await.expect(204);

    relay.write_connector("directory", &ldap(&slapd, ""));
    relay.write_connector("welcome", &mail(&mails, ""));
    relay.write_connector("events", &webhook(&hooks, ""));
    relay.reload().await;

    until("the directory has everybody", async || {
        slapd.search(SUFFIX, "(objectClass=inetOrgPerson)").len() == 2
            && slapd.search(SUFFIX, "(cn=choir)").iter().any(|it| it.values("member").len() == 2)
    })
    .await;
    until("the receiver was told of everybody", async || {
        ["ada", "grace"].iter().all(|name| hooks.story(name) == ["user.created"])
    })
    .await;
    provider.hire("new").await;
    relay.settled().await;
    let welcomed: Vec<_> = mails.taken().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!(welcomed, ["new@lillevik.example"]);
    assert_eq!(hooks.story("gone"), NOBODY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connector_that_is_added_gets_everybody_over_kill_9() {
    const PEOPLE: usize = 300;
    let hooks = Webhooks::start().await;
    let mut relay = Setup::new().start().await;
    let provider = relay.provider("lillevik");
    for number in 0..PEOPLE {
        provider.hire(&format!("person{number}")).await;
    }

    relay.write_connector("events", &webhook(&hooks, ""));
    relay.reload().await;
    for told in [1, PEOPLE / 2] {
        until("some were told of", async || hooks.taken().len() >= told).await;
        relay.kill();
        relay.restart().await;
    }

    relay.settled().await;
    for number in 0..PEOPLE {
        assert_eq!(hooks.story(&format!("person{number}")), ["user.created"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_while_a_connector_is_away_is_delivered_when_it_is_back() {
    let hooks = Webhooks::start().await;
    let mut relay = Setup::new().connector("events", webhook(&hooks, "")).start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    relay.settled().await;

    relay.remove_connector("events");
    relay.reload().await;
    provider.set(&ada, "title", "Countess").await;
    provider.hire("grace").await;
    assert_eq!(relay.connector("events")["state"], "disabled");
    assert_eq!(hooks.taken().len(), 1);
    relay.kill();
    relay.restart().await;
    relay.write_connector("events", &webhook(&hooks, ""));
    relay.reload().await;

    relay.settled().await;
    assert_eq!(hooks.story("ada"), ["user.created", "user.updated"]);
    assert_eq!(hooks.story("grace"), ["user.created"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_cannot_be_used_leaves_the_old_one_in_force() {
    let hooks = Webhooks::start().await;
    let relay = Setup::new().connector("events", webhook(&hooks, "")).start().await;
    let provider = relay.provider("lillevik");

    relay.write_connector("events", "[webhook]\nurl = \"https://access.example/\"\nsecrets = 1\n");
    let said = relay.reload_in_vain().await;

    assert!(said.contains("events.toml:3:1") && said.contains("secret"), "{said}");
    provider.hire("ada").await;
    relay.settled().await;
    assert_eq!(hooks.story("ada"), ["user.created"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_lasts_over_a_restart_until_somebody_ends_it() {
    let hooks = Webhooks::start().await;
    let mut relay = Setup::new().connector("events", webhook(&hooks, "")).start().await;
    let provider = relay.provider("lillevik");
    relay.command(&["connector", "pause", "events"]);
    provider.hire("ada").await;
    relay.kill();
    relay.restart().await;
    provider.hire("grace").await;
    assert_eq!(relay.connector("events")["state"], "paused");
    assert_eq!(relay.backlog("events", "pending"), 2);
    assert!(hooks.all().is_empty());

    relay.command(&["connector", "resume", "events"]);

    relay.settled().await;
    assert_eq!(hooks.taken().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_mapping_reaches_everybody() {
    let slapd = Slapd::start().await;
    let relay = Setup::new().connector("directory", ldap(&slapd, "")).start().await;
    let provider = relay.provider("lillevik");
    for name in ["ada", "grace"] {
        provider.hire(name).await;
    }
    relay.settled().await;

    let other =
        ldap(&slapd, "").replace("cn = \"{{ displayName }}\"", "cn = \"{{ name.familyName }}\"");
    relay.write_connector("directory", &other);
    relay.reload().await;
    relay.settled().await;

    for name in ["ada", "grace"] {
        assert_eq!(slapd.one(&format!("(uid={name})")).values("cn"), ["Lie"]);
    }
    assert_eq!(relay.json(&["reconcile", "directory", "--dry-run"])["drift"], json!([]));
}
