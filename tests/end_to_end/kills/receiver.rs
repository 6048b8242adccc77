//! A receiver of webhooks that refuses a tenth of what it gets, and judges the order of all.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::book::{Book, Fault};
use super::ledger::{Known, Mark, Story};
use crate::kit::dice::Dice;

/// One in so many requests is refused.
const REFUSALS: usize = 10;

/// A running receiver; it ends with this value.
pub(super) struct Receiver {
    address: String,
    judge: Arc<Mutex<Judge>>,
    _server: JoinSet<()>,
}

struct Judge {
    book: Arc<Book>,
    dice: Dice,
    /// A digest of each body, by `webhook-id`: after hours there are millions.
    bodies: BTreeMap<String, u64>,
    /// By the id of the person or group.
    heard: BTreeMap<String, Heard>,
    /// Whether somebody joined (or left), in order, by group and person.
    moves: BTreeMap<(String, String), Vec<bool>>,
}

/// What came in of one resource.
#[derive(Default)]
struct Heard {
    /// The latest change that an event told of, by its number in the log.
    newest: i64,
    /// Events of that change that were refused and did not come again yet.
    owed: BTreeSet<String>,
    /// Events of it that were taken.
    taken: BTreeSet<String>,
    /// One event that is refused brings all those of its change again; that is counted as no repeat.
    excused: bool,
    story: Story,
}

impl Receiver {
    pub(super) async fn start(book: &Arc<Book>, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let judge = Arc::new(Mutex::new(Judge {
            book: Arc::clone(book),
            dice: Dice::new(seed, 999),
            bodies: BTreeMap::new(),
            heard: BTreeMap::new(),
            moves: BTreeMap::new(),
        }));
        let router = Router::new().route("/hook", post(receive)).with_state(Arc::clone(&judge));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, judge, _server: server }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Everything that happened was told, and nothing else. To be asked when all is delivered.
    pub(super) fn compare(&self, known: &Known, book: &Book) {
        let judge = lock(&self.judge);
        let nothing = Story::default();
        for (id, wanted) in &known.stories {
            let told = judge.heard.get(id).map_or(&nothing, |heard| &heard.story);
            let missing: Vec<&Mark> =
                wanted.marks.iter().filter(|mark| !told.marks.contains(mark)).collect();
            if !missing.is_empty() || (wanted.deleted && !told.deleted) {
                let story = format!("{id}: of {wanted:?}, {told:?} was told");
                book.fault(Fault::NotDelivered, story);
            } else if wanted != told {
                book.fault(Fault::Phantom, format!("{id}: {told:?} was told, and was {wanted:?}"));
            }
        }
        for id in judge.heard.keys().filter(|id| !known.stories.contains_key(*id)) {
            book.fault(Fault::Phantom, format!("{id}, who was never there"));
        }
        let pairs: BTreeSet<_> = known.moves.keys().chain(judge.moves.keys()).collect();
        for pair in pairs {
            let wanted = known.moves.get(pair).copied().unwrap_or_default();
            let told = judge.moves.get(pair).map(Vec::as_slice).unwrap_or_default();
            let alternates = told.iter().enumerate().all(|(n, joined)| *joined == (n % 2 == 0));
            if told.len() < wanted {
                book.fault(Fault::NotDelivered, format!("{pair:?}: {wanted} moves, {told:?}"));
            } else if told.len() > wanted || !alternates {
                book.fault(Fault::Phantom, format!("{pair:?}: {wanted} moves, {told:?}"));
            }
        }
    }
}

fn lock(judge: &Mutex<Judge>) -> MutexGuard<'_, Judge> {
    judge.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(
    State(judge): State<Arc<Mutex<Judge>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    lock(&judge).receive(id, &body)
}

impl Judge {
    fn receive(&mut self, id: String, bytes: &Bytes) -> StatusCode {
        let book = Arc::clone(&self.book);
        book.counts().events += 1;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let digest = hasher.finish();
        if *self.bodies.entry(id.clone()).or_insert(digest) != digest {
            book.fault(Fault::Changed, format!("{id}: {bytes:?}"));
        }
        let body: Value = serde_json::from_slice(bytes).expect("events are JSON");
        let resource = body["data"]["resource"]["id"].as_str().unwrap().to_owned();
        // Organization, number of the change, what happened.
        let Some(change) = id.split('-').nth(1).and_then(|text| text.parse().ok()) else {
            book.fault(Fault::Unexpected, format!("an id without a change: {id}"));
            return StatusCode::NO_CONTENT;
        };
        let heard = self.heard.entry(resource.clone()).or_default();
        if change < heard.newest {
            let story = format!("{resource}: {id} after {}", heard.newest);
            book.fault(Fault::Stale, story);
            return StatusCode::NO_CONTENT;
        }
        if change > heard.newest {
            if !heard.owed.is_empty() {
                let story = format!("{resource}: {id} before {:?}", heard.owed);
                book.fault(Fault::OutOfOrder, story);
            }
            let story = std::mem::take(&mut heard.story);
            *heard = Heard { newest: change, story, ..Heard::default() };
        }
        if self.dice.throw(REFUSALS) == 0 {
            book.counts().refused += 1;
            heard.excused = true;
            heard.owed.insert(id);
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        heard.owed.remove(&id);
        if heard.taken.insert(id) {
            self.take(&resource, &body);
        } else if !heard.excused {
            book.counts().repeats += 1;
        }
        StatusCode::NO_CONTENT
    }

    /// An event that is new.
    fn take(&mut self, resource: &str, body: &Value) {
        let (kind, data) = (body["type"].as_str().unwrap_or_default(), &body["data"]);
        let Some((_, happening)) = kind.split_once('.') else { return };
        let story = &mut self.heard.entry(resource.to_owned()).or_default().story;
        match happening {
            "deleted" => story.deleted = true,
            "member_added" | "member_removed" => {
                for member in data["members"].as_array().into_iter().flatten() {
                    let person = member["value"].as_str().unwrap_or_default().to_owned();
                    let pair = (resource.to_owned(), person);
                    self.moves.entry(pair).or_default().push(happening == "member_added");
                }
            }
            _ => {
                let attribute = if kind.starts_with("user.") { "title" } else { "externalId" };
                let mark = data["resource"][attribute].as_str().and_then(|mark| mark.parse().ok());
                story.marks.push(mark.unwrap_or_default());
            }
        }
    }
}
