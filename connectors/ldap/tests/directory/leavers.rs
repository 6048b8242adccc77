//! Ways out, and back: disabled, moved, deleted, purged, and each of it only where it is allowed.

use scim_relay_sdk::connector::{
    Action, Connector, Delivered, DeliveryError, Gone, HoldKind, Stage, Wanted, Work,
};
use scim_relay_sdk::testing::{ada, deleted, present, work};

use crate::kit::{Target, USERS, WorkExt as _, address, held, refused, with};
use crate::slapd::{Options, Shown, Slapd};

const LOCKED: &str = "000001010000Z";
const PASSWORD: &str = "initial secret of ada@lillevik.example";
const AT_HOME: &str = "uid=ada@lillevik.example,ou=people,dc=example,dc=org";
const AMONG_LEAVERS: &str = "uid=ada@lillevik.example,ou=leavers,dc=example,dc=org";

fn out_of_scope() -> Work {
    work(Wanted::Gone { last: ada().into(), why: Gone::OutOfScope })
}

fn inactive() -> Work {
    present(with(ada(), "active", false))
}

fn her(slapd: &Slapd) -> Shown {
    slapd.one("(employeeNumber=ext-ada)")
}

fn stage(delivered: &Delivered) -> Stage {
    delivered.link.as_ref().unwrap().stage
}

/// Whether it is held, and the entry is as before.
async fn is_held(slapd: &Slapd, connector: &dyn Connector, work: Work, summary: &str) {
    let before = her(slapd);
    let result = connector.deliver(&work.without(|permit| permit.remove = false)).await;
    assert_eq!(held(result), (HoldKind::Removal, summary.to_owned()));
    assert_eq!(her(slapd), before);
}

#[tokio::test]
async fn who_leaves_the_scope_is_disabled_and_comes_back() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    assert!(slapd.can_bind(AT_HOME, PASSWORD));

    is_held(&slapd, &*connector, out_of_scope().linked(&made), &format!("disable `{AT_HOME}`"))
        .await;
    let left = connector.deliver(&out_of_scope().linked(&made)).await.unwrap();
    assert_eq!((left.action, stage(&left)), (Action::Deactivated, Stage::Deactivated));
    assert_eq!(her(&slapd).values("pwdAccountLockedTime"), [LOCKED]);
    assert!(!slapd.can_bind(AT_HOME, PASSWORD));

    let again = connector.deliver(&out_of_scope().linked(&left).after(1)).await.unwrap();
    assert_eq!(
        (again.action, &again.link, again.revisit),
        (Action::Unchanged, &left.link, left.revisit)
    );

    let back = connector.deliver(&present(ada()).linked(&again).after(2)).await.unwrap();
    assert_eq!((back.action, stage(&back), back.revisit), (Action::Updated, Stage::Active, None));
    assert!(slapd.can_bind(AT_HOME, PASSWORD));
}

#[tokio::test]
async fn who_is_inactive_is_kept_up_to_date_and_disabled() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    is_held(&slapd, &*connector, inactive().linked(&made), &format!("disable `{AT_HOME}`")).await;
    let disabled = connector.deliver(&inactive().linked(&made)).await.unwrap();
    assert_eq!((disabled.action, stage(&disabled)), (Action::Deactivated, Stage::Active));

    let titled = present(with(with(ada(), "active", false), "title", "Alumna")).linked(&disabled);
    let updated = connector.deliver(&titled.without(|permit| permit.remove = false)).await.unwrap();
    assert_eq!((updated.action, updated.revisit), (Action::Updated, None));
    assert_eq!(her(&slapd).values("title"), ["Alumna"]);
    assert!(!slapd.can_bind(AT_HOME, PASSWORD));

    connector.deliver(&present(ada()).linked(&updated)).await.unwrap();
    assert!(slapd.can_bind(AT_HOME, PASSWORD));
}

#[tokio::test]
async fn who_begins_inactive_is_made_disabled_without_asking() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let work = inactive().without(|permit| permit.remove = false);
    assert_eq!(connector.deliver(&work).await.unwrap().action, Action::Created);
    assert!(!slapd.can_bind(AT_HOME, PASSWORD));
}

