//! A store in a temporary folder, and short words for what tests do to it.

use std::cell::Cell;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use scim_relay_sdk::connector::{Action, HoldKind, Link, Stage};
use scim_relay_sdk::scim::{
    Filter, MemberOp, MemberValue, Membership, ResourceId, ResourceKey, ResourceKind, Schemas,
    Start, fold,
};
use serde_json::json;
use tempfile::TempDir;

use crate::ids;
use crate::store::sqlite::{FILE, SqliteStore};
use crate::store::{
    Actor, Backlog, Case, Claim, ConnectorId, Content, Decided, Deletion, Entry, EntryFilter, Held,
    HeldFilter, HeldPlace, ListRequest, Listing, Lookups, Memberships, NewToken, OrgId, Origin,
    Outcome, People, Pick, Registration, Result, Room, Scribe, Settlement, State, Store, Stored,
    Touch, Update, Verdict, Wanted, Written,
};

pub(super) const NORTH: &str = "north";
pub(super) const SOUTH: &str = "south";

/// Two organizations, and a clock that only tests move.
pub(super) struct Kit {
    pub(super) store: SqliteStore,
    pub(super) folder: TempDir,
    pub(super) north: OrgId,
    pub(super) south: OrgId,
    pub(super) clock: Cell<Timestamp>,
    registered: Vec<Registration>,
}

impl Kit {
    pub(super) async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    async fn on(folder: TempDir) -> Self {
        let store = SqliteStore::open(folder.path(), |_, _| {}).unwrap();
        let organizations = store.organizations(vec![NORTH.to_owned(), SOUTH.to_owned()]).await;
        let [north, south] = organizations.unwrap()[..] else { panic!("two were asked for") };
        let clock = Cell::new(Timestamp::constant(1_788_220_800, 0));
        Self { store, folder, north, south, clock, registered: Vec::new() }
    }

    /// A new process on the same folder; what the old one had claimed was never settled.
    pub(super) async fn reopened(self) -> Self {
        let Self { store, folder, clock, registered, .. } = self;
        store.close().await;
        drop(store);
        let mut kit = Self::on(folder).await;
        (kit.clock, kit.registered) = (clock, registered);
        kit
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.get()
    }

    /// The token of the north's provider.
    pub(super) fn new_token(&self) -> NewToken {
        NewToken {
            organization: self.north,
            lookup: "abc".to_owned(),
            hash: [7; 32],
            name: "entra".to_owned(),
            read_only: false,
            created: self.now(),
            expires: None,
            made_by: Some("ingrid".to_owned()),
            replaces: None,
        }
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.set(self.now() + time);
    }

    pub(super) fn origin(&self) -> Origin {
        Origin { token: None, now: self.now() }
    }

    /// What the configuration names, as it is loaded anew.
    pub(super) async fn register(&mut self, registration: Registration) -> ConnectorId {
        self.registered.retain(|known| known.name != registration.name);
        self.registered.push(registration);
        *self.store.register(self.registered.clone()).await.unwrap().last().unwrap()
    }

    /// Its file is gone.
    pub(super) async fn unregister(&mut self, name: &str) {
        self.registered.retain(|known| known.name != name);
        self.store.register(self.registered.clone()).await.unwrap();
    }

    /// A connector that wants the newest state, groups and their members.
    pub(super) async fn directory(&mut self) -> ConnectorId {
        self.register(directory()).await
    }

    /// A connector that wants each change.
    pub(super) async fn hook(&mut self) -> ConnectorId {
        self.register(hook()).await
    }

    pub(super) async fn created(
        &self,
        content: Content,
        kind: ResourceKind,
        members: &[&Stored],
    ) -> Written {
        let members = members.iter().map(|member| member.id.to_string()).collect();
        let id = ids::resource_id(self.now());
        self.store.create(self.north, kind, id, content, members, self.origin()).await.unwrap()
    }

    pub(super) async fn user(&self, name: &str) -> Stored {
        done(self.created(user(name), ResourceKind::User, &[]).await)
    }

    /// Many at once, `user0` and so on: they share commits.
    pub(super) async fn users(&self, count: usize) -> Vec<Stored> {
        let names: Vec<_> = (0..count).map(|number| format!("user{number}")).collect();
        join_all(names.iter().map(|name| self.user(name))).await
    }

