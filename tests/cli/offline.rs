//! What needs no daemon, and what is said where there is none.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use crate::relay::{DIRECTORY, HOOK, Said, folder, person, program, run};

#[test]
fn wrong_usage_is_2_and_help_names_the_exit_codes() {
    let folder = folder(&[]);
    for wrong in [
        &["tokens"][..],
        &[],
        &["token", "create"],
        &["token", "create", "lillevik", "--expires", "soon"],
        &["queue", "skip", "directory", "User/0199a2b4-7c1e-7d3a-9f00-3f2b6c5d4e10"],
        &["queue", "show", "directory", "kari"],
        &["queue", "retry"],
        &["queue", "retry", "directory"],
        &["queue", "list", "--state", "lost"],
        &["held", "approve", "directory"],
        &["held", "reject", "directory", "--all"],
        &["preview", "directory"],
        &["preview", "directory", "--user", "a", "--group", "b"],
        &["resync", "--all"],
        &["resync", "--everyone"],
    ] {
        let said = run(folder.path(), wrong);
        assert_eq!(said.code, 2, "{wrong:?}: {}{}", said.out, said.err);
        assert_eq!(said.out, "", "{wrong:?}");
    }
    let help = run(folder.path(), &["--help"]);
    assert_eq!(help.code, 0);
    insta::assert_snapshot!(help.out);
}

#[test]
fn without_a_daemon_every_live_command_says_how_to_start_it() {
    let folder = folder(&[]);
    for live in [
        &["status"][..],
        &["token", "list", "lillevik"],
        &["connector", "list"],
        &["held", "list"],
        &["queue", "list"],
        &["preview", "directory", "--user", "kari"],
        &["reconcile", "directory"],
        &["resync", "--all", "--everyone"],
    ] {
        let said = run(folder.path(), live);
        assert_eq!(said.code, 1, "{live:?}");
        assert_eq!(
            said.err,
            format!(
                "error: scim-relay is not running (no answer on {}); start it with `systemctl \
                 start scim-relay` or `scim-relay serve`\n",
                folder.path().join("admin.sock").display()
            ),
            "{live:?}"
        );
    }
}

#[test]
fn a_wrong_configuration_is_78_with_its_mistakes_shown_where_they_stand() {
    let folder = folder(&[("directory", "[ldap]\nurl = \"ldaps://dir.example\"\nbind_dm = 5\n")]);
    for command in ["check", "serve"] {
        let said = run(folder.path(), &[command]);
        assert_eq!((said.code, said.out.as_str()), (78, ""), "{command}");
        let shown = said.err.replace(&folder.path().display().to_string(), "DIR");
        assert!(shown.contains("DIR/connectors.d/directory.toml:3:1"), "{shown}");
        assert!(shown.ends_with("error: 1 mistake in the configuration\n"), "{shown}");
        assert!(!shown.contains('\x1b'), "colour is for terminals: {shown}");
    }
    let missing = program(folder.path()).args(["check", "--config", "/nowhere"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(78));
}

#[test]
fn check_says_what_is_fine_and_online_who_does_not_answer() {
    let folder = folder(&[("directory", DIRECTORY), ("hook", HOOK)]);
    let said = run(folder.path(), &["check"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(said.out, "configuration is fine: 1 organization, 2 connectors\n");
    assert!(!folder.path().join("data").exists(), "check makes nothing");

    let online = run(folder.path(), &["check", "--online"]);
    assert_eq!(online.code, 1, "{}", online.out);
    assert!(online.out.contains("directory: answers: "), "{}", online.out);
    assert!(online.out.contains("hook: fails: "), "{}", online.out);
}

#[test]
fn a_connector_that_cannot_be_built_is_a_mistake_too() {
    let mail = "[email]\ntransport = \"file\"\nfolder = \"mails\"\nfrom = \"it@lillevik.example\"\ntemplates = \"nowhere/\"\n";
    let folder = folder(&[("mail", mail)]);
    let said = run(folder.path(), &["check"]);
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(said.err.contains("connectors.d/mail.toml:5"), "{}", said.err);
}

#[test]
fn a_preview_of_a_file_needs_no_daemon() {
    let folder = folder(&[("directory", DIRECTORY), ("hook", HOOK)]);
    let file = folder.path().join("kari.json");
    let mut kari = person("kari", Some("E-17"));
    kari["id"] = json!("0199a2b4-7c1e-7d3a-9f00-3f2b6c5d4e10");
    fs::write(&file, kari.to_string()).unwrap();
    let file = file.to_str().unwrap();

    let ldif = run(folder.path(), &["preview", "directory", "--file", file]);
    assert_eq!(ldif.code, 0, "{}", ldif.err);
    assert!(ldif.out.contains("dn: uid=E-17,ou=people,dc=lillevik,dc=example\n"), "{}", ldif.out);
    assert!(ldif.out.contains("changetype: add\n"), "{}", ldif.out);
    assert!(ldif.out.contains("cn: Kari Nordmann\n"), "{}", ldif.out);

    let hook = run(folder.path(), &["preview", "hook", "--file", file]);
    assert_eq!(hook.code, 0, "{}", hook.err);
    assert!(hook.out.starts_with("POST http://127.0.0.1:1/hook\n"), "{}", hook.out);
    assert!(hook.out.contains("user.created"), "{}", hook.out);

    kari["active"] = json!(false);
    fs::write(file, kari.to_string()).unwrap();
    let outside = run(folder.path(), &["preview", "hook", "--file", file]);
    assert_eq!(outside.out, "out of this connector's scope: nothing would be written\n");

    fs::write(file, "{ \"displayName\": 5 }").unwrap();
    let refused = run(folder.path(), &["preview", "hook", "--file", file]);
    assert_eq!((refused.code, refused.out.as_str()), (1, ""));
    assert!(refused.err.starts_with("error: the relay would refuse this: "), "{}", refused.err);

    let other = run(folder.path(), &["preview", "hock", "--file", file]);
    assert_eq!(other.err, "error: there is no connector `hock`; there are directory, hook\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = folder(&[("directory", DIRECTORY)]);
    let mut child = program(folder.path())
        .arg("check")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything can have been written to it.
    drop(child.stdout.take());
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!((said.code, said.err.as_str()), (0, ""));
}
