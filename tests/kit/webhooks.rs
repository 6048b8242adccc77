//! A receiver of events, with an answer that a test sets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::HeaderMap;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// An event that came in.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// `webhook-id`
    pub(crate) id: String,
    pub(crate) body: Value,
    /// What it was answered with.
    pub(crate) status: u16,
    pub(crate) at: Instant,
    /// How long the file given to [`Webhooks::measure`] was then.
    pub(crate) position: u64,
}

impl Event {
    /// `user.created`
    pub(crate) fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }

    /// An attribute of the person or group it is about.
    pub(crate) fn of(&self, attribute: &str) -> &str {
        self.body["data"]["resource"][attribute].as_str().unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
struct Answering {
    status: u16,
    retry_after: Option<u32>,
}

const TAKEN: Answering = Answering { status: 204, retry_after: None };

#[derive(Default)]
struct Inner {
    events: Vec<Event>,
    /// For those who are not simply taken, by userName.
    answers: BTreeMap<String, Answering>,
    measured: Option<PathBuf>,
    then: Option<Box<dyn Fn() + Send>>,
}

type Shared = Arc<Mutex<Inner>>;

/// A running receiver; it ends with this value.
pub(crate) struct Webhooks {
    address: String,
    inner: Shared,
    _server: JoinSet<()>,
}

impl Webhooks {
    /// One that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let inner = Shared::default();
        let router = Router::new().route("/hook", post(receive)).with_state(Arc::clone(&inner));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, router).await.expect("it serves until it is dropped");
        });
        Self { address, inner, _server: server }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Notes with each event from now on how long this file is.
    pub(crate) fn measure(&self, file: PathBuf) {
        lock(&self.inner).measured = Some(file);
    }

    /// What happens whenever an event has come, before it is answered.
    pub(crate) fn then(&self, deed: impl Fn() + Send + 'static) {
        lock(&self.inner).then = Some(Box::new(deed));
    }

    /// What events of this person (by userName) are answered with from now on.
    pub(crate) fn answer_for(&self, name: &str, status: u16, retry_after: Option<u32>) {
        lock(&self.inner).answers.insert(name.to_owned(), Answering { status, retry_after });
    }

    /// Everything that came in, in order of arrival.
    pub(crate) fn all(&self) -> Vec<Event> {
        lock(&self.inner).events.clone()
    }

    /// What was taken: each event once, whatever came again under its id.
    pub(crate) fn taken(&self) -> Vec<Event> {
        let mut seen = std::collections::BTreeSet::new();
        let mut events = self.all();
        events.retain(|event| event.status < 300 && seen.insert(event.id.clone()));
        events
    }

    /// The kinds of events that were taken of the person or group of this name, in order.
    pub(crate) fn story(&self, name: &str) -> Vec<String> {
        let about = |event: &Event| event.of("userName") == name || event.of("displayName") == name;
        let taken = self.taken();
        taken.iter().filter(|event| about(event)).map(|event| event.kind().to_owned()).collect()
    }
}

fn lock(inner: &Shared) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(State(inner): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).expect("events are JSON");
    let id = headers["webhook-id"].to_str().expect("ids are text").to_owned();
    let mut inner = lock(&inner);
    let name = body["data"]["resource"]["userName"].as_str().unwrap_or_default();
    let Answering { status, retry_after } = inner.answers.get(name).copied().unwrap_or(TAKEN);
    let measured = inner.measured.as_ref().and_then(|file| std::fs::metadata(file).ok());
    let position = measured.map_or(0, |file| file.len());
    inner.events.push(Event { id, body, status, at: Instant::now(), position });
    if let Some(then) = &inner.then {
        then();
    }
    let status = http::StatusCode::from_u16(status).expect("a test sets a status that exists");
    let mut response = status.into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(http::header::RETRY_AFTER, seconds.into());
    }
    response
}