    /// Many changes of one, titled `0` and so on, in that order.
    pub(super) async fn changes(&self, user: &Stored, name: &str, count: usize) {
        let titles: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        join_all(titles.iter().map(|title| self.change(user, name, title))).await;
    }

    pub(super) async fn user_in(&self, organization: OrgId, name: &str) -> Stored {
        let id = ids::resource_id(self.now());
        let kind = ResourceKind::User;
        let written =
            self.store.create(organization, kind, id, user(name), Vec::new(), self.origin()).await;
        done(written.unwrap())
    }

    pub(super) async fn group(&self, name: &str, members: &[&Stored]) -> Stored {
        done(self.created(group(name), ResourceKind::Group, members).await)
    }

    pub(super) async fn update(
        &self,
        of: &Stored,
        content: Option<Content>,
        members: Vec<MemberOp>,
    ) -> Written {
        let update = Update { kind: of.kind, id: of.id, expected: None, content, members };
        self.store.update(self.north, update, self.origin()).await.unwrap()
    }

    /// Gives a user another title.
    pub(super) async fn change(&self, user: &Stored, name: &str, title: &str) -> Stored {
        done(self.update(user, Some(titled(name, title)), Vec::new()).await)
    }

    pub(super) async fn add(&self, group: &Stored, members: &[&Stored]) -> Stored {
        done(self.update(group, None, vec![MemberOp::Add(values(members))]).await)
    }

    pub(super) async fn remove(&self, group: &Stored, members: &[&Stored]) -> Stored {
        let ids = members.iter().map(|member| member.id.to_string()).collect();
        done(self.update(group, None, vec![MemberOp::Remove(ids)]).await)
    }

    pub(super) async fn delete(&self, stored: &Stored) {
        let deletion = self
            .store
            .delete(self.north, stored.kind, stored.id, None, self.origin())
            .await
            .unwrap();
        assert_eq!(deletion, Deletion::Done);
    }

