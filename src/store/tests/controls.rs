//! What a person looks for and does: filters, bulk, one resource's standing, a connector that is no more.

use std::collections::BTreeSet;

use scim_relay_sdk::scim::ResourceKind;

use super::kit::{Kit, hook, linked_at, parked};
use crate::store::sqlite::FILE;
use crate::store::{
    Actor, AuditRow, ConnectorId, EntryFilter, Once, OnceKey, Outcome, People, Reason, Signed,
    State, Store, Stored, Tally, Touch,
};

/// Three people at a directory: one parked, one that is retried, one that is due.
async fn three(kit: &mut Kit) -> (ConnectorId, [Stored; 3]) {
    let dir = kit.directory().await;
    let people = [kit.user("ada").await, kit.user("bob").await, kit.user("cleo").await];
    let claim = kit.claim_of(dir, &people[0]).await.unwrap();
    kit.settle(&claim, parked("Constraint violation: BJØRN is no mail")).await;
    let claim = kit.claim_of(dir, &people[1]).await.unwrap();
    let error = "Server is busy".to_owned();
    let busy = Outcome::Retry { due: kit.now(), error, counted: true, in_doubt: false };
    kit.settle(&claim, busy).await;
    (dir, people)
}

async fn names(kit: &Kit, filter: EntryFilter) -> Vec<String> {
    let filter = EntryFilter { limit: 10, ..filter };
    let entries = kit.store.entries(filter.clone()).await.unwrap().entries;
    assert_eq!(kit.store.count_entries(filter).await.unwrap(), entries.len() as u64);
    entries.into_iter().map(|entry| entry.name).collect()
}

#[tokio::test]
async fn rows_are_found_by_each_filter_and_those_for_people_come_first() {
    let mut kit = Kit::new().await;
    let (dir, people) = three(&mut kit).await;
    let any = EntryFilter::default;
    let error = |text: &str| EntryFilter { error: Some(text.to_owned()), ..any() };
    assert_eq!(names(&kit, any()).await, ["ada", "bob", "cleo"]);
    for (filter, found) in [
        (error("constraint"), vec!["ada"]),
        (error("bjørn"), vec!["ada"]),
        (error("BUSY"), vec!["bob"]),
        (error("nothing like it"), vec![]),
        (EntryFilter { state: Some(State::Pending), ..any() }, vec!["cleo"]),
        (EntryFilter { state: Some(State::Parked), ..error("busy") }, vec![]),
        (EntryFilter { resource: Some(Kit::key(&people[1])), ..any() }, vec!["bob"]),
        (EntryFilter { resource: Some(Kit::key(&people[1])), ..error("constraint") }, vec![]),
        (EntryFilter { organizations: Some(vec![kit.south]), ..any() }, vec![]),
        (
            EntryFilter { organizations: Some(vec![kit.north]), connector: Some(dir), ..any() },
            vec!["ada", "bob", "cleo"],
        ),
    ] {
        assert_eq!(names(&kit, filter.clone()).await, found, "{filter:?}");
    }
    let two = EntryFilter { limit: 2, ..any() };
    assert_eq!(kit.store.entries(two.clone()).await.unwrap().entries.len(), 2);
    assert_eq!(kit.store.count_entries(two).await.unwrap(), 3, "all of them");
}

#[tokio::test]
async fn what_is_touched_in_bulk_is_what_matches_and_each_row_is_written_down() {
    let mut kit = Kit::new().await;
    let (dir, people) = three(&mut kit).await;
    let filter = EntryFilter {
        connector: Some(dir),
        error: Some("busy".to_owned()),
        ..EntryFilter::default()
    };
    let touched = kit.store.touch(filter.clone(), Touch::Retry, None, kit.now()).await.unwrap();
    assert_eq!(touched, Tally::from([(kit.north, 1)]));
    let signed = || {
        let reason = Some("left long ago".to_owned());
        Some(Signed {
            by: Actor::account("kari@example.org".to_owned(), [192, 0, 2, 7].into()),
            action: "queue.skip",
            reason,
        })
    };
    let all = EntryFilter { connector: Some(dir), ..EntryFilter::default() };
    let touched = kit.store.touch(all, Touch::Skip, signed(), kit.now()).await.unwrap();
    assert_eq!(touched, Tally::from([(kit.north, 3)]));
    assert!(kit.entries(dir).await.is_empty());
    let written: BTreeSet<String> = kit
        .store
        .audit_log(10)
        .await
        .unwrap()
        .into_iter()
        .map(|row| {
            let AuditRow { actor, from, action, organization, subject, detail, .. } = row;
            assert_eq!((&*actor, &*action), ("kari@example.org", "queue.skip"));
            assert_eq!(from.as_deref(), Some("192.0.2.7"));
            assert_eq!(organization.as_deref(), Some("north"));
            assert_eq!(detail.as_deref(), Some("left long ago"));
            subject
        })
        .collect();
    let each = people.iter().map(|one| format!("dir User/{}", one.id)).collect();
    assert_eq!(written, each);
}

