//! A resource's attributes as the store keeps them.

use scim_relay_sdk::scim::{self, Attributes, ResourceId, ResourceKind, ResourceType};
use serde_json::Value;

use crate::store::{Content, Lookups, StoreError};

/// The text to store, what it is found by, and what differs from `before`.
pub(super) fn content(
    kind: ResourceKind,
    id: ResourceId,
    attributes: &Attributes,
    before: Option<&Attributes>,
    ty: &ResourceType,
) -> Content {
    let mut whole = Attributes::new();
    let schemas = scim::schemas_of(attributes, ty).into_iter().map(Value::from).collect();
    whole.insert("schemas".to_owned(), schemas);
    whole.insert("id".to_owned(), id.to_string().into());
    whole.extend(attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
    let folded = |text: Option<&str>| text.map(scim::fold);
    Content {
        body: serde_json::to_string(&whole).expect("attributes are JSON"),
        lookups: Lookups {
            user_name: match kind {
                ResourceKind::User => folded(scim::user_name(attributes)),
                ResourceKind::Group => None,
            },
            display_name: match kind {
                ResourceKind::User => None,
                ResourceKind::Group => folded(scim::display_name(attributes)),
            },
            external_id: scim::external_id(attributes).map(str::to_owned),
        },
        changed: changed(attributes, before),
        password: None,
    }
}

fn changed(attributes: &Attributes, before: Option<&Attributes>) -> Vec<String> {
    let Some(before) = before else { return attributes.keys().cloned().collect() };
    let mut names: Vec<String> = attributes
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect();
    names.extend(before.keys().filter(|name| !attributes.contains_key(*name)).cloned());
    names
}

/// The attributes that a client may write, out of the stored text.
pub(super) fn attributes(body: &str) -> Result<Attributes, StoreError> {
    let mut attributes: Attributes = serde_json::from_str(body)
        .map_err(|error| StoreError::Broken(format!("a stored resource is not JSON: {error}")))?;
    attributes.shift_remove("schemas");
    attributes.shift_remove("id");
    Ok(attributes)
}
