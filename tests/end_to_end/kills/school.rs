//! A provider with several clients that write without a pause: people come, change, are renamed,
//! disabled and deleted, and come back; groups too, and people join and leave them.
//!
//! A request that gets no answer is not repeated: what became of it is read, once somebody answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::book::{Book, Fault};
use super::ledger::{Group, Ledger, Mark, Person};
use crate::kit::dice::Dice;
use crate::kit::provider::{Answer, Provider, patch};

const CLIENTS: u64 = 8;
/// People and groups that one client has at most.
const PEOPLE: usize = 12;
const GROUPS: usize = 2;
/// Groups that all clients put their people into; they stay.
const SHARED: usize = 6;

/// The clients at work.
pub(super) struct School {
    pub(super) ledger: Arc<Ledger>,
    /// Held by each client while it writes, so that whoever has it alone finds everything at rest.
    turn: Arc<RwLock<()>>,
    stop: CancellationToken,
    clients: JoinSet<()>,
}

impl School {
    pub(super) async fn open(provider: &Provider, book: &Arc<Book>, seed: u64) -> Self {
        let ledger = Arc::new(Ledger::default());
        let (turn, stop) = (Arc::new(RwLock::new(())), CancellationToken::new());
        let marks = Arc::new(AtomicU64::new(1));
        let client = |number| Client {
            number,
            dice: Dice::new(seed, number),
            provider: provider.clone(),
            ledger: Arc::clone(&ledger),
            book: Arc::clone(book),
            marks: Arc::clone(&marks),
            people: Vec::new(),
            groups: Vec::new(),
            shared: Vec::new(),
            free: Vec::new(),
            left: Vec::new(),
            closed: Vec::new(),
            made: 0,
        };
        let mut first = client(0);
        for _ in 0..SHARED {
            first.found().await;
        }
        let shared = std::mem::take(&mut first.groups);
        let mut clients = JoinSet::new();
        for number in 1..=CLIENTS {
            let mut client = Client { shared: shared.clone(), ..client(number) };
            let (turn, stop) = (Arc::clone(&turn), stop.clone());
            clients.spawn(async move {
                while !stop.is_cancelled() {
                    let _turn = turn.read().await;
                    client.step().await;
                }
            });
        }
        Self { ledger, turn, stop, clients }
    }

    /// Lets each client end what it is at, and compares what is served with what was acknowledged.
    /// They go on afterwards.
    pub(super) async fn compare(&self, provider: &Provider, book: &Book) {
        let _nobody_writes = self.turn.write().await;
        self.ledger.compare(provider, book).await;
    }

    /// Has `look` done while nobody writes.
    pub(super) async fn at_rest<T>(&self, look: impl Future<Output = T>) -> T {
        let _nobody_writes = self.turn.write().await;
        look.await
    }

    /// Ends the lessons. The relay has to be there: the last requests may have to be looked after.
    pub(super) async fn close(self) -> Arc<Ledger> {
        self.stop.cancel();
        self.clients.join_all().await;
        self.ledger
    }
}

struct Client {
    number: u64,
    dice: Dice,
    provider: Provider,
    ledger: Arc<Ledger>,
    book: Arc<Book>,
    marks: Arc<AtomicU64>,
    /// Ids of this client's own.
    people: Vec<String>,
    groups: Vec<String>,
    shared: Vec<String>,
    /// Names that somebody had.
    free: Vec<String>,
    /// The external ids and names of those who left, and may come back.
    left: Vec<(String, String)>,
    /// Names of groups that were closed.
    closed: Vec<String>,
    made: usize,
}

impl Client {
    /// One write.
    async fn step(&mut self) {
        let person = self.dice.one(&self.people).cloned();
        let group = self.dice.one(&self.groups).cloned();
        let (Some(person), Some(group)) = (person, group) else {
            return if self.people.is_empty() { self.hire().await } else { self.found().await };
        };
        match self.dice.throw(20) {
            0..=3 if self.people.len() < PEOPLE => self.hire().await,
            0 | 1 => self.fire(&person).await,
            2..=5 => self.change(&person, |_| {}).await,
            6 | 7 => {
                let name = self.name();
                self.change(&person, |one| one.name = name).await;
            }
            8 | 9 => self.change(&person, |one| one.active = !one.active).await,
            10 if self.groups.len() < GROUPS => self.found().await,
            10 => self.close(&group).await,
            11 => self.rename(&group).await,
            12 => self.reseat(&group).await,
            13 | 14 => self.join(&group, &person).await,
            15 => self.leave(&group, &person).await,
            number => {
                let shared = self.dice.one(&self.shared).cloned().unwrap_or(group);
                if number < 19 {
                    self.join(&shared, &person).await;
                } else {
                    self.leave(&shared, &person).await;
                }
            }
        }
    }

