//! What arrived at the other end: read from the targets themselves, never from the relay.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::folder::Folder;
use super::ldif::{self, Change, Record};
use super::receiver::{Receiver, Request, System};

/// A mail, as far as the account is concerned with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) to: String,
    /// The language it is written in.
    pub(super) language: String,
}

/// What came between two looks.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) requests: Vec<Request>,
    pub(super) mails: Vec<Mail>,
}

/// What has been looked at, and how much it was in all.
#[derive(Default)]
pub(super) struct Arrivals {
    /// Bytes of the directory's file.
    read: usize,
    requests: usize,
    mails: HashSet<PathBuf>,
    pub(super) total: Totals,
}

#[derive(Default)]
pub(super) struct Totals {
    pub(super) added: usize,
    pub(super) modified: usize,
    pub(super) renamed: usize,
    pub(super) deleted: usize,
    pub(super) calls: usize,
    pub(super) refused: usize,
    pub(super) events: usize,
    pub(super) verified: usize,
    pub(super) languages: BTreeMap<String, usize>,
}

impl Arrivals {
    /// Whatever is new since the last time.
    pub(super) fn collect(&mut self, folder: &Folder, receiver: &Receiver) -> Result<Batch> {
        let batch = Batch {
            records: self.records(folder)?,
            requests: receiver.since(self.requests),
            mails: self.new_mails(folder)?,
        };
        self.requests += batch.requests.len();
        self.total.add(&batch);
        Ok(batch)
    }

    fn records(&mut self, folder: &Folder) -> Result<Vec<Record>> {
        let path = folder.directory();
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (records, taken) = ldif::read(&text[self.read..]);
        self.read += taken;
        Ok(records)
    }

    fn new_mails(&mut self, folder: &Folder) -> Result<Vec<Mail>> {
        let path = folder.mails();
        let failed = || format!("cannot read the mails in {}", path.display());
        let mut mails = Vec::new();
        for entry in fs::read_dir(&path).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let file = entry.path();
            // A mail gets its name once it is whole.
            if file.extension().is_none_or(|kind| kind != "eml") || !self.mails.insert(file.clone())
            {
                continue;
            }
            let text = fs::read_to_string(file).with_context(failed)?;
            mails.push(mail(&text));
        }
        Ok(mails)
    }
}

/// The recipient's address from the header, the language from the HTML part.
fn mail(text: &str) -> Mail {
    let to = header(text, "To: ");
    let address = to.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    let address = address.map_or(to.as_str(), |(address, _)| address);
    // Quoted-printable writes the equals sign as =3D (RFC 2045 section 6.7).
    let language = ["lang=\"", "lang=3D\""]
        .into_iter()
        .find_map(|key| text.split_once(key)?.1.split_once('"'))
        .map_or("?", |(language, _)| language);
    Mail { to: address.to_owned(), language: language.to_owned() }
}

/// A header's value; lines that begin with a space go on with it (RFC 5322 section 2.2.3).
fn header(text: &str, name: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(name));
    let first = lines.next().and_then(|line| line.strip_prefix(name)).unwrap_or_default();
    let more = lines.take_while(|line| line.starts_with([' ', '\t']));
    more.fold(first.to_owned(), |value, line| value + line)
}

impl Totals {
    fn add(&mut self, batch: &Batch) {
        for record in &batch.records {
            *match record.change {
                Change::Add => &mut self.added,
                Change::Modify(_) => &mut self.modified,
                Change::Rename { .. } => &mut self.renamed,
                Change::Delete => &mut self.deleted,
            } += 1;
        }
        for request in &batch.requests {
            match request.to {
                System::Doors if request.refused => self.refused += 1,
                System::Doors => self.calls += 1,
                System::Events { verified } => {
                    self.events += 1;
                    self.verified += usize::from(verified);
                }
            }
        }
        for mail in &batch.mails {
            *self.languages.entry(mail.language.clone()).or_default() += 1;
        }
    }

    pub(super) fn records(&self) -> usize {
        self.added + self.modified + self.renamed + self.deleted
    }

    pub(super) fn mails(&self) -> usize {
        self.languages.values().sum()
    }
}

impl Batch {
    /// The directory's records, in words.
    pub(super) fn directory(&self) -> Vec<String> {
        self.records.iter().map(ToString::to_string).collect()
    }

    /// How many people and how many groups the directory got.
    pub(super) fn added(&self) -> (usize, usize) {
        let added = self.records.iter().filter(|record| record.change == Change::Add);
        let (people, groups): (Vec<_>, Vec<_>) =
            added.partition(|record| record.dn.contains(",ou=people,"));
        (people.len(), groups.len())
    }

    /// The calls that the doors' system took, in words.
    pub(super) fn doors(&self) -> Vec<String> {
        let taken = self.requests.iter().filter(|request| request.to == System::Doors);
        taken.filter(|request| !request.refused).map(|request| request.what.clone()).collect()
    }

    /// How many calls the doors' system turned away.
    pub(super) fn refused(&self) -> usize {
        self.requests.iter().filter(|request| request.refused).count()
    }

    /// The kinds of events and how many there were of each, in words.
    pub(super) fn events(&self) -> Option<String> {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        let mut wrong = 0;
        for request in &self.requests {
            if let System::Events { verified } = request.to {
                *kinds.entry(&request.what).or_default() += 1;
                wrong += usize::from(!verified);
            }
        }
        if kinds.is_empty() {
            return None;
        }
        let kinds = kinds.iter().map(|(kind, number)| match number {
            1 => (*kind).to_owned(),
            _ => format!("{number} {kind}"),
        });
        let signatures = match wrong {
            0 => "signed, and verified".to_owned(),
            wrong => format!("{wrong} with a WRONG SIGNATURE"),
        };
        Some(format!("{} ({signatures})", kinds.collect::<Vec<_>>().join(", ")))
    }
}

/// `30 nb, 12 de`, the most first.
pub(super) fn by_language<'a>(counts: impl Iterator<Item = (&'a str, usize)>) -> String {
    let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
    for (language, number) in counts {
        *sums.entry(language).or_default() += number;
    }
    let mut counts: Vec<_> = sums.into_iter().collect();
    counts.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
    counts
        .iter()
        .map(|(language, number)| format!("{number} {language}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_known_by_its_recipient_and_its_language() {
        let text = "From: IT <it@x>\nTo: =?utf-8?b?w4U=?=\n <ase@x>\nSubject: Hei\n\n<html lang=3D\"nb\">\n";
        assert_eq!(mail(text), Mail { to: "ase@x".to_owned(), language: "nb".to_owned() });
        assert_eq!(mail("To: ase@x\n\n<html lang=\"de\">").to, "ase@x");
    }

    #[test]
    fn languages_are_counted_most_first() {
        let counted = by_language([("de", 1), ("nb", 2), ("de", 0), ("nb", 1)].into_iter());
        assert_eq!(counted, "3 nb, 1 de");
    }
}
