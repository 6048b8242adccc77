//! People: made, changed where they differ, renamed, taken on.

use scim_relay_sdk::connector::{Action, HoldKind};
use scim_relay_sdk::testing::{ada, conformance, present};
use serde_json::json;

use crate::kit::{Target, USERS, WorkExt as _, address, held, person, refused, with};
use crate::slapd::{Options, Slapd};

#[tokio::test]
async fn it_does_what_every_connector_does() {
    let slapd = Slapd::start().await;
    let seen = conformance(&*Target::of(&slapd).connect(), ada()).await.unwrap();
    assert_eq!(seen.created.action, Action::Created);
    assert_eq!(seen.deleted.action, Action::Moved);
}

#[tokio::test]
async fn a_person_is_made_with_everything_that_is_mapped() {
    let slapd = Slapd::start().await;
    let made = Target::of(&slapd).connect().deliver(&present(ada())).await.unwrap();
    let entry = slapd.one("(employeeNumber=ext-ada)");
    assert_eq!(entry.dn, "uid=ada@lillevik.example,ou=people,dc=example,dc=org");
    assert_eq!(address(&made), entry.dn);
    assert_eq!(entry.values("entryUUID"), [made.link.unwrap().target_id]);
    assert_eq!(entry.values("cn"), ["Ada Müller"]);
    assert_eq!(entry.values("mail"), ["ada@home.example", "ada@lillevik.example"]);
    assert_eq!(entry.values("description"), ["created by scim-relay"]);
    assert!(entry.values("title").is_empty());
    assert!(slapd.can_bind(&entry.dn, "initial secret of ada@lillevik.example"));
}

#[tokio::test]
async fn what_is_in_line_is_not_written() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    let before = slapd.one("(employeeNumber=ext-ada)");
    let again = connector.deliver(&present(ada()).linked(&made)).await.unwrap();
    assert_eq!((again.action, &again.link), (Action::Unchanged, &made.link));
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").values("entryCSN"), before.values("entryCSN"));
}

#[tokio::test]
async fn only_what_differs_is_written_and_what_vanishes_is_removed() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let titled = with(ada(), "title", "Pupil");
    let made = connector.deliver(&present(titled)).await.unwrap();
    slapd.apply(
        "dn: uid=ada@lillevik.example,ou=people,dc=example,dc=org\nchangetype: modify\n\
         add: telephoneNumber\ntelephoneNumber: 123\n-\nreplace: description\ndescription: hers\n",
    );
    let changed = with(
        ada(),
        "emails",
        json!([{ "value": "ada@home.example" }, { "value": "new@x.example" }]),
    );
    let changed = with(changed, "displayName", "ADA MÜLLER");
    let done = connector.deliver(&present(changed).linked(&made)).await.unwrap();
    assert_eq!(done.action, Action::Updated);
    let entry = slapd.one("(employeeNumber=ext-ada)");
    assert_eq!(entry.values("mail"), ["ada@home.example", "new@x.example"]);
    assert_eq!(entry.values("cn"), ["ADA MÜLLER"]);
    assert!(entry.values("title").is_empty());
    assert_eq!(entry.values("telephoneNumber"), ["123"], "it is not ours");
    assert_eq!(entry.values("description"), ["hers"], "it is written once");
}

#[tokio::test]
async fn a_rename_keeps_the_entry() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    let married = with(with(ada(), "userName", "ada.smith"), "displayName", "Ada Smith");
    let renamed = connector.deliver(&present(married.clone()).linked(&made)).await.unwrap();
    assert_eq!(renamed.action, Action::Renamed);
    let entry = slapd.one("(employeeNumber=ext-ada)");
    assert_eq!(entry.dn, "uid=ada.smith,ou=people,dc=example,dc=org");
    assert_eq!(entry.values("uid"), ["ada.smith"]);
    assert_eq!(entry.values("cn"), ["Ada Smith"]);
    assert_eq!(entry.values("entryUUID"), [made.link.unwrap().target_id]);

    let capital = with(married, "userName", "Ada.Smith");
    let renamed = connector.deliver(&present(capital.clone()).linked(&renamed)).await.unwrap();
    assert_eq!(renamed.action, Action::Renamed);
    assert_eq!(address(&renamed), "uid=Ada.Smith,ou=people,dc=example,dc=org");
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").values("uid"), ["Ada.Smith"]);
    let again = connector.deliver(&present(capital).linked(&renamed)).await.unwrap();
    assert_eq!(again.action, Action::Unchanged);
}