    fn mark(&self) -> Mark {
        self.marks.fetch_add(1, Ordering::Relaxed)
    }

    /// A new name, or one that somebody had.
    fn name(&mut self) -> String {
        if !self.free.is_empty() && self.dice.throw(2) == 0 {
            let number = self.dice.throw(self.free.len());
            return self.free.swap_remove(number);
        }
        self.made += 1;
        format!("c{}n{}", self.number, self.made)
    }

    async fn hire(&mut self) {
        let comes_back = !self.left.is_empty() && self.dice.throw(3) == 0;
        let (external, name) = if comes_back {
            let number = self.dice.throw(self.left.len());
            self.left.swap_remove(number)
        } else {
            let name = self.name();
            (format!("ext-{}-{}", self.number, self.mark()), name)
        };
        let one = Person { name, external, mark: self.mark(), active: true };
        let Some(id) = self.made("Users", "userName", &one.name, one.body()).await else {
            return self.free.push(one.name);
        };
        self.people.push(id.clone());
        self.ledger.known().put_person(&id, one);
    }

    /// The id of what a POST has made. Without an answer, whoever has the name by now was made by
    /// it, since nobody else takes this client's names.
    async fn made(&self, kind: &str, attribute: &str, name: &str, body: Value) -> Option<String> {
        if let Some(answer) = self.send(Method::POST, kind, body, 201).await {
            return Some(answer.id());
        }
        let path = format!("{kind}?filter={attribute}%20eq%20%22{name}%22");
        let found = self.read(&path).await.body;
        let id = found["Resources"][0]["id"].as_str().map(str::to_owned);
        self.carried_out(id.is_some());
        id
    }

    async fn change(&mut self, id: &str, how: impl FnOnce(&mut Person)) {
        let Some(before) = self.ledger.known().people.get(id).cloned() else { return };
        let mut one = Person { mark: self.mark(), ..before.clone() };
        how(&mut one);
        let set =
            |path: &str, value: Value| json!({ "op": "replace", "path": path, "value": value });
        let operations = json!([
            set("title", one.mark.to_string().into()),
            set("userName", one.name.as_str().into()),
            set("active", one.active.into()),
            set("displayName", one.display().into()),
        ]);
        let path = format!("Users/{id}");
        let mark = one.mark.to_string();
        if self
            .write(Method::PATCH, &path, patch(&operations), 200, |now| now["title"] == *mark)
            .await
        {
            if one.name != before.name {
                self.free.push(before.name);
            }
            self.ledger.known().put_person(id, one);
        } else if one.name != before.name {
            self.free.push(one.name);
        }
    }

    async fn fire(&mut self, id: &str) {
        let path = format!("Users/{id}");
        if !self.write(Method::DELETE, &path, Value::Null, 204, Value::is_null).await {
            return;
        }
        self.people.retain(|one| one != id);
        let mut known = self.ledger.known();
        let Some(one) = known.people.get(id).cloned() else { return };
        self.left.push((one.external, one.name));
        known.end(id);
    }

    async fn found(&mut self) {
        let members = self.some_people();
        // Half of them are opened again under the name of one that was closed.
        let again = self.closed.pop().filter(|_| self.dice.throw(2) == 0);
        let name = again.unwrap_or_else(|| format!("group {}", self.name()));
        let one = Group { name, mark: self.mark(), members };
        if let Some(id) = self.made("Groups", "displayName", &encoded(&one.name), one.body()).await
        {
            self.groups.push(id.clone());
            self.ledger.known().put_group(&id, one);
        }
    }

    async fn rename(&mut self, id: &str) {
        let (name, mark) = (format!("group {}", self.name()), self.mark());
        let operations = json!([
            { "op": "replace", "path": "displayName", "value": name },
            { "op": "replace", "path": "externalId", "value": mark.to_string() },
        ]);
        let path = format!("Groups/{id}");
        let external = mark.to_string();
        if !self
            .write(Method::PATCH, &path, patch(&operations), 200, |now| {
                now["externalId"] == *external
            })
            .await
        {
            return;
        }
        let renamed = Group { name, mark, members: BTreeSet::new() };
        self.ledger.known().put_group(id, renamed);
    }

