//! What a PUT leaves as it is (RFC 7644 section 3.5.1).

use serde_json::{Map, Value};

use super::{container, in_schema_order, place};
use crate::scim::error::Error;
use crate::scim::resource::Attributes;
use crate::scim::schema::{Attribute, Mutability, ResourceType, Schema};

/// `after` with what a replacement cannot change: an immutable attribute that is set keeps its
/// value, and another one is refused; one that is write-only stays when it is left out, since the
/// client cannot know what it was.
pub fn keep(
    before: &Attributes,
    mut after: Attributes,
    ty: &ResourceType,
) -> Result<Attributes, Error> {
    let none = Map::new();
    let extensions = ty.extensions.iter().map(|schema| Some(schema.as_ref()));
    for extension in std::iter::once(None).chain(extensions) {
        let (schema, before): (&Schema, _) = match extension {
            None => (&ty.core, before),
            Some(schema) => {
                (schema, before.get(&schema.id).and_then(Value::as_object).unwrap_or(&none))
            }
        };
        for attribute in &schema.attributes {
            let Some(present) = before.get(&attribute.name) else { continue };
            let given = after_of(&after, extension).and_then(|own| own.get(&attribute.name));
            let place = || place(extension, attribute);
            if let Some(kept) = kept(attribute, present, given, &place)? {
                container(&mut after, extension).insert(attribute.name.clone(), kept);
            }
        }
    }
    Ok(in_schema_order(after, ty))
}

fn after_of<'a>(after: &'a Attributes, extension: Option<&Schema>) -> Option<&'a Attributes> {
    match extension {
        None => Some(after),
        Some(schema) => after.get(&schema.id)?.as_object(),
    }
}

/// The value that takes the place of `given`, where one must.
fn kept(
    attribute: &Attribute,
    present: &Value,
    given: Option<&Value>,
    place: &dyn Fn() -> String,
) -> Result<Option<Value>, Error> {
    match (attribute.mutability, given) {
        (Mutability::Immutable, Some(given)) if given != present => Err(immutable(&place())),
        (Mutability::Immutable | Mutability::WriteOnly, None) => Ok(Some(present.clone())),
        (Mutability::Immutable | Mutability::WriteOnly, Some(_)) => Ok(None),
        // Which entry of a list was which cannot be told, so theirs may come and go.
        _ if attribute.multi_valued => Ok(None),
        _ => {
            let Some(present) = present.as_object() else { return Ok(None) };
            let mut subs = given.and_then(Value::as_object).cloned().unwrap_or_default();
            let mut changed = false;
            for sub in &attribute.sub_attributes {
                let Some(present) = present.get(&sub.name) else { continue };
                let sub_place = || format!("{}.{}", place(), sub.name);
                if let Some(kept) = kept(sub, present, subs.get(&sub.name), &sub_place)? {
                    subs.insert(sub.name.clone(), kept);
                    changed = true;
                }
            }
            Ok(changed.then(|| Value::Object(attribute.in_order(subs))))
        }
    }
}

