//! One call as the administrator writes it down, and as it is made for one resource.

use std::fmt;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use scim_relay_http::Url;
use scim_relay_sdk::connector::{Problem, TemplateError, View};
use serde::de::{self, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::template::{PASSWORD, Place, Text};
use crate::headers::Headers;
use crate::words;

/// `{ method = "PUT", url = "...", body = "..." }`
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct Call {
    method: Verb,
    url: UrlTemplate,
    headers: Headers<HeaderTemplate>,
    body: Option<Body>,
    expect: Option<Vec<Status>>,
}

/// A call before its body is compiled for the content type that the headers name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    method: Verb,
    url: UrlTemplate,
    #[serde(default)]
    headers: Headers<HeaderTemplate>,
    body: Option<Body>,
    /// Statuses that mean it is done; any 2xx where it is left out.
    expect: Option<Vec<Status>>,
}

/// A method that changes something.
#[derive(Debug)]
struct Verb(Method);

/// A URL whose scheme and host are written out: no value of a resource chooses whom we talk to.
#[derive(Debug)]
struct UrlTemplate {
    base: Url,
    text: Text,
}

#[derive(Debug)]
struct HeaderTemplate(Text);

#[derive(Debug)]
struct Body(Text);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status(StatusCode);

impl TryFrom<Written> for Call {
    type Error = TemplateError;

    fn try_from(written: Written) -> Result<Self, TemplateError> {
        let Written { method, url, headers, body, expect } = written;
        let mut call = Self { method, url, headers, body, expect };
        let place = call.place();
        if let Some(Body(text)) = &mut call.body {
            *text = Text::parse(text.source(), place)?;
        }
        Ok(call)
    }
}

impl Call {
    /// Whom it goes to.
    pub(crate) fn base(&self) -> &Url {
        &self.url.base
    }

    /// Whether a password goes into it.
    pub(crate) fn reads_password(&self) -> bool {
        self.texts().any(|text| text.reads(PASSWORD))
    }

    /// Whether a template of it may look up the groups a user is in.
    pub(crate) fn reads_groups(&self) -> bool {
        self.texts().any(Text::reads_groups)
    }

    /// Whether two organizations' resources always have two URLs.
    fn tells_organizations_apart(&self) -> bool {
        self.url.text.reads("organization") || self.url.text.reads("id")
    }

    fn texts(&self) -> impl Iterator<Item = &Text> {
        let headers = self.headers.0.iter().map(|(_, value)| &value.0);
        std::iter::once(&self.url.text).chain(headers).chain(self.body.as_ref().map(|body| &body.0))
    }

    fn content_type(&self) -> &str {
        self.headers.get(&CONTENT_TYPE).map_or("application/json", |value| value.0.source())
    }

    fn place(&self) -> Place {
        let full = self.content_type().to_ascii_lowercase();
        let essence = full.split(';').next().unwrap_or_default().trim();
        if essence == "application/json" || essence.ends_with("+json") {
            Place::Json
        } else if essence == "application/x-www-form-urlencoded" {
            Place::Form
        } else if essence.ends_with("/xml") || essence.ends_with("+xml") {
            Place::Xml
        } else {
            Place::Plain
        }
    }

    pub(crate) fn check(&self, path: &str, several_organizations: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.content_type().contains('{') {
            problems.push(
                Problem::new(format!("{path}.headers"), "the content type is a template")
                    .help("write it out: values in the body are escaped for it"),
            );
        }
        if self.expect.as_ref().is_some_and(Vec::is_empty) {
            problems.push(
                Problem::new(format!("{path}.expect"), "no status would be a success")
                    .help("leave `expect` out for any 2xx"),
            );
        }
        let headers = self.headers.0.iter();
        let exposed =
            headers.map(|(_, value)| ("headers", &value.0)).chain([("url", &self.url.text)]);
        for (key, _) in exposed.filter(|(_, text)| text.reads(PASSWORD)) {
            problems.push(
                Problem::new(format!("{path}.{key}"), "a password here would end up in logs")
                    .help("put it into the `body`"),
            );
        }
        if several_organizations && !self.tells_organizations_apart() {
            problems.push(
                Problem::new(
                    format!("{path}.url"),
                    "people of several organizations would have the same URL, since only `id` is \
                     unique across them",
                )
                .help("use `{{ id }}` or `{{ organization.key }}` in it, or one connector for each organization"),
            );
        }
        problems
    }

