//! A PATCH carried out on a resource, whole or not at all.

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::budget::Budget;
use super::{MemberOp, Op, Operation, PatchRequest, Patched, entries};
use crate::scim::error::Error;
use crate::scim::path::{AttrPath, PatchPath};
use crate::scim::quirk::Quirk;
use crate::scim::resource::Attributes;
use crate::scim::schema::{Attribute, AttributeType, Found, Mutability, ResourceType, Schema};
use crate::scim::validate::{
    Reader, container, immutable, in_schema_order, is_members, is_password, password, place,
    required, tidy, unknown,
};

impl PatchRequest {
    /// Applies the operations in order to a copy of `current`; the first one that cannot be done
    /// fails them all (RFC 7644 section 3.5.2).
    pub fn apply(&self, current: &Attributes, ty: &ResourceType) -> Result<Patched, Error> {
        let mut patching = Patching {
            ty,
            attributes: current.clone(),
            member_ops: Vec::new(),
            password: None,
            reader: Reader { quirks: self.quirks.clone() },
            budget: Budget::default(),
        };
        match patching.all(&self.operations) {
            Ok(()) => Ok(Patched {
                attributes: in_schema_order(patching.attributes, ty),
                member_ops: patching.member_ops,
                password: patching.password,
                quirks: patching.reader.quirks,
            }),
            Err(error) => Err(error.met(&patching.reader.quirks)),
        }
    }
}

/// Whether the client named an attribute in `path`, or it came along in a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Named,
    InValue,
}

pub(super) struct Patching<'a> {
    ty: &'a ResourceType,
    attributes: Attributes,
    pub(super) member_ops: Vec<MemberOp>,
    password: Option<SecretString>,
    pub(super) reader: Reader,
    budget: Budget,
}

