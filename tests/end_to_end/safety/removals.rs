//! Hundreds who are unassigned by mistake: what goes, what waits, and what a person makes of it.

use serde_json::json;

use super::{LIMIT, LIMITS, School, held_at, hired, key};
use crate::kit::relay::Setup;
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::targets::{ldap, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_mass_deletion_no_more_goes_than_the_limit_and_everybody_else_goes_on() {
    let school = School::of(120, "").await;
    let School { slapd, relay, provider, pupils, .. } = &school;
    // Four of an ordinary day.
    school.delete(&pupils[..4]).await;
    relay.settled().await;
    assert_eq!(school.there(), 116);

    school.delete(&pupils[4..104]).await;
    provider.set(&pupils[110], "title", "Head of class").await;
    provider.hire("newcomer").await;

    until("the others go on", async || {
        !slapd.search(SUFFIX, "(uid=newcomer)").is_empty()
            && slapd.one("(uid=pupil110)").values("title") == ["Head of class"]
    })
    .await;
    relay.settled().await;
    let gone = 120 - school.there();
    assert!((4..=LIMIT).contains(&gone), "{gone} are gone");
    assert_eq!(school.held().len(), 104 - gone, "the rest waits, all of it");
    assert_eq!(relay.backlog("directory", "parked"), 0);

    let status = relay.json(&["status"]);
    let sentence = status["attention"][0].as_str().unwrap();
    let expected = format!(
        "directory: {} removals ({gone} of at most 10 in an hour are done) wait for approval; \
         `scim-relay held list directory` shows them",
        104 - gone
    );
    assert!(sentence.starts_with(&expected), "{sentence}");
    let holds = &status["connectors"][0]["held"][0];
    assert_eq!(holds["kind"], "removal");
    assert_eq!((&holds["executed"], &holds["limit"]), (&json!(gone), &json!(10)));

    // Not a single one more for those who wait, and none for others either: what waits counts.
    school.delete(&pupils[104..106]).await;
    school.holds(106 - gone).await;
    assert_eq!(school.there(), 120 - gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_approved_goes_what_is_rejected_stays_and_the_rest_waits_on() {
    let mut school = School::of(40, "").await;
    school.slapd.stop();
    let School { pupils, .. } = &school;
    school.delete(&pupils[..30]).await;
    school.slapd.run().await;
    let School { relay, pupils, .. } = &school;
    school.holds(30).await;
    assert_eq!(school.there(), 40, "they came while the directory was down, and none went");
    let log = relay.log();
    let warnings = log.lines().filter(|line| line.contains("begins to hold removals")).count();
    assert_eq!(warnings, 1, "{log}");

    school.command(&["held", "approve", "directory", &key(&pupils[0]), &key(&pupils[1])]);
    school.holds(28).await;
    let gone: Vec<usize> = (0..40).filter(|&number| !school.is_there(number)).collect();
    assert_eq!(gone, [0, 1]);

    let named = [key(&pupils[2]), key(&pupils[3])];
    let reason = ["--reason", "they are on leave"];
    let reject = ["held", "reject", "directory", &named[0], &named[1]];
    school.command(&[&reject[..], &reason].concat());
    school.holds(26).await;
    let parked = relay.json(&["queue", "list", "--state", "parked"]);
    assert!(parked[0]["last_error"].as_str().unwrap().contains("they are on leave"), "{parked}");
    // A rejected one is not smuggled past by a retry.
    school.command(&["queue", "retry", "directory", &named[0]]);
    relay.settled().await;
    assert_eq!((relay.backlog("directory", "parked"), school.there()), (2, 38));

    school.command(&["held", "approve", "directory", "--all", "--yes"]);
    school.holds(0).await;
    let left: Vec<usize> = (0..40).filter(|&number| school.is_there(number)).collect();
    assert_eq!(left, [&[2, 3], &(30..40).collect::<Vec<_>>()[..]].concat());
    let held = relay.json(&["status"])["connectors"][0]["backlog"]["held"].clone();
    assert_eq!(held, 0);
    let log = relay.log();
    let decided = log.lines().filter(|line| line.contains("holds no removals any more")).count();
    assert_eq!(decided, 1, "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_wanted_again_while_they_wait_stays_and_is_forgotten() {
    let active = "[scope]\nusers = 'active eq true'\n";
    let mut school = School::of(30, active).await;
    school.slapd.stop();
    for pupil in &school.pupils[..20] {
        school.provider.set(pupil, "active", false).await;
    }
    school.slapd.run().await;
    let locked = |school: &School| school.slapd.search(SUFFIX, "(pwdAccountLockedTime=*)").len();
    until("the rest is held", async || {
        school.relay.is_idle() && locked(&school) + school.held().len() == 20
    })
    .await;
    assert!(locked(&school) <= LIMIT, "{} are disabled", locked(&school));
    assert!(school.held().iter().all(|held| held["hold_kind"] == "removal"));

    // The mistake is undone at the provider, and nobody has to decide anything.
    for pupil in &school.pupils[..20] {
        school.provider.set(pupil, "active", true).await;
    }
    school.holds(0).await;
    assert_eq!((locked(&school), school.there()), (0, 30));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_of_events_is_not_told_of_more_than_the_limit_either() {
    let hooks = Webhooks::start().await;
    let relay = Setup::new().connector("events", webhook(&hooks, LIMITS)).start().await;
    let provider = relay.provider("lillevik");
    let pupils = hired(&provider, 30).await;
    relay.settled().await;
    for pupil in &pupils[..25] {
        provider.delete(&format!("Users/{pupil}")).await.expect(204);
    }
    provider.set(&pupils[29], "title", "Head of class").await;

    until("the others go on", async || hooks.story("pupil29").len() == 2).await;
    relay.settled().await;
    let told = || hooks.taken().iter().filter(|event| event.kind() == "user.deleted").count();
    let gone = told();
    assert!(gone <= LIMIT, "{gone} were told of");
    assert_eq!(held_at(&relay, "events").len(), 25 - gone);
    relay.command(&["held", "approve", "events", "--all", "--yes"]);
    until("all are told of", async || told() == 25).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_at_one_connector_is_done_at_another_that_allows_it() {
    let slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let relay = Setup::new()
        .connector("directory", ldap(&slapd, "[safety]\nmax_removals = 0\n"))
        .connector("events", webhook(&hooks, "[safety]\nmax_removals = \"100%\"\n"))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let pupils = hired(&provider, 3).await;
    relay.settled().await;
    for pupil in &pupils {
        provider.delete(&format!("Users/{pupil}")).await.expect(204);
    }
    until("the receiver was told", async || {
        hooks.taken().iter().filter(|event| event.kind() == "user.deleted").count() == 3
    })
    .await;
    until("the directory waits", async || held_at(&relay, "directory").len() == 3).await;
    assert_eq!(slapd.search(SUFFIX, "(uid=pupil*)").len(), 3);
    let attention = relay.json(&["status"])["attention"][0].clone();
    let attention = attention.as_str().unwrap();
    assert!(
        attention.contains("3 removals (none is made without it) wait for approval"),
        "{attention}"
    );
}
