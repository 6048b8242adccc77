//! Pages of connectors, drawn in each of their states.

use jiff::Timestamp;

use super::comparison::{Comparison, Progress};
use super::held::{Ask, Kind, List};
use super::one::Connector;
use super::words::tests::directory;
use super::*;
use crate::config::Piece;
use crate::console::page::sample::{drawn, main_of};
use crate::delivery::Failing;
use crate::operator::{Behaviour, ConnectorStatus, HeldStatus, Tested, WindowStatus};
use crate::store::{Backlog, Paused, RunRow};

fn at(text: &str) -> Timestamp {
    format!("2026-11-18T{text}Z").parse().unwrap()
}

/// One that works, with a little of everything.
pub(super) fn view() -> ConnectorView {
    let status = ConnectorStatus {
        name: "directory".to_owned(),
        kind: "ldap".to_owned(),
        state: "up".to_owned(),
        since: None,
        error: None,
        paused: None,
        backlog: Backlog { pending: 12, retrying: 6, parked: 4, held: 31, ..Backlog::default() },
        held: vec![HeldStatus {
            kind: "removal".to_owned(),
            held: 31,
            waiting: 31,
            executed: 3,
            limit: Some(36),
        }],
        window: None,
        in_flight: 2,
        holds: 728,
        oldest: Some(at("08:40:00")),
        last_delivered: Some(at("08:41:58")),
        failing: None,
        last_reconciliation: Some(RunRow {
            started: at("01:15:00"),
            ended: at("01:15:04"),
            dry: false,
            error: None,
            seen: 731,
            drifted: 3,
        }),
    };
    ConnectorView {
        status,
        share: Share::Whole,
        organizations: vec![("lillevik".to_owned(), "Lillevik kommune".to_owned())],
        next_try: None,
        can_be_compared: true,
        mirrors: true,
        has_file: true,
        last_test: None,
    }
}

fn with(change: impl FnOnce(&mut ConnectorView)) -> ConnectorView {
    let mut view = view();
    change(&mut view);
    view
}

fn behaviour() -> Behaviour {
    let text = |text: &str| Piece::Text(text.to_owned());
    let pieces = vec![
        Piece::Header("[ldap]".to_owned()),
        text("\nbind_password = "),
        Piece::Hidden,
        text("\nnote = \"<b>\""),
    ];
    Behaviour { text: pieces, ..directory() }
}

#[test]
fn the_list_says_how_each_does() {
    let down = with(|view| {
        view.status.name = "canteen-app".to_owned();
        view.status.kind = "webhook".to_owned();
        view.status.state = "down".to_owned();
        view.status.since = Some(at("07:57:00"));
        view.status.error = Some("connection refused".to_owned());
        view.next_try = Some(at("08:43:00"));
        view.can_be_compared = false;
    });
    insta::assert_snapshot!(main_of(&Connectors::new(vec![view(), down], false)));
}

#[test]
fn an_empty_list_says_how_to_make_one() {
    assert!(drawn(&Connectors::new(Vec::new(), false)).contains("No system is connected"));
    assert!(drawn(&Connectors::new(Vec::new(), true)).contains("to this organization"));
}

#[test]
fn one_that_works_shows_everything() {
    let view = with(|view| {
        view.last_test = Some(Tested {
            at: at("08:15:00"),
            by: "ingrid@lillevik.example".to_owned(),
            took: 13,
            answered: true,
            said: "OpenLDAP at ldaps://dir.lillevik.example".to_owned(),
        });
    });
    insta::assert_snapshot!(main_of(&Connector::new(view, Some(behaviour()))));
}

#[test]
fn each_state_says_what_it_means_and_what_to_do() {
    type Case = (fn(&mut ConnectorView), &'static [&'static str]);
    let cases: [Case; 7] = [
        (
            |view| {
                view.status.state = "refused".to_owned();
                view.status.since = Some(at("07:57:00"));
                view.status.error = Some("49 <invalid credentials>".to_owned());
                view.next_try = Some(at("08:50:00"));
            },
            &["turns us away", "49 &lt;invalid credentials&gt;", "09:50", "Try now"],
        ),
        (
            |view| {
                view.status.state = "down".to_owned();
                view.status.since = Some(at("07:57:00"));
                view.status.error = Some("connection refused".to_owned());
            },
            &["cannot be reached", "08:57", "connection refused", "Try now"],
        ),
        (
            |view| {
                view.status.state = "paused".to_owned();
                view.status.since = Some(at("07:57:00"));
                let (by, why) = ("ola".to_owned(), Some("new <disks>".to_owned()));
                view.status.paused = Some(Paused { at: at("07:57:00"), by, why });
            },
            &["ola paused it", "new &lt;disks&gt;", "Resume directory"],
        ),
        (
            |view| {
                view.status.state = "disabled".to_owned();
                view.has_file = false;
                view.organizations.clear();
                view.can_be_compared = false;
            },
            &["is switched off", "Its file is gone", "/connectors/directory/forget"],
        ),
        (
            |view| {
                let error = "503 Service Unavailable".to_owned();
                view.status.failing = Some(Failing { since: at("07:57:00"), tries: 40, error });
            },
            &["Nothing arrives at directory", "40 tries", "503"],
        ),
        (
            |view| {
                view.status.window = Some(WindowStatus {
                    until: "2026-12-01".parse().unwrap(),
                    max_removals: Some("40%".to_owned()),
                    max_member_removals: None,
                });
            },
            &["Until 2026-12-01", "40% of the entries"],
        ),
        (
            |view| {
                let run = view.status.last_reconciliation.as_mut().unwrap();
                run.error = Some("the target lists only 3 of the 700 users".to_owned());
            },
            &["The last comparison failed", "only 3 of the 700"],
        ),
    ];
    for (change, says) in cases {
        let html = drawn(&Connector::new(with(change), None));
        for words in says {
            assert!(html.contains(words), "{words}:\n{html}");
        }
        let list = drawn(&Connectors::new(vec![with(change)], false));
        assert!(list.contains("directory"));
    }
}

