//! Removals that nobody asked for one by one: a configuration, a reconciliation, a date.

use serde_json::json;

use super::{LIMIT, LIMITS, School, held_at, hired, key};
use crate::kit::relay::Setup;
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::targets::ldap;
use crate::kit::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_would_rename_everybody_renames_no_more_than_the_limit() {
    let school = School::of(30, "").await;
    let School { slapd, relay, provider, pupils, .. } = &school;
    let file = ldap(slapd, LIMITS);
    let other = file.replace("uid={{ userName }},ou=people", "cn={{ displayName }},ou=people");
    assert_ne!(file, other);
    relay.write_connector("directory", &other);
    relay.reload().await;

    let moved = || {
        let all = slapd.search(SUFFIX, "(uid=pupil*)");
        all.iter().filter(|entry| entry.dn.starts_with("cn=")).count()
    };
    until("the rest is held", async || relay.is_idle() && school.held().len() + moved() == 30)
        .await;
    assert!(moved() <= LIMIT, "{} were renamed", moved());
    // Who is renamed at the provider is renamed; that is one person, and meant.
    let by_hand = provider.hire("newcomer").await;
    relay.settled().await;
    provider.set(&by_hand, "displayName", "Somebody Else").await;
    until("it is renamed", async || {
        slapd.one("(uid=newcomer)").dn.starts_with("cn=Somebody Else,")
    })
    .await;

    // The way out of a mistake: the old file again. What has not moved has nothing to wait for, and
    // what has, the newcomer too, moves back when somebody approves it.
    relay.write_connector("directory", &file);
    relay.reload().await;
    until("nothing is held of those who stayed", async || {
        relay.is_idle() && school.held().len() == moved() + 1
    })
    .await;
    school.command(&["held", "approve", "directory", "--all", "--yes"]);
    until("all are where they were", async || moved() == 0).await;
    assert_eq!(school.there(), pupils.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_that_finds_many_strangers_removes_no_more_than_the_limit() {
    let orphans = "[reconcile]\norphans = \"deprovision\"\n";
    let school = School::of(40, orphans).await;
    let School { slapd, relay, .. } = &school;
    for number in 0..20 {
        slapd.add_person(&format!("stranger{number}"), "");
    }
    let strangers = || slapd.search(SUFFIX, "(uid=stranger*)").len();
    let dry = relay.run(&["reconcile", "directory", "--dry-run", "--json"]);
    assert_eq!(dry.status.code(), Some(3));
    assert_eq!(strangers(), 20);

    relay.command(&["reconcile", "directory"]);
    until("the rest is held", async || {
        relay.is_idle() && school.held().len() + (20 - strangers()) == 20
    })
    .await;
    assert!(strangers() >= 20 - LIMIT, "{} are left", strangers());
    assert_eq!(school.there(), 40);
    school.command(&["held", "approve", "directory", "--all", "--yes"]);
    until("they are gone", async || strangers() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_is_a_removal() {
    let slapd = Slapd::start().await;
    let file = ldap(&slapd, LIMITS)
        .replace("delete = \"delete\"", "delete = \"disable\"\npurge_after = \"1s\"");
    let school = School::with(slapd, &file, 20).await;
    let School { slapd, relay, pupils, .. } = &school;
    // Eight are disabled, and of the ten of this hour two are left.
    school.delete(&pupils[..8]).await;
    until("the purges are done or held", async || {
        relay.is_idle() && school.there() + 8 == 20 + school.held().len()
    })
    .await;
    assert!(school.there() >= 18, "{} are left", school.there());
    assert_eq!(slapd.search(SUFFIX, "(pwdAccountLockedTime=*)").len(), school.held().len());
    school.command(&["held", "approve", "directory", "--all", "--yes"]);
    until("they are purged", async || school.there() == 12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_that_is_planned_waits_for_everybody_who_was_there() {
    let slapd = Slapd::start().await;
    let relay = Setup::new().start().await;
    let provider = relay.provider("lillevik");
    let pupils = hired(&provider, 12).await;
    relay.write_connector("directory", &ldap(&slapd, "[safety]\nfirst_run = \"plan\"\n"));
    relay.reload().await;

    until("everybody is held", async || held_at(&relay, "directory").len() == 12).await;
    let there = || slapd.search(SUFFIX, "(objectClass=inetOrgPerson)").len();
    assert_eq!(there(), 0);
    let held = held_at(&relay, "directory");
    assert!(held.iter().all(|held| held["hold_kind"] == "first_run"), "{held:?}");
    let summary = held[0]["summary"].as_str().unwrap();
    assert!(summary.contains("uid=pupil"), "it says what would be written: {summary}");
    let attention = relay.json(&["status"])["attention"].to_string();
    assert!(attention.contains("12 new entries wait for approval"), "{attention}");

    // Who is made later flows.
    let later = provider.hire("newcomer").await;
    relay.settled().await;
    assert_eq!(there(), 1);
    relay.command(&["held", "approve", "directory", &key(&pupils[0])]);
    relay.settled().await;
    assert_eq!(slapd.one("(uid=pupil0)").values("employeeNumber"), ["ext-pupil0"]);
    assert_eq!(there(), 2);
    // What was approved once is not asked about again.
    provider.set(&pupils[0], "title", "Head of class").await;
    provider.set(&later, "title", "New here").await;
    relay.settled().await;
    assert_eq!(slapd.one("(uid=pupil0)").values("title"), ["Head of class"]);
    assert_eq!(held_at(&relay, "directory").len(), 11);
    relay.command(&["held", "approve", "directory", "--kind", "first_run", "--yes"]);
    until("all are there", async || there() == 13).await;
    assert_eq!(relay.json(&["held", "list"]), json!([]));
}
