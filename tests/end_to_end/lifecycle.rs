//! A person and a group, from their creation to their end, at all three kinds of targets.

use crate::kit::provider::Provider;
use crate::kit::relay::Setup;
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::smtp;
use crate::kit::targets::{ldap, mail, webhook};
use crate::kit::webhooks::Webhooks;

const NOBODY: &[&str] = &[];

fn members(slapd: &Slapd) -> Vec<String> {
    let choir = slapd.one("(cn=choir)");
    choir.values("member").into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_and_a_group_live_through_all_three_connectors() {
    let slapd = Slapd::start().await;
    let mails = smtp::Server::start("starttls", &["auth"]);
    let hooks = Webhooks::start().await;
    let relay = Setup::new()
        .connector("directory", ldap(&slapd, ""))
        .connector("welcome", mail(&mails, ""))
        .connector("events", webhook(&hooks, ""))
        .start()
        .await;
    let provider = relay.provider("lillevik");

    // Made.
    let ada = provider.hire("ada").await;
    let grace = provider.hire("grace").await;
    let choir = provider.group("choir", &[&ada]).await;
    relay.settled().await;
    let entry = slapd.one("(uid=ada)");
    assert_eq!(entry.dn, format!("uid=ada,ou=people,{SUFFIX}"));
    assert_eq!(entry.values("cn"), ["ada Lie"]);
    assert_eq!(entry.values("mail"), ["ada@lillevik.example"]);
    assert_eq!(entry.values("employeeNumber"), ["ext-ada"]);
    assert_eq!(members(&slapd), [format!("uid=ada,ou=people,{SUFFIX}")]);
    assert_eq!(hooks.story("ada"), ["user.created"]);
    assert_eq!(hooks.story("choir"), ["group.created", "group.member_added"]);
    let mut welcomed: Vec<_> = mails.taken().into_iter().flat_map(|mail| mail.to).collect();
    welcomed.sort();
    assert_eq!(welcomed, ["ada@lillevik.example", "grace@lillevik.example"]);
    assert!(mails.taken().iter().all(|mail| mail.tls && mail.user));

    // Changed, and renamed.
    provider.set(&ada, "title", "Countess").await;
    provider.set(&ada, "userName", "ada.lovelace").await;
    relay.settled().await;
    let renamed = slapd.one("(uid=ada.lovelace)");
    assert_eq!(renamed.values("entryUUID"), entry.values("entryUUID"), "it is the same entry");
    assert_eq!(renamed.values("title"), ["Countess"]);
    assert_eq!(members(&slapd), [format!("uid=ada.lovelace,ou=people,{SUFFIX}")]);
    assert_eq!(hooks.story("ada.lovelace"), ["user.updated"]);

    // One joins, one leaves.
    provider.join(&choir, &grace).await;
    provider.leave(&choir, &ada).await;
    relay.settled().await;
    assert_eq!(members(&slapd), [format!("uid=grace,ou=people,{SUFFIX}")]);
    let story = hooks.story("choir");
    assert_eq!(story[2..], ["group.member_added", "group.member_removed"]);

    // Deactivated, and back.
    provider.set(&ada, "active", false).await;
    relay.settled().await;
    assert_eq!(slapd.one("(uid=ada.lovelace)").values("pwdAccountLockedTime"), ["000001010000Z"]);
    provider.set(&ada, "active", true).await;
    relay.settled().await;
    assert_eq!(slapd.one("(uid=ada.lovelace)").values("pwdAccountLockedTime"), NOBODY);

    // Gone.
    end(&provider, &[&ada, &grace], &choir).await;
    relay.settled().await;
    assert_eq!(slapd.search(SUFFIX, "(|(objectClass=inetOrgPerson)(cn=choir))"), []);
    assert_eq!(hooks.story("ada.lovelace").last().map(String::as_str), Some("user.deleted"));
    assert_eq!(hooks.story("choir").last().map(String::as_str), Some("group.deleted"));
    assert_eq!(mails.taken().len(), 2, "nobody got a second mail");
    for name in ["directory", "welcome", "events"] {
        assert_eq!(relay.connector(name)["state"], "up");
    }
}

async fn end(provider: &Provider, people: &[&str], group: &str) {
    for id in people {
        provider.delete(&format!("Users/{id}")).await.expect(204);
    }
    provider.delete(&format!("Groups/{group}")).await.expect(204);
}
