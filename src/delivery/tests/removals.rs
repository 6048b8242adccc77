//! What a connector may take away, and what a person is asked first.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use scim_relay_sdk::connector::{
    DeliveryError, HoldKind, MemberDelta, MemberRemovals, Permit, Semantics, Wanted, Work,
};
use scim_relay_sdk::scim::ResourceKind;

use super::kit::{Answer, Fake, Kit, Wish, eventually, is, plainly};
use crate::safety::{FirstRun, Safety, Share};
use crate::store::{
    Actor, Entry, Paused, People, Pick, Reason, Removals, State, Store, Stored, Verdict,
};

fn safety(removals: u64, members: u64) -> Safety {
    Safety {
        max_removals: Share::Count(removals),
        max_member_removals: Share::Count(members),
        ..Safety::usual(TimeZone::UTC)
    }
}

fn removes(removals: u64) -> Wish {
    Wish { safety: safety(removals, 0), ..Wish::default() }
}

/// A target that asks before it takes anything away.
fn careful(work: &Work) -> Answer {
    let Permit { remove, members, rename, .. } = work.permit;
    let hold = |kind, count| Answer::Fail(DeliveryError::hold(kind, count, "as it says"));
    match (&work.wanted, &work.members) {
        (Wanted::Gone { .. }, _) if !remove => hold(HoldKind::Removal, 1),
        // A group goes with the two who are in it.
        (Wanted::Gone { .. }, _)
            if work.key.kind == ResourceKind::Group && members == MemberRemovals::UpTo(0) =>
        {
            hold(HoldKind::MemberRemoval, 2)
        }
        (Wanted::Present(_), Some(MemberDelta::Changed { left, .. })) => {
            match members.demand(left.len(), || "some leave".to_owned()) {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Fail(error),
            }
        }
        (Wanted::Present(_), _) if is(work, "renamed") && !rename => hold(HoldKind::Removal, 1),
        _ => plainly(work),
    }
}

async fn at_a_careful_target(mut fake: Fake, wish: Wish) -> (Kit, Arc<Fake>) {
    fake.members = fake.semantics == Semantics::LatestState;
    let (kit, fake) = Kit::running(fake, wish).await;
    fake.does(careful);
    (kit, fake)
}

async fn latest(wish: Wish) -> (Kit, Arc<Fake>) {
    at_a_careful_target(Fake::new(Semantics::LatestState), wish).await
}

impl Kit {
    /// As many people as names, at the target.
    async fn people(&self, names: &[&str]) -> Vec<Stored> {
        let mut people = Vec::new();
        for name in names {
            people.push(self.user(name).await);
        }
        self.until_idle().await;
        people
    }

    /// Everybody at once, as far as the lane can see.
    async fn delete_all(&self, people: &[Stored]) {
        self.engine().set_paused(
            "target",
            Some(Paused { at: self.now(), by: "kari".to_owned(), why: None }),
        );
        for person in people {
            self.delete(person).await;
        }
        self.engine().set_paused("target", None);
    }

    async fn stands(&self, kind: HoldKind) -> (u64, u64, u64) {
        let all = self.store.removals(self.id(), self.now()).await.unwrap();
        let Removals { executed, waiting, held, .. } =
            *all.iter().find(|one| one.kind == kind).unwrap();
        (executed, waiting, held)
    }

    async fn word(&self, of: &Stored, verdict: Verdict) {
        let organization = "lillevik".into();
        let key = scim_relay_sdk::scim::ResourceKey { organization, kind: of.kind, id: of.id };
        let (by, picks) = (Actor::relay("kari"), vec![Pick { key, mark: None }]);
        let decided = self.store.decide(self.id(), picks, verdict, by, self.now()).await.unwrap();
        assert_eq!(decided, [crate::store::Decided::Done]);
    }

    async fn summary(&self, of: &Stored) -> String {
        self.until(of, State::Held).await.last_error.unwrap()
    }
}

/// What the target was permitted, in order, for this person or group.
fn permits(fake: &Fake, of: &Stored) -> Vec<Permit> {
    let seen = fake.seen.lock().unwrap();
    seen.iter().filter(|work| work.key.id == of.id).map(|work| work.permit).collect()
}

