//! That a long queue, and a long log, cost nobody more than short ones: counted in steps of SQLite's
//! own machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rusqlite::Connection;
use scim_relay_sdk::connector::Action;
use scim_relay_sdk::scim::{ResourceId, ResourceKind};
use uuid::Uuid;

use super::claims::Turns;
use super::registry::Subscribers;
use super::{cases, claims, entries, fanout, millis, open, queue, registry, resources, settle};
use crate::store::{
    Claim, ConnectorId, Content, EntryFilter, Lookups, OrgId, Origin, Outcome, Reason,
    Registration, Room, Settlement, Update,
};

const NOW: Timestamp = Timestamp::constant(1_788_220_800, 0);
const ORIGIN: Origin = Origin { token: None, now: NOW };
const ROOM: Room = Room { rows: 16, retries: 8 };
const CONNECTOR: ConnectorId = ConnectorId(1);
const NORTH: OrgId = OrgId(1);

/// A directory of two organizations.
struct Scene {
    c: Connection,
    subscribers: Subscribers,
    steps: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut c = open::writer(&folder.path().join("relay.db")).unwrap();
        let organizations = ["north", "south"].map(str::to_owned);
        registry::organizations(&c, &organizations).unwrap();
        let dir = Registration {
            name: "dir".to_owned(),
            kind: "any",
            every_event: false,
            members: true,
            reads_groups: false,
            passwords: false,
            enabled: true,
            backfills: false,
            fingerprint: String::new(),
            organizations: organizations.map(Into::into).into(),
        };
        assert_eq!(registry::register(&c, &[dir]).unwrap(), [CONNECTOR]);
        let subscribers = registry::subscribers(&c).unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        c.progress_handler(1, Some(count)).unwrap();
        Self { c, subscribers, steps, _folder: folder }
    }

    /// So many of each class in each organization, all of them due; as many again are not due yet.
    fn queue(&self, rows: i64) {
        let later = millis(NOW) + 1;
        let each = format!(
            "WITH RECURSIVE n (x) AS (SELECT 0 UNION ALL SELECT x + 1 FROM n WHERE x < {rows} - 1),
                  of (place, organization, state, background, due) AS (VALUES
                      (0, 1, 0, 0, 0), (1, 1, 1, 0, 0), (2, 1, 0, 1, 0), (3, 1, 1, 0, {later}),
                      (4, 2, 0, 0, 0), (5, 2, 1, 0, 0), (6, 2, 0, 1, 0), (7, 2, 2, 1, {later})) "
        );
        self.c
            .execute_batch(&format!(
                "INSERT INTO resource (id, organization, kind, public_id, version, body, created, modified)
                 {each} SELECT 8 * x + place, organization, 0, randomblob(16), 1, '{{}}', 0, 0
                 FROM n CROSS JOIN of;
                 INSERT INTO queue (connector, resource, organization, since, mark, dirty_at, due, state,
                                    reason, entire, attempts, epoch, doubt, background)
                 {each} SELECT 1, 8 * x + place, organization, 0, 1, 0, due, state, 'change', 0, 0, 0, 0,
                               background
                 FROM n CROSS JOIN of;"
            ))
            .unwrap();
    }

    fn claim(&self, turns: &mut Turns) -> Vec<Claim> {
        assert!(claims::is_due(&self.c, CONNECTOR, ROOM, NOW).unwrap());
        let claims = claims::claim(&self.c, CONNECTOR, ROOM, NOW, turns).unwrap();
        assert!(claims::next_due(&self.c, CONNECTOR, ROOM).unwrap().unwrap() < NOW);
        claims
    }

    /// Delivers what is claimed, as lanes do.
    fn deliver(&self, claims: Vec<Claim>) {
        for claim in claims {
            let case = cases::case(&self.c, &claim, &"north".into()).unwrap().unwrap();
            let settlement = Settlement {
                mark: case.mark,
                covers: case.covers,
                member_mark: case.member_mark,
                outcome: Outcome::Delivered {
                    link: case.link,
                    revisit: None,
                    action: Action::Updated,
                },
                now: NOW,
                claim,
            };
            settle::settle(&self.c, &settlement).unwrap();
        }
    }

    /// The steps of `work`.
    fn cost(&self, work: impl FnOnce(&Self)) -> u64 {
        self.steps.store(0, Ordering::Relaxed);
        work(self);
        self.steps.load(Ordering::Relaxed)
    }
}

