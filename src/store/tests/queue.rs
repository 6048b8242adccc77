//! Queue rows of connectors that want the newest state.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use scim_relay_sdk::connector::{Action, HoldKind};

use super::kit::{Kit, directory, held, link, linked, parked, unlinked};
use crate::store::sqlite::FILE;
use crate::store::{Outcome, Reason, Room, State, Store, Verdict};

const ANY: Room = Room { rows: 1, retries: 1 };

fn retry(kit: &Kit, seconds: i64) -> Outcome {
    let due = kit.now() + SignedDuration::from_secs(seconds);
    Outcome::Retry { due, error: "busy".to_owned(), counted: true, in_doubt: false }
}

#[tokio::test]
async fn a_thousand_changes_are_one_claim() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    kit.changes(&ada, "ada", 1_000).await;
    let claims = kit.claim(dir).await;
    assert_eq!(claims.len(), 1);
    let case = kit.case(&claims[0]).await;
    assert_eq!(case.attributes["title"], "999");
    kit.settle_as(&claims[0], Some(&case), linked("e1")).await;
    assert!(kit.entries(dir).await.is_empty());
}

#[tokio::test]
async fn a_settlement_does_not_lose_what_came_in_between() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    let case = kit.case(&claim).await;
    kit.change(&ada, "ada", "newer").await;
    assert!(kit.claim(dir).await.is_empty(), "at most one works on a resource");
    kit.settle_as(&claim, Some(&case), linked("e1")).await;
    let claim = kit.claim_of(dir, &ada).await.expect("the newer change is still to be delivered");
    let case = kit.case(&claim).await;
    assert_eq!(case.attributes["title"], "newer");
    assert_eq!(case.link, Some(link("e1", "e1")));
}

#[tokio::test]
async fn what_was_read_after_the_claim_is_settled_with_it() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.change(&ada, "ada", "newer").await;
    let case = kit.case(&claim).await;
    assert_eq!(case.attributes["title"], "newer");
    kit.settle_as(&claim, Some(&case), linked("e1")).await;
    assert!(kit.entries(dir).await.is_empty(), "nothing is delivered twice");
}

#[tokio::test]
async fn a_late_settlement_of_another_lease_is_ignored() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let late = kit.claim_of(dir, &ada).await.unwrap();
    let case = kit.case(&late).await;
    kit.settle_as(&late, Some(&case), linked("e1")).await;
    kit.settle_as(&late, Some(&case), linked("e1")).await;
    // The row is made and claimed anew, with the same mark.
    kit.change(&ada, "ada", "newer").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert_eq!(claim.mark, late.mark);
    assert_ne!(claim.epoch, late.epoch);
    kit.settle_as(&late, Some(&case), linked("wrong")).await;
    let case = kit.case(&claim).await;
    assert_eq!(case.link, Some(link("e1", "e1")));
    kit.settle_as(&claim, Some(&case), linked("e1")).await;
    assert!(kit.entries(dir).await.is_empty());
}

#[tokio::test]
async fn a_reopened_store_gives_claimed_rows_again_in_doubt() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let claims = kit.claim(dir).await;
    assert!(claims.iter().all(|claim| !claim.in_doubt));
    let bobs = claims.iter().find(|claim| claim.resource == bob.row).unwrap();
    kit.settle(bobs, linked("b")).await;

    let kit = kit.reopened().await;
    let claims = kit.claim(dir).await;
    assert_eq!(claims.iter().map(|claim| claim.resource).collect::<Vec<_>>(), [ada.row]);
    assert!(claims[0].in_doubt);
    kit.settle(&claims[0], linked("a")).await;
    kit.change(&ada, "ada", "newer").await;
    assert!(!kit.claim(dir).await[0].in_doubt, "what was settled is in doubt no more");
}

