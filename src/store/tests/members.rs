//! Memberships: what several operations come to.

use scim_relay_sdk::scim::{Filter, MemberFilter, MemberOp};

use super::kit::{Kit, values};
use crate::store::{Store, Stored, Written};

/// Carries out `operations` on a group of `before`; who is in it then, who joined and who left, by
/// name.
async fn check(
    before: &[&str],
    operations: impl Fn(&dyn Fn(&[&str]) -> Vec<Stored>) -> Vec<MemberOp>,
    after: &[&str],
    joined: &[&str],
    left: &[&str],
) {
    let kit = Kit::new().await;
    let mut people = Vec::new();
    for name in ["ada", "bob", "eve"] {
        people.push((name, kit.user(name).await));
    }
    let find = |names: &[&str]| -> Vec<Stored> {
        let one = |name: &&str| people.iter().find(|(known, _)| known == name).unwrap().1.clone();
        names.iter().map(one).collect()
    };
    let members = find(before);
    let choir = kit.group("choir", &members.iter().collect::<Vec<_>>()).await;
    let written = kit.update(&choir, None, operations(&find)).await;
    let Written::Done { changed, stored } = written else { panic!("{written:?}") };
    let moved = !joined.is_empty() || !left.is_empty();
    assert_eq!(changed, moved);
    assert_eq!(stored.version, 1 + i64::from(moved));
    let members = kit.memberships(&choir).await;
    let names = |list: Vec<Option<String>>| list.into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(names(members.into_iter().map(|one| one.display).collect()), after);
    let log = kit.store.log(kit.north, choir.row, 1).await.unwrap().remove(0);
    if moved {
        assert_eq!(names(log.joined.into_iter().map(|one| one.user_name).collect()), joined);
        assert_eq!(names(log.left.into_iter().map(|one| one.user_name).collect()), left);
    }
}

fn add(members: &[Stored]) -> MemberOp {
    MemberOp::Add(values(&members.iter().collect::<Vec<_>>()))
}

fn remove(members: &[Stored]) -> MemberOp {
    MemberOp::Remove(members.iter().map(|one| one.id.to_string()).collect())
}

fn replace(members: &[Stored]) -> MemberOp {
    MemberOp::Replace(values(&members.iter().collect::<Vec<_>>()))
}

#[tokio::test]
async fn who_comes_and_goes_in_one_write_did_neither() {
    check(&["ada"], |by| vec![add(&by(&["bob"])), remove(&by(&["bob"]))], &["ada"], &[], &[]).await;
    check(&["ada"], |by| vec![remove(&by(&["ada"])), add(&by(&["ada"]))], &["ada"], &[], &[]).await;
    check(&["ada"], |by| vec![MemberOp::RemoveAll, replace(&by(&["ada"]))], &["ada"], &[], &[])
        .await;
}

#[tokio::test]
async fn adding_a_member_twice_is_adding_it_once() {
    check(&["ada"], |by| vec![add(&by(&["ada", "bob", "bob"]))], &["ada", "bob"], &["bob"], &[])
        .await;
}

#[tokio::test]
async fn removing_a_stranger_is_no_mistake() {
    check(&["ada"], |by| vec![remove(&by(&["eve"]))], &["ada"], &[], &[]).await;
    check(&["ada"], |_| vec![MemberOp::Remove(vec!["nobody".to_owned()])], &["ada"], &[], &[])
        .await;
}

fn removed(filter: &str) -> MemberOp {
    MemberOp::RemoveWhere(MemberFilter::new(Filter::parse(filter).unwrap()).unwrap())
}

#[tokio::test]
async fn a_filter_removes_whom_it_selects() {
    let among = &["ada", "bob"];
    for all in ["type eq \"User\"", "value pr", "not (display eq \"eve\")"] {
        check(among, |_| vec![removed(all)], &[], &[], among).await;
    }
    for nobody in ["type eq \"Group\"", "display eq \"eve\"", "value eq \"x\" and type pr"] {
        check(among, |_| vec![removed(nobody)], among, &[], &[]).await;
    }
    check(among, |_| vec![removed("display sw \"A\"")], &["bob"], &[], &["ada"]).await;
    for (also, left) in [("type eq \"User\"", vec!["ada"]), ("type eq \"Group\"", vec![])] {
        let after = if left.is_empty() { &among[..] } else { &among[1..] };
        let one = |by: &dyn Fn(&[&str]) -> Vec<Stored>| {
            let ids = by(&["ada", "eve"]).into_iter().map(|one| format!("value eq \"{}\"", one.id));
            vec![removed(&format!("({}) and {also}", ids.collect::<Vec<_>>().join(" or ")))]
        };
        check(among, one, after, &[], &left).await;
    }
}

#[tokio::test]
async fn a_filter_is_asked_about_those_who_came_before_in_the_same_write() {
    check(
        &["ada"],
        |by| vec![add(&by(&["bob"])), removed("type eq \"User\""), add(&by(&["eve"]))],
        &["eve"],
        &["eve"],
        &["ada"],
    )
    .await;
}

#[tokio::test]
async fn replacing_moves_only_those_who_differ() {
    check(
        &["ada", "bob"],
        |by| vec![replace(&by(&["bob", "eve"]))],
        &["bob", "eve"],
        &["eve"],
        &["ada"],
    )
    .await;
    check(&["ada", "bob"], |_| vec![replace(&[])], &[], &[], &["ada", "bob"]).await;
}

#[tokio::test]
async fn removing_all_leaves_nobody() {
    check(&["ada", "bob"], |_| vec![MemberOp::RemoveAll], &[], &[], &["ada", "bob"]).await;
    check(
        &["ada", "bob"],
        |by| vec![MemberOp::RemoveAll, add(&by(&["eve", "bob"]))],
        &["bob", "eve"],
        &["eve"],
        &["ada"],
    )
    .await;
}

#[tokio::test]
async fn a_user_knows_its_groups_and_a_deleted_group_is_none() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[&ada]).await;
    kit.group("band", &[&ada]).await;
    kit.delete(&choir).await;
    let groups = kit.memberships(&ada).await;
    assert_eq!(groups.into_iter().filter_map(|one| one.display).collect::<Vec<_>>(), ["band"]);
}
