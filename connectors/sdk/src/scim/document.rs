//! A body as JSON, in which every object has each of its keys once.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::Error;
use super::path::shorten;

/// Up to here a look at every key is quicker than a set of them.
const FEW: usize = 16;

/// Reads a body. A key that is given twice is refused, also where only its case differs: names
/// ignore case (RFC 7643 section 2.1), and of two values each reader would take another one (RFC
/// 8259 section 4).
pub fn document(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    // Positions are said, values never are. What is nested too deeply ends here as well.
    let wrong = |error| Error::invalid_syntax(format!("the body is not JSON: {error}"));
    let value = Once.deserialize(&mut reader).map_err(wrong)?;
    reader.end().map_err(wrong)?;
    Ok(value)
}

struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element_seed(Once)? {
            list.push(entry);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        let mut folded = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            let known = if object.len() < FEW {
                object.keys().any(|known: &String| known.eq_ignore_ascii_case(&key))
            } else {
                if folded.is_empty() {
                    folded.extend(object.keys().map(|known| known.to_ascii_lowercase()));
                }
                !folded.insert(key.to_ascii_lowercase())
            };
            if known {
                return Err(A::Error::custom(format!(
                    "the key `{}` is given twice",
                    shorten(&key)
                )));
            }
            object.insert(key, entries.next_value_seed(Once)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scim::ScimType;
    use crate::scim::validate::tests::any_json;

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = document(text.as_bytes()).unwrap_err();
        assert_eq!(error.scim_type, Some(ScimType::InvalidSyntax));
        assert!(error.detail.contains(expected), "{text}: {}", error.detail);
    }

    #[test]
    fn a_key_is_given_once_in_any_case_and_at_any_depth() {
        check_error(r#"{"userName":"a","userName":"b"}"#, "the key `userName` is given twice");
        check_error(r#"{"userName":"a","USERNAME":"a"}"#, "the key `USERNAME` is given twice");
        check_error(r#"[{"a":[{"b":1,"B":2}]}]"#, "the key `B` is given twice");
        let many: Vec<_> = (0..100).map(|number| format!("\"k{number}\":0")).collect();
        for twice in ["K3", "K99"] {
            let text = format!("{{{},\"{twice}\":1}}", many.join(","));
            check_error(&text, "is given twice");
        }
        assert!(document(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        // Case is that of attribute names, which are ASCII.
        assert!(document("{\"å\":1,\"Å\":2}".as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(100_000);
        for text in ["", "{", "{} x", "{\"a\":\"\\ud800\"}", "NaN", "1e999", deep.as_str()] {
            check_error(text, "the body is not JSON: ");
        }
        assert!(document(b"{\"a\":\"\xff\"}").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in any_json()) {
            let text = serde_json::to_string(&value).unwrap();
            if let Ok(read) = document(text.as_bytes()) {
                prop_assert_eq!(read, value);
            } else {
                // Only for keys that differ in case.
                prop_assert_ne!(text.to_ascii_lowercase(), text);
            }
        }
    }
}
