//! That what is done to one member costs the same in a group of any size: counted in steps of
//! SQLite's own machine, which take their time whatever else runs here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use rusqlite::{Connection, params};
use scim_relay_sdk::connector::{Action, Link, MemberDelta, Stage};
use scim_relay_sdk::scim::{
    Filter, MemberFilter, MemberOp, MemberValue, ResourceId, ResourceKind, Schemas, Start,
};
use uuid::Uuid;

use super::claims::Turns;
use super::list::List;
use super::registry::Subscribers;
use super::{cases, claims, open, registry, resources, settle};
use crate::store::{
    ConnectorId, Content, ListRequest, Listing, Lookups, OrgId, Origin, Outcome, Registration,
    Room, Scribe, Settlement, Update, Wanted,
};

const NOW: Timestamp = Timestamp::constant(1_788_220_800, 0);
const ROOM: Room = Room { rows: 10, retries: 10 };
const ORIGIN: Origin = Origin { token: None, now: NOW };
/// The group's own id; its members' are 1 and so on.
const GROUP: ResourceId = ResourceId(Uuid::from_u128(u128::MAX));

/// A group with so many members, and two more people, at a directory that holds all of it and at
/// a receiver of events. The directory reads people's groups as well.
struct Scene {
    c: Connection,
    subscribers: Subscribers,
    organization: OrgId,
    connectors: [ConnectorId; 2],
    size: u128,
    steps: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new(size: u128) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut c = open::writer(&folder.path().join("relay.db")).unwrap();
        let organization = registry::organizations(&c, &["north".to_owned()]).unwrap()[0];
        let wanted = [true, false].map(|state| Registration {
            name: if state { "dir" } else { "hook" }.to_owned(),
            kind: "any",
            every_event: !state,
            members: state,
            reads_groups: state,
            passwords: false,
            enabled: true,
            backfills: false,
            fingerprint: String::new(),
            organizations: vec!["north".into()],
        });
        let connectors: [ConnectorId; 2] =
            registry::register(&c, &wanted).unwrap().try_into().unwrap();
        c.execute_batch("BEGIN").unwrap();
        for number in 1..=size + 2 {
            person(&c, organization, number);
        }
        let subscribers = Subscribers::default();
        let members = (1..=size).map(|number| id(number).to_string()).collect();
        let content = content("choir");
        let kind = ResourceKind::Group;
        resources::create(&c, &subscribers, organization, kind, GROUP, &content, members, ORIGIN)
            .unwrap();
        // Everything is at the directory.
        c.execute(
            "INSERT INTO link (connector, resource, target_id, address, seq, stage, since)
             SELECT ?1, id, id, id, 0, 0, 0 FROM resource",
            [connectors[0].0],
        )
        .unwrap();
        c.execute_batch("COMMIT").unwrap();
        let subscribers = registry::subscribers(&c).unwrap();
        let steps = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&steps);
        let count = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        c.progress_handler(1, Some(count)).unwrap();
        Self { c, subscribers, organization, connectors, size, steps, _folder: folder }
    }

    /// What `work` takes, the second time: its statements are compiled, and all is as usual.
    fn cost(&self, work: impl Fn(&Self, u128)) -> u64 {
        self.c.execute_batch("BEGIN").unwrap();
        work(self, 1);
        self.steps.store(0, Ordering::Relaxed);
        work(self, 2);
        self.steps.load(Ordering::Relaxed)
    }

    fn write(&self, members: Vec<MemberOp>) {
        let kind = ResourceKind::Group;
        let update = Update { kind, id: GROUP, expected: None, content: None, members };
        resources::update(&self.c, &self.subscribers, self.organization, update, ORIGIN).unwrap();
    }

    /// Delivers whatever is due, as lanes do.
    fn deliver(&self) {
        for connector in self.connectors {
            let mut turns = Turns::default();
            for claim in claims::claim(&self.c, connector, ROOM, NOW, &mut turns).unwrap() {
                let case = cases::case(&self.c, &claim, &"north".into()).unwrap().unwrap();
                if let Some(MemberDelta::All(_)) = case.members {
                    panic!("the whole group was read");
                }
                let settlement = Settlement {
                    mark: case.mark,
                    covers: case.covers,
                    member_mark: case.member_mark,
                    outcome: Outcome::Delivered {
                        link: Some(case.link.unwrap_or_else(|| link(claim.resource.0))),
                        revisit: None,
                        action: Action::Updated,
                    },
                    now: NOW,
                    claim,
                };
                settle::settle(&self.c, &settlement).unwrap();
            }
        }
        let left: i64 =
            self.c.query_row("SELECT count(*) FROM queue", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0, "everything was delivered");
    }

    fn member(&self, beyond: u128) -> MemberValue {
        MemberValue { value: id(self.size + beyond).to_string(), kind: None }
    }
}

fn id(number: u128) -> ResourceId {
    ResourceId(Uuid::from_u128(number))
}

fn removed(filter: &str) -> MemberOp {
    MemberOp::RemoveWhere(MemberFilter::new(Filter::parse(filter).unwrap()).unwrap())
}

