//! Entries that stand for somebody else: waited for, stepped aside for, never taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use scim_relay_sdk::connector::{
    Action, Delivered, DeliveryError, Member, MemberDelta, Owner, Owners, Work,
};
use scim_relay_sdk::scim::ResourceKey;
use scim_relay_sdk::testing::{choir, group_work, present};

use crate::kit::{Target, WorkExt as _, address, held, member, person, with};
use crate::slapd::{Options, Slapd};

/// Whose the entries are, by their ids.
#[derive(Clone, Debug, Default)]
struct Ledger(BTreeMap<String, Owner>);

impl Ledger {
    fn of(entries: &[(&Delivered, &Work)]) -> Arc<Self> {
        let entry = |(delivered, work): &(&Delivered, &Work)| {
            let target_id = delivered.link.as_ref().unwrap().target_id.clone();
            (target_id, Owner { key: work.key.clone(), leaving: false })
        };
        Arc::new(Self(entries.iter().map(entry).collect()))
    }
}

#[async_trait]
impl Owners for Ledger {
    async fn of(&self, target_id: &str) -> Result<Option<Owner>, DeliveryError> {
        Ok(self.0.get(target_id).cloned())
    }
}

#[track_caller]
fn waits(result: Result<Delivered, DeliveryError>) -> ResourceKey {
    match result {
        Err(DeliveryError::After(key)) => key,
        other => panic!("it should wait: {other:?}"),
    }
}

#[tokio::test]
async fn who_gets_a_name_that_another_has_waits_for_the_other() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let ada = present(person(1, "ada"));
    let made = connector.deliver(&ada).await.unwrap();
    let owners = Ledger::of(&[(&made, &ada)]);

    // Somebody new, even where everything may be taken over.
    let mut new = present(person(2, "ada"));
    new.owners = owners.clone();
    assert_eq!(waits(connector.deliver(&new).await), ada.key);
    // And somebody who is renamed.
    let bob = present(person(3, "bob"));
    let bob = (connector.deliver(&bob).await.unwrap(), bob);
    let mut renamed = present(person(3, "ada")).linked(&bob.0);
    renamed.owners = owners;
    renamed.permit.step_aside = false;
    assert_eq!(waits(connector.deliver(&renamed).await), ada.key);

    assert_eq!(slapd.one("(uid=ada)").values("employeeNumber"), ["ext-1"]);
    assert_eq!(slapd.one("(uid=bob)").values("employeeNumber"), ["ext-3"]);
}

#[tokio::test]
async fn two_who_swap_names_get_them_by_way_of_a_passing_one() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let (ada, bob) = (present(person(1, "ada")), present(person(2, "bob")));
    let made = (connector.deliver(&ada).await.unwrap(), connector.deliver(&bob).await.unwrap());
    let owners = Ledger::of(&[(&made.0, &ada), (&made.1, &bob)]);
    let renamed = |number, name, before: &Delivered| {
        let mut work = present(person(number, name)).linked(before);
        work.owners = owners.clone();
        work
    };

    let aside = connector.deliver(&renamed(1, "bob", &made.0)).await.unwrap();
    assert_eq!(aside.action, Action::Renamed);
    assert!(aside.revisit.is_some(), "it is not at its end");
    assert!(address(&aside).starts_with(&format!("uid={}", ada.key.id)), "{aside:?}");
    let bob = connector.deliver(&renamed(2, "ada", &made.1)).await.unwrap();
    let ada = connector.deliver(&renamed(1, "bob", &aside)).await.unwrap();

    assert_eq!(slapd.one("(uid=ada)").values("employeeNumber"), ["ext-2"]);
    assert_eq!(slapd.one("(uid=bob)").values("employeeNumber"), ["ext-1"]);
    assert_eq!((ada.revisit, bob.revisit), (None, None));
    assert_eq!(slapd.one("(uid=bob)").values("uid"), ["bob"], "nothing of the passing name stays");
}

#[tokio::test]
async fn two_people_with_one_address_have_an_entry_each() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let emails = serde_json::json!([{ "value": "family@x.example" }]);
    let ada = present(with(person(1, "ada"), "emails", emails.clone()));
    let made = connector.deliver(&ada).await.unwrap();

    let mut bob = present(with(person(2, "bob"), "emails", emails))
        .without(|permit| permit.take_over = false);
    assert!(held(connector.deliver(&bob).await).1.contains("found by its mail"));
    bob.owners = Ledger::of(&[(&made, &ada)]);
    assert_eq!(connector.deliver(&bob).await.unwrap().action, Action::Created);
}

#[tokio::test]
async fn who_left_goes_under_the_name_that_the_server_wrote_meanwhile() {
    let slapd = Slapd::start_with(&Options { refint: true, ..Options::default() }).await;
    let connector = Target::of(&slapd).connect();
    let mut members: Vec<Member> = Vec::new();
    for (number, name) in [(1, "ada"), (2, "bob")] {
        members.push(member(&connector.deliver(&present(person(number, name))).await.unwrap()));
    }
    let everybody = MemberDelta::All(members.clone());
    let made = connector.deliver(&group_work(choir(), everybody)).await.unwrap();
    let dn = &members[0].address;
    slapd.apply(&format!("dn: {dn}\nchangetype: modrdn\nnewrdn: uid=lovelace\ndeleteoldrdn: 1\n"));
    let listed = || -> Vec<String> {
        let group = slapd.one("(objectClass=groupOfNames)");
        group.values("member").into_iter().map(str::to_owned).collect()
    };
    while !listed().iter().any(|member| member.starts_with("uid=lovelace")) {
        tokio::task::yield_now().await;
    }

    let left = MemberDelta::Changed { joined: Vec::new(), left: vec![members[0].clone()] };
    connector.deliver(&group_work(choir(), left).linked(&made)).await.unwrap();

    assert_eq!(listed(), [members[1].address.clone()]);
}