#[tokio::test]
async fn a_lock_that_too_many_wrong_passwords_brought_is_left() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    (0..3).for_each(|_| assert!(!slapd.can_bind(AT_HOME, "wrong")));
    assert!(!slapd.can_bind(AT_HOME, PASSWORD));
    let titled = present(with(ada(), "title", "Pupil")).linked(&made);
    assert_eq!(connector.deliver(&titled).await.unwrap().action, Action::Updated);
    assert!(!slapd.can_bind(AT_HOME, PASSWORD));
}

#[tokio::test]
async fn who_is_deleted_is_moved_and_purged_when_the_time_has_come() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();

    let summary = format!("move `{AT_HOME}` to `ou=leavers,dc=example,dc=org`");
    is_held(&slapd, &*connector, deleted(ada()).linked(&made), &summary).await;
    let moved = connector.deliver(&deleted(ada()).linked(&made)).await.unwrap();
    assert_eq!((moved.action, stage(&moved)), (Action::Moved, Stage::Removed));
    assert_eq!((address(&moved), her(&slapd).dn.as_str()), (AMONG_LEAVERS, AMONG_LEAVERS));
    assert_eq!(her(&slapd).values("pwdAccountLockedTime"), [LOCKED]);
    assert_eq!(moved.revisit, Some(deleted(ada()).after(90).now));

    let early = connector.deliver(&deleted(ada()).linked(&moved).after(89)).await.unwrap();
    assert_eq!((early.action, early.revisit), (Action::Unchanged, moved.revisit));
    let due = deleted(ada()).linked(&early).after(90);
    is_held(&slapd, &*connector, due.clone(), &format!("purge `{AMONG_LEAVERS}`")).await;
    let purged = connector.deliver(&due.clone()).await.unwrap();
    assert_eq!((purged.action, &purged.link, purged.revisit), (Action::Deleted, &None, None));
    assert!(slapd.search("dc=example,dc=org", "(employeeNumber=ext-ada)").is_empty());
    assert_eq!(connector.deliver(&due).await.unwrap().action, Action::Unchanged);
    assert_eq!(connector.deliver(&due.link(None)).await.unwrap().action, Action::Ignored);
}

#[tokio::test]
async fn who_comes_back_before_the_purge_gets_the_same_entry() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    let moved = connector.deliver(&deleted(ada()).linked(&made)).await.unwrap();
    let back = connector.deliver(&present(ada()).linked(&moved).after(30)).await.unwrap();
    assert_eq!((back.action, stage(&back), back.revisit), (Action::Renamed, Stage::Active, None));
    let entry = her(&slapd);
    assert_eq!(entry.dn, AT_HOME);
    assert_eq!(entry.values("entryUUID"), [made.link.unwrap().target_id]);
    assert!(slapd.can_bind(AT_HOME, PASSWORD));

    // Created anew at the provider, she is another resource with the same external id.
    let moved = connector.deliver(&deleted(ada()).linked(&back)).await.unwrap();
    assert_eq!(moved.action, Action::Moved);
    let adopted = connector.deliver(&present(ada())).await.unwrap();
    assert_eq!((adopted.action, address(&adopted)), (Action::Adopted, AT_HOME));
}

#[tokio::test]
async fn the_purge_counts_from_the_stage_that_was_reached_last() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    let made = connector.deliver(&present(ada())).await.unwrap();
    let left = connector.deliver(&out_of_scope().linked(&made)).await.unwrap();
    let moved = connector.deliver(&deleted(ada()).linked(&left).after(60)).await.unwrap();
    assert_eq!((moved.action, moved.revisit), (Action::Moved, Some(deleted(ada()).after(150).now)));
}

#[tokio::test]
async fn an_entry_can_be_deleted_at_once_or_kept() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect_with(
        &USERS
            .replace("delete = \"move\"", "deactivate = \"keep\"\ndelete = \"delete\"")
            .replace("purge_after = \"90 days\"", ""),
    );
    let made = connector.deliver(&present(ada())).await.unwrap();
    let before = her(&slapd);
    let kept = connector.deliver(&out_of_scope().linked(&made)).await.unwrap();
    assert_eq!(
        (kept.action, stage(&kept), kept.revisit),
        (Action::Unchanged, Stage::Deactivated, None)
    );
    let idle = connector.deliver(&inactive().linked(&made)).await.unwrap();
    assert_eq!(idle.action, Action::Unchanged);
    assert_eq!(her(&slapd), before);

    is_held(&slapd, &*connector, deleted(ada()).linked(&kept), &format!("delete `{AT_HOME}`"))
        .await;
    let gone = connector.deliver(&deleted(ada()).linked(&kept)).await.unwrap();
    assert_eq!((gone.action, gone.link), (Action::Deleted, None));
}

