//! From TOML to a type, with every mistake instead of the first.
//!
//! Serde stops at the first mistake. So the entry at fault is noted, taken out of the tree, and
//! the tree read again, until it is clean: a file is at most some hundred entries.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use toml::Spanned;
use toml::de::{DeArray, DeValue, ValueDeserializer};

use super::mask::sounds_secret;
use super::source::Finding;
use super::words::{self, Said, understand};

/// Serde's complaint, and the path it is about.
#[derive(Debug)]
pub(super) struct Misread {
    path: Vec<Step>,
    span: Option<Range<usize>>,
    message: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Deserializes one type from one value.
pub(super) fn decode<T: DeserializeOwned>(value: ValueDeserializer<'_>) -> Result<T, Misread> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error
            .path()
            .iter()
            .map_while(|segment| match segment {
                Segment::Map { key } => Some(Step::Key(key.clone())),
                Segment::Enum { variant } => Some(Step::Key(variant.clone())),
                Segment::Seq { index } => Some(Step::Index(*index)),
                Segment::Unknown => None,
            })
            .collect();
        let inner = error.into_inner();
        Misread { path, span: inner.span(), message: inner.message().to_owned() }
    })
}

/// What reading a file or a section came to.
pub(super) struct Reading<T> {
    /// What could be read, the entries at fault being left out.
    pub(super) value: Option<T>,
    pub(super) mistakes: Vec<Finding>,
    /// The dotted paths of the entries at fault.
    pub(super) broken: Vec<String>,
    /// Those among them that were meant to hold a secret.
    pub(super) secret: Vec<String>,
}

impl<T> Reading<T> {
    /// Whether nothing was wrong at `path`, below it, or around it.
    pub(super) fn is_sound(&self, path: &str) -> bool {
        let holds = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        !self.broken.iter().any(|broken| holds(broken, path) || holds(path, broken))
    }
}

/// What is known about the place that is read.
pub(super) struct Around<'a> {
    /// The dotted path of the value itself; empty for a file.
    pub(super) prefix: &'a str,
    /// Keys that are right at the top of the value although its type does not have them.
    pub(super) also: &'a [&'a str],
    /// Keys that stand above the file's first table.
    pub(super) top: &'a [&'a str],
}

/// Reads `tree` by `decode` as often as it takes.
pub(super) fn read<T>(
    mut tree: Spanned<DeValue<'_>>,
    around: &Around<'_>,
    decode: impl Fn(ValueDeserializer<'_>) -> Result<T, Misread>,
) -> Reading<T> {
    let mut reading =
        Reading { value: None, mistakes: Vec::new(), broken: Vec::new(), secret: Vec::new() };
    // Keys whose absence was caused by an earlier mistake, and is none of its own.
    let mut excused: BTreeSet<String> = BTreeSet::new();
    loop {
        let misread = match decode(ValueDeserializer::from(tree.clone())) {
            Ok(value) => {
                reading.value = Some(value);
                return reading;
            }
            Err(misread) => misread,
        };
        let (mut path, key_span, value_span) = locate(&tree, &misread.path);
        let span = misread.span.clone().or(Some(value_span));
        let key = path.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        });
        match understand(&misread.message, key) {
            Said::Missing(field) => {
                let whole = dotted(around.prefix, &path);
                if !excused.contains(&join(&whole, &field)) {
                    let place = if path.iter().any(|step| matches!(step, Step::Index(_))) {
                        "here".to_owned()
                    } else {
                        format!("in [{whole}]")
                    };
                    let message = format!("`{field}` is missing {place}");
                    reading.mistakes.push(Finding::error(span, message));
                }
            }
            Said::Unknown { key, mut known } => {
                let mut key_span = key_span;
                if path.last() == Some(&Step::Key(key.clone())) {
                    path.pop();
                    known.extend(top_level(&path, around.also));
                    note_unknown(&mut reading, &mut excused, around, &path, &key, &known, key_span);
                    path.push(Step::Key(key));
                } else {
                    // A type that reads its own keys: the value around the key is at fault too.
                    let mut inner = path.clone();
                    inner.push(Step::Key(key.clone()));
                    let (found, inner_span, _) = locate(&tree, &inner);
                    key_span = if found == inner { inner_span } else { misread.span };
                    note_unknown(&mut reading, &mut excused, around, &path, &key, &known, key_span);
                }
            }
            Said::Wrong { message, help } => {
                let mut span = span;
                // A type that reads its own keys names the one at fault.
                if let Some(name) = message.split('`').nth(1) {
                    path.push(Step::Key(name.to_owned()));
                    match locate(&tree, &path) {
                        (found, Some(key_span), _) if found == path => span = Some(key_span),
                        _ => drop(path.pop()),
                    }
                }
                let mut finding = Finding::error(span, message);
                finding.help = help;
                reading.mistakes.push(finding);
            }
        }
        let whole = dotted(around.prefix, &path);
        if matches!(path.last(), Some(Step::Index(_))) {
            // The next element takes the number over, and none of the excuses.
            let below = format!("{whole}.");
            excused.retain(|excuse| !excuse.starts_with(&below));
        }
        excused.insert(whole.clone());
        reading.broken.push(whole);
        if !remove(&mut tree, &path) {
            return reading;
        }
    }
}

