//! The relay in a simulation: a real store and a real engine, in one process after another.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use scim_relay_sdk::connector::{Connector, OrganizationInfo, Rate, Scope, Semantics};
use scim_relay_sdk::scim::Filter;
use scim_relay_sdk::testing;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chance;
use super::directory::Directory;
use super::receiver::Receiver;
use super::record::Record;
use super::target::Desk;
use crate::clock::SharedClock;
use crate::delivery::{Backoff, Engine, LaneSettings, Shared};
use crate::metrics::Metrics;
use crate::safety::Safety;
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::memory::{Manners, Memory};
use crate::store::{ConnectorId, OrgId, Paused, Registration, Store};

/// How long a stop waits for what is in flight, as the daemon does.
const DRAIN: Duration = Duration::from_secs(30);
/// Of one step of a delivery; a hung one is cut off after six.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A connector and its target.
pub(super) struct Line {
    pub(super) target: Target,
    /// Which organizations it serves.
    pub(super) serves: Vec<usize>,
    pub(super) concurrency: usize,
    pub(super) rate: Option<Rate>,
    pub(super) settings: Settings,
    /// What it was last started with: as long as it is disabled, nothing is brought in line.
    pub(super) in_force: Settings,
    pub(super) id: ConnectorId,
    pub(super) paused: bool,
}

const SETTINGS: Settings = Settings { enabled: true, students: false, edition: 0 };

/// What a reload may change.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) enabled: bool,
    /// Only students are in scope.
    pub(super) students: bool,
    /// Of everything else in its file.
    pub(super) edition: u64,
}

pub(super) enum Target {
    Directory(Arc<Directory>),
    Receiver(Arc<Receiver>),
}

impl Target {
    pub(super) fn desk(&self) -> &Desk {
        match self {
            Self::Directory(directory) => &directory.desk,
            Self::Receiver(receiver) => &receiver.desk,
        }
    }

    fn safety(&self) -> Safety {
        match self {
            Self::Directory(directory) => directory.removals.safety(),
            Self::Receiver(_) => Safety::usual(jiff::tz::TimeZone::UTC),
        }
    }

    fn connector(&self) -> Arc<dyn Connector> {
        match self {
            Self::Directory(directory) => Arc::clone(directory) as _,
            Self::Receiver(receiver) => Arc::clone(receiver) as _,
        }
    }
}

/// What outlives a process.
pub(super) struct House {
    pub(super) record: Arc<Record>,
    pub(super) disk: Arc<Memory>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) organizations: Vec<Arc<OrganizationInfo>>,
    pub(super) lines: Vec<Line>,
    /// Until when the disk refuses writes, in milliseconds since the beginning.
    full_until: Arc<AtomicU64>,
}

/// A process.
pub(super) struct Life {
    pub(super) store: Arc<SqliteStore>,
    pub(super) organizations: Vec<OrgId>,
    shared: Shared,
    engine: Engine,
}

impl House {
    pub(super) fn new() -> Self {
        let record = Record::new();
        let full_until = Arc::new(AtomicU64::new(0));
        let disk = Memory::new({
            let (record, full_until) = (Arc::clone(&record), Arc::clone(&full_until));
            move || {
                let full =
                    record.passed() < Duration::from_millis(full_until.load(Ordering::Relaxed));
                // Mostly at once, so that time is not all that a schedule is about.
                let slow = if chance::percent(10) { 100 } else { 3 };
                Manners { before: chance::millis(slow), after: chance::millis(slow), full }
            }
        });
        let organizations = ["north", "south"].map(|key| {
            Arc::new(OrganizationInfo { key: key.into(), ..(*testing::organization()).clone() })
        });
        let line = |target: Target, serves: &[usize]| Line {
            target,
            serves: serves.to_vec(),
            concurrency: 1 + chance::throw(4) as usize,
            rate: chance::percent(30).then(|| Rate {
                count: 1 + chance::throw(20) as u32,
                per: Duration::from_secs(10),
            }),
            settings: SETTINGS,
            in_force: SETTINGS,
            id: ConnectorId(0),
            paused: false,
        };
        let desk = |name| Desk::new(name, &record);
        let directory = |name, members, keeps| {
            Target::Directory(Arc::new(Directory::new(desk(name), members, keeps)))
        };
        let lines = vec![
            line(directory("directory", true, true), &[0, 1]),
            line(directory("mirror", chance::percent(50), false), &[0]),
            line(Target::Receiver(Arc::new(Receiver::new(desk("receiver")))), &[0, 1]),
        ];
        Self {
            record,
            disk,
            metrics: Arc::default(),
            organizations: organizations.to_vec(),
            lines,
            full_until,
        }
    }

