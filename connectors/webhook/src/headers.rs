//! Headers of the administrator's own, and those that are not theirs to set.

use std::fmt;
use std::marker::PhantomData;

use http::HeaderName;
use scim_relay_sdk::connector::Secret;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A table of headers, in the order in which they were written.
#[derive(Clone, Debug)]
pub(crate) struct Headers<V>(pub(crate) Vec<(HeaderName, V)>);

impl<V> Default for Headers<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Headers<V> {
    pub(crate) fn get(&self, wanted: &HeaderName) -> Option<&V> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
    }
}

/// A name that an administrator may set.
struct OwnName(HeaderName);

/// Framing and the connection belong to the client (RFC 9110 section 7.6.1), `host` to the URL.
/// Whoever sets one of them makes two readers see two requests.
const NOT_YOURS: [&str; 13] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "http2-settings",
];

impl<'de> Deserialize<'de> for OwnName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let Ok(name) = HeaderName::try_from(text.as_str()) else {
            return Err(de::Error::custom(format!(
                "`{}` is not a header name",
                text.escape_debug()
            )));
        };
        if NOT_YOURS.contains(&name.as_str()) || name.as_str().starts_with("webhook-") {
            return Err(de::Error::custom(format!(
                "the header `{name}` is set by the relay; leave it out"
            )));
        }
        Ok(Self(name))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Headers<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor(PhantomData))
    }
}

struct HeadersVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for HeadersVisitor<V> {
    type Value = Headers<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers<V>, A::Error> {
        let mut headers = Headers::default();
        while let Some(OwnName(name)) = map.next_key()? {
            // TOML keys differ by case and header names do not.
            if headers.get(&name).is_some() {
                return Err(de::Error::custom(format!("the header `{name}` is given twice")));
            }
            headers.0.push((name, map.next_value()?));
        }
        Ok(headers)
    }
}

/// Whether a value is to be kept from people's eyes: one that comes from a secret's place, and one
/// written inline whose name says what it is.
pub(crate) fn is_secret(name: &HeaderName, value: &Secret) -> bool {
    const TELLING: [&str; 7] =
        ["auth", "cookie", "token", "secret", "key", "password", "signature"];
    !value.is_inline() || TELLING.iter().any(|part| name.as_str().contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(toml: &str, expected: Result<&[&str], &str>) {
        let parsed = toml::from_str::<Headers<Secret>>(toml);
        match (parsed, expected) {
            (Ok(headers), Ok(names)) => {
                let actual: Vec<_> = headers.0.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(actual, names);
            }
            (Err(error), Err(reason)) => {
                assert!(error.message().contains(reason), "{toml}: {}", error.message());
            }
            (actual, _) => panic!("{toml}: {actual:?}"),
        }
    }

    #[test]
    fn headers_of_the_own_are_taken_in_any_case() {
        check(
            "X-School = \"north\"\nauthorization = { env = \"T\" }",
            Ok(&["x-school", "authorization"]),
        );
    }

    #[test]
    fn what_frames_or_signs_a_request_cannot_be_set() {
        for name in [
            "Host",
            "Content-Length",
            "transfer-encoding",
            "Connection",
            "TE",
            "proxy-authorization",
            "webhook-id",
            "Webhook-Signature",
        ] {
            check(&format!("{name} = \"x\""), Err("is set by the relay; leave it out"));
        }
    }

    #[test]
    fn a_name_with_a_line_break_is_no_name() {
        check("\"x\\r\\nhost\" = \"x\"", Err("`x\\r\\nhost` is not a header name"));
    }

    #[test]
    fn one_header_has_one_value() {
        check("x-a = \"1\"\nX-A = \"2\"", Err("the header `x-a` is given twice"));
    }

    #[test]
    fn a_value_is_secret_by_its_place_or_by_its_name() {
        let secret = |name: &'static str, value| is_secret(&HeaderName::from_static(name), &value);
        assert!(secret("authorization", Secret::inline("Bearer x")));
        assert!(secret("x-api-key", Secret::inline("x")));
        assert!(!secret("x-school", Secret::inline("north")));
    }
}
