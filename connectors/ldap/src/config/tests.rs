//! What an `[ldap]` section may say, and how a mistake in it is shown.

use std::path::Path;
use std::time::Duration;

use scim_relay_sdk::testing::{organization, secrets};

use super::*;

const SERVER: &str = r#"
url = "ldaps://dir.example"
bind_dn = "cn=relay,dc=x"
bind_password = "secret"
"#;

const PEOPLE: &str = r#"
[users]
dn = "uid={{ userName }},ou=people,dc=x"
correlate = ["employeeNumber"]
[users.attributes]
cn = "{{ displayName }}"
employeeNumber = "{{ externalId }}"
"#;

fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| error.message().to_owned())
}

#[track_caller]
fn problems(text: &str, expected: &[&str]) {
    let problems = parse(text).expect("it parses").check(false);
    let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, expected, "{problems:#?}");
}

#[test]
fn the_example_is_right() {
    #[derive(Deserialize)]
    struct File {
        ldap: Config,
    }
    let file: File = toml::from_str(include_str!("../../openldap.toml")).expect("it parses");
    assert_eq!(file.ldap.check(false), []);
    assert_eq!(file.ldap.secrets().len(), 1);
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parse(&format!("{SERVER}{PEOPLE}[groups]\ndn = \"cn={{{{ id }}}},dc=x\"\n"))
        .expect("it parses");
    assert_eq!(config.check(false), []);
    let users = config.users.expect("people are mapped");
    assert_eq!(users.object_classes, ["inetOrgPerson"]);
    assert_eq!(users.base().map(ToString::to_string).as_deref(), Some("ou=people,dc=x"));
    assert_eq!(
        (users.deprovision.deactivate, users.deprovision.delete),
        (Policy::Disable, Policy::Disable)
    );
    let groups = config.groups.expect("groups are mapped");
    assert_eq!((groups.member_attribute(), groups.needs_a_member()), ("member", true));
}

#[test]
fn the_class_says_what_members_are_called() {
    let groups = |class: &str| -> Groups {
        toml::from_str(&format!("dn = \"cn={{{{ id }}}},dc=x\"\nobject_classes = [\"{class}\"]"))
            .expect("it parses")
    };
    assert_eq!(groups("groupOfUniqueNames").member_attribute(), "uniqueMember");
    assert!(groups("groupofuniquenames").needs_a_member());
    assert!(!groups("groupOfMembers").needs_a_member());
}

#[test]
fn a_password_goes_into_an_attribute_of_a_person_and_nowhere_else() {
    let password = "\"{{ password }}\"";
    let asks = |text: &str| parse(text).expect("it parses").wants_password();
    let passed_on = format!("{SERVER}{PEOPLE}userPassword = {password}\n");
    assert!(asks(&passed_on) && !asks(&format!("{SERVER}{PEOPLE}")));
    problems(&passed_on, &[]);
    for (more, path) in [
        (format!("[users.initial]\nx = {password}"), "users.initial.x"),
        (
            format!("[users.deprovision.disabled_attributes]\nx = {password}"),
            "users.deprovision.disabled_attributes.x",
        ),
        (
            "[users.deprovision.disabled_attributes]\nuserpassword = \"x\"".to_owned(),
            "users.deprovision.disabled_attributes.userPassword",
        ),
        (
            format!("[groups]\ndn = \"cn={{{{ id }}}},dc=x\"\nattributes = {{ x = {password} }}"),
            "groups.attributes.x",
        ),
    ] {
        problems(&format!("{passed_on}{more}\n"), &[path]);
    }
    problems(
        &passed_on.replace("[\"employeeNumber\"]", "[\"userPassword\"]"),
        &["users.correlate"],
    );
    problems(&passed_on.replace("{{ userName }}", "{{ password }}"), &["users.dn"]);
    let file = passed_on.replace("ldaps://dir.example", "ldif:/tmp/x.ldif");
    problems(&file, &["users.attributes.userPassword"]);
    let clear = passed_on.replace("ldaps:", "ldap:");
    problems(&clear, &["url"]);
    problems(&format!("allow_plaintext = true\n{clear}"), &[]);
}

