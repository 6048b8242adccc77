//! A member's new name in the groups of a directory, whoever writes it there.

use crate::kit::relay::Setup;
use crate::kit::slapd::{Options, SUFFIX, Slapd};
use crate::kit::targets::ldap;

async fn rename_a_member(refint: bool) {
    let slapd = Slapd::start_with(&Options { refint, ..Options::default() }).await;
    let relay = Setup::new().connector("directory", ldap(&slapd, "")).start().await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    let grace = provider.hire("grace").await;
    for name in ["choir", "orchestra"] {
        provider.group(name, &[&ada, &grace]).await;
    }
    relay.settled().await;

    provider.set(&ada, "userName", "countess").await;
    relay.settled().await;

    let expected = ["countess", "grace"].map(|uid| format!("uid={uid},ou=people,{SUFFIX}"));
    for name in ["choir", "orchestra"] {
        assert_eq!(slapd.one(&format!("(cn={name})")).values("member"), expected);
    }
    let found = relay.json(&["reconcile", "directory"]);
    assert_eq!(found["drift"], serde_json::json!([]), "the relay sees it as the server does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_members_rename_reaches_the_groups() {
    rename_a_member(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_members_rename_reaches_the_groups_of_a_server_that_writes_it_there_itself() {
    rename_a_member(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_inherits_the_groups_of_whoever_had_the_name_before() {
    let slapd = Slapd::start().await;
    let relay = Setup::new().connector("directory", ldap(&slapd, "")).start().await;
    let provider = relay.provider("lillevik");
    let first = provider.hire("ada").await;
    let grace = provider.hire("grace").await;
    provider.group("teachers", &[&first, &grace]).await;
    relay.settled().await;

    provider.delete(&format!("Users/{first}")).await.expect(204);
    let mut second = crate::kit::provider::person("ada");
    second["externalId"] = "ext-another".into();
    second["emails"] = serde_json::json!([{ "value": "another@lillevik.example" }]);
    provider.post("Users", second).await.expect(201);
    relay.settled().await;

    assert_eq!(slapd.one("(uid=ada)").values("employeeNumber"), ["ext-another"]);
    let teachers = slapd.one("(cn=teachers)");
    assert_eq!(teachers.values("member"), [format!("uid=grace,ou=people,{SUFFIX}")]);
}
