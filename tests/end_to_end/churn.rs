//! A school in its first week: everything changes at once, names go from one to another, and both
//! the relay and the directory fall over in between. In the end the directory is what the relay
//! serves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::kit::dice::{Dice, seed};
use crate::kit::provider::{Answer, Provider, patch, person};
use crate::kit::relay::Setup;
use crate::kit::slapd::{ADMIN, RELAY, SUFFIX, Slapd};
use crate::kit::targets::{UNLIMITED, ldap};
use crate::kit::until;

const WORKERS: u64 = 4;
/// People that one worker has at most.
const SLOTS: usize = 6;
const GROUPS: [&str; 3] = ["1a", "1b", "1c"];

struct Worker {
    number: u64,
    dice: Dice,
    /// Whether a name that somebody had is given to another.
    passes_names_on: bool,
    provider: Provider,
    groups: Vec<String>,
    stop: CancellationToken,
    /// The ids of those who are there.
    people: Vec<String>,
    made: usize,
    done: tokio::sync::watch::Sender<usize>,
}

impl Worker {
    async fn run(mut self) {
        while self.step().await.is_some() {
            self.done.send_modify(|done| *done += 1);
        }
    }

    /// One thing that happens to somebody; `None` when it is time to stop.
    async fn step(&mut self) -> Option<()> {
        if self.people.is_empty() {
            return self.make().await;
        }
        let one = self.people[self.dice.throw(self.people.len())].clone();
        let group = self.groups[self.dice.throw(self.groups.len())].clone();
        match self.dice.throw(10) {
            0 | 1 if self.people.len() < SLOTS => self.make().await,
            0 => self.end(&one).await,
            1 | 2 => {
                let title = format!("title {}", self.dice.throw(1_000));
                self.set(&one, "title", &title).await
            }
            4 | 5 if self.passes_names_on && self.people.len() > 1 => self.swap().await,
            6 if self.passes_names_on => self.replace(&one).await,
            3..=6 => {
                let name = self.name();
                self.set(&one, "userName", &name).await
            }
            7 => self.leave(&group, &one).await,
            _ => self.join(&group, &one).await,
        }
    }

    /// A name that nobody has yet.
    fn name(&mut self) -> String {
        self.made += 1;
        format!("w{}n{}", self.number, self.made)
    }

    async fn make(&mut self) -> Option<()> {
        let name = self.name();
        self.make_called(&name).await
    }

    async fn make_called(&mut self, name: &str) -> Option<()> {
        self.made += 1;
        let mut wanted = person(name);
        wanted["externalId"] = format!("ext-{}-{}", self.number, self.made).into();
        let mail = format!("m{}-{}@lillevik.example", self.number, self.made);
        wanted["emails"] = json!([{ "value": mail, "primary": true }]);
        let made = self.insist(Method::POST, "Users", wanted).await?;
        let id = if made.status == 409 { self.find(name).await? } else { made.expect(201).id() };
        self.people.push(id);
        Some(())
    }

    async fn find(&self, name: &str) -> Option<String> {
        let path = format!("Users?filter=userName%20eq%20%22{name}%22");
        let found = self.insist(Method::GET, &path, Value::Null).await?;
        Some(found.body["Resources"][0]["id"].as_str().unwrap().to_owned())
    }

    async fn end(&mut self, id: &str) -> Option<()> {
        let gone = self.insist(Method::DELETE, &format!("Users/{id}"), Value::Null).await?;
        assert!([204, 404].contains(&gone.status.as_u16()), "{gone:?}");
        self.people.retain(|one| one != id);
        Some(())
    }

    /// Somebody goes, and another one comes who gets the name.
    async fn replace(&mut self, id: &str) -> Option<()> {
        let name = self.name_of(id).await?;
        self.end(id).await?;
        self.make_called(&name).await
    }

    /// Two people get each other's name.
    async fn swap(&mut self) -> Option<()> {
        let first = self.people[0].clone();
        let second = self.people[1 + self.dice.throw(self.people.len() - 1)].clone();
        let names = (self.name_of(&first).await?, self.name_of(&second).await?);
        let between = self.name();
        self.set(&first, "userName", &between).await?;
        self.set(&second, "userName", &names.0).await?;
        self.set(&first, "userName", &names.1).await
    }

    async fn name_of(&self, id: &str) -> Option<String> {
        let found = self.insist(Method::GET, &format!("Users/{id}"), Value::Null).await?;
        Some(found.expect(200).body["userName"].as_str().unwrap().to_owned())
    }

    async fn set(&self, id: &str, attribute: &str, value: &str) -> Option<()> {
        let set = json!([{ "op": "replace", "path": attribute, "value": value }]);
        self.insist(Method::PATCH, &format!("Users/{id}"), patch(&set)).await?.expect(200);
        Some(())
    }