/// The refusal of a second value.
pub(crate) fn immutable(at: &str) -> Error {
    Error::mutability(format!("`{at}` cannot be changed once it is set"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::schema::{AttributeType, Returned, Schemas};
    use crate::scim::{PATCH_URN, PatchRequest, ResourceKind, ScimType, normalize};

    const URN: &str = "urn:lillevik:school:2.0:User";

    fn text(name: &str) -> Attribute {
        Attribute::new(name, AttributeType::String, "")
    }

    fn schemas() -> Schemas {
        let id = vec![text("value").mutability(Mutability::Immutable), text("issuer")];
        let schema = Schema {
            id: URN.to_owned(),
            name: "School".to_owned(),
            description: String::new(),
            attributes: vec![
                text("number").mutability(Mutability::Immutable),
                text("subjects").multi_valued().mutability(Mutability::Immutable),
                text("pin").mutability(Mutability::WriteOnly).returned(Returned::Never),
                text("class").required(),
                text("tags").multi_valued().required(),
                Attribute::new("card", AttributeType::Complex, "").sub_attributes(id),
            ],
        };
        Schemas::with([(ResourceKind::User, schema)])
    }

    fn before() -> Value {
        json!({ "number": "7", "subjects": ["a"], "pin": "1234", "class": "1a", "tags": ["x"],
                "card": { "value": "c-1", "issuer": "i" } })
    }

    fn stored(own: &Value) -> Attributes {
        let user = json!({ "userName": "ada", URN: own });
        normalize(user, schemas().of(ResourceKind::User)).unwrap().attributes
    }

    #[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
    fn put(own: Value) -> Result<Value, Error> {
        let after = keep(&stored(&before()), stored(&own), schemas().of(ResourceKind::User))?;
        Ok(after[URN].clone())
    }

    #[test]
    fn a_put_of_what_is_immutable_is_equal_absent_or_refused() {
        let whole = before();
        assert_eq!(put(whole.clone()).unwrap(), whole);
        let changed = put(json!({ "class": "1b", "tags": ["y"] })).unwrap();
        let kept = json!({ "number": "7", "subjects": ["a"], "pin": "1234", "class": "1b",
                           "tags": ["y"], "card": { "value": "c-1" } });
        assert_eq!(changed, kept);
        for (name, value, place) in [
            ("number", json!("8"), "number"),
            ("subjects", json!(["a", "b"]), "subjects"),
            ("card", json!({ "value": "c-2" }), "card.value"),
        ] {
            let mut own = before();
            own[name] = value;
            let error = put(own).unwrap_err();
            assert_eq!(error.scim_type, Some(ScimType::Mutability));
            assert_eq!(error.detail, format!("`{URN}:{place}` cannot be changed once it is set"));
        }
        // Nothing was set yet.
        let none = stored(&json!({ "class": "1a", "tags": ["x"] }));
        let after = keep(&none, stored(&before()), schemas().of(ResourceKind::User)).unwrap();
        assert_eq!(after[URN], before());
    }

    #[test]
    fn a_put_takes_a_new_value_for_what_is_write_only() {
        let changed = put(json!({ "class": "1a", "tags": ["x"], "pin": "9" })).unwrap();
        assert_eq!(changed["pin"], "9");
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
    fn check_patch(operation: Value, expected: Result<Option<Value>, ScimType>) {
        let request = json!({ "schemas": [PATCH_URN], "Operations": [operation] });
        let request = PatchRequest::parse(request).unwrap();
        let patched = request.apply(&stored(&before()), schemas().of(ResourceKind::User));
        let own = patched.map(|patched| patched.attributes.get(URN).cloned());
        assert_eq!(own.map_err(|error| error.scim_type.unwrap()), expected, "{operation}");
    }

    #[test]
    fn a_patch_holds_to_the_same() {
        let at = |name: &str| format!("{URN}:{name}");
        let same = || Ok(Some(before()));
        let immutable = || Err(ScimType::Mutability);
        for op in ["add", "replace"] {
            check_patch(json!({ "op": op, "path": at("number"), "value": "7" }), same());
            check_patch(json!({ "op": op, "path": at("number"), "value": "8" }), immutable());
            check_patch(json!({ "op": op, "path": at("number"), "value": null }), immutable());
            check_patch(json!({ "op": op, "value": { URN: { "number": "8" } } }), immutable());
            check_patch(json!({ "op": op, "path": at("card.value"), "value": "c-2" }), immutable());
            let card = json!({ "value": null });
            check_patch(json!({ "op": op, "path": at("card"), "value": card }), immutable());
            check_patch(json!({ "op": op, "path": at("subjects"), "value": ["b"] }), immutable());
        }
        for path in ["number", "card.value", "subjects", "subjects[value eq \"a\"]"] {
            check_patch(json!({ "op": "remove", "path": at(path) }), immutable());
        }
        check_patch(json!({ "op": "remove", "path": URN }), immutable());
        let mut issued = before();
        issued["card"]["issuer"] = "j".into();
        let issuer = json!({ "op": "replace", "path": at("card"), "value": { "issuer": "j" } });
        check_patch(issuer, Ok(Some(issued)));
    }

    #[test]
    fn what_is_required_cannot_be_removed() {
        let at = |name: &str| format!("{URN}:{name}");
        for path in ["class", "tags", "tags[value eq \"x\"]"] {
            check_patch(json!({ "op": "remove", "path": at(path) }), Err(ScimType::Mutability));
        }
        for value in [json!(null), json!("")] {
            let operation = json!({ "op": "replace", "path": at("class"), "value": value });
            check_patch(operation, Err(ScimType::InvalidValue));
        }
    }
}