fn content(name: &str) -> Content {
    Content {
        body: format!("{{\"id\":\"{GROUP}\",\"displayName\":\"{name}\"}}"),
        lookups: Lookups::default(),
        changed: Vec::new(),
        password: None,
    }
}

fn person(c: &Connection, organization: OrgId, number: u128) {
    c.prepare_cached(
        "INSERT INTO resource (organization, kind, public_id, version, body, created, modified)
         VALUES (?1, 0, ?2, 1, '{}', 0, 0)",
    )
    .unwrap()
    .execute(params![organization.0, id(number).0.as_bytes()])
    .unwrap();
}

fn link(row: i64) -> Link {
    let (target_id, address) = (format!("at {row}"), format!("at {row}"));
    Link { target_id, address, hash: None, stage: Stage::Active, since: NOW }
}

/// `work` takes no more steps in a group of 5,000 than in one of 50.
#[track_caller]
fn check(work: impl Fn(&Scene, u128)) {
    let [small, large] = [50, 5_000].map(|size| Scene::new(size).cost(&work));
    assert!(small > 0 && large * 10 <= small * 11, "{small} steps, and {large}");
}

/// `work` takes no more than in proportion.
#[track_caller]
fn check_linear(work: impl Fn(&Scene, u128)) {
    let [small, large] = [500, 5_000].map(|size| Scene::new(size).cost(&work));
    assert!(small > 500 && large <= small * 11, "{small} steps, and {large}");
}

#[test]
fn one_member_comes_and_goes_at_the_same_cost_in_any_group() {
    check(|scene, _| {
        scene.write(vec![MemberOp::Add(vec![scene.member(1)])]);
        scene.deliver();
        scene.write(vec![MemberOp::Remove(vec![scene.member(1).value])]);
        scene.deliver();
        scene.write(vec![MemberOp::Add(vec![scene.member(1)])]);
        scene.deliver();
        let value = scene.member(1).value;
        scene.write(vec![removed(&format!("value eq \"{value}\" and type eq \"User\""))]);
        scene.deliver();
    });
}

#[test]
fn a_member_who_is_there_already_costs_the_same_in_any_group_and_changes_nothing() {
    check(|scene, _| {
        let log = || -> (i64, i64) {
            let query = "SELECT version, (SELECT max(seq) FROM change) FROM resource
                         WHERE organization = ?1 AND kind = 1 AND public_id = ?2";
            let of = params![scene.organization.0, GROUP.0.as_bytes()];
            scene.c.query_row(query, of, |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
        };
        let before = log();
        scene.write(vec![MemberOp::Add(vec![scene.member(0)])]);
        assert_eq!(log(), before);
    });
}

#[test]
fn somebody_deleted_leaves_at_the_same_cost_any_group() {
    check(|scene, round| {
        let member = scene.member(round);
        let id = ResourceId::parse(&member.value).unwrap();
        scene.write(vec![MemberOp::Add(vec![member])]);
        let Scene { c, subscribers, organization, .. } = scene;
        let kind = ResourceKind::User;
        resources::delete(c, subscribers, *organization, kind, id, None, ORIGIN).unwrap();
    });
}

/// How Entra ID asks: `id eq "…" and members[value eq "…"]`.
#[test]
fn whether_somebody_is_in_a_group_is_told_at_the_same_cost_of_any_group() {
    check(|scene, _| {
        for (beyond, expected) in [(0, 1), (1, 0)] {
            let member = scene.member(beyond).value;
            for condition in ["members[value eq \"U\"]", "members eq \"U\" and displayName pr"] {
                let condition = condition.replace('U', &member);
                let filter = format!("id eq \"{GROUP}\" and {condition}");
                let request = ListRequest {
                    base: "".into(),
                    kinds: vec![Wanted { kind: ResourceKind::Group, memberships: false }],
                    filter: Some(Filter::parse(&filter).unwrap()),
                    sort: None,
                    start: Start::Index(1),
                    count: 1,
                };
                let list = List::new(scene.organization, &Schemas::builtin(), request, [0; 32]);
                assert!(list.is_quick());
                let mut scribe: Scribe = Box::new(|_, _| Ok(String::new()));
                let listing = list.read(&scene.c, &mut scribe).unwrap();
                assert!(matches!(listing, Listing::Page(page) if page.total == expected));
            }
        }
    });
}

#[test]
fn members_are_found_by_a_filter_in_proportion_to_the_group() {
    check_linear(|scene, _| {
        scene.write(vec![MemberOp::Add(vec![scene.member(1)])]);
        let value = scene.member(1).value;
        scene.write(vec![removed(&format!("value ge \"{value}\""))]);
    });
}

#[test]
fn a_whole_group_is_exchanged_in_proportion_to_its_size() {
    check_linear(|scene, _| {
        let everybody = |range: std::ops::RangeInclusive<u128>| {
            range.map(|number| MemberValue { value: id(number).to_string(), kind: None }).collect()
        };
        scene.write(vec![MemberOp::RemoveAll]);
        scene.write(vec![MemberOp::Add(everybody(1..=scene.size))]);
        scene.write(vec![MemberOp::Replace(everybody(2..=scene.size + 1))]);
        scene.write(vec![MemberOp::Replace(everybody(1..=scene.size))]);
    });
}
