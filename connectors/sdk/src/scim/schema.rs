//! Schemas as data (RFC 7643 section 7): what an attribute is, and which attributes a resource has.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::core;
use super::path::AttrPath;
use super::resource::ResourceKind;

/// The URN of a schema definition, as served at `/Schemas`.
pub const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// What a value looks like (RFC 7643 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    String,
    Boolean,
    Decimal,
    Integer,
    DateTime,
    Binary,
    Reference,
    Complex,
}

impl AttributeType {
    const ALL: [Self; 8] = [
        Self::String,
        Self::Boolean,
        Self::Decimal,
        Self::Integer,
        Self::DateTime,
        Self::Binary,
        Self::Reference,
        Self::Complex,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Decimal => "decimal",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }

    /// The type that a schema or a configuration file names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word))
    }
}

/// Who may write an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutability {
    ReadOnly,
    ReadWrite,
    Immutable,
    WriteOnly,
}

impl Mutability {
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

/// When an attribute is part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    Always,
    Never,
    Default,
    Request,
}

impl Returned {
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Default => "default",
            Self::Request => "request",
        }
    }
}

/// How far a value is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uniqueness {
    None,
    Server,
    Global,
}

impl Uniqueness {
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "server",
            Self::Global => "global",
        }
    }
}

/// One attribute, or one sub-attribute of a complex one.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub kind: AttributeType,
    pub multi_valued: bool,
    pub required: bool,
    pub case_exact: bool,
    pub mutability: Mutability,
    pub returned: Returned,
    pub uniqueness: Uniqueness,
    pub description: String,
    pub canonical_values: Vec<String>,
    pub reference_types: Vec<String>,
    pub sub_attributes: Vec<Attribute>,
}

impl Attribute {
    /// A single-valued, optional attribute that anyone may read and write. Text ignores case,
    /// except where RFC 7643 sections 2.3.6 and 2.3.7 say otherwise.
    pub fn new(name: &str, kind: AttributeType, description: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            multi_valued: false,
            required: false,
            case_exact: matches!(kind, AttributeType::Binary | AttributeType::Reference),
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            description: description.to_owned(),
            canonical_values: Vec::new(),
            reference_types: Vec::new(),
            sub_attributes: Vec::new(),
        }
    }

    pub fn multi_valued(mut self) -> Self {
        self.multi_valued = true;
        self
    }

    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub fn case_exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    pub fn mutability(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    pub fn returned(mut self, returned: Returned) -> Self {
        self.returned = returned;
        self
    }

    pub fn uniqueness(mut self, uniqueness: Uniqueness) -> Self {
        self.uniqueness = uniqueness;
        self
    }

    pub fn canonical_values(mut self, values: &[&str]) -> Self {
        self.canonical_values = values.iter().map(|&value| value.to_owned()).collect();
        self
    }

    pub fn reference_types(mut self, types: &[&str]) -> Self {
        self.reference_types = types.iter().map(|&name| name.to_owned()).collect();
        self
    }

    pub fn sub_attributes(mut self, attributes: Vec<Attribute>) -> Self {
        self.sub_attributes = attributes;
        self
    }

    /// A sub-attribute by name, in any case (RFC 7643 section 2.1).
    pub fn sub(&self, name: &str) -> Option<&Attribute> {
        self.sub_attributes.iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    /// Sub-attributes in the schema's order; what it does not know comes last.
    pub(super) fn in_order(&self, mut subs: Map<String, Value>) -> Map<String, Value> {
        let mut sorted = Map::with_capacity(subs.len());
        for sub in &self.sub_attributes {
            if let Some((name, value)) = subs.shift_remove_entry(&sub.name) {
                sorted.insert(name, value);
            }
        }
        sorted.extend(subs);
        sorted
    }

    /// What a comparison of the attribute itself is about: of a complex attribute its `value`
    /// (RFC 7644 section 3.4.2.2), otherwise the attribute.
    pub(super) fn compared(&self) -> Option<&Attribute> {
        if self.kind == AttributeType::Complex { self.sub("value") } else { Some(self) }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("name".into(), self.name.as_str().into());
        out.insert("type".into(), self.kind.word().into());
        out.insert("multiValued".into(), self.multi_valued.into());
        out.insert("description".into(), self.description.as_str().into());
        out.insert("required".into(), self.required.into());
        if !self.canonical_values.is_empty() {
            out.insert("canonicalValues".into(), json!(self.canonical_values));
        }
        out.insert("caseExact".into(), self.case_exact.into());
        out.insert("mutability".into(), self.mutability.word().into());
        out.insert("returned".into(), self.returned.word().into());
        out.insert("uniqueness".into(), self.uniqueness.word().into());
        if !self.reference_types.is_empty() {
            out.insert("referenceTypes".into(), json!(self.reference_types));
        }
        if self.kind == AttributeType::Complex {
            let subs = self.sub_attributes.iter().map(Self::to_json).collect();
            out.insert("subAttributes".into(), Value::Array(subs));
        }
        Value::Object(out)
    }
}

/// A named set of attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The schema's URN.
    pub id: String,
    pub name: String,
    pub description: String,
    pub attributes: Vec<Attribute>,
}

