//! The pages in each of their states.

use uuid::Uuid;

use super::entry::{InLine, One};
use super::list::List;
use super::skip::{Ask, At, Typed};
use super::*;
use crate::console::page::sample::{drawn, drawn_for, main_of, viewer};
use crate::console::page::{Mistake, Page, Section};
use crate::operator::{QueueConnector, QueueEntry, Reach, Rights};
use crate::store::{EntryPlace, LinkRow, LogRow, Named, State as Of, Waiting};

/// Somebody's row, due now.
pub(super) fn entry(name: &str) -> Entry {
    let at = "2026-11-18T07:12:00Z".parse().unwrap();
    let id = name.bytes().fold(7_u128, |id, byte| id * 31 + u128::from(byte));
    Entry {
        connector: "building-access".to_owned(),
        organization: "lillevik".to_owned(),
        kind: ResourceKind::User,
        id: ResourceId(Uuid::from_u128(id)),
        name: name.to_lowercase().replace(' ', "."),
        display_name: Some(name.to_owned()),
        state: Of::Pending,
        reason: "change".to_owned(),
        attempts: 0,
        dirty_at: at,
        due: at,
        in_flight: false,
        last_error: None,
        hold_kind: None,
        rejected: false,
        mark: 3,
    }
}

fn connectors() -> Vec<QueueConnector> {
    let of = |name: &str, state, every_event| QueueConnector {
        name: name.to_owned(),
        state,
        every_event,
    };
    vec![of("building-access", "up", true), of("canteen-app", "down", false)]
}

fn parked() -> Entry {
    let last_error = Some("unknown building 0421 (422)".to_owned());
    Entry { state: Of::Parked, attempts: 6, last_error, ..entry("Kari Nordli") }
}

fn in_each_state() -> Vec<Entry> {
    let due = "2026-11-18T08:43:00Z".parse().unwrap();
    let down = "canteen-app".to_owned();
    vec![
        Entry {
            state: Of::Held,
            hold_kind: Some("removal".to_owned()),
            last_error: Some("removes the entry; 31 in an hour, the limit is 14".to_owned()),
            ..entry("Karina Bakken")
        },
        parked(),
        Entry {
            kind: ResourceKind::Group,
            name: "Class 8A".to_owned(),
            state: Of::Waiting,
            last_error: Some("waits for a member".to_owned()),
            ..entry("Class 8A")
        },
        Entry {
            state: Of::Retrying,
            attempts: 3,
            due,
            last_error: Some("no answer within 10 s".to_owned()),
            ..entry("Karl Emil Tveit")
        },
        Entry { connector: down, ..entry("Liv Strand") },
        Entry { in_flight: true, ..entry("Vilde Aamodt") },
        Entry {
            state: Of::Scheduled,
            reason: "revisit".to_owned(),
            due: "2026-12-24T22:00:00Z".parse().unwrap(),
            ..entry("Arne Solli")
        },
    ]
}

fn list(rights: Rights, which: Which, entries: &[Entry], next: bool) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for entry in entries {
        *counts.entry(entry.state).or_insert(0) += if next { 312 } else { 1 };
    }
    let place = EntryPlace { state: 1, connector: 1, organization: 1, dirty_at: 5, resource: 9 };
    let next = next.then(|| Which { after: place.to_string(), ..which.clone() }.address());
    let viewer = viewer(rights);
    let list = List::new(&viewer, which, &counts, &connectors(), entries, next);
    drawn_for(&Page::new(&viewer, Section::Queue, "Queue", &list))
}

#[test]
fn a_list_shows_each_state_with_what_comes_next() {
    let viewer = viewer(Rights::administrator());
    let entries = in_each_state();
    let counts = [(Of::Held, 31), (Of::Parked, 4), (Of::Retrying, 21), (Of::Scheduled, 12)].into();
    let which = Which::default();
    let list = List::new(&viewer, which, &counts, &connectors(), &entries, None);
    insta::assert_snapshot!(main_of(&list));
}

#[test]
fn a_help_desk_may_try_again_and_not_skip() {
    let html =
        list(Rights::help_desk(Reach::Everywhere), Which::default(), &in_each_state(), false);
    assert!(html.contains("Try again now"));
    assert!(!html.contains("Skip, with a reason") && !html.contains("/held"));
    assert!(!html.contains("href=\"/connectors/"), "it is not theirs to see");
    // Neither what is held nor what keeps its day nor what is being delivered is theirs to pick.
    assert_eq!(html.matches("name=\"pick\"").count(), 4);
}

#[test]
fn all_that_match_are_skipped_at_one_connector_at_a_time() {
    let any = list(Rights::administrator(), Which::default(), &[parked()], true);
    assert!(any.contains("choose a connector first") && any.contains("312 by now"));
    let of_one = Which {
        connector: "building-access".to_owned(),
        state: "parked".to_owned(),
        ..Which::default()
    };
    let html = list(Rights::administrator(), of_one.clone(), &[parked()], true);
    assert!(html.contains("skip?state=parked&amp;connector=building-access"));
    assert!(html.contains("rel=\"next\""));
    let held = Entry { state: Of::Held, ..entry("x") };
    let html = list(Rights::administrator(), of_one.in_state("held"), &[held], false);
    assert!(!html.contains("Try all of them"), "what is held is not tried again");
}

#[test]
fn an_empty_queue_says_that_all_is_well_and_an_empty_filter_does_not() {
    let html = list(Rights::administrator(), Which::default(), &[], false);
    assert!(html.contains("Nothing waits") && html.contains("Every system is in line"));
    let filtered = Which { q: "kari".to_owned(), ..Which::default() };
    let html = list(Rights::administrator(), filtered, &[], false);
    assert!(html.contains("Nothing here matches") && html.contains("/people?q=kari"));
}

