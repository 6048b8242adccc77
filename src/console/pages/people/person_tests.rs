//! The page about somebody, drawn in each of its states.

use jiff::Timestamp;
use scim_relay_sdk::connector::{MemberRef, Verb};
use scim_relay_sdk::scim::{ResourceId, ResourceKind};

use super::list::Asked;
use super::person::{Members, Person};
use super::stands::stands;
use super::verdict::{Subject, verdict};
use crate::console::page::sample::{drawn_for, viewer};
use crate::console::page::{Page, Section};
use crate::operator::{
    Change, Concern, Difference, Fact, GroupOf, MailSent, PeoplePage, Reach, Rights, Stand, Trace,
    Traceable, TracedRequest,
};
use crate::store::{AuditRow, Entry, LinkRow, LogRow, Move, Named, State, Waiting};

const KARI: &str = "01930000-0000-7000-8000-000000000001";

fn at(clock: &str) -> Timestamp {
    format!("2026-11-18T{clock}:00+01:00").parse().unwrap()
}

fn id() -> ResourceId {
    ResourceId::parse(KARI).unwrap()
}

fn link(stage: &str) -> LinkRow {
    LinkRow {
        address: "uid=kari.nordli,ou=people".to_owned(),
        target_id: "1".to_owned(),
        stage: stage.to_owned(),
        since: at("08:12"),
        seq: 4,
        applied_at: Some(at("08:12")),
    }
}

fn waiting(connector: &str, state: State) -> Waiting {
    Waiting {
        entry: Entry {
            connector: connector.to_owned(),
            organization: "lillevik".to_owned(),
            kind: ResourceKind::User,
            id: id(),
            name: "kari.nordli@lillevik.example".to_owned(),
            display_name: Some("Kari Nordli".to_owned()),
            state,
            reason: "change".to_owned(),
            attempts: 4,
            dirty_at: at("08:12"),
            due: at("09:43"),
            in_flight: false,
            last_error: Some("422: unknown building 0421 <b>".to_owned()),
            hold_kind: (state == State::Held).then(|| "removal".to_owned()),
            rejected: false,
            mark: 1,
        },
        first_failed: Some(at("08:57")),
        delivering: None,
        in_doubt: false,
        approved_at: None,
        waits_for: None,
        awaited_by: Vec::new(),
        undelivered: Vec::new(),
    }
}

fn stand(connector: &str, concern: Concern, link: Option<LinkRow>, state: Option<State>) -> Stand {
    Stand {
        connector: connector.to_owned(),
        kind: "ldap".to_owned(),
        state: "up".to_owned(),
        every_event: false,
        concern,
        link,
        waits: state.map(|state| waiting(connector, state)),
        password: false,
        mails: Vec::new(),
        advice: Vec::new(),
    }
}

fn change(seq: i64, verb: Verb, when: &str) -> Change {
    let row = LogRow {
        seq,
        verb,
        at: at(when),
        attributes: Vec::new(),
        joined: Vec::new(),
        left: Vec::new(),
        crowd: false,
        token: Some("Entra ID".to_owned()),
        body: String::new(),
    };
    Change { row, differences: Vec::new() }
}

fn act(action: &str, actor: &str, when: &str) -> AuditRow {
    AuditRow {
        at: at(when),
        actor: actor.to_owned(),
        from: None,
        action: action.to_owned(),
        organization: Some("lillevik".to_owned()),
        subject: format!("User/{KARI}"),
        detail: Some("a reason".to_owned()),
    }
}

fn kari(connectors: Vec<Stand>) -> Trace {
    Trace {
        organization: "lillevik".to_owned(),
        kind: ResourceKind::User,
        id: id(),
        name: "kari.nordli@lillevik.example".to_owned(),
        display_name: Some("Kari Nordli".to_owned()),
        called: "Kari Nordli".to_owned(),
        facts: vec![Fact {
            path: "title".to_owned(),
            label: "Title".to_owned(),
            value: "<script>@lillevik.example".to_owned(),
        }],
        external_id: Some("9c41e0b2".to_owned()),
        active: Some(true),
        created: at("07:00"),
        modified: at("08:12"),
        deleted: None,
        groups: vec![GroupOf { id: id(), name: Some("Teachers".to_owned()), direct: false }],
        more_groups: 0,
        members: None,
        namesakes: Vec::new(),
        requests: Vec::new(),
        more_requests: false,
        changes: Vec::new(),
        more_changes: false,
        moves: Vec::new(),
        acts: Vec::new(),
        connectors,
    }
}

