//! The systems at the other end of the webhooks: one that keeps who may open which doors, and one
//! that takes signed events. Every request becomes a file.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::http::{Options, serve};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::folder::{Folder, Secrets};
use super::signature;

/// Where events are posted to; everything else is a call to the doors.
const HOOK: &str = "/hooks/school";
const PERSON: &str = "/people/";

/// The systems, while they listen.
pub(super) struct Receiver {
    address: SocketAddr,
    systems: Arc<Systems>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Systems {
    /// What events are signed with.
    key: Vec<u8>,
    authorization: String,
    folder: PathBuf,
    state: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    doors: Doors,
}

/// One request, as far as the account is concerned with it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// `PUT /people/p1001` or `user.created`.
    pub(super) what: String,
    pub(super) to: System,
    /// Whether it was turned away, to come again.
    pub(super) refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Doors,
    /// With whether the signature is right.
    Events {
        verified: bool,
    },
}

/// Who may open which doors.
#[derive(Default)]
struct Doors {
    people: BTreeMap<String, Value>,
    down_until: Option<Instant>,
}

impl Receiver {
    pub(super) async fn start(folder: &Folder, secrets: &Secrets) -> Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))
            .await
            .context("cannot listen on this machine (127.0.0.1)")?;
        let address = listener.local_addr().context("a listener without an address")?;
        let systems = Arc::new(Systems {
            key: signature::key(&secrets.signing).context("the secret that was made is none")?,
            authorization: secrets.authorization.clone(),
            folder: folder.received(),
            state: Mutex::default(),
        });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&systems));
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(serve(listener, None, router, stop.clone(), Options::default()));
        Ok(Self { address, systems, stop, tasks })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The doors' system answers 503 for so long.
    pub(super) fn fail_for(&self, time: Duration) {
        self.systems.seen().doors.down_until = Some(Instant::now() + time);
    }

    /// The requests from the `from`-th on.
    pub(super) fn since(&self, from: usize) -> Vec<Request> {
        self.systems.seen().requests[from..].to_vec()
    }

    /// How many people may open doors.
    pub(super) fn admitted(&self) -> usize {
        let seen = self.systems.seen();
        seen.doors.people.values().filter(|person| person["access"] == true).count()
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Systems {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn receive(
    State(systems): State<Arc<Systems>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = format!("{method} {}", uri.path());
    let parsed = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let now = SystemClock.now();
    let (number, request, status) = {
        let mut seen = systems.seen();
        let (what, to, status) = if uri.path() == HOOK {
            let verified = signature::verify(&systems.key, &headers, &body, now.as_second());
            let status = if verified { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED };
            let kind = parsed["type"].as_str().unwrap_or("event").to_owned();
            (kind, System::Events { verified }, status)
        } else {
            let known = headers
                .get(header::AUTHORIZATION)
                .is_some_and(|given| given.as_bytes() == systems.authorization.as_bytes());
            let status = if known {
                seen.doors.answer(&method, uri.path(), &parsed)
            } else {
                StatusCode::UNAUTHORIZED
            };
            (call.clone(), System::Doors, status)
        };
        let refused = status == StatusCode::SERVICE_UNAVAILABLE;
        let request = Request { what, to, refused };
        seen.requests.push(request.clone());
        (seen.requests.len(), request, status)
    };
    let record = json!({
        "received": now.to_string(),
        "request": call,
        "headers": shown(&headers),
        "signature": match request.to {
            System::Events { verified: true } => "verified",
            System::Events { verified: false } => "wrong",
            System::Doors => "none: this is a plain REST call",
        },
        "body": parsed,
        "answer": status.as_u16(),
    });
    let name = request.what.trim_start_matches('/').replace([' ', '/'], "-").replace("--", "-");
    let path = systems.folder.join(format!("{number:04}-{name}.json"));
    if let Err(error) = tokio::fs::write(&path, format!("{record:#}\n")).await {
        tracing::error!(path = %path.display(), %error, "a received request cannot be kept");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if request.refused {
        return (status, [(header::RETRY_AFTER, "1")]).into_response();
    }
    status.into_response()
}

/// The headers for a file that others may read.
fn shown(headers: &HeaderMap) -> Value {
    let shown = headers.iter().map(|(name, value)| {
        let text = if *name == header::AUTHORIZATION {
            "***".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        (name.to_string(), Value::from(text))
    });
    Value::Object(shown.collect())
}

impl Doors {
    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> StatusCode {
        if self.down_until.is_some_and(|until| Instant::now() < until) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let Some(id) = path.strip_prefix(PERSON) else { return StatusCode::NOT_FOUND };
        match *method {
            Method::PUT => {
                self.people.insert(id.to_owned(), body.clone());
                StatusCode::NO_CONTENT
            }
            Method::PATCH => match (self.people.get_mut(id), body) {
                (Some(Value::Object(person)), Value::Object(changes)) => {
                    person.extend(changes.clone());
                    StatusCode::NO_CONTENT
                }
                _ => StatusCode::NOT_FOUND,
            },
            Method::DELETE if self.people.remove(id).is_some() => StatusCode::NO_CONTENT,
            Method::DELETE => StatusCode::NOT_FOUND,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_doors_keep_what_they_are_told_and_nothing_while_they_are_down() {
        let mut doors = Doors::default();
        let mut ask = |method: Method, body: Value| doors.answer(&method, "/people/p1", &body);
        assert_eq!(ask(Method::PATCH, json!({ "access": false })), 404);
        assert_eq!(ask(Method::PUT, json!({ "access": true })), 204);
        assert_eq!(ask(Method::PATCH, json!({ "access": false })), 204);
        doors.down_until = Some(Instant::now() + Duration::from_mins(1));
        assert_eq!(doors.answer(&Method::DELETE, "/people/p1", &Value::Null), 503);
        assert_eq!(doors.people["p1"]["access"], false);
    }
}
