//! A write is one transaction, or nothing at all.

use scim_relay_sdk::connector::Verb;
use scim_relay_sdk::scim::{MemberOp, MemberValue, ResourceKind};

use super::kit::{Kit, done, group, titled, user, values};
use crate::store::{Deletion, Origin, State, Store, Update, Written};

#[tokio::test]
async fn a_write_its_change_and_its_queue_rows_are_one() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    let ada = kit.user("ada").await;
    for connector in [dir, hook] {
        let entry = Kit::only(kit.entries(connector).await);
        assert_eq!((entry.id, entry.state, entry.name.as_str()), (ada.id, State::Pending, "ada"));
    }
    let log = kit.store.log(kit.north, ada.row, 10).await.unwrap();
    assert_eq!(log.iter().map(|row| row.verb).collect::<Vec<_>>(), [Verb::Created]);
    assert_eq!(kit.store.population(kit.north).await.unwrap(), (1, 0));
}

#[tokio::test]
async fn a_refused_write_leaves_nothing() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    kit.deliver_all(dir).await;
    let tables = ["resource", "member", "change", "queue", "member_mark"];
    let before = tables.map(|table| kit.rows(table));

    let taken = kit.created(user("ADA"), ResourceKind::User, &[]).await;
    assert!(matches!(taken, Written::UserNameTaken), "{taken:?}");

    // The first member is known, the second is not.
    let nobody = MemberValue { value: "nobody".to_owned(), kind: None };
    let members = vec![ada.id.to_string(), nobody.value.clone()];
    let id = crate::ids::resource_id(kit.now());
    let unknown = kit
        .store
        .create(kit.north, ResourceKind::Group, id, group("choir"), members, kit.origin())
        .await
        .unwrap();
    assert!(matches!(&unknown, Written::UnknownMember(value) if value == "nobody"), "{unknown:?}");
    assert_eq!(tables.map(|table| kit.rows(table)), before);
    assert_eq!(kit.store.population(kit.north).await.unwrap(), (1, 0));

    let choir = kit.group("choir", &[]).await;
    let before = tables.map(|table| kit.rows(table));
    for (members, itself) in [
        (vec![MemberOp::Add(values(&[&ada])), MemberOp::Add(vec![nobody])], false),
        (vec![MemberOp::Add(values(&[&ada])), MemberOp::Add(values(&[&choir]))], true),
    ] {
        let refused = kit.update(&choir, Some(group("other")), members).await;
        let expected = if itself {
            matches!(refused, Written::MemberOfItself)
        } else {
            matches!(refused, Written::UnknownMember(_))
        };
        assert!(expected, "{refused:?}");
    }
    let bob = kit.user("bob").await;
    let before_rename = tables.map(|table| kit.rows(table));
    let taken = kit.update(&bob, Some(user("ada")), Vec::new()).await;
    assert!(matches!(taken, Written::UserNameTaken), "{taken:?}");
    assert_eq!(tables.map(|table| kit.rows(table)), before_rename);
    assert_eq!(before_rename[1], before[1], "no member was left behind");
    let stored = kit.store.get(kit.north, ResourceKind::Group, choir.id).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.body), (choir.version, choir.body));
}

#[tokio::test]
async fn a_write_that_changes_nothing_writes_nothing_and_marks_nothing() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[&ada]).await;
    kit.deliver_all(dir).await;
    let changes = kit.rows("change");
    let again = [
        kit.update(&ada, Some(user("ada")), Vec::new()).await,
        kit.update(&ada, None, Vec::new()).await,
        kit.update(&choir, None, vec![MemberOp::Add(values(&[&ada]))]).await,
        kit.update(&choir, Some(group("choir")), vec![MemberOp::Replace(values(&[&ada]))]).await,
    ];
    for written in again {
        let Written::Done { stored, changed } = written else { panic!("{written:?}") };
        assert!(!changed);
        assert_eq!(stored.version, 1);
    }
    assert_eq!(kit.rows("change"), changes);
    assert!(kit.entries(dir).await.is_empty());
}

#[tokio::test]
async fn a_version_that_was_overtaken_is_refused() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    kit.change(&ada, "ada", "first").await;
    let update = Update {
        kind: ResourceKind::User,
        id: ada.id,
        expected: Some(1),
        content: Some(titled("ada", "second")),
        members: Vec::new(),
    };
    let written = kit.store.update(kit.north, update, kit.origin()).await.unwrap();
    assert!(matches!(written, Written::Conflict(2)), "{written:?}");
    let deletion = kit
        .store
        .delete(kit.north, ResourceKind::User, ada.id, Some(1), kit.origin())
        .await
        .unwrap();
    assert_eq!(deletion, Deletion::Conflict(2));
}

#[tokio::test]
async fn a_user_name_is_unique_among_the_living_of_one_organization() {
    let kit = Kit::new().await;
    let ada = kit.user("Ada").await;
    let again = kit.created(user("\u{ff21}DA"), ResourceKind::User, &[]).await;
    assert!(matches!(again, Written::UserNameTaken), "{again:?}");
    kit.user_in(kit.south, "ada").await;
    kit.group("ada", &[]).await;
    kit.group("ada", &[]).await;

    kit.delete(&ada).await;
    let other = kit.user("ada").await;
    assert_ne!(other.id, ada.id);
    kit.delete(&other).await;
    kit.user("ADA").await;
}

