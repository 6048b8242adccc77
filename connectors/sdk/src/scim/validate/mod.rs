//! A resource as a client sends it, made into the resource as it is kept: canonical names, right
//! types, nothing the client may not write.

mod kept;
mod order;
mod read;
#[cfg(test)]
pub(super) mod tests;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::error::Error;
use super::path::{AttrPath, shorten};
use super::quirk::{Quirk, Quirks};
use super::resource::{Attributes, ResourceKind};
use super::schema::{Attribute, AttributeType, Found, Mutability, ResourceType, Schema};

pub(super) use kept::immutable;
pub use kept::keep;
use order::once_each;
pub(super) use order::{in_schema_order, required, tidy};
pub(super) use read::{MAX_VALUES, Reader, password, too_many};

/// A resource that is fit to be kept.
#[derive(Clone, Debug, Default)]
pub struct Normalized {
    /// Under canonical names, in the schema's order. Without `id`, `meta`, `schemas`, `groups`,
    /// `members` and `password`, which are kept apart or not at all.
    pub attributes: Attributes,
    /// A group's members, each once; none if the body says nothing about them.
    pub members: Option<Vec<MemberValue>>,
    pub password: Option<SecretString>,
    pub quirks: Quirks,
}

/// A member as a client names it; whether there is such a resource is for others to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberValue {
    pub value: String,
    pub kind: Option<ResourceKind>,
}

/// Reads the body of a POST or PUT.
///
/// Read-only attributes are ignored (RFC 7644 sections 3.3 and 3.5.1). What else a provider may get
/// wrong without harm is put right or ignored too, and noted as a [`Quirk`]; a value of the wrong
/// type is refused.
pub fn normalize(body: Value, ty: &ResourceType) -> Result<Normalized, Error> {
    let Value::Object(body) = body else {
        return Err(Error::invalid_syntax("the body is not a JSON object"));
    };
    let mut intake = Intake {
        ty,
        reader: Reader::default(),
        listed: None,
        attributes: Map::new(),
        members: None,
        password: None,
    };
    intake.body(body).map_err(|error| error.met(&intake.reader.quirks))?;
    Ok(Normalized {
        attributes: in_schema_order(intake.attributes, ty),
        members: intake.members,
        password: intake.password,
        quirks: intake.reader.quirks,
    })
}

struct Intake<'a> {
    ty: &'a ResourceType,
    reader: Reader,
    /// The schemas that the body says it uses.
    listed: Option<Vec<String>>,
    attributes: Attributes,
    members: Option<Vec<MemberValue>>,
    password: Option<SecretString>,
}

