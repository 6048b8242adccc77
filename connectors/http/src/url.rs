//! A target's address as the configuration gives it.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use scim_relay_sdk::connector::Problem;
use serde::{Deserialize, Deserializer, de};

use crate::Guard;

/// An `http://` or `https://` URL with a host, without a user name and without a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(Uri);

impl Url {
    /// Reads a URL; the error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = |why: &str| Err(format!("`{}` {why}", without_user(text)));
        // The `Uri` type drops a fragment without a word.
        if text.contains('#') {
            return wrong("has a `#`, which is never sent; leave it out");
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return wrong("is not an `https://` URL");
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return wrong(
                "is not a URL; write it like \"https://host/path\" (a name with other letters \
                 than a-z in its `xn--` form)",
            );
        };
        let Some(authority) = uri.authority() else { return wrong("names no host") };
        if authority.as_str().contains('@') {
            return wrong("has a user name in it; put credentials into `headers`");
        }
        if authority.host().is_empty() {
            return wrong("names no host");
        }
        if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none() {
            return wrong("has no valid port");
        }
        Ok(Self(uri))
    }

    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// The URL without its query, which may hold what is not for everybody's eyes.
    pub fn address(&self) -> String {
        address(&self.0)
    }

    /// Scheme, host and port: whom a connection is opened to.
    pub fn origin(&self) -> String {
        origin(&self.0)
    }

    pub fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// What the connector's other keys say against this URL.
    pub fn check(&self, path: &str, allow_plaintext: bool, guard: &Guard) -> Vec<Problem> {
        let mut problems = Vec::new();
        let literal = self.literal_address();
        let local =
            self.host() == "localhost" || literal.is_some_and(|ip| ip.to_canonical().is_loopback());
        if !self.is_https() && !local && !allow_plaintext {
            problems.push(
                Problem::new(path, format!("{} would be sent in clear text", self.origin()))
                    .help("use https://, or say `allow_plaintext = true`"),
            );
        }
        if let Some(Err(error)) = literal.map(|ip| guard.check(ip)) {
            problems.push(Problem::new(path, error.to_string()));
        }
        problems
    }

    fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    fn literal_address(&self) -> Option<IpAddr> {
        literal_address(&self.0)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Scheme, host and port of `uri`.
pub(crate) fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}")
}

pub(crate) fn address(uri: &Uri) -> String {
    format!("{}{}", origin(uri), uri.path())
}

/// The host, where it is an address already.
pub(crate) fn literal_address(uri: &Uri) -> Option<IpAddr> {
    uri.host()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A user name in a URL may come with a password, and messages are shown to people.
fn without_user(text: &str) -> String {
    match text.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?))) {
        Some((scheme, (_, host))) => format!("{scheme}://***@{host}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, reason: &str) {
        let error = Url::parse(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }

    #[test]
    fn only_a_plain_web_address_is_a_url() {
        refused("gopher://hr.example/", "not an `https://` URL");
        refused("file:///etc/passwd", "not an `https://` URL");
        refused("hr.example", "not an `https://` URL");
        refused("hr.example/hooks", "not an `https://` URL");
        refused("/hooks", "not an `https://` URL");
        refused("https://hr.example/#top", "has a `#`");
        refused("https://", "is not a URL");
        refused("https://hr.example:99999/", "port");
        refused("https://hr example/", "is not a URL");
    }

    #[test]
    fn credentials_in_a_url_are_refused_and_not_repeated() {
        let error = Url::parse("https://ada:hunter2@hr.example/").unwrap_err();
        assert!(error.contains("has a user name in it"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[track_caller]
    fn problems(text: &str, allow_plaintext: bool) -> usize {
        Url::parse(text).unwrap().check("url", allow_plaintext, &Guard::default()).len()
    }

    #[test]
    fn clear_text_needs_a_word_except_on_this_machine() {
        assert_eq!(problems("http://hr.example/", false), 1);
        assert_eq!(problems("http://hr.example/", true), 0);
        assert_eq!(problems("http://localhost:8080/", false), 0);
        assert_eq!(problems("http://127.0.0.1/", false), 0);
        assert_eq!(problems("http://[::1]:9000/", false), 0);
        assert_eq!(problems("https://hr.example/", false), 0);
    }

    #[test]
    fn a_refused_address_in_a_url_is_found_at_load() {
        assert_eq!(problems("https://169.254.169.254/latest", false), 1);
        assert_eq!(problems("https://[fe80::1]/", false), 1);
        assert_eq!(problems("https://[::ffff:169.254.169.254]/", false), 1);
        assert_eq!(problems("https://10.1.2.3/", false), 0);
    }

    #[test]
    fn an_address_is_shown_without_its_query() {
        let url = Url::parse("https://hr.example/hook?key=s3cret").unwrap();
        assert_eq!(url.address(), "https://hr.example/hook");
    }
}
