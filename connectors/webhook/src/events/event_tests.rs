//! Which events a change becomes, and that they stay the same.

use jiff::SignedDuration;
use scim_relay_sdk::connector::{Link, Permit};
use scim_relay_sdk::testing::{ada, choir, created, deleted, present, work};
use serde_json::{Value, json};

use super::*;

fn link(work: &Work, stage: Stage) -> Link {
    Link {
        target_id: work.key.id.to_string(),
        address: "https://hr.example/hook".to_owned(),
        hash: None,
        stage,
        since: work.now,
    }
}

/// A change of something that the receiver knows.
fn change(mut work: Work, verb: Verb, attributes: &[&str]) -> Work {
    work.link = Some(link(&work, Stage::Active));
    work.change = Some(Change {
        seq: 42,
        verb,
        at: work.now,
        attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
        joined: Vec::new(),
        left: Vec::new(),
        collapsed: false,
    });
    work
}

fn members(count: usize) -> Vec<MemberRef> {
    (0..count)
        .map(|number| MemberRef {
            value: format!("id-{number}"),
            kind: ResourceKind::User,
            display: None,
            user_name: Some(format!("user-{number}")),
            external_id: None,
        })
        .collect()
}

fn all(work: &Work) -> Vec<Event> {
    events(work, &[Pattern::Any])
}

#[track_caller]
fn check(work: &Work, expected: &[(&str, &str)]) {
    let events = all(work);
    let actual: Vec<_> =
        events.iter().map(|event| (event.kind.to_string(), event.id.clone())).collect();
    let expected: Vec<_> =
        expected.iter().map(|(kind, id)| ((*kind).to_owned(), (*id).to_owned())).collect();
    assert_eq!(actual, expected);
}

#[test]
fn each_verb_has_its_event() {
    check(&created(ada()), &[("user.created", "lillevik-17-created")]);
    let updated = change(present(ada()), Verb::Updated, &["title"]);
    check(&updated, &[("user.updated", "lillevik-42-updated")]);
    let gone = change(deleted(ada()), Verb::Deleted, &[]);
    check(&gone, &[("user.deleted", "lillevik-42-deleted")]);
}

#[test]
fn who_leaves_the_scope_is_deactivated_once() {
    let wanted = || Wanted::Gone { last: ada().into(), why: Gone::OutOfScope };
    let mut left = change(work(wanted()), Verb::Updated, &["active"]);
    check(&left, &[("user.deactivated", "lillevik-42-deactivated")]);
    left.link = Some(link(&left, Stage::Deactivated));
    check(&left, &[]);
}

#[test]
fn who_left_the_scope_and_is_deleted_then_is_told_as_deleted() {
    let mut gone = change(deleted(ada()), Verb::Deleted, &[]);
    gone.link = Some(link(&gone, Stage::Deactivated));
    check(&gone, &[("user.deleted", "lillevik-42-deleted")]);
}

#[test]
fn who_comes_into_the_scope_is_created() {
    let mut came = change(present(ada()), Verb::Updated, &["userType"]);
    came.link = None;
    check(&came, &[("user.created", "lillevik-42-created")]);
    came.link = Some(link(&came, Stage::Deactivated));
    check(&came, &[("user.created", "lillevik-42-created")]);
}

#[test]
fn of_somebody_who_was_never_in_scope_nothing_is_told() {
    let mut gone = change(deleted(ada()), Verb::Deleted, &[]);
    gone.link = None;
    check(&gone, &[]);
    // The create may have arrived.
    gone.in_doubt = true;
    check(&gone, &[("user.deleted", "lillevik-42-deleted")]);
}

#[test]
fn members_have_events_of_their_own() {
    let mut group = change(present(choir()), Verb::Updated, &["displayName"]);
    let moves = group.change.as_mut().unwrap();
    (moves.joined, moves.left) = (members(2), members(1));
    check(
        &group,
        &[
            ("group.updated", "lillevik-42-updated"),
            ("group.member_added", "lillevik-42-member_added"),
            ("group.member_removed", "lillevik-42-member_removed"),
        ],
    );
}

#[test]
fn a_change_of_members_alone_is_no_update_of_the_group() {
    let mut group = change(present(choir()), Verb::Updated, &[]);
    group.change.as_mut().unwrap().joined = members(1);
    check(&group, &[("group.member_added", "lillevik-42-member_added")]);
}

