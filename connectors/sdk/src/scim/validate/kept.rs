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
