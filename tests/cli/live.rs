//! What goes through the admin socket to the running daemon.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::relay::{DIRECTORY, PATIENCE, Relay, person, stable};

#[test]
fn tokens_open_the_service_from_their_making_to_their_end() {
    let relay = Relay::start(&[]);
    let none = relay.run(&["token", "list", "lillevik"]);
    assert!(none.err.contains("`scim-relay token create lillevik`"), "{}", none.err);

    let said = relay.run(&["token", "create", "lillevik", "--name", "Entra", "--expires", "365d"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let first = said.out.strip_suffix('\n').unwrap();
    assert!(first.starts_with("scimr_") && !first.contains(char::is_whitespace), "{first}");
    assert!(!said.err.contains(first), "the notes do not repeat it");
    let kari = person("kari", None);
    assert_eq!(relay.push(first, "POST", "/Users", &kari), 201);

    let reader = relay.does(&["token", "create", "lillevik", "--read-only"]);
    assert_eq!(relay.push(reader.trim(), "GET", "/Users", &Value::Null), 200);
    assert_eq!(relay.push(reader.trim(), "DELETE", "/Users/x", &Value::Null), 403);

    let second = relay.does(&["token", "rotate", "lillevik", "1", "--overlap", "0s"]);
    assert_eq!(relay.push(first, "GET", "/Users", &Value::Null), 401);
    assert_eq!(relay.push(second.trim(), "GET", "/Users", &Value::Null), 200);

    let lines = relay.json(&["token", "list", "lillevik", "--json"]);
    let states: Vec<_> = lines.as_array().unwrap().iter().map(|line| &line["state"]).collect();
    assert_eq!(states, ["expired", "active", "active"]);
    let listed = relay.does(&["token", "list", "lillevik"]);
    assert!(listed.contains("Entra"), "{listed}");
    assert!(!listed.contains(first) && !listed.contains(second.trim()), "{listed}");

    relay.does(&["token", "revoke", "lillevik", "3"]);
    assert_eq!(relay.push(second.trim(), "GET", "/Users", &Value::Null), 401);

    let again = relay.run(&["token", "revoke", "lillevik", "3"]);
    assert_eq!((again.code, again.err.as_str()), (1, "error: token 3 is revoked already\n"));
    let nowhere = relay.run(&["token", "create", "lilleby"]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.err.contains("there is only `lillevik`"), "{}", nowhere.err);
    let endless = relay.run(&["token", "create", "lillevik", "--expires", "99999 weeks"]);
    assert_eq!(endless.err, "error: that is more than a hundred years\n");
}

#[test]
fn status_fits_a_screen_and_says_what_to_do() {
    let relay = Relay::start(&[("directory", DIRECTORY)]);
    let token = relay.token();
    assert_eq!(relay.push(&token, "POST", "/Users", &person("kari", Some("E-17"))), 201);
    assert_eq!(relay.push(&token, "POST", "/Users", &person("ola", None)), 201);
    relay.has(0, "parked", 1);
    relay.has(0, "pending", 0);
    relay.does(&["connector", "pause", "directory"]);

    let status = relay.json(&["status", "--json"]);
    assert_eq!(status["organizations"][0]["users"], 2);
    assert_eq!(status["connectors"][0]["state"], "paused");
    let by = status["connectors"][0]["paused"]["by"].as_str().unwrap();
    assert!(by.starts_with("user ") || by.starts_with("uid "), "{by}");

    let text = relay.does(&["status"]);
    let text = stable(&text, relay.path()).replace(by, "WHO");
    let text: Vec<&str> = text.lines().filter(|line| !line.contains("up for")).collect();
    let text = text.join("\n");
    // A token's last use is written down every few seconds.
    let text = text.replace("  0  1  -\n", "  0  1  AGO\n");
    let (before, after) = text.split_once("by WHO ").unwrap();
    let (_, after) = after.split_once(';').unwrap();
    insta::assert_snapshot!(format!("{before}by WHO AGO;{after}"));

    relay.does(&["connector", "resume", "directory"]);
    assert_eq!(relay.json(&["status", "--json"])["connectors"][0]["state"], "up");
    let tested = relay.does(&["connector", "test", "directory"]);
    assert!(tested.starts_with("directory: "), "{tested}");
    let unknown = relay.run(&["connector", "pause", "directroy"]);
    assert_eq!(
        unknown.err,
        "error: there is no connector `directroy`; there is only `directory`\n"
    );
}

#[test]
fn the_queue_is_listed_shown_retried_and_skipped() {
    let relay = Relay::start(&[("directory", DIRECTORY)]);
    let token = relay.token();
    let empty = relay.run(&["queue", "list"]);
    assert_eq!(empty.err, "Nothing waits: every target is in line.\n");
    assert_eq!(relay.push(&token, "POST", "/Users", &person("ola", None)), 201);
    relay.has(0, "parked", 1);

    let rows = relay.json(&["queue", "list", "--state", "parked", "--json"]);
    let resource = format!("User/{}", rows[0]["id"].as_str().unwrap());
    let list = relay.does(&["queue", "list", "--connector", "directory"]);
    assert!(list.contains(&resource) && list.contains("parked") && list.contains("ola"), "{list}");
    let page = relay.does(&["queue", "show", "directory", "User/OLA"]);
    assert_eq!(page, relay.does(&["queue", "show", "directory", &resource]), "by name or by id");
    assert!(page.contains("Last error"), "{page}");
    let words: Vec<&str> = page.split_whitespace().collect();
    let error = rows[0]["last_error"].as_str().unwrap();
    assert!(words.join(" ").contains(error), "{page}");

    for which in [&["--all"][..], &["--connector", "directory"], &["directory", &resource]] {
        relay.has(0, "parked", 1);
        let said = relay.run(&[&["queue", "retry"], which].concat());
        assert_eq!((said.code, said.err.as_str()), (0, "1 entry is due now\n"), "{which:?}");
    }
    relay.has(0, "parked", 1);
    let blank = relay.run(&["queue", "skip", "directory", &resource, "--reason", " "]);
    assert_eq!(blank.code, 1);
    assert!(blank.err.contains("needs a reason"), "{}", blank.err);
    relay.does(&["queue", "skip", "directory", &resource, "--reason", "left long ago"]);
    let gone = relay.run(&["queue", "show", "directory", &resource]);
    assert_eq!(gone.code, 1);
    let nothing = relay.run(&["queue", "retry", "directory", &resource]);
    assert_eq!(nothing.code, 1, "{}", nothing.err);

    relay.does(&["resync", "directory", "--user", "ola"]);
    relay.has(0, "parked", 1);
    let nobody = relay.run(&["resync", "--all", "--group", "1a"]);
    assert_eq!(nobody.err, "error: there is no group `1a`\n");
}

#[test]
fn drift_is_shown_as_a_diff_and_a_dry_run_that_finds_some_is_3() {
    let mut relay = Relay::start(&[("directory", DIRECTORY)]);
    let token = relay.token();
    assert_eq!(relay.push(&token, "POST", "/Users", &person("kari", Some("E-17"))), 201);
    let begun = Instant::now();
    while relay.json(&["status", "--json"])["connectors"][0]["holds"] != 1 {
        assert!(begun.elapsed() < PATIENCE, "{}", relay.log());
    }
    let same = relay.run(&["reconcile", "directory", "--dry-run"]);
    assert_eq!(same.code, 0, "{}", same.err);
    assert_eq!(same.out, "directory: 1 entry at the target: the target is in line\n");

    assert_eq!(relay.terminate().code(), Some(0));
    let people = relay.path().join("connectors.d/people.ldif");
    let written = fs::read_to_string(&people).unwrap();
    fs::write(&people, written.replace("cn: Kari Nordmann", "cn: Someone Else")).unwrap();
    relay.serve();
    let diff = relay.run(&["reconcile", "directory", "--dry-run"]);
    assert_eq!(diff.code, 3, "{}{}", diff.out, diff.err);
    insta::assert_snapshot!(stable(&diff.out, relay.path()));
    let report = relay.run(&["reconcile", "directory", "--dry-run", "--json"]);
    assert_eq!(report.code, 3);
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(report["drift"][0]["kind"], "changed");

    let preview = relay.does(&["preview", "directory", "--user", "kari"]);
    assert!(preview.contains("Kari Nordmann"), "{preview}");
}
