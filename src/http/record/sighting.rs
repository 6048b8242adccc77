//! One request as it passes the gate. What is taken along costs counted references and, of an answer
//! that is long, a copy of its beginning.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, Method, Uri, header};
use hyper::body::{Frame, SizeHint};
use jiff::Timestamp;
use scim_relay_sdk::connector::OrganizationInfo;
use scim_relay_sdk::scim::{Quirk, ResourceId, ResourceKind};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::Peer;
use super::Recorder;
use super::redact::Redactor;
use super::shorten::shorten;
use crate::store::{KeptBody, NewRequest, OrgId, TokenId};

/// What is kept of a body, in bytes.
const KEPT: usize = 8 * 1024;
/// What is looked at of an answer: a little more, so that it shows that it goes on.
const LOOKED_AT: usize = KEPT + 4;
/// A request body beyond this is told by its length alone: to redact one it has to be read whole.
const LONGEST: usize = 1 << 20;
/// What is kept of any other text that a client makes up, in bytes.
const LONGEST_TEXT: usize = 1_024;
/// What all bodies together may hold on to, in bytes: a client that is slow to read its answers keeps
/// them waiting here.
const ROOM: usize = 8 << 20;

/// Memory for bodies. One that gets none is told by its length.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl Room {
    fn hold(&self, bytes: Bytes) -> Option<Held> {
        let length = u32::try_from(bytes.len()).ok()?;
        let room = Arc::clone(&self.0).try_acquire_many_owned(length).ok()?;
        Some(Held { bytes, _room: room })
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.0.available_permits()
    }
}

#[derive(Debug)]
struct Held {
    bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// The body of a request, left here by whoever reads it.
#[derive(Clone, Debug)]
pub(in crate::http) struct SeenBody {
    held: Arc<OnceLock<Held>>,
    room: Room,
}

impl SeenBody {
    pub(in crate::http) fn set(&self, bytes: &Bytes) {
        if bytes.len() <= LONGEST
            && let Some(held) = self.room.hold(bytes.clone())
        {
            self.held.get_or_init(|| held);
        }
    }
}

/// What came.
#[derive(Debug)]
pub(in crate::http) struct Asked {
    at: Timestamp,
    method: Method,
    uri: Uri,
    user_agent: Option<HeaderValue>,
    peer: Option<Peer>,
    /// The length of the body, as it was announced.
    announced: u64,
    body: SeenBody,
}

impl Asked {
    pub(in crate::http) fn new(recorder: &Recorder, request: &mut Request, at: Timestamp) -> Self {
        let body = SeenBody { held: Arc::default(), room: recorder.room.clone() };
        request.extensions_mut().insert(body.clone());
        Self {
            at,
            method: request.method().clone(),
            uri: request.uri().clone(),
            user_agent: request.headers().get(header::USER_AGENT).cloned(),
            peer: request.extensions().get().copied(),
            announced: request.body().size_hint().lower(),
            body,
        }
    }
}

/// Whose request it is, as its token proves.
#[derive(Clone, Debug)]
pub(in crate::http) struct Of {
    pub(in crate::http) organization: OrgId,
    pub(in crate::http) info: Arc<OrganizationInfo>,
    pub(in crate::http) token: TokenId,
    /// Why the token was not good, which the client was not told.
    pub(in crate::http) refusal: Option<String>,
}

/// How it ended, but for the body of the answer.
#[derive(Debug)]
pub(in crate::http) struct Ended {
    pub(in crate::http) took: Duration,
    pub(in crate::http) id: Option<ResourceId>,
    pub(in crate::http) quirks: Vec<Quirk>,
}

/// All of it together.
#[derive(Debug)]
pub(super) struct Sighting {
    asked: Asked,
    of: Of,
    ended: Ended,
    status: u16,
    /// Its beginning.
    answer: Option<Held>,
    answer_length: u64,
}

/// Lets the answer go on its way, and offers what was seen once it is gone.
pub(in crate::http) fn watch(
    recorder: &Arc<Recorder>,
    asked: Asked,
    of: Of,
    ended: Ended,
    response: Response,
) -> Response {
    let status = response.status().as_u16();
    let sighting = Sighting { asked, of, ended, status, answer: None, answer_length: 0 };
    response.map(|body| {
        Body::new(Watched { body, sighting: Some(sighting), recorder: Arc::clone(recorder) })
    })
}

struct Watched {
    body: Body,
    /// There until the end.
    sighting: Option<Sighting>,
    recorder: Arc<Recorder>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let (Some(data), Some(sighting)) = (frame.data_ref(), &mut self.sighting)
        {
            sighting.look_at(data);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// However it ends: read to the end, empty, or left by a client that has gone.
impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(sighting) = self.sighting.take() {
            self.recorder.offer(sighting);
        }
    }
}

impl Sighting {
    fn look_at(&mut self, data: &Bytes) {
        let before = self.answer.as_ref().map_or(&[][..], |held| &held.bytes);
        let is_whole = before.len() as u64 == self.answer_length;
        let left = LOOKED_AT.saturating_sub(before.len());
        self.answer_length += data.len() as u64;
        if left == 0 || !is_whole {
            return;
        }
        let seen = if before.is_empty() && data.len() <= left {
            data.clone()
        } else {
            // A copy, so that a few kilobytes do not hold on to the whole of a big group.
            [before, &data[..left.min(data.len())]].concat().into()
        };
        self.answer = None;
        self.answer = self.asked.body.room.hold(seen);
    }

