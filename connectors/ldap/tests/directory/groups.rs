//! Groups: members that come and go by value, and the one that stands for nobody.

use std::collections::BTreeSet;

use scim_relay_sdk::connector::{
    Action, Connector, Decision, Delivered, HoldKind, Member, MemberDelta, MemberRemovals, Work,
};
use scim_relay_sdk::scim::{ResourceId, ResourceKey, ResourceKind};
use scim_relay_sdk::testing::{ada, choir, deleted, group_work, member_conformance, present};
use uuid::Uuid;

use crate::kit::{Target, USERS, WorkExt as _, address, held, member, person, with};
use crate::proxy::{Proxy, Way};
use crate::slapd::{Options, RELAY, Slapd};

const BASE: &str = "ou=groups,dc=example,dc=org";

async fn people(connector: &dyn Connector, count: u128) -> Vec<Delivered> {
    let mut people = Vec::new();
    for number in 1..=count {
        let work = present(person(number, &format!("person{number}")));
        people.push(connector.deliver(&work).await.unwrap());
    }
    people
}

/// Members who are nobody's entries; the server does not ask.
fn strangers(count: u128) -> Vec<Member> {
    (0..count)
        .map(|number| Member {
            key: ResourceKey {
                organization: "lillevik".into(),
                kind: ResourceKind::User,
                id: ResourceId(Uuid::from_u128(number)),
            },
            target_id: Uuid::from_u128(number).to_string(),
            address: format!("uid=stranger{number:05},ou=people,dc=example,dc=org"),
        })
        .collect()
}

fn changed(joined: &[&Delivered], left: &[&Delivered]) -> Work {
    let list = |people: &[&Delivered]| people.iter().map(|person| member(person)).collect();
    group_work(choir(), MemberDelta::Changed { joined: list(joined), left: list(left) })
}

fn all(members: &[&Delivered]) -> Work {
    group_work(choir(), MemberDelta::All(members.iter().map(|person| member(person)).collect()))
}

fn names(members: &[Member]) -> BTreeSet<String> {
    members.iter().map(|member| member.address.clone()).collect()
}

fn members(slapd: &Slapd) -> Vec<String> {
    let group = slapd.one("(objectClass=groupOfNames)");
    group.values("member").into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn members_join_and_leave_and_the_placeholder_makes_room() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 3).await;
    let [one, two, three] = people.as_slice() else { unreachable!("three people") };

    let made = connector.deliver(&all(&[])).await.unwrap();
    assert_eq!(
        (made.action, address(&made)),
        (Action::Created, "cn=Choir,ou=groups,dc=example,dc=org")
    );
    assert_eq!(members(&slapd), [RELAY]);

    let joined = connector.deliver(&changed(&[one, two], &[]).linked(&made)).await.unwrap();
    assert_eq!(joined.action, Action::Updated);
    assert_eq!(members(&slapd), [address(one), address(two)]);

    connector.deliver(&changed(&[three], &[one]).linked(&made)).await.unwrap();
    assert_eq!(members(&slapd), [address(two), address(three)]);

    connector.deliver(&changed(&[], &[two, three]).linked(&made)).await.unwrap();
    assert_eq!(members(&slapd), [RELAY]);

    connector.deliver(&all(&[one]).linked(&made)).await.unwrap();
    assert_eq!(members(&slapd), [address(one)]);
    connector.deliver(&all(&[]).linked(&made)).await.unwrap();
    assert_eq!(members(&slapd), [RELAY]);
    let again = connector.deliver(&all(&[]).linked(&made)).await.unwrap();
    assert_eq!(again.action, Action::Unchanged);
}

#[tokio::test]
async fn nobody_is_taken_out_without_permission() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 3).await;
    let people: Vec<_> = people.iter().map(member).collect();
    member_conformance(&*connector, choir(), people.try_into().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_changed_configuration_asks_before_it_renames_and_a_provider_does_not() {
    let slapd = Slapd::start().await;
    let made = Target::of(&slapd).connect().deliver(&present(ada())).await.unwrap();
    let elsewhere = USERS.replace("uid={{ userName }},ou", "cn={{ displayName }},ou");
    let connector = Target::of(&slapd).connect_with(&elsewhere);
    let before = address(&made).to_owned();
    let work = present(ada()).linked(&made);
    let (kind, summary) =
        held(connector.deliver(&work.clone().without(|permit| permit.rename = false)).await);
    assert_eq!(kind, HoldKind::Removal);
    assert!(summary.starts_with(&format!("rename `{before}` to `cn=Ada")), "{summary}");
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").dn, before);
    let renamed = connector.deliver(&work).await.unwrap();
    assert_eq!(renamed.action, Action::Renamed);
    // What is called so already is not asked about.
    let again = present(ada()).linked(&renamed).without(|permit| permit.rename = false);
    assert_eq!(connector.deliver(&again).await.unwrap().action, Action::Unchanged);
}

#[tokio::test]
async fn a_delta_that_came_already_writes_what_is_left_of_it() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 4).await;
    let [one, two, three, four] = people.as_slice() else { unreachable!("four people") };
    let made = connector.deliver(&all(&[one, two])).await.unwrap();
    assert_eq!(members(&slapd), [address(one), address(two)]);

    // One is there, four never was.
    let work = changed(&[one, three], &[two, four]).linked(&made);
    connector.deliver(&work).await.unwrap();
    assert_eq!(members(&slapd), [address(one), address(three)]);
    let again = connector.deliver(&work).await.unwrap();
    assert_eq!(again.action, Action::Unchanged);
}

