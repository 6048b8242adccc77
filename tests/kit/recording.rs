//! What happened to a folder, operation by operation, and how the folder may look after the power
//! was cut in the middle of it.
//!
//! The rules are POSIX's and no file system's: what was written is safe after a sync of the file, a
//! name after a sync of the folder, and until then any part of either may be there, in any order.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::dice::Dice;

/// The smallest piece that a disk writes whole.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
enum Operation {
    Create,
    Write { place: usize, data: Vec<u8> },
    Truncate(usize),
    Sync,
    Rename(String),
    Unlink,
}

#[derive(Clone, Debug)]
struct Step {
    /// How long the record was after it.
    end: u64,
    name: String,
    operation: Operation,
}

impl Step {
    fn is_sync(&self) -> bool {
        matches!(self.operation, Operation::Sync)
    }
}

/// The operations in their order.
#[derive(Clone)]
pub(crate) struct Recording(Vec<Step>);

/// What becomes of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsynced {
    /// It is gone.
    Lost,
    /// Any part of it is there, sector by sector.
    Scattered,
    /// It is there as far as the disk came, and the last sector is half written.
    Torn,
}

/// A moment at which the power is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// By the length of the record.
    pub(crate) at: u64,
    pub(crate) unsynced: Unsynced,
    /// Whether new names last by themselves, as on most file systems.
    pub(crate) names_last: bool,
    /// Which of the many ways.
    pub(crate) seed: u64,
}

impl Recording {
    pub(crate) fn read(mut bytes: &[u8]) -> Self {
        let whole = bytes.len();
        let mut steps = Vec::new();
        // Place, length of the data, length of the name, what: as disk.c writes them.
        while let Some((head, rest)) = bytes.split_at_checked(16) {
            let place = u64::from_ne_bytes(head[..8].try_into().expect("eight bytes"));
            let length = u32::from_ne_bytes(head[8..12].try_into().expect("four bytes"));
            let name_length = u16::from_ne_bytes(head[12..14].try_into().expect("two bytes"));
            let Some((name, rest)) = rest.split_at_checked(name_length.into()) else { break };
            let Some((data, rest)) = rest.split_at_checked(length as usize) else { break };
            bytes = rest;
            let place = usize::try_from(place).expect("the file is small");
            let operation = match head[14] {
                b'c' => Operation::Create,
                b'w' => Operation::Write { place, data: data.to_owned() },
                b't' => Operation::Truncate(place),
                b's' => Operation::Sync,
                b'r' => Operation::Rename(text(data)),
                b'u' => Operation::Unlink,
                other => panic!("what is {other}?"),
            };
            steps.push(Step { end: (whole - bytes.len()) as u64, name: text(name), operation });
        }
        Self(steps)
    }

    /// A moment between two operations.
    pub(crate) fn position(&self, dice: &mut Dice) -> u64 {
        self.0[dice.throw(self.0.len())].end
    }

    /// How often this file was synced after the record was so long.
    pub(crate) fn syncs(&self, name: &str, after: u64) -> usize {
        let later = self.0.iter().filter(|step| step.end > after);
        later.filter(|step| step.is_sync() && step.name == name).count()
    }

    /// The same with a WAL that is synced before it is copied into the database, and not for each
    /// commit.
    pub(crate) fn without_commit_syncs(mut self) -> Self {
        let followers: Vec<_> = self.0.iter().skip(1).map(|step| step.name.clone()).collect();
        let mut followers = followers.into_iter();
        self.0.retain(|step| {
            let is_copied = followers.next().is_some_and(|name| name == "relay.db");
            !step.is_sync() || step.name != "relay.db-wal" || is_copied
        });
        self
    }

    /// Makes the folder as it may be found after this cut.
    pub(crate) fn image(&self, cut: Cut, folder: &Path) {
        let mut disk = State::default();
        for step in self.0.iter().take_while(|step| step.end <= cut.at) {
            disk.apply(step);
        }
        if cut.names_last {
            disk.sync_names();
        }
        // Before the folder's own name is safe there may be nothing at all.
        if !disk.is_there && !cut.names_last {
            return;
        }
        fs::create_dir_all(folder).expect("a folder can be made");
        let mut dice = Dice::new(cut.seed, cut.at);
        for (name, node) in disk.found_names(cut, &mut dice) {
            let content = disk.nodes[node].found(cut.unsynced, &mut dice);
            fs::write(folder.join(name), content).expect("a file can be written");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_owned()).expect("names are text")
}

/// A file: what is safe of it, and what was done to it since.
#[derive(Default)]
struct Node {
    safe: Vec<u8>,
    unsynced: Vec<Operation>,
}

impl Node {
    fn sync(&mut self) {
        for operation in std::mem::take(&mut self.unsynced) {
            operation.change(&mut self.safe);
        }
    }