#[tokio::test]
async fn what_was_cut_off_may_have_made_any_of_the_states_since() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    kit.settle(&kit.claim_of(dir, &bob).await.unwrap(), linked("b")).await;
    // Its row begins behind the newest change then.
    kit.store.mark(dir, vec![bob.row], Reason::Resync, kit.now()).await.unwrap();
    for (one, name) in [(&ada, "grace"), (&bob, "rob")] {
        kit.claim_of(dir, one).await.unwrap();
        kit.change(one, name, "first").await;
        kit.change(one, name, "second").await;
    }
    let kit = kit.reopened().await;
    let earlier = async |one| kit.case(&kit.claim_of(dir, one).await.unwrap()).await.earlier;
    let names = earlier(&ada).await.into_iter().map(|state| state["userName"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["ada", "grace", "grace"]);
    assert!(earlier(&bob).await.is_empty(), "a link says where the entry is");
}

#[tokio::test]
async fn what_a_lane_could_not_give_back_is_taken_back_when_connectors_are_registered() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    kit.claim_of(dir, &ada).await.unwrap();
    assert!(kit.claim(dir).await.is_empty());
    kit.directory().await;
    assert!(kit.claim_of(dir, &ada).await.unwrap().in_doubt);
}

#[tokio::test]
async fn a_retry_waits_until_it_is_due_and_counts() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    let failed = kit.now();
    kit.settle(&claim, retry(&kit, 10)).await;
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!((entry.state, entry.attempts), (State::Retrying, 1));
    assert_eq!(entry.last_error.as_deref(), Some("busy"));
    assert_eq!(
        kit.store.next_due(dir, ANY).await.unwrap(),
        Some(kit.now() + SignedDuration::from_secs(10))
    );
    assert!(kit.claim(dir).await.is_empty());

    kit.pass(Duration::from_secs(10));
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert_eq!((claim.attempts, claim.first_failed), (1, Some(failed)));
    assert_eq!(
        kit.store.next_due(dir, ANY).await.unwrap(),
        None,
        "what is claimed is nobody's to wait for"
    );
}

#[tokio::test]
async fn time_in_which_nothing_was_tried_is_no_failing_of_the_item() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, retry(&kit, 10)).await;
    // The target is down for a month, and the row is claimed and given back now and then.
    for _ in 0..30 {
        kit.pass(Duration::from_hours(24));
        let claim = kit.claim_of(dir, &ada).await.unwrap();
        assert_eq!(kit.now().duration_since(claim.first_failed.unwrap()).as_secs(), 10);
        kit.settle(&claim, Outcome::Released).await;
    }
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!(entry.attempts, 1);
}

#[tokio::test]
async fn what_is_being_retried_keeps_its_pace_when_people_are_busy() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, retry(&kit, 60)).await;
    kit.change(&ada, "ada", "newer").await;
    assert!(kit.claim(dir).await.is_empty());
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!((entry.state, entry.attempts), (State::Retrying, 1));
}

#[tokio::test]
async fn new_content_frees_what_was_parked_or_held() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    for outcome in [parked("refused"), held(HoldKind::TakeOver, 1)] {
        let ada = kit.user("ada").await;
        let claim = kit.claim_of(dir, &ada).await.unwrap();
        kit.settle(&claim, outcome).await;
        assert!(kit.claim(dir).await.is_empty());
        assert!(kit.state_of(dir, &ada).await.unwrap() >= State::Parked);
        kit.change(&ada, "ada", "newer").await;
        let entry = Kit::only(kit.entries(dir).await);
        assert_eq!((entry.state, entry.attempts), (State::Pending, 0));
        assert_eq!(entry.hold_kind, None);
        kit.delete(&ada).await;
        kit.deliver_all(dir).await;
    }
}

#[tokio::test]
async fn a_refusal_of_what_was_overtaken_parks_nothing() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    let case = kit.case(&claim).await;
    kit.change(&ada, "ada", "corrected").await;
    kit.settle_as(&claim, Some(&case), parked("no such title")).await;
    assert_eq!(kit.state_of(dir, &ada).await, Some(State::Pending));
    assert_eq!(kit.deliver_all(dir).await, 1);
}

