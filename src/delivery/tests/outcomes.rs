//! How one delivery ends.

use std::time::Duration;

use jiff::SignedDuration;
use scim_relay_sdk::connector::{DeliveryError, HoldKind, Semantics, Verb, Work};
use scim_relay_sdk::scim::ResourceKey;

use super::kit::{
    Answer, FIRST, Fake, GIVE_UP_AFTER, Kit, Wish, busy, eventually, is, plainly, refused,
};
use crate::store::{Entry, EntryFilter, Paused, People, State, Stored, Touch};

async fn latest() -> (Kit, std::sync::Arc<Fake>) {
    Kit::running(Fake::new(Semantics::LatestState), Wish::default()).await
}

async fn touch(kit: &Kit, touch: Touch) {
    let filter = EntryFilter { connector: Some(kit.id()), ..EntryFilter::default() };
    let touched = kit.store.touch(filter, touch, None, kit.now()).await.unwrap();
    assert_eq!(touched.into_values().sum::<u64>(), 1);
}

#[tokio::test]
async fn a_success_deletes_the_row_and_is_counted() {
    let (kit, fake) = latest().await;
    let ada = kit.user("ada").await;
    kit.until_idle().await;
    kit.change(&ada, "ada", "captain").await;
    kit.until_idle().await;
    assert_eq!(fake.told(), ["ada", "ada captain"]);
    assert_eq!((kit.counted("created"), kit.counted("updated")), (1, 1));
    assert_eq!(kit.engine().health("target").unwrap().last_delivered, Some(kit.now()));
    let text = kit.metrics.text();
    assert!(text.contains("delivery_lag_seconds_count{connector=\"target\"} 2"), "{text}");
    assert!(text.contains("delivery_duration_seconds_count{connector=\"target\"} 2"), "{text}");
    assert!(text.contains("connector_up{connector=\"target\"} 1"), "{text}");
}

#[tokio::test]
async fn a_failure_is_tried_again_ever_later() {
    let (kit, fake) = latest().await;
    fake.does(|_| busy());
    let ada = kit.user("ada").await;
    for attempt in 1..=4 {
        eventually("an attempt", async || fake.count() == attempt).await;
        let entry = kit.until(&ada, State::Retrying).await;
        assert_eq!(entry.attempts as usize, attempt);
        let window = FIRST.as_secs_f64() * f64::from(1 << (attempt - 1));
        let wait = entry.due.duration_since(kit.now()).as_secs_f64();
        assert!((window / 2.0..=window).contains(&wait), "{wait} of {window}");
        assert_eq!(fake.last().attempt as usize, attempt);
        kit.pass(Duration::from_secs_f64(wait)).await;
    }
    fake.does(plainly);
    kit.pass(Duration::from_hours(1)).await;
    kit.until_idle().await;
}

#[tokio::test]
async fn the_target_may_ask_for_a_longer_wait_but_not_for_ages() {
    let (kit, fake) = latest().await;
    for (asked, hours) in [(Duration::from_hours(3), 3), (Duration::MAX, 24)] {
        fake.does(move |_| {
            Answer::Fail(DeliveryError::Later {
                what: "429".to_owned(),
                retry_after: Some(asked),
                in_doubt: false,
                source: None,
            })
        });
        let ada = kit.user(&format!("user{hours}")).await;
        let entry = kit.until(&ada, State::Retrying).await;
        assert_eq!(entry.due, kit.now() + SignedDuration::from_hours(hours));
    }
}

/// Has one item fail each time it is due, until it is parked or so much time has passed, and others
/// arrive meanwhile or not.
async fn fails_for(kit: &Kit, fake: &Fake, ada: &Stored, most: Duration, others: bool) -> Entry {
    let begun = kit.now();
    kit.until(ada, State::Retrying).await;
    for number in 0.. {
        if others {
            let other = kit.user(&format!("other{number}")).await;
            eventually("another arrives", async || kit.entry(&other).await.is_none()).await;
        }
        let entry = kit.entry(ada).await.unwrap();
        let failing = Duration::try_from(kit.now().duration_since(begun)).unwrap();
        if entry.state == State::Parked || failing > most {
            return entry;
        }
        let before = fake.count();
        let wait = entry.due.duration_since(kit.now());
        kit.pass(Duration::try_from(wait).unwrap()).await;
        eventually("an attempt", async || fake.count() > before).await;
        kit.until_nobody_works().await;
    }
    unreachable!("numbers do not end")
}

