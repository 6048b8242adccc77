//! What may be removed, and what waits for a person.

use std::time::Duration;

use jiff::SignedDuration;
use scim_relay_sdk::connector::{Action, HoldKind, Link, Stage};

use super::kit::{Kit, directory, held, hook, link, linked, linked_at, unlinked};
use crate::store::{
    Allowed, Ask, Claim, ConnectorId, Outcome, Reason, Refusal, Removals, State, Store, Stored,
    Touch, Verdict,
};

const REMOVAL: HoldKind = HoldKind::Removal;
const MEMBERS: HoldKind = HoldKind::MemberRemoval;

fn limit(executed: u64, waiting: u64, limit: u64) -> Allowed {
    Allowed::No(Refusal::Limit { executed, waiting, limit })
}

fn rejected(reason: &str) -> Allowed {
    Allowed::No(Refusal::Rejected(reason.to_owned()))
}

impl Kit {
    async fn ask(&self, claim: &Claim, kind: HoldKind, count: u64, limit: u64) -> Allowed {
        self.store.allow(claim, Ask { kind, count, whole: true, limit }, self.now()).await.unwrap()
    }

    /// Asks for one removal as a connector would that is delivered this resource now.
    async fn ask_for(&self, connector: ConnectorId, of: &Stored, limit: u64) -> (Claim, Allowed) {
        let claim = self.claim_of(connector, of).await.expect("it is to be delivered");
        let allowed = self.ask(&claim, REMOVAL, 1, limit).await;
        (claim, allowed)
    }

    /// Delivers this resource as lanes do, as far as it may; whether it might.
    async fn deprovision(&self, connector: ConnectorId, of: &Stored, limit: u64) -> bool {
        let (claim, allowed) = self.ask_for(connector, of, limit).await;
        let outcome = match &allowed {
            Allowed::Yes => unlinked(),
            Allowed::No(Refusal::Rejected(reason)) => Outcome::Parked { error: reason.clone() },
            Allowed::No(_) => held(REMOVAL, 1),
        };
        self.settle(&claim, outcome).await;
        allowed == Allowed::Yes
    }

    async fn stands(&self, connector: ConnectorId, kind: HoldKind) -> (u64, u64, u64) {
        let all = self.store.removals(connector, self.now()).await.unwrap();
        let Removals { executed, waiting, held, .. } =
            *all.iter().find(|one| one.kind == kind).unwrap();
        (executed, waiting, held)
    }
}

/// A directory that holds so many people.
async fn people(count: usize) -> (Kit, ConnectorId, Vec<Stored>) {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let people = kit.users(count).await;
    kit.deliver_all(dir).await;
    (kit, dir, people)
}

#[tokio::test]
async fn as_many_as_an_hour_allows_go_and_the_next_hour_allows_more() {
    let (mut kit, dir, people) = people(6).await;
    for person in &people[..3] {
        kit.delete(person).await;
        assert!(kit.deprovision(dir, person, 3).await);
    }
    kit.delete(&people[3]).await;
    let (claim, allowed) = kit.ask_for(dir, &people[3], 3).await;
    assert_eq!(allowed, limit(3, 0, 3));
    kit.settle(&claim, Outcome::Released).await;
    assert_eq!(kit.stands(dir, REMOVAL).await, (3, 1, 0));
    kit.pass(Duration::from_mins(61));
    assert!(kit.deprovision(dir, &people[3], 3).await);
    assert_eq!(kit.stands(dir, REMOVAL).await, (1, 0, 0));
    kit = kit.reopened().await;
    assert_eq!(kit.stands(dir, REMOVAL).await, (1, 0, 0), "it is on disk");
}

#[tokio::test]
async fn an_hour_is_no_longer_for_a_clock_that_is_set_back() {
    let (kit, dir, people) = people(3).await;
    for person in &people {
        kit.delete(person).await;
    }
    assert!(kit.deprovision(dir, &people[0], 3).await);
    kit.clock.set(kit.now() - SignedDuration::from_hours(24 * 365));
    assert!(!kit.deprovision(dir, &people[1], 2).await, "it was done just now");
    assert_eq!(kit.stands(dir, REMOVAL).await, (1, 2, 1));
    kit.pass(Duration::from_mins(61));
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 2, 1));
}

