//! A directory that is a file: every change is appended to it as an LDIF record, and a directory
//! that is opened again starts from what the file says. For demonstrations, dry runs against a
//! new mapping, and handing changes to somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use uuid::Uuid;

use crate::diff;
use crate::dn::{self, Dn, Rdn};
use crate::error::{Fault, code};
use crate::ldif::{self, Annotated, Record};
use crate::transport::{
    Attributes, Entry, Modification, NewName, Query, Scope, Secret, Sink, Transport,
};

/// What a comment above a record says of the entry's id: a server would make one itself, and
/// would take none from us.
const ANCHOR: &str = "entryUUID";

pub(crate) struct Memory {
    place: String,
    state: Mutex<State>,
}

struct State {
    file: File,
    tree: Tree,
}

/// The entries, by the key of their name.
#[derive(Debug, Default)]
struct Tree(BTreeMap<String, Entry>);

impl Memory {
    /// Opens or makes the file and goes through its records. A record that a crash left
    /// unfinished is taken off.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let (records, complete) = ldif::read(&text).map_err(invalid)?;
        let mut tree = Tree::default();
        for Annotated { comments, record } in records {
            let id = comments.iter().find_map(|comment| comment.strip_prefix("entryUUID: "));
            tree.apply(&record, id.map_or_else(new_id, str::to_owned))
                .map_err(|fault| invalid(format!("{}: {fault}", record.to_text().trim_end())))?;
        }
        if complete < text.len() {
            file.set_len(complete as u64)?;
            file.seek(SeekFrom::End(0))?;
        }
        if complete == 0 {
            file.write_all(b"version: 1\n\n")?;
        }
        let state = Mutex::new(State { file, tree });
        Ok(Self { place: path.display().to_string(), state })
    }

    /// Does the change and appends it, or neither.
    fn write(&self, record: &Record) -> Result<(), Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { file, tree } = &mut *state;
        let id = new_id();
        let note = match record {
            Record::Add { .. } => format!("# {ANCHOR}: {id}\n"),
            _ => String::new(),
        };
        let undo = tree.apply(record, id)?;
        append(file, &(note + &record.to_text())).map_err(|source| {
            tree.undo(undo);
            Fault::Unreachable {
                what: format!("{} cannot be written", self.place),
                source: source.into(),
            }
        })
    }

    fn search(&self, query: &Query<'_>) -> Result<Vec<Entry>, Fault> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tree.search(query)
    }
}

/// Appends the text whole, or leaves the file as it was.
fn append(file: &mut File, text: &str) -> io::Result<()> {
    let length = file.metadata()?.len();
    let written = file.write_all(text.as_bytes());
    if written.is_err() {
        // Takes no room, so it works on a full disk too.
        file.set_len(length)?;
    }
    written
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

fn name(text: &str) -> Result<Dn, Fault> {
    Dn::parse(text).map_err(|error| Fault::refusal(34, error.to_string()))
}

fn missing(dn: &str) -> Fault {
    Fault::refusal(code::NO_SUCH_OBJECT, format!("there is no {dn}"))
}

/// What puts the tree back to where it was: keys and what they held.
type Undo = Vec<(String, Option<Entry>)>;

impl Tree {
    fn apply(&mut self, record: &Record, id: String) -> Result<Undo, Fault> {
        match record {
            Record::Add { dn, attributes } => {
                let key = name(dn)?.key();
                if self.0.contains_key(&key) {
                    return Err(Fault::refusal(code::ENTRY_ALREADY_EXISTS, ""));
                }
                let mut entry = Entry::new(dn.clone(), attributes.clone());
                entry.attributes.push((ANCHOR.to_owned(), vec![id.into_bytes()]));
                self.0.insert(key.clone(), entry);
                Ok(vec![(key, None)])
            }
            Record::Modify { dn, changes } => {
                let key = name(dn)?.key();
                let before = self.0.get(&key).ok_or_else(|| missing(dn))?.clone();
                let mut after = before.clone();
                changes.iter().try_for_each(|change| modify(&mut after.attributes, change))?;
                demand_member(&after)?;
                self.0.insert(key.clone(), after);
                Ok(vec![(key, Some(before))])
            }
            Record::Rename { dn, to } => self.rename(dn, to),
            Record::Delete { dn } => {
                let key = name(dn)?.key();
                let before = self.0.remove(&key).ok_or_else(|| missing(dn))?;
                Ok(vec![(key, Some(before))])
            }
        }
    }

    fn rename(&mut self, dn: &str, to: &NewName) -> Result<Undo, Fault> {
        let old = name(dn)?;
        let step = name(&to.rdn)?;
        let step = step.rdn().ok_or_else(|| Fault::refusal(34, "the new name is empty"))?;
        let parent = to.parent.as_deref().map_or_else(|| Ok(old.parent()), name)?;
        let new = parent.child(step);
        let (from, key) = (old.key(), new.key());
        if from != key && self.0.contains_key(&key) {
            return Err(Fault::refusal(code::ENTRY_ALREADY_EXISTS, ""));
        }
        let before = self.0.remove(&from).ok_or_else(|| missing(dn))?;
        let mut after = before.clone();
        after.dn = new.to_string();
        for (attribute, value) in
            old.rdn().filter(|_| to.delete_old).into_iter().flat_map(Rdn::values)
        {
            if let Some((_, values)) = slot(&mut after.attributes, attribute) {
                values.retain(|held| dn::folded(held) != dn::folded(value));
            }
        }
        for (attribute, value) in step.values() {
            match slot(&mut after.attributes, attribute) {
                Some((_, values))
                    if values.iter().any(|held| dn::folded(held) == dn::folded(value)) => {}
                Some((_, values)) => values.push(value.to_vec()),
                None => after.attributes.push((attribute.to_owned(), vec![value.to_vec()])),
            }
        }
        after.attributes.retain(|(_, values)| !values.is_empty());
        self.0.insert(key.clone(), after);
        // In this order, since the two keys may be one.
        Ok(vec![(key, None), (from, Some(before))])
    }

    fn undo(&mut self, undo: Undo) {
        for (key, before) in undo {
            match before {
                Some(entry) => self.0.insert(key, entry),
                None => self.0.remove(&key),
            };
        }
    }

    fn search(&self, query: &Query<'_>) -> Result<Vec<Entry>, Fault> {
        if query.base.is_empty() && query.scope == Scope::Base {
            return Ok(vec![root()]);
        }
        let base = name(query.base)?;
        let key = base.key();
        if query.scope == Scope::Base && !self.0.contains_key(&key) {
            return Err(missing(query.base));
        }
        let within = |held: &str, entry: &Entry| match query.scope {
            Scope::Base => held == key,
            Scope::Subtree => Dn::parse(&entry.dn).is_ok_and(|dn| dn.is_within(&base)),
        };
        Ok(self
            .0
            .iter()
            .filter(|(held, entry)| within(held, entry) && query.filter.matches(entry))
            .map(|(_, entry)| selected(entry, query.attributes))
            .collect())
    }
}

/// What a file says of itself where a server has its root DSE.
fn root() -> Entry {
    let text = |name: &str, value: &str| (name.to_owned(), vec![value.as_bytes().to_vec()]);
    Entry::new(
        "",
        vec![
            text("objectClass", "top"),
            text("vendorName", "a file of LDIF records"),
            text("supportedControl", "1.3.6.1.4.1.42.2.27.8.5.1"),
        ],
    )
}

fn selected(entry: &Entry, attributes: &[String]) -> Entry {
    let wanted =
        |name: &str| attributes.iter().any(|attribute| dn::same_attribute(attribute, name));
    let attributes = entry.attributes.iter().filter(|(name, _)| wanted(name)).cloned().collect();
    Entry::new(entry.dn.clone(), attributes)
}

fn slot<'a>(attributes: &'a mut Attributes, name: &str) -> Option<&'a mut (String, Vec<Vec<u8>>)> {
    attributes.iter_mut().find(|(held, _)| dn::same_attribute(held, name))
}