fn busy_for_ada(work: &Work) -> Answer {
    if told_name(work) == "ada" { busy() } else { plainly(work) }
}

#[tokio::test]
async fn what_keeps_failing_is_given_up_and_shown_to_a_person() {
    let (kit, fake) = latest().await;
    fake.does(busy_for_ada);
    let ada = kit.user("ada").await;
    let begun = kit.now();
    let entry = fails_for(&kit, &fake, &ada, GIVE_UP_AFTER * 2, true).await;
    let failing = kit.now().duration_since(begun);
    assert!(failing >= SignedDuration::try_from(GIVE_UP_AFTER).unwrap(), "{failing}");
    assert!(failing <= SignedDuration::from_hours(26), "{failing}");
    assert_eq!(entry.last_error.as_deref(), Some("given up after 1 day: 503"));
}

#[tokio::test]
async fn nothing_is_given_up_for_a_target_that_takes_nothing_and_that_is_known() {
    let (kit, fake) = latest().await;
    fake.does(|_| busy());
    let ada = kit.user("ada").await;
    let entry = fails_for(&kit, &fake, &ada, GIVE_UP_AFTER * 3, false).await;
    assert_eq!(entry.state, State::Retrying);
    let failing = kit.engine().health("target").unwrap().failing.unwrap();
    assert_eq!((failing.error.as_str(), failing.tries), ("503", fake.count() as u64));

    fake.does(plainly);
    let wait = entry.due.duration_since(kit.now());
    kit.pass(Duration::try_from(wait).unwrap()).await;
    kit.until_idle().await;
    assert_eq!(kit.engine().health("target").unwrap().failing, None);
}

#[tokio::test]
async fn time_during_which_the_target_was_not_asked_uses_nothing_up() {
    let (kit, fake) = latest().await;
    fake.does(|_| busy());
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Retrying).await;
    let paused = Paused { at: kit.now(), by: "kari".to_owned(), why: None };
    kit.engine().set_paused("target", Some(paused));
    kit.pass(GIVE_UP_AFTER * 3).await;
    kit.engine().set_paused("target", None);
    eventually("a second attempt", async || fake.count() == 2).await;
    assert_eq!(kit.until(&ada, State::Retrying).await.attempts, 2);
}

#[tokio::test]
async fn a_refusal_parks_and_others_go_on() {
    let (kit, fake) = latest().await;
    fake.does(|work| if is(work, "ada") { refused() } else { Answer::Done });
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let entry = kit.until(&ada, State::Parked).await;
    assert_eq!(entry.last_error.as_deref(), Some("no such title"));
    eventually("bob in line", async || kit.entry(&bob).await.is_none()).await;
    assert_eq!(kit.counted("parked"), 1);
    fake.does(plainly);
    touch(&kit, Touch::Retry).await;
    kit.until_idle().await;
}

#[tokio::test]
async fn a_crash_costs_one_attempt_and_three_park() {
    let (kit, fake) = latest().await;
    fake.does(|work| if is(work, "ada") { Answer::Panic } else { Answer::Done });
    let ada = kit.user("ada").await;
    for attempt in 1..3 {
        eventually("the crash is counted", async || {
            kit.until(&ada, State::Retrying).await.attempts == attempt
        })
        .await;
        kit.user(&format!("bob{attempt}")).await;
        eventually("others go on", async || kit.counted("created") == u64::from(attempt)).await;
        kit.pass(Duration::from_hours(1)).await;
        eventually("an attempt", async || kit.metrics.panics.get() > u64::from(attempt)).await;
    }
    let entry = kit.until(&ada, State::Parked).await;
    assert!(entry.last_error.unwrap().contains("crashed"));
    assert_eq!(kit.metrics.panics.get(), 3);
    kit.until_nobody_works().await;
}