#[tokio::test]
async fn each_removal_is_asked_for_and_written_down_before_it_is_made() {
    let (kit, fake) = latest(removes(2)).await;
    let people = kit.people(&["ada", "bob", "eve"]).await;
    let file = kit.folder.path().join(crate::store::sqlite::FILE);
    fake.does(move |work| {
        if work.permit.remove {
            let c = rusqlite::Connection::open(&file).unwrap();
            let query = "SELECT count(*) FROM removal WHERE open = 1";
            let written: i64 = c.query_row(query, [], |row| row.get(0)).unwrap();
            assert_eq!(written, 1, "before the target hears of it");
        }
        careful(work)
    });
    for person in &people[..2] {
        kit.delete(person).await;
        kit.until_idle().await;
    }
    let asked: Vec<_> = permits(&fake, &people[0]).iter().map(|permit| permit.remove).collect();
    assert_eq!(asked, [false, false, true], "made, asked for, removed");
    assert_eq!(kit.stands(HoldKind::Removal).await, (2, 0, 0));
    kit.delete(&people[2]).await;
    let why = "as it says: 2 of at most 2 removals in an hour are done";
    assert_eq!(kit.summary(&people[2]).await, why);
    assert_eq!(kit.counted("held"), 1);
}

#[tokio::test]
async fn of_more_deletions_than_the_limit_none_is_made_and_all_else_goes_on() {
    let (kit, fake) = latest(removes(3)).await;
    let people = kit.people(&["ada", "bob", "eve", "dan"]).await;
    kit.delete_all(&people).await;
    for person in &people {
        kit.until(person, State::Held).await;
    }
    let zoe = kit.user("zoe").await;
    eventually("zoe in line", async || kit.entry(&zoe).await.is_none()).await;
    assert_eq!(fake.seen.lock().unwrap().iter().filter(|work| work.permit.remove).count(), 0);
    assert_eq!(kit.stands(HoldKind::Removal).await, (0, 4, 4));

    // Exactly those go that a person lets go, and what was refused stays refused.
    kit.word(&people[0], Verdict::Approve(None)).await;
    kit.word(&people[1], Verdict::Reject("a mistake".to_owned())).await;
    eventually("ada gone", async || kit.entry(&people[0]).await.is_none()).await;
    assert_eq!(
        kit.until(&people[1], State::Parked).await.last_error.unwrap(),
        "rejected: a mistake"
    );
    let removed: Vec<_> = {
        let seen = fake.seen.lock().unwrap();
        seen.iter().filter(|work| work.permit.remove).map(|work| work.key.id).collect()
    };
    assert_eq!(removed, [people[0].id]);
    kit.store.mark(kit.id(), vec![people[1].row], Reason::Resync, kit.now()).await.unwrap();
    eventually("asked again", async || permits(&fake, &people[1]).len() == 3).await;
    assert_eq!(
        kit.until(&people[1], State::Parked).await.last_error.unwrap(),
        "rejected: a mistake"
    );
}

#[tokio::test]
async fn a_share_is_of_all_that_was_delivered_however_many_are_gone_by_now() {
    let limits = Safety {
        max_removals: Share::percent("50%").unwrap(),
        floor: 1,
        ..Safety::usual(TimeZone::UTC)
    };
    let (kit, _) = latest(Wish { safety: limits, ..Wish::default() }).await;
    let people = kit.people(&["ada", "bob", "eve", "dan"]).await;
    for person in &people[..2] {
        kit.delete(person).await;
        kit.until_idle().await;
        // Counted anew.
        kit.pass(Duration::from_mins(2)).await;
    }
    kit.delete(&people[2]).await;
    assert!(kit.summary(&people[2]).await.contains("2 of at most 2 removals"));
}

#[tokio::test]
async fn an_attempt_that_a_crash_cut_off_is_not_counted_twice() {
    let (kit, fake) = latest(removes(1)).await;
    let people = kit.people(&["ada", "bob"]).await;
    fake.does(|work| if work.permit.remove { Answer::Hang } else { careful(work) });
    kit.delete(&people[0]).await;
    eventually("the removal under way", async || fake.last().permit.remove).await;
    drop(fake);
    let mut kit = kit.cut_off_and_reopened().await;
    kit.fake().does(careful);
    kit.start();
    kit.until_idle().await;
    assert_eq!(kit.stands(HoldKind::Removal).await.0, 1);
    kit.delete(&people[1]).await;
    kit.until(&people[1], State::Held).await;
}

