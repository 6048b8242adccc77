//! The first page, drawn in each of its states.

use std::time::Duration;

use super::*;
use crate::console::page::sample::{drawn, main_of, viewer};
use crate::delivery::Failing;
use crate::operator::{
    ConnectorStatus, EndingToken, HeldStatus, Matter, Rights, Share, What, WindowStatus,
};
use crate::store::{ConnectorPast, Past, PastHealth, Paused, Quarter};

/// Of the sample's 18 November, when it is 08:42:10.
fn at(text: &str) -> Timestamp {
    format!("2026-11-18T{text}Z").parse().unwrap()
}

fn reader() -> Reader {
    viewer(Rights::administrator()).reader
}

fn connector(name: &str, state: &str) -> ConnectorView {
    let status = ConnectorStatus {
        name: name.to_owned(),
        kind: "ldap".to_owned(),
        state: state.to_owned(),
        since: (state != "up").then(|| at("07:57:00")),
        error: (state != "up").then(|| "no route".to_owned()),
        paused: None,
        backlog: Backlog::default(),
        held: Vec::new(),
        window: None,
        in_flight: 0,
        holds: 700,
        oldest: None,
        last_delivered: None,
        failing: None,
        last_reconciliation: None,
    };
    ConnectorView {
        status,
        share: Share::Whole,
        organizations: Vec::new(),
        next_try: (state == "down").then(|| at("08:43:00")),
        can_be_compared: true,
        mirrors: true,
        has_file: true,
        last_test: None,
    }
}

fn organization(key: &str, name: &str, users: u64) -> OrganizationStatus {
    OrganizationStatus {
        key: key.to_owned(),
        name: name.to_owned(),
        endpoint: format!("https://scim.lillevik.example/scim/{key}/v2"),
        users,
        groups: users / 10,
        tokens: 1,
        last_used: (users > 0).then(|| at("08:40:02")),
        ending: Vec::new(),
        strict: false,
        deviations: Vec::new(),
    }
}

fn matter(of: &str, what: What) -> Matter {
    Matter { of: of.to_owned(), what }
}

/// Two organizations and three connectors, all well; a busy hour at eight.
fn calm() -> operator::Overview {
    let now = Quarter::of(at("08:42:10"));
    let past = |back: i64, changes, backlog| {
        let past = Past { changes, delivered: 2 * changes, backlog, ..Past::default() };
        (Quarter(now.0 - back), past)
    };
    let days = vec![past(90, 5, 1), past(3, 72, 40), past(0, 28, 12)];
    let well = ConnectorPast {
        delivered: 1,
        failed: 0,
        backlog: 0,
        lag: Duration::ZERO,
        health: PastHealth::Well,
    };
    let day = (0..96).map(|back| (Quarter(now.0 - 95 + back), well)).collect::<Vec<_>>();
    let names = ["directory", "building-access", "canteen-app"];
    operator::Overview {
        organizations: vec![
            organization("lillevik", "Lillevik kommune", 1_214),
            organization("solvang", "Solvang skole", 287),
        ],
        days: [("lillevik".to_owned(), days.clone())].into(),
        past: days,
        connectors: names.map(|name| connector(name, "up")).into(),
        connector_days: names.map(|name| (name.to_owned(), day.clone())).into(),
        matters: Vec::new(),
        typical_delay: Some(1.25),
    }
}

/// One of everything that goes wrong.
fn busy() -> operator::Overview {
    let mut all = calm();
    let [directory, access, canteen] = &mut all.connectors[..] else { unreachable!() };
    directory.status.backlog = Backlog { pending: 18, held: 31, ..Backlog::default() };
    directory.status.oldest = Some(at("08:42:06"));
    access.status.backlog = Backlog { retrying: 3, parked: 4, ..Backlog::default() };
    *canteen = connector("canteen-app", "down");
    canteen.status.backlog.pending = 18;
    canteen.status.oldest = Some(at("07:57:00"));
    let last = all.connector_days.get_mut("canteen-app").unwrap();
    for (_, past) in last.iter_mut().rev().take(3) {
        past.health = PastHealth::Trouble;
    }
    let ends = "2026-11-27T12:00:00Z".parse().unwrap();
    let ending = EndingToken { id: 7, name: "Entra ID production".to_owned(), ends };
    all.organizations[0].ending.push(ending.clone());
    let removals = HeldStatus {
        kind: "removal".to_owned(),
        held: 31,
        waiting: 31,
        executed: 3,
        limit: Some(36),
    };
    all.matters = vec![
        matter("directory", What::Held { entries: 31, kinds: vec![removals] }),
        matter("canteen-app", What::Down { since: None, error: "no route".to_owned() }),
        matter("building-access", What::Parked(4)),
        matter("lillevik", What::TokenEnds(ending)),
    ];
    all
}

fn page(all: &operator::Overview) -> Overview {
    Overview::new(&reader(), all, Period::Day)
}

#[test]
fn the_answer_comes_first_then_what_waits_for_a_person() {
    insta::assert_snapshot!(main_of(&page(&busy())));
}

#[test]
fn where_all_is_well_nothing_waits() {
    let html = drawn(&page(&calm()));
    assert!(html.contains("<h1 id=\"answer\">Provisioning works</h1>"), "{html}");
    assert!(html.contains("Last push 2 min ago. All 3 connectors are working."));
    assert!(!html.contains("Waits for you") && !html.contains("<footer>"));
    assert!(html.contains("Worked all of the last 24 hours"));
}

