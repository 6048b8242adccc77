//! From the stored text to what the provider reads. The text is joined, not parsed: a page of a
//! hundred users costs a hundred copies, and a group of a hundred thousand members one text.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use scim_relay_sdk::connector::OrganizationInfo;
use scim_relay_sdk::scim::{
    Attributes, LIST_URN, Membership, Projection, ResourceId, ResourceKind, Start,
};
use serde_json::json;

use crate::store::{Memberships, Page, StoreError, Stored};

pub(super) fn etag(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// The tag of a version together with what is read beside it: a user's groups come and go, and a
/// member's name changes, without a new version. It holds between two answers of one relay.
fn etag_beside(version: i64, beside: &str) -> String {
    if beside.is_empty() {
        return etag(version);
    }
    let mut hasher = DefaultHasher::new();
    beside.hash(&mut hasher);
    format!("W/\"{version}-{:x}\"", hasher.finish())
}

/// A resource as one request sees it.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) etag: String,
}

pub(super) fn location(base: &str, kind: ResourceKind, id: ResourceId) -> String {
    format!("{base}/{}/{id}", kind.endpoint())
}

/// The head of a ListResponse up to its resources (RFC 7644 section 3.4.2): with its place where it
/// was asked for by index, and with the way on where by cursor (RFC 9865 section 2).
pub(super) fn list_head(page: &Page, start: &Start) -> String {
    let (total, items) = (page.total, page.resources.len());
    let place = match (start, &page.next) {
        (Start::Index(index), _) => format!("\"startIndex\":{index},"),
        (Start::Cursor(_), Some(next)) => format!("\"nextCursor\":\"{next}\","),
        (Start::Cursor(_), None) => String::new(),
    };
    format!(
        "{{\"schemas\":[\"{LIST_URN}\"],\"totalResults\":{total},{place}\
         \"itemsPerPage\":{items},\"Resources\":["
    )
}

/// How one request wants resources of one kind written.
#[derive(Clone)]
pub(super) struct Form {
    base: Arc<str>,
    info: Arc<OrganizationInfo>,
    projection: Projection,
    /// The attribute that is kept beside the text.
    beside: &'static str,
    entry: Entry,
}

/// Which parts of an entry of `members` or `groups` are shown.
#[derive(Clone, Copy)]
struct Entry {
    value: bool,
    reference: bool,
    display: bool,
    relation: bool,
}

impl Form {
    pub(super) fn new(
        base: &Arc<str>,
        info: &Arc<OrganizationInfo>,
        kind: ResourceKind,
        projection: &Projection,
    ) -> Self {
        let beside = match kind {
            ResourceKind::User => "groups",
            ResourceKind::Group => "members",
        };
        // What becomes of one entry becomes of all of them.
        let mut sample = Attributes::from_iter([(
            beside.to_owned(),
            json!([{ "value": "", "$ref": "", "display": "", "type": "" }]),
        )]);
        projection.apply(&mut sample, info.schemas.of(kind));
        let shows = |part: &str| sample.get(beside).is_some_and(|all| all[0].get(part).is_some());
        let entry = Entry {
            value: shows("value"),
            reference: shows("$ref"),
            display: shows("display"),
            relation: shows("type"),
        };
        Self {
            base: Arc::clone(base),
            info: Arc::clone(info),
            projection: projection.clone(),
            beside,
            entry,
        }
    }

    /// Whether memberships are worth reading for this answer.
    pub(super) fn wants_memberships(&self) -> bool {
        let Entry { value, reference, display, relation } = self.entry;
        value || reference || display || relation
    }

    /// The resource as this request sees it.
    pub(super) fn write(
        &self,
        stored: &Stored,
        memberships: &mut dyn Memberships,
    ) -> Result<Written, StoreError> {
        let mut text = self.own(stored)?;
        let own = text.len();
        if self.wants_memberships() {
            self.memberships(&mut text, memberships)?;
        }
        let etag = etag_beside(stored.version, &text[own..]);
        text.push_str(&self.meta(stored, &etag)?);
        text.push('}');
        Ok(Written { text, etag })
    }