#[tokio::test]
async fn a_crash_before_the_delivery_costs_an_attempt_too() {
    let mut fake = Fake::new(Semantics::LatestState);
    fake.once = Some(|_| panic!("a key that cannot be made"));
    let (kit, fake) = Kit::running(fake, Wish::default()).await;
    let ada = kit.user("ada").await;
    assert_eq!(kit.until(&ada, State::Retrying).await.attempts, 1);
    assert_eq!((fake.count(), kit.metrics.panics.get()), (0, 1));
}

#[tokio::test]
async fn a_delivery_that_hangs_is_cut_off_and_in_doubt() {
    let wish = Wish { timeout: Duration::from_millis(5), ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|_| Answer::Hang);
    let ada = kit.user("ada").await;
    let entry = kit.until(&ada, State::Retrying).await;
    assert_eq!(entry.last_error.as_deref(), Some("no end after 30ms"));
    assert!(!fake.last().in_doubt);
    fake.does(plainly);
    kit.pass(Duration::from_hours(1)).await;
    kit.until_idle().await;
    assert!(fake.last().in_doubt);
}

#[tokio::test]
async fn who_leaves_the_scope_is_let_go_where_something_is_held() {
    let wish = Wish { scope: Some("title ne \"out\""), ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    let ada = kit.user("ada").await;
    kit.until_idle().await;
    kit.change(&ada, "ada", "out").await;
    kit.until_idle().await;
    assert_eq!(fake.told(), ["ada", "ada out of scope"]);
    // Nothing is held of Bob, so nobody is asked about him.
    fake.does(|_| busy());
    let bob = kit.user("bob").await;
    kit.until(&bob, State::Retrying).await;
    kit.change(&bob, "bob", "out").await;
    kit.pass(Duration::from_hours(1)).await;
    kit.until_idle().await;
    assert_eq!(fake.told(), ["ada", "ada out of scope", "bob"]);
    assert_eq!(kit.counted("ignored"), 1);
}

#[tokio::test]
async fn who_may_have_been_made_in_an_attempt_that_was_cut_off_is_let_go_all_the_same() {
    let (kit, fake) = latest().await;
    fake.does(|_| Answer::Fail(DeliveryError::in_doubt("no answer")));
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Retrying).await;
    kit.delete(&ada).await;
    fake.does(plainly);
    kit.pass(Duration::from_hours(1)).await;
    kit.until_idle().await;
    assert_eq!(fake.told(), ["ada", "ada deleted"]);
    assert!(fake.last().in_doubt);
}

#[tokio::test]
async fn a_row_waits_for_another_one() {
    let (kit, fake) = latest().await;
    let boss = kit.user("boss").await;
    kit.until_idle().await;
    let key = ResourceKey { organization: "lillevik".into(), kind: boss.kind, id: boss.id };
    fake.does({
        let key = key.clone();
        let mut asked = false;
        move |work| match told_name(work).as_str() {
            "ada" if !std::mem::replace(&mut asked, true) => {
                Answer::Fail(DeliveryError::After(key.clone()))
            }
            "boss" => Answer::WhenOpen,
            _ => Answer::Done,
        }
    });
    kit.change(&boss, "boss", "busy").await;
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Waiting).await;
    fake.open();
    kit.until_idle().await;
    assert_eq!(fake.told().last().unwrap(), "ada");
    // Nothing of the boss is on its way now: by itself, later.
    fake.does(move |_| Answer::Fail(DeliveryError::After(key.clone())));
    let bob = kit.user("bob").await;
    let entry = kit.until(&bob, State::Retrying).await;
    assert!(entry.due > kit.now());
    assert!(entry.last_error.unwrap().contains("not on its way"));
}