#[test]
fn a_month_is_drawn_by_its_days() {
    let html = drawn(&Overview::new(&reader(), &busy(), Period::Month));
    assert!(html.contains("Last 30 days") && html.contains("Changes received, each day"));
    assert!(html.contains("Busiest on 18\u{a0}Nov\u{a0}2026 with 100 in a day."), "{html}");
    assert!(html.contains("<span>20\u{a0}Oct\u{a0}2026</span>"), "thirty days ago");
}

#[test]
fn whoever_has_nothing_yet_is_told_what_to_do() {
    let nobody = operator::Overview {
        organizations: vec![organization("lillevik", "Lillevik kommune", 0)],
        days: [].into(),
        past: Vec::new(),
        connectors: Vec::new(),
        connector_days: [].into(),
        matters: vec![matter("lillevik", What::NoToken)],
        typical_delay: None,
    };
    let html = drawn(&page(&nobody));
    assert!(html.contains("Nothing has arrived yet"));
    assert!(html.contains("href=\"/integrations?org=lillevik\">Set up the provider"));
    assert!(html.contains("Lillevik kommune has no valid token"));
    assert!(!html.contains("<svg class=\"strip\"") && !html.contains("id=\"n-people\""));
    assert!(!html.contains("<h2 id=\"h-org\">"), "there is one, and its name is in the menu");
}

#[test]
fn each_way_to_fail_has_its_answer() {
    let failing = Failing { since: at("08:00:00"), tries: 12, error: "500".to_owned() };
    let states = |states: [&str; 3]| {
        let mut all = calm();
        for (view, state) in all.connectors.iter_mut().zip(states) {
            *view = connector(&view.status.name.clone(), state);
        }
        all
    };
    let mut takes_nothing = calm();
    takes_nothing.connectors[0].status.failing = Some(failing);
    let mut unheard = calm();
    unheard.organizations[1].tokens = 0;
    let mut deaf = calm();
    deaf.organizations.iter_mut().for_each(|one| one.tokens = 0);
    let mut mute = calm();
    mute.connectors.clear();
    for (all, heading, lead) in [
        (
            states(["up", "down", "up"]),
            "Provisioning works, except to building-access",
            "The other 2 connectors are working.",
        ),
        (
            states(["paused", "refused", "up"]),
            "Provisioning works, except to directory and to building-access",
            "The other connector is working.",
        ),
        (
            states(["down", "down", "down"]),
            "Nothing can be delivered",
            "None of the 3 connectors works. What arrives is kept.",
        ),
        (
            states(["down", "disabled", "disabled"]),
            "Nothing can be delivered",
            "directory cannot be reached. What arrives is kept.",
        ),
        (
            takes_nothing,
            "Provisioning works, except to directory",
            "The other 2 connectors are working.",
        ),
        (unheard, "Provisioning works, except for Solvang skole", "All 3 connectors are working."),
        (deaf, "Nothing can be received", "No token is valid. All 3 connectors are working."),
        (
            mute,
            "Nothing is delivered",
            "What arrives is kept, and there is no connector that would pass it on.",
        ),
    ] {
        let answer = Answer::new(&reader(), &all);
        assert_eq!(answer.heading, heading);
        assert_eq!(answer.lead, format!("Last push 2 min ago. {lead}"));
    }
}

#[test]
fn each_matter_asks_for_one_thing_or_heals_by_itself() {
    let all = calm();
    let names = Names(&all.organizations);
    let since = Some(at("08:02:10"));
    let error = "no such user".to_owned();
    let paused = Paused { at: at("08:02:10"), by: "kari".to_owned(), why: Some("move".to_owned()) };
    let held = |kind: &str, held, executed, limit| HeldStatus {
        kind: kind.to_owned(),
        held,
        waiting: held,
        executed,
        limit,
    };
    let window = WindowStatus {
        until: "2026-12-01".parse().unwrap(),
        max_removals: Some("40%".to_owned()),
        max_member_removals: None,
    };
    let told: Vec<String> = [
        What::Refused { since, error: error.clone() },
        What::Held { entries: 1, kinds: Vec::new() },
        What::Held {
            entries: 3,
            kinds: vec![held("removal", 1, 0, Some(5)), held("take_over", 2, 0, None)],
        },
        What::Held { entries: 2, kinds: vec![held("removal", 2, 0, Some(0))] },
        What::Down { since, error: error.clone() },
        What::Failing(Failing { since: at("08:02:10"), tries: 9, error: error.clone() }),
        What::Parked(1),
        What::Reconciliation { ended: at("01:15:04"), error },
        What::NoToken,
        What::Paused { since, paused: Some(paused) },
        What::Disabled { waiting: 2 },
        What::Window(window),
    ]
    .into_iter()
    .filter_map(|what| {
        let of = if matches!(what, What::NoToken) { "solvang" } else { "directory" };
        let Task { title, text, button, about, href, .. } =
            tasks::task(&reader(), &names, &matter(of, what))?;
        Some(format!("{title}\n  {text}\n  [{button} {about}] {href}"))
    })
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_a_text_cannot_say_is_news() {
    let (before, after) = (page(&calm()), page(&busy()));
    assert_eq!(before.looks(), page(&calm()).looks());
    assert_ne!(before.looks(), after.looks());
    let texts = after.texts(&reader());
    assert_eq!(texts["answer"], Update::text("Provisioning works, except to canteen-app"));
    assert_eq!(texts["person-directory"], Update::text("31 held"));
    assert_eq!(texts["behind-canteen-app"], Update::text("45 min"));
    let html = drawn(&after);
    for id in texts.keys() {
        assert!(html.contains(&format!("id=\"{id}\"")), "{id} is nowhere on the page");
    }
}
