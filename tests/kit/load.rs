//! A provider in a hurry: several pushes at once, and a note of everything that was acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::provider::{Answer, Provider, patch, person};
use super::slapd::{SUFFIX, Slapd};
use super::webhooks::Webhooks;

/// Pushes at the same time.
const WORKERS: usize = 8;
/// Each person is made, and then given a title so many times: "1", "2".
const TITLES: usize = 2;

/// Pushes people until it is stopped; what gets no answer, or 503, is pushed again.
pub(crate) struct Load {
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    workers: JoinSet<()>,
}

/// What was acknowledged.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<String, Acknowledged>>);

/// A person as the provider knows them: by userName.
#[derive(Clone, Debug)]
struct Acknowledged {
    id: String,
    /// 0 until the first title.
    title: usize,
}

impl Ledger {
    fn people(&self) -> MutexGuard<'_, BTreeMap<String, Acknowledged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many writes were acknowledged.
    pub(crate) fn writes(&self) -> usize {
        self.people().values().map(|person| 1 + person.title).sum()
    }
}

impl Load {
    pub(crate) fn start(provider: &Provider) -> Self {
        let (ledger, stop) = (Arc::new(Ledger::default()), CancellationToken::new());
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let pushing = Pushing {
                provider: provider.clone(),
                ledger: Arc::clone(&ledger),
                stop: stop.clone(),
            };
            workers.spawn(pushing.run(worker));
        }
        Self { ledger, stop, workers }
    }

    pub(crate) fn writes(&self) -> usize {
        self.ledger.writes()
    }

    /// Lets each worker end the request it is in; what was acknowledged until then.
    pub(crate) async fn stop(self) -> Arc<Ledger> {
        self.stop.cancel();
        self.workers.join_all().await;
        self.ledger
    }
}

struct Pushing {
    provider: Provider,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
}

impl Pushing {
    async fn run(self, worker: usize) {
        for number in 0.. {
            if self.push(&format!("p{worker}-{number}")).await.is_none() {
                return;
            }
        }
    }

    /// `None` when it is time to stop.
    async fn push(&self, name: &str) -> Option<()> {
        let made = self.insist(Method::POST, "Users", person(name)).await?;
        let id = match made.status.as_u16() {
            201 => made.id(),
            // An attempt that got no answer was carried out.
            409 => self.find(name).await?,
            _ => panic!("{name} was not made: {made:?}"),
        };
        let acknowledged = Acknowledged { id: id.clone(), title: 0 };
        self.ledger.people().insert(name.to_owned(), acknowledged);
        for title in 1..=TITLES {
            let set = json!([{ "op": "replace", "path": "title", "value": title.to_string() }]);
            let path = format!("Users/{id}");
            self.insist(Method::PATCH, &path, patch(&set)).await?.expect(200);
            if let Some(person) = self.ledger.people().get_mut(name) {
                person.title = title;
            }
        }
        Some(())
    }

    async fn find(&self, name: &str) -> Option<String> {
        let path = format!("Users?filter=userName%20eq%20%22{name}%22");
        let found = self.insist(Method::GET, &path, Value::Null).await?;
        Some(found.body["Resources"][0]["id"].as_str()?.to_owned())
    }

    /// Repeats a request until it is answered, as providers do.
    async fn insist(&self, method: Method, path: &str, body: Value) -> Option<Answer> {
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            let body = Some(body.clone()).filter(|body| !body.is_null());
            match self.provider.send(method.clone(), path, body).await {
                Ok(answer) if answer.status != 503 => return Some(answer),
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// A person as the relay has them now.
struct Served {
    id: String,
    title: usize,
}

fn title(value: Option<&str>) -> usize {
    value.map_or(0, |text| text.parse().expect("titles are numbers"))
}

async fn served(provider: &Provider) -> BTreeMap<String, Served> {
    let mut people = BTreeMap::new();
    loop {
        let path = format!("Users?startIndex={}&count=200", people.len() + 1);
        let page = provider.get(&path).await.expect(200).body;
        let resources = page["Resources"].as_array().cloned().unwrap_or_default();
        if resources.is_empty() {
            assert_eq!(page["totalResults"], people.len());
            return people;
        }
        people.extend(resources.into_iter().map(|person| {
            let text = |name: &str| person[name].as_str().unwrap_or_default().to_owned();
            let served = Served { id: text("id"), title: title(person["title"].as_str()) };
            (text("userName"), served)
        }));
    }
}

impl Ledger {
    /// Everything that was acknowledged is served, and what is served is what every target has.
    pub(crate) async fn check(
        &self,
        provider: &Provider,
        slapd: Option<&Slapd>,
        hooks: Option<&Webhooks>,
    ) {
        let served = served(provider).await;
        for (name, acknowledged) in self.people().iter() {
            let served = served.get(name).unwrap_or_else(|| panic!("{name} is lost"));
            assert_eq!(served.id, acknowledged.id, "{name}");
            // One more may have been carried out without an answer.
            assert!(served.title >= acknowledged.title, "{name} lost a title");
        }
        if let Some(slapd) = slapd {
            let entries = slapd.search(SUFFIX, "(objectClass=inetOrgPerson)");
            let held: BTreeMap<String, usize> = entries
                .iter()
                .map(|entry| {
                    (entry.values("uid").concat(), title(entry.values("title").first().copied()))
                })
                .collect();
            let wanted = served.iter().map(|(name, one)| (name.clone(), one.title)).collect();
            assert_eq!(held, wanted, "the directory differs");
        }
        if let Some(hooks) = hooks {
            told(hooks, &served);
        }
    }
}

/// Every change of everybody came to the receiver, none before the one that it follows.
fn told(hooks: &Webhooks, served: &BTreeMap<String, Served>) {
    let mut stories: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for event in hooks.all().iter().filter(|event| event.status < 300) {
        let resource = &event.body["data"]["resource"];
        let version = title(resource["title"].as_str());
        assert_eq!(event.kind() == "user.created", version == 0, "{event:?}");
        let story = stories.entry(event.of("userName").to_owned()).or_default();
        let newest = story.last().copied();
        assert!(newest.is_none_or(|newest| version >= newest), "stale: {event:?}");
        // The same again after a crash is what "at least once" means.
        if newest != Some(version) {
            story.push(version);
        }
    }
    assert_eq!(stories.len(), served.len());
    for (name, one) in served {
        let whole: Vec<usize> = (0..=one.title).collect();
        assert_eq!(stories.get(name), Some(&whole), "{name}");
    }
}
