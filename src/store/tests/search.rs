//! Who is found, by what, and until when.

use scim_relay_sdk::scim::{ResourceKind, fold};
use serde_json::json;

use super::kit::{Kit, linked, parked};
use crate::store::{
    AuditRow, Content, Lookups, MOST_FOUND, OrgId, People, Place, Search, State, Store, Stored,
    Typed,
};

fn person(user_name: &str, display_name: &str) -> Content {
    let body = json!({
        "userName": user_name,
        "displayName": display_name,
        "externalId": format!("9c41e0b2-{}", user_name.len()),
    });
    let lookups = Lookups { user_name: Some(fold(user_name)), ..Lookups::default() };
    Content { body: body.to_string(), lookups, changed: Vec::new(), password: None }
}

async fn new(kit: &Kit, user_name: &str, display_name: &str) -> Stored {
    let content = person(user_name, display_name);
    super::kit::done(kit.created(content, ResourceKind::User, &[]).await)
}

async fn follow(kit: &Kit) {
    while kit.store.follow_log().await.unwrap() {}
}

fn typed(text: &str) -> Search {
    Search { typed: Some(Typed::parse(text).unwrap()), ..Search::default() }
}

/// Their names, as they are told.
async fn found(kit: &Kit, search: Search) -> String {
    let found = kit.store.find(search, 0, 50).await.unwrap();
    assert_eq!((found.total, found.more), (found.hits.len(), false));
    let names = found.hits.iter().map(|hit| {
        let body: serde_json::Value = serde_json::from_str(&hit.stored.body).unwrap();
        body["displayName"].as_str().unwrap().to_owned()
    });
    names.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn people_and_groups_are_found_by_the_beginnings_of_their_words() {
    let kit = Kit::new().await;
    let kari = new(&kit, "kari.nordli@lillevik.example", "Kari Nordli").await;
    new(&kit, "oskar.holm", "Oskar Ødegård").await;
    kit.group("Karate, Nord", &[]).await;
    follow(&kit).await;
    let id = kari.id.to_string();
    for (text, expected) in [
        ("kar", "Karate, Nord, Kari Nordli"),
        ("nor kar", "Karate, Nord, Kari Nordli"),
        ("Kar Nordl", "Kari Nordli"),
        ("kari.nordli@lill", "Kari Nordli"),
        ("odegard", "Oskar Ødegård"),
        ("ØDEGÅRD", "Oskar Ødegård"),
        ("ari", ""),
        ("kari holm", ""),
        ("9c41e0b2-28", "Kari Nordli"),
        (id.as_str(), "Kari Nordli"),
        (&id[..18], "Kari Nordli"),
        ("o1", ""),
    ] {
        assert_eq!(found(&kit, typed(text)).await, expected, "{text}");
    }
    let group = Search { kind: Some(ResourceKind::Group), ..typed("kar") };
    assert_eq!(found(&kit, group).await, "Karate, Nord");
}

#[tokio::test]
async fn nobody_is_found_from_another_organization() {
    let kit = Kit::new().await;
    new(&kit, "kari", "Kari North").await;
    kit.user_in(kit.south, "karianne").await;
    follow(&kit).await;
    let of = |organizations: &[OrgId], search: Search| Search {
        organizations: Some(organizations.to_vec()),
        ..search
    };
    for (organizations, expected) in
        [(vec![kit.north], "Kari North"), (vec![kit.south], "karianne"), (vec![], "")]
    {
        assert_eq!(found(&kit, of(&organizations, typed("kar"))).await, expected);
        let changed_last = of(&organizations, Search::default());
        assert_eq!(found(&kit, changed_last).await, expected);
    }
    assert_eq!(
        found(&kit, of(&[kit.north, kit.south], typed("kar"))).await,
        "Kari North, karianne"
    );
    assert_eq!(found(&kit, typed("kar")).await, "Kari North, karianne");
}

#[tokio::test]
async fn a_new_name_is_found_and_the_old_one_is_not() {
    let kit = Kit::new().await;
    let kari = new(&kit, "kari", "Kari Nordli").await;
    follow(&kit).await;
    kit.update(&kari, Some(person("kari", "Kari Bakken")), Vec::new()).await;
    assert!(kit.store.follow_log().await.unwrap());
    assert!(!kit.store.follow_log().await.unwrap(), "it is up to date");
    assert_eq!(found(&kit, typed("bakken")).await, "Kari Bakken");
    assert_eq!(found(&kit, typed("nordli")).await, "");
}

#[tokio::test]
async fn whoever_was_deleted_is_found_until_nothing_is_kept_of_them_and_leaves_no_word_behind() {
    let kit = Kit::new().await;
    let kari = new(&kit, "kari", "Xylander").await;
    follow(&kit).await;
    kit.delete(&kari).await;
    follow(&kit).await;
    let gone = kit.store.find(typed("xyl"), 0, 50).await.unwrap();
    assert!(gone.hits[0].deleted.is_some());
    kit.pass(std::time::Duration::from_hours(1));
    while kit.store.prune(kit.now(), kit.now()).await.unwrap().more {}
    assert_eq!(found(&kit, typed("xyl")).await, "");
    let kit = kit.reopened().await;
    let c = rusqlite::Connection::open(kit.folder.path().join(crate::store::sqlite::FILE)).unwrap();
    c.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(c);
    let file = std::fs::read(kit.folder.path().join(crate::store::sqlite::FILE)).unwrap();
    let lower = file.to_ascii_lowercase();
    assert!(!lower.windows(8).any(|bytes| bytes == b"xylander"));
}

#[tokio::test]
async fn whoever_was_there_before_the_index_is_found_after_an_upgrade() {
    let kit = Kit::new().await;
    kit.users(600).await;
    let c = rusqlite::Connection::open(kit.folder.path().join(crate::store::sqlite::FILE)).unwrap();
    // As the migration leaves it.
    c.execute_batch(
        "UPDATE setting SET value = (SELECT max(seq) FROM change) WHERE name = 'search seq';
         UPDATE setting SET value = 0 WHERE name = 'search walk'",
    )
    .unwrap();
    drop(c);
    let kit = kit.reopened().await;
    let mut pieces = 0;
    while kit.store.follow_log().await.unwrap() {
        pieces += 1;
    }
    assert!(pieces > 2, "it is no more than a piece at a time: {pieces}");
    let all = kit.store.find(typed("user"), 0, 50).await.unwrap();
    assert_eq!((all.total, all.more, all.hits.len()), (MOST_FOUND, true, 50));
    let third = kit.store.find(typed("user59"), 5, 50).await.unwrap();
    assert_eq!((third.total, third.hits.len()), (11, 6));
}

#[tokio::test]
async fn whoever_waits_for_a_person_is_found_by_that() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let kari = new(&kit, "kari", "Kari").await;
    let karl = new(&kit, "karl", "Karl").await;
    new(&kit, "karin", "Karin").await;
    follow(&kit).await;
    kit.pass(std::time::Duration::from_secs(1));
    let claim = kit.claim_of(dir, &kari).await.unwrap();
    kit.settle(&claim, parked("no such building")).await;
    let claim = kit.claim_of(dir, &karl).await.unwrap();
    kit.settle(&claim, linked("karl")).await;
    for (place, expected) in
        [(Place::Human, "Kari"), (Place::Underway, "Karin"), (Place::InLine, "Karl")]
    {
        for search in [typed("kar"), Search::default()] {
            let search = Search { place: Some(place), ..search };
            assert_eq!(found(&kit, search).await, expected, "{place:?}");
        }
    }
    let one = kit.store.find(typed("kari"), 0, 1).await.unwrap().hits.remove(0);
    assert_eq!(one.waits, [("dir".to_owned(), State::Parked)]);
}