#[tokio::test]
async fn drift_and_members_leave_to_people_what_waits_for_people() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, parked("refused")).await;
    for reason in [Reason::Drift, Reason::Members] {
        kit.store.mark(dir, vec![ada.row], reason, kit.now()).await.unwrap();
        assert_eq!(kit.state_of(dir, &ada).await, Some(State::Parked), "{reason:?}");
    }
    kit.store.mark(dir, vec![ada.row], Reason::Resync, kit.now()).await.unwrap();
    assert_eq!(kit.state_of(dir, &ada).await, Some(State::Pending));
}

#[tokio::test]
async fn a_row_waits_for_another_and_goes_on_when_that_has_settled() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    for end in [
        linked("boss"),
        parked("refused"),
        held(HoldKind::TakeOver, 1),
        unlinked(),
        Outcome::Nothing,
    ] {
        let (ada, boss) = (kit.user("ada").await, kit.user("boss").await);
        let waiting = Outcome::Waiting { on: Kit::key(&boss), due: kit.now() };
        let claims = kit.claim(dir).await;
        let claim = |row| claims.iter().find(|claim| claim.resource == row).unwrap();
        kit.settle(claim(ada.row), waiting).await;
        assert_eq!(kit.state_of(dir, &ada).await, Some(State::Waiting));
        kit.settle(claim(boss.row), retry(&kit, 1)).await;
        assert_eq!(kit.state_of(dir, &ada).await, Some(State::Waiting));
        kit.pass(Duration::from_secs(1));
        let boss_claim = kit.claim_of(dir, &boss).await.unwrap();
        let is_held = matches!(end, Outcome::Held { .. });
        kit.settle(&boss_claim, end).await;
        assert_eq!(kit.state_of(dir, &ada).await, Some(State::Pending));
        if is_held {
            // That was no end yet: it may wait on, until a person has decided.
            let claim = kit.claim_of(dir, &ada).await.unwrap();
            kit.settle(&claim, Outcome::Waiting { on: Kit::key(&boss), due: kit.now() }).await;
            assert_eq!(kit.state_of(dir, &ada).await, Some(State::Waiting));
            kit.decide(dir, Verdict::Reject("no".to_owned())).await;
            assert_eq!(kit.state_of(dir, &ada).await, Some(State::Pending));
        }
        kit.deliver_all(dir).await;
        kit.delete(&ada).await;
        kit.delete(&boss).await;
        kit.deliver_all(dir).await;
    }
}

#[tokio::test]
async fn nobody_waits_for_what_is_not_on_its_way() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (boss, ada) = (kit.user("boss").await, kit.user("ada").await);
    let due = kit.now() + SignedDuration::from_secs(7);
    for case in ["settled", "parked", "scheduled"] {
        let revisit = Some(kit.now() + SignedDuration::from_hours(90 * 24));
        let end = match case {
            "settled" => linked("boss"),
            "parked" => parked("refused"),
            _ => Outcome::Delivered { link: None, revisit, action: Action::Deactivated },
        };
        kit.store.mark(dir, vec![boss.row, ada.row], Reason::Resync, kit.now()).await.unwrap();
        let boss_claim = kit.claim_of(dir, &boss).await.unwrap();
        kit.settle(&boss_claim, end).await;
        let claim = kit.claim_of(dir, &ada).await.unwrap();
        kit.settle(&claim, Outcome::Waiting { on: Kit::key(&boss), due }).await;
        let entries = kit.entries(dir).await;
        let entry = entries.iter().find(|entry| entry.id == ada.id).unwrap();
        assert_eq!((entry.state, entry.due), (State::Retrying, due), "{case}");
    }
}

#[tokio::test]
async fn of_those_who_wait_for_each_other_one_gives_way_and_is_shown_to_a_person_if_it_cannot() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob, eve) = (kit.user("ada").await, kit.user("bob").await, kit.user("eve").await);
    let claims = kit.claim(dir).await;
    for (who, on) in [(0, &bob), (1, &eve), (2, &ada)] {
        kit.settle(&claims[who], Outcome::Waiting { on: Kit::key(on), due: kit.now() }).await;
    }
    assert_eq!(kit.state_of(dir, &ada).await, Some(State::Waiting));
    assert_eq!(kit.state_of(dir, &bob).await, Some(State::Waiting));
    let claim = kit.claim_of(dir, &eve).await.expect("the last one closes the circle");
    assert_eq!(claim.reason, Reason::GiveWay);

    kit.settle(&claim, Outcome::Waiting { on: Kit::key(&ada), due: kit.now() }).await;
    let entries = kit.entries(dir).await;
    let entry = entries.iter().find(|entry| entry.id == eve.id).unwrap();
    assert_eq!(entry.state, State::Parked);
    assert!(entry.last_error.as_ref().unwrap().contains("waits for this one"), "{entry:?}");
    // Its end frees those who waited for it.
    assert_eq!(kit.state_of(dir, &bob).await, Some(State::Pending));
}

