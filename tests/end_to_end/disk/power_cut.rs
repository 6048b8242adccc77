//! The power is cut at any moment: what was acknowledged is there afterwards and goes on its way.
//!
//! One run under load is recorded down to each write and sync. From the record, folders are made as
//! a disk may hold them after a cut, and on each the real program is started and looked at.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::dice::{Dice, seed};
use crate::kit::disk::Disk;
use crate::kit::provider::{Answer, Provider};
use crate::kit::recording::{Cut, Recording, Unsynced};
use crate::kit::relay::Setup;
use crate::kit::say;
use crate::kit::targets::{UNLIMITED, webhook};
use crate::kit::webhooks::{Event, Webhooks};

/// Who pushes at the same time, and how many people each of them, before and after a restart.
const WORKERS: usize = 8;
const PEOPLE: usize = 4;
/// Each is made, gets a title, joins a group, gets another title, and every second one leaves.
const LIFE: usize = 5;

/// How many images are looked at.
fn images() -> u64 {
    let number = std::env::var("SCIM_RELAY_TEST_IMAGES");
    number.map_or(40, |number| number.parse().expect("SCIM_RELAY_TEST_IMAGES is a number"))
}

/// What a provider knows of somebody it has pushed.
#[derive(Clone, Default)]
struct Life {
    name: String,
    id: String,
    /// How long the record was when each step was sent, and when its answer had come.
    sent: Vec<u64>,
    acknowledged: Vec<u64>,
}

impl Life {
    /// How many steps were acknowledged before the cut.
    fn certain(&self, at: u64) -> usize {
        self.acknowledged.iter().filter(|position| **position <= at).count()
    }

    /// How many may have been carried out.
    fn possible(&self, at: u64) -> usize {
        self.sent.iter().filter(|position| **position < at).count()
    }
}

#[derive(Clone)]
struct Pusher {
    provider: Provider,
    record: PathBuf,
}

impl Pusher {
    fn position(&self) -> u64 {
        fs::metadata(&self.record).expect("the disk records").len()
    }

    async fn step(&self, life: &mut Life, request: impl Future<Output = Answer>, status: u16) {
        life.sent.push(self.position());
        let answer = request.await.expect(status);
        life.acknowledged.push(self.position());
        if life.id.is_empty() {
            life.id = answer.id();
        }
    }

    async fn push(self, worker: String) -> Vec<Life> {
        let choir = self.provider.group(&format!("choir-{worker}"), &[]).await;
        let mut lives = Vec::new();
        for number in 0..PEOPLE {
            let mut life = Life { name: format!("{worker}-{number}"), ..Life::default() };
            let person = crate::kit::provider::person(&life.name);
            self.step(&mut life, self.provider.post("Users", person), 201).await;
            let path = format!("Users/{}", life.id);
            let title = |value: &str| json!([{ "op": "replace", "path": "title", "value": value }]);
            self.step(&mut life, self.provider.patch(&path, title("1")), 200).await;
            let join = json!([{ "op": "add", "path": "members", "value": [{ "value": life.id }] }]);
            let group = format!("Groups/{choir}");
            self.step(&mut life, self.provider.patch(&group, join), 200).await;
            self.step(&mut life, self.provider.patch(&path, title("2")), 200).await;
            if number % 2 == 0 {
                self.step(&mut life, self.provider.delete(&path), 204).await;
            }
            lives.push(life);
        }
        lives
    }

    async fn load(&self, round: usize) -> Vec<Life> {
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            workers.spawn(self.clone().push(format!("r{round}w{worker}")));
        }
        workers.join_all().await.concat()
    }
}

/// One run: what happened to the disk, what was acknowledged, what a receiver was told.
struct Run {
    recording: Recording,
    lives: Vec<Life>,
    hooks: Webhooks,
    told: Vec<Event>,
}

impl Run {
    async fn record() -> Self {
        let (disk, hooks) = (Disk::new(), Webhooks::start().await);
        hooks.measure(disk.record());
        let mut relay =
            Setup::new().disk(&disk).connector("events", webhook(&hooks, UNLIMITED)).start().await;
        let pusher = Pusher { provider: relay.provider("lillevik"), record: disk.record() };
        let begun = pusher.position();
        let mut lives = pusher.load(1).await;
        let syncs = disk.recording().syncs("relay.db-wal", begun);
        assert_eq!(relay.terminate().await.code(), Some(0));
        relay.restart().await;
        lives.extend(pusher.load(2).await);
        relay.kill();
        let writes: usize = lives.iter().map(|life| life.acknowledged.len()).sum();
        say(&format!(
            "{} syncs of the WAL for {} acknowledged writes, deliveries included",
            syncs,
            writes / 2
        ));
        assert!(syncs > 0, "an acknowledged write is a synced one");
        let (recording, told) = (disk.recording(), hooks.all());
        assert!(recording.syncs("relay.db", begun) > 0, "there was a checkpoint");
        Self { recording, lives, hooks, told }
    }