impl Schema {
    /// An attribute by name, in any case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// The schema as served at `/Schemas`, without `meta`, which needs the base address.
    pub fn to_json(&self) -> Value {
        json!({
            "schemas": [SCHEMA_URN],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": self.attributes.iter().map(Attribute::to_json).collect::<Vec<_>>(),
        })
    }
}

/// The schemas of one resource type: its core and its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceType {
    pub kind: ResourceKind,
    pub core: Arc<Schema>,
    pub extensions: Vec<Arc<Schema>>,
}

/// What a path names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'a> {
    /// All attributes of an extension together.
    Extension(&'a Schema),
    Attribute {
        /// The extension that the attribute belongs to; none for core and common attributes.
        extension: Option<&'a Schema>,
        attribute: &'a Attribute,
        sub: Option<&'a Attribute>,
    },
}

impl ResourceType {
    /// A core or common attribute (`id`, `externalId`, `meta`, `schemas`) by name, in any case.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.core.attribute(name).or_else(|| {
            core::common().iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
        })
    }

    /// An extension by its URN, in any case.
    pub fn extension(&self, urn: &str) -> Option<&Schema> {
        self.extensions.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn)).map(AsRef::as_ref)
    }

    /// Whether `urn` is one of the type's schemas.
    pub fn knows(&self, urn: &str) -> bool {
        self.core.id.eq_ignore_ascii_case(urn) || self.extension(urn).is_some()
    }

    /// Whether an extension has attributes that are not part of every answer. The one of the core
    /// schemas, the password, is kept apart.
    pub(super) fn hides(&self) -> bool {
        fn hidden(attribute: &Attribute) -> bool {
            matches!(attribute.returned, Returned::Never | Returned::Request)
                || attribute.sub_attributes.iter().any(hidden)
        }
        self.extensions.iter().any(|schema| schema.attributes.iter().any(hidden))
    }

    /// The attribute of this name that one extension alone has. Its path begins with the URN
    /// (RFC 7644 section 3.10), but Entra asks for `manager`.
    fn unqualified(&self, name: &str) -> Option<(Option<&Schema>, &Attribute)> {
        let mut having = self.extensions.iter().filter_map(|schema| {
            schema.attribute(name).map(|attribute| (Some(schema.as_ref()), attribute))
        });
        having.next().filter(|_| having.next().is_none())
    }

    /// What `path` names, if this type has it.
    pub(super) fn find(&self, path: &AttrPath) -> Option<Found<'_>> {
        let (extension, attribute) = match path.schema.as_deref() {
            None => match self.attribute(&path.attribute) {
                Some(attribute) => (None, attribute),
                None => self.unqualified(&path.attribute)?,
            },
            Some(urn) if urn.eq_ignore_ascii_case(&self.core.id) => {
                (None, self.attribute(&path.attribute)?)
            }
            Some(urn) => match self.extension(urn) {
                Some(schema) if path.attribute.is_empty() => return Some(Found::Extension(schema)),
                Some(schema) => (Some(schema), schema.attribute(&path.attribute)?),
                // Without the schemas at hand, `...:enterprise:2.0:User` was read as the
                // attribute `User` of `...:enterprise:2.0`.
                None => return self.extension(&path.to_string()).map(Found::Extension),
            },
        };
        let sub = match &path.sub {
            Some(name) => Some(attribute.sub(name)?),
            None => None,
        };
        Some(Found::Attribute { extension, attribute, sub })
    }
}

/// The resource types that one organization is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schemas {
    user: ResourceType,
    group: ResourceType,
}

impl Default for Schemas {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Schemas {
    /// User with the enterprise and the building extension, and Group.
    pub fn builtin() -> Self {
        Self {
            user: ResourceType {
                kind: ResourceKind::User,
                core: Arc::new(core::user()),
                extensions: vec![Arc::new(core::enterprise()), Arc::new(core::building())],
            },
            group: ResourceType {
                kind: ResourceKind::Group,
                core: Arc::new(core::group()),
                extensions: Vec::new(),
            },
        }
    }

    /// The builtin types with the extensions that an organization declares. One with a URN that
    /// is there already takes its place.
    pub fn with(extensions: impl IntoIterator<Item = (ResourceKind, Schema)>) -> Self {
        let mut schemas = Self::builtin();
        for (kind, schema) in extensions {
            let ty = match kind {
                ResourceKind::User => &mut schemas.user,
                ResourceKind::Group => &mut schemas.group,
            };
            ty.extensions.retain(|known| !known.id.eq_ignore_ascii_case(&schema.id));
            ty.extensions.push(Arc::new(schema));
        }
        schemas
    }

    pub fn of(&self, kind: ResourceKind) -> &ResourceType {
        match kind {
            ResourceKind::User => &self.user,
            ResourceKind::Group => &self.group,
        }
    }

    /// Every schema once, core before extensions.
    pub fn all(&self) -> impl Iterator<Item = &Schema> {
        let mut all: Vec<&Schema> = vec![&self.user.core, &self.group.core];
        for schema in self.user.extensions.iter().chain(&self.group.extensions) {
            if !all.iter().any(|known| known.id.eq_ignore_ascii_case(&schema.id)) {
                all.push(schema);
            }
        }
        all.into_iter()
    }
}
