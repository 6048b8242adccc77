//! One person's whole story, as a help desk reads it.

use std::time::Instant;

use serde_json::{Value, json};

use crate::relay::{HOOK, PATIENCE, Relay, person, stable};

const STUDENTS: &str = "\
[scope]
users = 'userType eq \"student\"'
[safety]
max_removals = 1
floor = 1
[ldap]
url = \"ldif:people.ldif\"
[ldap.users]
dn = \"uid={{ externalId }},ou=people,dc=lillevik,dc=example\"
[ldap.users.attributes]
cn = \"{{ displayName }}\"
sn = \"{{ name.familyName }}\"
[ldap.users.deprovision]
delete = \"delete\"
";

const MAIL: &str = "\
[scope]
users = 'userType eq \"student\"'
[email]
transport = \"file\"
folder = \"mails\"
from = \"Lillevik IT <it@lillevik.example>\"
";

fn user(name: &str, external_id: Option<&str>, user_type: &str) -> Value {
    let mut user = person(name, external_id);
    user["userType"] = json!(user_type);
    user["emails"] = json!([{ "value": format!("{name}@x.example") }]);
    user
}

/// With as many requests of theirs as there were: these are kept a moment after their answers.
fn story(relay: &Relay, name: &str, requests: usize) -> Value {
    let begun = Instant::now();
    loop {
        let story = relay.json(&["trace", "lillevik", name, "--json"]);
        if story["requests"].as_array().unwrap().len() == requests {
            return story;
        }
        assert!(begun.elapsed() < PATIENCE, "{story:#}");
    }
}

/// The page, within its width, without what differs from one day to another.
fn page(relay: &Relay, name: &str) -> String {
    let text = relay.does(&["trace", "lillevik", name]);
    for line in text.lines().filter(|line| !line.contains('`')) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let text = stable(&text, relay.path());
    let is = |shape: &str, piece: &str| {
        piece.len() == shape.len()
            && piece.chars().zip(shape.chars()).all(|(has, wants)| match wants {
                '0' => has.is_ascii_hexdigit(),
                other => has == other,
            })
    };
    let (mut rest, mut said) = (text.as_str(), String::new());
    while let Some(first) = rest.chars().next() {
        if rest.get(..36).is_some_and(|it| is("00000000-0000-0000-0000-000000000000", it)) {
            (rest, said) = (&rest[36..], said + "ID");
        } else if rest.get(..19).is_some_and(|it| is("0000-00-00 00:00:00", it)) {
            (rest, said) = (&rest[19..], said + "TIME");
        } else if let Some((ago, after)) = rest.strip_prefix(" (").and_then(|it| it.split_once(')'))
            && ago.ends_with(" ago")
        {
            rest = after;
        } else {
            said.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    said
}

#[test]
fn each_connector_says_where_it_stands_with_a_person_and_why() {
    let mut relay = Relay::start(&[("directory", STUDENTS), ("hook", HOOK), ("mail", MAIL)]);
    relay.does(&["connector", "pause", "hook", "--reason", "moves house"]);
    let token = relay.does(&["token", "create", "lillevik", "--name", "Entra"]);
    let push = |method: &str, to: &str, body: &Value| relay.push(token.trim(), method, to, body);
    for (name, id, user_type) in [
        ("ada", Some("E-1"), "student"),
        ("bea", Some("E-2"), "student"),
        ("cal", Some("E-3"), "student"),
        ("ola", None, "student"),
        ("tea", Some("E-4"), "teacher"),
    ] {
        assert_eq!(push("POST", "/Users", &user(name, id, user_type)), 201);
    }
    assert_eq!(push("POST", "/Users", &user("ada", None, "student")), 409);
    relay.has(0, "parked", 1);
    relay.has(0, "pending", 0);
    relay.has(2, "pending", 0);
    let id_of = |name: &str| story(&relay, name, 1)["id"].as_str().unwrap().to_owned();
    let ada = story(&relay, "ada", 2)["id"].as_str().unwrap().to_owned();
    let class = json!({ "displayName": "class-7B", "members": [{ "value": ada }] });
    assert_eq!(push("POST", "/Groups", &class), 201);
    assert_eq!(push("DELETE", &format!("/Users/{}", id_of("cal")), &Value::Null), 204);
    relay.has(0, "pending", 0);
    assert_eq!(push("DELETE", &format!("/Users/{}", id_of("bea")), &Value::Null), 204);
    relay.has(0, "held", 1);
    relay.has(2, "pending", 0);

    // Who came into which group is told a moment later.
    let begun = Instant::now();
    while story(&relay, "ada", 2)["moves"].as_array().unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "nobody came into a group");
    }
    insta::assert_snapshot!("in_line", page(&relay, "ada"));
    let bea = story(&relay, "bea", 2);
    assert_eq!(bea["connectors"][0]["waits"]["entry"]["hold_kind"], "removal", "{bea:#}");
    insta::assert_snapshot!("held", page(&relay, "bea"));
    story(&relay, "cal", 2);
    assert!(page(&relay, "cal").contains("gone since"));
    insta::assert_snapshot!("parked", page(&relay, "ola"));
    insta::assert_snapshot!("out_of_scope", page(&relay, "tea"));
    let group = relay.does(&["trace", "lillevik", "--group", "class-7B"]);
    assert!(group.contains("joined: ada"), "{group}");

    let nobody = relay.run(&["trace", "lillevik", "nobody"]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.err.contains("no user `nobody`"), "{}", nobody.err);
    assert_eq!(relay.run(&["trace", "lilleby", "ada"]).code, 1);
    assert_eq!(relay.run(&["trace", "lillevik"]).code, 2);
    let looks = relay.audited("trace.read");
    assert!(looks.iter().any(|(subject, _)| *subject == format!("User/{ada}")), "{looks:?}");
}

#[test]
fn a_name_that_several_had_lists_them_and_each_has_an_id() {
    let relay = Relay::start(&[("hook", HOOK)]);
    relay.does(&["connector", "pause", "hook"]);
    let token = relay.token();
    for _ in 0..2 {
        assert_eq!(relay.push(&token, "POST", "/Users", &person("cal", None)), 201);
        let cal = relay.json(&["trace", "lillevik", "cal", "--json"]);
        let to = format!("/Users/{}", cal["id"].as_str().unwrap());
        assert_eq!(relay.push(&token, "DELETE", &to, &Value::Null), 204);
    }
    let several = relay.run(&["trace", "lillevik", "CAL", "--json"]);
    assert_eq!(several.code, 1);
    assert!(several.err.contains("CAL is the name of 2 in lillevik"), "{}", several.err);
    let several: Value = serde_json::from_str(&several.out).unwrap();
    let one = several[1]["id"].as_str().unwrap();
    assert_eq!(relay.json(&["trace", "lillevik", one, "--json"])["id"], one);

    assert_eq!(relay.push(&token, "POST", "/Users", &person("cal", None)), 201);
    let cal = relay.json(&["trace", "lillevik", "cal", "--json"]);
    assert_eq!(cal["deleted"], Value::Null, "the living one");
    assert_eq!(cal["namesakes"].as_array().map(Vec::len), Some(2));
}