#[tokio::test]
async fn the_last_leave_together_with_one_who_never_came() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 3).await;
    let [one, two, three] = people.as_slice() else { unreachable!("three people") };
    let made = connector.deliver(&all(&[one, two])).await.unwrap();
    connector.deliver(&changed(&[], &[one, two, three]).linked(&made)).await.unwrap();
    assert_eq!(members(&slapd), [RELAY]);
}

#[tokio::test]
async fn who_leaves_needs_permission_and_nothing_is_written_without() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 2).await;
    let [one, two] = people.as_slice() else { unreachable!("two people") };
    let made = connector.deliver(&all(&[one])).await.unwrap();
    let before = slapd.one("(cn=Choir)");

    for mut work in [changed(&[two], &[one]), all(&[two])] {
        work.wanted = present(with(choir(), "displayName", "Big choir")).wanted;
        let work = work.linked(&made).without(|permit| permit.members = MemberRemovals::UpTo(0));
        let summary = "remove 1 member from `cn=Choir,ou=groups,dc=example,dc=org`".to_owned();
        assert_eq!(held(connector.deliver(&work).await), (HoldKind::MemberRemoval, summary));
        assert_eq!(slapd.one("(cn=Choir)"), before);
    }
    let joins = changed(&[two], &[])
        .linked(&made)
        .without(|permit| permit.members = MemberRemovals::UpTo(0));
    connector.deliver(&joins).await.unwrap();
    assert_eq!(members(&slapd), [address(one), address(two)]);
}

#[tokio::test]
async fn a_large_group_is_written_in_parts() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let crowd = strangers(2_500);
    let made =
        connector.deliver(&group_work(choir(), MemberDelta::All(crowd.clone()))).await.unwrap();
    assert_eq!(members(&slapd).len(), 2_500);

    let (stay, leave) = crowd.split_at(1);
    let delta = MemberDelta::Changed { joined: Vec::new(), left: leave.to_vec() };
    connector.deliver(&group_work(choir(), delta).linked(&made)).await.unwrap();
    assert_eq!(members(&slapd), [stay[0].address.as_str()]);

    let delta = MemberDelta::Changed { joined: leave.to_vec(), left: stay.to_vec() };
    connector.deliver(&group_work(choir(), delta).linked(&made)).await.unwrap();
    assert_eq!(members(&slapd).len(), 2_499);
    connector
        .deliver(&group_work(choir(), MemberDelta::All(Vec::new())).linked(&made))
        .await
        .unwrap();
    assert_eq!(members(&slapd), [RELAY]);
}

#[tokio::test]
async fn a_large_change_that_is_cut_off_half_way_shortens_no_list_and_ends_whole() {
    let slapd = Slapd::start().await;
    let proxy = Proxy::before(&slapd.tls_url()).await;
    let mut target = Target::of(&slapd);
    target.head = proxy.on_the_way(&target.head);
    let connector = target.connect();
    let crowd = strangers(5_050);
    let (before, after) = (&crowd[..1_500], &crowd[50..]);
    let stay = names(&crowd[50..1_500]);
    let changes = [
        MemberDelta::All(after.to_vec()),
        MemberDelta::Changed { joined: crowd[1_500..].to_vec(), left: crowd[..50].to_vec() },
    ];
    for change in changes {
        let everybody = MemberDelta::All(before.to_vec());
        let made = connector.deliver(&group_work(choir(), everybody)).await.unwrap();
        let change = group_work(choir(), change).linked(&made);

        // That is two parts of the change and half of the next, so each attempt gets a bit further.
        proxy.turn(Way::CutAfterSent(130_000));
        let mut attempts = 0;
        while let Err(error) = connector.deliver(&change).await {
            let decision = error.decision();
            assert!(matches!(decision, Decision::Retry { .. } | Decision::PauseTarget), "{error}");
            let held: BTreeSet<String> = members(&slapd).into_iter().collect();
            assert!(held.is_superset(&stay) && held.len() >= 1_500, "{} are left", held.len());
            attempts += 1;
            assert!(attempts < 20, "it gets nowhere: {error}");
        }
        assert!(attempts > 0, "it was cut off {attempts} times");
        proxy.turn(Way::Open);
        assert_eq!(members(&slapd).into_iter().collect::<BTreeSet<_>>(), names(after));
        connector.deliver(&deleted(choir()).linked(&made)).await.unwrap();
    }
}