fn modify(attributes: &mut Attributes, change: &Modification) -> Result<(), Fault> {
    let (Modification::Add(name, given) | Modification::Delete(name, given)) = change;
    if slot(attributes, name).is_none() {
        attributes.push((name.clone(), Vec::new()));
    }
    let (_, values) = slot(attributes, name).expect("it was just put there");
    let keys = |values: &[Vec<u8>]| -> BTreeSet<Vec<u8>> {
        values.iter().map(|value| diff::comparable(name, value).into_owned()).collect()
    };
    let (held, changed) = (keys(values), keys(given));
    match change {
        Modification::Add(..) => {
            if !held.is_disjoint(&changed) || changed.len() < given.len() {
                return Err(Fault::refusal(code::ATTRIBUTE_OR_VALUE_EXISTS, name.clone()));
            }
            values.extend_from_slice(given);
        }
        Modification::Delete(..) => {
            if held.is_empty() || !held.is_superset(&changed) {
                return Err(Fault::refusal(code::NO_SUCH_ATTRIBUTE, name.clone()));
            }
            values.retain(|value| {
                !given.is_empty() && !changed.contains(&*diff::comparable(name, value))
            });
        }
    }
    attributes.retain(|(_, values)| !values.is_empty());
    Ok(())
}

/// The one rule of the schema that the connector's own logic turns on (RFC 4519 sections 3.5 and
/// 3.6).
fn demand_member(entry: &Entry) -> Result<(), Fault> {
    for (class, attribute) in [("groupOfNames", "member"), ("groupOfUniqueNames", "uniqueMember")] {
        if entry.has("objectClass", class) && entry.values(attribute).is_empty() {
            return Err(Fault::refusal(
                code::OBJECT_CLASS_VIOLATION,
                format!("object class '{class}' requires attribute '{attribute}'"),
            ));
        }
    }
    Ok(())
}

#[async_trait]
impl Transport for Memory {
    fn place(&self) -> &str {
        &self.place
    }

    fn identity(&self) -> Option<&str> {
        None
    }

    fn has_containers(&self) -> bool {
        false
    }

    async fn find(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Entry>, Fault> {
        let mut entries = self.search(query)?;
        entries.truncate(limit);
        Ok(entries)
    }

    async fn list(&self, query: &Query<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        self.search(query)?.into_iter().for_each(sink);
        Ok(())
    }

    async fn add(&self, dn: &str, attributes: Attributes) -> Result<(), Fault> {
        self.write(&Record::Add { dn: dn.to_owned(), attributes })
    }

    async fn modify(&self, dn: &str, changes: Vec<Modification>) -> Result<(), Fault> {
        self.write(&Record::Modify { dn: dn.to_owned(), changes })
    }

    /// The configuration is refused before it comes to this.
    async fn write_secret(&self, _dn: &str, _secret: Secret) -> Result<(), Fault> {
        Err(Fault::refusal(53, "a file would show it to everybody"))
    }

    async fn rename(&self, dn: &str, to: &NewName) -> Result<(), Fault> {
        self.write(&Record::Rename { dn: dn.to_owned(), to: to.clone() })
    }

    async fn delete(&self, dn: &str) -> Result<(), Fault> {
        self.write(&Record::Delete { dn: dn.to_owned() })
    }
}

#[cfg(test)]
mod tests;