#[test]
fn a_wrong_value_is_told_where_it_stands() {
    let why = |text: &str| parse(text).expect_err("it is wrong");
    let people = |line: &str| format!("{SERVER}{PEOPLE}{line}\n");
    assert!(why("url = \"http://x\"").contains("neither ldaps:// nor ldap:// nor ldif:"));
    assert!(why("url = \"ldaps://x/dc=example\"").contains("only a host and a port"));
    assert!(why("url = \"ldap://user@x\"").contains("only a host and a port"));
    assert!(why("url = \"ldap://x:0\"").contains("the port is none"));
    assert!(
        why(&format!("flavor = \"active-directory\"\n{SERVER}"))
            .contains("not supported in this version")
    );
    assert!(why(&format!("flavor = \"novell\"\n{SERVER}")).contains("unknown variant `novell`"));
    assert!(why(&format!("tls = true\n{SERVER}")).contains("unknown field `tls`"));
    assert!(why(&people("\"c n\" = \"x\"")).contains("`c n` is not an attribute's name"));
    assert!(why(&people("CN = \"x\"")).contains("is given twice"));
    assert!(why(&people("sn = \"{{ name\"")).contains("does not parse"));
    assert!(
        why("url = \"ldap://x\"\nbind_dn = \"relay\"")
            .contains("`relay` is not a distinguished name")
    );
}

#[test]
fn addresses_have_hosts_ports_and_files() {
    let server = |tls, host: &str, port| Ok(Url::Server { tls, host: host.to_owned(), port });
    assert_eq!(Url::parse("ldaps://dir.example"), server(true, "dir.example", 636));
    assert_eq!(Url::parse("ldap://dir.example/"), server(false, "dir.example", 389));
    assert_eq!(Url::parse("ldaps://[2001:db8::1]:1636"), server(true, "2001:db8::1", 1636));
    assert_eq!(Url::parse("ldif:///var/x.ldif"), Ok(Url::File("/var/x.ldif".into())));
    assert_eq!(Url::parse("ldif://x.ldif"), Ok(Url::File("x.ldif".into())));
    assert!(Url::parse("ldaps://[::1").is_err());
    assert!(Url::parse("ldif:").is_err());
}

#[test]
fn a_password_never_goes_in_clear_text_unasked() {
    let plain = SERVER.replace("ldaps", "ldap");
    problems(&format!("{plain}{PEOPLE}"), &["url"]);
    problems(&format!("starttls = true\n{plain}{PEOPLE}"), &[]);
    problems(&format!("allow_plaintext = true\n{plain}{PEOPLE}"), &[]);
    problems(&format!("starttls = true\n{SERVER}{PEOPLE}"), &["starttls"]);
    let built = parse(&format!("{plain}{PEOPLE}")).expect("it parses").build(&context());
    assert_eq!(built.err().map(|problem| problem.path).as_deref(), Some("url"));
}

#[test]
fn signing_in_takes_a_name_and_a_password() {
    problems(&format!("url = \"ldaps://x\"\n{PEOPLE}"), &["bind_dn", "bind_password"]);
    problems(&format!("{}{PEOPLE}", SERVER.replace("cn=relay,dc=x", "")), &["bind_dn"]);
    problems(&format!("url = \"ldif:x.ldif\"\n{PEOPLE}"), &[]);
    let empty = parse(&format!("{}{PEOPLE}", SERVER.replace("secret", ""))).expect("it parses");
    let message = empty.build(&context()).err().map(|problem| problem.message);
    assert_eq!(message.as_deref(), Some("the password is empty"));
}

fn context() -> BuildContext<'static> {
    BuildContext {
        name: "directory",
        folder: Path::new("/"),
        secrets: Box::leak(Box::new(secrets())),
        timeout: Duration::from_secs(5),
        concurrency: 4,
        organizations: Box::leak(Box::new([organization()])),
    }
}

#[test]
fn a_section_must_map_something() {
    problems(SERVER, &[""]);
}

#[test]
fn entries_must_have_a_place_to_be_looked_for() {
    let dn = "uid={{ userName }},ou=people,dc=x";
    let scattered = PEOPLE.replace(dn, "uid={{ userName }},ou={{ building.buildingId }},dc=x");
    problems(&format!("{SERVER}{scattered}"), &["users.base"]);
    let placed = scattered.replace("correlate", "base = \"dc=x\"\ncorrelate");
    problems(&format!("{SERVER}{placed}"), &[]);
    let elsewhere = PEOPLE.replace("correlate", "base = \"dc=y\"\ncorrelate");
    problems(&format!("{SERVER}{elsewhere}"), &["users.base"]);
}