#[tokio::test]
async fn of_more_deletions_than_an_hour_allows_not_one_is_executed() {
    let (kit, dir, people) = people(6).await;
    for person in &people[..5] {
        kit.delete(person).await;
    }
    for person in &people[..5] {
        assert!(!kit.deprovision(dir, person, 4).await);
    }
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 5, 5));
    // What is held counts, also after the hour: a trickle is no way around the limit.
    kit.pass(Duration::from_hours(2));
    kit.delete(&people[5]).await;
    assert!(!kit.deprovision(dir, &people[5], 5).await);
    kit.decide(dir, Verdict::Approve(None)).await;
    for person in &people {
        assert!(kit.deprovision(dir, person, 4).await);
    }
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 0, 0), "what a person allowed is not counted");
}

#[tokio::test]
async fn exactly_as_many_as_an_hour_allows_are_executed() {
    let (kit, dir, people) = people(4).await;
    for person in &people {
        kit.delete(person).await;
    }
    for person in &people {
        assert!(kit.deprovision(dir, person, 4).await);
    }
}

#[tokio::test]
async fn a_deletion_waits_where_something_of_it_is_there_and_not_removed() {
    let (kit, dir, people) = people(4).await;
    let [ada, bob, eve, dan] = &people[..] else { unreachable!("four people") };
    let stage = |of: &str, stage| Outcome::Delivered {
        link: Some(Link { stage, ..link(of, of) }),
        revisit: None,
        action: Action::Moved,
    };
    kit.store.mark(dir, vec![bob.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, bob).await.unwrap();
    kit.settle(&claim, stage("bob", Stage::Deactivated)).await;
    let never = kit.user("never there").await;
    for person in [ada, bob, eve, dan, &never] {
        kit.delete(person).await;
    }
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 4, 0), "never was there");
    let claim = kit.claim_of(dir, eve).await.unwrap();
    kit.settle(&claim, stage("eve", Stage::Removed)).await;
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 3, 0), "Eve was moved");
    let (claim, allowed) = kit.ask_for(dir, dan, 10).await;
    assert_eq!(allowed, Allowed::Yes);
    assert_eq!(kit.stands(dir, REMOVAL).await, (1, 2, 0), "Dan is one or the other");
    kit.settle(&claim, unlinked()).await;
    assert_eq!(kit.stands(dir, REMOVAL).await, (1, 2, 0));
    kit.store.mark(dir, vec![eve.row], Reason::Revisit, kit.now()).await.unwrap();
    assert_eq!(kit.stands(dir, REMOVAL).await, (1, 2, 0), "a purge waits when it asks");
}

#[tokio::test]
async fn whoever_is_made_while_they_are_deleted_waits_to_be_removed() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    let case = kit.case(&claim).await;
    kit.delete(&ada).await;
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 0, 0));
    kit.settle_as(&claim, Some(&case), linked("e1")).await;
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 1, 0));
}

#[tokio::test]
async fn an_attempt_that_is_repeated_is_counted_once_also_after_a_crash() {
    let (mut kit, dir, people) = people(1).await;
    kit.delete(&people[0]).await;
    let (_, allowed) = kit.ask_for(dir, &people[0], 1).await;
    assert_eq!(allowed, Allowed::Yes);
    kit = kit.reopened().await;
    let (claim, allowed) = kit.ask_for(dir, &people[0], 1).await;
    assert_eq!((claim.in_doubt, allowed), (true, Allowed::Yes));
    assert_eq!(kit.stands(dir, REMOVAL).await.0, 1);
    let due = kit.now() + Duration::from_hours(2);
    let busy = Outcome::Retry { due, error: "busy".to_owned(), counted: true, in_doubt: false };
    kit.settle(&claim, busy).await;
    // What an hour allowed long ago is asked for anew, and counted in this one.
    kit.pass(Duration::from_hours(2));
    let (claim, allowed) = kit.ask_for(dir, &people[0], 0).await;
    assert_eq!(allowed, limit(0, 0, 0));
    assert_eq!(kit.ask(&claim, REMOVAL, 1, 1).await, Allowed::Yes);
    assert_eq!(kit.stands(dir, REMOVAL).await.0, 1);
}