    /// What is kept in the resource itself; the object is left open.
    fn own(&self, stored: &Stored) -> Result<String, StoreError> {
        let body = &stored.body;
        let ty = self.info.schemas.of(stored.kind);
        let mut text = if self.projection.is_about(self.beside) && ty.knows_all(body) {
            let mut text = String::with_capacity(body.len() + 2 * self.base.len() + 256);
            text.push_str(body);
            text
        } else {
            self.projected(stored.kind, body)?
        };
        // An id is always there, so whatever comes after it begins with a comma.
        text.pop();
        Ok(text)
    }

    /// `meta`, as it follows another attribute; nothing where it is not wanted.
    fn meta(&self, stored: &Stored, etag: &str) -> Result<String, StoreError> {
        let Stored { kind, id, created, modified, .. } = stored;
        let text = format!(
            "\"meta\":{{\"resourceType\":\"{kind}\",\"created\":\"{created}\",\
             \"lastModified\":\"{modified}\",\"location\":\"{}\",\"version\":{}}}",
            location(&self.base, *kind, *id),
            json!(etag),
        );
        if self.projection.is_about(self.beside) {
            return Ok(format!(",{text}"));
        }
        let shown = self.projected(*kind, &format!("{{{text}}}"))?;
        let shown = shown.trim_start_matches('{').strip_suffix('}').unwrap_or_default();
        Ok(if shown.is_empty() { String::new() } else { format!(",{shown}") })
    }

    /// Only what was asked for (RFC 7644 section 3.9).
    fn projected(&self, kind: ResourceKind, text: &str) -> Result<String, StoreError> {
        let mut attributes = serde_json::from_str(text).map_err(|error| {
            StoreError::Broken(format!("a stored resource is not JSON: {error}"))
        })?;
        self.projection.apply(&mut attributes, self.info.schemas.of(kind));
        serde_json::to_string(&attributes)
            .map_err(|error| StoreError::Broken(format!("a resource cannot be written: {error}")))
    }

    fn memberships(
        &self,
        text: &mut String,
        memberships: &mut dyn Memberships,
    ) -> Result<(), StoreError> {
        // Room for all of them at once: a text that grows is there twice while it moves.
        text.reserve(memberships.count()? * (self.base.len() + 200));
        let mut open = false;
        memberships.each(&mut |one| {
            if !self.entry.says_something_of(&one) {
                return;
            }
            if open {
                text.push(',');
            } else {
                write!(text, ",\"{}\":[", self.beside).expect("writing to a string");
                open = true;
            }
            self.entry.write(text, &one, &self.base);
        })?;
        // An attribute without values is left out (RFC 7643 section 2.5).
        if open {
            text.push(']');
        }
        Ok(())
    }
}

impl Entry {
    fn says_something_of(self, one: &Membership) -> bool {
        self.value || self.reference || self.relation || (self.display && one.display.is_some())
    }

    fn write(self, text: &mut String, one: &Membership, base: &str) {
        let mut separator = '{';
        let mut part = |text: &mut String, name: &str| {
            text.push(separator);
            separator = ',';
            text.push('"');
            text.push_str(name);
            text.push_str("\":");
        };
        if self.value {
            part(text, "value");
            write!(text, "\"{}\"", one.id).expect("writing to a string");
        }
        if self.reference {
            part(text, "$ref");
            let endpoint = one.relation.kind().endpoint();
            write!(text, "\"{base}/{endpoint}/{}\"", one.id).expect("writing to a string");
        }
        if let (true, Some(display)) = (self.display, &one.display) {
            part(text, "display");
            text.push_str(&serde_json::to_string(display).expect("a string is JSON"));
        }
        if self.relation {
            part(text, "type");
            write!(text, "\"{}\"", one.relation.word()).expect("writing to a string");
        }
        text.push('}');
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
