//! The directory's file, read back: change records (RFC 2849) in the few words that an account
//! has room for.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) dn: String,
    pub(super) change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Modify(Vec<Touched>),
    /// The new name, and where the entry went if it moved.
    Rename {
        rdn: String,
        parent: Option<String>,
    },
    Delete,
}

/// What a modification did to one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Touched {
    attribute: String,
    added: bool,
    removed: bool,
}

/// The whole records of a text, and how many of its bytes they take: the last one may be on its
/// way to the disk still.
pub(super) fn read(text: &str) -> (Vec<Record>, usize) {
    let Some(end) = text.rfind("\n\n").map(|end| end + 2) else { return (Vec::new(), 0) };
    (text[..end].split("\n\n").filter_map(record).collect(), end)
}

fn record(block: &str) -> Option<Record> {
    let mut lines = block.lines().filter(|line| !line.starts_with('#')).filter_map(pair);
    let dn = lines.find(|(name, _)| *name == "dn")?.1;
    let (_, kind) = lines.find(|(name, _)| *name == "changetype")?;
    let change = match kind.as_str() {
        "add" => Change::Add,
        "delete" => Change::Delete,
        "modrdn" => {
            let mut rename = (None, None);
            for (name, value) in lines {
                match name {
                    "newrdn" => rename.0 = Some(value),
                    "newsuperior" => rename.1 = Some(value),
                    _ => {}
                }
            }
            Change::Rename { rdn: rename.0?, parent: rename.1 }
        }
        _ => {
            let mut touched: Vec<Touched> = Vec::new();
            for (name, attribute) in lines {
                let (added, removed) = match name {
                    "add" => (true, false),
                    "delete" => (false, true),
                    "replace" => (true, true),
                    _ => continue,
                };
                match touched.iter_mut().find(|one| one.attribute == attribute) {
                    Some(one) => {
                        one.added |= added;
                        one.removed |= removed;
                    }
                    None => touched.push(Touched { attribute, added, removed }),
                }
            }
            Change::Modify(touched)
        }
    };
    Some(Record { dn, change })
}

/// `name: text` or `name:: base64`.
fn pair(line: &str) -> Option<(&str, String)> {
    let (name, value) = line.split_once(':')?;
    let value = match value.strip_prefix(':') {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?,
        None => value.trim().to_owned(),
    };
    Some((name, value))
}

/// The first step of a name: what tells one entry from its neighbours.
fn first(dn: &str) -> &str {
    dn.split_once(',').map_or(dn, |(first, _)| first)
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = first(&self.dn);
        match &self.change {
            Change::Add => write!(f, "add     {entry}"),
            Change::Modify(touched) => {
                let touched: Vec<String> = touched.iter().map(ToString::to_string).collect();
                write!(f, "modify  {entry}: {}", touched.join(", "))
            }
            Change::Rename { rdn, parent: None } => write!(f, "modrdn  {entry} → {rdn}"),
            Change::Rename { parent: Some(parent), .. } => {
                write!(f, "moddn   {entry} → {}", first(parent))
            }
            Change::Delete => write!(f, "delete  {entry}"),
        }
    }
}

/// `+member` came, `-member` went, `sn` is another one now.
impl fmt::Display for Touched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (self.added, self.removed) {
            (true, false) => "+",
            (false, true) => "-",
            _ => "",
        };
        write!(f, "{sign}{}", self.attribute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let told: Vec<_> = read(text).0.iter().map(ToString::to_string).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn each_kind_of_record_is_told_in_a_line() {
        check(
            "version: 1\n\n\
             # entryUUID: 7\ndn: uid=ada,ou=people,dc=x\nchangetype: add\nuid: ada\n\n\
             dn: uid=ada,ou=people,dc=x\nchangetype: modrdn\nnewrdn: uid=eve\ndeleteoldrdn: 1\n\n\
             dn: uid=eve,ou=people,dc=x\nchangetype: modify\ndelete: sn\nsn: A\n-\nadd: sn\nsn: E\n-\nadd: mail\nmail: e\n-\n\n\
             dn: uid=eve,ou=people,dc=x\nchangetype: modrdn\nnewrdn: uid=eve\ndeleteoldrdn: 1\n\
             newsuperior: ou=leavers,dc=x\n\n\
             dn: uid=eve,ou=leavers,dc=x\nchangetype: delete\n\n",
            &[
                "add     uid=ada",
                "modrdn  uid=ada → uid=eve",
                "modify  uid=eve: sn, +mail",
                "moddn   uid=eve → ou=leavers",
                "delete  uid=eve",
            ],
        );
    }

    #[test]
    fn a_name_in_base64_is_shown_as_text() {
        check("dn:: Y249w4VzZQ==\nchangetype: delete\n\n", &["delete  cn=Åse"]);
    }

    #[test]
    fn a_record_that_is_not_whole_is_left_for_the_next_time() {
        let whole = "dn: cn=a\nchangetype: delete\n\n";
        let (records, taken) = read(&format!("{whole}dn: cn=b\nchange"));
        assert_eq!((records.len(), taken), (1, whole.len()));
    }
}