#[tokio::test]
async fn what_is_tried_again_counts_from_then_on() {
    let (kit, dir, people) = people(2).await;
    kit.delete(&people[0]).await;
    let (claim, allowed) = kit.ask_for(dir, &people[0], 1).await;
    assert_eq!(allowed, Allowed::Yes);
    let due = kit.now() + Duration::from_mins(50);
    let busy = Outcome::Retry { due, error: "busy".to_owned(), counted: true, in_doubt: false };
    kit.settle(&claim, busy).await;
    kit.pass(Duration::from_mins(50));
    assert!(kit.deprovision(dir, &people[0], 1).await);
    // More than an hour after the first attempt, and no hour after the removal.
    kit.pass(Duration::from_mins(15));
    kit.delete(&people[1]).await;
    assert_eq!(kit.ask_for(dir, &people[1], 1).await.1, limit(1, 0, 1));
}

#[tokio::test]
async fn what_was_settled_is_asked_for_anew() {
    let (kit, dir, people) = people(1).await;
    let ada = &people[0];
    for (round, allowed) in [(1, true), (2, true), (3, false)] {
        kit.change(ada, "user0", &format!("leaves {round}")).await;
        let claim = kit.claim_of(dir, ada).await.unwrap();
        let answer = kit.ask(&claim, REMOVAL, 1, 2).await;
        assert_eq!(answer == Allowed::Yes, allowed, "round {round}");
        kit.settle(&claim, linked("e1")).await;
    }
}

#[tokio::test]
async fn members_are_counted_by_their_number_and_those_that_are_others_anew() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let (choir, band) = (kit.group("choir", &[&ada]).await, kit.group("band", &[&ada]).await);
    let claims = kit.claim(dir).await;
    let claim = |of: &Stored| claims.iter().find(|claim| claim.resource == of.row).unwrap();
    assert_eq!(kit.ask(claim(&choir), MEMBERS, 30, 40).await, Allowed::Yes);
    assert_eq!(kit.ask(claim(&choir), MEMBERS, 30, 40).await, Allowed::Yes, "the same ones");
    assert_eq!(kit.ask(claim(&band), MEMBERS, 11, 40).await, limit(30, 0, 40));
    assert_eq!(kit.ask(claim(&band), REMOVAL, 1, 1).await, Allowed::Yes, "of another kind");
    kit.settle(claim(&band), held(MEMBERS, 11)).await;
    assert_eq!(kit.stands(dir, MEMBERS).await, (30, 11, 1));
    // Others have left meanwhile; of those before, nobody knows who is out.
    kit.remove(&choir, &[&ada]).await;
    assert_eq!(kit.ask(claim(&choir), MEMBERS, 30, 75).await, Allowed::Yes);
    assert_eq!(kit.stands(dir, MEMBERS).await, (60, 11, 1));
}

#[tokio::test]
async fn what_is_held_stays_so_over_new_content_until_it_is_not_asked_for() {
    let (kit, dir, people) = people(1).await;
    let ada = &people[0];
    kit.change(ada, "user0", "inactive").await;
    assert!(!kit.deprovision(dir, ada, 0).await);
    kit.pass(Duration::from_hours(48));
    kit.change(ada, "user0", "inactive, too").await;
    let (claim, allowed) = kit.ask_for(dir, ada, 50).await;
    assert_eq!((claim.held, allowed), (Some(REMOVAL), Allowed::No(Refusal::Held)));
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 1, 0), "it counts while it is worked on");
    kit.settle(&claim, held(REMOVAL, 1)).await;
    // Wanted again: the connector asks for nothing.
    kit.change(ada, "user0", "active").await;
    let claim = kit.claim_of(dir, ada).await.unwrap();
    kit.settle(&claim, linked("e1")).await;
    assert!(kit.entries(dir).await.is_empty());
    kit.change(ada, "user0", "inactive").await;
    assert!(kit.deprovision(dir, ada, 1).await, "that was forgotten");
}

