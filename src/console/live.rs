//! What changes while somebody looks: `/events`, server-sent events for the page that is open.
//!
//! A page that lives has an `id` on whatever may change, says `.live("/events?page=…")` when it is
//! drawn, and is a [`Watched`] here, whose texts come from the same data that draws it. They are
//! asked for again when the store rings, at most once a second; what differs from the last time is
//! sent. `say` is read aloud, so it is never sent for what is there at the beginning.
//!
//! A stream ends with its session, with the daemon, and after half an hour; a browser then comes
//! back by itself.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use http::{StatusCode, Uri, header};
use percent_encoding::NON_ALPHANUMERIC;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::trouble::Trouble;
use super::viewer::{self, Filter, Viewer, Waits};
use super::{Console, pages};
use crate::http::Busy;
use crate::operator::{Bells, Right, SessionId};

pub(super) const PATH: &str = "/events";

/// What rings does so for every commit.
const PAUSE: Duration = Duration::from_secs(1);
/// For how long a bell is waited for: ages grow, and a target comes back, without one.
const LOOK: Duration = Duration::from_secs(4);
/// So that nobody in between takes a quiet stream for a dead one.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A browser that reads nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_mins(30);
/// Until a browser comes back.
const RETRY: Duration = Duration::from_secs(3);
/// Of one session: windows side by side, since a hidden one lets go.
const MOST_OF_ONE: usize = 6;
/// Below what the listener takes, so that pages always have room.
const MOST: usize = 100;

/// A page with live texts, as `page=` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Watched {
    Overview,
    Queue,
    Integrations,
    Comparison,
    Requests,
}

impl Watched {
    /// What the page itself needs.
    fn needs(self) -> Right {
        match self {
            Self::Integrations => Right::Tokens,
            Self::Overview | Self::Comparison => Right::Operate,
            Self::Queue | Self::Requests => Right::People,
        }
    }

    /// What it says now. The address is the whole one: a page may have more to ask (see [`asked`]).
    async fn texts(self, console: &Console, viewer: &Viewer, at: &Uri) -> Result<Updates, Trouble> {
        match self {
            Self::Overview => pages::overview::live(console, viewer, at).await,
            Self::Integrations => pages::integrations::live(console, viewer, at).await,
            Self::Comparison => pages::connectors::comparison::live(console, viewer, at).await,
            Self::Queue => pages::queue::live(console, viewer, at).await,
            Self::Requests => pages::requests::live(console, viewer, at).await,
        }
    }
}

/// Where a page's updates come from.
pub(super) fn address(page: &str, org: Option<&str>) -> String {
    let mut address = format!("{PATH}?page={page}");
    if let Some(org) = org {
        address.push_str("&org=");
        address.extend(percent_encoding::utf8_percent_encode(org, NON_ALPHANUMERIC));
    }
    address
}

/// What the query of the stream's address says.
pub(super) fn asked<T: DeserializeOwned>(at: &Uri) -> Result<T, Trouble> {
    Query::try_from_uri(at)
        .map(|Query(asked)| asked)
        .map_err(|error| Trouble::Invalid(error.body_text()))
}

/// By the id of the element.
pub(super) type Updates = BTreeMap<String, Update>;

/// What an element becomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Update {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// Its `data-state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'static str>,
    /// Of a `<progress>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<u64>,
}

impl Update {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    pub(super) fn state(mut self, state: &'static str) -> Self {
        self.state = Some(state);
        self
    }

    pub(super) fn value(mut self, value: u64) -> Self {
        self.value = Some(value);
        self
    }
}

/// What differs from before, and what was not there.
fn changed(before: &Updates, now: &Updates) -> Updates {
    let is_new = |(id, update): &(&String, &Update)| before.get(*id) != Some(*update);
    now.iter().filter(is_new).map(|(id, update)| (id.clone(), update.clone())).collect()
}