#[test]
fn a_deleted_group_says_nothing_of_its_members() {
    let mut group = change(deleted(choir()), Verb::Deleted, &[]);
    group.change.as_mut().unwrap().left = members(3);
    check(&group, &[("group.deleted", "lillevik-42-deleted")]);
}

#[test]
fn many_members_are_told_in_chunks() {
    let mut group = change(present(choir()), Verb::Updated, &[]);
    group.change.as_mut().unwrap().joined = members(250);
    let events = all(&group);
    let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(
        ids,
        ["lillevik-42-member_added-1", "lillevik-42-member_added-2", "lillevik-42-member_added-3"]
    );
    let told = |event: &Event| {
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        body["data"]["members"].as_array().unwrap().len()
    };
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), [100, 100, 50]);
    // Standard Webhooks advises 20 kB.
    assert!(events.iter().all(|event| event.body.len() < 20_000));
}

#[test]
fn only_what_is_selected_is_sent() {
    let mut group = change(present(choir()), Verb::Updated, &["displayName"]);
    group.change.as_mut().unwrap().joined = members(1);
    let patterns: Vec<Pattern> =
        serde_json::from_value(json!(["user.*", "group.member_added"])).unwrap();
    let kinds: Vec<_> =
        events(&group, &patterns).iter().map(|event| event.kind.to_string()).collect();
    assert_eq!(kinds, ["group.member_added"]);
}

#[test]
fn every_attempt_has_the_same_id_and_the_same_bytes() {
    let first = change(present(ada()), Verb::Updated, &["title"]);
    let mut later = first.clone();
    later.now += SignedDuration::from_hours(30);
    later.attempt = 7;
    later.in_doubt = true;
    later.permit = Permit::NONE;
    assert_eq!(all(&first), all(&later));
}

#[test]
fn a_body_names_the_event_the_organization_and_what_changed() {
    let [event] = &all(&change(present(choir()), Verb::Updated, &["displayName"]))[..] else {
        panic!("one event");
    };
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "group.updated",
            "timestamp": "2026-09-01T00:00:00Z",
            "data": {
                "organization": "lillevik",
                "resource": choir().attributes,
                "attributes": ["displayName"],
            },
        })
    );
}

#[test]
fn a_password_is_never_told() {
    let mut resource = ada();
    resource.attributes.insert("password".to_owned(), json!("canary"));
    let events = all(&change(present(resource), Verb::Updated, &["password"]));
    let body = String::from_utf8(events[0].body.clone()).unwrap();
    assert!(!body.contains("canary"), "{body}");
}

#[test]
fn an_id_has_no_dots_whatever_the_organization_is_called() {
    let mut resource = ada();
    resource.key.organization = "skole.øst/7".into();
    let [event] = &all(&created(resource))[..] else { panic!("one event") };
    assert_eq!(event.id, "skole__st_7-17-created");
}

#[test]
fn without_a_change_the_id_is_stable_until_the_event_has_arrived() {
    let mut resync = present(ada());
    resync.link = Some(link(&resync, Stage::Active));
    let first = all(&resync);
    assert_eq!(first[0].kind.to_string(), "user.updated");
    assert!(!first[0].id.contains('.'), "{}", first[0].id);

    let mut again = resync.clone();
    again.now += SignedDuration::from_hours(1);
    assert_eq!(all(&again), first);

    // It arrived, so the next resync is an event of its own.
    if let Some(link) = &mut again.link {
        link.hash = Some(first[0].id.clone());
    }
    assert_ne!(all(&again)[0].id, first[0].id);
}

#[test]
fn what_stands_for_events_that_are_lost_says_so_and_not_what_changed() {
    let mut work = change(present(choir()), Verb::Updated, &["displayName"]);
    let change = work.change.as_mut().unwrap();
    change.collapsed = true;
    change.joined = members(2);
    let events = all(&work);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.to_string()).collect();
    assert_eq!(kinds, ["group.updated", "group.member_added"]);
    for event in &events {
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(body["data"]["collapsed"], json!(true));
        assert_eq!(body["data"]["attributes"], Value::Null);
    }
}
