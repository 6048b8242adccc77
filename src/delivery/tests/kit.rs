//! A connector that does as it is told, and an engine around it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use scim_relay_sdk::connector::{
    self, Action, Connector, Delivered, DeliveryError, Gone, Link, NoOwners, OrganizationInfo,
    Preview, Rate, Scope, Semantics, Stage, Wanted, Work,
};
use scim_relay_sdk::scim::{MemberOp, MemberValue, ResourceKey, ResourceKind, fold};
use scim_relay_sdk::testing;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::{Backoff, Engine, LaneSettings, Shared};
use crate::clock::Clock;
use crate::ids;
use crate::metrics::{self, Metrics};
use crate::safety::Safety;
use crate::store::sqlite::SqliteStore;
use crate::store::{
    Actor, ConnectorId, Content, Decided, Entry, EntryFilter, Lookups, OrgId, Origin, People, Pick,
    Reason, Registration, State, Store, Stored, Update, Verdict, Written,
};
use crate::vault::Vault;

pub(super) const FIRST: Duration = Duration::from_secs(5);
pub(super) const GIVE_UP_AFTER: Duration = Duration::from_hours(24);

/// What the connector does with one delivery.
pub(super) enum Answer {
    Done,
    /// Done, and the target holds nothing of it any more.
    Gone,
    /// Removed, but for what is purged then.
    Staged(Timestamp),
    Fail(DeliveryError),
    Panic,
    /// Never ends.
    Hang,
    /// Done once the gate is open.
    WhenOpen,
}

type Script = dyn FnMut(&Work) -> Answer + Send;
type Probe = dyn FnMut() -> Answer + Send;

/// A scripted target. What it was asked is in `seen`.
pub(super) struct Fake {
    pub(super) semantics: Semantics,
    pub(super) once: Option<fn(&Work) -> Option<String>>,
    pub(super) reaches: fn(&Work) -> bool,
    pub(super) members: bool,
    pub(super) seen: Mutex<Vec<Work>>,
    pub(super) probes: AtomicUsize,
    pub(super) gate: watch::Sender<bool>,
    in_flight: AtomicUsize,
    pub(super) most: AtomicUsize,
    script: Mutex<Box<Script>>,
    probe: Mutex<Box<Probe>>,
}

impl Fake {
    pub(super) fn new(semantics: Semantics) -> Self {
        Self {
            semantics,
            once: None,
            reaches: |_| true,
            members: false,
            seen: Mutex::default(),
            probes: AtomicUsize::new(0),
            gate: watch::Sender::new(false),
            in_flight: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            script: Mutex::new(Box::new(plainly)),
            probe: Mutex::new(Box::new(|| Answer::Done)),
        }
    }

