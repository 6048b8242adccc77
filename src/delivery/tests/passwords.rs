//! A password reaches the connector that asks for it, once, and nobody else.

use std::sync::Arc;
use std::time::Duration;

use scim_relay_sdk::connector::{DeliveryError, Link, Semantics, Stage, Wanted, Work};
use secrecy::ExposeSecret as _;

use super::kit::{Answer, Fake, Kit, Wish, busy, eventually, plainly};
use crate::store::State;
use crate::vault::Vault;

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const CANARY: &str = "canary";
const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn vault(key: &str) -> Arc<Vault> {
    Arc::new(Vault::new(&key.into()).unwrap())
}

fn asking() -> Wish {
    Wish { vault: Some(vault(KEY)), ..Wish::default() }
}

async fn target(wish: Wish) -> (Kit, Arc<Fake>) {
    Kit::running(Fake::new(Semantics::LatestState), wish).await
}

fn told(fake: &Fake) -> Vec<Option<String>> {
    let password = |work: &Work| work.password.as_ref().map(|one| one.expose_secret().to_owned());
    fake.seen.lock().unwrap().iter().map(password).collect()
}

#[tokio::test]
async fn it_comes_with_every_attempt_until_one_is_delivered() {
    let (kit, fake) = target(asking()).await;
    fake.does(|_| busy());
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Retrying).await;
    kit.set_password(&ada, "ada", &vault(KEY), CANARY).await;
    kit.pass(Duration::from_hours(1)).await;
    eventually("a second attempt", async || fake.count() == 2).await;
    fake.does(plainly);
    kit.pass(Duration::from_hours(1)).await;
    kit.until_idle().await;
    kit.change(&ada, "ada", "captain").await;
    kit.until_idle().await;
    assert_eq!(told(&fake), [None, Some(CANARY.to_owned()), Some(CANARY.to_owned()), None]);
    let shown = format!("{:?}", fake.seen.lock().unwrap());
    assert!(!shown.contains(CANARY), "{shown}");
}

#[tokio::test]
async fn who_does_not_ask_never_gets_it() {
    let mut kit = Kit::new().await;
    let quiet = kit.add("target", Fake::new(Semantics::LatestState), Wish::default()).await;
    let asks = kit.add("asks", Fake::new(Semantics::LatestState), asking()).await;
    kit.start();
    let ada = kit.user("ada").await;
    kit.set_password(&ada, "ada", &vault(KEY), CANARY).await;
    eventually("both have her", async || {
        quiet.count() > 0 && told(&asks).contains(&Some(CANARY.to_owned()))
    })
    .await;
    kit.until_idle().await;
    assert!(told(&quiet).iter().all(Option::is_none));
}

#[tokio::test]
async fn one_that_cannot_be_opened_is_left_out_and_the_rest_delivered() {
    let (kit, fake) = target(asking()).await;
    fake.does(|_| Answer::Done);
    let ada = kit.user("ada").await;
    kit.until_idle().await;
    kit.set_password(&ada, "ada", &vault(OTHER_KEY), CANARY).await;
    kit.until_idle().await;
    assert_eq!(told(&fake), [None, None]);
}

#[tokio::test]
async fn who_leaves_the_scope_takes_no_password_along() {
    let scope = Some("not (title eq \"left\")");
    let (kit, fake) = target(Wish { scope, ..asking() }).await;
    let ada = kit.user("ada").await;
    kit.until_idle().await;
    fake.does(|_| busy());
    kit.set_password(&ada, "ada", &vault(KEY), CANARY).await;
    kit.until(&ada, State::Retrying).await;
    kit.change(&ada, "ada", "left").await;
    fake.does(plainly);
    kit.pass(Duration::from_hours(1)).await;
    kit.until_idle().await;
    let last = fake.last();
    assert!(matches!(last.wanted, Wanted::Gone { .. }) && last.password.is_none(), "{last:?}");
    assert_eq!(told(&fake).last(), Some(&None));
}

#[tokio::test]
async fn what_is_done_in_part_is_linked_and_parked_with_the_password() {
    let (kit, fake) = target(asking()).await;
    let link = Link {
        target_id: "t-1".to_owned(),
        address: "here".to_owned(),
        hash: None,
        stage: Stage::Active,
        since: kit.now(),
    };
    let partly = link.clone();
    fake.does(move |_| {
        let (link, reason) = (Box::new(partly.clone()), "too short".to_owned());
        Answer::Fail(DeliveryError::Partly { link, reason })
    });
    let ada = kit.user("ada").await;
    let entry = kit.until(&ada, State::Parked).await;
    assert_eq!(entry.last_error.as_deref(), Some("too short"));
    assert_eq!(
        (kit.counted("parked"), kit.engine().health("target").unwrap().trouble.is_none()),
        (1, true)
    );
    kit.set_password(&ada, "ada", &vault(KEY), CANARY).await;
    eventually("a second attempt", async || fake.count() == 2).await;
    kit.until(&ada, State::Parked).await;
    fake.does(plainly);
    kit.change(&ada, "ada", "captain").await;
    kit.until_idle().await;
    assert_eq!(fake.last().link, Some(link));
    assert_eq!(told(&fake), [None, Some(CANARY.to_owned()), Some(CANARY.to_owned())]);
}