#[test]
fn who_has_a_part_of_it_sees_its_state_and_no_button() {
    let part = with(|view| view.share = Share::Part);
    let html = drawn(&Connector::new(part.clone(), None));
    assert!(html.contains("for other organizations, too"), "{html}");
    for button in ["/test", "/pause", "/comparison", "/resync", "Configuration of"] {
        assert!(!html.contains(button), "{button}");
    }
    assert!(!drawn(&Connectors::new(vec![part], false)).contains("/test"));
}

#[test]
fn what_has_consequences_says_them_first() {
    use super::controls::{Confirm, Sizes, What};
    for (what, says) in [
        (
            What::Pause,
            ["412 people and 1 group", "Pause directory", "<b>Can it be undone?</b> Yes"],
        ),
        (What::Resync, ["412 people and 1 group", "anew</button>", "A comparison finds"]),
        (
            What::Forget,
            ["728 entries that it delivered", "btn danger", "<b>Can it be undone?</b> No"],
        ),
    ] {
        let sizes =
            Sizes { people: 412, groups: 1, holds: 728, waiting: 53, can_be_compared: true };
        let confirm = Confirm::new("directory", what, sizes, "<typed>");
        let html = drawn(&confirm);
        for words in says {
            assert!(html.contains(words), "{words}:\n{html}");
        }
        assert!(!html.contains("<typed>"));
    }
}

#[test]
fn a_preview_is_asked_for_and_shown() {
    use super::preview::Preview;
    use crate::operator::Previewed;
    let asked = Preview {
        connector: "directory".to_owned(),
        organizations: vec![
            ("lillevik".to_owned(), "Lillevik kommune".to_owned()),
            ("solvang".to_owned(), "Solvang skole".to_owned()),
        ],
        organization: "solvang".to_owned(),
        kind: "Group",
        name: String::new(),
        previews: None,
        nothing: None,
        longest: 256,
    };
    let html = drawn(&asked);
    assert!(html.contains("<option value=\"solvang\" selected>"), "{html}");
    let previews = vec![Previewed {
        organization: "solvang".to_owned(),
        resource: "User/1234".to_owned(),
        text: "dn: uid=<kari>".to_owned(),
    }];
    let found = drawn(&Preview { name: "kari".to_owned(), previews: Some(previews), ..asked });
    assert!(found.contains("dn: uid=&lt;kari&gt;"), "{found}");
    assert!(found.contains("href=\"/organizations/solvang/people/1234\""), "{found}");
}

#[test]
fn a_preview_of_nobody_says_so() {
    use super::preview::Preview;
    let nobody = Preview {
        connector: "directory".to_owned(),
        organizations: Vec::new(),
        organization: String::new(),
        kind: "User",
        name: "kari".to_owned(),
        previews: None,
        nothing: Some("There is no user `kari` there.".to_owned()),
        longest: 256,
    };
    assert!(drawn(&nobody).contains("There is no user `kari` there."));
}

fn held() -> Vec<crate::store::Held> {
    use scim_relay_sdk::scim::{ResourceId, ResourceKind};
    let one = |number: u128, name: &str, kind: ResourceKind, members| crate::store::Held {
        connector: "directory".to_owned(),
        organization: "lillevik".to_owned(),
        kind,
        id: ResourceId(uuid::Uuid::from_u128(number)),
        name: name.to_owned(),
        hold_kind: "removal".to_owned(),
        summary: "disable `uid=<x>`: 25 of at most 25 removals in an hour are done".to_owned(),
        since: at("07:58:00"),
        deleted: true,
        closed: false,
        members,
        mark: 12,
    };
    vec![one(1, "kari", ResourceKind::User, None), one(2, "<choir>", ResourceKind::Group, Some(40))]
}

fn list() -> List {
    List {
        connector: "directory".to_owned(),
        held: held(),
        total: 2,
        kinds: Vec::new(),
        kind: String::new(),
        org: String::new(),
        next: None,
        is_first: true,
    }
}