    pub(super) fn does(&self, script: impl FnMut(&Work) -> Answer + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(super) fn answers_probes(&self, probe: impl FnMut() -> Answer + Send + 'static) {
        *self.probe.lock().unwrap() = Box::new(probe);
    }

    pub(super) fn open(&self) {
        self.gate.send_replace(true);
    }

    /// userName or displayName, and title, of what it was asked to deliver, in order.
    pub(super) fn told(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(told).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(super) fn last(&self) -> Work {
        self.seen.lock().unwrap().last().expect("something was delivered").clone()
    }
}

/// What a target does that is in order.
pub(super) fn plainly(work: &Work) -> Answer {
    match &work.wanted {
        Wanted::Gone { why: Gone::Deleted, .. } => Answer::Gone,
        _ => Answer::Done,
    }
}

pub(super) fn told(work: &Work) -> String {
    let attributes = &work.wanted.resource().attributes;
    let text =
        |name: &str| attributes.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let name = text("userName");
    let what = match &work.wanted {
        Wanted::Present(_) => text("title"),
        Wanted::Gone { why: Gone::Deleted, .. } => "deleted",
        Wanted::Gone { why: Gone::OutOfScope, .. } => "out of scope",
    };
    format!("{name} {what}").trim().to_owned()
}

#[async_trait]
impl Connector for Fake {
    fn semantics(&self) -> Semantics {
        self.semantics
    }

    fn wants_members(&self) -> bool {
        self.members
    }

    fn once_key(&self, work: &Work) -> Option<String> {
        self.once?(work)
    }

    fn reaches(&self, work: &Work) -> bool {
        (self.reaches)(work)
    }

    async fn deliver(&self, work: &Work) -> Result<Delivered, DeliveryError> {
        // Without what would keep the store open.
        let seen = Work { owners: Arc::new(NoOwners), ..work.clone() };
        self.seen.lock().unwrap().push(seen);
        let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let answer = (self.script.lock().unwrap())(work);
        let stage = match work.wanted {
            Wanted::Present(_) => Stage::Active,
            Wanted::Gone { .. } => Stage::Deactivated,
        };
        let link = Link {
            target_id: work.key.id.to_string(),
            address: work.key.id.to_string(),
            hash: None,
            stage,
            since: work.now,
        };
        let action = if work.link.is_some() { Action::Updated } else { Action::Created };
        let done = Delivered { link: Some(link), revisit: None, action };
        let end = match answer {
            Answer::Done => Ok(done),
            Answer::Gone => Ok(Delivered { link: None, action: Action::Deleted, ..done }),
            Answer::Staged(until) => {
                let link = done.link.map(|link| Link { stage: Stage::Removed, ..link });
                Ok(Delivered { link, revisit: Some(until), action: Action::Moved })
            }
            Answer::Fail(error) => Err(error),
            Answer::Panic => {
                self.in_flight.fetch_sub(1, Ordering::SeqCst);
                panic!("the script says so")
            }
            Answer::Hang => std::future::pending().await,
            Answer::WhenOpen => {
                self.gate.subscribe().wait_for(|open| *open).await.unwrap();
                Ok(done)
            }
        };
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        end
    }

    async fn preview(&self, _work: &Work) -> Result<Preview, DeliveryError> {
        Ok(Preview { text: String::new() })
    }

    async fn probe(&self) -> Result<connector::Health, DeliveryError> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        let answer = (self.probe.lock().unwrap())();
        match answer {
            Answer::Fail(error) => Err(error),
            Answer::Panic => panic!("the script says so"),
            Answer::Hang => std::future::pending().await,
            _ => Ok(connector::Health { summary: "here".to_owned() }),
        }
    }
}

#[derive(Debug)]
struct SetClock {
    now: Mutex<Timestamp>,
    /// By how much somebody put it ahead.
    ahead: Mutex<Duration>,
}

impl SetClock {
    fn new() -> Self {
        let now = Mutex::new(Timestamp::constant(1_788_220_800, 0));
        Self { now, ahead: Mutex::default() }
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    fn undisturbed(&self) -> Timestamp {
        self.now() - *self.ahead.lock().unwrap()
    }
}

/// How a lane is to be, where it matters.
#[derive(Clone)]
pub(super) struct Wish {
    pub(super) concurrency: usize,
    pub(super) rate: Option<Rate>,
    pub(super) timeout: Duration,
    pub(super) scope: Option<&'static str>,
    pub(super) groups: Option<&'static str>,
    pub(super) paused: Option<crate::store::Paused>,
    /// With it, passwords are asked for.
    pub(super) vault: Option<Arc<Vault>>,
    pub(super) safety: Safety,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            concurrency: 4,
            rate: None,
            timeout: Duration::from_mins(1),
            scope: None,
            groups: None,
            paused: None,
            vault: None,
            safety: Safety::usual(TimeZone::UTC),
        }
    }
}

/// A store, a clock, and the engine when it runs.
pub(super) struct Kit {
    pub(super) store: Arc<SqliteStore>,
    pub(super) folder: TempDir,
    pub(super) metrics: Arc<Metrics>,
    pub(super) soft: CancellationToken,
    pub(super) hard: CancellationToken,
    pub(super) tasks: TaskTracker,
    clock: Arc<SetClock>,
    organization: OrgId,
    info: Arc<OrganizationInfo>,
    next_door: (OrgId, Arc<OrganizationInfo>),
    connectors: Vec<(ConnectorId, Arc<str>, Arc<Fake>, Wish)>,
    engine: Option<Engine>,
}