#[tokio::test]
async fn what_another_organization_has_is_not_found() {
    let mut kit = Kit::new().await;
    kit.directory().await;
    let theirs = kit.user_in(kit.south, "ada").await;
    let kind = ResourceKind::User;
    assert!(kit.store.get(kit.north, kind, theirs.id).await.unwrap().is_none());
    let written = kit.update(&theirs, Some(user("eve")), Vec::new()).await;
    assert!(matches!(written, Written::NotFound), "{written:?}");
    let deletion = kit.store.delete(kit.north, kind, theirs.id, None, kit.origin()).await.unwrap();
    assert_eq!(deletion, Deletion::NotFound);
    let written = kit.created(group("choir"), ResourceKind::Group, &[&theirs]).await;
    assert!(matches!(written, Written::UnknownMember(_)), "{written:?}");
    assert_eq!(kit.list(kind, None, 0, 10).await.total, 0);
    assert!(kit.store.log(kit.north, theirs.row, 10).await.unwrap().is_empty());
    let filter = format!("id eq \"{}\"", theirs.id);
    assert_eq!(kit.list(kind, Some(&filter), 0, 10).await.total, 0);
    assert_eq!(kit.store.population(kit.north).await.unwrap(), (0, 0));
}

#[tokio::test]
async fn deleting_a_user_is_one_change_and_one_version_for_each_of_its_groups() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let choir = kit.group("choir", &[&ada, &bob]).await;
    let band = kit.group("band", &[&ada]).await;
    let other = kit.group("other", &[&bob]).await;
    kit.deliver_all(dir).await;
    kit.delete(&ada).await;
    for (group, version, changes) in [(&choir, 2, 2), (&band, 2, 2), (&other, 1, 1)] {
        let stored =
            kit.store.get(kit.north, ResourceKind::Group, group.id).await.unwrap().unwrap();
        assert_eq!(stored.version, version);
        let log = kit.store.log(kit.north, group.row, 10).await.unwrap();
        assert_eq!(log.len(), changes);
        if changes == 2 {
            let left: Vec<_> = log[0].left.iter().map(|left| left.value.clone()).collect();
            assert_eq!(left, [ada.id.to_string()]);
        }
    }
    let members = kit.memberships(&choir).await;
    assert_eq!(members.iter().map(|one| one.id).collect::<Vec<_>>(), [bob.id]);
    let mut marked: Vec<_> = kit.entries(dir).await.into_iter().map(|entry| entry.id).collect();
    marked.sort();
    let mut expected = vec![ada.id, choir.id, band.id];
    expected.sort();
    assert_eq!(marked, expected);
}

#[tokio::test]
async fn deleting_twice_finds_nothing_the_second_time() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    kit.delete(&ada).await;
    let again = kit.store.delete(kit.north, ada.kind, ada.id, None, kit.origin()).await.unwrap();
    assert_eq!(again, Deletion::NotFound);
    assert_eq!(kit.store.population(kit.north).await.unwrap(), (0, 0));
    let written = kit.update(&ada, Some(user("ada")), Vec::new()).await;
    assert!(matches!(written, Written::NotFound), "{written:?}");
}

#[tokio::test]
async fn the_log_says_what_changed_and_who_joined() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[]).await;
    kit.add(&choir, &[&ada]).await;
    done(kit.update(&choir, Some(group("band")), Vec::new()).await);
    kit.remove(&choir, &[&ada]).await;
    let log = kit.store.log(kit.north, choir.row, 10).await.unwrap();
    let told: Vec<_> =
        log.iter().map(|row| (row.attributes.len(), row.joined.len(), row.left.len())).collect();
    assert_eq!(told, [(0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 0, 0)]);
    assert_eq!(log[2].joined[0].user_name.as_deref(), Some("ada"));
    assert_eq!(log[2].joined[0].external_id.as_deref(), Some("ext-ada"));
    let newest = kit.store.log(kit.north, choir.row, 1).await.unwrap();
    assert_eq!(newest[0].seq, log[0].seq);
}

#[tokio::test]
async fn what_a_write_answers_is_what_a_read_says_to_the_last_digit_of_its_time() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let origin =
        Origin { now: kit.now() + jiff::SignedDuration::from_nanos(1_234_567), ..kit.origin() };
    let update = Update {
        kind: ada.kind,
        id: ada.id,
        expected: None,
        content: Some(titled("ada", "Dr")),
        members: Vec::new(),
    };
    let Written::Done { stored, .. } = kit.store.update(kit.north, update, origin).await.unwrap()
    else {
        panic!("it is written");
    };
    let read = kit.store.get(kit.north, ada.kind, ada.id).await.unwrap().unwrap();
    assert_eq!(stored.modified, read.modified);
}