    /// The call for one resource; the error is a sentence that says which part and why.
    pub(crate) fn render(&self, view: &View) -> Result<Rendered, String> {
        let uri = self.url.render(view).map_err(|why| format!("`url` {why}"))?;
        let mut headers = Vec::new();
        for (name, HeaderTemplate(text)) in &self.headers.0 {
            let value = text.render(view).map_err(|why| format!("the header `{name}` {why}"))?;
            // A line break in a value would begin a header of its own.
            let value = HeaderValue::from_str(value.trim()).map_err(|_| {
                format!("the header `{name}` would hold characters that a header cannot have")
            })?;
            headers.push((name.clone(), value));
        }
        let mut body = Bytes::new();
        if let Some(Body(text)) = &self.body {
            let rendered = text.render(view).map_err(|why| format!("`body` {why}"))?;
            let rendered = rendered.trim();
            if text.place() == Place::Json {
                serde_json::from_str::<IgnoredAny>(rendered).map_err(|error| {
                    format!("`body` is not JSON for this resource ({error}); write values as `{{{{ x | tojson }}}}`")
                })?;
            }
            body = Bytes::from(rendered.to_owned());
            if self.headers.get(&CONTENT_TYPE).is_none() {
                headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
            }
        }
        Ok(Rendered { method: self.method.0.clone(), uri, headers, body })
    }

    /// Whether this status says that the call is done; `None` where the call does not say.
    pub(crate) fn expects(&self, status: StatusCode) -> Option<bool> {
        self.expect.as_ref().map(|expect| expect.contains(&Status(status)))
    }
}

impl UrlTemplate {
    fn parse(source: &str) -> Result<Self, String> {
        let source = source.trim();
        let host = source.find("://").map_or(0, |at| at + "://".len());
        let end = source[host..].find(['/', '?']).map_or(source.len(), |at| host + at);
        let base = &source[..end];
        if base.contains('{') {
            return Err(format!(
                "`{base}` has a template in its host; write scheme and host out, so that no value \
                 can choose whom the relay talks to"
            ));
        }
        let base = Url::parse(base)?;
        let text = Text::parse(source, Place::Url).map_err(|error| error.to_string())?;
        Ok(Self { base, text })
    }

    fn render(&self, view: &View) -> Result<Uri, String> {
        let text = self.text.render(view)?;
        // `Url` refuses what the plain `Uri` type takes silently: a fragment, a user name.
        let url = Url::parse(&text).map_err(|_| "is not a URL for this resource".to_owned())?;
        if url.origin() != self.base.origin() {
            return Err("leads to another host for this resource".to_owned());
        }
        // Servers resolve these (RFC 3986 section 5.2.4), so the call would be about something else.
        if url.uri().path().split('/').any(|part| matches!(part, "." | "..")) {
            return Err("has a path segment `.` or `..` for this resource".to_owned());
        }
        Ok(url.uri().clone())
    }
}

/// A call with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Rendered {
    pub(crate) fn request(&self) -> Request<Bytes> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        request
    }

    /// The URL without its query.
    pub(crate) fn address(&self) -> String {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        format!("{scheme}://{host}{}", self.uri.path())
    }

    /// What tells two calls apart. Each part is preceded by its length, so that none can pass for
    /// another's end.
    pub(crate) fn hash(&self) -> String {
        let mut digest = Sha256::new();
        let mut part = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        part(self.method.as_str().as_bytes());
        part(self.uri.to_string().as_bytes());
        for (name, value) in &self.headers {
            part(name.as_str().as_bytes());
            part(value.as_bytes());
        }
        part(&self.body);
        digest.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

/// `PUT https://hr.example/people/7`
impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.address())
    }
}

impl<'de> Deserialize<'de> for Verb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        words::read(deserializer, "a method such as \"PUT\"", |text| {
            let known = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
            let found = known.into_iter().find(|method| method.as_str() == text);
            found.map(Self).ok_or_else(|| {
                format!("`{text}` is no method for this; there are POST, PUT, PATCH, DELETE")
            })
        })
    }
}

impl<'de> Deserialize<'de> for UrlTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        words::read(deserializer, "a URL", Self::parse)
    }
}

impl<'de> Deserialize<'de> for HeaderTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        words::read(deserializer, "a text", |source| {
            Text::parse(source, Place::Plain).map(Self).map_err(|error| error.to_string())
        })
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        words::read(deserializer, "a text", |source| {
            Text::parse(source, Place::Json).map(Self).map_err(|error| error.to_string())
        })
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_i64(StatusVisitor)
    }
}

struct StatusVisitor;

impl Visitor<'_> for StatusVisitor {
    type Value = Status;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP status such as 204")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Status, E> {
        // What comes before 200 is no answer yet (RFC 9110 section 15.2).
        let answer = u16::try_from(number).ok().filter(|number| (200..600).contains(number));
        answer
            .and_then(|number| StatusCode::from_u16(number).ok())
            .map(Status)
            .ok_or_else(|| de::Error::custom(format!("{number} is no HTTP status of an answer")))
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
