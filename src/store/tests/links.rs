//! What a connector holds of people, and what groups hear of it.

use scim_relay_sdk::connector::{Action, Link, MemberDelta, Stage};
use scim_relay_sdk::scim::MemberOp;

use super::kit::{Kit, directory, link, linked, linked_at, unlinked};
use crate::store::{ConnectorId, Outcome, Reason, State, Store, Stored};

/// What the group's target is told: addresses, sorted.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    All(Vec<String>),
    Changed { joined: Vec<String>, left: Vec<String> },
}

fn changed(joined: &[&str], left: &[&str]) -> Told {
    let owned = |list: &[&str]| list.iter().map(|&address| address.to_owned()).collect();
    Told::Changed { joined: owned(joined), left: owned(left) }
}

fn all(members: &[&str]) -> Told {
    Told::All(members.iter().map(|&address| address.to_owned()).collect())
}

impl Kit {
    /// Delivers a user, who is at `address` then.
    async fn place(&self, connector: ConnectorId, user: &Stored, address: &str) {
        let claim = self.claim_of(connector, user).await.expect("the user is to be delivered");
        self.settle(&claim, linked_at(&format!("id-{}", user.row.0), address)).await;
    }

    async fn place_again(&self, connector: ConnectorId, user: &Stored, address: &str) {
        self.store.mark(connector, vec![user.row], Reason::Resync, self.now()).await.unwrap();
        self.place(connector, user, address).await;
    }

    /// Delivers a group; what its target is told.
    async fn tell(&self, connector: ConnectorId, group: &Stored) -> Told {
        let claim = self.claim_of(connector, group).await.expect("the group is to be delivered");
        let case = self.case(&claim).await;
        let sorted = |members: &[scim_relay_sdk::connector::Member]| {
            let mut addresses: Vec<_> =
                members.iter().map(|member| member.address.clone()).collect();
            addresses.sort();
            addresses
        };
        let told = match case.members.as_ref().expect("the connector wants members") {
            MemberDelta::All(members) => Told::All(sorted(members)),
            MemberDelta::Changed { joined, left } => {
                Told::Changed { joined: sorted(joined), left: sorted(left) }
            }
        };
        self.settle_as(&claim, Some(&case), linked(&format!("group-{}", group.row.0))).await;
        told
    }
}

/// Ada at `a` and Bob at `b`, both in the choir, all delivered.
async fn choir() -> (Kit, ConnectorId, Stored, Stored, Stored) {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let choir = kit.group("choir", &[&ada, &bob]).await;
    kit.place(dir, &ada, "a").await;
    kit.place(dir, &bob, "b").await;
    assert_eq!(kit.tell(dir, &choir).await, all(&["a", "b"]), "a new group is told whole");
    assert!(kit.entries(dir).await.is_empty());
    (kit, dir, ada, bob, choir)
}

#[tokio::test]
async fn a_group_hears_who_joined_and_who_left_net() {
    let (kit, dir, ada, bob, choir) = choir().await;
    let eve = kit.user("eve").await;
    kit.place(dir, &eve, "e").await;
    kit.add(&choir, &[&eve]).await;
    kit.remove(&choir, &[&ada]).await;
    kit.remove(&choir, &[&bob]).await;
    kit.add(&choir, &[&bob]).await;
    let told = kit.tell(dir, &choir).await;
    // That one who came back is said to join once more does no harm.
    assert_eq!(told, changed(&["b", "e"], &["a"]));
}

#[tokio::test]
async fn a_member_who_arrives_completes_its_groups() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let choir = kit.group("choir", &[&ada, &bob]).await;
    kit.place(dir, &ada, "a").await;
    assert_eq!(kit.tell(dir, &choir).await, all(&["a"]), "one who is missing blocks nobody");
    assert!(kit.state_of(dir, &choir).await.is_none());
    kit.place(dir, &bob, "b").await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&["b"], &[]));
}

#[tokio::test]
async fn a_member_who_moves_is_moved_in_its_groups() {
    let (kit, dir, ada, _, choir) = choir().await;
    kit.place_again(dir, &ada, "a2").await;
    kit.place_again(dir, &ada, "a3").await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&["a3"], &["a", "a2"]));
    kit.place_again(dir, &ada, "a3").await;
    assert!(kit.entries(dir).await.is_empty(), "who stays in place is no news");
}

#[tokio::test]
async fn a_member_whose_entry_is_gone_comes_out_as_left() {
    let (kit, dir, ada, _, choir) = choir().await;
    kit.store.mark(dir, vec![ada.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, unlinked()).await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&[], &["a"]));
    kit.place_again(dir, &ada, "a").await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&["a"], &[]), "and back again");
}

#[tokio::test]
async fn who_is_deleted_leaves_whichever_is_delivered_first() {
    for user_first in [true, false] {
        let (kit, dir, ada, _, choir) = choir().await;
        kit.delete(&ada).await;
        if user_first {
            let claim = kit.claim_of(dir, &ada).await.unwrap();
            kit.settle(&claim, unlinked()).await;
        }
        assert_eq!(kit.tell(dir, &choir).await, changed(&[], &["a"]), "{user_first}");
    }
}

