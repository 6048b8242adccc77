//! Whether a stored text holds only what the schemas know. An attribute or a schema that left the
//! configuration leaves its values behind, and nothing says any more who may see them. The text is
//! read without being taken apart, since every answer asks this.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::schema::{Attribute, ResourceType};

impl ResourceType {
    /// False also of a text that only a closer look can judge.
    pub fn knows_all(&self, text: &str) -> bool {
        Names::Of(self).deserialize(&mut serde_json::Deserializer::from_str(text)).is_ok()
    }
}

/// The names that an object may have.
#[derive(Clone, Copy)]
enum Names<'a> {
    Of(&'a ResourceType),
    In(&'a [Attribute]),
}

/// What to do with the value at a name.
enum Step<'a> {
    Into(Names<'a>),
    Over,
    Stop,
}

impl<'a> Names<'a> {
    /// Only extensions are looked into: the core schemas never change.
    fn step(self, name: &str) -> Step<'a> {
        match self {
            Self::Of(ty) => match ty.extension(name) {
                Some(schema) => Step::Into(Self::In(&schema.attributes)),
                None if name.contains(':') => Step::Stop,
                None => Step::Over,
            },
            Self::In(attributes) => {
                let known: Option<&'a Attribute> =
                    attributes.iter().find(|one| one.name.eq_ignore_ascii_case(name));
                known
                    .map_or(Step::Stop, |attribute| Step::Into(Self::In(&attribute.sub_attributes)))
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, text: D) -> Result<(), D::Error> {
        text.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("what the schemas know")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        // A name with an escape in it cannot be borrowed; none of ours has one.
        while let Some(name) = object.next_key::<&str>()? {
            match self.step(name) {
                Step::Into(names) => object.next_value_seed(names)?,
                Step::Over => {
                    object.next_value::<IgnoredAny>()?;
                }
                Step::Stop => return Err(A::Error::custom("an unknown name")),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::scim::{
        Attribute, AttributeType, ENTERPRISE_URN, ResourceKind, Schema, Schemas, USER_URN,
    };

    const URN: &str = "urn:x:1.0:User";

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
    fn check(user: Value, expected: bool) {
        let text = |name| Attribute::new(name, AttributeType::String, "");
        let badge = Attribute::new("badge", AttributeType::Complex, "").sub_attributes(vec![
            text("colour"),
            Attribute::new("number", AttributeType::Integer, ""),
        ]);
        let schema = Schema {
            id: URN.to_owned(),
            name: "X".to_owned(),
            description: String::new(),
            attributes: vec![text("note"), badge],
        };
        let schemas = Schemas::with([(ResourceKind::User, schema)]);
        let known = schemas.of(ResourceKind::User).knows_all(&user.to_string());
        assert_eq!(known, expected, "{user}");
    }

    #[test]
    fn what_the_schemas_have_is_known_at_every_level() {
        check(
            json!({
                "schemas": [USER_URN, URN], "id": "1", "userName": "a\n", "active": true,
                "emails": [{ "value": "a", "primary": true }],
                ENTERPRISE_URN: { "department": "D", "manager": { "value": "m", "$ref": "r" } },
                URN: { "note": "n", "badge": { "colour": "c", "number": -1 } },
            }),
            true,
        );
        check(json!({ URN: { "note": ["a", null, 1.5, false, 1] } }), true);
    }

    #[test]
    fn what_they_have_not_is_found_at_every_level() {
        check(json!({ "userName": "a", "urn:gone:1.0:User": {} }), false);
        check(json!({ URN: { "gone": 1 } }), false);
        check(json!({ URN: { "badge": { "gone": 1 } } }), false);
        check(json!({ URN: { "badge": [{ "colour": "c" }, { "gone": 1 }] } }), false);
        // It has been complex.
        check(json!({ URN: { "note": { "text": "t" } } }), false);
    }
}