#[tokio::test]
async fn an_entry_that_was_renamed_or_moved_by_hand_is_found_and_put_back() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    slapd.apply(
        "dn: uid=ada@lillevik.example,ou=people,dc=example,dc=org\nchangetype: modrdn\n\
         newrdn: cn=Ada Müller\ndeleteoldrdn: 0\nnewsuperior: ou=leavers,dc=example,dc=org\n",
    );
    slapd.add_person("ada@lillevik.example", "");
    let blocked = connector.deliver(&present(ada()).linked(&made)).await.unwrap_err();
    assert!(blocked.to_string().contains("another entry has that name"), "{blocked}");
    slapd.apply("dn: uid=ada@lillevik.example,ou=people,dc=example,dc=org\nchangetype: delete\n");
    let found = connector.deliver(&present(ada()).linked(&made)).await.unwrap();
    assert_eq!((found.action, found.link), (Action::Renamed, made.link));
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").values("cn"), ["Ada Müller"]);
}

#[tokio::test]
async fn an_entry_that_was_deleted_by_hand_is_made_anew() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    slapd.apply("dn: uid=ada@lillevik.example,ou=people,dc=example,dc=org\nchangetype: delete\n");
    let anew = connector.deliver(&present(ada()).linked(&made)).await.unwrap();
    assert_eq!(anew.action, Action::Created);
    assert_ne!(anew.link.unwrap().target_id, made.link.unwrap().target_id);
}

#[tokio::test]
async fn an_entry_with_the_provider_s_id_is_adopted_without_asking() {
    let slapd = Slapd::start().await;
    slapd.add_person("amueller", "employeeNumber: ext-ada\nmail: other@x.example\n");
    let connector = Target::of(&slapd).connect();
    let work = present(ada()).without(|permit| permit.take_over = false);
    let adopted = connector.deliver(&work).await.unwrap();
    assert_eq!(adopted.action, Action::Adopted);
    let entry = slapd.one("(employeeNumber=ext-ada)");
    assert_eq!(entry.dn, "uid=ada@lillevik.example,ou=people,dc=example,dc=org");
    assert_eq!(entry.values("cn"), ["Ada Müller"]);
    assert!(entry.values("description").is_empty(), "it was not made by us");
}

#[tokio::test]
async fn an_entry_that_only_looks_like_the_person_waits_for_approval() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let check = async |uid: &str, more: &str, how: &str| {
        slapd.add_person(uid, more);
        let before = slapd.one(&format!("(uid={uid})"));
        let work = present(ada()).without(|permit| permit.take_over = false);
        let (kind, summary) = held(connector.deliver(&work).await);
        assert_eq!(kind, HoldKind::TakeOver);
        assert_eq!(
            summary,
            format!(
                "take over `{}`, which was there before the relay (found by its {how})",
                before.dn
            )
        );
        assert_eq!(slapd.one(&format!("(uid={uid})")), before, "nothing was written");
        let approved = connector.deliver(&present(ada())).await.unwrap();
        assert_eq!(approved.action, Action::Adopted);
        slapd.apply(&format!("dn: {}\nchangetype: delete\n", address(&approved)));
    };
    check("amueller", "mail: ADA@lillevik.example\n", "mail").await;
    check("ada@lillevik.example", "", "name").await;
    // The server finds the other case, but it is another id.
    check("amueller", "employeeNumber: EXT-ADA\n", "employeeNumber").await;
}