#[tokio::test]
async fn whoever_joins_a_group_does_not_wait_for_those_who_may_not_leave() {
    let (kit, fake) = latest(removes(0)).await;
    let people = kit.people(&["ada", "bob", "eve"]).await;
    let [ada, bob, eve] = &people[..] else { unreachable!("three people") };
    let choir = kit.group("choir", &[ada, bob]).await;
    kit.until_idle().await;
    kit.replace_members(&choir, &[bob, eve]).await;
    let summary = kit.summary(&choir).await;
    assert_eq!(summary, "some leave: no member removals are made without approval");
    let told = |work: &Work| match &work.members {
        Some(MemberDelta::Changed { joined, left }) => {
            let ids = |members: &[scim_relay_sdk::connector::Member]| {
                members.iter().map(|member| member.key.id).collect::<Vec<_>>()
            };
            (ids(joined), ids(left))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&fake.last()), (vec![eve.id], vec![ada.id]));
    assert_eq!(fake.last().permit.members, MemberRemovals::Leave, "Ada is left in");
    kit.word(&choir, Verdict::Approve(None)).await;
    kit.until_idle().await;
    assert_eq!(told(&fake.last()).1, [ada.id]);
    assert_eq!(fake.last().permit.members, MemberRemovals::UpTo(1));
    assert_eq!(kit.stands(HoldKind::MemberRemoval).await, (0, 0, 0));
}

#[tokio::test]
async fn a_rejected_leaver_stays_and_whoever_joins_comes_in() {
    let (kit, fake) = latest(removes(0)).await;
    let people = kit.people(&["ada", "eve"]).await;
    let [ada, eve] = &people[..] else { unreachable!("two people") };
    let choir = kit.group("choir", &[ada]).await;
    kit.until_idle().await;
    kit.replace_members(&choir, &[]).await;
    kit.until(&choir, State::Held).await;
    kit.word(&choir, Verdict::Reject("she sings on".to_owned())).await;
    kit.replace_members(&choir, &[eve]).await;
    eventually("Eve in it", async || {
        let Work { members, permit, .. } = fake.last();
        permit.members == MemberRemovals::Leave
            && matches!(members, Some(MemberDelta::Changed { joined, .. }) if joined.len() == 1)
    })
    .await;
    let entry = kit.until(&choir, State::Parked).await;
    assert_eq!(entry.last_error.unwrap(), "rejected: she sings on");
}

#[tokio::test]
async fn who_left_a_group_with_their_own_entry_makes_no_room_for_another() {
    let (kit, fake) = latest(Wish { safety: safety(10, 0), ..Wish::default() }).await;
    let people = kit.people(&["ada", "bob", "eve"]).await;
    let [ada, bob, eve] = &people[..] else { unreachable!("three people") };
    let choir = kit.group("choir", &[ada, bob, eve]).await;
    kit.until_idle().await;
    fake.does(|work| match work.key.kind {
        ResourceKind::Group => Answer::Fail(DeliveryError::refused("not now")),
        ResourceKind::User if work.permit.remove => plainly(work),
        ResourceKind::User => careful(work),
    });
    kit.delete(ada).await;
    kit.replace_members(&choir, &[eve]).await;
    eventually("Ada gone", async || kit.entry(ada).await.is_none()).await;
    kit.until(&choir, State::Parked).await;

    // The target itself has taken Ada out by then, so that only Bob is left to go.
    let bobs = bob.id.to_string();
    fake.does(move |work| {
        let leaving = usize::from(!work.bygone.contains(&bobs));
        let demanded = work.permit.members.demand(leaving, || "Bob leaves".to_owned());
        demanded.map_or_else(Answer::Fail, |()| Answer::Done)
    });
    let before = permits(&fake, &choir).len();
    kit.store.mark(kit.id(), vec![choir.row], Reason::Resync, kit.now()).await.unwrap();
    kit.summary(&choir).await;
    let permitted: Vec<_> =
        permits(&fake, &choir)[before..].iter().map(|permit| permit.members).collect();
    assert_eq!(permitted, [MemberRemovals::UpTo(0), MemberRemovals::Leave]);
    let last = fake.last();
    assert!(matches!(last.members, Some(MemberDelta::All(_))));
    assert_eq!(last.bygone.into_iter().collect::<Vec<_>>(), [ada.id.to_string()]);
    assert_eq!(kit.stands(HoldKind::MemberRemoval).await, (0, 1, 1));
}