    fn found(&self, unsynced: Unsynced, dice: &mut Dice) -> Vec<u8> {
        let mut content = self.safe.clone();
        match unsynced {
            Unsynced::Lost => {}
            Unsynced::Scattered => {
                for operation in self.unsynced.iter().flat_map(Operation::sectors) {
                    if dice.throw(2) == 0 {
                        operation.change(&mut content);
                    }
                }
            }
            Unsynced::Torn => {
                let done = dice.throw(self.unsynced.len() + 1);
                for operation in &self.unsynced[..done] {
                    operation.change(&mut content);
                }
                if let Some(Operation::Write { place, data }) = self.unsynced.get(done) {
                    let whole = dice.throw(data.len() / SECTOR + 1) * SECTOR;
                    let torn = (whole + SECTOR / 2).min(data.len());
                    Operation::Write { place: *place, data: data[..torn].to_owned() }
                        .change(&mut content);
                }
            }
        }
        content
    }
}

impl Operation {
    fn change(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { place, data } => {
                let end = place + data.len();
                content.resize(content.len().max(end), 0);
                content[*place..end].copy_from_slice(data);
            }
            Self::Truncate(size) => content.resize(*size, 0),
            Self::Create | Self::Sync | Self::Rename(_) | Self::Unlink => {}
        }
    }

    /// The pieces that are written or not each by itself.
    fn sectors(&self) -> Vec<Self> {
        let Self::Write { place, data } = self else { return vec![self.clone()] };
        let (mut place, mut data) = (*place, data.as_slice());
        let mut pieces = Vec::new();
        while !data.is_empty() {
            let length = (SECTOR - place % SECTOR).min(data.len());
            let (piece, rest) = data.split_at(length);
            pieces.push(Self::Write { place, data: piece.to_owned() });
            (place, data) = (place + length, rest);
        }
        pieces
    }
}

type Names = BTreeMap<String, usize>;

/// A folder: its files, their names now, and their names as they are safe.
#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    names: Names,
    safe_names: Names,
    /// The names after each change since.
    unsynced_names: Vec<Names>,
    is_there: bool,
}

impl State {
    fn apply(&mut self, step: &Step) {
        let Step { name, operation, .. } = step;
        match operation {
            Operation::Sync if name.is_empty() => self.sync_names(),
            Operation::Sync if name == ".." => self.is_there = true,
            Operation::Sync => self.node(name).sync(),
            Operation::Write { .. } | Operation::Truncate(_) => {
                let operation = operation.clone();
                self.node(name).unsynced.push(operation);
            }
            Operation::Create => {
                self.nodes.push(Node::default());
                self.names.insert(name.clone(), self.nodes.len() - 1);
                self.unsynced_names.push(self.names.clone());
            }
            Operation::Rename(to) => {
                let node = self.names.remove(name).expect("it is there");
                self.names.insert(to.clone(), node);
                self.unsynced_names.push(self.names.clone());
            }
            Operation::Unlink => {
                self.names.remove(name);
                self.unsynced_names.push(self.names.clone());
            }
        }
    }

    fn node(&mut self, name: &str) -> &mut Node {
        let node = self.names.get(name).unwrap_or_else(|| panic!("{name} was never made"));
        &mut self.nodes[*node]
    }

    fn sync_names(&mut self) {
        self.unsynced_names.clear();
        self.safe_names.clone_from(&self.names);
    }

    /// Names change in their order, as far as the disk came.
    fn found_names(&self, cut: Cut, dice: &mut Dice) -> Names {
        let changes = match cut.unsynced {
            Unsynced::Lost => 0,
            Unsynced::Scattered | Unsynced::Torn => dice.throw(self.unsynced_names.len() + 1),
        };
        match changes.checked_sub(1) {
            None => self.safe_names.clone(),
            Some(last) => self.unsynced_names[last].clone(),
        }
    }
}
