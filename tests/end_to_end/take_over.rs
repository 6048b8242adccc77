//! Entries that were in the directory before the relay.

use crate::kit::relay::{Relay, Setup};
use crate::kit::slapd::Slapd;
use crate::kit::targets::ldap;
use crate::kit::until;

/// A directory with an Ada of its own, and a relay that has been told of her and of Grace.
async fn two_adas() -> (Slapd, Relay, String) {
    let slapd = Slapd::start().await;
    slapd.add_person("ada", "mail: ada@lillevik.example\ntitle: by hand\n");
    let relay = Setup::new().connector("directory", ldap(&slapd, "")).start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    provider.hire("grace").await;
    until("she is held", async || relay.backlog("directory", "held") == 1).await;
    relay.settled().await;
    (slapd, relay, ada)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_was_there_before_waits_for_approval_and_holds_up_nobody() {
    let (slapd, relay, ada) = two_adas().await;
    let untouched = slapd.one("(uid=ada)");
    assert_eq!(untouched.values("title"), ["by hand"]);
    assert_eq!(untouched.values("employeeNumber"), [""; 0]);
    assert_eq!(slapd.one("(uid=grace)").values("employeeNumber"), ["ext-grace"]);

    let held = relay.json(&["held", "list"]);
    assert_eq!(held.as_array().map(Vec::len), Some(1), "{held}");
    assert_eq!(held[0]["name"], "ada");
    assert_eq!(held[0]["hold_kind"], "take_over");
    let reason = held[0]["summary"].as_str().unwrap();
    assert!(reason.contains("uid=ada,ou=people") && reason.contains("mail"), "{reason}");

    relay.command(&["held", "approve", "directory", &format!("User/{ada}")]);
    relay.settled().await;
    let taken = slapd.one("(uid=ada)");
    assert_eq!(taken.values("entryUUID"), untouched.values("entryUUID"));
    assert_eq!(taken.values("employeeNumber"), ["ext-ada"]);
    assert_eq!(relay.json(&["held", "list"]), serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_over_that_is_rejected_is_parked_with_the_reason() {
    let (slapd, relay, ada) = two_adas().await;

    let subject = format!("User/{ada}");
    relay.command(&["held", "reject", "directory", &subject, "--reason", "another Ada"]);

    assert_eq!(relay.backlog("directory", "held"), 0);
    let parked = relay.json(&["queue", "list", "--state", "parked"]);
    assert!(parked[0]["last_error"].as_str().unwrap().contains("another Ada"), "{parked}");
    assert_eq!(slapd.one("(uid=ada)").values("title"), ["by hand"]);
}