    pub(super) fn fill_the_disk_for(&self, time: Duration) {
        let until = self.record.passed() + time;
        self.full_until.store(until.as_millis() as u64, Ordering::Relaxed);
    }

    /// A process begins.
    pub(super) async fn begin(&mut self) -> Life {
        self.record.begin();
        let store = Arc::new(SqliteStore::in_memory(&self.disk));
        let clock: SharedClock = Arc::clone(&self.record) as _;
        let shared = Shared {
            store: Arc::clone(&store) as Arc<dyn Store>,
            clock,
            dice: chance::share,
            metrics: Arc::clone(&self.metrics),
            tasks: TaskTracker::new(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
        };
        let keys: Vec<_> = self.organizations.iter().map(|one| one.key.to_string()).collect();
        let organizations = until_it_works(|| store.organizations(keys.clone())).await;
        let engine = self.engine(&shared).await;
        Life { store, organizations, shared, engine }
    }

    /// Registers the connectors and starts their lanes.
    async fn engine(&mut self, shared: &Shared) -> Engine {
        let wanted: Vec<_> = self
            .lines
            .iter()
            .filter(|line| line.settings.enabled)
            .map(|line| {
                let every_event = line.target.connector().semantics() == Semantics::EveryEvent;
                Registration {
                    name: line.target.desk().name.to_owned(),
                    kind: "simulated",
                    every_event,
                    members: line.target.connector().wants_members(),
                    reads_groups: false,
                    passwords: false,
                    enabled: true,
                    backfills: true,
                    fingerprint: format!("{} {}", line.settings.edition, line.settings.students),
                    organizations: line
                        .serves
                        .iter()
                        .map(|&at| Arc::clone(&self.organizations[at].key))
                        .collect(),
                }
            })
            .collect();
        until_it_works(|| shared.store.register(wanted.clone())).await;
        let rows = until_it_works(|| shared.store.connectors()).await;
        let organizations: HashMap<_, _> =
            self.organizations.iter().map(|one| (Arc::clone(&one.key), Arc::clone(one))).collect();
        let mut lanes = Vec::new();
        for line in &mut self.lines {
            let name = line.target.desk().name;
            line.target.desk().forget_trouble();
            line.target.desk().set_pace(line.rate, line.concurrency);
            let Some(row) = rows.iter().find(|row| row.name == name) else { continue };
            line.id = row.id;
            if !line.settings.enabled {
                continue;
            }
            line.in_force = line.settings;
            let students = "userType eq \"student\"";
            lanes.push(LaneSettings {
                id: row.id,
                name: name.into(),
                connector: line.target.connector(),
                scope: Scope {
                    users: line.settings.students.then(|| Filter::parse(students).unwrap()),
                    groups: None,
                },
                organizations: organizations.clone(),
                concurrency: line.concurrency,
                rate: line.rate,
                timeout: TIMEOUT,
                backoff: Backoff {
                    first: Duration::from_secs(5),
                    longest: Duration::from_hours(1),
                },
                give_up_after: Duration::from_hours(24),
                safety: line.target.safety(),
                vault: None,
                paused: row.paused.clone(),
            });
        }
        Engine::start(shared, lanes)
    }

    pub(super) async fn reload(&mut self, life: &mut Life) {
        life.engine.stop().await;
        life.engine = self.engine(&life.shared).await;
    }

    pub(super) async fn pause(&mut self, life: &Life, at: usize, paused: bool) {
        let line = &mut self.lines[at];
        let name = line.target.desk().name;
        let word = paused.then(|| Paused {
            at: life.shared.clock.now(),
            by: "kari".to_owned(),
            why: None,
        });
        if life.store.pause(line.id, word.clone()).await.is_ok() {
            life.engine.set_paused(name, word);
            line.paused = paused;
            line.target.desk().set_paused(paused);
        }
    }
}

impl Life {
    pub(super) fn clock(&self) -> &SharedClock {
        &self.shared.clock
    }

    /// As SIGTERM ends it.
    pub(super) async fn stop(&self) {
        self.shared.soft.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(DRAIN, self.shared.tasks.wait()).await.is_err() {
            self.shared.hard.cancel();
            self.shared.tasks.wait().await;
        }
    }

    /// Whether a lane could begin something now.
    pub(super) fn is_free(&self, line: &Line) -> bool {
        let health = self.engine.health(line.target.desk().name);
        health.is_some_and(|health| {
            health.paused.is_none()
                && health.trouble.is_none()
                && health.in_flight < line.concurrency
        })
    }
}

/// As whoever starts the relay would.
async fn until_it_works<T, F: Future<Output = crate::store::Result<T>>>(work: impl Fn() -> F) -> T {
    loop {
        match work().await {
            Ok(done) => return done,
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}