#[tokio::test]
async fn more_than_a_chunk_is_touched_where_few_match() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let people = kit.users(1_203).await;
    let claims = [kit.claim(dir).await, kit.claim(dir).await].concat();
    let mine: BTreeSet<_> = people.iter().step_by(2).map(|one| one.row).collect();
    for claim in &claims {
        let error = if mine.contains(&claim.resource) { "a full mailbox" } else { "a bad name" };
        kit.settle(claim, parked(error)).await;
    }
    let filter = EntryFilter { error: Some("Full".to_owned()), ..EntryFilter::default() };
    assert_eq!(kit.store.count_entries(filter.clone()).await.unwrap(), 602);
    let touched = kit.store.touch(filter, Touch::Skip, None, kit.now()).await.unwrap();
    assert_eq!(touched, Tally::from([(kit.north, 602)]));
    assert_eq!(kit.entries(dir).await.len(), 601);
}

#[tokio::test]
async fn a_name_finds_the_living_first_and_then_who_had_it() {
    let kit = Kit::new().await;
    let find = async |name: &str| {
        let found = kit.store.named(kit.north, ResourceKind::User, name).await.unwrap();
        found.into_iter().map(|one| (one.stored.id, one.deleted.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(find("ada").await, []);
    let first = kit.user("ada").await;
    kit.delete(&first).await;
    let second = kit.user("ada").await;
    assert_eq!(find("ADA").await, [(second.id, false), (first.id, true)]);
    assert_eq!(find(&first.id.to_string()).await, [(first.id, true)]);
    kit.delete(&second).await;
    assert_eq!(find("ada").await, [(second.id, true), (first.id, true)], "the last one first");
    assert_eq!(kit.store.named(kit.south, ResourceKind::User, "ada").await.unwrap().len(), 0);
    assert_eq!(kit.store.named(kit.north, ResourceKind::Group, "ada").await.unwrap().len(), 0);
    let [choir, other] = [kit.group("Choir", &[]).await, kit.group("choir", &[]).await];
    let groups = kit.store.named(kit.north, ResourceKind::Group, "CHOIR").await.unwrap();
    let ids: Vec<_> = groups.iter().map(|one| one.stored.id).collect();
    assert_eq!(ids, [choir.id, other.id]);
}

#[tokio::test]
async fn a_standing_tells_what_was_applied_what_waits_and_which_changes() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    let ada = kit.user("ada").await;
    kit.pass(std::time::Duration::from_secs(5));
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, linked_at("e-1", "uid=ada")).await;
    let applied = kit.now();
    kit.pass(std::time::Duration::from_secs(5));
    kit.change(&ada, "ada", "Countess").await;
    let standing = async |connector| {
        let all = kit.store.standings(ada.row).await.unwrap();
        all.into_iter().find(|one| one.connector == connector).unwrap()
    };
    let at_dir = standing(dir).await;
    let linked = at_dir.link.unwrap();
    assert_eq!((linked.address.as_str(), linked.stage.as_str()), ("uid=ada", "active"));
    assert_eq!(linked.applied_at, Some(applied));
    let waits = at_dir.waits.unwrap();
    let undelivered: Vec<_> = waits.undelivered.iter().map(|change| change.seq).collect();
    assert_eq!(undelivered, [linked.seq + 1]);
    assert_eq!(standing(hook).await.waits.unwrap().undelivered.len(), 2);
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    assert!(standing(hook).await.waits.unwrap().delivering.is_some());
    kit.settle(&claim, parked("no")).await;
    let waits = standing(hook).await.waits.unwrap();
    assert_eq!((waits.delivering, waits.entry.last_error.as_deref()), (None, Some("no")));
}

/// How many rows there are of a connector, in every table that names one.
fn left_of(kit: &Kit, connector: ConnectorId) -> Vec<(String, i64)> {
    let c = rusqlite::Connection::open(kit.folder.path().join(FILE)).unwrap();
    let tables: Vec<String> = c
        .prepare(
            "SELECT m.name FROM sqlite_schema m, pragma_table_info(m.name) p
                  WHERE m.type = 'table' AND p.name = 'connector'",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(tables.len() >= 8, "{tables:?}");
    tables
        .into_iter()
        .map(|table| {
            let query = format!("SELECT count(*) FROM {table} WHERE connector = ?1");
            let count = c.query_row(&query, [connector.0], |row| row.get(0)).unwrap();
            (table, count)
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[tokio::test]
async fn a_connector_is_forgotten_whole_and_comes_back_as_a_new_one() {
    let mut kit = Kit::new().await;
    let (dir, hook_id) = (kit.directory().await, kit.hook().await);
    let people = kit.users(700).await;
    let choir = kit.group("choir", &[&people[0], &people[1]]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    kit.settle(&claim, parked("no")).await;
    kit.deliver_all(dir).await;
    kit.changes(&people[0], "user0", 3).await;
    kit.store.mark_everyone(dir, None, Reason::Resync).await.unwrap();
    kit.store.walk_fanout(kit.now()).await.unwrap();
    assert!(!kit.store.forget(dir).await.unwrap(), "it is enabled");
    kit.unregister("dir").await;
    assert!(left_of(&kit, dir).len() >= 4, "{:?}", left_of(&kit, dir));

    assert!(kit.store.forget(dir).await.unwrap());
    let rows = kit.store.connectors().await.unwrap();
    assert!(rows.iter().all(|row| row.name != "dir"), "at once, for people");
    // The end of the process in the middle; the file is back before all is gone.
    assert!(kit.store.drop_forgotten().await.unwrap());
    let mut kit = kit.reopened().await;
    assert!(!left_of(&kit, dir).is_empty());
    let again = kit.directory().await;
    assert_ne!(again, dir);
    kit.user("late").await;
    while kit.store.drop_forgotten().await.unwrap() {}
    assert_eq!(left_of(&kit, dir), []);
    while kit.store.walk_fanout(kit.now()).await.unwrap() {}
    let backlog = kit.backlog(again).await;
    assert_eq!(backlog.pending, 702, "everyone, for the new one");
    assert_eq!(kit.entries(hook_id).await.len(), 702, "others keep theirs");
}

#[tokio::test]
async fn what_was_sent_once_stays_sent_when_its_connector_is_forgotten() {
    let mut kit = Kit::new().await;
    let hook_id = kit.hook().await;
    let ada = kit.user("ada").await;
    let once = |key: &str| OnceKey {
        connector: "hook".into(),
        organization: "north".into(),
        key: key.to_owned(),
    };
    let claim = kit.claim_of(hook_id, &ada).await.unwrap();
    let (sent, cut_off) = (once("welcome:ada"), once("goodbye:ada"));
    for key in [&sent, &cut_off] {
        assert_eq!(kit.store.once_begin(key, &claim, kit.now()).await.unwrap(), Once::Begun);
    }
    kit.store.once_end(&sent, true).await.unwrap();
    assert_eq!(kit.store.once_look(&sent).await.unwrap(), Some((kit.now(), true)));
    assert_eq!(kit.store.once_look(&cut_off).await.unwrap(), Some((kit.now(), false)));
    kit.unregister("hook").await;
    assert!(kit.store.forget(hook_id).await.unwrap());
    while kit.store.drop_forgotten().await.unwrap() {}
    let again = kit.register(hook()).await;
    kit.directory().await;
    let eve = kit.user("eve").await;
    let claim = kit.claim_of(again, &eve).await.unwrap();
    assert_eq!(kit.store.once_begin(&sent, &claim, kit.now()).await.unwrap(), Once::Sent);
    let begun = kit.store.once_begin(&cut_off, &claim, kit.now()).await.unwrap();
    assert_eq!(begun, Once::InterruptedElsewhere, "in doubt, whoever it is for");
}
