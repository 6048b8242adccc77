//! Writes whose answer never came: reported as in doubt, and harmless whether they happen or not.

use std::time::Duration;

use scim_relay_sdk::connector::{Action, Connector, HoldKind, MemberDelta, Work};
use scim_relay_sdk::testing::{ada, choir, deleted, delta, group_work, present};

use crate::between::Between;
use crate::kit::{Target, USERS, WorkExt as _, held, with};
use crate::slapd::{RELAY, Slapd};

fn target(between: &Between) -> Target {
    let mut target = Target::at(between.url(), "allow_plaintext = true\n");
    target.timeout = Duration::from_millis(500);
    target
}

async fn is_in_doubt(connector: &dyn Connector, work: &Work) {
    let error = connector.deliver(work).await.unwrap_err();
    assert!(error.is_in_doubt(), "{error:?}");
}

#[tokio::test]
async fn a_change_that_happens_late_undoes_nothing() {
    let slapd = Slapd::start().await;
    let between = Between::start(&slapd.plain_url()).await;
    let connector = target(&between).connect();
    let titled = |title: &str| present(with(ada(), "title", title));
    let made = connector.deliver(&titled("first")).await.unwrap();

    between.hold_writes();
    is_in_doubt(&*connector, &titled("second").linked(&made)).await;
    between.let_writes_through();
    let newest = titled("third").linked(&made).in_doubt();
    assert_eq!(connector.deliver(&newest).await.unwrap().action, Action::Updated);

    assert_eq!(between.release().await, 1);
    let again = connector.deliver(&newest).await.unwrap();
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").values("title"), ["third"]);
    assert_eq!(again.action, Action::Unchanged);
}

#[tokio::test]
async fn a_change_that_happened_unanswered_is_not_written_again() {
    let slapd = Slapd::start().await;
    let between = Between::start(&slapd.plain_url()).await;
    let connector = target(&between).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    let renamed = present(with(ada(), "userName", "ada")).linked(&made);
    between.hold_writes();
    is_in_doubt(&*connector, &renamed).await;
    between.release().await;
    while slapd.search("dc=example,dc=org", "(uid=ada)").is_empty() {
        tokio::task::yield_now().await;
    }
    between.let_writes_through();
    let done = connector.deliver(&renamed.in_doubt()).await.unwrap();
    assert_eq!(done.action, Action::Unchanged);
    assert_eq!(done.link.unwrap().target_id, made.link.unwrap().target_id);
}

/// Has an entry made of the group whose making was never answered.
async fn choir_made_unanswered(slapd: &Slapd) -> Target {
    let between = Between::start(&slapd.plain_url()).await;
    between.hold_writes();
    is_in_doubt(&*target(&between).connect(), &present(choir())).await;
    between.release().await;
    while slapd.search("dc=example,dc=org", "(cn=Choir)").is_empty() {
        tokio::task::yield_now().await;
    }
    Target::of(slapd)
}

#[tokio::test]
async fn an_entry_that_was_made_unanswered_is_taken_as_ours() {
    let slapd = Slapd::start().await;
    let connector = choir_made_unanswered(&slapd).await.connect();
    let work = present(choir()).without(|permit| permit.take_over = false).in_doubt();
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Adopted);
    assert_eq!(slapd.one("(cn=Choir)").values("member"), [RELAY]);
}

#[tokio::test]
async fn so_it_is_when_it_was_renamed_meanwhile() {
    let slapd = Slapd::start().await;
    let connector = choir_made_unanswered(&slapd).await.connect();
    let renamed = present(with(choir(), "displayName", "Band"));
    let work = renamed.without(|permit| permit.take_over = false).earlier(choir());
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Renamed);
    assert_eq!(slapd.search("dc=example,dc=org", "(cn=Choir)"), []);
    assert_eq!(slapd.one("(cn=Band)").values("member"), [RELAY]);
}

#[tokio::test]
async fn it_goes_with_a_group_that_was_deleted_meanwhile() {
    let slapd = Slapd::start().await;
    let connector = choir_made_unanswered(&slapd).await.connect();
    let work = deleted(with(choir(), "displayName", "Band")).earlier(choir());
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Deleted);
    assert_eq!(slapd.search("dc=example,dc=org", "(objectClass=groupOfNames)"), []);
}

#[tokio::test]
async fn somebody_who_has_no_other_mark_is_found_by_what_they_were() {
    let slapd = Slapd::start().await;
    let sections = USERS.replace("correlate = [\"employeeNumber\", \"mail\"]", "");
    let connector = Target::of(&slapd).connect_with(&sections);
    connector.deliver(&present(ada())).await.unwrap();
    let renamed = || with(ada(), "userName", "ada.lovelace");
    let work = present(renamed()).without(|permit| permit.take_over = false).earlier(ada());
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Renamed);
    let work = deleted(with(ada(), "userName", "countess")).earlier(renamed());
    connector.deliver(&work).await.unwrap();
    assert_eq!(slapd.search("ou=people,dc=example,dc=org", "(sn=Lovelace)"), []);
}

#[tokio::test]
async fn what_another_made_is_nobodys_trace() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    slapd.apply(&format!(
        "dn: cn=Choir,ou=groups,dc=example,dc=org\nchangetype: add\nobjectClass: groupOfNames\n\
         cn: Choir\nmember: {RELAY}\n"
    ));
    let before = slapd.one("(cn=Choir)");
    let work = deleted(choir()).earlier(choir());
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Ignored);
    let work = present(choir()).without(|permit| permit.take_over = false).earlier(choir());
    assert_eq!(held(connector.deliver(&work).await).0, HoldKind::TakeOver);
    assert_eq!(slapd.one("(cn=Choir)"), before);
}

#[tokio::test]
async fn a_member_who_joined_unanswered_does_not_join_twice() {
    let slapd = Slapd::start().await;
    let between = Between::start(&slapd.plain_url()).await;
    let connector = target(&between).connect();
    let made = connector.deliver(&present(choir())).await.unwrap();
    let one = (1, "uid=one,ou=people,dc=example,dc=org");
    between.hold_writes();
    is_in_doubt(&*connector, &group_work(choir(), delta(&[one], &[])).linked(&made)).await;
    between.let_writes_through();
    between.release().await;
    while slapd.one("(cn=Choir)").values("member") != [one.1] {
        tokio::task::yield_now().await;
    }
    let again = group_work(choir(), delta(&[one], &[])).linked(&made).in_doubt();
    assert_eq!(connector.deliver(&again).await.unwrap().action, Action::Unchanged);
    let none = group_work(choir(), MemberDelta::All(Vec::new())).linked(&made);
    assert_eq!(connector.deliver(&none).await.unwrap().action, Action::Updated);
}