    /// A group's members or a user's groups, as they are served.
    pub(super) async fn memberships(&self, of: &Stored) -> Vec<Membership> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let scribe: Scribe = Box::new(move |_, memberships| {
            memberships.each(&mut |one| tell.lock().unwrap().push(one))?;
            Ok(String::new())
        });
        self.store.write_out(self.north, of.kind, of.id, scribe).await.unwrap().expect("it lives");
        std::mem::take(&mut told.lock().unwrap())
    }

    pub(super) async fn claim(&self, connector: ConnectorId) -> Vec<Claim> {
        self.claim_some(connector, 1_000).await
    }

    pub(super) async fn claim_some(&self, connector: ConnectorId, rows: usize) -> Vec<Claim> {
        let room = Room { rows, retries: rows };
        self.store.claim(connector, room, self.now()).await.unwrap()
    }

    /// The claim of this one resource; others are given back.
    pub(super) async fn claim_of(&self, connector: ConnectorId, of: &Stored) -> Option<Claim> {
        let mut found = None;
        for claim in self.claim(connector).await {
            if claim.resource == of.row {
                found = Some(claim);
            } else {
                self.settle(&claim, Outcome::Released).await;
            }
        }
        found
    }

    pub(super) async fn case(&self, claim: &Claim) -> Case {
        self.store.case(claim).await.unwrap().expect("there is something to do")
    }

    pub(super) async fn settle(&self, claim: &Claim, outcome: Outcome) {
        let case = self.store.case(claim).await.unwrap();
        self.settle_as(claim, case.as_ref(), outcome).await;
    }

    /// Settles what was read before.
    pub(super) async fn settle_as(&self, claim: &Claim, case: Option<&Case>, outcome: Outcome) {
        let settlement = Settlement {
            claim: claim.clone(),
            mark: case.map_or(claim.mark, |case| case.mark),
            covers: case.map_or(claim.since - 1, |case| case.covers),
            member_mark: case.map_or(0, |case| case.member_mark),
            outcome,
            now: self.now(),
        };
        self.store.settle(settlement).await.unwrap();
    }

    /// Carries out everything that is due, with success; deleted resources are let go of.
    pub(super) async fn deliver_all(&self, connector: ConnectorId) -> usize {
        let mut delivered = 0;
        loop {
            let claims = self.claim(connector).await;
            if claims.is_empty() {
                return delivered;
            }
            delivered += claims.len();
            join_all(claims.iter().map(async |claim| {
                let case = self.store.case(claim).await.unwrap();
                let there = case.as_ref().is_some_and(|case| !case.deleted);
                let outcome =
                    if there { linked(&format!("at-{}", claim.resource.0)) } else { unlinked() };
                self.settle_as(claim, case.as_ref(), outcome).await;
            }))
            .await;
        }
    }

    pub(super) async fn entries(&self, connector: ConnectorId) -> Vec<Entry> {
        let filter =
            EntryFilter { connector: Some(connector), limit: 10_000, ..EntryFilter::default() };
        self.store.entries(filter).await.unwrap().entries
    }

    /// The only entry there is.
    #[track_caller]
    pub(super) fn only(entries: Vec<Entry>) -> Entry {
        let [entry] = <[Entry; 1]>::try_from(entries).expect("one entry");
        entry
    }

    pub(super) async fn state_of(&self, connector: ConnectorId, of: &Stored) -> Option<State> {
        self.entries(connector)
            .await
            .into_iter()
            .find(|entry| entry.id == of.id)
            .map(|entry| entry.state)
    }

    pub(super) async fn touch(&self, connector: ConnectorId, touch: Touch) -> u64 {
        let filter = EntryFilter { connector: Some(connector), ..EntryFilter::default() };
        self.store.touch(filter, touch, None, self.now()).await.unwrap().into_values().sum()
    }

    /// Decides about all that is held; how many were decided.
    pub(super) async fn decide(&self, connector: ConnectorId, verdict: Verdict) -> usize {
        let after = HeldPlace::default();
        let filter = HeldFilter {
            connector: Some(connector),
            kind: None,
            organizations: None,
            after,
            limit: 10_000,
        };
        let held = self.store.held(filter).await.unwrap().held;
        let pick = |held: Held| {
            let organization = held.organization.into();
            let key = ResourceKey { organization, kind: held.kind, id: held.id };
            Pick { key, mark: Some(held.mark) }
        };
        let picks = held.into_iter().map(pick).collect();
        let by = Actor::unix("user kari".to_owned());
        let decided = self.store.decide(connector, picks, verdict, by, self.now()).await.unwrap();
        decided.into_iter().filter(|decided| *decided == Decided::Done).count()
    }

    pub(super) async fn backlog(&self, connector: ConnectorId) -> Backlog {
        let rows = self.store.connectors().await.unwrap();
        rows.into_iter().find(|row| row.id == connector).expect("it is registered").backlog
    }

    pub(super) async fn links(&self, connector: ConnectorId) -> u64 {
        let rows = self.store.connectors().await.unwrap();
        rows.into_iter().find(|row| row.id == connector).expect("it is registered").links
    }

    pub(super) async fn walk_to_the_end(&self) -> usize {
        let mut chunks = 0;
        while self.store.walk_fanout(self.now()).await.unwrap() {
            chunks += 1;
        }
        chunks
    }

    pub(super) async fn list(
        &self,
        kind: ResourceKind,
        filter: Option<&str>,
        offset: usize,
        count: usize,
    ) -> Page {
        let start = Start::Index(offset + 1);
        let request = ListRequest { start, count, ..request(&[kind], filter.unwrap_or_default()) };
        self.page(request).await
    }

    pub(super) async fn page(&self, request: ListRequest) -> Page {
        self.page_written(request, Box::new(ids_beside)).await
    }

    /// Each of the resources, as it is kept and as `scribe` writes it down.
    pub(super) async fn page_written(&self, request: ListRequest, mut scribe: Scribe) -> Page {
        let (show, shown) = mpsc::channel();
        let scribe: Scribe = Box::new(move |stored, memberships| {
            show.send(stored.clone()).unwrap();
            scribe(stored, memberships)
        });
        let listing = self.store.list(self.north, &Schemas::builtin(), request, scribe).await;
        let Listing::Page(page) = listing.unwrap() else { panic!("no page") };
        let resources = shown.into_iter().zip(page.resources);
        let resources = resources.map(|(stored, text)| Listed { stored, text }).collect();
        Page { total: page.total, resources, next: page.next }
    }

    pub(super) async fn listing(&self, organization: OrgId, request: ListRequest) -> Listing {
        let scribe: Scribe = Box::new(ids_beside);
        self.store.list(organization, &Schemas::builtin(), request, scribe).await.unwrap()
    }

    /// How many rows a table has: what the trait shows to nobody.
    pub(super) fn rows(&self, table: &str) -> i64 {
        self.query(&format!("SELECT count(*) FROM {table}"))
    }

    pub(super) fn query(&self, query: &str) -> i64 {
        let file = self.folder.path().join(FILE);
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    }

    pub(super) fn key(of: &Stored) -> ResourceKey {
        ResourceKey { organization: NORTH.into(), kind: of.kind, id: of.id }
    }
}

