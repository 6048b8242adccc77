//! What must happen once ever.

use scim_relay_sdk::connector::{DeliveryError, Semantics, Verb, Work};

use super::kit::{Answer, Fake, Kit, Wish, busy, eventually, refused};
use crate::store::{EntryFilter, People, Room, State, Store, Touch};

/// A welcome for each user that is created, by userName.
fn welcome(work: &Work) -> Option<String> {
    let change = work.change.as_ref()?;
    (change.verb == Verb::Created).then(|| format!("welcome:{}", super::kit::told(work)))
}

fn mail() -> Fake {
    let mut fake = Fake::new(Semantics::EveryEvent);
    fake.once = Some(welcome);
    fake
}

/// As a mail connector does: what may have gone out is refused until a person has looked.
fn unless_in_doubt(work: &Work) -> Answer {
    if work.in_doubt {
        Answer::Fail(DeliveryError::refused("may have been sent"))
    } else {
        super::kit::plainly(work)
    }
}

async fn retry(kit: &Kit) {
    let filter = EntryFilter { connector: Some(kit.id()), ..EntryFilter::default() };
    kit.store.touch(filter, Touch::Retry, None, kit.now()).await.unwrap();
}

#[tokio::test]
async fn what_was_sent_is_not_sent_again_to_who_comes_back() {
    let (kit, fake) = Kit::running(mail(), Wish::default()).await;
    let ada = kit.user("ada").await;
    kit.until_idle().await;
    kit.delete(&ada).await;
    kit.until_idle().await;
    kit.user("ada").await;
    kit.until_idle().await;
    assert_eq!(fake.told(), ["ada", "ada deleted"]);
    assert_eq!(kit.counted("ignored"), 1);
}

#[tokio::test]
async fn what_was_certainly_not_sent_is_sent() {
    let (kit, fake) = Kit::running(mail(), Wish::default()).await;
    let mut first = true;
    fake.does(move |_| if std::mem::take(&mut first) { busy() } else { Answer::Done });
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Retrying).await;
    kit.pass(std::time::Duration::from_hours(1)).await;
    kit.until_idle().await;
    assert_eq!(fake.count(), 2);
    assert!(!fake.last().in_doubt);
}

#[tokio::test]
async fn what_was_cut_off_is_parked_until_a_person_says_to_send_it() {
    let (kit, fake) = Kit::running(mail(), Wish::default()).await;
    fake.does(|_| Answer::Hang);
    let ada = kit.user("ada").await;
    eventually("the mail is being sent", async || fake.count() == 1).await;
    drop(fake);
    let mut kit = kit.cut_off_and_reopened().await;
    kit.fake().does(unless_in_doubt);
    kit.start();
    kit.until(&ada, State::Parked).await;
    // Another restart does not make it any surer.
    let mut kit = kit.cut_off_and_reopened().await;
    kit.start();
    assert_eq!(kit.entry(&ada).await.unwrap().state, State::Parked);
    retry(&kit).await;
    kit.until_idle().await;
    let doubts: Vec<_> = kit.fake().seen.lock().unwrap().iter().map(|work| work.in_doubt).collect();
    assert_eq!(doubts, [false, true, false], "cut off, refused, sent");
}

#[tokio::test]
async fn what_was_claimed_and_never_begun_is_in_no_doubt() {
    let mut kit = Kit::new().await;
    kit.add("target", mail(), Wish::default()).await;
    kit.user("ada").await;
    kit.store.claim(kit.id(), Room { rows: 10, retries: 10 }, kit.now()).await.unwrap();
    let mut kit = kit.cut_off_and_reopened().await;
    kit.fake().does(unless_in_doubt);
    kit.start();
    kit.until_idle().await;
    assert_eq!(kit.fake().told(), ["ada"]);
}

#[tokio::test]
async fn an_answer_that_never_came_is_a_doubt_too() {
    let (kit, fake) = Kit::running(mail(), Wish::default()).await;
    let mut first = true;
    fake.does(move |work| {
        if std::mem::take(&mut first) {
            Answer::Fail(DeliveryError::in_doubt("no answer to DATA"))
        } else {
            unless_in_doubt(work)
        }
    });
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Retrying).await;
    kit.pass(std::time::Duration::from_hours(1)).await;
    let entry = kit.until(&ada, State::Parked).await;
    assert_eq!(entry.last_error.as_deref(), Some("may have been sent"));
    // Somebody found it in the mail server's log and skips it: the same person is not written to
    // again when they come back.
    let filter = EntryFilter { connector: Some(kit.id()), ..EntryFilter::default() };
    kit.store.touch(filter, Touch::Skip, None, kit.now()).await.unwrap();
    kit.delete(&ada).await;
    kit.until_idle().await;
    let before = fake.count();
    kit.user("ada").await;
    kit.until_idle().await;
    assert_eq!(fake.count(), before);
}

#[tokio::test]
async fn who_has_left_again_is_not_welcomed() {
    let (kit, fake) = Kit::running(mail(), Wish::default()).await;
    fake.does(|_| refused());
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Parked).await;
    kit.delete(&ada).await;
    fake.does(super::kit::plainly);
    retry(&kit).await;
    kit.until_idle().await;
    assert_eq!(fake.told(), ["ada"], "only the first try");
}
