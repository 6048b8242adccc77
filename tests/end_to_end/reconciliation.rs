//! What somebody did to the directory by hand, found and put right.

use serde_json::{Value, json};

use crate::kit::relay::{Relay, Setup};
use crate::kit::slapd::{Options, SUFFIX, Slapd};
use crate::kit::targets::ldap;
use crate::kit::until;

/// A directory with people in it.
async fn filled(slapd: &Slapd, people: &[&str]) -> Relay {
    let relay = Setup::new().connector("directory", ldap(slapd, "")).start().await;
    let provider = relay.provider("lillevik");
    for name in people {
        provider.hire(name).await;
    }
    relay.settled().await;
    relay
}

/// Deletes one, changes two, adds a stranger.
fn meddle(slapd: &Slapd) {
    slapd.apply(&format!("dn: uid=one,ou=people,{SUFFIX}\nchangetype: delete\n"));
    slapd.apply(&format!(
        "dn: uid=two,ou=people,{SUFFIX}\nchangetype: modify\nreplace: cn\ncn: Evil Two\n"
    ));
    slapd.add_person("stranger", "");
}

/// The drift's kinds and addresses.
fn findings(report: &Value) -> Vec<(String, String)> {
    let drift = report["drift"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<_> =
        drift.iter().map(|one| (text(&one["kind"]), text(&one["address"]))).collect();
    found.sort();
    found
}

fn expected(findings: &[(&str, &str)]) -> Vec<(String, String)> {
    let dn = |uid: &str| format!("uid={uid},ou=people,{SUFFIX}");
    findings.iter().map(|(kind, uid)| ((*kind).to_owned(), dn(uid))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_finds_what_was_done_by_hand_and_changes_nothing() {
    let slapd = Slapd::start().await;
    let relay = filled(&slapd, &["one", "two", "three"]).await;
    assert_eq!(relay.json(&["reconcile", "directory", "--dry-run"])["drift"], json!([]));
    meddle(&slapd);
    let before = slapd.search(SUFFIX, "(objectClass=*)");

    let output = relay.run(&["reconcile", "directory", "--dry-run", "--json"]);

    assert_eq!(output.status.code(), Some(3), "a difference was found");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = expected(&[("changed", "two"), ("missing", "one"), ("orphaned", "stranger")]);
    assert_eq!(findings(&report), all);
    relay.settled().await;
    assert_eq!(slapd.search(SUFFIX, "(objectClass=*)"), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reconciliation_puts_right_what_was_done_by_hand_and_reports_strangers() {
    let slapd = Slapd::start().await;
    let relay = filled(&slapd, &["one", "two", "three"]).await;
    meddle(&slapd);

    let report = relay.json(&["reconcile", "directory"]);

    let all = expected(&[("changed", "two"), ("missing", "one"), ("orphaned", "stranger")]);
    assert_eq!(findings(&report), all);
    relay.settled().await;
    assert_eq!(slapd.one("(uid=one)").values("employeeNumber"), ["ext-one"]);
    assert_eq!(slapd.one("(uid=two)").values("cn"), ["two Lie"]);
    assert_eq!(slapd.one("(uid=stranger)").values("cn"), ["stranger"], "it is only reported");
    let report = relay.json(&["reconcile", "directory"]);
    assert_eq!(findings(&report), expected(&[("orphaned", "stranger")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_reconciliations_of_one_directory_run_one_after_the_other() {
    let slapd = Slapd::start().await;
    let relay = filled(&slapd, &["one", "two", "three"]).await;
    meddle(&slapd);

    let mut times: Vec<(String, String)> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..6).map(|_| scope.spawn(|| relay.json(&["reconcile", "directory"]))).collect();
        runs.into_iter()
            .map(|run| {
                let report = run.join().unwrap();
                let time = |name: &str| report[name].as_str().unwrap().to_owned();
                (time("started"), time("ended"))
            })
            .collect()
    });

    times.sort();
    for pair in times.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "{times:?}");
    }
    relay.settled().await;
    assert_eq!(slapd.one("(uid=two)").values("cn"), ["two Lie"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_go_where_the_configuration_says_so() {
    let slapd = Slapd::start().await;
    let relay = filled(&slapd, &["one"]).await;
    slapd.add_person("stranger", "");
    relay.write_connector("directory", &ldap(&slapd, "[reconcile]\norphans = \"deprovision\"\n"));
    relay.reload().await;
    relay.settled().await;

    relay.command(&["reconcile", "directory"]);

    relay.settled().await;
    let left = slapd.search(SUFFIX, "(objectClass=inetOrgPerson)");
    let names: Vec<_> = left.iter().flat_map(|entry| entry.values("uid")).collect();
    assert_eq!(names, ["one"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_were_changed_by_hand_are_put_right() {
    let slapd = Slapd::start().await;
    let relay = Setup::new().connector("directory", ldap(&slapd, "")).start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    let grace = provider.hire("grace").await;
    provider.group("choir", &[&ada, &grace]).await;
    relay.settled().await;
    slapd.apply(&format!(
        "dn: cn=choir,ou=groups,{SUFFIX}\nchangetype: modify\n\
         add: member\nmember: uid=intruder,ou=people,{SUFFIX}\n-\n\
         delete: member\nmember: uid=ada,ou=people,{SUFFIX}\n"
    ));

    relay.command(&["reconcile", "directory"]);

    relay.settled().await;
    let expected = ["ada", "grace"].map(|uid| format!("uid={uid},ou=people,{SUFFIX}"));
    assert_eq!(slapd.one("(cn=choir)").values("member"), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_puts_right_what_was_done_by_hand_without_being_asked() {
    let slapd = Slapd::start().await;
    let every_second = "[reconcile]\nschedule = \"* * * * * *\"\n";
    let relay = Setup::new().connector("directory", ldap(&slapd, every_second)).start().await;
    relay.provider("lillevik").hire("one").await;
    relay.settled().await;

    slapd.apply(&format!("dn: uid=one,ou=people,{SUFFIX}\nchangetype: delete\n"));

    until("it is there again", async || !slapd.search(SUFFIX, "(uid=one)").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_ends_early_repairs_nothing() {
    let limits = "size.soft=5 size.hard=5";
    let slapd = Slapd::start_with(&Options { limits, ..Options::default() }).await;
    let names: Vec<String> = (1..=12).map(|number| format!("person{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let relay = filled(&slapd, &names).await;
    slapd.apply(&format!("dn: uid=person3,ou=people,{SUFFIX}\nchangetype: delete\n"));
    let before = slapd.search(SUFFIX, "(objectClass=*)");

    let output = relay.run(&["reconcile", "directory"]);

    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("sizeLimitExceeded"), "{complaint}");
    relay.settled().await;
    assert_eq!(slapd.search(SUFFIX, "(objectClass=*)"), before);
    let error = &relay.connector("directory")["last_reconciliation"]["error"];
    assert!(error.is_string(), "status says so, too: {error}");
}
