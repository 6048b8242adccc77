//! Directories that answer with every kind of no, and with worse (faults 21 to 27 and attack 73): what
//! the queue shows of it, and what is there when the directory has come to its senses.

use serde_json::Value;

use crate::kit::ldap_script::{Reply, Scripted};
use crate::kit::proxy::Proxy;
use crate::kit::relay::Setup;
use crate::kit::slapd::{Options, SUFFIX, Slapd};
use crate::kit::targets::{ldap, webhook};
use crate::kit::until;
use crate::kit::webhooks::Webhooks;

/// A connector file by way of the script.
fn through(script: &Scripted, slapd: &Slapd, general: &str) -> String {
    let url = format!("url = \"{}\"\n", slapd.tls_url());
    let own = format!("url = \"{}\"\nallow_plaintext = true\n", script.url());
    let ca = format!("ca = \"{}\"\n", slapd.ca().display());
    ldap(slapd, general).replace(&url, &own).replace(&ca, "")
}

fn entry(queue: &Value, name: &str) -> Option<Value> {
    queue.as_array()?.iter().find(|entry| entry["name"] == name).cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_no_of_a_directory_is_retried_or_shown_to_a_person_as_its_code_says() {
    let (slapd, hooks) = (Slapd::start().await, Webhooks::start().await);
    let script = Scripted::before(&slapd.plain_url()).await;
    let limits = "[limits]\ntimeout = \"500ms\"\n";
    let relay = Setup::new()
        .connector("directory", through(&script, &slapd, limits))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    provider.hire("polite").await;
    relay.settled().await;
    let memory = relay.peak_memory();

    // Were it followed, a password would go to whoever listens there.
    let trap = Proxy::before(&slapd.plain_url()).await;
    let referral = Reply::Referral(trap.on_the_way(&slapd.plain_url()));
    // Lengths of two gibibytes and of more than there is, and a message that says nothing.
    let odd = vec![0x30, 0x03, 0x02, 0x01, 0x63];
    let long = vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01];
    let longer = vec![0x30, 0x88, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let faults = [
        ("busy", Reply::Result(51, ""), "retrying", "the server answered busy (51)"),
        ("closed", Reply::Result(52, "at night"), "retrying", "unavailable (52), \"at night\""),
        ("limited", Reply::Result(11, ""), "retrying", "adminLimitExceeded (11)"),
        (
            "unwilling",
            Reply::Result(53, "no, dear"),
            "parked",
            "unwillingToPerform (53), \"no, dear\"",
        ),
        ("narrow", Reply::Result(19, "too odd"), "parked", "constraintViolation (19), \"too odd\""),
        ("elsewhere", referral, "parked", "referrals are not followed"),
        ("silent", Reply::Unanswered, "retrying", "was not answered"),
        ("leaving", Reply::Disconnects, "retrying", "was not answered"),
        ("long", Reply::Says(long), "retrying", "was not answered"),
        ("odd", Reply::Says(odd), "retrying", "was not answered"),
        ("longer", Reply::Says(longer), "retrying", "was not answered"),
    ];
    for (name, reply, ..) in &faults {
        // Were nobody to arrive for long, the directory would be down.
        if *name == "silent" {
            provider.hire("courteous").await;
            until("somebody arrives", async || slapd.search(SUFFIX, "(uid=courteous)").len() == 1)
                .await;
        }
        script.reply(format!("uid={name},"), reply.clone());
        provider.hire(name).await;
    }
    until("the others are told", async || hooks.taken().len() == faults.len() + 2).await;
    for (name, _, state, words) in &faults {
        until(&format!("what `{name}` gets is shown"), async || {
            let queue = relay.json(&["queue", "list", "--connector", "directory"]);
            let shown = entry(&queue, name);
            shown.is_some_and(|shown| {
                let error = shown["last_error"].as_str().unwrap_or_default();
                shown["state"] == *state && error.contains(words)
            })
        })
        .await;
        let times = script.met(&format!("uid={name},"));
        assert!(times >= 1 && (*state == "retrying" || times == 1), "{name}: {times} times");
    }
    assert_eq!(relay.connector("directory")["state"], "up");
    assert_eq!(trap.connections(), 0, "a referral is not followed");
    let grown = relay.peak_memory().saturating_sub(memory);
    assert!(grown < 50 << 10, "it grew by {grown} KiB");

    script.behave();
    relay.command(&["queue", "retry", "--connector", "directory"]);
    relay.settled().await;
    assert_eq!(relay.json(&["queue", "list"]), serde_json::json!([]));
    for (name, ..) in &faults {
        let found = slapd.one(&format!("(uid={name})"));
        assert_eq!(found.values("employeeNumber"), [format!("ext-{name}")]);
    }
    assert_eq!(slapd.search(SUFFIX, "(objectClass=inetOrgPerson)").len(), faults.len() + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_update_is_lost_in_the_middle_is_read_again_and_completed() {
    let slapd = Slapd::start().await;
    let script = Scripted::before(&slapd.plain_url()).await;
    let limits = "[limits]\ntimeout = \"500ms\"\n";
    let relay = Setup::new().connector("directory", through(&script, &slapd, limits)).start().await;
    let provider = relay.provider("lillevik");
    let mut people = Vec::new();
    for name in ["ada", "grace", "joan"] {
        people.push(provider.hire(name).await);
    }
    let choir = provider.group("choir", &[&people[0]]).await;
    relay.settled().await;

    // Carried out and not answered, then answered with a farewell and not carried out.
    for (reply, newcomer, leaver) in
        [(Reply::Unanswered, &people[1], None), (Reply::Disconnects, &people[2], Some(&people[1]))]
    {
        script.reply("cn=choir,", reply);
        provider.join(&choir, newcomer).await;
        until("it was lost", async || script.met("cn=choir,") > 0).await;
        if let Some(leaver) = leaver {
            provider.leave(&choir, leaver).await;
        }
        script.behave();
        relay.settled().await;
    }
    let choir = slapd.one("(cn=choir)");
    let members = ["ada", "joan"].map(|uid| format!("uid={uid},ou=people,{SUFFIX}"));
    assert_eq!(choir.values("member"), members);
    let drift = &relay.json(&["reconcile", "directory", "--dry-run"])["drift"];
    assert_eq!(*drift, serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ended_stops_the_connector_and_its_last_day_is_named() {
    let slapd = Slapd::start_with(&Options { expired: true, ..Options::default() }).await;
    let relay = Setup::new().connector("directory", ldap(&slapd, "")).start().await;
    relay.provider("lillevik").hire("ada").await;
    until("it is stopped", async || relay.connector("directory")["state"] == "refused").await;
    let attention = relay.json(&["status"])["attention"].to_string();
    assert!(attention.contains("it expired on 2021-02-03; renew it"), "{attention}");
    assert_eq!(relay.backlog("directory", "pending"), 1, "it is nobody's fault");
}