#[tokio::test]
async fn who_is_inactive_can_be_deleted_and_made_anew() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd)
        .connect_with(&USERS.replace("delete = \"move\"", "deactivate = \"delete\""));
    let made = connector.deliver(&present(ada())).await.unwrap();
    let summary = format!("delete `{AT_HOME}`, who is inactive");
    is_held(&slapd, &*connector, inactive().linked(&made), &summary).await;
    let gone = connector.deliver(&inactive().linked(&made)).await.unwrap();
    assert_eq!((gone.action, &gone.link), (Action::Deleted, &None));
    let still = connector.deliver(&inactive().linked(&gone)).await.unwrap();
    assert_eq!((still.action, still.link), (Action::Ignored, None));
    assert_eq!(connector.deliver(&present(ada())).await.unwrap().action, Action::Created);
}

#[tokio::test]
async fn without_a_password_policy_attributes_say_who_is_disabled() {
    let slapd = Slapd::start_with(&Options { ppolicy: false, ..Options::default() }).await;
    let target = Target::of(&slapd);
    let made = target.connect().deliver(&present(ada())).await.unwrap();
    let reason = refused(target.connect().deliver(&out_of_scope().linked(&made)).await);
    assert!(reason.contains("OpenLDAP has no password policy"), "{reason}");

    let marked = format!(
        "{}[users.deprovision.disabled_attributes]\nemployeeType = \"left\"\n\
         title = \"was {{{{ title }}}}\"\n",
        USERS.replace("[groups]\ndn = \"cn={{ displayName }},ou=groups,dc=example,dc=org\"\n", "")
    );
    let connector = target.connect_with(&marked);
    slapd.apply(&format!(
        "dn: {AT_HOME}\nchangetype: modify\nadd: employeeType\nemployeeType: staff\n"
    ));
    let pupil = with(ada(), "title", "Pupil");
    let linked = connector.deliver(&present(pupil.clone()).linked(&made)).await.unwrap();
    let off = present(with(pupil.clone(), "active", false)).linked(&linked);
    let off = connector.deliver(&off).await.unwrap();
    assert_eq!(off.action, Action::Deactivated);
    assert_eq!(her(&slapd).values("employeeType"), ["left"]);
    assert_eq!(her(&slapd).values("title"), ["was Pupil"]);
    let on = connector.deliver(&present(pupil).linked(&off)).await.unwrap();
    assert_eq!(on.action, Action::Updated);
    assert!(her(&slapd).values("employeeType").is_empty());
    assert_eq!(her(&slapd).values("title"), ["Pupil"]);
}

#[tokio::test]
async fn an_entry_with_others_below_it_is_not_deleted() {
    let slapd = Slapd::start().await;
    let connector =
        Target::of(&slapd).connect_with(&USERS.replace("delete = \"move\"", "delete = \"delete\""));
    let made = connector.deliver(&present(ada())).await.unwrap();
    slapd.apply(&format!(
        "dn: cn=phone,{AT_HOME}\nchangetype: add\nobjectClass: device\ncn: phone\n"
    ));
    let reason = refused(connector.deliver(&deleted(ada()).linked(&made)).await);
    assert!(reason.contains("notAllowedOnNonLeaf (66)"), "{reason}");
}

#[tokio::test]
async fn what_a_cut_off_attempt_may_have_made_goes_too() {
    let slapd = Slapd::start().await;
    let connector = Target::of(&slapd).connect();
    connector.deliver(&present(ada())).await.unwrap();
    let gone = connector.deliver(&deleted(ada()).in_doubt()).await.unwrap();
    assert_eq!((gone.action, address(&gone)), (Action::Moved, AMONG_LEAVERS));
    let never: Result<_, DeliveryError> = connector.deliver(&deleted(ada())).await;
    assert_eq!(never.unwrap().action, Action::Ignored);
}