#[tokio::test]
async fn a_group_that_goes_asks_for_itself_and_for_its_members() {
    let wish = Wish { safety: safety(1, 2), ..Wish::default() };
    let (kit, fake) = latest(wish).await;
    let choir = kit.group("choir", &[]).await;
    let band = kit.group("band", &[]).await;
    kit.until_idle().await;
    kit.delete(&choir).await;
    kit.until_idle().await;
    let asked = permits(&fake, &choir);
    let asked: Vec<_> = asked.iter().map(|permit| (permit.remove, permit.members)).collect();
    let none = MemberRemovals::UpTo(0);
    assert_eq!(asked[1..], [(false, none), (true, none), (true, MemberRemovals::UpTo(2))]);
    assert_eq!(kit.stands(HoldKind::Removal).await.0, 1);
    assert_eq!(kit.stands(HoldKind::MemberRemoval).await.0, 2);
    kit.pass(Duration::from_hours(2)).await;
    kit.user("somebody").await;
    kit.delete(&band).await;
    eventually("the band gone", async || kit.entry(&band).await.is_none()).await;
}

#[tokio::test]
async fn an_event_about_leavers_waits_whole() {
    let mut fake = Fake::new(Semantics::EveryEvent);
    fake.members = false;
    let (kit, fake) = Kit::running(fake, removes(0)).await;
    fake.does(|work| match &work.change {
        Some(change) if !change.left.is_empty() => {
            let kind = HoldKind::MemberRemoval;
            Answer::Fail(DeliveryError::hold(kind, change.left.len() as u64, "one leaves"))
        }
        _ => plainly(work),
    });
    let people = kit.people(&["ada", "eve"]).await;
    let choir = kit.group("choir", &[&people[0]]).await;
    kit.until_idle().await;
    kit.replace_members(&choir, &[&people[1]]).await;
    kit.until(&choir, State::Held).await;
    assert_eq!(permits(&fake, &choir).len(), 2, "made, and asked for once");
}

#[tokio::test]
async fn a_name_that_the_configuration_changed_is_asked_about_and_one_that_the_provider_did_is_not()
{
    let (kit, fake) = latest(removes(0)).await;
    let people = kit.people(&["ada"]).await;
    kit.change(&people[0], "renamed", "").await;
    kit.until_idle().await;
    assert!(fake.last().permit.rename);
    kit.store.mark(kit.id(), vec![people[0].row], Reason::Reconfigured, kit.now()).await.unwrap();
    kit.until(&people[0], State::Held).await;
    // No change of the provider's smuggles it past.
    kit.change(&people[0], "renamed", "captain").await;
    eventually("tried with the change", async || fake.told().last().unwrap() == "renamed captain")
        .await;
    let entry: Entry = kit.until(&people[0], State::Held).await;
    assert!(entry.last_error.unwrap().ends_with("held before, and not approved since"));
    assert!(!fake.last().permit.rename);
    kit.word(&people[0], Verdict::Approve(None)).await;
    kit.until_idle().await;
    assert!(fake.last().permit.rename);
}

#[tokio::test]
async fn a_purge_is_not_due_because_somebody_put_the_clock_ahead() {
    let (kit, fake) = latest(removes(10)).await;
    let people = kit.people(&["ada", "bob"]).await;
    // Moved first, and purged after 90 days, which this target counts by the time it is given.
    let since = kit.now();
    let ninety = SignedDuration::from_hours(90 * 24);
    fake.does(move |work| match (&work.wanted, work.permit.remove) {
        (Wanted::Gone { .. }, false) if work.link.as_ref().unwrap().stage != REMOVED => {
            careful(work)
        }
        (Wanted::Gone { .. }, _) if work.now < since + ninety => Answer::Staged(since + ninety),
        _ => careful(work),
    });
    kit.delete(&people[0]).await;
    kit.delete(&people[1]).await;
    for person in &people {
        kit.until(person, State::Scheduled).await;
    }
    kit.put_ahead(Duration::from_hours(91 * 24)).await;
    let summary = kit.summary(&people[0]).await;
    assert!(
        summary.ends_with("the clock was put ahead by 2184 hours, and before that it was not due"),
        "{summary}"
    );
    kit.until(&people[1], State::Held).await;
    kit.word(&people[0], Verdict::Approve(None)).await;
    eventually("ada gone", async || kit.entry(&people[0]).await.is_none()).await;
    assert!(kit.entry(&people[1]).await.is_some());
}

