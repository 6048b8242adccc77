//! A resource as templates see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Serde};
use minijinja::{Error, ErrorKind, State, Value};
use secrecy::{ExposeSecret as _, SecretString};

use super::Resource;
use crate::scim::{self, BUILDING_URN, ENTERPRISE_URN};

/// The variables of a template: the resource's attributes by name, the shorthands `email`,
/// `enterprise`, `building`, `groups` (names), `organization`, the function `scim("path")`, and what a
/// connector adds with [`with`](Self::with).
#[derive(Clone, Debug)]
pub struct View(Arc<Root>);

#[derive(Clone, Debug)]
struct Root {
    resource: Resource,
    extra: Vec<(&'static str, Value)>,
    password: Option<SecretString>,
}

impl View {
    pub fn of(resource: &Resource) -> Self {
        Self(Arc::new(Root { resource: resource.clone(), extra: Vec::new(), password: None }))
    }

    /// Adds a variable of the connector's own; it hides an attribute of that name.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl serde::Serialize) -> Self {
        let mut root = Arc::unwrap_or_clone(self.0);
        root.extra.push((name, template_value(value)));
        Self(Arc::new(root))
    }

    /// Adds the variable `password`, which nothing else fills.
    #[must_use]
    pub fn with_password(self, password: &SecretString) -> Self {
        let mut root = Arc::unwrap_or_clone(self.0);
        root.password = Some(password.clone());
        Self(Arc::new(root))
    }

    /// The value that a template is rendered with.
    pub fn root(&self) -> Value {
        Value::from_dyn_object(self.0.clone())
    }

    /// Follows a dotted name; `None` where it leads nowhere.
    pub(super) fn lookup(&self, name: &str) -> Option<Value> {
        let mut parts = name.split('.');
        let mut value = self.0.get_value(&Value::from(parts.next()?))?;
        for part in parts {
            value = value.get_attr(part).ok()?;
        }
        Some(value)
    }
}

impl Root {
    fn attribute(&self, name: &str) -> Option<Value> {
        self.resource.attributes.get(name).map(template_value)
    }

    fn group_names(&self) -> BTreeSet<&str> {
        self.resource.groups.iter().filter_map(|group| group.display.as_deref()).collect()
    }
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let key = key.as_str()?;
        if let Some((_, value)) = self.extra.iter().rev().find(|(name, _)| *name == key) {
            return Some(value.clone());
        }
        match key {
            "password" => self.password.as_ref().map(|one| Value::from(one.expose_secret())),
            "email" => scim::email(&self.resource.attributes).map(Value::from),
            "enterprise" => self.attribute(ENTERPRISE_URN),
            "building" => self.attribute(BUILDING_URN),
            "groups" => Some(template_value(self.group_names())),
            "organization" => {
                let organization = &self.resource.organization;
                Some(template_value(serde_json::json!({
                    "key": organization.key,
                    "name": organization.name,
                    "locale": organization.locale,
                })))
            }
            "scim" => Some(Value::from_object(Path(Arc::clone(self)))),
            _ => self.attribute(key),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::NonEnumerable
    }
}

/// Anything that can be JSON, as templates see it.
fn template_value(value: impl serde::Serialize) -> Value {
    Value::from(Serde(value))
}

/// The function `scim(path)`.
#[derive(Debug)]
struct Path(Arc<Root>);

impl Object for Path {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
        let wrong = |text: String| Error::new(ErrorKind::InvalidOperation, text);
        let [path] = arguments else {
            return Err(wrong("scim() takes one SCIM path".to_owned()));
        };
        let path = path.as_str().ok_or_else(|| wrong("scim() takes a string".to_owned()))?;
        let resource = &self.0.resource;
        let schemas = &resource.organization.schemas;
        let whole = resource.whole();
        let values = scim::select(path, &whole, schemas.of(resource.key.kind))
            .map_err(|error| wrong(format!("scim(): {error}")))?;
        Ok(match values.as_slice() {
            [] => Value::UNDEFINED,
            [one] => template_value(one),
            many => template_value(many),
        })
    }
}