#[tokio::test]
async fn what_was_rejected_stays_parked_until_it_is_not_asked_for() {
    let (kit, dir, people) = people(2).await;
    let ada = &people[0];
    kit.change(ada, "user0", "inactive").await;
    assert!(!kit.deprovision(dir, ada, 0).await);
    kit.decide(dir, Verdict::Reject("a mistake".to_owned())).await;
    assert_eq!(kit.stands(dir, REMOVAL).await, (0, 0, 0), "it waits no more");
    for way in ["retry", "new content"] {
        match way {
            "retry" => assert_eq!(kit.touch(dir, Touch::Retry).await, 1),
            _ => drop(kit.change(ada, "user0", "inactive, too").await),
        }
        let (claim, allowed) = kit.ask_for(dir, ada, 50).await;
        assert_eq!(allowed, rejected("a mistake"), "{way}");
        kit.settle(&claim, Outcome::Parked { error: "rejected: a mistake".to_owned() }).await;
        assert_eq!(kit.state_of(dir, ada).await, Some(State::Parked));
    }
    kit.change(ada, "user0", "active").await;
    let claim = kit.claim_of(dir, ada).await.unwrap();
    kit.settle(&claim, linked("e1")).await;
    kit.change(ada, "user0", "inactive").await;
    assert!(kit.deprovision(dir, ada, 1).await, "that was forgotten");
}

#[tokio::test]
async fn an_approval_is_for_the_kind_that_was_seen_and_what_comes_with_it() {
    let (kit, dir, people) = people(1).await;
    let ada = &people[0];
    let all = HoldKind::ALL;
    for (seen, goes) in [
        (HoldKind::Removal, [true, true, false, false]),
        (HoldKind::MemberRemoval, [true, true, false, false]),
        (HoldKind::TakeOver, [false, false, true, true]),
        (HoldKind::FirstRun, [false, false, false, true]),
    ] {
        kit.change(ada, "user0", seen.word()).await;
        let claim = kit.claim_of(dir, ada).await.unwrap();
        kit.settle(&claim, held(seen, 1)).await;
        kit.decide(dir, Verdict::Approve(None)).await;
        let claim = kit.claim_of(dir, ada).await.unwrap();
        for (asked, goes) in all.into_iter().zip(goes) {
            let allowed = kit.ask(&claim, asked, 1, 0).await == Allowed::Yes;
            assert_eq!(allowed, goes, "{seen:?} was approved, {asked:?} is asked for");
        }
        kit.settle(&claim, linked("e1")).await;
    }
}

#[tokio::test]
async fn an_approval_of_one_event_is_not_of_the_next() {
    let mut kit = Kit::new().await;
    let hook = kit.register(hook()).await;
    let ada = kit.user("ada").await;
    kit.deliver_all(hook).await;
    kit.change(&ada, "ada", "inactive").await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    kit.settle(&claim, held(REMOVAL, 1)).await;
    kit.decide(hook, Verdict::Approve(None)).await;
    // It goes whatever happens behind it.
    kit.delete(&ada).await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    assert_eq!(kit.ask(&claim, REMOVAL, 1, 0).await, Allowed::Yes);
    kit.settle(&claim, linked("e1")).await;
    let claim = kit.claim_of(hook, &ada).await.unwrap();
    assert_eq!(kit.ask(&claim, REMOVAL, 1, 0).await, limit(0, 0, 0));
}

#[tokio::test]
async fn where_there_is_no_limit_all_goes_and_is_written_down() {
    let (kit, dir, people) = people(1).await;
    kit.change(&people[0], "user0", "again").await;
    let claim = kit.claim_of(dir, &people[0]).await.unwrap();
    kit.settle(&claim, held(HoldKind::TakeOver, 1)).await;
    kit.change(&people[0], "user0", "and again").await;
    let claim = kit.claim_of(dir, &people[0]).await.unwrap();
    assert_eq!(kit.ask(&claim, HoldKind::TakeOver, 1, u64::MAX).await, Allowed::Yes);
    assert_eq!(kit.rows("removal"), 1);
}

#[tokio::test]
async fn a_claim_that_was_lost_may_do_nothing() {
    let (kit, dir, people) = people(1).await;
    kit.delete(&people[0]).await;
    let claim = kit.claim_of(dir, &people[0]).await.unwrap();
    kit.settle(&claim, Outcome::Released).await;
    let again = kit.claim_of(dir, &people[0]).await.unwrap();
    assert_ne!(kit.ask(&claim, REMOVAL, 1, 10).await, Allowed::Yes);
    assert_eq!(kit.ask(&again, REMOVAL, 1, 10).await, Allowed::Yes);
}