#[tokio::test]
async fn without_words_those_who_changed_last_come_first() {
    let kit = Kit::new().await;
    let kari = new(&kit, "kari", "Kari").await;
    kit.pass(std::time::Duration::from_secs(1));
    let karl = new(&kit, "karl", "Karl").await;
    assert_eq!(found(&kit, Search::default()).await, "Karl, Kari");
    kit.pass(std::time::Duration::from_secs(1));
    kit.update(&kari, Some(person("kari", "Kari B")), Vec::new()).await;
    assert_eq!(found(&kit, Search::default()).await, "Kari B, Karl");
    kit.delete(&karl).await;
    assert_eq!(
        found(&kit, Search::default()).await,
        "Kari B, Karl",
        "marked as removed, and there"
    );
}

#[tokio::test]
async fn who_came_into_a_group_and_left_it_is_told_by_member_however_many_came_at_once() {
    let kit = Kit::new().await;
    let users = kit.users(1_200).await;
    let all: Vec<&Stored> = users.iter().collect();
    let choir = kit.group("choir", &all).await;
    let (first, last) = (all[0], all[1_199]);
    kit.remove(&choir, &[last]).await;
    kit.delete(first).await;
    follow(&kit).await;
    for (member, expected) in
        [(first, &[true, false][..]), (last, &[true, false]), (all[1_100], &[false])]
    {
        let moves = kit.store.moves(member.row, 10).await.unwrap();
        assert_eq!(moves.iter().map(|one| one.left).collect::<Vec<_>>(), expected);
        assert!(moves.iter().all(|one| one.group.as_ref().unwrap().name == "choir"));
    }
    assert_eq!(kit.store.moves(last.row, 1).await.unwrap().len(), 1);
    kit.pass(std::time::Duration::from_hours(1));
    while kit.store.prune(kit.now(), kit.now()).await.unwrap().more {}
    assert!(kit.store.moves(last.row, 10).await.unwrap().is_empty(), "what is too old is gone");
}