#[test]
fn mappings_leave_to_the_server_what_is_the_server_s() {
    let mapped = |line: &str| format!("{SERVER}{PEOPLE}{line}\n");
    problems(&mapped("memberOf = \"x\""), &["users.attributes.memberOf"]);
    problems(&mapped("OBJECTCLASS = \"x\""), &["users.attributes.objectClass"]);
    problems(&mapped("userPassword = \"x\""), &["users.attributes.userPassword"]);
    problems(&mapped("[users.initial]\nuserPassword = \"x\""), &[]);
    problems(&mapped("userPassword = \"{{ password }}\""), &[]);
    problems(&mapped("[users.initial]\ncommonName = \"x\""), &["users.initial.commonName"]);
    problems(
        &mapped("[groups]\ndn = \"cn={{ id }},dc=x\"\nattributes.member = \"x\""),
        &["groups.attributes.member"],
    );
}

#[test]
fn what_is_looked_for_must_be_mapped() {
    problems(
        &format!("{SERVER}{}", PEOPLE.replace("[\"employeeNumber\"]", "[\"mail\"]")),
        &["users.correlate"],
    );
}

#[test]
fn who_is_moved_goes_somewhere_else() {
    let deprovision = |lines: &str| format!("{SERVER}{PEOPLE}[users.deprovision]\n{lines}\n");
    problems(&deprovision("delete = \"move\""), &["users.deprovision.move_to"]);
    problems(
        &deprovision("delete = \"move\"\nmove_to = \"ou=people,dc=x\""),
        &["users.deprovision.move_to"],
    );
    problems(&deprovision("delete = \"move\"\nmove_to = \"dc=x\""), &["users.deprovision.move_to"]);
    problems(&deprovision("delete = \"move\"\nmove_to = \"ou=left,ou=people,dc=x\""), &[]);
    problems(
        &deprovision("deactivate = \"keep\"\ndelete = \"delete\"\npurge_after = \"9 days\""),
        &["users.deprovision.purge_after"],
    );
}

#[test]
fn several_organizations_need_names_that_tell_them_apart() {
    let config = parse(&format!("{SERVER}{PEOPLE}")).expect("it parses");
    let paths: Vec<_> = config.check(true).into_iter().map(|problem| problem.path).collect();
    assert_eq!(paths, ["users.dn"]);
    let apart = PEOPLE
        .replace("ou=people", "ou=people,o={{ organization.key }}")
        .replace("correlate", "base = \"dc=x\"\ncorrelate");
    assert_eq!(parse(&format!("{SERVER}{apart}")).expect("it parses").check(true), []);
}

#[test]
fn only_a_plain_id_is_an_identity() {
    let identity = |source: &str| is_identity(&Template::parse(source).expect("it parses"));
    assert_eq!(identity("{{ externalId }}"), Some("externalId"));
    assert_eq!(identity("{{-id-}}"), Some("id"));
    assert_eq!(identity("{{ externalId | lower }}"), None);
    assert_eq!(identity("{{ userName }}"), None);
    assert_eq!(identity("x{{ id }}"), None);
}

#[test]
fn no_secret_is_shown() {
    let config = parse(&format!("{SERVER}{PEOPLE}")).expect("it parses");
    assert!(!format!("{config:?}").contains("secret\""));
}

#[test]
fn what_becomes_of_leavers_is_said_before_somebody_approves_it() {
    let leavers = |lines: &str| {
        let text = format!("{SERVER}{PEOPLE}[users.deprovision]\n{lines}\n");
        parse(&text).expect("it parses").leavers()
    };
    let place = "ou=left,dc=x";
    for (lines, deactivated, deleted, purge) in [
        ("", Fate::Disabled, Fate::Disabled, None),
        ("deactivate = \"keep\"\ndelete = \"delete\"", Fate::Kept, Fate::Deleted, None),
        (
            "delete = \"move\"\nmove_to = \"ou=left,dc=x\"\npurge_after = \"90 days\"",
            Fate::Disabled,
            Fate::Moved(place.to_owned()),
            Some(Period(Duration::from_hours(90 * 24))),
        ),
    ] {
        let expected = Leavers::Entries { deactivated, deleted, purge_after: purge };
        assert_eq!(leavers(lines), expected, "{lines}");
    }
    assert_eq!(parse(SERVER).expect("it parses").leavers(), Leavers::Told, "no people, no leavers");
}
