//! From a resource to what its entry should hold.

use scim_relay_sdk::testing::ada;
use serde_json::json;

use super::*;
use crate::dialect::Flavor;

const USERS: &str = r#"
dn = "uid={{ userName }},ou=people,dc=x"
[attributes]
uid = "{{ userName }}"
cn = "{{ displayName }}"
mail = "{{ emails | map(attribute='value') | list }}"
title = "{{ title }}"
[initial]
description = "new"
[deprovision]
deactivate = "move"
move_to = "ou=leavers,dc=x"
[deprovision.disabled_attributes]
title = "left"
loginShell = "/sbin/nologin"
"#;

fn users(text: &str) -> Users {
    toml::from_str(text).expect("it parses")
}

fn projected(text: &str, resource: &Resource, posture: Posture) -> Result<Goal, String> {
    let dialect = Dialect::assumed(Flavor::OpenLdap, true);
    user(&users(text), resource, &dialect, posture).map_err(|error| error.to_string())
}

fn goal(posture: Posture) -> Goal {
    projected(USERS, &ada(), posture).expect("an entry")
}

fn shown(attributes: &Attributes) -> Vec<String> {
    attributes
        .iter()
        .map(|(name, values)| {
            let values: Vec<_> =
                values.iter().map(|value| String::from_utf8_lossy(value)).collect();
            format!("{name}={}", values.join("|"))
        })
        .collect()
}

#[test]
fn a_resource_becomes_an_entry() {
    let goal = goal(Posture::Enabled);
    assert_eq!(goal.dn.to_string(), "uid=ada@lillevik.example,ou=people,dc=x");
    assert_eq!(
        shown(&goal.entry()),
        [
            "objectClass=inetOrgPerson",
            "cn=Ada Müller",
            "mail=ada@lillevik.example|ada@home.example",
            "uid=ada@lillevik.example",
            "description=new",
        ]
    );
}

#[test]
fn who_may_sign_in_loses_the_marks_of_who_may_not() {
    assert_eq!(
        shown(&goal(Posture::Enabled).unwanted),
        ["pwdAccountLockedTime=000001010000Z", "loginShell=/sbin/nologin"]
    );
    assert!(goal(Posture::Kept).unwanted.is_empty());
}

#[test]
fn who_may_not_sign_in_has_them_over_the_mapping() {
    let goal = goal(Posture::Moved);
    assert_eq!(goal.dn.to_string(), "uid=ada@lillevik.example,ou=leavers,dc=x");
    let attributes = shown(&goal.attributes);
    assert!(attributes.contains(&"title=left".to_owned()), "{attributes:?}");
    assert!(attributes.contains(&"pwdAccountLockedTime=000001010000Z".to_owned()));
    assert_eq!(attributes.iter().filter(|line| line.starts_with("title")).count(), 1);
}

#[test]
fn the_naming_value_is_kept_beside_the_mapped_one() {
    let text = USERS.replace("uid={{ userName }},ou", "cn={{ displayName }} ({{ id }}),ou");
    let goal = projected(&text, &ada(), Posture::Enabled).expect("an entry");
    let name = format!("cn=Ada Müller|Ada Müller ({})", ada().key.id);
    assert!(shown(&goal.attributes).contains(&name), "{:?}", goal.attributes);

    let text = USERS.replace("uid = \"{{ userName }}\"\n", "");
    let goal = projected(&text, &ada(), Posture::Enabled).expect("an entry");
    assert!(shown(&goal.entry()).contains(&"uid=ada@lillevik.example".to_owned()));
}

#[test]
fn values_are_written_as_a_directory_writes_them() {
    let check = |value: serde_json::Value, expected: &str| {
        let mut resource = ada();
        resource.attributes.insert("title".to_owned(), value);
        let goal = projected(USERS, &resource, Posture::Enabled).expect("an entry");
        assert!(shown(&goal.attributes).contains(&format!("title={expected}")), "{expected}");
    };
    check(json!(true), "TRUE");
    check(json!(7), "7");
    check(json!(["a", "", "b", "a"]), "a|b");
    check(json!(null), "");
    check(json!("{{ 7 * 7 }}"), "{{ 7 * 7 }}");
}

#[test]
fn what_makes_no_entry_is_a_sentence() {
    let why = |text: &str, name: &str, value: serde_json::Value| {
        let mut resource = ada();
        resource.attributes.insert(name.to_owned(), value);
        projected(text, &resource, Posture::Enabled).expect_err("no entry")
    };
    assert_eq!(
        why(USERS, "userName", json!("")),
        "users.dn: `uid={{ userName }},ou=people,dc=x` needs userName, which this resource does not have"
    );
    assert_eq!(
        why(USERS, "title", json!({ "a": 1 })),
        "users.attributes.title: it yields an object; choose one of its values"
    );
    let numbered = USERS.replace("title = \"{{ title }}\"", "uidNumber = \"{{ title }}\"");
    assert_eq!(
        why(&numbered, "title", json!("00")),
        "users.attributes.uidNumber: 0 is the superuser's number and is never given out"
    );
}

#[test]
fn a_server_that_can_disable_nobody_is_told_what_it_lacks() {
    let text = USERS.split("[deprovision]").next().expect("the beginning");
    let dialect = Dialect::assumed(Flavor::OpenLdap, false);
    let error = user(&users(text), &ada(), &dialect, Posture::Disabled).expect_err("no way to");
    assert!(error.to_string().starts_with("OpenLDAP has no password policy"), "{error}");
}
