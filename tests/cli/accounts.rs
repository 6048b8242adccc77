//! Who may come in to the console.

use std::io::Write as _;
use std::process::Stdio;

use crate::relay::{Relay, program, stable};

#[test]
fn accounts_are_made_listed_and_removed_and_no_password_is_printed() {
    let relay = Relay::start(&[]);
    let none = relay.run(&["account", "list"]);
    assert!(
        none.err.contains("`scim-relay account add EMAIL --role administrator`"),
        "{}",
        none.err
    );

    let kari = ["account", "add", "kari@lillevik.example", "--role", "owner", "--org", "lillevik"];
    let made = relay.run(&[&kari[..], &["--name", "Kari Nordmann"]].concat());
    assert_eq!(made.code, 0, "{}", made.err);
    let link = made.out.strip_suffix('\n').unwrap();
    assert!(link.contains("/welcome/") && !link.contains(char::is_whitespace), "{link}");
    assert!(made.err.contains("works once") && !made.err.contains(link), "{}", made.err);
    let another = relay.does(&["account", "password", "kari@lillevik.example"]);
    assert_ne!(another.trim(), link);

    let mut ada = program(relay.path())
        .args(["account", "add", "ada@lillevik.example", "--role", "administrator"])
        .arg("--password-stdin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    ada.stdin.take().unwrap().write_all(b"correct horse battery\n").unwrap();
    let made = ada.wait_with_output().unwrap();
    assert!(made.status.success() && made.stdout.is_empty());
    relay.does(&["account", "add", "desk@lillevik.example", "--role", "helpdesk"]);

    insta::assert_snapshot!(stable(&relay.does(&["account", "list"]), relay.path()));
    let all = relay.json(&["account", "list", "--json"]);
    assert_eq!(all[2]["organizations"][0], "lillevik");
    assert!(!all.to_string().contains("argon2"), "{all}");

    for (arguments, code, told) in [
        (&kari[..], 1, "error: kari@lillevik.example has an account already\n"),
        (
            &["account", "remove", "ada@lillevik.example"],
            1,
            "error: ada@lillevik.example is the last administrator who can sign in; make another one first\n",
        ),
        (
            &["account", "remove", "nobody@lillevik.example"],
            1,
            "error: no account has the address nobody@lillevik.example; `scim-relay account list` shows those there are\n",
        ),
        (
            &["account", "add", "x@lillevik.example", "--role", "owner"],
            1,
            "error: an owner is one of some organizations; say which\n",
        ),
    ] {
        let said = relay.run(arguments);
        assert_eq!(
            (said.code, said.err.split_whitespace().collect::<Vec<_>>().join(" ")),
            (code, told.trim().to_owned())
        );
    }
    let nowhere = relay.run(&["account", "add", "x@lillevik.example", "--role", "root"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("roles are administrator, owner, helpdesk"), "{}", nowhere.err);
    relay.does(&["account", "remove", "kari@lillevik.example"]);
    assert_eq!(relay.json(&["account", "list", "--json"]).as_array().unwrap().len(), 2);
}
