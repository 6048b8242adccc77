//! The queue as a page shows it: from one page to the next, one organization's part of it, and what
//! a person does to the rows that they picked.

use std::time::Duration;

use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::ResourceKey;

use super::kit::{Kit, SOUTH, held, parked};
use crate::store::{
    Actor, ConnectorId, Counted, EntryFilter, Outcome, People, RowPick, Signed, State, Stored,
    Tally, Touch, Touched,
};

fn signed() -> Signed {
    let by = Actor::account("kari@example.org".to_owned(), [192, 0, 2, 7].into());
    Signed { by, action: "queue.skip", reason: Some("left long ago".to_owned()) }
}

fn pick(connector: ConnectorId, of: &Stored, mark: Option<i64>) -> RowPick {
    RowPick { connector, key: Kit::key(of), mark }
}

async fn touch(kit: &Kit, picks: Vec<RowPick>, touch: Touch) -> Vec<Touched> {
    kit.store.touch_picked(picks, touch, signed(), kit.now()).await.unwrap()
}

/// The names on each page of so many rows.
async fn pages(kit: &Kit, filter: EntryFilter, limit: usize) -> Vec<Vec<String>> {
    let mut filter = EntryFilter { limit, ..filter };
    let mut pages = Vec::new();
    loop {
        let found = kit.store.entries(filter.clone()).await.unwrap();
        pages.push(found.entries.into_iter().map(|entry| entry.name).collect());
        let Some(next) = found.next else { return pages };
        filter.after = Some(next.to_string().parse().unwrap());
    }
}

#[tokio::test]
async fn each_row_is_on_one_page_and_those_for_people_on_the_first() {
    let mut kit = Kit::new().await;
    let [dir, hook] = [kit.directory().await, kit.hook().await];
    for name in ["ada", "bob", "cleo", "dora"] {
        let person = kit.user(name).await;
        if name == "dora" {
            let claim = kit.claim_of(dir, &person).await.unwrap();
            kit.settle(&claim, parked("no such building")).await;
        }
    }
    let all = EntryFilter::default();
    let in_pages = pages(&kit, all.clone(), 3).await;
    assert_eq!(in_pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 2]);
    assert_eq!(in_pages[0], ["dora", "ada", "bob"]);
    assert_eq!(in_pages[2], ["cleo", "dora"], "the receiver's come behind the directory's");
    assert_eq!(in_pages.concat(), pages(&kit, all, 100).await.concat());
    let of_hook = EntryFilter { connector: Some(hook), ..EntryFilter::default() };
    assert_eq!(pages(&kit, of_hook, 2).await, [vec!["ada", "bob"], vec!["cleo", "dora"]]);
}

#[tokio::test]
async fn rows_that_fell_out_of_line_in_the_same_moment_are_on_one_page_each() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    kit.users(7).await;
    let of_dir = EntryFilter { connector: Some(dir), ..EntryFilter::default() };
    let mut names = pages(&kit, of_dir, 2).await.concat();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 7);
}

#[tokio::test]
async fn a_page_goes_on_although_what_came_before_it_has_gone() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let people = [kit.user("ada").await, kit.user("bob").await, kit.user("cleo").await];
    for person in &people[..2] {
        let claim = kit.claim_of(dir, person).await.unwrap();
        kit.settle(&claim, parked("no")).await;
    }
    let filter = EntryFilter { limit: 1, ..EntryFilter::default() };
    let first = kit.store.entries(filter.clone()).await.unwrap();
    kit.touch(dir, Touch::Skip).await;
    kit.user("dora").await;
    let rest = EntryFilter { after: first.next, limit: 9, ..EntryFilter::default() };
    let rest = kit.store.entries(rest).await.unwrap().entries;
    assert_eq!(rest.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["dora"]);
}

