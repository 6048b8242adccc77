//! What the directory holds, against what it should hold.

use scim_relay_sdk::connector::{Connector, Entry, InventoryError, MemberDelta};
use scim_relay_sdk::scim::ResourceKind;
use scim_relay_sdk::testing::{ada, choir, deleted, group_work, present};

use crate::kit::{Target, WorkExt as _, address, member, person, with};
use crate::slapd::{Options, RELAY, Slapd};

async fn listed(
    connector: &dyn Connector,
    kind: ResourceKind,
) -> Result<Vec<Entry>, InventoryError> {
    let mut entries = Vec::new();
    connector.inventory().unwrap().list(kind, &mut |entry| entries.push(entry)).await?;
    entries.sort_by(|one, other| one.address.cmp(&other.address));
    Ok(entries)
}

#[tokio::test]
async fn what_was_delivered_is_what_is_expected() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let inventory = connector.inventory().unwrap();
    let odd = person(2, "Zoë Müller, Jr.");
    let work = [ada(), odd, with(person(3, "inactive"), "active", false)];
    for resource in &work {
        connector.deliver(&present(resource.clone())).await.unwrap();
    }
    let entries = listed(&*connector, ResourceKind::User).await.unwrap();
    assert_eq!(entries.len(), work.len());
    for entry in &entries {
        let expected = work
            .iter()
            .map(|resource| inventory.expected(resource).unwrap())
            .find(|expected| expected.values == entry.values)
            .unwrap_or_else(|| panic!("nobody is expected to be {entry:?}"));
        assert_eq!(
            (entry.deactivated, &entry.correlation),
            (expected.deactivated, &expected.correlation)
        );
        assert!(!entry.target_id.is_empty());
    }
    assert_eq!(entries.iter().filter(|entry| entry.deactivated).count(), 1);
}

#[tokio::test]
async fn what_was_changed_or_moved_by_hand_differs() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    slapd.apply(&format!(
        "dn: {}\nchangetype: modify\nreplace: cn\ncn: somebody\n-\n\
         add: telephoneNumber\ntelephoneNumber: 1\n",
        address(&made)
    ));
    slapd.apply(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: uid=other\ndeleteoldrdn: 1\n",
        address(&made)
    ));
    let expected = connector.inventory().unwrap().expected(&ada()).unwrap();
    let entries = listed(&*connector, ResourceKind::User).await.unwrap();
    let differ: Vec<&str> = entries[0]
        .values
        .iter()
        .filter(|value| !expected.values.contains(value))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(differ, ["cn", "dn", "uid"]);
}

#[tokio::test]
async fn leavers_are_listed_and_marked() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    connector.deliver(&deleted(ada()).linked(&made)).await.unwrap();
    let entries = listed(&*connector, ResourceKind::User).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].deactivated);
    assert_eq!(entries[0].target_id, made.link.unwrap().target_id);
}

#[tokio::test]
async fn members_are_listed_as_links_are_normalised_and_the_placeholder_is_not() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let inventory = connector.inventory().unwrap();
    let zoe = connector.deliver(&present(person(2, "Zoë Müller, Jr."))).await.unwrap();
    let made = connector.deliver(&group_work(choir(), MemberDelta::All(Vec::new()))).await.unwrap();
    let empty = listed(&*connector, ResourceKind::Group).await.unwrap();
    assert_eq!(empty[0].members.as_deref(), Some(&[][..]));
    assert_eq!(empty[0].values, inventory.expected(&choir()).unwrap().values);

    let delta = MemberDelta::Changed { joined: vec![member(&zoe)], left: Vec::new() };
    connector.deliver(&group_work(choir(), delta).linked(&made)).await.unwrap();
    slapd.apply(&format!(
        "dn: {}\nchangetype: modify\nadd: member\nmember: {RELAY}\n",
        address(&made)
    ));
    let one = listed(&*connector, ResourceKind::Group).await.unwrap();
    assert_eq!(one[0].members, Some(vec![inventory.normalised(address(&zoe))]));
}

#[tokio::test]
async fn a_listing_of_many_comes_in_pages() {
    let slapd = Slapd::start_with(&Options {
        limits: "size.soft=500 size.hard=500 size.pr=1000 size.prtotal=unlimited",
        ..Options::default()
    })
    .await;
    crowd(&slapd, 1_200);
    let connector = Target::of(&slapd).connect();
    assert_eq!(listed(&*connector, ResourceKind::User).await.unwrap().len(), 1_200);
}

#[tokio::test]
async fn a_listing_that_is_cut_off_is_incomplete() {
    let slapd = Slapd::start_with(&Options { limits: "size=100", ..Options::default() }).await;
    crowd(&slapd, 200);
    let said = listed(&*Target::of(&slapd).connect(), ResourceKind::User).await.unwrap_err();
    assert!(matches!(said, InventoryError::Incomplete(_)), "{said:?}");
    assert!(said.to_string().contains("sizeLimitExceeded (4)"), "{said}");
}

#[tokio::test]
async fn a_reference_to_another_server_makes_a_listing_incomplete() {
    let slapd = Slapd::start().await;
    slapd.apply(
        "dn: ou=elsewhere,ou=people,dc=example,dc=org\nchangetype: add\nobjectClass: referral\n\
         objectClass: extensibleObject\nou: elsewhere\n\
         ref: ldap://other.example/ou=people,dc=example,dc=org\n",
    );
    let said = listed(&*Target::of(&slapd).connect(), ResourceKind::User).await.unwrap_err();
    assert!(said.to_string().contains("referral (10)"), "{said}");
}

#[tokio::test]
async fn a_missing_base_or_server_is_no_empty_listing() {
    let mut slapd = Slapd::start().await;
    slapd.apply("dn: ou=groups,dc=example,dc=org\nchangetype: delete\n");
    let connector = Target::of(&slapd).connect();
    let said = listed(&*connector, ResourceKind::Group).await.unwrap_err();
    assert!(matches!(said, InventoryError::Incomplete(_)), "{said:?}");
    slapd.stop();
    let said = listed(&*connector, ResourceKind::Group).await.unwrap_err();
    assert!(matches!(said, InventoryError::Target(_)), "{said:?}");
}

fn crowd(slapd: &Slapd, count: usize) {
    let records: Vec<String> = (0..count)
        .map(|number| {
            format!(
                "dn: uid=p{number},ou=people,dc=example,dc=org\nchangetype: add\n\
                 objectClass: inetOrgPerson\nuid: p{number}\ncn: p\nsn: p\n\n"
            )
        })
        .collect();
    slapd.apply(&records.concat());
}
