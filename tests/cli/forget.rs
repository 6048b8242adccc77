//! A connector that is no more.

use std::fs;

use crate::relay::{DIRECTORY, Relay, at_a_terminal, person};

#[test]
fn what_is_forgotten_comes_back_as_a_stranger_that_takes_nothing_over_unasked() {
    let mut relay = Relay::start(&[("directory", DIRECTORY)]);
    let token = relay.token();
    assert_eq!(relay.push(&token, "POST", "/Users", &person("kari", Some("E-17"))), 201);
    assert_eq!(relay.push(&token, "POST", "/Users", &person("ola", None)), 201);
    relay.has(0, "parked", 1);
    relay.has(0, "pending", 0);

    let running = relay.run(&["connector", "forget", "directory", "--yes"]);
    assert_eq!(running.code, 1);
    assert!(running.err.contains("directory is running"), "{}", running.err);
    let unknown = relay.run(&["connector", "forget", "directroy", "--yes"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (1, "error: there is no connector `directroy`; there is only `directory`\n")
    );

    let file = relay.path().join("connectors.d/directory.toml");
    fs::write(&file, format!("enabled = false\n{DIRECTORY}")).unwrap();
    relay.reload();
    let unasked = relay.run(&["connector", "forget", "directory"]);
    assert_eq!(unasked.code, 2, "{}", unasked.err);
    let no = at_a_terminal(&relay, "connector forget directory", "n\n");
    assert!(no.code == 1 && no.out.contains("Nothing was forgotten."), "{}", no.out);
    let forgotten = relay.run(&["connector", "forget", "directory", "--yes"]);
    assert_eq!(
        (forgotten.code, forgotten.err.as_str()),
        (0, "directory is forgotten, with 1 entry that it delivered and 1 entry that waits.\n")
    );
    assert_eq!(relay.run(&["connector", "forget", "directory", "--yes"]).code, 1, "it is gone");

    let people = relay.path().join("connectors.d/people.ldif");
    let before = fs::read_to_string(&people).unwrap();
    fs::write(&file, DIRECTORY).unwrap();
    relay.reload();
    relay.has(0, "held", 1);
    assert_eq!(fs::read_to_string(&people).unwrap(), before, "nothing was taken over");

    let audited = relay.audited("connector.forget");
    assert_eq!(audited.len(), 1, "{audited:?}");
    assert_eq!(audited[0].0, "directory");
}
