//! What differs. Pure: entries and resources in, differences out.

use std::collections::{BTreeSet, HashMap};

use scim_relay_sdk::connector::{Entry, Stage};
use scim_relay_sdk::scim::{ResourceKey, ResourceKind};
use serde::{Deserialize, Serialize};

use crate::store::RowId;

/// How an entry and its resource differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// The resource has no entry.
    Missing,
    /// Its entry says something else.
    Changed,
    /// An entry that belongs to nobody.
    Orphaned,
    /// A second entry that correlates with a resource that has one.
    Duplicate,
    /// The entry of someone who should be gone is still active.
    Lingering,
}

impl DriftKind {
    pub const ALL: [Self; 5] =
        [Self::Missing, Self::Changed, Self::Orphaned, Self::Duplicate, Self::Lingering];

    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Orphaned => "orphaned",
            Self::Duplicate => "duplicate",
            Self::Lingering => "lingering",
        }
    }
}

/// One attribute's difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub attribute: String,
    pub target: Vec<String>,
    pub expected: Vec<String>,
}

/// One entry or resource that is out of line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub kind: DriftKind,
    /// DN or address at the target.
    pub address: String,
    /// `User/…`, where there is a resource.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resource: Option<String>,
    /// userName or displayName.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub differences: Vec<Difference>,
    #[serde(skip)]
    pub row: Option<RowId>,
    #[serde(skip)]
    pub target_id: Option<String>,
    pub of: ResourceKind,
}

/// A resource's side of the comparison.
pub struct Side {
    pub row: RowId,
    pub key: ResourceKey,
    pub name: String,
    pub link: Option<(String, Stage)>,
    /// Its change is on the way already, so that a difference says nothing.
    pub queued: bool,
    /// What the target should show; `None` when the resource is gone or out of scope.
    pub expected: Option<Entry>,
}

/// A comparison in progress: a target's entries, from which resources claim theirs.
pub struct Plan {
    kind: ResourceKind,
    entries: Vec<Entry>,
    by_id: HashMap<String, usize>,
    by_correlation: HashMap<(String, String), usize>,
    owned: BTreeSet<usize>,
    drift: Vec<Drift>,
    /// Resources that had an entry by their link, and those whose entry was there.
    linked: usize,
    found: usize,
}

impl Plan {
    pub fn new(kind: ResourceKind, entries: Vec<Entry>) -> Self {
        let by_id = entries
            .iter()
            .enumerate()
            .map(|(index, entry)| (entry.target_id.clone(), index))
            .collect();
        let by_correlation = entries
            .iter()
            .enumerate()
            .flat_map(|(index, entry)| {
                entry.correlation.iter().cloned().map(move |pair| (pair, index))
            })
            .collect();
        Self {
            kind,
            entries,
            by_id,
            by_correlation,
            owned: BTreeSet::new(),
            drift: Vec::new(),
            linked: 0,
            found: 0,
        }
    }

    /// How many entries the target listed.
    pub fn seen(&self) -> usize {
        self.entries.len()
    }

    /// How many resources should have been found by their link, and how many were.
    pub fn found(&self) -> (usize, usize) {
        (self.found, self.linked)
    }

    /// Compares one resource with its entry.
    pub fn compare(&mut self, side: &Side) {
        let by_link = side.link.as_ref().and_then(|(id, _)| self.by_id.get(id.as_str()).copied());
        if let Some((_, stage)) = &side.link
            && *stage == Stage::Active
            && !side.queued
        {
            self.linked += 1;
            self.found += usize::from(by_link.is_some());
        }
        let correlated = side.expected.as_ref().and_then(|expected| {
            expected.correlation.iter().find_map(|pair| self.by_correlation.get(pair).copied())
        });
        self.owned.extend(by_link);
        if side.link.is_none() {
            self.owned.extend(correlated);
        }
        if let (Some(own), Some(other)) = (by_link, correlated)
            && own != other
            && self.owned.insert(other)
        {
            let duplicate = self.drift_of(DriftKind::Duplicate, Some(other), side);
            self.drift.push(duplicate);
        }
        if side.queued {
            return;
        }
        let found = match (&side.expected, by_link) {
            (None, Some(index)) => {
                let lingers = side.link.as_ref().is_some_and(|(_, stage)| *stage != Stage::Active)
                    && !self.entries[index].deactivated;
                if !lingers {
                    return;
                }
                self.drift_of(DriftKind::Lingering, Some(index), side)
            }
            (None, None) => return,
            (Some(_), None) => self.drift_of(DriftKind::Missing, None, side),
            (Some(expected), Some(index)) => {
                let differences = differences(&self.entries[index], expected);
                if differences.is_empty() {
                    return;
                }
                Drift { differences, ..self.drift_of(DriftKind::Changed, Some(index), side) }
            }
        };
        self.drift.push(found);
    }

    fn drift_of(&self, kind: DriftKind, index: Option<usize>, side: &Side) -> Drift {
        let entry = index.map(|index| &self.entries[index]);
        let address = entry.or(side.expected.as_ref()).map(|entry| entry.address.clone());
        Drift {
            kind,
            address: address.unwrap_or_default(),
            resource: Some(side.key.to_string()),
            name: Some(side.name.clone()),
            differences: Vec::new(),
            row: Some(side.row),
            target_id: entry.map(|entry| entry.target_id.clone()),
            of: self.kind,
        }
    }

