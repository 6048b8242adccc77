//! The daemon as whoever starts, reloads and stops it sees it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::relay::{DIRECTORY, Relay};

#[test]
fn a_wrong_file_is_not_taken_over_by_a_running_daemon() {
    let relay = Relay::start(&[("directory", DIRECTORY)]);
    fs::write(relay.path().join("connectors.d/other.toml"), "[ldap]\nurll = 5\n").unwrap();
    relay.signal("-HUP");
    relay.hears("reading the configuration again");
    relay.hears("STATUS=serving");
    assert!(relay.log().contains("the old configuration stays in force"), "{}", relay.log());
    // The client, too, finds the daemon by a configuration that is wrong elsewhere.
    let status = relay.json(&["status", "--json"]);
    assert_eq!(status["connectors"].as_array().unwrap().len(), 1);

    fs::write(relay.path().join("connectors.d/other.toml"), DIRECTORY.replace("people", "other"))
        .unwrap();
    relay.signal("-HUP");
    relay.hears("reading the configuration again");
    relay.hears("STATUS=serving");
    let names = relay.json(&["connector", "list", "--json"]);
    assert_eq!(names.as_array().unwrap().len(), 2, "{}", relay.log());
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused() {
    let relay = Relay::start(&[]);
    let second = relay.run(&["serve"]);
    assert_eq!(second.code, 1, "{}", second.err);
    assert!(second.err.contains("another scim-relay uses"), "{}", second.err);
    assert_eq!(relay.run(&["status"]).code, 0, "the first one goes on");
}

#[test]
fn a_stopped_daemon_ends_well_and_soon_and_takes_its_socket_along() {
    let mut relay = Relay::start(&[("directory", DIRECTORY)]);
    let mode = fs::metadata(relay.path().join("admin.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let begun = Instant::now();
    let ended = relay.terminate();
    assert_eq!(ended.code(), Some(0), "{}", relay.log());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!relay.path().join("admin.sock").exists());
    assert_eq!(relay.run(&["status"]).code, 1);
}

#[test]
fn what_a_provider_does_differently_is_shown_and_from_a_reload_on_refused() {
    let relay = Relay::start(&[]);
    let token = relay.token();
    assert!(!relay.does(&["status"]).contains("RFCs"));
    let bare = |name: &str| json!({ "userName": name, "active": "True" });
    for name in ["ada", "bea"] {
        assert_eq!(relay.push(&token, "POST", "/Users", &bare(name)), 201);
    }
    let filter = "/Users?filter=active%20eq%20%22True%22";
    assert_eq!(relay.push(&token, "GET", filter, &Value::Null), 200);
    let status = relay.does(&["status"]);
    let told =
        |line: &str| line.starts_with("lillevik") && line.contains("3  understood  `\"True\"");
    assert!(status.lines().any(told), "{status}");
    let most = &relay.json(&["status", "--json"])["organizations"][0]["deviations"][0];
    assert_eq!((&most["quirk"], &most["requests"]), (&json!("string_boolean"), &json!(3)));

    let file = relay.path().join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let strict = "[organizations.lillevik]\nstrict = true\n";
    fs::write(&file, text.replace("[organizations.lillevik]\n", strict)).unwrap();
    relay.signal("-HUP");
    relay.hears("reading the configuration again");
    relay.hears("STATUS=serving");
    assert_eq!(relay.push(&token, "POST", "/Users", &bare("eve")), 400);
    assert_eq!(relay.push(&token, "GET", filter, &Value::Null), 400);
    let status = relay.json(&["status", "--json"]);
    assert_eq!(status["organizations"][0]["deviations"][0]["requests"], 5);
    assert_eq!(status["organizations"][0]["users"], 2);
    assert!(relay.does(&["status"]).contains("  refused  "));
}