    async fn join(&self, group: &str, id: &str) -> Option<()> {
        let join = json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]);
        self.insist(Method::PATCH, &format!("Groups/{group}"), patch(&join)).await?.expect(200);
        Some(())
    }

    async fn leave(&self, group: &str, id: &str) -> Option<()> {
        let path = format!("members[value eq \"{id}\"]");
        let leave = json!([{ "op": "remove", "path": path }]);
        let left = self.insist(Method::PATCH, &format!("Groups/{group}"), patch(&leave)).await?;
        assert!([200, 400].contains(&left.status.as_u16()), "{left:?}");
        Some(())
    }

    /// Repeats a request until it is answered, as providers do.
    async fn insist(&self, method: Method, path: &str, body: Value) -> Option<Answer> {
        while !self.stop.is_cancelled() {
            let body = Some(body.clone()).filter(|body| !body.is_null());
            match self.provider.send(method.clone(), path, body).await {
                Ok(answer) if answer.status != 503 => return Some(answer),
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        None
    }
}

/// userName, externalId and title of everybody, and who is in which group.
type School = (BTreeSet<(String, String, String)>, BTreeMap<String, BTreeSet<String>>);

async fn served(provider: &Provider) -> School {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = async |kind: &str| {
        let page = provider.get(&format!("{kind}?count=200")).await.expect(200).body;
        page["Resources"].as_array().cloned().unwrap()
    };
    let users = all("Users").await;
    let names: BTreeMap<String, String> =
        users.iter().map(|user| (text(&user["id"]), text(&user["userName"]))).collect();
    let people = users
        .iter()
        .map(|user| (text(&user["userName"]), text(&user["externalId"]), text(&user["title"])))
        .collect();
    let groups = all("Groups").await;
    let groups = groups.iter().map(|group| {
        let members = group["members"].as_array().cloned().unwrap_or_default();
        let members = members.iter().map(|member| names[&text(&member["value"])].clone());
        (text(&group["displayName"]), members.collect())
    });
    (people, groups.collect())
}

fn held(slapd: &Slapd) -> School {
    let people = slapd.search(SUFFIX, "(objectClass=inetOrgPerson)");
    let people = people
        .iter()
        .map(|entry| {
            let value = |name: &str| entry.values(name).concat();
            (value("uid"), value("employeeNumber"), value("title"))
        })
        .collect();
    let groups = slapd.search(SUFFIX, "(objectClass=groupOfNames)");
    let groups = groups.iter().map(|group| {
        // An empty group has a member that stands for nobody: the relay's or the server's.
        let members = group.values("member").into_iter();
        let members = members.filter(|member| ![RELAY, ADMIN].contains(member));
        let uid = |dn: &str| dn.strip_prefix("uid=")?.split(',').next().map(str::to_owned);
        let members = members.map(|dn| uid(dn).unwrap_or_else(|| dn.to_owned()));
        (group.values("cn").concat(), members.collect())
    });
    (people, groups.collect())
}

async fn churn(seed: u64, refint: bool) {
    let options = crate::kit::slapd::Options { refint, ..Default::default() };
    let mut slapd = Slapd::start_with(&options).await;
    let mut relay = Setup::new().connector("directory", ldap(&slapd, UNLIMITED)).start().await;
    let provider = relay.provider("lillevik");
    let mut groups = Vec::new();
    for name in GROUPS {
        groups.push(provider.group(name, &[]).await);
    }
    let stop = CancellationToken::new();
    let (done, count) = tokio::sync::watch::channel(0);
    let mut workers = JoinSet::new();
    for number in 1..=WORKERS {
        let worker = Worker {
            number,
            dice: Dice::new(seed, number),
            // The server's overlay writes a new name into the groups some time after the rename. If
            // another has the old one by then, it takes the one for the other.
            passes_names_on: !refint,
            provider: provider.clone(),
            groups: groups.clone(),
            stop: stop.clone(),
            people: Vec::new(),
            made: 0,
            done: done.clone(),
        };
        workers.spawn(worker.run());
    }
    let steps = async |least: usize| {
        until("enough has happened", async || *count.borrow() >= least).await;
    };

    steps(100).await;
    relay.kill();
    relay.restart().await;
    steps(200).await;
    slapd.stop();
    steps(300).await;
    relay.kill();
    relay.restart().await;
    slapd.run().await;
    steps(400).await;
    relay.kill();
    relay.restart().await;
    steps(500).await;
    stop.cancel();
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }

    relay.settled().await;
    if refint {
        // Whoever is renamed and leaves a group in one moment may be put back by the overlay.
        relay.command(&["reconcile", "directory"]);
        relay.settled().await;
    }
    assert_eq!(relay.json(&["queue", "list"]), json!([]), "seed {seed}");
    assert_eq!(held(&slapd), served(&provider).await, "seed {seed}");
    let report = relay.json(&["reconcile", "directory", "--dry-run"]);
    assert_eq!(report["drift"], json!([]), "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_directory_becomes_what_the_relay_serves() {
    churn(seed(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_so_does_one_that_renames_members_itself() {
    churn(seed(), true).await;
}