    async fn close(&mut self, id: &str) {
        let path = format!("Groups/{id}");
        if self.write(Method::DELETE, &path, Value::Null, 204, Value::is_null).await {
            self.groups.retain(|one| one != id);
            let mut known = self.ledger.known();
            self.closed.extend(known.groups.get(id).map(|group| group.name.clone()));
            known.end(id);
        }
    }

    /// Other members all at once.
    async fn reseat(&mut self, id: &str) {
        let members = self.some_people();
        // What changes nothing could not be told from what was not carried out.
        if members == self.members(id) {
            return;
        }
        let values: Vec<Value> = members.iter().map(|one| json!({ "value": one })).collect();
        let operations = json!([{ "op": "replace", "path": "members", "value": values }]);
        let path = format!("Groups/{id}");
        let reseated = |now: &Value| members_of(now) == members;
        if self.write(Method::PATCH, &path, patch(&operations), 200, reseated).await {
            self.ledger.known().set_members(id, &members);
        }
    }

    /// Who is in the group, as far as was acknowledged.
    fn members(&self, group: &str) -> BTreeSet<String> {
        let known = self.ledger.known();
        known.groups.get(group).map(|group| group.members.clone()).unwrap_or_default()
    }

    async fn join(&self, group: &str, person: &str) {
        if self.members(group).contains(person) {
            return;
        }
        let operations =
            json!([{ "op": "add", "path": "members", "value": [{ "value": person }] }]);
        let path = format!("Groups/{group}");
        let joined = |now: &Value| members_of(now).contains(person);
        if self.write(Method::PATCH, &path, patch(&operations), 200, joined).await {
            self.ledger.known().join(group, person);
        }
    }

    async fn leave(&self, group: &str, person: &str) {
        if !self.members(group).contains(person) {
            return;
        }
        let operations =
            json!([{ "op": "remove", "path": format!("members[value eq \"{person}\"]") }]);
        let path = format!("Groups/{group}");
        let left = |now: &Value| !members_of(now).contains(person);
        if self.write(Method::PATCH, &path, patch(&operations), 200, left).await {
            self.ledger.known().leave(group, person);
        }
    }

    fn some_people(&mut self) -> BTreeSet<String> {
        let dice = &mut self.dice;
        self.people.iter().filter(|_| dice.throw(3) == 0).cloned().collect()
    }

    /// Whether a write was carried out: by its answer, or by what is served afterwards (null if it
    /// is not found).
    async fn write(
        &self,
        method: Method,
        path: &str,
        body: Value,
        status: u16,
        shows: impl Fn(&Value) -> bool,
    ) -> bool {
        if self.send(method, path, body, status).await.is_some() {
            return true;
        }
        let now = self.read(path).await;
        let now = if now.status == 404 { Value::Null } else { now.body };
        let done = shows(&now);
        self.carried_out(done);
        done
    }

    fn carried_out(&self, done: bool) {
        self.book.counts().carried_out += usize::from(done);
    }

    /// Sends a write once; its answer, if there is one that says that it was carried out.
    async fn send(&self, method: Method, path: &str, body: Value, status: u16) -> Option<Answer> {
        let what = format!("{method} {path}");
        let body = Some(body).filter(|body| !body.is_null());
        match self.provider.send(method, path, body).await {
            Ok(answer) if answer.status == status => {
                self.book.counts().acknowledged += 1;
                return Some(answer);
            }
            // Perhaps carried out, or perhaps not.
            Ok(answer) if answer.status == 503 => {}
            Ok(answer) => {
                let Answer { status, body, .. } = answer;
                self.book.fault(Fault::Unexpected, format!("{what}: {status} {body}"));
            }
            Err(_) => {}
        }
        self.book.counts().unanswered += 1;
        None
    }

    /// What is served, once somebody answers.
    async fn read(&self, path: &str) -> Answer {
        loop {
            match self.provider.send(Method::GET, path, None).await {
                Ok(answer) if answer.status != 503 => return answer,
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

fn members_of(group: &Value) -> BTreeSet<String> {
    let members = group["members"].as_array().into_iter().flatten();
    members.filter_map(|member| member["value"].as_str()).map(str::to_owned).collect()
}

/// A space has no place in an address.
fn encoded(name: &str) -> String {
    name.replace(' ', "%20")
}