/// Parked at one, retried at another, in line at two, and all that can have happened.
fn story() -> Trace {
    let mut mail = stand("welcome-mail", Concern::InScope, Some(link("active")), None);
    (mail.kind, mail.every_event) = ("email".to_owned(), true);
    mail.mails.push(MailSent { at: at("07:04"), seq: 1, sent: true });
    let mut trace = kari(vec![
        stand("directory", Concern::InScope, Some(link("active")), None),
        stand("building-access", Concern::InScope, None, Some(State::Parked)),
        mail,
        stand("canteen-app", Concern::InScope, Some(link("active")), Some(State::Retrying)),
    ]);
    let mut changed = change(4, Verb::Updated, "08:12");
    changed.differences = vec![Difference {
        path: "roomNumber".to_owned(),
        label: "Building".to_owned(),
        before: Some("0412".to_owned()),
        after: Some("0421".to_owned()),
    }];
    trace.changes = vec![change(1, Verb::Created, "07:03"), changed];
    trace.requests = vec![TracedRequest {
        id: 88_412,
        at: at("08:30"),
        method: "PATCH".to_owned(),
        path: "/Users/1".to_owned(),
        status: 400,
        token: "Entra ID".to_owned(),
        reason: Some("invalidValue: no such attribute".to_owned()),
    }];
    let group = Named { kind: ResourceKind::Group, id: id(), name: "Teachers".to_owned() };
    trace.moves = vec![
        Move { at: at("07:40"), group: None, left: true },
        Move { at: at("07:30"), group: Some(group), left: false },
    ];
    trace.acts = vec![
        act("trace.read", "ola@lillevik.example", "09:10"),
        act("trace.read", "ola@lillevik.example", "09:05"),
        act("queue.skip", "root", "09:00"),
    ];
    trace
}

fn drawn_by(rights: Rights, trace: Trace, members: Option<Members>) -> String {
    let viewer = viewer(rights);
    let content = Person::new(&viewer, trace, "Lillevik kommune".to_owned(), members);
    drawn_for(&Page::new(&viewer, Section::People, "Kari Nordli", &content)).replace("&#x2f;", "/")
}

fn drawn(trace: Trace) -> String {
    drawn_by(Rights::administrator(), trace, None)
}

#[test]
fn the_whole_story_of_somebody_on_one_page() {
    let html = drawn(story());
    let main = html.split_once("</p>\n<div class=\"head\">").unwrap().1;
    let main = main.split_once("</main>").unwrap().0;
    insta::assert_snapshot!(main);
}

#[test]
fn the_answer_comes_first_in_one_sentence() {
    use Concern::{Deleted, InScope, OutOfScope};
    let check = |trace: Trace, expected: &str| {
        let subject = Subject {
            name: &trace.called,
            kind: trace.kind,
            is_deleted: trace.deleted.is_some(),
            may_approve: true,
        };
        assert_eq!(verdict(&subject, &stands(&trace)).heading, expected);
    };
    let at_doors = |concern: Concern, link: Option<LinkRow>, state: Option<State>| {
        kari(vec![stand("doors", concern, link, state)])
    };
    let there = || Some(link("active"));
    let deleted = |mut trace: Trace| {
        trace.deleted = Some(at("09:00"));
        trace
    };
    check(kari(Vec::new()), "No connector has to do with Kari Nordli");
    check(at_doors(InScope, there(), None), "Kari Nordli is in line everywhere");
    check(
        at_doors(InScope, None, Some(State::Parked)),
        "Kari Nordli is not at doors: it refused the last change",
    );
    check(
        at_doors(InScope, there(), Some(State::Parked)),
        "Kari Nordli is not up to date at doors: it refused the last change",
    );
    check(
        deleted(at_doors(Deleted, there(), Some(State::Parked))),
        "Kari Nordli is still at doors: it refused the removal",
    );
    check(
        deleted(at_doors(Deleted, there(), Some(State::Held))),
        "Kari Nordli is still at doors: the removal waits for approval",
    );
    check(
        at_doors(InScope, there(), Some(State::Retrying)),
        "Kari Nordli is not up to date at doors: the last change did not get through, and is tried again",
    );
    check(
        at_doors(InScope, None, Some(State::Pending)),
        "Kari Nordli is not at doors: the last change is on its way",
    );
    check(at_doors(InScope, there(), Some(State::Scheduled)), "Kari Nordli is in line everywhere");
    check(
        at_doors(OutOfScope("no student".to_owned()), None, None),
        "Kari Nordli is for none of the connectors",
    );
    check(
        at_doors(InScope, Some(link("deactivated")), None),
        "Kari Nordli is switched off everywhere",
    );
    check(
        deleted(at_doors(Deleted, Some(link("gone")), None)),
        "Kari Nordli was removed, and is gone everywhere",
    );
    check(
        deleted(at_doors(Deleted, Some(link("deactivated")), Some(State::Scheduled))),
        "Kari Nordli was removed at the provider, and is switched off",
    );
    for (state, because) in [
        ("paused", "it is paused"),
        ("down", "it cannot be reached"),
        ("refused", "it does not let the relay in"),
        ("disabled", "it is switched off"),
    ] {
        let mut trace = at_doors(InScope, there(), Some(State::Pending));
        trace.connectors[0].state = state.to_owned();
        check(trace, &format!("Kari Nordli is not up to date at doors: {because}"));
    }
    let mut waits = at_doors(InScope, None, Some(State::Waiting));
    let other = Named { kind: ResourceKind::Group, id: id(), name: "Teachers".to_owned() };
    waits.connectors[0].waits.as_mut().unwrap().waits_for = Some(other);
    check(waits, "Kari Nordli is not at doors: Teachers has to be delivered first");
    let mut rejected = at_doors(InScope, there(), Some(State::Parked));
    rejected.connectors[0].waits.as_mut().unwrap().entry.rejected = true;
    check(rejected, "Kari Nordli is not up to date at doors: a person said no");
    let mut event = at_doors(InScope, None, Some(State::Parked));
    event.connectors[0].every_event = true;
    check(event, "doors has not heard the last about Kari Nordli: it refused the last change");
    for (kind, because) in [
        ("member_removal", "taking members out waits for approval"),
        ("take_over", "an entry was there before, and changing it waits for approval"),
        ("first_run", "what would be written waits for approval"),
    ] {
        let mut held = at_doors(InScope, None, Some(State::Held));
        held.connectors[0].waits.as_mut().unwrap().entry.hold_kind = Some(kind.to_owned());
        check(held, &format!("Kari Nordli is not at doors: {because}"));
    }
}