/// The streams there are.
#[derive(Clone)]
pub(super) struct Live {
    seats: Seats,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Live {
    /// They end with `stop`.
    pub(super) fn new(stop: CancellationToken, tasks: TaskTracker) -> Self {
        Self { seats: Seats::default(), stop, tasks }
    }
}

#[derive(Clone, Default)]
struct Seats(Arc<Mutex<HashMap<SessionId, usize>>>);

/// A stream's place among them.
struct Seat(Seats, SessionId);

impl Seats {
    fn take(&self, session: SessionId) -> Option<Seat> {
        let mut all = self.all();
        let own = all.get(&session).copied().unwrap_or_default();
        if own >= MOST_OF_ONE || all.values().sum::<usize>() >= MOST {
            return None;
        }
        all.insert(session, own + 1);
        Some(Seat(self.clone(), session))
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.0.all();
        match all.get_mut(&self.1) {
            Some(streams) if *streams > 1 => *streams -= 1,
            _ => {
                all.remove(&self.1);
            }
        }
    }
}

pub(super) fn routes() -> Router<Console> {
    viewer::needs(Right::People, Router::new().route(PATH, get(events)))
}

#[derive(serde::Deserialize)]
struct Asked {
    page: Watched,
}

async fn events(
    State(console): State<Console>,
    viewer: Viewer,
    busy: Option<Extension<Arc<Busy>>>,
    at: Uri,
) -> Result<Response, Trouble> {
    let (Asked { page }, filter) = (asked(&at)?, asked(&at)?);
    if !viewer.may(page.needs()) {
        return Err(Trouble::Forbidden);
    }
    let Some(seat) = console.live.seats.take(viewer.session) else {
        let later = [(header::RETRY_AFTER, "60")];
        return Ok((StatusCode::SERVICE_UNAVAILABLE, later).into_response());
    };
    let Live { stop, tasks, .. } = console.live.clone();
    let (send, mut receive) = mpsc::channel(1);
    let bells = console.operator.bells();
    let mut stream = Stream { console, viewer, page, filter, at, bells, send };
    let first = stream.look().await?;
    tasks.spawn(async move {
        let gone = stream.send.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = gone.closed() => {}
            () = sleep(LONGEST) => {}
            () = stream.run(first) => {}
        }
        // From now on the connection is an idle one.
        drop((seat, busy));
    });
    let stream = futures_util::stream::poll_fn(move |context| receive.poll_recv(context));
    Ok(Sse::new(stream).into_response())
}

struct Stream {
    console: Console,
    viewer: Viewer,
    page: Watched,
    filter: Filter,
    at: Uri,
    bells: Bells,
    send: mpsc::Sender<Result<Event, Infallible>>,
}

impl Stream {
    /// Sends until nobody reads, or there is nothing to be said any more.
    async fn run(&mut self, mut known: Updates) {
        let mut first = known.clone();
        first.remove(SAY);
        let mut event = message(&first).retry(RETRY);
        let mut quiet = Duration::ZERO;
        loop {
            if !matches!(timeout(PATIENCE, self.send.send(Ok(event))).await, Ok(Ok(()))) {
                return;
            }
            event = loop {
                sleep(PAUSE).await;
                let rung = timeout(LOOK, self.bells.rung()).await.is_ok();
                quiet += if rung { PAUSE } else { PAUSE + LOOK };
                let Ok(now) = self.look().await else { return };
                let mut changed = changed(&known, &now);
                known = now;
                if !changed.is_empty() {
                    let clock = self.viewer.reader.second(self.viewer.reader.now);
                    changed.insert(UPDATED.to_owned(), Update::text(clock));
                    break message(&changed);
                }
                if quiet >= HEARTBEAT {
                    break Event::default().comment("");
                }
            };
            quiet = Duration::ZERO;
        }
    }

    async fn look(&mut self) -> Result<Updates, Trouble> {
        let Self { console, viewer, page, filter, at, .. } = self;
        viewer.reader.now = console.operator.now();
        if !console.operator.lasts(viewer.session).await? {
            return Err(Trouble::SignIn { next: "/".to_owned() });
        }
        let glance = console.operator.glance(viewer.rights.reach(), filter.chosen()).await?;
        viewer.waits = Waits::of(&glance, &viewer.reader);
        let mut texts = page.texts(console, viewer, at).await?;
        texts.extend(viewer.waits.texts());
        Ok(texts)
    }
}

/// What is read aloud.
pub(super) const SAY: &str = "say";
/// When the page last changed.
const UPDATED: &str = "updated";

fn message(texts: &Updates) -> Event {
    Event::default().json_data(texts).expect("texts are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_sent() {
        let texts = |queue: &str, state| -> Updates {
            let progress = Update::text("3 of 9").value(3).state(state);
            [("n-queue".to_owned(), Update::text(queue)), ("run".to_owned(), progress)].into()
        };
        let before = texts("74", "now");
        assert_eq!(changed(&before, &texts("74", "now")), Updates::new());
        let queue = [("n-queue".to_owned(), Update::text("75"))];
        assert_eq!(changed(&before, &texts("75", "now")), queue.into());
        let done = changed(&before, &texts("74", "done"));
        let done = serde_json::to_string(&done).unwrap();
        assert_eq!(done, r#"{"run":{"text":"3 of 9","state":"done","value":3}}"#);
    }

    #[test]
    fn one_session_takes_no_more_than_its_share_and_all_together_leave_room_for_pages() {
        let seats = Seats::default();
        let mine = SessionId(-1);
        let taken: Vec<Seat> = (0..MOST_OF_ONE).map(|_| seats.take(mine).unwrap()).collect();
        assert!(seats.take(mine).is_none());
        drop(taken);
        let many: Vec<Seat> =
            (0..MOST).map(|number| seats.take(SessionId(number as i64)).unwrap()).collect();
        assert!(seats.take(mine).is_none());
        drop(many);
        assert!(seats.take(mine).is_some());
        assert!(seats.all().is_empty(), "nothing is kept of who is gone");
    }
}
