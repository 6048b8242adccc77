//! What a handler is given: the caller, the query, the headers, the body.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use scim_relay_sdk::scim::{self, Projection, ResourceKind, ResourceType};
use serde_json::Value;

use super::auth::Caller;
use super::errors::Failure;
use super::record::SeenBody;
use crate::directory::Precondition;

/// RFC 7644 section 8.1.
pub(super) const SCIM_JSON: &str = "application/scim+json; charset=utf-8";
pub(super) const PLAIN_JSON: &str = "application/json; charset=utf-8";

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Ids are shorter, and so are the URNs of schemas. What is longer is cut, so that a refusal does
/// not repeat pages of it.
const LONGEST_ID: usize = 256;

/// A request apart from its body.
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) precondition: Precondition,
    /// The query, decoded. Entra's `?aadOptscim062020` is a name without a value, and no harm.
    pub(super) query: Vec<(String, String)>,
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let unreadable = || scim::Error::invalid_syntax("the query is not text in UTF-8");
        // What does not decode would be looked for under another name.
        let raw = parts.uri.query().unwrap_or_default();
        percent_decode_str(raw).decode_utf8().map_err(|_| unreadable())?;
        let Query(query) = Query::try_from_uri(&parts.uri).map_err(|_| unreadable())?;
        Ok(Self {
            caller: caller(parts)?,
            precondition: Precondition::new(
                list(&parts.headers, &header::IF_MATCH).as_deref(),
                list(&parts.headers, &header::IF_NONE_MATCH).as_deref(),
            ),
            query,
        })
    }
}

pub(super) fn caller(parts: &Parts) -> Result<Caller, Failure> {
    parts.extensions.get().cloned().ok_or_else(|| Failure::internal("a request passed no gate"))
}

impl Call {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.iter().rev();
        pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `attributes` and `excludedAttributes`, which every verb takes (RFC 7644 section 3.9).
    pub(super) fn projection(&self, ty: &ResourceType) -> Result<Projection, Failure> {
        let (only, without) = (self.parameter("attributes"), self.parameter("excludedAttributes"));
        Ok(Projection::parse(only, without, ty)?)
    }

    pub(super) fn ty(&self, kind: ResourceKind) -> &ResourceType {
        self.caller.directory.resource_type(kind)
    }
}

/// The lines of a header as one list (RFC 9110 section 5.3). What is not even text is nonsense as a
/// list, too.
fn list(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let lines: Vec<_> =
        headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// The last piece of the path.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        // The organization comes first in the path. What is not UTF-8 names nothing of ours.
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((_, mut id)) = path.map_err(|_| Failure::new(404, "resource not found"))?;
        id.truncate(id.floor_char_boundary(LONGEST_ID));
        Ok(Self(id))
    }
}

/// The body of a write.
pub(super) struct Unread(Bytes);

impl Unread {
    pub(super) fn parse(self) -> Result<Value, Failure> {
        Ok(scim::document(&self.0)?)
    }
}

impl<S: Sync> FromRequest<S> for Unread {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let caller = caller(&parts)?;
        // A write that is not allowed is not read first.
        caller.editor()?;
        bytes(&parts, body, caller.max_body).await.map(Self)
    }
}

/// The same, as JSON.
pub(super) struct Document(pub(super) Value);

impl<S: Sync> FromRequest<S> for Document {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        Unread::from_request(request, state).await?.parse().map(Self)
    }
}

/// The JSON body of a search, which whoever may read may send.
pub(super) struct Question(pub(super) Value);

impl<S: Sync> FromRequest<S> for Question {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let caller = caller(&parts)?;
        Unread(bytes(&parts, body, caller.max_body).await?).parse().map(Self)
    }
}

async fn bytes(parts: &Parts, body: Body, max: usize) -> Result<Bytes, Failure> {
    expect_json(&parts.headers)?;
    let bytes = in_time(body, max, BODY_TIMEOUT).await?;
    if let Some(seen) = parts.extensions.get::<SeenBody>() {
        seen.set(&bytes);
    }
    Ok(bytes)
}

fn expect_json(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    let coding = text(header::CONTENT_ENCODING).unwrap_or("identity");
    if !coding.is_empty() && !coding.eq_ignore_ascii_case("identity") {
        return Err(Failure::new(415, "send the body as it is, without a Content-Encoding"));
    }
    let Some(given) = text(header::CONTENT_TYPE) else { return Ok(()) };
    let mut parts = given.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let known = ["application/scim+json", "application/json"];
    if !known.iter().any(|known| known.eq_ignore_ascii_case(essence)) {
        return Err(Failure::new(415, "send the body as application/scim+json"));
    }
    // JSON is UTF-8 (RFC 8259 section 8.1), of which ASCII is a part.
    let charset = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let utf_8 = ["utf-8", "utf8", "us-ascii"];
    match charset {
        Some(other) if !utf_8.iter().any(|name| name.eq_ignore_ascii_case(other)) => {
            Err(Failure::new(415, "send the body in UTF-8"))
        }
        _ => Ok(()),
    }
}

async fn in_time(body: Body, max: usize, patience: Duration) -> Result<Bytes, Failure> {
    let late = |_| Failure::new(408, "the body took too long to arrive");
    tokio::time::timeout(patience, read(body, max)).await.map_err(late)?
}

/// Reads no further than `max` bytes, whatever was announced.
async fn read(mut body: Body, max: usize) -> Result<Bytes, Failure> {
    let too_large = || Failure::new(413, &format!("the body is larger than {max} bytes"));
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(announced as usize);
    while let Some(frame) = body.frame().await {
        let broken = |_| scim::Error::invalid_syntax("the body ended before its end");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if bytes.len() + data.len() > max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http::HeaderValue;

    use super::*;

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let body = Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let refusal = in_time(body, 10, Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(refusal.error().status, 408);
        assert_eq!(in_time(Body::from("{}"), 10, BODY_TIMEOUT).await.unwrap(), "{}");
    }

    #[track_caller]
    fn check(name: header::HeaderName, value: &str, accepted: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        assert_eq!(expect_json(&headers).is_ok(), accepted, "{value}");
    }

    #[test]
    fn both_kinds_of_json_are_taken_with_any_parameters() {
        for good in
            ["application/scim+json", "Application/JSON; charset=utf-8", "application/json;v=2"]
        {
            check(header::CONTENT_TYPE, good, true);
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            check(header::CONTENT_TYPE, bad, false);
        }
        assert!(expect_json(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn no_body_is_unpacked() {
        check(header::CONTENT_ENCODING, "identity", true);
        for bad in ["gzip", "br", "gzip, gzip", "x"] {
            check(header::CONTENT_ENCODING, bad, false);
        }
    }
}