/// A page as a test looks at it.
pub(super) struct Page {
    pub(super) total: usize,
    pub(super) resources: Vec<Listed>,
    pub(super) next: Option<String>,
}

pub(super) struct Listed {
    pub(super) stored: Stored,
    pub(super) text: String,
}

/// Writes a resource down as the ids of its memberships.
fn ids_beside(_: &Stored, memberships: &mut dyn Memberships) -> Result<String> {
    let mut ids = Vec::new();
    memberships.each(&mut |one| ids.push(one.id.to_string()))?;
    Ok(ids.join(" "))
}

/// The first page of these types, with what comes with each.
pub(super) fn request(kinds: &[ResourceKind], filter: &str) -> ListRequest {
    ListRequest {
        base: "https://x".into(),
        kinds: kinds.iter().map(|&kind| Wanted { kind, memberships: true }).collect(),
        filter: (!filter.is_empty()).then(|| Filter::parse(filter).unwrap()),
        sort: None,
        start: Start::Index(1),
        count: 100,
    }
}

pub(super) fn directory() -> Registration {
    Registration {
        name: "dir".to_owned(),
        kind: "ldap",
        every_event: false,
        members: true,
        reads_groups: false,
        passwords: false,
        enabled: true,
        backfills: true,
        fingerprint: "1".to_owned(),
        organizations: vec![NORTH.into(), SOUTH.into()],
    }
}

pub(super) fn hook() -> Registration {
    Registration {
        name: "hook".to_owned(),
        kind: "webhook",
        every_event: true,
        members: false,
        ..directory()
    }
}

#[track_caller]
pub(super) fn done(written: Written) -> Stored {
    match written {
        Written::Done { stored, .. } => stored,
        other => panic!("not written: {other:?}"),
    }
}

pub(super) fn user(name: &str) -> Content {
    titled(name, "")
}

pub(super) fn titled(name: &str, title: &str) -> Content {
    let lookups = Lookups {
        user_name: Some(fold(name)),
        external_id: Some(format!("ext-{name}")),
        ..Lookups::default()
    };
    let body = json!({ "userName": name, "displayName": name, "externalId": format!("ext-{name}"), "title": title });
    Content { body: body.to_string(), lookups, changed: vec!["title".to_owned()], password: None }
}

pub(super) fn group(name: &str) -> Content {
    let lookups = Lookups { display_name: Some(fold(name)), ..Lookups::default() };
    let body = json!({ "displayName": name });
    Content {
        body: body.to_string(),
        lookups,
        changed: vec!["displayName".to_owned()],
        password: None,
    }
}

pub(super) fn values(members: &[&Stored]) -> Vec<MemberValue> {
    let value = |id: ResourceId| MemberValue { value: id.to_string(), kind: None };
    members.iter().map(|member| value(member.id)).collect()
}

pub(super) fn link(target_id: &str, address: &str) -> Link {
    Link {
        target_id: target_id.to_owned(),
        address: address.to_owned(),
        hash: None,
        stage: Stage::Active,
        since: Timestamp::UNIX_EPOCH,
    }
}

/// Delivered; the target's id for it is `name`, and so is its address.
pub(super) fn linked(name: &str) -> Outcome {
    linked_at(name, name)
}

pub(super) fn linked_at(target_id: &str, address: &str) -> Outcome {
    let link = Some(link(target_id, address));
    Outcome::Delivered { link, revisit: None, action: Action::Updated }
}

/// Delivered; the target holds nothing of it any more.
pub(super) fn unlinked() -> Outcome {
    Outcome::Delivered { link: None, revisit: None, action: Action::Deleted }
}

pub(super) fn parked(error: &str) -> Outcome {
    Outcome::Parked { error: error.to_owned() }
}

/// Waits for a person, as many as `count` of them.
pub(super) fn held(kind: HoldKind, count: u64) -> Outcome {
    Outcome::Held { kind, count, summary: "somebody should look".to_owned(), link: None }
}

pub(super) fn arc(key: &str) -> Arc<str> {
    key.into()
}
