//! Whom requests go to, with what every request carries.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use jiff::Timestamp;
use scim_relay_http::{Client, Response, classify, excerpt};
use scim_relay_sdk::connector::{DeliveryError, Problem, Secret, Secrets};
use secrecy::{ExposeSecret, SecretString};

use crate::headers::{Headers, is_secret};

/// The client and the administrator's headers.
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) headers: OwnHeaders,
}

/// The headers of `[webhook] headers`, read.
#[derive(Default)]
pub(crate) struct OwnHeaders {
    /// Secret ones are marked sensitive, so that no `Debug` shows them.
    values: Vec<(HeaderName, HeaderValue)>,
    /// What must not come back in a message, should a target repeat it.
    secrets: Vec<SecretString>,
}

/// A shorter word is no secret, and would be cut out of innocent text.
const SHORTEST_SECRET: usize = 6;

impl OwnHeaders {
    pub(crate) fn read(headers: &Headers<Secret>, secrets: &dyn Secrets) -> Result<Self, Problem> {
        let mut own = Self::default();
        for (name, secret) in &headers.0 {
            let path = || format!("headers.{name}");
            let text = secrets
                .read(secret.reference())
                .map_err(|error| Problem::new(path(), error.to_string()))?;
            let mut value = HeaderValue::from_str(text.expose_secret()).map_err(|_| {
                Problem::new(path(), "its value holds characters that a header cannot have")
                    .help("a header is one line of visible ASCII characters")
            })?;
            if is_secret(name, secret) {
                value.set_sensitive(true);
                let words = text.expose_secret().split_whitespace();
                let words = words.filter(|word| word.len() >= SHORTEST_SECRET);
                own.secrets.extend(words.map(SecretString::from));
            }
            own.values.push((name.clone(), value));
        }
        Ok(own)
    }

    /// What a request says itself stands.
    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.values {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// What a target said, without our own secrets.
    fn excerpt(&self, body: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(body).into_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose_secret(), "***");
        }
        excerpt(text.as_bytes())
    }
}

impl Target {
    /// Sends a request with our headers; the answer is not judged yet.
    pub(crate) async fn send(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response, DeliveryError> {
        self.headers.add_to(request.headers_mut());
        Ok(self.client.send(request).await?)
    }

    /// What the answer means, where the status alone decides.
    pub(crate) fn judge(
        &self,
        what: &str,
        response: &Response,
        now: Timestamp,
    ) -> Result<(), DeliveryError> {
        classify(what, response, &self.headers.excerpt(&response.body), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_repeats_our_token_does_not_put_it_into_a_message() {
        let headers = toml::from_str("authorization = \"Bearer s3cret-t0ken\"").unwrap();
        let own = OwnHeaders::read(&headers, &scim_relay_sdk::testing::secrets()).unwrap();
        assert_eq!(own.excerpt(b"bad token s3cret-t0ken"), "bad token ***");
        assert_eq!(
            own.excerpt(b"{\"Authorization\":\"Bearer s3cret-t0ken\"}"),
            "{\"Authorization\":\"*** ***\"}"
        );
    }

    #[test]
    fn a_header_value_is_one_line() {
        let headers = toml::from_str("x-school = \"north\\r\\nhost: elsewhere\"").unwrap();
        let read = OwnHeaders::read(&headers, &scim_relay_sdk::testing::secrets());
        assert_eq!(read.err().map(|problem| problem.path), Some("headers.x-school".to_owned()));
    }
}
