//! A name that somebody had before, and an entry that somebody owned before.

use scim_relay_sdk::connector::HoldKind;

use super::kit::{Kit, held, link, linked, linked_at, parked, unlinked};
use crate::store::{Outcome, State, Store, Verdict};

#[tokio::test]
async fn who_is_made_again_waits_until_the_target_has_let_go_of_the_one_before() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    let before = kit.user("ada").await;
    kit.deliver_all(dir).await;
    kit.delete(&before).await;
    let after = kit.user("ADA").await;
    let stranger = kit.user("bob").await;
    let claims = kit.claim(dir).await;
    let mut claimed: Vec<_> = claims.iter().map(|claim| claim.resource).collect();
    claimed.sort();
    assert_eq!(claimed, [before.row, stranger.row]);
    assert_eq!(kit.state_of(dir, &after).await, Some(State::Waiting));
    // News of the one who waits frees it, and it waits again.
    kit.change(&after, "ADA", "newer").await;
    assert!(kit.claim(dir).await.is_empty());
    let old = claims.iter().find(|claim| claim.resource == before.row).unwrap();
    kit.settle(old, unlinked()).await;
    assert!(kit.claim_of(dir, &after).await.is_some());

    // Also where events are told: deleted comes before created.
    let mut told = Vec::new();
    loop {
        let claims = kit.claim(hook).await;
        if claims.is_empty() {
            break;
        }
        for claim in claims {
            let case = kit.case(&claim).await;
            told.push((case.key.id, case.deleted));
            kit.settle_as(&claim, Some(&case), Outcome::Nothing).await;
        }
    }
    let place = |wanted| told.iter().position(|one| *one == wanted).unwrap();
    assert!(place((before.id, true)) < place((after.id, false)), "{told:?}");
}

#[tokio::test]
async fn nobody_waits_for_a_name_that_a_person_must_free() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let before = kit.user("ada").await;
    kit.deliver_all(dir).await;
    kit.delete(&before).await;
    let claim = kit.claim_of(dir, &before).await.unwrap();
    kit.settle(&claim, parked("protected")).await;
    let after = kit.user("ada").await;
    assert!(kit.claim_of(dir, &after).await.is_some());
}

#[tokio::test]
async fn many_who_wait_for_names_do_not_hide_those_behind_them() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let before = kit.users(10).await;
    kit.deliver_all(dir).await;
    for one in &before {
        kit.delete(one).await;
    }
    kit.claim(dir).await;
    kit.users(10).await;
    let last = kit.user("last").await;
    let claims = kit.claim_some(dir, 4).await;
    assert_eq!(claims.iter().map(|claim| claim.resource).collect::<Vec<_>>(), [last.row]);
}

#[tokio::test]
async fn an_entry_belongs_to_one_and_a_second_is_shown_to_a_person() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let claims = kit.claim(dir).await;
    kit.settle(&claims[0], linked("e1")).await;
    kit.settle(&claims[1], linked("e1")).await;
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!((entry.id, entry.state), (bob.id, State::Parked));
    assert!(entry.last_error.as_ref().unwrap().contains("`ada` already owns"), "{entry:?}");
    assert_eq!(kit.links(dir).await, 1);
    kit.change(&ada, "ada", "x").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert_eq!(kit.case(&claim).await.link, Some(link("e1", "e1")));
}

#[tokio::test]
async fn an_entry_that_is_gone_is_nobodys() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let before = kit.user("ada").await;
    let claim = kit.claim_of(dir, &before).await.unwrap();
    kit.settle(&claim, linked("people/ada")).await;
    kit.delete(&before).await;
    let claim = kit.claim_of(dir, &before).await.unwrap();
    kit.settle(&claim, unlinked()).await;
    assert_eq!(kit.links(dir).await, 0);
    // Where the target's own id is made of the name.
    let after = kit.user("ada").await;
    let claim = kit.claim_of(dir, &after).await.unwrap();
    kit.settle(&claim, linked("people/ada")).await;
    assert!(kit.entries(dir).await.is_empty());
    assert_eq!(kit.links(dir).await, 1);
}