impl Patching<'_> {
    fn all(&mut self, operations: &[Operation]) -> Result<(), Error> {
        for Operation { op, path, value } in operations {
            match path {
                Some(path) => {
                    let path = self.path(path)?;
                    self.at(*op, &path, value.as_ref(), Strictness::Named)?;
                }
                None => self.without_path(*op, value.as_ref())?,
            }
        }
        tidy(&mut self.attributes, self.ty);
        required(&self.attributes, self.ty)
    }

    /// `add` and `replace` without a path: each key of the value is the path of its own value.
    fn without_path(&mut self, op: Op, value: Option<&Value>) -> Result<(), Error> {
        let Some(Value::Object(values)) = value else {
            return Err(Error::invalid_value(
                "an operation without a `path` needs an object as its `value`",
            ));
        };
        let ty = self.ty;
        for (key, value) in values {
            if key.eq_ignore_ascii_case("id") {
                // Okta renames a group with `{id, displayName}`.
                self.reader.quirks.note(Quirk::IdInValue, key);
            } else if key.eq_ignore_ascii_case("schemas") {
                // The attributes decide which schemas are in use.
            } else if key.eq_ignore_ascii_case(&ty.core.id) {
                self.reader.quirks.note(Quirk::DottedKey, key);
                let Some(values) = value.as_object() else {
                    return Err(Error::invalid_value(format!("`{key}` is not an object")));
                };
                for (key, value) in values {
                    self.key(op, key, value)?;
                }
            } else {
                self.key(op, key, value)?;
            }
        }
        Ok(())
    }

    fn path(&mut self, text: &str) -> Result<PatchPath, Error> {
        let path = PatchPath::parse(text, self.ty)?;
        let named = text.split('[').next().and_then(AttrPath::split);
        if named.is_some_and(|named| named.is_unqualified(self.ty)) {
            self.reader.quirks.note(Quirk::UnqualifiedName, text);
        }
        Ok(path)
    }

    fn key(&mut self, op: Op, key: &str, value: &Value) -> Result<(), Error> {
        let named = key.split('[').next().unwrap_or(key);
        let Some(attr) = AttrPath::split(named).and_then(|path| path.resolve(self.ty)) else {
            self.reader.quirks.note(unknown(key), key);
            return Ok(());
        };
        let path = self.path(key)?;
        if path.filter.is_some()
            || attr.sub.is_some()
            || (key.contains(':') && !attr.is_extension())
        {
            self.reader.quirks.note(Quirk::DottedKey, key);
        }
        self.at(op, &path, Some(value), Strictness::InValue)
    }

    fn at(
        &mut self,
        op: Op,
        path: &PatchPath,
        value: Option<&Value>,
        strictness: Strictness,
    ) -> Result<(), Error> {
        let ty = self.ty;
        if op == Op::Remove && value.is_some_and(|value| !value.is_null()) {
            self.reader.quirks.note(Quirk::RemoveWithValue, &path.shown());
        }
        let (extension, attribute, sub) = match ty.find(&path.attr) {
            Some(Found::Extension(schema)) => return self.extension(op, schema, value),
            Some(Found::Attribute { extension, attribute, sub }) => (extension, attribute, sub),
            None => {
                return Err(Error::invalid_path(format!("`{}` is not an attribute", path.shown())));
            }
        };
        // With a filter the sub-attribute stands behind it.
        let sub = sub.or_else(|| attribute.sub(path.sub.as_deref()?));
        if [Some(attribute), sub]
            .into_iter()
            .flatten()
            .any(|one| one.mutability == Mutability::ReadOnly)
        {
            if strictness == Strictness::Named {
                return Err(Error::mutability(format!("`{}` is read-only", path.shown())));
            }
            self.reader.quirks.note(Quirk::ReadOnlyInValue, &path.shown());
            return Ok(());
        }
        if extension.is_none() && attribute.name == "schemas" {
            // The attributes decide which schemas are in use.
            return if op == Op::Remove { Err(path.required()) } else { Ok(()) };
        }
        if let Some(filter) = &path.filter {
            self.reader.quirks.extend(filter.entry_quirks(attribute));
        }
        if is_members(ty, extension, attribute) {
            return self.members(op, path, value);
        }
        if is_password(ty, extension, attribute) {
            if op != Op::Remove
                && let Some(password) = password(value.unwrap_or(&Value::Null))?
            {
                self.password = Some(password);
            }
            return Ok(());
        }
        let target = Target { op, path, attribute, sub, at: place(extension, attribute) };
        let current = container(&mut self.attributes, extension).shift_remove(&attribute.name);
        let kept =
            (attribute.mutability == Mutability::Immutable).then(|| current.clone()).flatten();
        let next = target.next(current, value, &mut self.reader, &mut self.budget)?;
        if kept.is_some() && kept != next {
            return Err(target.immutable());
        }
        let container = container(&mut self.attributes, extension);
        if let Some(next) = next {
            container.insert(attribute.name.clone(), next);
        }
        if let Some(schema) = extension
            && container.is_empty()
        {
            self.attributes.shift_remove(&schema.id);
        }
        Ok(())
    }

    /// An extension as a whole: its attributes one by one, or all of them removed.
    fn extension(&mut self, op: Op, schema: &Schema, value: Option<&Value>) -> Result<(), Error> {
        let values = match (op, value) {
            (Op::Remove, _) | (Op::Replace, Some(Value::Null)) => {
                let present = self.attributes.get(&schema.id).and_then(Value::as_object);
                let fixed = |attribute: &&Attribute| {
                    attribute.mutability == Mutability::Immutable
                        && present.is_some_and(|own| own.contains_key(&attribute.name))
                };
                if let Some(fixed) = schema.attributes.iter().find(fixed) {
                    return Err(immutable(&place(Some(schema), fixed)));
                }
                self.attributes.shift_remove(&schema.id);
                return Ok(());
            }
            (_, Some(Value::Object(values))) => values,
            (_, None | Some(Value::Null)) => return Ok(()),
            _ => return Err(Error::invalid_value(format!("`{}` is not an object", schema.id))),
        };
        for (key, value) in values {
            let attr = AttrPath::split(key)
                .filter(|path| path.schema.is_none())
                .map(|path| AttrPath { schema: Some(schema.id.clone()), ..path })
                .and_then(|path| path.resolve(self.ty));
            let Some(attr) = attr else {
                let at = format!("{}:{key}", schema.id);
                self.reader.quirks.note(Quirk::UnknownAttribute, &at);
                continue;
            };
            if attr.sub.is_some() {
                self.reader.quirks.note(Quirk::DottedKey, key);
            }
            let path = PatchPath { attr, filter: None, sub: None };
            self.at(op, &path, Some(value), Strictness::InValue)?;
        }
        Ok(())
    }
}