impl Kit {
    pub(super) async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), Arc::new(SetClock::new())).await
    }

    async fn on(folder: TempDir, clock: Arc<SetClock>) -> Self {
        let store = Arc::new(SqliteStore::open(folder.path(), |_, _| {}).unwrap());
        let info = testing::organization();
        let key: Arc<str> = "next-door".into();
        let neighbour =
            OrganizationInfo { key: Arc::clone(&key), ..OrganizationInfo::clone(&info) };
        let keys = vec![info.key.to_string(), key.to_string()];
        let [organization, next_door] = store.organizations(keys).await.unwrap()[..] else {
            panic!("two were asked for")
        };
        Self {
            store,
            folder,
            metrics: Arc::default(),
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            tasks: TaskTracker::new(),
            clock,
            organization,
            info,
            next_door: (next_door, Arc::new(neighbour)),
            connectors: Vec::new(),
            engine: None,
        }
    }

    /// A kit with one connector, called `target`, that runs.
    pub(super) async fn running(fake: Fake, wish: Wish) -> (Self, Arc<Fake>) {
        let mut kit = Self::new().await;
        let fake = kit.add("target", fake, wish).await;
        kit.start();
        (kit, fake)
    }

    pub(super) async fn add(&mut self, name: &str, fake: Fake, wish: Wish) -> Arc<Fake> {
        let fake = Arc::new(fake);
        self.connectors.push((ConnectorId(0), name.into(), Arc::clone(&fake), wish));
        let registrations = self.connectors.iter().map(|(_, name, fake, wish)| Registration {
            name: name.to_string(),
            kind: "fake",
            every_event: fake.semantics == Semantics::EveryEvent,
            members: fake.members,
            reads_groups: false,
            passwords: wish.vault.is_some(),
            enabled: true,
            backfills: true,
            fingerprint: String::new(),
            organizations: vec![Arc::clone(&self.info.key), Arc::clone(&self.next_door.1.key)],
        });
        let ids = self.store.register(registrations.collect()).await.unwrap();
        for (connector, id) in self.connectors.iter_mut().zip(ids) {
            connector.0 = id;
        }
        fake
    }

    pub(super) fn start(&mut self) {
        let shared = Shared {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            dice: super::super::dice,
            metrics: Arc::clone(&self.metrics),
            tasks: self.tasks.clone(),
            soft: self.soft.clone(),
            hard: self.hard.clone(),
        };
        let lanes = self.connectors.iter().map(|(id, name, fake, wish)| LaneSettings {
            id: *id,
            name: Arc::clone(name),
            connector: Arc::clone(fake) as Arc<dyn Connector>,
            scope: Scope {
                users: wish.scope.map(|text| scim_relay_sdk::scim::Filter::parse(text).unwrap()),
                groups: wish.groups.map(|text| scim_relay_sdk::scim::Filter::parse(text).unwrap()),
            },
            organizations: [&self.info, &self.next_door.1]
                .map(|info| (Arc::clone(&info.key), Arc::clone(info)))
                .into(),
            concurrency: wish.concurrency,
            rate: wish.rate,
            timeout: wish.timeout,
            backoff: Backoff { first: FIRST, longest: Duration::from_hours(1) },
            give_up_after: GIVE_UP_AFTER,
            safety: wish.safety.clone(),
            vault: wish.vault.clone(),
            paused: wish.paused.clone(),
        });
        self.engine = Some(Engine::start(&shared, lanes.collect()));
    }

    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it was started")
    }

    /// A new process on the same folder and with the same connectors, not yet started. The old one
    /// is cut off where it is.
    pub(super) async fn cut_off_and_reopened(self) -> Self {
        self.hard.cancel();
        self.soft.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let Self { store, folder, clock, connectors, engine, .. } = self;
        drop(engine);
        store.close().await;
        drop(store);
        let mut kit = Self::on(folder, clock).await;
        for (_, name, fake, wish) in connectors {
            let fake = Arc::try_unwrap(fake).ok().expect("nobody else has it");
            kit.add(&name, fake, wish).await;
        }
        kit
    }

    pub(super) fn fake(&self) -> Arc<Fake> {
        Arc::clone(&self.connectors[0].2)
    }

    pub(super) fn id(&self) -> ConnectorId {
        self.connectors[0].0
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Somebody sets the clock, and no time passes.
    pub(super) async fn put_ahead(&self, by: Duration) {
        *self.clock.ahead.lock().unwrap() += by;
        self.pass(by).await;
    }

    /// Moves the clock, and has the lanes look at it.
    pub(super) async fn pass(&self, time: Duration) {
        *self.clock.now.lock().unwrap() += time;
        self.store.mark(self.id(), Vec::new(), Reason::Resync, self.now()).await.unwrap();
    }

    fn origin(&self) -> Origin {
        Origin { token: None, now: self.now() }
    }

    pub(super) async fn user(&self, name: &str) -> Stored {
        self.user_in(self.organization, name).await
    }

    /// A user of the other organization that the connectors serve.
    pub(super) async fn neighbour(&self, name: &str) -> Stored {
        self.user_in(self.next_door.0, name).await
    }

    async fn user_in(&self, organization: OrgId, name: &str) -> Stored {
        let id = ids::resource_id(self.now());
        let kind = ResourceKind::User;
        let content = content(name, "");
        let written =
            self.store.create(organization, kind, id, content, Vec::new(), self.origin()).await;
        match written.unwrap() {
            Written::Done { stored, .. } => stored,
            other => panic!("not written: {other:?}"),
        }
    }

    pub(super) async fn group(&self, name: &str, members: &[&Stored]) -> Stored {
        let (id, kind) = (ids::resource_id(self.now()), ResourceKind::Group);
        let members = members.iter().map(|member| member.id.to_string()).collect();
        let written = self
            .store
            .create(self.organization, kind, id, group(name), members, self.origin())
            .await;
        match written.unwrap() {
            Written::Done { stored, .. } => stored,
            other => panic!("not written: {other:?}"),
        }
    }

    pub(super) async fn rename(&self, of: &Stored, name: &str) {
        let content = Some(group(name));
        let update =
            Update { kind: of.kind, id: of.id, expected: None, content, members: Vec::new() };
        let written = self.store.update(self.organization, update, self.origin()).await.unwrap();
        assert!(matches!(written, Written::Done { changed: true, .. }), "{written:?}");
    }

    pub(super) async fn change(&self, user: &Stored, name: &str, title: &str) {
        let content = Some(content(name, title));
        let update =
            Update { kind: user.kind, id: user.id, expected: None, content, members: Vec::new() };
        let written = self.store.update(self.organization, update, self.origin()).await.unwrap();
        assert!(matches!(written, Written::Done { changed: true, .. }), "{written:?}");
    }

    /// Gives a user a password, and changes nothing else.
    pub(super) async fn set_password(&self, user: &Stored, name: &str, vault: &Vault, to: &str) {
        let organization = Arc::clone(&self.info.key);
        let key = ResourceKey { organization, kind: user.kind, id: user.id };
        let content = content(name, "").with_password(Some(vault.seal(&key, &to.into())));
        let (expected, members) = (None, Vec::new());
        let update =
            Update { kind: user.kind, id: user.id, expected, content: Some(content), members };
        let written = self.store.update(self.organization, update, self.origin()).await.unwrap();
        assert!(matches!(written, Written::Done { changed: true, .. }), "{written:?}");
    }

    pub(super) async fn replace_members(&self, group: &Stored, members: &[&Stored]) {
        let value = |of: &&Stored| MemberValue { value: of.id.to_string(), kind: None };
        let members = vec![MemberOp::Replace(members.iter().map(value).collect())];
        let update =
            Update { kind: group.kind, id: group.id, expected: None, content: None, members };
        let written = self.store.update(self.organization, update, self.origin()).await.unwrap();
        assert!(matches!(written, Written::Done { changed: true, .. }), "{written:?}");
    }

    pub(super) async fn delete(&self, user: &Stored) {
        let origin = self.origin();
        self.store.delete(self.organization, user.kind, user.id, None, origin).await.unwrap();
    }

    pub(super) async fn entries_of(&self, index: usize) -> Vec<Entry> {
        let connector = Some(self.connectors[index].0);
        let filter = EntryFilter { connector, limit: 10_000, ..EntryFilter::default() };
        self.store.entries(filter).await.unwrap().entries
    }

    pub(super) async fn entries(&self) -> Vec<Entry> {
        self.entries_of(0).await
    }

    pub(super) async fn entry(&self, of: &Stored) -> Option<Entry> {
        self.entries().await.into_iter().find(|entry| entry.id == of.id)
    }

    /// Waits until a resource is in this state, and nobody works on it.
    pub(super) async fn until(&self, of: &Stored, state: State) -> Entry {
        let mut found = None;
        eventually(&format!("{state:?}"), async || {
            found = self.entry(of).await.filter(|entry| entry.state == state && !entry.in_flight);
            found.is_some()
        })
        .await;
        found.expect("it was found")
    }

    /// A person says yes to what this one is held for.
    pub(super) async fn approve(&self, of: &Stored) {
        let organization = Arc::clone(&self.info.key);
        let key = ResourceKey { organization, kind: of.kind, id: of.id };
        let picks = vec![Pick { key, mark: None }];
        let by = Actor::unix("user kari".to_owned());
        let decided = self
            .store
            .decide(self.id(), picks, Verdict::Approve(None), by, self.now())
            .await
            .unwrap();
        assert_eq!(decided, [Decided::Done]);
    }

    /// Waits until everybody is in line.
    pub(super) async fn until_idle(&self) {
        eventually("an empty queue", async || self.entries().await.is_empty()).await;
    }

    /// Waits until the lane of `target` has looked at everything that there is.
    pub(super) async fn until_nobody_works(&self) {
        eventually("nobody in flight", async || {
            let entries = self.entries().await;
            let health = self.engine().health("target").unwrap();
            health.in_flight == 0 && entries.iter().all(|entry| !entry.in_flight)
        })
        .await;
    }

    pub(super) fn counted(&self, outcome: &str) -> u64 {
        let label =
            metrics::Delivery { connector: "target".to_owned(), outcome: outcome.to_owned() };
        self.metrics.deliveries.get_or_create(&label).get()
    }

    pub(super) fn execute(&self, statement: &str) {
        let file = self.folder.path().join(crate::store::sqlite::FILE);
        rusqlite::Connection::open(file).unwrap().execute_batch(statement).unwrap();
    }
}

fn content(name: &str, title: &str) -> Content {
    let body = json!({ "userName": name, "title": title });
    let lookups = Lookups { user_name: Some(fold(name)), ..Lookups::default() };
    Content { body: body.to_string(), lookups, changed: vec!["title".to_owned()], password: None }
}

fn group(name: &str) -> Content {
    let lookups = Lookups { display_name: Some(fold(name)), ..Lookups::default() };
    let body = json!({ "displayName": name }).to_string();
    Content { body, lookups, changed: vec!["displayName".to_owned()], password: None }
}

/// Waits for a condition, and not for longer than anything here should take.
pub(super) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
    assert!(waited.is_ok(), "waited in vain: {what}");
}

pub(super) fn busy() -> Answer {
    Answer::Fail(DeliveryError::later("503"))
}

pub(super) fn refused() -> Answer {
    Answer::Fail(DeliveryError::refused("no such title"))
}

pub(super) fn unreachable() -> Answer {
    Answer::Fail(DeliveryError::Unreachable { what: "connection refused".to_owned(), source: None })
}

/// Whether the work is about a person of this name.
pub(super) fn is(work: &Work, name: &str) -> bool {
    told(work).split(' ').next() == Some(name)
}
