//! One operation of a bulk request (RFC 7644 section 3.7), as it was sent.

use serde_json::{Map, Value};

use crate::scim::error::Error;
use crate::scim::path::shorten;
use crate::scim::resource::ResourceKind;

/// Ids are shorter, and a bulkId has no reason to be longer.
const LONGEST_ID: usize = 256;

#[derive(Debug)]
pub(super) struct Operation {
    /// The two that the answer repeats.
    pub(super) method: String,
    pub(super) bulk_id: Option<String>,
    /// What to do, or why it cannot be done.
    pub(super) write: Result<BulkWrite, Error>,
}

/// What one operation writes. An `id` is what stood in its path, and may be nobody's.
#[derive(Clone, Debug, PartialEq)]
pub enum BulkWrite {
    Create { kind: ResourceKind, data: Value },
    Replace { kind: ResourceKind, id: String, version: Option<String>, data: Value },
    Patch { kind: ResourceKind, id: String, version: Option<String>, data: Value },
    Delete { kind: ResourceKind, id: String, version: Option<String> },
}

impl BulkWrite {
    pub fn kind(&self) -> ResourceKind {
        match self {
            Self::Create { kind, .. }
            | Self::Replace { kind, .. }
            | Self::Patch { kind, .. }
            | Self::Delete { kind, .. } => *kind,
        }
    }

    /// Below the base address; none for a resource that is yet to be made.
    pub fn path(&self) -> Option<String> {
        match self {
            Self::Create { .. } => None,
            Self::Replace { kind, id, .. }
            | Self::Patch { kind, id, .. }
            | Self::Delete { kind, id, .. } => Some(format!("/{}/{id}", kind.endpoint())),
        }
    }
}

/// The keys of an operation, found in any case; null is as good as left out (RFC 7643 section
/// 2.5).
#[derive(Default)]
struct Parts {
    method: Option<Value>,
    bulk_id: Option<Value>,
    version: Option<Value>,
    path: Option<Value>,
    data: Option<Value>,
}

impl Parts {
    fn of(given: Map<String, Value>) -> Self {
        let mut parts = Self::default();
        for (key, value) in given {
            let slot = match key.to_ascii_lowercase().as_str() {
                "method" => &mut parts.method,
                "bulkid" => &mut parts.bulk_id,
                "version" => &mut parts.version,
                "path" => &mut parts.path,
                "data" => &mut parts.data,
                _ => continue,
            };
            *slot = Some(value).filter(|value| !value.is_null());
        }
        parts
    }
}

impl Operation {
    /// Only what cannot be answered as an operation is refused here.
    pub(super) fn parse(given: Value) -> Result<Self, Error> {
        let Value::Object(given) = given else {
            return Err(Error::invalid_syntax("an operation is not a JSON object"));
        };
        let Parts { method, bulk_id, version, path, data } = Parts::of(given);
        let Some(Value::String(method)) = method else {
            return Err(Error::invalid_syntax("an operation has no `method`"));
        };
        let (bulk_id, named) = match text("bulkId", bulk_id) {
            Ok(bulk_id) => (bulk_id, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let write = named
            .and_then(|()| text("version", version))
            .and_then(|version| write(&method, bulk_id.as_deref(), version, path, data));
        Ok(Self { method: shorten(&method), bulk_id, write })
    }
}

fn text(name: &str, value: Option<Value>) -> Result<Option<String>, Error> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(Error::invalid_value(format!("`{name}` is not a text, or is empty"))),
    }
}

fn write(
    method: &str,
    bulk_id: Option<&str>,
    version: Option<String>,
    path: Option<Value>,
    data: Option<Value>,
) -> Result<BulkWrite, Error> {
    if !["POST", "PUT", "PATCH", "DELETE"].contains(&method) {
        return Err(Error::invalid_value(format!(
            "`method` is `{}`; it is one of POST, PUT, PATCH, DELETE",
            shorten(method)
        )));
    }
    let (kind, id) = target(path)?;
    let data = || {
        data.filter(Value::is_object)
            .ok_or_else(|| Error::invalid_syntax(format!("a {method} needs an object as `data`")))
    };
    match (method, id) {
        ("POST", None) if bulk_id.is_none() => {
            Err(Error::invalid_value("a POST needs a `bulkId`, by which its answer is found"))
        }
        ("POST", None) => Ok(BulkWrite::Create { kind, data: data()? }),
        ("PUT", Some(id)) => Ok(BulkWrite::Replace { kind, id, version, data: data()? }),
        ("PATCH", Some(id)) => Ok(BulkWrite::Patch { kind, id, version, data: data()? }),
        ("DELETE", Some(id)) => Ok(BulkWrite::Delete { kind, id, version }),
        (_, None) => Err(Error::invalid_path(format!(
            "a {method} needs the `path` of one resource, such as /{}/ID",
            kind.endpoint()
        ))),
        (_, Some(_)) => {
            Err(Error::invalid_path(format!("a POST has the `path` /{}", kind.endpoint())))
        }
    }
}

/// `/Users`, `/Groups/{id}`: below the base address, and nothing else, so that no operation
/// reaches what this request was not let in for.
fn target(path: Option<Value>) -> Result<(ResourceKind, Option<String>), Error> {
    let Some(Value::String(path)) = path else {
        return Err(Error::invalid_path("an operation needs a `path`"));
    };
    let refused = || {
        Error::invalid_path(format!(
            "`{}` is no path of a bulk operation; it is /Users, /Groups, or one of these with an id",
            shorten(&path)
        ))
    };
    let rest = path.strip_prefix('/').ok_or_else(refused)?;
    let (endpoint, id) = match rest.split_once('/') {
        None => (rest, None),
        Some((endpoint, id)) => (endpoint, Some(id)),
    };
    let kind = ResourceKind::ALL.into_iter().find(|kind| kind.endpoint() == endpoint);
    let odd = |letter: char| letter.is_whitespace() || letter.is_control();
    let is_id = |id: &str| {
        !matches!(id, "" | "." | "..")
            && id.len() <= LONGEST_ID
            && !id.contains(odd)
            && !id.contains(['/', '\\', '?', '#', '%'])
    };
    match (kind, id) {
        (Some(kind), None) => Ok((kind, None)),
        (Some(kind), Some(id)) if is_id(id) => Ok((kind, Some(id.to_owned()))),
        _ => Err(refused()),
    }
}