impl Intake<'_> {
    fn body(&mut self, body: Attributes) -> Result<(), Error> {
        for (key, value) in body {
            self.key(&key, value)?;
        }
        self.check_listed();
        required(&self.attributes, self.ty)
    }

    fn key(&mut self, key: &str, value: Value) -> Result<(), Error> {
        let ty = self.ty;
        if value.is_null() {
            return Ok(());
        }
        if key.eq_ignore_ascii_case(&ty.core.id) {
            self.reader.quirks.note(Quirk::DottedKey, key);
            for (name, value) in object(key, value)? {
                match ty.attribute(&name) {
                    Some(attribute) => self.attribute(None, attribute, None, value)?,
                    None => self.reader.quirks.note(Quirk::UnknownAttribute, &name),
                }
            }
            return Ok(());
        }
        if let Some(schema) = ty.extension(key) {
            for (name, value) in object(key, value)? {
                if let Some(attribute) = schema.attribute(&name) {
                    self.attribute(Some(schema), attribute, None, value)?;
                } else {
                    let at = format!("{}:{name}", schema.id);
                    self.reader.quirks.note(Quirk::UnknownAttribute, &at);
                }
            }
            return Ok(());
        }
        if let Some(attribute) = ty.attribute(key) {
            return self.attribute(None, attribute, None, value);
        }
        let path = AttrPath::split(key);
        if let Some(Found::Attribute { extension, attribute, sub }) =
            path.as_ref().and_then(|path| ty.find(path))
        {
            if sub.is_some() || key.contains(':') {
                self.reader.quirks.note(Quirk::DottedKey, key);
            }
            if path.as_ref().is_some_and(|path| path.is_unqualified(ty)) {
                self.reader.quirks.note(Quirk::UnqualifiedName, key);
            }
            return self.attribute(extension, attribute, sub, value);
        }
        self.reader.quirks.note(unknown(key), key);
        Ok(())
    }

    /// `schemas` says nothing that the attributes do not say, so a wrong one does no harm.
    fn schemas(&mut self, value: &Value) -> Result<(), Error> {
        let wrong = || Error::invalid_syntax("`schemas` is not a list of URNs");
        let urns = match value {
            Value::Null => return Ok(()),
            Value::Array(urns) => urns,
            _ => return Err(wrong()),
        };
        let urns: Option<Vec<_>> = urns.iter().map(|urn| urn.as_str().map(str::to_owned)).collect();
        once(&mut self.listed, urns.ok_or_else(wrong)?, "schemas")
    }

    /// `schemas` names the type's own schema and those of its extensions that are in use (RFC 7643
    /// section 3), and no others.
    fn check_listed(&mut self) {
        let quirks = &mut self.reader.quirks;
        let listed = self.listed.as_deref().unwrap_or_default();
        let lists = |wanted: &str| listed.iter().any(|urn| urn.eq_ignore_ascii_case(wanted));
        for urn in listed.iter().filter(|urn| !self.ty.knows(urn)) {
            quirks.note(Quirk::UnknownSchema, urn);
        }
        if !lists(&self.ty.core.id) {
            quirks.note(Quirk::MissingSchemas, "schemas");
        }
        let unlisted = |schema: &&str| self.attributes.contains_key(*schema) && !lists(schema);
        let extensions = self.ty.extensions.iter().map(|schema| schema.id.as_str());
        for urn in extensions.filter(unlisted) {
            quirks.note(Quirk::UnlistedSchema, urn);
        }
    }

    fn attribute(
        &mut self,
        extension: Option<&Schema>,
        attribute: &Attribute,
        sub: Option<&Attribute>,
        value: Value,
    ) -> Result<(), Error> {
        if value.is_null() {
            return Ok(());
        }
        if [Some(attribute), sub]
            .into_iter()
            .flatten()
            .any(|one| one.mutability == Mutability::ReadOnly)
        {
            return Ok(());
        }
        if extension.is_none() && attribute.name == "schemas" {
            return self.schemas(&value);
        }
        if is_members(self.ty, extension, attribute) {
            let members = self.reader.members(&value)?;
            return once(&mut self.members, members, "members");
        }
        if is_password(self.ty, extension, attribute) {
            return match password(&value)? {
                Some(password) => once(&mut self.password, password, "password"),
                None => Ok(()),
            };
        }
        let at = place(extension, attribute);
        let value = match sub {
            Some(sub) => Value::Object(Map::from_iter([(sub.name.clone(), value)])),
            None => value,
        };
        let Some(value) = self.reader.value(attribute, value, &at)? else { return Ok(()) };
        let container = container(&mut self.attributes, extension);
        let present = container.get_mut(&attribute.name);
        match (present, value) {
            (None, value) => {
                container.insert(attribute.name.clone(), value);
            }
            // `name` and `name.givenName` together say one name.
            (Some(Value::Object(present)), Value::Object(subs)) => {
                present.extend(subs);
                *present = attribute.in_order(std::mem::take(present));
            }
            (Some(Value::Array(present)), Value::Array(more)) if sub.is_some() => {
                present.extend(more);
                once_each(attribute, present);
            }
            _ => return Err(twice(&at)),
        }
        Ok(())
    }
}

/// How an unknown key is counted.
pub(super) fn unknown(key: &str) -> Quirk {
    if key.contains(':') { Quirk::UnknownSchema } else { Quirk::UnknownAttribute }
}

pub(super) fn is_members(
    ty: &ResourceType,
    extension: Option<&Schema>,
    attribute: &Attribute,
) -> bool {
    ty.kind == ResourceKind::Group && extension.is_none() && attribute.name == "members"
}

pub(super) fn is_password(
    ty: &ResourceType,
    extension: Option<&Schema>,
    attribute: &Attribute,
) -> bool {
    ty.kind == ResourceKind::User && extension.is_none() && attribute.name == "password"
}

/// The attribute's path, as messages name it.
pub(super) fn place(extension: Option<&Schema>, attribute: &Attribute) -> String {
    match extension {
        Some(schema) => format!("{}:{}", schema.id, attribute.name),
        None => attribute.name.clone(),
    }
}

/// Where an attribute is kept: beside the core ones, or in its extension's object.
pub(super) fn container<'a>(
    attributes: &'a mut Attributes,
    extension: Option<&Schema>,
) -> &'a mut Attributes {
    let Some(schema) = extension else { return attributes };
    let slot = attributes.entry(schema.id.as_str()).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("made an object above")
}

fn object(key: &str, value: Value) -> Result<Attributes, Error> {
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Error::invalid_value(format!("`{}` is not an object", shorten(key)))),
    }
}

fn once<T>(slot: &mut Option<T>, value: T, at: &str) -> Result<(), Error> {
    if slot.is_some() {
        return Err(twice(at));
    }
    *slot = Some(value);
    Ok(())
}

/// Names ignore case, so one attribute can be given twice; guessing which one is meant would let
/// two readers of one request disagree.
fn twice(at: &str) -> Error {
    Error::invalid_syntax(format!("`{at}` is given twice"))
}

/// Whether an entry says nothing but what it would be for.
pub(super) fn is_hollow(attribute: &Attribute, entry: &Value) -> bool {
    attribute.kind == AttributeType::Complex
        && entry.as_object().is_none_or(|subs| {
            subs.iter()
                .all(|(name, value)| matches!(name.as_str(), "type" | "primary") || value.is_null())
        })
}