    /// Starts the program on what this cut leaves, and says everything that is wrong with it then.
    async fn examine(&self, recording: &Recording, cut: Cut) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        recording.image(cut, &data);
        let before = self.hooks.all().len();
        let setup = Setup::new().connector("events", webhook(&self.hooks, UNLIMITED)).data(&data);
        let mut relay = setup.start().await;
        let served = served(&relay.provider("lillevik")).await;
        relay.settled().await;
        relay.kill();
        let mut wrong = integrity(&data);

        let mut events: Vec<_> =
            self.told.iter().filter(|event| event.position <= cut.at).cloned().collect();
        let phantoms = events.len();
        events.extend(self.hooks.all().split_off(before));
        for life in &self.lives {
            let (certain, possible) = (life.certain(cut.at), life.possible(cut.at));
            let reached = match served.get(&life.name) {
                Some(served) => served.stage(),
                None if possible == LIFE => Some(LIFE),
                None => Some(0),
            };
            let Some(reached) = reached else {
                wrong.push(format!("{} is half done: {:?}", life.name, served.get(&life.name)));
                continue;
            };
            if reached < certain || reached > possible {
                let known = format!("of {possible} steps sent {certain} were acknowledged");
                wrong.push(format!("{}: {known}, and {reached} are there", life.name));
            }
            let told = |step: usize, among: &[Event]| among.iter().any(|e| life.is_told(step, e));
            for step in 1..=LIFE {
                if step <= reached && !told(step, &events) {
                    wrong.push(format!("{}: nobody was told of step {step}", life.name));
                }
                if step > reached && told(step, &events[..phantoms]) {
                    wrong.push(format!("{}: step {step} was told and never was", life.name));
                }
            }
        }
        wrong
    }

    /// A cut as chance has it: mostly just after an answer, now and then anywhere, also in the start.
    fn cut(&self, number: u64) -> Cut {
        let mut dice = Dice::new(seed(), number);
        let at = if dice.throw(4) == 0 {
            self.recording.position(&mut dice)
        } else {
            let life = &self.lives[dice.throw(self.lives.len())];
            life.acknowledged[dice.throw(life.acknowledged.len())]
        };
        let kinds = [Unsynced::Lost, Unsynced::Scattered, Unsynced::Torn];
        let unsynced = kinds[dice.throw(kinds.len())];
        Cut { at, unsynced, names_last: dice.throw(2) == 0, seed: number }
    }
}

impl Life {
    /// Whether this event tells of that step.
    fn is_told(&self, step: usize, event: &Event) -> bool {
        let is_mine = event.status < 300 && event.of("userName") == self.name;
        match step {
            1 => is_mine && event.kind() == "user.created",
            2 => is_mine && event.kind() == "user.updated" && event.of("title") == "1",
            3 => {
                event.kind() == "group.member_added"
                    && event.body["data"]["members"].to_string().contains(&self.id)
            }
            4 => is_mine && event.kind() == "user.updated" && event.of("title") == "2",
            _ => is_mine && event.kind() == "user.deleted",
        }
    }
}

#[derive(Debug)]
struct Served {
    title: String,
    sings: bool,
}

impl Served {
    /// How many steps led there; `None`: no number of whole ones.
    fn stage(&self) -> Option<usize> {
        match (self.title.as_str(), self.sings) {
            ("", false) => Some(1),
            ("1", false) => Some(2),
            ("1", true) => Some(3),
            ("2", true) => Some(4),
            _ => None,
        }
    }
}

async fn served(provider: &Provider) -> BTreeMap<String, Served> {
    let page = provider.get("Users?count=200").await.expect(200).body;
    let people = page["Resources"].as_array().cloned().unwrap_or_default();
    assert_eq!(page["totalResults"], people.len());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    people
        .iter()
        .map(|person| {
            let sings = person["groups"].as_array().is_some_and(|groups| !groups.is_empty());
            (text(&person["userName"]), Served { title: text(&person["title"]), sings })
        })
        .collect()
}

fn integrity(data: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(data.join("relay.db")).expect("it can be opened");
    let said: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("it can be checked");
    if said == "ok" { Vec::new() } else { vec![said] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged() {
    let run = Run::record().await;
    for number in 0..images() {
        let cut = run.cut(number);
        let wrong = run.examine(&run.recording, cut).await;
        assert!(wrong.is_empty(), "image {number}, {cut:?}:\n{}", wrong.join("\n"));
    }

    // And the same is said of a database that syncs with its checkpoints alone (synchronous=NORMAL):
    // a test that never fails shows nothing.
    let careless = run.recording.clone().without_commit_syncs();
    let mut lost = 0;
    for life in run.lives.iter().step_by(13) {
        let at = *life.acknowledged.last().expect("a life has steps");
        let cut = Cut { at, unsynced: Unsynced::Lost, names_last: true, seed: 0 };
        lost += usize::from(!run.examine(&careless, cut).await.is_empty());
    }
    say(&format!("{} images are sound; of a careless database {lost} were found out", images()));
    assert!(lost > 0, "what a careless database loses is not seen");
}
