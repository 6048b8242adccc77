//! The list in each of its states, and that nothing is done without words.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use scim_relay_sdk::scim::{ResourceId, ResourceKind};
use uuid::Uuid;

use super::list::{List, Part, object};
use super::*;
use crate::console::page::sample::{drawn, main_of, viewer};
use crate::operator::{Deed, Object, Rights, Whom};
use crate::store::{AuditRow, Audited};

fn deed(action: &str, subject: &str) -> Deed {
    let row = AuditRow {
        at: "2026-11-18T08:15:00Z".parse().unwrap(),
        actor: "ingrid@lillevik.example".to_owned(),
        from: Some("10.20.4.17".to_owned()),
        action: action.to_owned(),
        organization: Some("lillevik".to_owned()),
        subject: subject.to_owned(),
        detail: None,
    };
    Deed { audited: Audited { id: 7, row }, object: Object::default() }
}

fn about(deed: Deed, connector: Option<&str>, name: Option<&str>) -> Deed {
    let id = ResourceId(Uuid::from_u128(7));
    let whom = Whom { kind: ResourceKind::User, id, name: name.map(str::to_owned) };
    let object = Object { connector: connector.map(str::to_owned), whom: Some(whom) };
    Deed { object, ..deed }
}

fn with_detail(mut deed: Deed, detail: &str) -> Deed {
    deed.audited.row.detail = Some(detail.to_owned());
    deed
}

fn list(which: Which, deeds: &[Deed]) -> List {
    List::new(which, deeds, Some(7), "365 days".to_owned())
}

#[test]
fn each_row_is_a_sentence_with_links() {
    let mut paused = with_detail(deed("connector.pause", "canteen-app"), "moves on Friday");
    paused.object.connector = Some("canteen-app".to_owned());
    let mut signed_in = deed("account.sign_in", "ingrid@lillevik.example");
    signed_in.audited.row.organization = None;
    let mut own = deed("account.password", "ingrid@lillevik.example");
    own.audited.row.organization = None;
    let mut first_use = deed("token.first_use", "7Hq2");
    first_use.audited.row.actor = "scim-relay".to_owned();
    first_use.audited.row.from = None;
    let deeds = [
        with_detail(
            about(deed("queue.skip", "x User/7"), Some("building-access"), Some("Tor Hansen Bø")),
            "gets a key instead <agreed>",
        ),
        about(deed("trace.read", "User/7"), None, Some("Kari Nordli")),
        about(deed("trace.read", "User/7"), None, None),
        paused,
        with_detail(deed("queue.retry", "canteen-app state parked"), "21 entries"),
        deed("token.create", "12 Entra ID production"),
        first_use,
        signed_in,
        own,
    ];
    insta::assert_snapshot!(main_of(&list(Which::default(), &deeds)));
}

#[test]
fn an_empty_log_and_an_empty_filter_say_so() {
    let empty = |which| List::new(which, &[], None, "365 days".to_owned());
    assert!(drawn(&empty(Which::default())).contains("Nothing was done yet"));
    let filtered = Which { who: "nobody".to_owned(), ..Which::default() };
    assert!(drawn(&empty(filtered)).contains("Nothing here matches"));
}

#[test]
fn who_is_gone_has_no_page() {
    let part = |text: &str| Part { text: text.to_owned(), address: None };
    let gone = about(deed("trace.read", "User/7"), None, None);
    assert_eq!(object(&gone), [part("somebody who is gone")]);
}

#[test]
fn days_are_the_reader_s_own() {
    let mut reader = viewer(Rights::administrator()).reader;
    reader.zone = TimeZone::get("Europe/Oslo").unwrap();
    let which = |from: &str, to: &str| Which {
        from: from.to_owned(),
        to: to.to_owned(),
        ..Which::default()
    };
    let query = which("2026-10-25", "2026-10-25").query(&reader).unwrap();
    let at = |text: &str| Some(text.parse().unwrap());
    assert_eq!(query.from, at("2026-10-24T22:00:00Z"));
    assert_eq!(query.to, at("2026-10-25T23:00:00Z"), "a day of 25 hours, to its end");
    assert!(which("yesterday", "").query(&reader).is_err());
    assert!(which("", "9999-12-31").query(&reader).is_err());
}

/// The source files of these folders, without their tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !name.contains("tests") {
            found.push(path);
        }
    }
}

/// `queue.skip` and its like: what begins as an action that is known does, and whatever is noted.
fn actions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut before = "";
    for (number, piece) in text.split('"').enumerate() {
        let is_text = number % 2 == 1;
        let noted = before.trim_end();
        let is_noted =
            noted.ends_with("action:") || noted.rsplit_once("note(").is_some_and(is_open);
        let about = piece.split_once('.').filter(|(about, what)| is_word(about) && is_word(what));
        let is_known =
            |(about, _): (&str, &str)| words::ABOUT.iter().any(|(word, _)| *word == about);
        if is_text && about.is_some_and(|about| is_noted || is_known(about)) {
            found.push(piece);
        }
        before = piece;
    }
    found
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Whether these are the first arguments of a call that is not over.
fn is_open((_, arguments): (&str, &str)) -> bool {
    !arguments.contains(';')
}

#[test]
fn every_action_in_the_code_has_words_and_every_word_an_action() {
    let mut files = Vec::new();
    for room in ["operator", "store", "http", "daemon"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room), &mut files);
    }
    let mut done = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        done.extend(actions(production).into_iter().map(str::to_owned));
    }
    done.sort_unstable();
    done.dedup();
    let known: Vec<&str> = words::DEEDS.iter().map(|(action, _)| *action).collect();
    assert_eq!(done, known, "left: the code's, right: those with words");
    for (action, _) in words::DEEDS {
        let about = action.split('.').next().unwrap();
        assert!(words::ABOUT.iter().any(|(word, _)| *word == about), "{about} is in the filter");
    }
}