const REMOVED: scim_relay_sdk::connector::Stage = scim_relay_sdk::connector::Stage::Removed;

#[tokio::test]
async fn a_purge_whose_day_has_come_goes() {
    let (kit, fake) = latest(removes(10)).await;
    let people = kit.people(&["ada"]).await;
    let day = kit.now() + SignedDuration::from_hours(90 * 24);
    fake.does(move |work| match (&work.wanted, work.permit.remove) {
        (Wanted::Gone { .. }, false) if work.link.as_ref().unwrap().stage != REMOVED => {
            careful(work)
        }
        (Wanted::Gone { .. }, _) if work.now < day => Answer::Staged(day),
        _ => careful(work),
    });
    kit.delete(&people[0]).await;
    kit.until(&people[0], State::Scheduled).await;
    // Ahead a little, as clocks are, and by more than that in the last hour.
    kit.put_ahead(Duration::from_mins(59)).await;
    kit.pass(Duration::from_hours(90 * 24)).await;
    kit.until_idle().await;
    assert_eq!(kit.stands(HoldKind::Removal).await, (1, 0, 0), "the move is long ago");
}

#[tokio::test]
async fn in_a_planned_first_run_whoever_was_there_before_waits_and_others_do_not() {
    let mut kit = Kit::new().await;
    let ada = kit.user("ada").await;
    let planned = Safety { first_run: FirstRun::Plan, ..Safety::usual(TimeZone::UTC) };
    let wish = Wish { safety: planned, ..Wish::default() };
    let fake = kit.add("target", Fake::new(Semantics::LatestState), wish).await;
    kit.start();
    assert_eq!(kit.summary(&ada).await, "would be created");
    let bob = kit.user("bob").await;
    eventually("bob made", async || kit.entry(&bob).await.is_none()).await;
    assert_eq!(fake.told(), ["bob"]);
    kit.change(&ada, "ada", "captain").await;
    kit.until(&ada, State::Held).await;
    kit.word(&ada, Verdict::Approve(None)).await;
    kit.until_idle().await;
    assert_eq!(fake.told(), ["bob", "ada captain"]);
    kit.change(&ada, "ada", "again").await;
    kit.until_idle().await;
}

#[tokio::test]
async fn where_everything_goes_take_overs_are_made_without_a_word_and_written_down() {
    let free = Safety { first_run: FirstRun::Go, ..Safety::usual(TimeZone::UTC) };
    let wish = Wish { safety: free, ..Wish::default() };
    let (kit, fake) = Kit::running(Fake::new(Semantics::LatestState), wish).await;
    fake.does(|work| {
        if work.permit.take_over {
            Answer::Done
        } else {
            Answer::Fail(DeliveryError::hold(HoldKind::TakeOver, 1, "uid=ada was there before"))
        }
    });
    kit.user("ada").await;
    kit.until_idle().await;
    assert_eq!(kit.stands(HoldKind::TakeOver).await, (1, 0, 0));
}

#[tokio::test]
async fn a_connector_that_never_has_enough_is_tried_again_later() {
    let (kit, fake) = latest(removes(100)).await;
    fake.does(|_| Answer::Fail(DeliveryError::hold(HoldKind::Removal, 1, "again")));
    let ada = kit.user("ada").await;
    kit.until(&ada, State::Retrying).await;
    assert_eq!(fake.count(), 4);
    assert_eq!(kit.stands(HoldKind::Removal).await.0, 1, "counted once");
}

#[tokio::test]
async fn whoever_stepped_aside_comes_back_for_their_name_unasked() {
    let (kit, fake) = latest(removes(0)).await;
    let people = kit.people(&["ada"]).await;
    for (reason, renames) in
        [(Reason::Revisit, true), (Reason::Reconfigured, false), (Reason::Resync, false)]
    {
        let seen = fake.count();
        kit.store.mark(kit.id(), vec![people[0].row], reason, kit.now()).await.unwrap();
        eventually("another delivery", async || fake.count() > seen).await;
        kit.until_idle().await;
        assert_eq!(fake.last().permit.rename, renames, "{reason:?}");
    }
}
