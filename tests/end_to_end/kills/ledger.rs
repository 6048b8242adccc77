//! What must be so, by what was acknowledged: the provider's side of the story.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::book::{Book, Fault};
use crate::kit::provider::{Provider, group, person};

/// Every write has a number of its own, which what it writes carries: that is how one sees which
/// write is served, and which an event tells of.
pub(super) type Mark = u64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    /// `externalId`; who comes back has the same.
    pub(super) external: String,
    pub(super) mark: Mark,
    pub(super) active: bool,
}

impl Person {
    pub(super) fn address(&self) -> String {
        format!("{}@lillevik.example", self.external)
    }

    /// What `displayName` says: a write has its mark in two places, to be seen in both or in none.
    pub(super) fn display(&self) -> String {
        format!("Person {}", self.mark)
    }

    pub(super) fn body(&self) -> Value {
        let mut body = person(&self.name);
        body["externalId"] = self.external.as_str().into();
        body["emails"] = json!([{ "value": self.address(), "primary": true }]);
        body["displayName"] = self.display().into();
        body["title"] = self.mark.to_string().into();
        body["active"] = self.active.into();
        body
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    /// In `externalId`. Who joins and leaves does not change it.
    pub(super) mark: Mark,
    pub(super) members: BTreeSet<String>,
}

impl Group {
    pub(super) fn body(&self) -> Value {
        let members: Vec<&str> = self.members.iter().map(String::as_str).collect();
        let mut body = group(&self.name, &members);
        body["externalId"] = self.mark.to_string().into();
        body
    }
}

/// What is to be told of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Story {
    /// Every write of the resource itself that was carried out, in order.
    pub(super) marks: Vec<Mark>,
    pub(super) deleted: bool,
}

#[derive(Default)]
pub(super) struct Known {
    pub(super) people: BTreeMap<String, Person>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) gone: BTreeSet<String>,
    /// By id, of everybody who was ever there.
    pub(super) stories: BTreeMap<String, Story>,
    /// How often somebody joined or left a group, by group and person.
    pub(super) moves: BTreeMap<(String, String), usize>,
    /// By id, of everybody who was ever there.
    pub(super) addresses: BTreeMap<String, String>,
}

impl Known {
    pub(super) fn put_person(&mut self, id: &str, person: Person) {
        self.stories.entry(id.to_owned()).or_default().marks.push(person.mark);
        self.addresses.insert(id.to_owned(), person.address());
        self.people.insert(id.to_owned(), person);
    }

    /// A group was made, or renamed: who is in it stays.
    pub(super) fn put_group(&mut self, id: &str, mut group: Group) {
        self.stories.entry(id.to_owned()).or_default().marks.push(group.mark);
        let first = std::mem::take(&mut group.members);
        if let Some(one) = self.groups.get_mut(id) {
            (one.name, one.mark) = (group.name, group.mark);
        } else {
            self.groups.insert(id.to_owned(), group);
            self.set_members(id, &first);
        }
    }

    pub(super) fn end(&mut self, id: &str) {
        self.stories.entry(id.to_owned()).or_default().deleted = true;
        self.gone.insert(id.to_owned());
        self.groups.remove(id);
        if self.people.remove(id).is_some() {
            let groups: Vec<String> = self.groups.keys().cloned().collect();
            for group in groups {
                self.leave(&group, id);
            }
        }
    }

    pub(super) fn join(&mut self, group: &str, person: &str) {
        if self.groups.get_mut(group).is_some_and(|one| one.members.insert(person.to_owned())) {
            self.moved(group, person);
        }
    }

    pub(super) fn leave(&mut self, group: &str, person: &str) {
        if self.groups.get_mut(group).is_some_and(|one| one.members.remove(person)) {
            self.moved(group, person);
        }
    }

    pub(super) fn set_members(&mut self, group: &str, members: &BTreeSet<String>) {
        let before = self.groups.get(group).map(|one| one.members.clone()).unwrap_or_default();
        for person in before.difference(members) {
            self.leave(group, person);
        }
        for person in members.difference(&before) {
            self.join(group, person);
        }
    }

    fn moved(&mut self, group: &str, person: &str) {
        *self.moves.entry((group.to_owned(), person.to_owned())).or_default() += 1;
    }
}

#[derive(Default)]
pub(super) struct Ledger(Mutex<Known>);

impl Ledger {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is served is what was acknowledged. To be asked while nobody writes.
    pub(super) async fn compare(&self, provider: &Provider, book: &Book) {
        let people = all(provider, "Users").await;
        let groups = all(provider, "Groups").await;
        let known = self.known();
        for (id, served) in &people {
            let mark = number(&served["title"]);
            if served["displayName"] != format!("Person {mark}") {
                book.fault(Fault::HalfApplied, format!("{served}"));
            }
            let served = Person {
                name: text(&served["userName"]),
                external: text(&served["externalId"]),
                mark,
                active: served["active"] == true,
            };
            judge(book, &known, id, known.people.get(id), &served, served.mark);
        }
        for (id, served) in &groups {
            let members = served["members"].as_array().into_iter().flatten();
            let served = Group {
                name: text(&served["displayName"]),
                mark: number(&served["externalId"]),
                members: members.map(|member| text(&member["value"])).collect(),
            };
            for nobody in served.members.iter().filter(|member| !people.contains_key(*member)) {
                book.fault(
                    Fault::HalfApplied,
                    format!("group {id} has {nobody}, who is not there"),
                );
            }
            judge(book, &known, id, known.groups.get(id), &served, served.mark);
        }
        let served = |id: &String| people.contains_key(id) || groups.contains_key(id);
        for id in known.people.keys().chain(known.groups.keys()).filter(|id| !served(id)) {
            book.fault(Fault::Lost, format!("{id} is not served"));
        }
    }
}

fn judge<T: PartialEq + std::fmt::Debug>(
    book: &Book,
    known: &Known,
    id: &str,
    wanted: Option<&T>,
    served: &T,
    mark: Mark,
) {
    let Some(wanted) = wanted else {
        let fault = if known.gone.contains(id) { Fault::Resurrected } else { Fault::Invented };
        return book.fault(fault, format!("{id}: {served:?}"));
    };
    if wanted != served {
        let marks = known.stories.get(id).map(|story| story.marks.as_slice()).unwrap_or_default();
        let fault = if marks.contains(&mark) { Fault::Lost } else { Fault::Invented };
        book.fault(fault, format!("{id} is {served:?} and was acknowledged as {wanted:?}"));
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// 0 is no write's mark.
fn number(value: &Value) -> Mark {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Everybody who is served, by id.
async fn all(provider: &Provider, kind: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    loop {
        let path = format!("{kind}?startIndex={}&count=200", found.len() + 1);
        let page = provider.get(&path).await.expect(200).body;
        let resources = page["Resources"].as_array().cloned().unwrap_or_default();
        if resources.is_empty() {
            assert_eq!(page["totalResults"], found.len(), "{page}");
            return found;
        }
        found.extend(resources.into_iter().map(|one| (text(&one["id"]), one)));
    }
}