#[tokio::test]
async fn a_scheduled_revisit_comes_when_it_is_due_and_gives_way_to_a_change() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let ahead = SignedDuration::from_hours(24);
    let scheduled = |kit: &Kit| Outcome::Delivered {
        link: Some(link("e1", "e1")),
        revisit: Some(kit.now() + ahead),
        action: Action::Deactivated,
    };
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, scheduled(&kit)).await;
    assert_eq!(kit.state_of(dir, &ada).await, Some(State::Scheduled));
    assert_eq!(kit.store.oldest(dir).await.unwrap(), None, "nothing is late");

    kit.pass(Duration::from_hours(24));
    let claim = kit.claim_of(dir, &ada).await.expect("the day has come");
    assert_eq!(claim.reason, Reason::Revisit);
    kit.settle(&claim, scheduled(&kit)).await;
    kit.change(&ada, "ada", "back again").await;
    let entry = Kit::only(kit.entries(dir).await);
    assert_eq!(
        (entry.state, entry.reason.as_str(), entry.dirty_at),
        (State::Pending, "change", kit.now())
    );
    assert_eq!(kit.deliver_all(dir).await, 1);
}

#[tokio::test]
async fn a_big_organization_does_not_starve_a_small_one() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    for number in 0..50 {
        kit.user(&format!("north{number}")).await;
    }
    for number in 0..3 {
        kit.user_in(kit.south, &format!("south{number}")).await;
    }
    let claims = kit.claim_some(dir, 10).await;
    assert_eq!(claims.len(), 10);
    assert_eq!(claims.iter().filter(|claim| claim.organization == kit.south).count(), 3);
    let claims = kit.claim_some(dir, 10).await;
    assert_eq!(claims.len(), 10, "what the small one leaves over is the big one's");
}

#[tokio::test]
async fn with_fewer_slots_than_organizations_they_take_turns() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    for number in 0..4 {
        kit.user(&format!("north{number}")).await;
        kit.user_in(kit.south, &format!("south{number}")).await;
    }
    let mut served = Vec::new();
    for _ in 0..4 {
        let claims = kit.claim_some(dir, 1).await;
        served.push(claims[0].organization == kit.north);
    }
    assert_eq!(served.iter().filter(|north| **north).count(), 2, "{served:?}");
}

#[tokio::test]
async fn a_clock_that_was_set_back_while_nothing_could_be_written_is_noticed_afterwards() {
    let mut kit = Kit::new().await;
    let connector = kit.directory().await;
    kit.user("ada").await;
    kit.clock.set(kit.now() - SignedDuration::from_hours(24));
    let other = rusqlite::Connection::open(kit.folder.path().join(FILE)).unwrap();
    let forbidden =
        "CREATE TRIGGER full BEFORE UPDATE ON queue BEGIN SELECT RAISE(ABORT, 'full'); END";
    other.execute_batch(forbidden).unwrap();
    kit.store.claim(connector, ANY, kit.now()).await.unwrap_err();
    other.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(kit.claim(connector).await.len(), 1);
}

#[tokio::test]
async fn who_read_the_clock_before_it_was_set_back_holds_nothing_up() {
    let mut kit = Kit::new().await;
    let connector = kit.directory().await;
    let ada = kit.user("ada").await;
    let before = kit.now();
    kit.clock.set(before - SignedDuration::from_hours(24));
    let claim = kit.claim(connector).await.remove(0);
    kit.settle(&claim, linked("ada")).await;
    kit.store.mark(connector, vec![ada.row], Reason::Resync, before).await.unwrap();
    assert_eq!(kit.claim(connector).await.len(), 1);
}