#[tokio::test]
async fn renames_reach_the_members_of_groups() {
    let slapd = Slapd::start_with(&Options { refint: true, ..Options::default() }).await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 1).await;
    let made = connector.deliver(&all(&[&people[0]])).await.unwrap();
    let renamed = present(person(1, "married")).linked(&people[0]);
    let renamed = connector.deliver(&renamed).await.unwrap();
    // The server repairs the reference in its own time, or the group's next work does.
    let work = changed(&[&renamed], &[&people[0]]).linked(&made);
    connector.deliver(&work).await.unwrap();
    assert_eq!(members(&slapd), [address(&renamed)]);
    let again = connector.deliver(&all(&[&renamed]).linked(&made)).await.unwrap();
    assert_eq!(again.action, Action::Unchanged);
}

#[tokio::test]
async fn the_server_s_own_filler_is_no_member() {
    let slapd = Slapd::start_with(&Options { refint: true, ..Options::default() }).await;
    let filler = "cn=admin,dc=example,dc=org";
    let connector =
        Target::of(&slapd).connect_with(&format!("{USERS}refint_nothing = \"{filler}\"\n"));
    let people = people(&*connector, 2).await;
    let made = connector.deliver(&all(&[&people[0]])).await.unwrap();
    slapd.apply(&format!("dn: {}\nchangetype: delete\n", address(&people[0])));
    while members(&slapd) != [filler] {
        tokio::task::yield_now().await;
    }
    let empty = connector.deliver(&all(&[]).linked(&made)).await.unwrap();
    assert_eq!(empty.action, Action::Unchanged);
    connector.deliver(&changed(&[&people[1]], &[]).linked(&made)).await.unwrap();
    assert_eq!(members(&slapd), [address(&people[1])]);
}

#[tokio::test]
async fn a_group_is_renamed_and_deleted() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 1).await;
    let made = connector.deliver(&all(&[&people[0]])).await.unwrap();
    let named = with(choir(), "displayName", "Kor, stort");
    let renamed = connector.deliver(&present(named.clone()).linked(&made)).await.unwrap();
    assert_eq!(renamed.action, Action::Renamed);
    let group = slapd.one("(objectClass=groupOfNames)");
    assert_eq!((group.dn.as_str(), group.values("cn")), (address(&renamed), vec!["Kor, stort"]));
    assert_eq!(group.values("member"), [address(&people[0])]);

    let gone = deleted(named).linked(&renamed);
    let (kind, _) =
        held(connector.deliver(&gone.clone().without(|permit| permit.remove = false)).await);
    assert_eq!(kind, HoldKind::Removal);
    assert_eq!(connector.deliver(&gone).await.unwrap().action, Action::Deleted);
    assert_eq!(connector.deliver(&gone).await.unwrap().action, Action::Unchanged);
    assert_eq!(connector.deliver(&gone.link(None)).await.unwrap().action, Action::Ignored);
    assert_eq!(slapd.search(BASE, "(objectClass=groupOfNames)"), []);
}

#[tokio::test]
async fn a_group_that_was_there_before_is_taken_over_with_approval_only() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 1).await;
    slapd.apply(&format!(
        "dn: cn=choir,{BASE}\nchangetype: add\nobjectClass: groupOfNames\ncn: choir\nmember: {RELAY}\n"
    ));
    let work = all(&[&people[0]]);
    let (kind, _) =
        held(connector.deliver(&work.clone().without(|permit| permit.take_over = false)).await);
    assert_eq!(kind, HoldKind::TakeOver);
    assert_eq!(members(&slapd), [RELAY]);
    let taken = connector.deliver(&work).await.unwrap();
    assert_eq!(taken.action, Action::Adopted);
    assert_eq!(members(&slapd), [address(&people[0])]);
}

#[tokio::test]
async fn a_group_that_was_deleted_by_hand_asks_for_all_its_members() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let people = people(&*connector, 2).await;
    let made = connector.deliver(&all(&[&people[0]])).await.unwrap();
    slapd.apply(&format!("dn: {}\nchangetype: delete\n", address(&made)));
    let work = changed(&[&people[1]], &[]).linked(&made);
    let asked = connector.deliver(&work).await.unwrap();
    assert_eq!((asked.link, asked.revisit), (None, Some(work.now)));
    connector.deliver(&all(&[&people[0], &people[1]])).await.unwrap();
    assert_eq!(members(&slapd), [address(&people[0]), address(&people[1])]);
}