#[tokio::test]
async fn who_leaves_and_then_moves_leaves_the_old_address_too() {
    let (kit, dir, ada, _, choir) = choir().await;
    kit.remove(&choir, &[&ada]).await;
    kit.place_again(dir, &ada, "a2").await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&[], &["a", "a2"]));
}

#[tokio::test]
async fn an_address_that_another_member_inherits_stays_in_the_group() {
    let (kit, dir, ada, bob, choir) = choir().await;
    // They swap: a→tmp, b→a, tmp→b.
    kit.place_again(dir, &ada, "tmp").await;
    kit.place_again(dir, &bob, "a").await;
    kit.place_again(dir, &ada, "b").await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&["a", "b"], &["tmp"]));
    // Ada goes, and Bob inherits her address long before the group hears that she left.
    kit.remove(&choir, &[&ada]).await;
    kit.place_again(dir, &ada, "elsewhere").await;
    kit.place_again(dir, &bob, "b").await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&["b"], &["a", "elsewhere"]));
}

#[tokio::test]
async fn what_happens_while_a_group_is_delivered_is_told_the_next_time() {
    let (kit, dir, ada, bob, choir) = choir().await;
    kit.remove(&choir, &[&ada]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    let case = kit.case(&claim).await;
    kit.place_again(dir, &bob, "b2").await;
    kit.settle_as(&claim, Some(&case), linked("g")).await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&["b2"], &["b"]));
    assert!(kit.entries(dir).await.is_empty());
}

#[tokio::test]
async fn a_group_that_was_not_told_is_told_everything() {
    let (kit, dir, ada, bob, choir) = choir().await;
    // Out of scope: the target holds it deactivated, and is told of nobody meanwhile.
    kit.store.mark(dir, vec![choir.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    let away = Link { stage: Stage::Deactivated, ..link("g", "g") };
    let outcome =
        Outcome::Delivered { link: Some(away), revisit: None, action: Action::Deactivated };
    kit.settle(&claim, outcome).await;
    kit.remove(&choir, &[&ada]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    kit.settle(&claim, Outcome::Nothing).await;
    kit.update(&choir, Some(super::kit::group("the choir")), Vec::new()).await;
    assert_eq!(kit.tell(dir, &choir).await, all(&["b"]));
    // And asked for by a person, or found to differ.
    for reason in [Reason::Resync, Reason::Drift, Reason::Reconfigured, Reason::Backfill] {
        kit.store.mark(dir, vec![choir.row], reason, kit.now()).await.unwrap();
        assert_eq!(kit.tell(dir, &choir).await, all(&["b"]), "{reason:?}");
    }
    kit.place_again(dir, &bob, "b").await;
    kit.update(&choir, None, vec![MemberOp::RemoveAll]).await;
    assert_eq!(kit.tell(dir, &choir).await, changed(&[], &["b"]), "once is enough");
}

#[tokio::test]
async fn a_connector_without_groups_is_not_bothered_with_them() {
    let mut kit = Kit::new().await;
    let dir = kit.register(crate::store::Registration { members: false, ..directory() }).await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[&ada]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    assert!(kit.case(&claim).await.members.is_none());
    kit.settle(&claim, Outcome::Nothing).await;
    kit.place(dir, &ada, "a").await;
    assert!(kit.entries(dir).await.is_empty());
    assert_eq!(kit.rows("member_mark"), 0);
}

#[tokio::test]
async fn who_reads_groups_hears_of_people_whose_groups_change() {
    let mut kit = Kit::new().await;
    let dir = kit.register(crate::store::Registration { reads_groups: true, ..directory() }).await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let choir = kit.group("choir", &[&ada]).await;
    kit.deliver_all(dir).await;
    let marked = async || {
        let mut users = Vec::new();
        for (name, user) in [("ada", &ada), ("bob", &bob)] {
            if kit.state_of(dir, user).await == Some(State::Pending) {
                users.push(name);
            }
        }
        kit.deliver_all(dir).await;
        users
    };
    kit.add(&choir, &[&bob]).await;
    assert_eq!(marked().await, ["bob"]);
    kit.update(&choir, Some(super::kit::group("band")), Vec::new()).await;
    assert_eq!(marked().await, ["ada", "bob"]);
    kit.store.mark(dir, vec![ada.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    let groups = kit.case(&claim).await.groups;
    assert_eq!(groups.into_iter().filter_map(|one| one.display).collect::<Vec<_>>(), ["band"]);
    kit.settle(&claim, linked("x")).await;
    kit.deliver_all(dir).await;
    kit.remove(&choir, &[&bob]).await;
    assert_eq!(marked().await, ["bob"]);
    kit.delete(&choir).await;
    assert_eq!(marked().await, ["ada"]);
}