#[tokio::test]
async fn two_candidates_are_left_to_a_person() {
    let slapd = Slapd::start().await;
    slapd.add_person("one", "mail: ada@lillevik.example\n");
    slapd.add_person("two", "mail: ada@home.example\n");
    let reason = refused(Target::of(&slapd).connect().deliver(&present(ada())).await);
    assert_eq!(
        reason,
        "several entries have the same mail: `uid=one,ou=people,dc=example,dc=org`, \
         `uid=two,ou=people,dc=example,dc=org`; leave it to one of them, then retry"
    );
    assert_eq!(slapd.search("ou=people,dc=example,dc=org", "(objectClass=inetOrgPerson)").len(), 2);
}

#[tokio::test]
async fn what_a_cut_off_attempt_made_is_ours() {
    let slapd = Slapd::start().await;
    let bare = USERS.replace("correlate = [\"employeeNumber\", \"mail\"]", "");
    let connector = Target::of(&slapd).connect_with(&bare);
    let made = connector.deliver(&present(ada())).await.unwrap();
    let work = present(ada()).without(|permit| permit.take_over = false);
    held(connector.deliver(&work).await);
    let ours = connector.deliver(&work.in_doubt()).await.unwrap();
    assert_eq!((ours.action, ours.link), (Action::Adopted, made.link));
}

#[tokio::test]
async fn names_that_would_escape_stay_in_their_place() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let names = [
        "a,ou=admins",
        "a+uid=root",
        "#04024869",
        " leading",
        "trailing ",
        "\\",
        "\"quoted\"",
        "<a>;b=c",
        "*)(uid=*))(|(uid=*",
        "Zoë Müller, Jr.",
        "a\\,b",
        "x\ny",
    ];
    for (number, name) in (1..).zip(names) {
        let somebody = person(number, name);
        let made = connector.deliver(&present(somebody.clone())).await.unwrap();
        let entry = slapd.one(&format!("(employeeNumber=ext-{number})"));
        assert!(entry.dn.ends_with(",ou=people,dc=example,dc=org"), "{name:?}: {}", entry.dn);
        assert_eq!(entry.values("uid"), [name]);
        let again = connector.deliver(&present(somebody).linked(&made)).await.unwrap();
        assert_eq!(again.action, Action::Unchanged, "{name:?} is {}", entry.dn);
    }
    let people = slapd.search("ou=people,dc=example,dc=org", "(objectClass=inetOrgPerson)");
    assert_eq!(people.len(), names.len());
}

#[tokio::test]
async fn what_the_directory_refuses_is_told_in_its_words() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let nameless = with(ada(), "name", json!({}));
    let reason = refused(connector.deliver(&present(nameless)).await);
    assert_eq!(
        reason,
        "adding `uid=ada@lillevik.example,ou=people,dc=example,dc=org`: the server answered \
         objectClassViolation (65), \"object class 'inetOrgPerson' requires attribute 'sn'\""
    );

    let weak = USERS.replace("initial secret of {{ userName }}", "short");
    let reason = refused(Target::of(&slapd).connect_with(&weak).deliver(&present(ada())).await);
    assert!(reason.contains("constraintViolation (19)"), "{reason}");

    let nowhere = USERS.replace("ou=people", "ou=staff,ou=people");
    let reason = refused(Target::of(&slapd).connect_with(&nowhere).deliver(&present(ada())).await);
    assert!(
        reason.ends_with(
            "make the entry `ou=staff,ou=people,dc=example,dc=org` above it, then retry"
        ),
        "{reason}"
    );
}

#[tokio::test]
async fn an_attribute_without_an_equality_rule_is_changed_too() {
    let slapd = Slapd::start_with(&Options { ppolicy: false, ..Options::default() }).await;
    let fax =
        USERS.replace("title = \"{{ title }}\"", "facsimileTelephoneNumber = \"{{ title }}\"");
    let connector = Target::of(&slapd).connect_with(&fax);
    let made = connector.deliver(&present(with(ada(), "title", "+47 1"))).await.unwrap();
    let work = present(with(ada(), "title", "+47 2")).linked(&made);
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Updated);
    let entry = slapd.one("(employeeNumber=ext-ada)");
    assert_eq!(entry.values("facsimileTelephoneNumber"), ["+47 2"]);
}