fn top_level<'a>(path: &[Step], also: &'a [&'a str]) -> impl Iterator<Item = String> + use<'a> {
    let also = if path.is_empty() { also } else { &[] };
    also.iter().map(|key| (*key).to_owned())
}

fn note_unknown<T>(
    reading: &mut Reading<T>,
    excused: &mut BTreeSet<String>,
    around: &Around<'_>,
    path: &[Step],
    key: &str,
    known: &[String],
    span: Option<Range<usize>>,
) {
    let whole = dotted(around.prefix, path);
    let mut finding = Finding::error(span, format!("unknown key `{key}`"));
    if let Some(meant) = words::near(key, known.iter().map(String::as_str)) {
        finding.message = format!("unknown key `{key}`; did you mean `{meant}`?");
        excused.insert(join(&whole, meant));
        if sounds_secret(meant) {
            reading.secret.push(join(&whole, key));
        }
    } else if !whole.is_empty() && around.top.contains(&key) {
        finding.help(format!(
            "`{key}` is a key of the file as a whole: move it to the top, above the first [table]"
        ));
    } else if known.is_empty() {
        finding.help("no keys are known here");
    } else {
        finding.help(format!("the keys here are {}", words::listed(known, '`', "and")));
    }
    reading.mistakes.push(finding);
}

/// The entry that a path leads to, as far as it leads, with the spans of its key and its value.
fn locate(
    tree: &Spanned<DeValue<'_>>,
    path: &[Step],
) -> (Vec<Step>, Option<Range<usize>>, Range<usize>) {
    let mut found = Vec::new();
    let mut key_span = None;
    let mut value = tree;
    for step in path {
        let inner = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => {
                table.get_key_value(key.as_str()).map(|(key, value)| (Some(key.span()), value))
            }
            (Step::Index(index), DeValue::Array(array)) => {
                array.get(*index).map(|value| (None, value))
            }
            _ => None,
        };
        let Some((key, inner)) = inner else { break };
        found.push(step.clone());
        key_span = key;
        value = inner;
    }
    (found, key_span, value.span())
}

/// Takes an entry out; false if that is the whole tree.
fn remove(tree: &mut Spanned<DeValue<'_>>, path: &[Step]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut value = tree;
    for step in parents {
        let inner = match (step, value.get_mut()) {
            (Step::Key(key), DeValue::Table(table)) => table.get_mut(key.as_str()),
            (Step::Index(index), DeValue::Array(array)) => array.get_mut(*index),
            _ => None,
        };
        let Some(inner) = inner else { return false };
        value = inner;
    }
    match (last, value.get_mut()) {
        (Step::Key(key), DeValue::Table(table)) => table.remove(key.as_str()).is_some(),
        (Step::Index(index), DeValue::Array(array)) if *index < array.len() => {
            let mut kept = DeArray::new();
            for (number, value) in std::mem::replace(array, DeArray::new()).into_iter().enumerate()
            {
                if number != *index {
                    kept.push(value);
                }
            }
            *array = kept;
            true
        }
        _ => false,
    }
}

fn dotted(prefix: &str, path: &[Step]) -> String {
    path.iter().fold(prefix.to_owned(), |whole, step| match step {
        Step::Key(key) => join(&whole, key),
        Step::Index(index) => join(&whole, &index.to_string()),
    })
}

pub(super) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}
