//! What the provider was told is stored, kept as simply as possible.

use std::collections::{BTreeMap, BTreeSet};

use scim_relay_sdk::connector::Verb;
use scim_relay_sdk::scim::{ResourceId, ResourceKind, fold};
use serde_json::json;

use crate::store::{Content, Lookups, RowId};

#[derive(Default)]
pub(super) struct Model {
    pub(super) resources: BTreeMap<ResourceId, Known>,
    /// The number of the newest change.
    pub(super) newest: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) organization: usize,
    pub(super) kind: ResourceKind,
    pub(super) row: RowId,
    pub(super) face: Face,
    pub(super) members: BTreeSet<ResourceId>,
    pub(super) living: bool,
    pub(super) events: Vec<(i64, Verb)>,
}

/// What can be said of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Face {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) student: bool,
}

impl Face {
    pub(super) fn body(&self, kind: ResourceKind) -> String {
        let role = if self.student { "student" } else { "teacher" };
        match kind {
            ResourceKind::User => {
                json!({ "userName": self.name, "title": self.title, "userType": role })
            }
            ResourceKind::Group => json!({ "displayName": self.name, "title": self.title }),
        }
        .to_string()
    }

    pub(super) fn content(&self, kind: ResourceKind) -> Content {
        let name = Some(fold(&self.name));
        let lookups = match kind {
            ResourceKind::User => Lookups { user_name: name, ..Lookups::default() },
            ResourceKind::Group => Lookups { display_name: name, ..Lookups::default() },
        };
        // More than may have changed, which does no harm.
        let changed = vec!["title".to_owned(), "displayName".to_owned()];
        Content { body: self.body(kind), lookups, changed, password: None }
    }
}

impl Model {
    pub(super) fn living(&self, kind: ResourceKind) -> Vec<ResourceId> {
        let is_it = |(_, known): &(&ResourceId, &Known)| known.living && known.kind == kind;
        self.resources.iter().filter(is_it).map(|(id, _)| *id).collect()
    }

    pub(super) fn by_row(&self, row: i64) -> (ResourceId, &Known) {
        let mut all = self.resources.iter();
        let (id, known) = all.find(|(_, known)| known.row.0 == row).expect("it was acknowledged");
        (*id, known)
    }

    /// Whether a living resource of this kind has this name.
    pub(super) fn is_taken(&self, organization: usize, kind: ResourceKind, name: &str) -> bool {
        self.resources.values().any(|known| {
            known.living
                && known.organization == organization
                && known.kind == kind
                && known.face.name == name
        })
    }

    pub(super) fn delete(&mut self, id: ResourceId) {
        for known in self.resources.values_mut() {
            known.members.remove(&id);
        }
        let known = self.resources.get_mut(&id).expect("it was there");
        known.living = false;
        known.members.clear();
    }

    /// A change that the log has.
    pub(super) fn happened(&mut self, row: RowId, seq: i64, verb: Verb) {
        self.newest = seq;
        let known = self.resources.values_mut().find(|known| known.row == row);
        known.expect("it was acknowledged").events.push((seq, verb));
    }
}