#[tokio::test]
async fn a_groups_members_are_told_in_pages_by_name_and_by_where_they_stand() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let kari = new(&kit, "kari", "Kari").await;
    let karl = new(&kit, "karl", "Karl").await;
    let choir = kit.group("Choir", &[&karl, &kari]).await;
    new(&kit, "karin", "Karin").await;
    follow(&kit).await;
    let of = |search: Search| Search { group: Some(choir.row), ..search };
    assert_eq!(found(&kit, of(Search::default())).await, "Kari, Karl");
    assert_eq!(found(&kit, of(typed("karl"))).await, "Karl");
    assert_eq!(found(&kit, of(typed("karin"))).await, "");
    for one in [&kari, &choir] {
        let claim = kit.claim_of(dir, one).await.unwrap();
        kit.settle(&claim, linked(&one.id.to_string())).await;
    }
    for (place, expected) in
        [(Place::InLine, "Kari"), (Place::Underway, "Karl"), (Place::Human, "")]
    {
        for search in [Search::default(), typed("kar")] {
            let search = of(Search { place: Some(place), ..search });
            assert_eq!(found(&kit, search).await, expected, "{place:?}");
        }
    }
}

#[tokio::test]
async fn what_people_did_about_somebody_is_told_and_nothing_of_others() {
    let kit = Kit::new().await;
    let (kari, karl) = (kit.user("kari").await, kit.user("karl").await);
    for (subject, organization) in [
        (format!("dir User/{}", kari.id), super::kit::NORTH),
        (format!("User/{}", karl.id), super::kit::NORTH),
        (format!("User/{}", kari.id), super::kit::SOUTH),
    ] {
        let row = AuditRow {
            at: kit.now(),
            actor: "ingrid".to_owned(),
            from: None,
            action: "queue.skip".to_owned(),
            organization: Some(organization.to_owned()),
            subject,
            detail: Some("a reason".to_owned()),
        };
        kit.store.audit(row).await.unwrap();
    }
    let acts = kit.store.acts_about(super::kit::NORTH, kari.id, 10).await.unwrap();
    assert_eq!(acts.len(), 1);
    assert_eq!(acts[0].subject, format!("dir User/{}", kari.id));
}