fn told_name(work: &Work) -> String {
    super::kit::told(work).split(' ').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn of_two_who_wait_for_each_other_one_may_step_aside() {
    let (kit, fake) = latest().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    kit.until_idle().await;
    let key =
        |of: &Stored| ResourceKey { organization: "lillevik".into(), kind: of.kind, id: of.id };
    let others = [(ada.id, key(&bob)), (bob.id, key(&ada))];
    let mut is_free = false;
    fake.does(move |work| {
        is_free |= work.permit.step_aside;
        let (_, other) = others.iter().find(|(id, _)| *id == work.key.id).unwrap();
        if is_free { Answer::Done } else { Answer::Fail(DeliveryError::After(other.clone())) }
    });
    kit.engine()
        .set_paused("target", Some(Paused { at: kit.now(), by: "kari".to_owned(), why: None }));
    kit.change(&ada, "ada", "b").await;
    kit.change(&bob, "bob", "a").await;
    kit.engine().set_paused("target", None);
    kit.until_idle().await;
    let aside = fake.seen.lock().unwrap().iter().filter(|work| work.permit.step_aside).count();
    assert_eq!((aside, fake.count()), (1, 6), "both made, both waiting, one aside, the other one");
}

#[tokio::test]
async fn what_needs_a_permission_is_held_and_gets_it_once() {
    let (kit, fake) = latest().await;
    fake.does(|work| {
        if work.permit.take_over {
            Answer::Done
        } else {
            Answer::Fail(DeliveryError::hold(HoldKind::TakeOver, 1, "uid=ada was there before"))
        }
    });
    let ada = kit.user("ada").await;
    let entry = kit.until(&ada, State::Held).await;
    assert_eq!(entry.hold_kind.as_deref(), Some("take_over"));
    kit.approve(&ada).await;
    kit.until_idle().await;
    kit.change(&ada, "ada", "again").await;
    kit.until(&ada, State::Held).await;
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_tried_no_more_often_than_others() {
    let (kit, fake) = latest().await;
    kit.engine()
        .set_paused("target", Some(Paused { at: kit.now(), by: "kari".to_owned(), why: None }));
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    kit.execute(&format!("UPDATE resource SET body = '[]', sum = NULL WHERE id = {}", ada.row.0));
    kit.engine().set_paused("target", None);
    let entry = kit.until(&ada, State::Retrying).await;
    assert_eq!(entry.attempts, 1);
    assert!(entry.due > kit.now());
    assert!(entry.last_error.unwrap().contains("not a JSON object"));
    eventually("bob in line", async || kit.entry(&bob).await.is_none()).await;
    assert_eq!(fake.told(), ["bob"]);
}

#[tokio::test]
async fn a_new_connector_gets_everyone() {
    let mut kit = Kit::new().await;
    kit.user("ada").await;
    kit.user("bob").await;
    let fake = kit.add("target", Fake::new(Semantics::LatestState), Wish::default()).await;
    kit.start();
    eventually("everyone", async || fake.count() == 2).await;
    kit.until_idle().await;
}

#[tokio::test]
async fn whoever_is_told_of_a_group_late_is_told_of_its_members() {
    let mut kit = Kit::new().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    kit.group("old", &[&ada, &bob]).await;
    let renamed = kit.group("renamed once", &[&ada]).await;
    kit.rename(&renamed, "renamed").await;
    let wish = Wish { groups: Some("not (displayName sw \"out\")"), ..Wish::default() };
    let fake = kit.add("target", Fake::new(Semantics::EveryEvent), wish).await;
    kit.start();
    kit.until_idle().await;
    let out = kit.group("out of scope", &[&bob]).await;
    kit.until_idle().await;
    kit.rename(&out, "in scope").await;
    kit.until_idle().await;
    kit.rename(&out, "still in scope").await;
    kit.until_idle().await;
    let mut told: Vec<_> = fake
        .seen
        .lock()
        .unwrap()
        .iter()
        .filter_map(|work| {
            let name = work.wanted.resource().attributes.get("displayName")?.as_str()?.to_owned();
            let change = work.change.as_ref()?;
            let joined = change.joined.iter().map(|one| one.user_name.clone().unwrap());
            Some((name, change.verb, joined.collect::<Vec<_>>()))
        })
        .collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            ("in scope".to_owned(), Verb::Created, owned(&["bob"])),
            ("old".to_owned(), Verb::Created, owned(&["ada", "bob"])),
            ("renamed".to_owned(), Verb::Created, owned(&["ada"])),
            ("still in scope".to_owned(), Verb::Updated, owned(&[])),
        ]
    );
}
