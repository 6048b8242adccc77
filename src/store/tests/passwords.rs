//! A password is kept sealed, for those who ask for it, until the last of them has it.

use scim_relay_sdk::scim::ResourceKind;

use super::kit::{Kit, SOUTH, directory, done, hook, link, linked, parked, titled, unlinked, user};
use crate::store::{Content, Outcome, Registration, State, Store, Stored, Touch};
use crate::vault::{KeyId, Sealed};

const KEY: KeyId = KeyId([1; 8]);

fn sealed(text: &str) -> Sealed {
    Sealed { key: KEY, bytes: text.as_bytes().to_vec() }
}

fn asking(name: &str) -> Registration {
    Registration { name: name.to_owned(), passwords: true, ..directory() }
}

async fn hired(kit: &Kit, password: &str) -> Stored {
    let content = user("ada").with_password(Some(sealed(password)));
    done(kit.created(content, ResourceKind::User, &[]).await)
}

async fn set(kit: &Kit, of: &Stored, password: &str) -> Stored {
    let content: Content = Content { changed: Vec::new(), ..user("ada") };
    done(kit.update(of, Some(content.with_password(Some(sealed(password)))), Vec::new()).await)
}

/// How many passwords are kept, and for how many connectors.
fn kept(kit: &Kit) -> (i64, i64) {
    (kit.rows("password"), kit.rows("password_due"))
}

#[tokio::test]
async fn it_is_kept_for_those_who_ask_until_the_last_has_it() {
    let mut kit = Kit::new().await;
    let (one, other) = (kit.register(asking("one")).await, kit.register(asking("other")).await);
    let quiet = kit.directory().await;
    // An event is no place for a password, whatever its connector says.
    let events = kit.register(Registration { passwords: true, ..hook() }).await;
    let ada = hired(&kit, "first").await;
    assert_eq!(kept(&kit), (1, 2));
    for connector in [quiet, events] {
        let claim = kit.claim_of(connector, &ada).await.unwrap();
        assert_eq!(kit.case(&claim).await.password, None);
        kit.settle(&claim, linked("x")).await;
    }

    let claim = kit.claim_of(one, &ada).await.unwrap();
    assert_eq!(kit.case(&claim).await.password, Some(sealed("first")));
    kit.settle(&claim, linked("ada")).await;
    assert_eq!(kept(&kit), (1, 1));
    let changed = kit.change(&ada, "ada", "captain").await;
    let claim = kit.claim_of(one, &changed).await.unwrap();
    assert_eq!(kit.case(&claim).await.password, None, "it was delivered once");
    kit.settle(&claim, linked("ada")).await;

    let claim = kit.claim_of(other, &ada).await.unwrap();
    assert_eq!(kit.case(&claim).await.password, Some(sealed("first")));
    kit.settle(&claim, linked("ada")).await;
    assert_eq!(kept(&kit), (0, 0));
}

#[tokio::test]
async fn nobody_asks_and_nothing_is_kept() {
    let mut kit = Kit::new().await;
    kit.directory().await;
    hired(&kit, "first").await;
    assert_eq!(kept(&kit), (0, 0));
}

#[tokio::test]
async fn a_password_alone_is_a_change_that_says_nothing_of_it() {
    let mut kit = Kit::new().await;
    let dir = kit.register(asking("dir")).await;
    let ada = hired(&kit, "first").await;
    kit.deliver_all(dir).await;
    let changed = set(&kit, &ada, "canary").await;
    assert_eq!((changed.version, &changed.body), (ada.version + 1, &ada.body));
    assert_eq!(kit.state_of(dir, &ada).await, Some(State::Pending));
    let log = kit.store.log(kit.north, ada.row, 1).await.unwrap();
    assert_eq!(log[0].attributes, ["password"]);
    let told = "SELECT count(*) FROM change WHERE body || attributes LIKE '%canary%'";
    assert_eq!(kit.query(told), 0);
    assert!(!format!("{:?}", kit.claim_of(dir, &ada).await).contains("canary"));
}

#[tokio::test]
async fn a_newer_one_takes_its_place_also_while_the_older_is_delivered() {
    let mut kit = Kit::new().await;
    let dir = kit.register(asking("dir")).await;
    let ada = hired(&kit, "first").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    let case = kit.case(&claim).await;
    set(&kit, &ada, "second").await;
    kit.settle_as(&claim, Some(&case), linked("ada")).await;
    assert_eq!(kept(&kit), (1, 1));
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert_eq!(kit.case(&claim).await.password, Some(sealed("second")));
    kit.settle(&claim, linked("ada")).await;
    assert_eq!(kept(&kit), (0, 0));
}

