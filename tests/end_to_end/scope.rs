//! Who comes into a connector's scope and leaves it.

use crate::kit::relay::Setup;
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::targets::{ldap, webhook};
use crate::kit::webhooks::Webhooks;

const STUDENTS: &str = "[scope]\nusers = 'userType eq \"student\"'\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_the_scope_is_deactivated_and_who_returns_is_let_in_again() {
    let slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let relay = Setup::new()
        .connector("directory", ldap(&slapd, STUDENTS))
        .connector("events", webhook(&hooks, STUDENTS))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    let teacher = provider.hire("teacher").await;
    provider.set(&teacher, "userType", "teacher").await;
    relay.settled().await;
    let entry = slapd.one("(uid=ada)");

    provider.set(&ada, "userType", "teacher").await;
    relay.settled().await;
    let left = slapd.one("(uid=ada)");
    assert_eq!(left.values("pwdAccountLockedTime"), ["000001010000Z"]);
    assert_eq!(left.values("entryUUID"), entry.values("entryUUID"));
    assert_eq!(hooks.story("ada"), ["user.created", "user.deactivated"]);

    provider.set(&ada, "userType", "student").await;
    relay.settled().await;
    let back = slapd.one("(uid=ada)");
    assert_eq!(back.values("pwdAccountLockedTime"), [""; 0]);
    assert_eq!(back.values("entryUUID"), entry.values("entryUUID"));
    assert_eq!(hooks.story("ada").last().map(String::as_str), Some("user.created"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_never_in_the_scope_is_nowhere() {
    let slapd = Slapd::start().await;
    let hooks = Webhooks::start().await;
    let teachers = "[scope]\nusers = 'userType eq \"teacher\"'\n";
    let relay = Setup::new()
        .connector("directory", ldap(&slapd, teachers))
        .connector("events", webhook(&hooks, teachers))
        .start()
        .await;
    let provider = relay.provider("lillevik");
    let ada = provider.hire("ada").await;
    let choir = provider.group("choir", &[&ada]).await;
    provider.set(&ada, "title", "Countess").await;
    provider.delete(&format!("Users/{ada}")).await.expect(204);
    provider.delete(&format!("Groups/{choir}")).await.expect(204);

    relay.settled().await;
    assert_eq!(slapd.search(SUFFIX, "(objectClass=inetOrgPerson)"), []);
    assert!(hooks.all().iter().all(|event| event.kind().starts_with("group.")));
    assert_eq!(relay.connector("directory")["holds"], 0);
}