#[tokio::test]
async fn a_clock_that_was_set_back_while_nobody_ran_is_noticed() {
    let mut kit = Kit::new().await;
    let connector = kit.directory().await;
    kit.user("ada").await;
    // Nothing is written from here on but what becomes of the delivery.
    let hour = SignedDuration::from_hours(1);
    kit.clock.set(kit.now() + hour * 24);
    let claim = kit.claim(connector).await.remove(0);
    let due = kit.now() + hour;
    let error = "503".to_owned();
    kit.settle(&claim, Outcome::Retry { due, error, counted: true, in_doubt: false }).await;
    let kit = kit.reopened().await;
    kit.clock.set(kit.now() - hour * 24);
    assert!(kit.claim(connector).await.is_empty(), "it keeps its pace");
    kit.pass(Duration::from_hours(1));
    assert_eq!(kit.claim(connector).await.len(), 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob, eve) = (kit.user("ada").await, kit.user("bob").await, kit.user("eve").await);
    let claims = kit.claim(dir).await;
    let day = SignedDuration::from_hours(24);
    let purge = Outcome::Delivered {
        link: Some(link("e", "e")),
        revisit: Some(kit.now() + day),
        action: Action::Deactivated,
    };
    for claim in &claims {
        let outcome = match claim.resource {
            row if row == ada.row => Outcome::Released,
            row if row == bob.row => retry(&kit, 30),
            _ => purge.clone(),
        };
        kit.settle(claim, outcome).await;
    }
    let before = kit.now();
    kit.clock.set(before - day);
    assert!(kit.claim_of(dir, &ada).await.is_some(), "what was due is still due");
    assert!(kit.claim_of(dir, &bob).await.is_none());
    kit.pass(Duration::from_secs(30));
    assert!(kit.claim_of(dir, &bob).await.is_some(), "and a retry waits no longer than it was to");
    let entries = kit.entries(dir).await;
    let purge = entries.iter().find(|entry| entry.id == eve.id).unwrap();
    assert_eq!(purge.due, before + day, "a purge keeps its day");
}

#[tokio::test]
async fn the_oldest_entry_is_the_one_that_is_longest_out_of_line() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    assert_eq!(kit.store.oldest(dir).await.unwrap(), None);
    let first: Timestamp = kit.now();
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    assert_eq!(kit.store.oldest(dir).await.unwrap(), Some(first), "also while it is worked on");
    kit.settle(&claim, retry(&kit, 3_600)).await;
    kit.pass(Duration::from_mins(1));
    kit.user("bob").await;
    // Bob is due first, but Ada has been waiting for longer.
    assert_eq!(kit.store.oldest(dir).await.unwrap(), Some(first));
}

#[tokio::test]
async fn the_bell_rings_for_work_and_for_nothing_else() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let mut bell = kit.store.bell();
    // It rings after the answer, and before the next commit.
    kit.store.writable().await.unwrap();
    bell.mark_unchanged();
    let ada = kit.user("ada").await;
    kit.store.writable().await.unwrap();
    assert!(bell.has_changed().unwrap());
    bell.mark_unchanged();
    kit.created(super::kit::user("ada"), ada.kind, &[]).await;
    kit.update(&ada, None, Vec::new()).await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, linked("e1")).await;
    kit.store.writable().await.unwrap();
    assert!(!bell.has_changed().unwrap());
}

#[tokio::test]
async fn a_connector_without_files_goes_on_coalescing() {
    let mut kit = Kit::new().await;
    let dir = kit.register(directory()).await;
    kit.store.register(Vec::new()).await.unwrap();
    let ada = kit.user("ada").await;
    kit.change(&ada, "ada", "newer").await;
    let row = kit.store.connectors().await.unwrap().remove(0);
    assert!(!row.enabled);
    assert_eq!(row.backlog.pending, 1);
    assert_eq!(kit.directory().await, dir);
    assert_eq!(kit.deliver_all(dir).await, 1);
}