#[tokio::test]
async fn a_share_is_of_what_there_was_before_the_removals_of_this_hour() {
    let (kit, dir, people) = people(4).await;
    let delivered = async |kind| kit.store.delivered(dir, kind, kit.now()).await.unwrap();
    assert_eq!(delivered(REMOVAL).await, 4);
    kit.delete(&people[0]).await;
    assert!(kit.deprovision(dir, &people[0], 1).await);
    assert_eq!((kit.links(dir).await, delivered(REMOVAL).await), (3, 4));

    let choir = kit.group("choir", &[&people[1], &people[2], &people[3]]).await;
    assert_eq!(delivered(MEMBERS).await, 0, "the directory does not know it yet");
    kit.deliver_all(dir).await;
    assert_eq!(delivered(MEMBERS).await, 3);
    kit.remove(&choir, &[&people[1]]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    assert_eq!(kit.ask(&claim, MEMBERS, 1, 1).await, Allowed::Yes);
    kit.settle(&claim, linked("choir")).await;
    assert_eq!(delivered(MEMBERS).await, 3);
    kit.pass(Duration::from_hours(2));
    assert_eq!((delivered(REMOVAL).await, delivered(MEMBERS).await), (4, 2), "with the group");
}

#[tokio::test]
async fn a_group_that_is_in_line_but_for_its_leavers_is_linked_and_keeps_them_in_mind() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let choir = kit.group("choir", &[&ada]).await;
    kit.deliver_all(dir).await;
    kit.remove(&choir, &[&ada]).await;
    kit.add(&choir, &[&bob]).await;
    let but_for = |name: &str| Outcome::Held {
        kind: MEMBERS,
        count: 1,
        summary: "remove 1 member".to_owned(),
        link: Some(link(name, name)),
    };
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    let before = kit.case(&claim).await.members;
    kit.settle(&claim, but_for("renamed choir")).await;
    assert_eq!(kit.stands(dir, MEMBERS).await, (0, 1, 1));

    // Who joins does not wait for a person, and the leaver is still one.
    kit.store.mark(dir, vec![choir.row], Reason::Members, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, &choir).await.expect("it is worked on");
    let case = kit.case(&claim).await;
    assert_eq!(case.link.as_ref().unwrap().address, "renamed choir");
    assert_eq!(format!("{:?}", case.members), format!("{before:?}"));
    kit.settle(&claim, but_for("renamed choir")).await;

    // An approval is not lost when somebody comes.
    kit.decide(dir, Verdict::Approve(None)).await;
    kit.store.mark(dir, vec![choir.row], Reason::Members, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    assert_eq!(kit.ask(&claim, MEMBERS, 1, 0).await, Allowed::Yes);
    kit.settle(&claim, linked("renamed choir")).await;
    assert!(kit.entries(dir).await.is_empty());
    assert_eq!(kit.rows("member_mark"), 0);
}

#[tokio::test]
async fn a_group_that_was_taken_on_with_members_in_it_is_compared_whole_again() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let choir = kit.group("choir", &[]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    let link = Some(link("choir", "choir"));
    kit.settle(&claim, Outcome::Held { kind: MEMBERS, count: 9, summary: String::new(), link })
        .await;
    kit.decide(dir, Verdict::Approve(None)).await;
    assert!(kit.claim_of(dir, &choir).await.unwrap().entire);
}

#[tokio::test]
async fn who_leaves_a_group_costs_nothing_where_their_own_entry_was_counted_or_stays() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let people = kit.users(4).await;
    let [ada, bob, eve, dan] = &people[..] else { unreachable!("four people") };
    let choir = kit.group("choir", &[ada, bob, eve, dan]).await;
    kit.deliver_all(dir).await;
    // Ada is deleted and Bob's entry is elsewhere; Eve is not wanted any more, and Dan was.
    for person in [ada, dan] {
        kit.delete(person).await;
    }
    kit.store.mark(dir, vec![bob.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, bob).await.unwrap();
    kit.settle(&claim, linked_at(&format!("at-{}", bob.row.0), "bob's new place")).await;
    kit.remove(&choir, &[eve]).await;
    let at = |of: &Stored| format!("at-{}", of.row.0);
    for is_whole in [false, true] {
        if is_whole {
            kit.store.mark(dir, vec![choir.row], Reason::Resync, kit.now()).await.unwrap();
        }
        let claim = kit.claim_of(dir, &choir).await.unwrap();
        let case = kit.case(&claim).await;
        let free: Vec<_> = case.bygone.into_iter().collect();
        assert_eq!(free, [at(bob)], "nobody's removal was executed yet");
        kit.settle(&claim, held(MEMBERS, 3)).await;
    }
    // With her own removal, Ada's group is looked at again.
    assert!(kit.deprovision(dir, ada, 10).await);
    let claim = kit.claim_of(dir, &choir).await.expect("Ada need not be kept in it");
    let free: Vec<_> = kit.case(&claim).await.bygone.into_iter().collect();
    assert_eq!(free, [at(ada), at(bob)]);
}

#[tokio::test]
async fn an_event_of_who_left_a_group_costs_nothing_once_the_receiver_heard_that_they_are_gone() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let people = kit.users(2).await;
    let [ada, bob] = &people[..] else { unreachable!("two people") };
    let choir = kit.group("choir", &[ada, bob]).await;
    kit.deliver_all(hook).await;
    kit.delete(ada).await;
    let claim = kit.claim_of(hook, &choir).await.unwrap();
    assert!(kit.case(&claim).await.bygone.is_empty(), "it has not heard of Ada yet");
    kit.settle(&claim, held(MEMBERS, 1)).await;
    assert!(kit.deprovision(hook, ada, 10).await);
    kit.decide(hook, Verdict::Approve(None)).await;
    let claim = kit.claim_of(hook, &choir).await.unwrap();
    let case = kit.case(&claim).await;
    assert_eq!(case.bygone.into_iter().collect::<Vec<_>>(), [ada.id.to_string()]);
}