#[test]
fn what_a_target_says_is_text() {
    let last_error = Some("<img src=x onerror=alert(1)>".to_owned());
    let hostile = Entry { last_error, ..parked() };
    let html = list(Rights::administrator(), Which::default(), &[hostile], false);
    assert!(!html.contains("<img"));
}

fn queue_entry(entry: Entry) -> QueueEntry {
    let named = |name: &str| Named {
        kind: ResourceKind::User,
        id: ResourceId(Uuid::from_u128(8)),
        name: name.to_owned(),
    };
    QueueEntry {
        waits: Waiting {
            first_failed: Some(entry.dirty_at),
            delivering: entry.in_flight.then_some(entry.due),
            in_doubt: entry.state == Of::Parked,
            approved_at: None,
            waits_for: (entry.state == Of::Waiting).then(|| named("karl.tveit")),
            awaited_by: vec![named("Class 8A")],
            undelivered: vec![LogRow {
                seq: 48_213,
                verb: scim_relay_sdk::connector::Verb::Updated,
                at: entry.dirty_at,
                attributes: vec!["displayName".to_owned()],
                joined: Vec::new(),
                left: Vec::new(),
                crowd: false,
                token: None,
                body: String::new(),
            }],
            entry,
        },
        connector_state: "up".to_owned(),
        link: Some(LinkRow {
            address: "https://access.example/people/1009".to_owned(),
            target_id: "1009".to_owned(),
            stage: "active".to_owned(),
            since: "2026-02-11T08:00:00Z".parse().unwrap(),
            seq: 48_000,
            applied_at: Some("2026-11-16T08:00:00Z".parse().unwrap()),
        }),
        password: true,
        advice: Vec::new(),
    }
}

#[test]
fn an_entry_says_what_went_wrong_and_what_can_be_done() {
    let one = One::new(&viewer(Rights::administrator()), &queue_entry(parked()), true);
    insta::assert_snapshot!(main_of(&one));
}

#[test]
fn an_entry_offers_what_can_be_done_in_its_state_and_nothing_else() {
    for entry in in_each_state() {
        let (state, in_flight) = (entry.state, entry.in_flight);
        let of = queue_entry(entry);
        let one = One::new(&viewer(Rights::administrator()), &of, false);
        let html = drawn(&one);
        let retry = !in_flight && !matches!(state, Of::Held | Of::Scheduled);
        assert_eq!(html.contains("Try again now"), retry, "{state:?}");
        assert_eq!(html.contains("Approve or reject"), state == Of::Held, "{state:?}");
        let desk = One::new(&viewer(Rights::help_desk(Reach::Everywhere)), &of, false);
        assert!(!drawn(&desk).contains("Skip, with a reason"));
    }
}

#[test]
fn what_is_in_line_by_now_is_no_error() {
    let at = Some("2026-11-18T07:12:00Z".parse().unwrap());
    for at in [at, None] {
        let person = "/organizations/lillevik/people/1".to_owned();
        let html = drawn(&InLine { connector: "directory".to_owned(), person, at });
        assert!(html.contains("In line at directory"));
    }
}

#[test]
fn whoever_skips_is_told_what_it_means_first() {
    let ask = Ask {
        count: 312,
        connectors: vec![
            At { name: "building-access".to_owned(), every_event: true },
            At { name: "directory".to_owned(), every_event: false },
        ],
        held: 1,
        names: vec!["Kari Nordli".to_owned(), "Per Arne Skog".to_owned()],
        more: 310,
        picks: Vec::new(),
        which: Which { connector: "directory".to_owned(), ..Which::default() },
        back: "/queue?connector=directory".to_owned(),
        typed: Typed { count: "31".to_owned(), reason: String::new() },
        longest: 500,
    };
    let viewer = viewer(Rights::administrator());
    let mistake = Mistake { field: "count", text: "Type 312: so many match now".to_owned() };
    let page = Page::new(&viewer, Section::Queue, "Skip 312 entries?", &ask);
    let html = drawn_for(&page.mistakes(vec![mistake]));
    assert!(html.contains("<title>Error: Skip 312 entries?"));
    assert!(html.contains("href=\"#count\"") && html.contains("id=\"count-e\""));
    insta::assert_snapshot!(main_of(&ask));
}

#[test]
fn a_pick_comes_back_as_it_was_shown_and_nothing_else_does() {
    let hers = Entry { connector: "hr/north".to_owned(), ..entry("Kari") };
    let read = picked(&pick(&hers)).unwrap();
    assert_eq!((&*read.connector, &*read.organization), ("hr/north", "lillevik"));
    assert_eq!((read.id, read.mark), (hers.id, Some(3)));
    for forged in ["", "a/b/User/1/2", "a/b/Robot/00000000-0000-0000-0000-000000000001/2", "////"] {
        assert!(picked(forged).is_err(), "{forged}");
    }
}

#[test]
fn a_form_leads_back_to_the_queue_and_nowhere_else() {
    for (to, there) in [
        ("/queue?state=parked", "/queue?state=parked"),
        ("/queue/entry?connector=x", "/queue/entry?connector=x"),
        ("//evil.example", "/queue"),
        ("/queue.evil", "/queue"),
        ("/queue//evil", "/queue"),
        ("", "/queue"),
    ] {
        assert_eq!(back(to), there, "{to}");
    }
}