#[test]
fn what_is_held_is_listed_with_what_would_happen() {
    insta::assert_snapshot!(main_of(&list()));
    let next = Some("1-1-5-9".to_owned());
    let kinds = ["removal", "take_over"]
        .map(|word| Kind { word: word.to_owned(), text: format!("2 {word}s") });
    let html = drawn(&List {
        next,
        kinds: kinds.into(),
        kind: "removal".to_owned(),
        is_first: false,
        ..list()
    });
    for part in ["after=1-1-5-9", "To the beginning", "?kind=take_over", "of what is chosen above"]
    {
        assert!(html.contains(part), "{part}:\n{html}");
    }
}

#[test]
fn where_nothing_is_held_the_page_says_what_would_be() {
    let empty = List { held: Vec::new(), total: 0, ..list() };
    assert!(drawn(&empty).contains("Nothing waits for a person&#x27;s word"));
}

#[test]
fn a_decision_is_asked_for_with_its_consequences() {
    use crate::operator::Ballot;
    let ballot = Ballot { connector: "directory".to_owned(), held: held(), changed: 1, more: true };
    let id = uuid::Uuid::from_u128(5);
    let approve = Ask::new(id, &ballot, &directory().leavers, false);
    insta::assert_snapshot!(main_of(&approve));
    let reject = drawn(&Ask::new(id, &ballot, &directory().leavers, true));
    assert!(reject.contains("They are parked") && !reject.contains("btn danger"), "{reject}");
    assert!(!reject.contains("Type how many"));
}

fn found() -> crate::operator::Compared {
    use crate::operator::{Compared, Differs, Finding};
    use crate::store::{DriftLine, Run, RunId};
    use scim_relay_sdk::scim::{ResourceId, ResourceKey, ResourceKind};
    let key = ResourceKey {
        organization: "lillevik".into(),
        kind: ResourceKind::User,
        id: ResourceId(uuid::Uuid::from_u128(1)),
    };
    let finding = |id: i64, kind: &str, whose: Option<&ResourceKey>, differences| Finding {
        line: DriftLine {
            id,
            kind: kind.to_owned(),
            address: format!("uid=<{id}>"),
            whose: whose.cloned(),
            name: whose.map(|_| "jonas".to_owned()).unwrap_or_default(),
            detail: serde_json::Value::Null,
            row: None,
        },
        differences,
        repairable: whose.is_some(),
    };
    let differs = |attribute: &str, hidden: bool| Differs {
        attribute: attribute.to_owned(),
        hidden,
        target: vec!["<old>".to_owned()],
        expected: Vec::new(),
        more_there: 3,
        more_wanted: 0,
    };
    let changed = vec![differs("mail", false), differs("userPassword", true)];
    let outcome = RunRow { drifted: 10_000, ..view().status.last_reconciliation.unwrap() };
    Compared {
        run: Run { id: RunId(7), outcome },
        drift: vec![
            finding(1, "changed", Some(&key), changed),
            finding(2, "missing", Some(&key), Vec::new()),
            finding(3, "orphaned", None, Vec::new()),
            finding(4, "duplicate", None, Vec::new()),
            finding(5, "lingering", Some(&key), Vec::new()),
        ],
        next: Some(5),
    }
}

fn comparison() -> Comparison {
    let shown = found();
    Comparison {
        connector: "directory".to_owned(),
        running: None,
        runs: vec![shown.run.clone(), shown.run.clone()],
        shown: Some(shown),
        is_first: true,
    }
}

#[test]
fn what_differs_is_shown_as_what_is_there_and_what_should_be() {
    insta::assert_snapshot!(main_of(&comparison()));
}

#[test]
fn a_comparison_says_how_far_it_is_and_what_came_of_it() {
    use crate::operator::Running;
    let running = |compared| Running {
        since: at("08:42:00"),
        by: "ingrid@lillevik.example".to_owned(),
        seen: 412,
        compared,
        of: 731,
    };
    let drawn_of = |change: &dyn Fn(&mut Comparison)| {
        let mut page = comparison();
        change(&mut page);
        drawn(&page)
    };
    let begun = drawn_of(&|page| page.running = Some(Progress::new(running(0))));
    assert!(begun.contains("Read 412 entries of about 731"), "{begun}");
    assert!(begun.contains("value=\"28\"") && !begun.contains("Compare now"), "{begun}");
    let later = drawn_of(&|page| page.running = Some(Progress::new(running(300))));
    assert!(later.contains("Read 412 entries, compared 300 of about 731"), "{later}");
    let never = drawn_of(&|page| (page.shown, page.runs) = (None, Vec::new()));
    assert!(never.contains("Not compared yet"), "{never}");
    let outcome = |change: &dyn Fn(&mut RunRow)| {
        drawn_of(&|page| change(&mut page.shown.as_mut().unwrap().run.outcome))
    };
    let well = outcome(&|run| run.drifted = 0);
    assert!(well.contains("Everybody is there as they should be"), "{well}");
    let failed = outcome(&|run| run.error = Some("no such <object>".to_owned()));
    assert!(failed.contains("no such &lt;object&gt;") && failed.contains("failed"), "{failed}");
    let dry = outcome(&|run| run.dry = true);
    assert!(!dry.contains("It was to put right"), "{dry}");
}