#[tokio::test]
async fn whoever_leaves_a_group_counts_under_a_new_name_too() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[&ada]).await;
    kit.deliver_all(dir).await;
    kit.store.mark(dir, vec![ada.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, linked_at(&format!("at-{}", ada.row.0), "ada's new place")).await;
    kit.remove(&choir, &[&ada]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    let bygone = kit.case(&claim).await.bygone;
    assert!(bygone.is_empty(), "the group holds one of her addresses, and she leaves: {bygone:?}");
}

#[tokio::test]
async fn a_former_name_of_who_stays_that_a_leaver_has_by_now_is_not_free() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let people = kit.users(2).await;
    let [ada, bob] = &people[..] else { unreachable!("two people") };
    let choir = kit.group("choir", &[ada, bob]).await;
    kit.deliver_all(dir).await;
    let at = |of: &Stored| format!("at-{}", of.row.0);
    for (person, place) in [(ada, "ada's new place".to_owned()), (bob, at(ada))] {
        kit.store.mark(dir, vec![person.row], Reason::Resync, kit.now()).await.unwrap();
        let claim = kit.claim_of(dir, person).await.unwrap();
        kit.settle(&claim, linked_at(&at(person), &place)).await;
    }
    kit.remove(&choir, &[bob]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    let bygone = kit.case(&claim).await.bygone;
    assert!(bygone.is_empty(), "Bob may be in the group as what Ada was: {bygone:?}");
}

#[tokio::test]
async fn whoever_was_there_before_the_connector_is_its_first_run_until_it_holds_something_of_them()
{
    let mut kit = Kit::new().await;
    let before = kit.user("before").await;
    let dir = kit.directory().await;
    kit.walk_to_the_end().await;
    let after = kit.user("after").await;
    let is_first_run = async |of: &Stored| {
        kit.store.mark(dir, vec![of.row], Reason::Resync, kit.now()).await.unwrap();
        let claim = kit.claim_of(dir, of).await.unwrap();
        let first_run = kit.case(&claim).await.first_run;
        kit.settle(&claim, Outcome::Released).await;
        first_run
    };
    assert!(is_first_run(&before).await);
    assert!(!is_first_run(&after).await);
    kit.deliver_all(dir).await;
    assert!(!is_first_run(&before).await);
    let claim = kit.claim_of(dir, &before).await.unwrap();
    kit.settle(&claim, unlinked()).await;
    assert!(!is_first_run(&before).await, "what was removed came once");
}

#[tokio::test]
async fn that_a_configuration_changed_is_not_forgotten_when_somebody_asks() {
    let (mut kit, dir, people) = people(1).await;
    let changed = crate::store::Registration { fingerprint: "2".to_owned(), ..directory() };
    kit.register(changed).await;
    kit.walk_to_the_end().await;
    for reason in [Reason::Resync, Reason::Drift] {
        kit.store.mark(dir, vec![people[0].row], reason, kit.now()).await.unwrap();
        let claim = kit.claim_of(dir, &people[0]).await.unwrap();
        assert_eq!(claim.reason, Reason::Reconfigured, "after {reason:?}");
        kit.settle(&claim, Outcome::Released).await;
    }
}

#[tokio::test]
async fn a_claim_says_when_it_fell_due() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let due = kit.now();
    kit.pass(Duration::from_hours(5));
    assert_eq!(kit.claim_of(dir, &ada).await.unwrap().due, due);
}