#[test]
fn a_claim_takes_the_same_from_a_queue_of_any_length() {
    let [short, long] = [100, 10_000].map(|rows| {
        let scene = Scene::new();
        scene.queue(rows);
        let mut turns = Turns::default();
        // The statements are compiled, and all is as usual.
        scene.claim(&mut turns);
        scene.cost(|scene| {
            let claims = scene.claim(&mut turns);
            let retries = claims.iter().filter(|claim| claim.is_retry).count();
            let background = claims.iter().filter(|claim| claim.background).count();
            let north = claims.iter().filter(|claim| claim.organization == NORTH).count();
            assert_eq!([claims.len(), retries, background, north], [16, 4, 4, 8]);
        })
    });
    assert!(short > 0 && long * 10 <= short * 11, "{short} steps, and {long}");
}

#[test]
fn everyone_is_marked_at_the_same_cost_for_each_in_an_organization_of_any_size() {
    let [small, large] = [500, 5_000].map(|rows| {
        let scene = Scene::new();
        scene.queue(rows);
        fanout::begin(&scene.c, CONNECTOR, Some(NORTH), Reason::Resync).unwrap();
        fanout::walk(&scene.c, NOW).unwrap();
        scene.cost(|scene| assert!(fanout::walk(&scene.c, NOW).unwrap()))
    });
    assert!(small > 1_000 && large * 10 <= small * 12, "{small} steps, and {large}");
}

fn content(name: &str) -> Content {
    Content {
        body: format!("{{\"displayName\":\"{name}\"}}"),
        lookups: Lookups::default(),
        changed: vec!["displayName".to_owned()],
        password: None,
    }
}

#[test]
fn a_resource_that_was_changed_often_while_the_target_was_down_costs_what_one_costs_that_was_not() {
    let [seldom, often] = [10, 2_000].map(|changes| {
        let scene = Scene::new();
        let Scene { c, subscribers, .. } = &scene;
        let (id, kind) = (ResourceId(Uuid::from_u128(7)), ResourceKind::User);
        let change = |number: usize| {
            let content = Some(content(&number.to_string()));
            let update = Update { kind, id, expected: None, content, members: Vec::new() };
            resources::update(c, subscribers, NORTH, update, ORIGIN).unwrap();
        };
        let made = content("");
        resources::create(c, subscribers, NORTH, kind, id, &made, Vec::new(), ORIGIN).unwrap();
        let mut turns = Turns::default();
        let deliver = |turns: &mut Turns| {
            let claims = claims::claim(c, CONNECTOR, ROOM, NOW, turns).unwrap();
            assert_eq!(claims.len(), 1);
            scene.deliver(claims);
        };
        deliver(&mut turns);
        let last = (0..changes).map(|number| scene.cost(|_| change(number))).last().unwrap();
        let log: i64 = c.query_row("SELECT count(*) FROM change", [], |row| row.get(0)).unwrap();
        assert_eq!(log, changes as i64 + 1);
        [last, scene.cost(|_| deliver(&mut turns))]
    });
    for (seldom, often) in std::iter::zip(seldom, often) {
        assert!(often * 10 <= seldom * 11, "{seldom} steps, and {often}");
    }
}

#[test]
fn a_page_of_one_organization_takes_the_same_whatever_others_have_waiting() {
    let [short, long] = [200, 10_000].map(|rows| {
        let scene = Scene::new();
        scene.queue(rows);
        let keys = [(NORTH, "north".into()), (OrgId(2), "south".into())].into();
        let page = |after| {
            let filter = EntryFilter {
                organizations: Some(vec![OrgId(2)]),
                after,
                limit: 20,
                ..EntryFilter::default()
            };
            entries::entries(&scene.c, &filter, &keys).unwrap()
        };
        let first = page(None);
        scene.cost(|_| {
            let second = page(first.next);
            assert_eq!(second.entries.len(), 20);
            assert!(entries::counted(&scene.c, Some(&[NORTH])).unwrap().len() > 1);
            queue::oldest(&scene.c, CONNECTOR).unwrap().unwrap();
        })
    });
    assert!(short > 0 && long * 10 <= short * 11, "{short} steps, and {long}");
}
