//! Reading a value of the configuration from text, with the parser's sentence as the error.
//!
//! The error is raised while the TOML reader still holds the value, so that it points there, also
//! inside a list.

use std::fmt;

use serde::Deserializer;
use serde::de::{self, Visitor};

pub(crate) fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &'static str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(Words { expected, parse })
}

struct Words<T> {
    expected: &'static str,
    parse: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Words<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(de::Error::custom)
    }
}