/// One operation on one attribute.
pub(super) struct Target<'a> {
    pub(super) op: Op,
    pub(super) path: &'a PatchPath,
    pub(super) attribute: &'a Attribute,
    pub(super) sub: Option<&'a Attribute>,
    /// The attribute as messages name it.
    pub(super) at: String,
}

impl Target<'_> {
    /// The attribute's value after the operation.
    fn next(
        &self,
        current: Option<Value>,
        value: Option<&Value>,
        reader: &mut Reader,
        budget: &mut Budget,
    ) -> Result<Option<Value>, Error> {
        if self.attribute.multi_valued {
            let entries = match current {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::Array(entries)) => entries,
                Some(single) => vec![single],
            };
            let entries = entries::next(self, entries, value, reader, budget)?;
            if self.op == Op::Remove && self.attribute.required && entries.is_empty() {
                return Err(self.path.required());
            }
            return Ok((!entries.is_empty()).then_some(Value::Array(entries)));
        }
        if self.op == Op::Remove {
            return self.removed(current);
        }
        let value = value.cloned().unwrap_or(Value::Null);
        if self.attribute.kind == AttributeType::Complex {
            let value = match self.sub {
                None => reader.one(self.attribute, value, &self.at),
                Some(_) => value,
            };
            return self.merged(current, value, reader);
        }
        reader.value(self.attribute, value, &self.at)
    }

    fn removed(&self, current: Option<Value>) -> Result<Option<Value>, Error> {
        let target = self.sub.unwrap_or(self.attribute);
        // RFC 7644 section 3.5.2.2.
        if target.required {
            return Err(self.path.required());
        }
        let Some(current) = current else { return Ok(None) };
        if target.mutability == Mutability::Immutable {
            return Err(self.immutable());
        }
        match (self.sub, current) {
            (None, _) => Ok(None),
            (Some(sub), Value::Object(mut subs)) => {
                subs.shift_remove(&sub.name);
                Ok((!subs.is_empty()).then_some(Value::Object(subs)))
            }
            (Some(_), current) => Ok(Some(current)),
        }
    }

    /// A complex value with the given sub-attributes put in; the others stay (RFC 7644 section
    /// 3.5.2.3), those given as null go. Nothing at all clears the attribute.
    pub(super) fn merged(
        &self,
        current: Option<Value>,
        value: Value,
        reader: &mut Reader,
    ) -> Result<Option<Value>, Error> {
        let given = match (self.sub, value) {
            (Some(sub), value) => Map::from_iter([(sub.name.clone(), value)]),
            (None, Value::Object(given)) => given,
            (None, bare) => match reader.entry(self.attribute, bare, &self.at)? {
                Some(Value::Object(given)) => given,
                _ => return Ok(None),
            },
        };
        let cleared: Vec<&str> = given
            .iter()
            .filter_map(|(name, value)| {
                let sub = self.attribute.sub(name)?;
                let empty = sub.name == "value" && value.as_str() == Some("");
                (value.is_null() || empty).then_some(sub.name.as_str())
            })
            .collect();
        let given = match reader.entry(self.attribute, Value::Object(given), &self.at)? {
            Some(Value::Object(given)) => given,
            _ => Map::new(),
        };
        let mut subs = match current {
            Some(Value::Object(subs)) => subs,
            _ => Map::new(),
        };
        // The address belongs to the value that it came with.
        if given.get("value").is_some_and(|value| subs.get("value") != Some(value))
            || cleared.contains(&"value")
        {
            subs.shift_remove("$ref");
        }
        for name in cleared {
            let sub = self.attribute.sub(name);
            let removed = subs.shift_remove(name);
            if removed.is_some() && sub.is_some_and(|sub| sub.mutability == Mutability::Immutable) {
                return Err(self.immutable());
            }
        }
        for (name, value) in given {
            let sub = self.attribute.sub(&name);
            if sub.is_some_and(|sub| sub.mutability == Mutability::Immutable)
                && subs.get(&name).is_some_and(|present| *present != value)
            {
                return Err(self.immutable());
            }
            subs.insert(name, value);
        }
        Ok(if subs.is_empty() { None } else { Some(Value::Object(self.attribute.in_order(subs))) })
    }

    fn immutable(&self) -> Error {
        immutable(&self.path.shown())
    }
}