    pub(super) fn organization(&self) -> OrgId {
        self.of.organization
    }

    /// A read that went well, or one of those that come too fast.
    pub(super) fn is_dull(&self) -> bool {
        self.asked.method.is_safe() && self.status < 400 || self.status == 429
    }

    /// As it may be kept.
    pub(super) fn redacted(self) -> NewRequest {
        let Self { asked, of, ended, status, answer, answer_length } = self;
        let mut redactor = Redactor::new(&of.info.schemas);
        let read = asked.body.held.get().map(|held| &held.bytes);
        let sent = read.and_then(|bytes| {
            let mut body: Value = serde_json::from_slice(bytes).ok()?;
            redactor.redact(&mut body);
            Some(body.to_string())
        });
        let request = KeptBody {
            cut: sent.as_ref().is_some_and(|sent| sent.len() > KEPT),
            json: sent.and_then(|sent| shorten(&sent, KEPT)),
            length: read.map_or(asked.announced, |bytes| bytes.len() as u64),
        };
        let query = asked.uri.query().map(|_| redactor.query(&asked.uri)).unwrap_or_default();
        let own = format!("/scim/{}/v2", of.info.key);
        let path = asked.uri.path();
        let path = path.strip_prefix(&own).unwrap_or(path);
        let kind = ResourceKind::ALL
            .into_iter()
            .find(|kind| path.split('/').nth(1) == Some(kind.endpoint()));
        let answered = answer.and_then(|held| beginning(&held.bytes)).map(|mut answered| {
            redactor.redact_answer(&mut answered);
            answered
        });
        let said = |key: &str| {
            let said = answered.as_ref().filter(|_| status >= 400)?.get(key)?.as_str()?;
            Some(said.to_owned())
        };
        let text = |text: &str| cut(&redactor.text(text)).to_owned();
        NewRequest {
            organization: of.organization,
            at: asked.at,
            took: ended.took,
            method: text(asked.method.as_str()),
            path: text(&format!("{path}{query}")),
            status,
            token: of.token,
            user_agent: asked
                .user_agent
                .map(|value| text(&String::from_utf8_lossy(value.as_bytes()))),
            peer: asked.peer.and_then(|peer| peer.ip()).map(|ip| ip.to_string()),
            subject: kind.zip(ended.id),
            quirks: ended.quirks,
            scim_type: said("scimType"),
            detail: of.refusal.or_else(|| said("detail")).map(|detail| cut(&detail).to_owned()),
            request,
            answer: KeptBody {
                json: answered.map(|answered| answered.to_string()),
                cut: answer_length > KEPT as u64,
                length: answer_length,
            },
        }
    }
}

/// The answer, or as much of it as was looked at.
fn beginning(answer: &Bytes) -> Option<Value> {
    let text = String::from_utf8_lossy(answer);
    serde_json::from_str(&shorten(&text, KEPT)?).ok()
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}
