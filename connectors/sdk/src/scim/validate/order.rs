//! What holds for a resource as a whole: what must be there, and in which order it is written.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::is_hollow;
use crate::scim::error::Error;
use crate::scim::resource::Attributes;
use crate::scim::schema::{Attribute, ResourceType};

/// Refuses a resource without its required attributes; those of an extension are required once
/// the extension is there, and those of an entry in each entry.
pub(crate) fn required(attributes: &Attributes, ty: &ResourceType) -> Result<(), Error> {
    for attribute in &ty.core.attributes {
        required_in(attributes, attribute, "")?;
    }
    for schema in &ty.extensions {
        if let Some(Value::Object(own)) = attributes.get(&schema.id) {
            for attribute in &schema.attributes {
                required_in(own, attribute, &format!("{}:", schema.id))?;
            }
        }
    }
    Ok(())
}

fn required_in(attributes: &Attributes, attribute: &Attribute, prefix: &str) -> Result<(), Error> {
    let value = attributes.get(&attribute.name);
    if attribute.required && is_blank(value) {
        return Err(Error::invalid_value(format!(
            "`{prefix}{}` is required and must not be blank",
            attribute.name
        )));
    }
    let entries = match value {
        None => return Ok(()),
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    for subs in entries.iter().filter_map(Value::as_object) {
        for sub in attribute.sub_attributes.iter().filter(|sub| sub.required) {
            required_in(subs, sub, &format!("{prefix}{}.", attribute.name))?;
        }
    }
    Ok(())
}

fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    }
}

/// Drops the entries that a PATCH has left without anything but their type, or equal to another.
/// Not earlier: a later operation of the same request may still give `emails[type eq "work"]` its
/// value.
pub(crate) fn tidy(attributes: &mut Attributes, ty: &ResourceType) {
    tidy_all(attributes, &ty.core.attributes);
    for schema in &ty.extensions {
        if let Some(Value::Object(own)) = attributes.get_mut(&schema.id) {
            tidy_all(own, &schema.attributes);
        }
    }
}

fn tidy_all(attributes: &mut Attributes, schema: &[Attribute]) {
    for attribute in schema {
        if let Some(Value::Array(entries)) = attributes.get_mut(&attribute.name) {
            once_each(attribute, entries);
            if entries.is_empty() {
                attributes.shift_remove(&attribute.name);
            }
        }
    }
}

/// Each entry that says something, once. Sub-attributes come in the schema's order, so equal
/// entries have equal texts.
pub(super) fn once_each(attribute: &Attribute, entries: &mut Vec<Value>) {
    let mut seen = HashSet::new();
    entries.retain(|entry| !is_hollow(attribute, entry) && seen.insert(entry.to_string()));
}

/// The attributes in the schema's order, so that one state has one text; what the schema does not
/// know (any more) keeps its place at the end. Empty extensions go.
pub(crate) fn in_schema_order(mut attributes: Attributes, ty: &ResourceType) -> Attributes {
    let mut sorted = Map::with_capacity(attributes.len());
    let external_id = ["externalId"];
    let core = ty.core.attributes.iter().map(|attribute| attribute.name.as_str());
    for name in external_id.into_iter().chain(core) {
        if let Some((name, value)) = attributes.shift_remove_entry(name) {
            sorted.insert(name, value);
        }
    }
    for schema in &ty.extensions {
        let Some((urn, value)) = attributes.shift_remove_entry(schema.id.as_str()) else {
            continue;
        };
        let Value::Object(mut own) = value else {
            sorted.insert(urn, value);
            continue;
        };
        let mut inner = Map::with_capacity(own.len());
        for attribute in &schema.attributes {
            if let Some((name, value)) = own.shift_remove_entry(&attribute.name) {
                inner.insert(name, value);
            }
        }
        inner.extend(own);
        if !inner.is_empty() {
            sorted.insert(urn, Value::Object(inner));
        }
    }
    sorted.extend(attributes);
    sorted
}