#[tokio::test]
async fn who_comes_back_takes_the_entry_over_and_voids_its_purge() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let before = kit.user("ada").await;
    kit.deliver_all(dir).await;
    kit.delete(&before).await;
    let claim = kit.claim_of(dir, &before).await.unwrap();
    let purge = kit.now() + jiff::SignedDuration::from_hours(24);
    let Outcome::Delivered { link, action, .. } = linked_at("e1", "ou=leavers") else {
        unreachable!()
    };
    kit.settle(&claim, Outcome::Delivered { link, revisit: Some(purge), action }).await;
    assert_eq!(kit.state_of(dir, &before).await, Some(State::Scheduled));

    let after = kit.user("ada").await;
    let claim = kit.claim_of(dir, &after).await.expect("a purge that lies ahead holds nobody up");
    kit.settle(&claim, linked_at("e1", "ou=people")).await;
    assert!(kit.entries(dir).await.is_empty(), "nothing will purge it");
    assert_eq!(kit.links(dir).await, 1);
}

#[tokio::test]
async fn who_comes_back_while_the_entry_is_being_removed_tries_again() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let before = kit.user("ada").await;
    let claim = kit.claim_of(dir, &before).await.unwrap();
    kit.settle(&claim, linked("e1")).await;
    let after = kit.user("somebody else at first").await;
    let new = kit.claim_of(dir, &after).await.unwrap();
    kit.delete(&before).await;
    let old = kit.claim_of(dir, &before).await.unwrap();
    kit.settle(&new, linked("e1")).await;
    let entry = kit.entries(dir).await.into_iter().find(|entry| entry.id == after.id).unwrap();
    assert_eq!((entry.state, entry.attempts), (State::Retrying, 0));
    kit.settle(&old, unlinked()).await;
    let claim = kit.claim_of(dir, &after).await.unwrap();
    assert_eq!(kit.case(&claim).await.link, None);
}

#[tokio::test]
async fn an_entry_of_another_organization_is_never_taken_over() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let theirs = kit.user_in(kit.south, "ada").await;
    let claim = kit.claim_of(dir, &theirs).await.unwrap();
    kit.settle(&claim, linked("e1")).await;
    kit.store.delete(kit.south, theirs.kind, theirs.id, None, kit.origin()).await.unwrap();
    let ours = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ours).await.unwrap();
    kit.settle(&claim, linked("e1")).await;
    assert_eq!(kit.state_of(dir, &ours).await, Some(State::Parked));
    assert_eq!(
        kit.state_of(dir, &theirs).await,
        Some(State::Pending),
        "its removal is still to come"
    );
}

#[tokio::test]
async fn an_entry_whose_removal_is_held_is_waited_for_until_a_person_has_decided() {
    for (verdict, still_theirs) in
        [(Verdict::Approve(None), true), (Verdict::Reject("she stays".to_owned()), false)]
    {
        let mut kit = Kit::new().await;
        let dir = kit.directory().await;
        let before = kit.user("ada").await;
        let claim = kit.claim_of(dir, &before).await.unwrap();
        kit.settle(&claim, linked("e1")).await;
        kit.delete(&before).await;
        let claim = kit.claim_of(dir, &before).await.unwrap();
        kit.settle(&claim, held(HoldKind::Removal, 1)).await;

        let after = kit.user("ada").await;
        let claim = kit.claim_of(dir, &after).await.expect("she may have the entry by her id");
        let owner = kit.store.owner(dir, "e1").await.unwrap().expect("it is not gone yet");
        assert_eq!((&owner.key, owner.leaving), (&Kit::key(&before), true));
        kit.settle(&claim, Outcome::Waiting { on: owner.key, due: kit.now() }).await;
        let entries = kit.entries(dir).await;
        let waiting = entries.iter().find(|entry| entry.id == after.id).unwrap();
        assert_eq!(waiting.state, State::Waiting);
        assert!(waiting.last_error.as_ref().unwrap().ends_with("waits for a person's approval"));

        kit.decide(dir, verdict).await;
        assert_eq!(kit.store.owner(dir, "e1").await.unwrap().is_some(), still_theirs);
        if still_theirs {
            let claim = kit.claim_of(dir, &before).await.expect("she goes now");
            kit.settle(&claim, unlinked()).await;
        }
        let claim = kit.claim_of(dir, &after).await.expect("her turn has come");
        kit.settle(&claim, linked("e1")).await;
        assert_eq!(kit.state_of(dir, &after).await, None);
    }
}