    /// Everything that differs, once all resources have been compared: entries that nobody claimed
    /// are orphans, unless they are protected or deactivated already.
    pub fn end(mut self) -> Vec<Drift> {
        for (index, entry) in self.entries.iter().enumerate() {
            if self.owned.contains(&index) || entry.protected || entry.deactivated {
                continue;
            }
            self.drift.push(Drift {
                kind: DriftKind::Orphaned,
                address: entry.address.clone(),
                resource: None,
                name: None,
                differences: Vec::new(),
                row: None,
                target_id: Some(entry.target_id.clone()),
                of: self.kind,
            });
        }
        self.drift
    }
}

/// Attribute by attribute, what the target has and what it should.
fn differences(entry: &Entry, expected: &Entry) -> Vec<Difference> {
    let values = |entry: &Entry, name: &str| -> Vec<String> {
        let found = entry.values.iter().find(|(attribute, _)| attribute == name);
        found.map(|(_, values)| values.clone()).unwrap_or_default()
    };
    let names: BTreeSet<&String> =
        entry.values.iter().chain(&expected.values).map(|(name, _)| name).collect();
    let mut differences: Vec<Difference> = names
        .into_iter()
        .map(|name| Difference {
            attribute: name.clone(),
            target: values(entry, name),
            expected: values(expected, name),
        })
        .filter(|difference| difference.target != difference.expected)
        .collect();
    if let (Some(there), Some(wanted)) = (&entry.members, &expected.members) {
        let there: BTreeSet<&String> = there.iter().collect();
        let wanted: BTreeSet<&String> = wanted.iter().collect();
        if there != wanted {
            differences.push(Difference {
                attribute: "members".to_owned(),
                target: there.difference(&wanted).map(ToString::to_string).collect(),
                expected: wanted.difference(&there).map(ToString::to_string).collect(),
            });
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::testing;

    use super::*;

    fn entry(id: &str, mail: &str) -> Entry {
        Entry {
            target_id: id.to_owned(),
            address: format!("uid={id}"),
            values: vec![("mail".to_owned(), vec![mail.to_owned()])],
            correlation: vec![("mail".to_owned(), mail.to_owned())],
            ..Entry::default()
        }
    }

    fn side(link: Option<&str>, expected: Option<Entry>) -> Side {
        Side {
            row: RowId(1),
            key: testing::ada().key,
            name: "ada".to_owned(),
            link: link.map(|id| (id.to_owned(), Stage::Active)),
            queued: false,
            expected,
        }
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "so that a test reads `vec![..]`")]
    fn check(entries: Vec<Entry>, sides: Vec<Side>, expected: &[(DriftKind, &str)]) {
        let mut plan = Plan::new(ResourceKind::User, entries);
        for side in &sides {
            plan.compare(side);
        }
        let drift = plan.end();
        let found: Vec<_> =
            drift.iter().map(|drift| (drift.kind, drift.address.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_entry_that_is_as_it_should_be_is_no_drift() {
        check(vec![entry("a", "ada@x")], vec![side(Some("a"), Some(entry("", "ada@x")))], &[]);
    }

    #[test]
    fn an_entry_that_is_gone_is_missing() {
        let mut expected = entry("", "ada@x");
        expected.address = "uid=ada".to_owned();
        check(vec![], vec![side(Some("a"), Some(expected))], &[(DriftKind::Missing, "uid=ada")]);
    }

    #[test]
    fn a_value_that_was_changed_by_hand_is_found() {
        check(
            vec![entry("a", "evil@x")],
            vec![side(Some("a"), Some(entry("", "ada@x")))],
            &[(DriftKind::Changed, "uid=a")],
        );
    }

    #[test]
    fn members_are_compared_as_sets_and_only_what_differs_is_shown() {
        let group = |members: &[&str]| Entry {
            members: Some(members.iter().map(ToString::to_string).collect()),
            ..entry("g", "")
        };
        let found = differences(&group(&["a", "b", "c"]), &group(&["c", "d", "b"]));
        assert_eq!(
            found,
            [Difference {
                attribute: "members".to_owned(),
                target: vec!["a".to_owned()],
                expected: vec!["d".to_owned()],
            }]
        );
    }

    #[test]
    fn an_entry_that_nobody_has_is_an_orphan_unless_it_is_protected_or_deactivated() {
        let protected = Entry { protected: true, ..entry("p", "p@x") };
        let deactivated = Entry { deactivated: true, ..entry("d", "d@x") };
        check(
            vec![entry("o", "o@x"), protected, deactivated],
            vec![],
            &[(DriftKind::Orphaned, "uid=o")],
        );
    }

    #[test]
    fn a_second_entry_that_correlates_is_a_duplicate_and_no_orphan() {
        check(
            vec![entry("a", "old@x"), entry("b", "ada@x")],
            vec![side(Some("a"), Some(entry("", "ada@x")))],
            &[(DriftKind::Duplicate, "uid=b"), (DriftKind::Changed, "uid=a")],
        );
    }

    #[test]
    fn what_is_on_its_way_is_no_drift_and_its_entry_no_orphan() {
        let queued = Side { queued: true, ..side(Some("a"), Some(entry("", "new@x"))) };
        check(vec![entry("a", "old@x")], vec![queued], &[]);
    }

    #[test]
    fn someone_who_should_be_gone_and_is_active_again_lingers() {
        let gone = Side { link: Some(("a".to_owned(), Stage::Deactivated)), ..side(None, None) };
        check(vec![entry("a", "ada@x")], vec![gone], &[(DriftKind::Lingering, "uid=a")]);
    }
}