#[tokio::test]
async fn an_organization_s_rows_and_counts_are_its_own() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let [ada, _] = [kit.user("ada").await, kit.user_in(kit.south, "sol").await];
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, parked("no")).await;
    let counted = |organization, state| Counted { connector: dir, organization, state, entries: 1 };
    let [north, south] = [counted(kit.north, State::Parked), counted(kit.south, State::Pending)];
    assert_eq!(kit.store.counted(None).await.unwrap(), [north, south]);
    assert_eq!(kit.store.counted(Some(vec![kit.south])).await.unwrap(), [south]);
    let theirs = EntryFilter { organizations: Some(vec![kit.south]), ..EntryFilter::default() };
    assert_eq!(pages(&kit, theirs.clone(), 9).await, [["sol"]]);
    let ada = EntryFilter { resource: Some(Kit::key(&ada)), limit: 9, ..theirs.clone() };
    assert!(kit.store.entries(ada).await.unwrap().entries.is_empty());
    let touched = kit.store.touch(theirs, Touch::Skip, None, kit.now()).await.unwrap();
    assert_eq!(touched, Tally::from([(kit.south, 1)]));
    let nobodys = EntryFilter { organizations: Some(Vec::new()), ..EntryFilter::default() };
    assert!(pages(&kit, nobodys, 9).await.concat().is_empty());
}

#[tokio::test]
async fn what_is_given_up_is_what_was_seen_and_written_down() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let [ada, bob] = [kit.user("ada").await, kit.user("bob").await];
    let seen = kit.entries(dir).await;
    let mark = |name: &str| seen.iter().find(|entry| entry.name == name).map(|entry| entry.mark);
    kit.change(&bob, "bob", "newer").await;
    let picks = vec![pick(dir, &ada, mark("ada")), pick(dir, &bob, mark("bob"))];
    assert_eq!(touch(&kit, picks.clone(), Touch::Skip).await, [Touched::Done, Touched::Changed]);
    assert_eq!(touch(&kit, picks, Touch::Skip).await, [Touched::Gone, Touched::Changed]);
    let [row] = &kit.store.audit_log(10).await.unwrap()[..] else { panic!("one was done") };
    assert_eq!(row.subject, format!("dir User/{}", ada.id));
    assert_eq!(row.organization.as_deref(), Some("north"));
    assert_eq!(row.detail.as_deref(), Some("left long ago"));
    assert_eq!(row.from.as_deref(), Some("192.0.2.7"));
}

#[tokio::test]
async fn what_cannot_be_tried_again_says_why() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let names = ["parked", "held", "ahead", "flying"];
    let mut people = Vec::new();
    for name in names {
        people.push(kit.user(name).await);
    }
    let due = kit.now() + Duration::from_hours(1);
    let outcomes = [
        parked("no"),
        held(HoldKind::Removal, 1),
        Outcome::Delivered {
            link: None,
            revisit: Some(due),
            action: scim_relay_sdk::connector::Action::Deactivated,
        },
    ];
    for (person, outcome) in people.iter().zip(outcomes) {
        let claim = kit.claim_of(dir, person).await.unwrap();
        kit.settle(&claim, outcome).await;
    }
    kit.claim_of(dir, &people[3]).await.unwrap();
    // To try again is of what there is by now, whatever was seen.
    let picks = people.iter().map(|person| pick(dir, person, Some(-1))).collect();
    assert_eq!(
        touch(&kit, picks, Touch::Retry).await,
        [Touched::Done, Touched::Held, Touched::Scheduled, Touched::InFlight]
    );
    let entries = kit.entries(dir).await;
    let parked = entries.iter().find(|entry| entry.name == "parked").unwrap();
    assert_eq!(parked.state, State::Pending);
}

#[tokio::test]
async fn a_row_is_of_the_organization_that_it_is_named_with() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let forged = ResourceKey { organization: SOUTH.into(), ..Kit::key(&ada) };
    let pick = RowPick { connector: dir, key: forged, mark: None };
    assert_eq!(touch(&kit, vec![pick], Touch::Skip).await, [Touched::Gone]);
    assert_eq!(kit.entries(dir).await.len(), 1);
}
