//! Passwords that are passed on: set, never read, and in nobody's way.

use scim_relay_sdk::connector::{Action, DeliveryError, Link, Work};
use scim_relay_sdk::scim::ResourceKind;
use scim_relay_sdk::testing::{ada, conformance, present};

use crate::kit::{Target, USERS, WorkExt as _, with};
use crate::slapd::{Options, Slapd};

const ADA: &str = "uid=ada@lillevik.example,ou=people,dc=example,dc=org";

/// The usual mapping, with a password that is passed on to `attribute`.
fn passing_to(attribute: &str) -> String {
    let initial = "userPassword = \"initial secret of {{ userName }}\"\n";
    USERS.replace(initial, "").replace(
        "[users.attributes]\n",
        &format!("[users.attributes]\n{attribute} = \"{{{{ password }}}}\"\n"),
    )
}

fn password(mut work: Work, password: &str) -> Work {
    work.password = Some(password.into());
    work
}

#[track_caller]
fn partly(error: DeliveryError) -> (Link, String) {
    match error {
        DeliveryError::Partly { link, reason } => (*link, reason),
        other => panic!("it should be done in part: {other:?}"),
    }
}

#[tokio::test]
async fn it_does_what_every_connector_does() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect_with(&passing_to("userPassword"));
    conformance(&*connector, ada()).await.unwrap();
}

#[tokio::test]
async fn a_password_is_set_when_one_comes_and_then_left_alone() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect_with(&passing_to("userPassword"));
    let made = connector.deliver(&password(present(ada()), "first password")).await.unwrap();
    assert_eq!(made.action, Action::Created);
    assert!(slapd.can_bind(ADA, "first password"));
    let entry = slapd.one("(employeeNumber=ext-ada)");
    let kept = entry.values("userPassword").concat();
    assert!(kept.starts_with("{SSHA}"), "the server hashes it: {kept}");

    let again = connector.deliver(&present(ada()).linked(&made)).await.unwrap();
    assert_eq!(again.action, Action::Unchanged);
    let after = slapd.one("(employeeNumber=ext-ada)");
    assert_eq!(after.values("entryCSN"), entry.values("entryCSN"));

    let work = password(present(ada()).linked(&made), "second password");
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Updated);
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Updated, "a repeat");
    assert!(slapd.can_bind(ADA, "second password"));
    assert!(!slapd.can_bind(ADA, "first password"));
}

#[tokio::test]
async fn a_password_is_no_drift() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect_with(&passing_to("userPassword"));
    connector.deliver(&password(present(ada()), "first password")).await.unwrap();
    let inventory = connector.inventory().unwrap();
    let mut listed = Vec::new();
    inventory.list(ResourceKind::User, &mut |entry| listed.push(entry)).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].values, inventory.expected(&ada()).unwrap().values);
    assert!(!format!("{listed:?}").to_lowercase().contains("password"), "{listed:?}");
}

#[tokio::test]
async fn one_that_the_policy_refuses_is_in_the_way_of_nothing_else() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect_with(&passing_to("userPassword"));
    let refused = connector.deliver(&password(present(ada()), "canary")).await.unwrap_err();
    let (link, reason) = partly(refused);
    assert!(
        reason.starts_with(&format!(
            "setting userPassword of `{ADA}`: the server answered constraintViolation (19), "
        )),
        "{reason}"
    );
    assert!(reason.contains("; all else is written. ") && !reason.contains("canary"), "{reason}");
    let entry = slapd.one("(employeeNumber=ext-ada)");
    assert_eq!(entry.values("entryUUID"), [link.target_id.as_str()]);
    assert!(entry.values("userPassword").is_empty());

    let titled = present(with(ada(), "title", "Pupil")).link(Some(link));
    let (link, _) = partly(connector.deliver(&password(titled, "canary")).await.unwrap_err());
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").values("title"), ["Pupil"]);

    let good = password(present(ada()).link(Some(link)), "long enough for it");
    connector.deliver(&good).await.unwrap();
    assert!(slapd.can_bind(ADA, "long enough for it"));
}

#[tokio::test]
async fn an_attribute_without_an_operation_of_its_own_is_replaced() {
    let slapd = Slapd::start_with(&Options { ppolicy: false, ..Options::default() }).await;
    let connector = Target::of(&slapd).connect_with(&passing_to("carLicense"));
    let made = connector.deliver(&password(present(ada()), "first")).await.unwrap();
    connector.deliver(&password(present(ada()).linked(&made), "second")).await.unwrap();
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").values("carLicense"), ["second"]);
    let untouched = connector.deliver(&present(ada()).linked(&made)).await.unwrap();
    assert_eq!(untouched.action, Action::Unchanged);
    assert_eq!(slapd.one("(employeeNumber=ext-ada)").values("carLicense"), ["second"]);
}

#[tokio::test]
async fn who_was_made_by_an_attempt_that_was_cut_off_gets_the_password_with_the_next() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect_with(&passing_to("userPassword"));
    // As if the relay had ended between the entry and its password.
    connector.deliver(&present(ada())).await.unwrap();
    let again = password(present(ada()).in_doubt(), "first password");
    connector.deliver(&again).await.unwrap();
    assert!(slapd.can_bind(ADA, "first password"));
}