#[tokio::test]
async fn what_was_not_delivered_comes_again_also_after_a_crash() {
    let mut kit = Kit::new().await;
    let dir = kit.register(asking("dir")).await;
    let ada = hired(&kit, "first").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, parked("no such place")).await;
    assert_eq!(kit.touch(dir, Touch::Retry).await, 1);
    kit.claim_of(dir, &ada).await.unwrap();
    let kit = kit.reopened().await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert!(claim.in_doubt);
    assert_eq!(kit.case(&claim).await.password, Some(sealed("first")));
}

#[tokio::test]
async fn what_a_target_will_not_take_leaves_the_rest_linked() {
    let mut kit = Kit::new().await;
    let dir = kit.register(asking("dir")).await;
    let ada = hired(&kit, "short").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    let partly = || Outcome::Partly { link: link("ada", "uid=ada"), error: "too short".to_owned() };
    kit.settle(&claim, partly()).await;
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!((entry.state, entry.last_error.as_deref()), (State::Parked, Some("too short")));
    assert_eq!((kit.links(dir).await, kept(&kit)), (1, (1, 1)));

    // While it is delivered, something newer comes: nobody has to say "again" for that.
    kit.change(&ada, "ada", "captain").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    let case = kit.case(&claim).await;
    assert_eq!(case.link.as_ref().map(|link| link.address.as_str()), Some("uid=ada"));
    set(&kit, &ada, "long enough").await;
    kit.settle_as(&claim, Some(&case), partly()).await;
    assert_eq!(kit.state_of(dir, &ada).await, Some(State::Pending));
    kit.deliver_all(dir).await;
    assert_eq!(kept(&kit), (0, 0));
}

#[tokio::test]
async fn who_will_not_get_it_ends_the_wait() {
    let mut kit = Kit::new().await;
    let dir = kit.register(asking("dir")).await;
    let ada = hired(&kit, "first").await;
    assert_eq!(kit.touch(dir, Touch::Skip).await, 1);
    assert_eq!(kept(&kit), (0, 0), "skipped by a person");

    set(&kit, &ada, "second").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, Outcome::Nothing).await;
    assert_eq!(kept(&kit), (0, 0), "none of its business");

    for (registration, why) in [
        (Registration { passwords: false, ..asking("dir") }, "it asks no more"),
        (Registration { organizations: vec![SOUTH.into()], ..asking("dir") }, "serves another"),
    ] {
        kit.register(asking("dir")).await;
        set(&kit, &ada, "third").await;
        assert_eq!(kept(&kit), (1, 1));
        kit.register(registration).await;
        assert_eq!(kept(&kit), (0, 0), "{why}");
    }

    kit.register(asking("dir")).await;
    set(&kit, &ada, "fourth").await;
    kit.store.register(Vec::new()).await.unwrap();
    assert_eq!(kept(&kit), (0, 0), "its file is gone");
    set(&kit, &ada, "fifth").await;
    assert_eq!(kept(&kit), (0, 0), "nor is any kept for one that is gone");

    kit.register(asking("dir")).await;
    set(&kit, &ada, "sixth").await;
    kit.delete(&ada).await;
    assert_eq!(kept(&kit), (0, 0), "she is gone");
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, unlinked()).await;
}

#[tokio::test]
async fn what_another_key_has_sealed_is_dropped_and_counted() {
    let mut kit = Kit::new().await;
    let dir = kit.register(asking("dir")).await;
    let ada = hired(&kit, "first").await;
    assert_eq!(kit.store.passwords_open_with(Some(KEY)).await.unwrap(), 0);
    assert_eq!(kept(&kit), (1, 1));
    assert_eq!(kit.store.passwords_open_with(Some(KeyId([2; 8]))).await.unwrap(), 1);
    assert_eq!(kept(&kit), (0, 0));
    set(&kit, &ada, "second").await;
    assert_eq!(kit.store.passwords_open_with(None).await.unwrap(), 1);
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert_eq!(kit.case(&claim).await.password, None);
}

#[tokio::test]
async fn a_refused_write_keeps_none() {
    let mut kit = Kit::new().await;
    kit.register(asking("dir")).await;
    kit.user("bo").await;
    let taken = titled("BO", "").with_password(Some(sealed("first")));
    kit.created(taken, ResourceKind::User, &[]).await;
    assert_eq!(kept(&kit), (0, 0));
}
