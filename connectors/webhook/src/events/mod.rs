//! Events: one signed POST for each thing that happened (Standard Webhooks).

mod answer;
mod event;
mod kind;
mod sign;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request};
use scim_relay_http::Url;
use scim_relay_sdk::connector::{
    Action, Connector, Delivered, DeliveryError, Gone, Health, HoldKind, Link, MemberRemovals,
    Preview, Semantics, Stage, Wanted, Work,
};

pub(crate) use kind::Pattern;
pub(crate) use sign::{Signer, key};

use answer::answered;
use event::{Event, events};
use kind::Happening;

use crate::preview;
use crate::target::Target;

/// `[webhook]` with a `url`.
pub(crate) struct EventsConnector {
    pub(crate) url: Url,
    pub(crate) signer: Signer,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) target: Target,
}

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

#[async_trait]
impl Connector for EventsConnector {
    fn semantics(&self) -> Semantics {
        Semantics::EveryEvent
    }

    fn reaches(&self, work: &Work) -> bool {
        !events(work, &self.patterns).is_empty()
    }

    /// Sends the events one after another. If one fails, the whole change comes again, and those
    /// that arrived are recognised by their `webhook-id`.
    async fn deliver(&self, work: &Work) -> Result<Delivered, DeliveryError> {
        let events = events(work, &self.patterns);
        permitted(work, &events)?;
        for event in &events {
            let response = self.target.send(self.request(work, event)).await?;
            let what = format!("{} for `{}`", self.url.address(), event.kind);
            answered(response.status, self.target.judge(&what, &response, work.now))?;
        }
        Ok(Delivered {
            link: self.link(work, events.last()),
            revisit: None,
            action: if events.is_empty() { Action::Ignored } else { Action::Sent },
        })
    }

    async fn preview(&self, work: &Work) -> Result<Preview, DeliveryError> {
        let events = events(work, &self.patterns);
        if events.is_empty() {
            let text = "nothing: no event of this change is sent, see `events`\n".to_owned();
            return Ok(Preview { text });
        }
        let requests: Vec<String> = events
            .iter()
            .map(|event| {
                let mut request = self.request(work, event);
                self.target.headers.add_to(request.headers_mut());
                preview::request(&request)
            })
            .collect();
        Ok(Preview { text: requests.join("\n") })
    }

    /// Connects and asks nothing: whatever we could send, the receiver would take for an event.
    async fn probe(&self) -> Result<Health, DeliveryError> {
        let reached = self.target.client.reach(&self.url).await?;
        let origin = self.url.origin();
        Ok(Health {
            summary: format!(
                "connected to {origin} ({reached}); no request was made, since the receiver would \
                 take it for an event, so secret and path are untried"
            ),
        })
    }
}

impl EventsConnector {
    fn request(&self, work: &Work, event: &Event) -> Request<Bytes> {
        let timestamp = work.now.as_second();
        let signature = self.signer.sign(&event.id, timestamp, &event.body);
        let mut signature =
            HeaderValue::from_str(&signature).expect("base64 and commas are header characters");
        // So that previews and logs leave it out.
        signature.set_sensitive(true);

        let mut request = Request::new(Bytes::from(event.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.uri().clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(
            ID,
            HeaderValue::from_str(&event.id).expect("ids are made of letters, digits, `-` and `_`"),
        );
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        headers.insert(SIGNATURE, signature);
        request
    }

    /// What the receiver knows after this work. It is told of nobody whom it was never told of, so
    /// it is remembered who left the scope too: their deletion is still news to it.
    fn link(&self, work: &Work, last: Option<&Event>) -> Option<Link> {
        let known = work.link.as_ref();
        let stage = match &work.wanted {
            Wanted::Present(_) => Stage::Active,
            Wanted::Gone { why: Gone::OutOfScope, .. } => {
                known?;
                Stage::Deactivated
            }
            Wanted::Gone { .. } => return None,
        };
        Some(Link {
            target_id: work.key.id.to_string(),
            address: self.url.address(),
            hash: last
                .map(|event| event.id.clone())
                .or_else(|| known.and_then(|link| link.hash.clone())),
            stage,
            since: known.filter(|link| link.stage == stage).map_or(work.now, |link| link.since),
        })
    }
}

/// A receiver may close accounts and doors when it hears of a removal, so those count as removals
/// although they are only told.
fn permitted(work: &Work, events: &[Event]) -> Result<(), DeliveryError> {
    let left = work.change.iter().flat_map(|change| &change.left);
    let leaving = left.filter(|member| !work.bygone.contains(&member.value)).count();
    for event in events {
        let summary = || format!("send `{}` for {}", event.kind, work.key);
        match event.kind.1 {
            Happening::Deactivated | Happening::Deleted if !work.permit.remove => {
                return Err(DeliveryError::hold(HoldKind::Removal, 1, summary()));
            }
            // An event is sent whole or not at all.
            Happening::MemberRemoved if work.permit.members == MemberRemovals::Leave => {
                MemberRemovals::UpTo(0).demand(leaving, summary)?;
            }
            Happening::MemberRemoved => work.permit.members.demand(leaving, summary)?,
            _ => {}
        }
    }
    Ok(())
}
