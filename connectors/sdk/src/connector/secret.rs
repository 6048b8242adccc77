//! Secrets in a configuration: where they are, not what they are.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A secret as the configuration gives it: `{ file = ".." }`, `{ env = ".." }`,
/// `{ credential = ".." }` (systemd's `LoadCredential=`), or inline, which `check` warns about.
#[derive(Clone)]
pub struct Secret(SecretRef);

/// Where a secret is to be found.
#[derive(Clone)]
pub enum SecretRef {
    Inline(SecretString),
    File(PathBuf),
    Env(String),
    Credential(String),
}

/// Reads secrets for connectors; the daemon's implementation touches files and the environment.
pub trait Secrets: Send + Sync {
    /// The secret without a trailing line break. An empty one is an error.
    fn read(&self, reference: &SecretRef) -> Result<SecretString, SecretError>;
}

/// A secret that could not be had; the message names the place and never the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretError(pub String);

impl Secret {
    pub fn inline(value: impl Into<String>) -> Self {
        Self(SecretRef::Inline(SecretString::from(value.into())))
    }

    pub fn reference(&self) -> &SecretRef {
        &self.0
    }

    pub fn is_inline(&self) -> bool {
        matches!(self.0, SecretRef::Inline(_))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (SecretRef::Inline(one), SecretRef::Inline(other)) => {
                one.expose_secret() == other.expose_secret()
            }
            (SecretRef::File(one), SecretRef::File(other)) => one == other,
            (SecretRef::Env(one), SecretRef::Env(other))
            | (SecretRef::Credential(one), SecretRef::Credential(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SecretRef::Inline(_) => f.write_str("Secret(***)"),
            SecretRef::File(path) => write!(f, "Secret(file {})", path.display()),
            SecretRef::Env(name) => write!(f, "Secret(env {name})"),
            SecretRef::Credential(name) => write!(f, "Secret(credential {name})"),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a secret: `{ file = \"..\" }`, `{ env = \"..\" }`, `{ credential = \"..\" }` or a string",
        )
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Secret, E> {
        Ok(Secret::inline(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        const KEYS: &[&str] = &["file", "env", "credential"];
        let Some(key) = map.next_key::<String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let reference = match key.as_str() {
            "file" => SecretRef::File(map.next_value()?),
            "env" => SecretRef::Env(map.next_value()?),
            "credential" => SecretRef::Credential(map.next_value()?),
            other => return Err(de::Error::unknown_field(other, KEYS)),
        };
        if map.next_key::<String>()?.is_some() {
            return Err(de::Error::custom("a secret has one place, not two"));
        }
        Ok(Secret(reference))
    }
}
