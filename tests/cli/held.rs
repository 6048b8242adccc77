//! What waits for a person's word, as they read it and decide it.

use std::fmt::Write as _;
use std::fs;

use serde_json::json;

use crate::relay::{DIRECTORY, Relay, at_a_terminal, person, stable};

/// A directory that has these people already, and a relay that has been told of them, too: each is
/// a take-over, held.
fn held(names: &[String]) -> Relay {
    let by_mail = DIRECTORY
        .replace("[ldap.users.attributes]", "correlate = [\"mail\"]\n[ldap.users.attributes]");
    let mut relay = Relay::start(&[("directory", &by_mail)]);
    relay.terminate();
    let mut there = String::new();
    for name in names {
        write!(
            there,
            "dn: uid={name},ou=people,dc=lillevik,dc=example\nchangetype: add\n\
             objectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\nmail: {name}@x.example\n\n"
        )
        .unwrap();
    }
    fs::write(relay.path().join("connectors.d/people.ldif"), there).unwrap();
    relay.serve();
    let token = relay.token();
    for name in names {
        let mut person = person(name, Some(name));
        person["emails"] = json!([{ "value": format!("{name}@x.example") }]);
        assert_eq!(relay.push(&token, "POST", "/Users", &person), 201);
    }
    relay.has(0, "held", names.len() as u64);
    relay
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn key_of(relay: &Relay, name: &str) -> String {
    let rows = relay.json(&["held", "list", "directory", "--json"]);
    let row = rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
    format!("User/{}", row["id"].as_str().unwrap())
}

#[test]
fn an_entry_that_was_there_before_waits_until_it_is_approved() {
    let relay = held(&names(&["kari", "ola", "siri"]));
    let list = relay.run(&["held", "list"]);
    insta::assert_snapshot!(stable(&format!("{}{}", list.out, list.err), relay.path()));

    let (kari, ola) = (key_of(&relay, "kari"), key_of(&relay, "ola"));
    let approved = relay.run(&["held", "approve", "directory", &kari]);
    assert_eq!((approved.code, approved.err.as_str()), (0, "directory: 1 entry approved\n"));
    relay.has(0, "held", 2);
    let reason = "that is somebody else";
    let rejected = relay.run(&["held", "reject", "directory", &ola, "--reason", reason]);
    assert_eq!((rejected.code, rejected.err.as_str()), (0, "directory: 1 entry rejected\n"));
    relay.has(0, "parked", 1);
    assert!(relay.does(&["queue", "show", "directory", &ola]).contains(reason));
    relay.has(0, "pending", 0);
    let people = fs::read_to_string(relay.path().join("connectors.d/people.ldif")).unwrap();
    assert!(people.contains("cn: Kari Nordmann"), "taken over: {people}");
    let blank = relay.run(&["held", "reject", "directory", "--all", "--reason", " "]);
    assert!(blank.code == 1 && blank.err.contains("needs a reason"), "{}", blank.err);
}

#[test]
fn whoever_rejected_something_may_think_again() {
    let relay = held(&names(&["ola"]));
    let ola = key_of(&relay, "ola");
    let retried = relay.run(&["queue", "retry", "directory", &ola]);
    assert!(retried.code == 1 && retried.err.contains("but approved"), "{}", retried.err);
    relay.does(&["held", "reject", "directory", &ola, "--reason", "that is somebody else"]);
    relay.has(0, "parked", 1);
    let shown = relay.does(&["queue", "show", "directory", &ola]);
    assert!(shown.contains("A person rejected it"), "{shown}");
    relay.does(&["held", "approve", "directory", &ola]);
    relay.has(0, "parked", 0);
    relay.has(0, "pending", 0);
    let people = fs::read_to_string(relay.path().join("connectors.d/people.ldif")).unwrap();
    assert!(people.contains("cn: Kari Nordmann"), "taken over: {people}");
}

#[test]
fn a_decision_that_comes_to_nothing_says_so() {
    let relay = held(&names(&["kari", "ola"]));
    let kari = key_of(&relay, "kari");
    relay.does(&["connector", "pause", "directory"]);
    let paused = relay.run(&["held", "approve", "directory", &kari]);
    assert_eq!(
        paused.err,
        "directory: 1 entry approved\n\
         directory: it is paused, so nothing happens until `scim-relay connector resume directory`; \
         what is not done within 24 hours waits for approval again\n"
    );
    relay.does(&["connector", "resume", "directory"]);
    relay.has(0, "held", 1);
    let again = relay.run(&["held", "approve", "directory", &kari]);
    assert_eq!(again.code, 1);
    assert_eq!(
        again.err,
        format!(
            "directory: 0 entries approved\nerror: nothing of {kari} waits for approval at \
             directory, or not any more: `scim-relay held list directory` shows what does\n"
        )
    );
}

#[test]
fn a_kind_can_be_listed_and_decided_by_itself_and_an_empty_list_says_so() {
    let relay = held(&names(&["kari"]));
    let of = |kind: &str| relay.json(&["held", "list", "--kind", kind, "--json"]);
    assert_eq!(of("take_over").as_array().map(Vec::len), Some(1));
    assert_eq!(of("removal"), json!([]));
    let none = relay.run(&["held", "approve", "directory", "--kind", "removal"]);
    assert_eq!(
        (none.code, none.err.as_str()),
        (0, "Nothing of the kind removal waits for approval at directory.\n")
    );
    relay.does(&["held", "approve", "directory", "--kind", "take_over"]);
    relay.has(0, "held", 0);
    assert_eq!(relay.run(&["held", "list"]).err, "Nothing waits for approval.\n");
    let unknown = relay.run(&["held", "list", "directroy"]);
    assert_eq!(
        unknown.err,
        "error: there is no connector `directroy`; there is only `directory`\n"
    );
    assert_eq!(relay.run(&["held", "list", "--kind", "remove"]).code, 2);
}

#[test]
fn more_than_a_person_sees_at_a_glance_is_asked_about_at_a_terminal() {
    let many: Vec<String> = (0..12).map(|number| format!("pupil{number}")).collect();
    let relay = held(&many);
    let all = "held approve directory --all";
    let no = at_a_terminal(&relay, all, "n\n");
    assert!(no.out.contains("Approve at directory: 12 take-overs? [y/N]"), "{}", no.out);
    assert!(no.code == 1 && no.out.contains("Nothing was decided."), "{}", no.out);
    relay.has(0, "held", 12);
    let yes = at_a_terminal(&relay, "held reject directory --all --reason later", "yes\n");
    assert!(yes.code == 0 && yes.out.contains("12 entries rejected"), "{}", yes.out);
    relay.has(0, "parked", 12);
}

#[test]
fn without_a_terminal_nobody_is_asked_and_yes_must_be_said_beforehand() {
    let many: Vec<String> = (0..12).map(|number| format!("pupil{number}")).collect();
    let relay = held(&many);
    let unasked = relay.run(&["held", "approve", "directory", "--all"]);
    assert!(unasked.code == 2 && unasked.err.contains("`--yes`"), "{}", unasked.err);
    relay.has(0, "held", 12);
    let six: Vec<String> = many[..6].iter().map(|name| key_of(&relay, name)).collect();
    let six: Vec<&str> = six.iter().map(String::as_str).collect();
    let some = relay.run(&[&["held", "approve", "directory"][..], &six].concat());
    assert_eq!((some.code, some.err.as_str()), (0, "directory: 6 entries approved\n"));
    let yes = at_a_terminal(&relay, "held approve directory --all --yes", "");
    assert!(yes.code == 0 && yes.out.contains("6 entries approved"), "{}", yes.out);
    relay.has(0, "held", 0);
}
