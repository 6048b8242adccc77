//! The same against a 389 Directory Server, which takes too long to make for every run: name one
//! in `SCIM_RELAY_TEST_389DS` that has the entries and the account of the other tests and nobody
//! below `ou=people`, `ou=leavers` and `ou=groups`.

use scim_relay_sdk::connector::{Action, Gone, MemberDelta, Wanted};
use scim_relay_sdk::scim::ResourceKind;
use scim_relay_sdk::testing::{ada, choir, conformance, deleted, group_work, present, work};

use crate::kit::{Target, USERS, WorkExt as _, address, member, with};

#[tokio::test]
#[ignore = "needs a 389 Directory Server, named in SCIM_RELAY_TEST_389DS"]
async fn the_ways_of_389_directory_server_are_known() {
    let url =
        std::env::var("SCIM_RELAY_TEST_389DS").expect("SCIM_RELAY_TEST_389DS is ldap://host:port");
    let target = Target::at(&url, "allow_plaintext = true\n");
    let deleting = USERS.replace("delete = \"move\"", "delete = \"delete\"");
    let deleting =
        deleting.replace("title = \"{{ title }}\"", "facsimileTelephoneNumber = \"{{ title }}\"");
    let connector = target.connect_with(&deleting);
    let health = connector.probe().await.unwrap();
    assert!(health.summary.starts_with("389-Directory/"), "{}", health.summary);
    conformance(&*connector, ada()).await.unwrap();
    conformance(&*connector, choir()).await.unwrap();

    let made = connector.deliver(&present(with(ada(), "title", "1"))).await.unwrap();
    let work_again = present(with(ada(), "title", "2")).linked(&made);
    assert_eq!(connector.deliver(&work_again).await.unwrap().action, Action::Updated);
    assert_eq!(connector.deliver(&work_again).await.unwrap().action, Action::Unchanged);

    for name in ["ada", "Ada", "a,ou=admins", "#04 b"] {
        let named = with(ada(), "userName", name);
        let renamed = connector.deliver(&present(named.clone()).linked(&made)).await.unwrap();
        assert_eq!(renamed.action, Action::Renamed, "{name}");
        let again = connector.deliver(&present(named).linked(&renamed)).await.unwrap();
        assert_eq!(again.action, Action::Unchanged, "{name}: {}", address(&again));
        assert_eq!(again.link.unwrap().target_id, made.link.as_ref().unwrap().target_id);
    }

    let out = work(Wanted::Gone { last: ada().into(), why: Gone::OutOfScope }).linked(&made);
    let left = connector.deliver(&out).await.unwrap();
    assert_eq!(left.action, Action::Deactivated);
    assert_eq!(connector.deliver(&out.linked(&left)).await.unwrap().action, Action::Unchanged);
    let mut entries = Vec::new();
    let inventory = connector.inventory().unwrap();
    inventory.list(ResourceKind::User, &mut |entry| entries.push(entry)).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.deactivated).collect::<Vec<_>>(), [true]);
    let back = connector.deliver(&present(ada()).linked(&left)).await.unwrap();
    assert_eq!(back.action, Action::Renamed);

    let moving = target.connect();
    let moved = moving.deliver(&deleted(ada()).linked(&back)).await.unwrap();
    assert_eq!(moved.action, Action::Moved);
    assert_eq!(address(&moved), "uid=ada@lillevik.example,ou=leavers,dc=example,dc=org");
    let back = moving.deliver(&present(ada()).linked(&moved)).await.unwrap();
    assert_eq!((back.action, address(&back)), (Action::Renamed, address(&made)));

    let group = moving.deliver(&group_work(choir(), MemberDelta::All(Vec::new()))).await.unwrap();
    let joins = MemberDelta::Changed { joined: vec![member(&back)], left: Vec::new() };
    let leaves = MemberDelta::Changed { joined: Vec::new(), left: vec![member(&back)] };
    for (delta, count) in
        [(joins.clone(), 1), (joins.clone(), 1), (leaves.clone(), 0), (leaves, 0), (joins, 1)]
    {
        moving.deliver(&group_work(choir(), delta).linked(&group)).await.unwrap();
        let mut members = Vec::new();
        let inventory = moving.inventory().unwrap();
        inventory
            .list(ResourceKind::Group, &mut |entry| members.extend(entry.members))
            .await
            .unwrap();
        assert_eq!(members.iter().map(Vec::len).collect::<Vec<_>>(), [count]);
    }
    connector.deliver(&deleted(choir()).linked(&group)).await.unwrap();
    connector.deliver(&deleted(ada()).linked(&back)).await.unwrap();
}