#[test]
fn what_waits_for_a_person_comes_first_and_connectors_of_others_are_not_named() {
    let trace = kari(vec![
        stand("a", Concern::InScope, Some(link("active")), None),
        stand("b", Concern::InScope, None, Some(State::Pending)),
        stand("c", Concern::InScope, None, Some(State::Held)),
        stand("secret", Concern::Elsewhere, None, None),
        stand("gone", Concern::NotRunning, None, None),
    ]);
    let order: Vec<String> = stands(&trace).into_iter().map(|one| one.connector).collect();
    assert_eq!(order, ["c", "b", "a"]);
    assert!(!drawn(trace).contains("secret"));
}

#[test]
fn each_stand_has_its_word_and_its_buttons() {
    for (state, word, retry) in [
        (State::Held, "Held", false),
        (State::Parked, "Parked", true),
        (State::Retrying, "Retrying", true),
        (State::Waiting, "Waiting", false),
        (State::Pending, "Pending", false),
        (State::Scheduled, "Scheduled", false),
    ] {
        let trace = kari(vec![stand("doors", Concern::InScope, None, Some(state))]);
        let html = drawn(trace);
        assert!(html.contains(&format!("</svg>{word}</span>")), "{word}: {html}");
        assert_eq!(html.contains("/retry\""), retry, "{word}");
        assert!(!html.contains("building 0421 <b>"), "what a target says is escaped");
    }
}

#[test]
fn a_help_desk_tries_again_and_neither_approves_nor_opens_connectors() {
    let desk = || Rights::help_desk(Reach::Everywhere);
    let html = drawn_by(desk(), story(), None);
    assert!(html.contains("/retry\"") && !html.contains("href=\"/connectors/"));
    let held = kari(vec![stand("doors", Concern::InScope, None, Some(State::Held))]);
    let html = drawn_by(desk(), held.clone(), None);
    assert!(html.contains("An owner or an administrator can approve") && !html.contains("/held\""));
    assert!(drawn(held).contains("href=\"/connectors/doors/held\""));
}

#[test]
fn somebody_who_was_removed_has_a_page_without_buttons_for_the_living() {
    let mut trace = kari(vec![stand("doors", Concern::Deleted, Some(link("gone")), None)]);
    trace.deleted = Some(at("09:00"));
    trace.namesakes = vec![Traceable {
        id: id(),
        name: "kari.nordli@lillevik.example".to_owned(),
        created: at("06:00"),
        deleted: Some(at("06:30")),
    }];
    let html = drawn(trace);
    assert!(html.contains("As the provider had it") && html.contains("Earlier ones of that name"));
    assert!(!html.contains("/compare\"") && !html.contains("/preview?"));
}

#[test]
fn a_group_has_its_members_in_pages() {
    let group = |all: usize| {
        let mut trace = kari(vec![stand("doors", Concern::InScope, Some(link("active")), None)]);
        (trace.kind, trace.members) = (ResourceKind::Group, Some(all));
        let mut change = change(2, Verb::Updated, "08:00");
        let member = |number: usize| MemberRef {
            value: number.to_string(),
            kind: ResourceKind::User,
            display: Some(format!("Member {number}")),
            user_name: None,
            external_id: None,
        };
        change.row.joined = (0..7).map(member).collect();
        trace.changes = vec![change];
        trace
    };
    let members = |all: usize, total: usize| {
        let page = PeoplePage { people: Vec::new(), total, more: false };
        Some(Members::new(all, &Asked::default(), page, "/organizations/lillevik/groups/1"))
    };
    let html = drawn_by(Rights::administrator(), group(0), members(0, 0));
    assert!(html.contains("The provider has put nobody into this group"), "{html}");
    assert!(html.contains("Came in: Member 0, Member 1, Member 2, Member 3, Member 4 and 2 more."));
    assert!(html.contains("Changed the members"));
    let asked = Asked { q: "kari".to_owned(), ..Asked::default() };
    let page = PeoplePage { people: Vec::new(), total: 0, more: false };
    let none = Members::new(12_000, &asked, page, "/organizations/lillevik/groups/1");
    let html = drawn_by(Rights::administrator(), group(12_000), Some(none));
    assert!(html.contains("12,000 members") && html.contains("No member matches"), "{html}");
}
