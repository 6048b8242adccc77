//! Counters and the rows they count never part.

use std::time::Duration;

use proptest::prelude::*;
use scim_relay_sdk::connector::HoldKind;
use scim_relay_sdk::scim::ResourceKind;

use super::kit::{Kit, directory, held, hook, linked, parked, unlinked, user};
use crate::ids;
use crate::store::{Outcome, People, Reason, Registration, State, Store, Touch, Verdict, Written};

/// An owner is told of their own organization.
#[tokio::test]
async fn what_waits_is_counted_for_each_organization() {
    let mut kit = Kit::new().await;
    let both = Registration { organizations: vec!["north".into(), "south".into()], ..directory() };
    let dir = kit.register(both).await;
    for (organization, people) in [(kit.north, 3), (kit.south, 2)] {
        for number in 0..people {
            let (id, content) = (ids::resource_id(kit.now()), user(&format!("person {number}")));
            let (kind, origin) = (ResourceKind::User, kit.origin());
            kit.store.create(organization, kind, id, content, vec![], origin).await.unwrap();
        }
    }
    let claims = kit.claim(dir).await;
    kit.settle(&claims[0], parked("no such building")).await;
    let waits = async |of| {
        let counted = kit.store.counted(of).await.unwrap();
        counted.iter().map(|counted| counted.entries).sum::<u64>()
    };
    assert_eq!(waits(Some(vec![kit.north])).await, 3);
    assert_eq!(waits(Some(vec![kit.south])).await, 2);
    assert_eq!(waits(Some(vec![kit.north, kit.south])).await, 5);
    assert_eq!(waits(Some(vec![])).await, 0);
    assert_eq!(waits(None).await, 5);
    assert_eq!((kit.backlog(dir).await.pending, kit.backlog(dir).await.parked), (4, 1));
}

#[derive(Clone, Debug)]
enum Step {
    Create(u8),
    Change(u8),
    Delete(u8),
    Settle(u8),
    Touch(u8),
    Mark(u8),
    Reload,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4u8).prop_map(Step::Create),
        3 => any::<u8>().prop_map(Step::Change),
        2 => any::<u8>().prop_map(Step::Delete),
        6 => any::<u8>().prop_map(Step::Settle),
        2 => (0..4u8).prop_map(Step::Touch),
        1 => any::<u8>().prop_map(Step::Mark),
        1 => Just(Step::Reload),
        1 => Just(Step::Reopen),
    ]
}

fn outcome(number: u8, kit: &Kit) -> Outcome {
    let due = kit.now() + Duration::from_secs(1);
    match number % 8 {
        0 => linked(&format!("e{}", number / 8 % 3)),
        1 => unlinked(),
        2 => parked("refused"),
        3 => held(HoldKind::Removal, 1),
        4 => Outcome::Retry { due, error: "busy".to_owned(), counted: true, in_doubt: false },
        5 => Outcome::Delivered {
            link: None,
            revisit: Some(due),
            action: scim_relay_sdk::connector::Action::Deactivated,
        },
        6 => Outcome::Nothing,
        _ => Outcome::Released,
    }
}

async fn run(steps: Vec<Step>) {
    let mut kit = Kit::new().await;
    let connectors = [kit.directory().await, kit.hook().await];
    let mut people = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        kit.pass(Duration::from_secs(1));
        let somebody = |number: u8| usize::from(number) % people.len().max(1);
        match step {
            Step::Create(name) => {
                let content = user(&format!("user{name}"));
                if let Written::Done { stored, .. } =
                    kit.created(content, ResourceKind::User, &[]).await
                {
                    people.push((name, stored));
                }
            }
            Step::Change(which) if !people.is_empty() => {
                let (name, person) = &people[somebody(which)];
                kit.change(person, &format!("user{name}"), &number.to_string()).await;
            }
            Step::Delete(which) if !people.is_empty() => {
                let (_, person) = people.remove(somebody(which));
                kit.delete(&person).await;
            }
            Step::Settle(number) => {
                let connector = connectors[usize::from(number) % 2];
                for (index, claim) in kit.claim(connector).await.into_iter().enumerate() {
                    let number = number.wrapping_add(index as u8 * 3);
                    kit.settle(&claim, outcome(number / 2, &kit)).await;
                }
            }
            Step::Touch(which) => {
                for connector in connectors {
                    let no = || Verdict::Reject("no".to_owned());
                    match which {
                        0 => kit.touch(connector, Touch::Retry).await as usize,
                        1 => kit.touch(connector, Touch::Skip).await as usize,
                        2 => kit.decide(connector, Verdict::Approve(None)).await,
                        _ => kit.decide(connector, no()).await,
                    };
                }
            }
            Step::Mark(which) if !people.is_empty() => {
                let row = people[somebody(which)].1.row;
                kit.store.mark(connectors[0], vec![row], Reason::Drift, kit.now()).await.unwrap();
            }
            Step::Reload => {
                let fingerprint = number.to_string();
                kit.register(Registration { fingerprint, ..directory() }).await;
                kit.register(hook()).await;
                kit.walk_to_the_end().await;
            }
            Step::Reopen => {
                kit = kit.reopened().await;
                kit.register(hook()).await;
            }
            Step::Change(_) | Step::Delete(_) | Step::Mark(_) => {}
        }
    }
    for connector in connectors {
        let backlog = kit.backlog(connector).await;
        for (number, state) in State::ALL.into_iter().enumerate() {
            let id = connector.0;
            let counted = kit.query(&format!(
                "SELECT count(*) FROM queue WHERE connector = {id} AND state = {number}"
            ));
            assert_eq!(backlog.of(state) as i64, counted, "{state:?}");
        }
        let counted = kit.query(&format!(
            "SELECT count(*) FROM link WHERE connector = {} AND stage <> 3",
            connector.0
        ));
        assert_eq!(kit.links(connector).await as i64, counted);
    }
    let (users, _) = kit.store.population(kit.north).await.unwrap();
    assert_eq!(users as i64, kit.query("SELECT count(*) FROM resource WHERE deleted IS NULL"));
    // And nothing is stuck: whatever people need not look at comes to its end.
    for _ in 0..8 {
        kit.pass(Duration::from_secs(10));
        for connector in connectors {
            for claim in kit.claim(connector).await {
                kit.settle(&claim, Outcome::Nothing).await;
            }
        }
    }
    for connector in connectors {
        kit.deliver_all(connector).await;
        let backlog = kit.backlog(connector).await;
        assert_eq!((backlog.open(), backlog.scheduled), (0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn counters_equal_the_rows_they_count(steps in prop::collection::vec(step(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}