#[tokio::test]
async fn what_was_removed_is_forgotten_with_the_reports() {
    let (kit, dir, people) = people(1).await;
    kit.delete(&people[0]).await;
    assert!(kit.deprovision(dir, &people[0], 1).await);
    let later = kit.now() + Duration::from_secs(1);
    while kit.store.prune(jiff::Timestamp::UNIX_EPOCH, kit.now()).await.unwrap().more {}
    assert_eq!(kit.rows("removal"), 1);
    while kit.store.prune(jiff::Timestamp::UNIX_EPOCH, later).await.unwrap().more {}
    assert_eq!(kit.rows("removal"), 0);
}

#[tokio::test]
async fn an_approval_is_of_as_many_as_a_person_saw_and_of_nothing_else() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let choir = kit.group("choir", &[]).await;
    kit.deliver_all(dir).await;
    kit.store.mark(dir, vec![choir.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    kit.settle(&claim, held(MEMBERS, 3)).await;
    kit.decide(dir, Verdict::Approve(None)).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    assert_eq!(kit.ask(&claim, MEMBERS, 4, 0).await, Allowed::No(Refusal::Held));
    assert_eq!(kit.ask(&claim, MEMBERS, 3, 0).await, Allowed::Yes);
    kit.settle(&claim, held(MEMBERS, 4)).await;
    let entry = Kit::only(kit.entries(dir).await);
    assert!(entry.last_error.unwrap().starts_with("more by now than was approved; "));

    // That it may have another name says nothing of who is in it; that it may go, everything.
    kit.decide(dir, Verdict::Approve(None)).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    kit.settle(&claim, held(REMOVAL, 1)).await;
    kit.decide(dir, Verdict::Approve(None)).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    let mut ask = Ask { kind: MEMBERS, count: 500, whole: false, limit: 50 };
    let now = kit.now();
    assert_eq!(kit.store.allow(&claim, ask, now).await.unwrap(), limit(0, 0, 50));
    ask.whole = true;
    assert_eq!(kit.store.allow(&claim, ask, now).await.unwrap(), Allowed::Yes);
}

#[tokio::test]
async fn what_was_allowed_for_an_event_that_is_skipped_is_no_leave_for_the_next_one() {
    let mut kit = Kit::new().await;
    let receiver = kit.hook().await;
    let ada = kit.user("ada").await;
    kit.change(&ada, "ada", "newer").await;
    let claim = kit.claim_of(receiver, &ada).await.unwrap();
    assert_eq!(kit.ask(&claim, REMOVAL, 1, 1).await, Allowed::Yes);
    kit.settle(&claim, Outcome::Parked { error: "410 Gone".to_owned() }).await;
    kit.touch(receiver, Touch::Skip).await;
    let claim = kit.claim_of(receiver, &ada).await.unwrap();
    assert_eq!(kit.ask(&claim, REMOVAL, 1, 1).await, limit(1, 0, 1));
}
