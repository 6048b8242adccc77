//! LDIF change records (RFC 2849): written for previews and for the file transport, and read back
//! by the latter.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::transport::{Attributes, Modification, NewName, Values};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Add { dn: String, attributes: Attributes },
    Modify { dn: String, changes: Vec<Modification> },
    Rename { dn: String, to: NewName },
    Delete { dn: String },
}

impl Record {
    /// The record with the empty line that ends it.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Add { dn, attributes } => {
                line(&mut out, "dn", dn.as_bytes());
                line(&mut out, "changetype", b"add");
                for (name, values) in attributes {
                    for value in values {
                        line(&mut out, name, value);
                    }
                }
            }
            Self::Modify { dn, changes } => {
                line(&mut out, "dn", dn.as_bytes());
                line(&mut out, "changetype", b"modify");
                for change in changes {
                    let (verb, name, values) = match change {
                        Modification::Add(name, values) => ("add", name, values),
                        Modification::Delete(name, values) => ("delete", name, values),
                    };
                    line(&mut out, verb, name.as_bytes());
                    for value in values {
                        line(&mut out, name, value);
                    }
                    out.push_str("-\n");
                }
            }
            Self::Rename { dn, to } => {
                line(&mut out, "dn", dn.as_bytes());
                line(&mut out, "changetype", b"modrdn");
                line(&mut out, "newrdn", to.rdn.as_bytes());
                line(&mut out, "deleteoldrdn", if to.delete_old { b"1" } else { b"0" });
                if let Some(parent) = &to.parent {
                    line(&mut out, "newsuperior", parent.as_bytes());
                }
            }
            Self::Delete { dn } => {
                line(&mut out, "dn", dn.as_bytes());
                line(&mut out, "changetype", b"delete");
            }
        }
        out.push('\n');
        out
    }
}

/// One `name: value`, in base64 where the value would not survive as it is. A person reads what
/// the base64 hides in a comment above it.
fn line(out: &mut String, name: &str, value: &[u8]) {
    if is_safe(value) {
        let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value));
        return;
    }
    if let Ok(text) = std::str::from_utf8(value)
        && !text.chars().any(char::is_control)
    {
        let _ = writeln!(out, "# {name}: {text}");
    }
    let _ = writeln!(out, "{name}:: {}", STANDARD.encode(value));
}

/// RFC 2849's SAFE-STRING, and no space at the end, which editors take away.
fn is_safe(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii() && !matches!(byte, 0 | b'\n' | b'\r'))
        && !matches!(value.first(), Some(b' ' | b':' | b'<'))
        && value.last() != Some(&b' ')
}

/// A record with the comments that stand above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Annotated {
    pub(crate) comments: Vec<String>,
    pub(crate) record: Record,
}

/// The records of a file, and how many of its bytes they take: what a crash left unfinished at
/// the end is no record.
pub(crate) fn read(text: &str) -> Result<(Vec<Annotated>, usize), String> {
    let mut records = Vec::new();
    let mut complete = 0;
    let mut rest = text;
    while let Some(end) = rest.find("\n\n") {
        let block = &rest[..end];
        let number = 1 + text[..complete].matches('\n').count();
        if let Some(record) =
            block_record(block).map_err(|why| format!("the record in line {number}: {why}"))?
        {
            records.push(record);
        }
        complete += end + 2;
        rest = &rest[end + 2..];
    }
    Ok((records, complete))
}

fn block_record(block: &str) -> Result<Option<Annotated>, String> {
    let mut comments = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix(' '), line.strip_prefix('#')) {
            (Some(folded), _) => {
                lines.last_mut().ok_or("it begins with a folded line")?.push_str(folded);
            }
            (_, Some(comment)) => comments.push(comment.trim().to_owned()),
            _ if line.is_empty() => {}
            _ => lines.push(line.to_owned()),
        }
    }
    let mut lines =
        lines.iter().map(|line| pair(line)).collect::<Result<Vec<_>, _>>()?.into_iter().peekable();
    lines.next_if(|(name, _)| name == "version");
    let Some((name, dn)) = lines.next() else {
        return Ok(None);
    };
    if name != "dn" {
        return Err(format!("it begins with `{name}` instead of `dn`"));
    }
    let dn = text(dn)?;
    let kind = match lines.next_if(|(name, _)| name == "changetype") {
        Some((_, kind)) => text(kind)?,
        None => "add".to_owned(),
    };
    let record = match kind.as_str() {
        "add" => {
            let mut attributes: Attributes = Vec::new();
            for (name, value) in lines {
                match attributes.iter_mut().find(|(held, _)| *held == name) {
                    Some((_, values)) => values.push(value),
                    None => attributes.push((name, vec![value])),
                }
            }
            Record::Add { dn, attributes }
        }
        "modify" => Record::Modify { dn, changes: modifications(lines)? },
        "modrdn" | "moddn" => {
            let (mut rdn, mut parent, mut delete_old) = (None, None, true);
            for (name, value) in lines {
                match name.as_str() {
                    "newrdn" => rdn = Some(text(value)?),
                    "newsuperior" => parent = Some(text(value)?),
                    "deleteoldrdn" => delete_old = value != b"0",
                    _ => {}
                }
            }
            Record::Rename {
                dn,
                to: NewName { rdn: rdn.ok_or("it has no newrdn")?, parent, delete_old },
            }
        }
        "delete" => Record::Delete { dn },
        other => return Err(format!("it has the unknown changetype `{other}`")),
    };
    Ok(Some(Annotated { comments, record }))
}

fn modifications(
    lines: impl Iterator<Item = (String, Vec<u8>)>,
) -> Result<Vec<Modification>, String> {
    let mut changes = Vec::new();
    let mut current: Option<(String, String, Values)> = None;
    for (name, value) in lines {
        current = match (name.as_str(), current.take()) {
            ("-", Some((verb, attribute, values))) => {
                changes.push(match verb.as_str() {
                    "add" => Modification::Add(attribute, values),
                    "delete" => Modification::Delete(attribute, values),
                    other => return Err(format!("`{other}` is not written here")),
                });
                None
            }
            (_, Some((verb, attribute, mut values))) => {
                values.push(value);
                Some((verb, attribute, values))
            }
            (verb, None) => Some((verb.to_owned(), text(value)?, Vec::new())),
        };
    }
    if current.is_some() {
        return Err("a modification does not end in `-`".to_owned());
    }
    Ok(changes)
}

fn pair(line: &str) -> Result<(String, Vec<u8>), String> {
    if line == "-" {
        return Ok(("-".to_owned(), Vec::new()));
    }
    let (name, value) = line.split_once(':').ok_or_else(|| format!("`{line}` has no colon"))?;
    let value = match value.strip_prefix(':') {
        Some(encoded) => STANDARD
            .decode(encoded.trim())
            .map_err(|error| format!("`{name}` is no base64: {error}"))?,
        None => value.trim_start_matches(' ').as_bytes().to_vec(),
    };
    Ok((name.to_owned(), value))
}

fn text(value: Vec<u8>) -> Result<String, String> {
    String::from_utf8(value).map_err(|_| "a name is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn attribute(name: &str, values: &[&str]) -> (String, Values) {
        (name.to_owned(), values.iter().map(|value| value.as_bytes().to_vec()).collect())
    }

    #[test]
    fn a_record_is_what_ldapmodify_takes() {
        let add = Record::Add {
            dn: "uid=ada,dc=x".to_owned(),
            attributes: vec![attribute("cn", &["Ada", "Åse"]), attribute("description", &[" <x"])],
        };
        assert_eq!(
            add.to_text(),
            "dn: uid=ada,dc=x\nchangetype: add\ncn: Ada\n# cn: Åse\ncn:: w4VzZQ==\n# description:  <x\n\
             description:: IDx4\n\n"
        );
        let modify = Record::Modify {
            dn: "uid=ada,dc=x".to_owned(),
            changes: vec![
                Modification::Delete("mail".to_owned(), vec![b"a@x".to_vec()]),
                Modification::Add("mail".to_owned(), vec![b"b@x".to_vec()]),
            ],
        };
        assert_eq!(
            modify.to_text(),
            "dn: uid=ada,dc=x\nchangetype: modify\ndelete: mail\nmail: a@x\n-\nadd: mail\nmail: b@x\n-\n\n"
        );
        let rename = Record::Rename {
            dn: "uid=ada,dc=x".to_owned(),
            to: NewName {
                rdn: "uid=bo".to_owned(),
                parent: Some("ou=y,dc=x".to_owned()),
                delete_old: true,
            },
        };
        assert_eq!(
            rename.to_text(),
            "dn: uid=ada,dc=x\nchangetype: modrdn\nnewrdn: uid=bo\ndeleteoldrdn: 1\n\
             newsuperior: ou=y,dc=x\n\n"
        );
    }

    #[test]
    fn a_value_cannot_begin_a_record_of_its_own() {
        let add = Record::Add {
            dn: "uid=a,dc=x".to_owned(),
            attributes: vec![attribute("cn", &["x\n\ndn: uid=root,dc=x\nchangetype: delete\n"])],
        };
        assert_eq!(read(&add.to_text()).map(|(records, _)| records.len()), Ok(1));
    }

    #[test]
    fn folded_lines_comments_and_plain_content_are_read() {
        let text = "version: 1\n\n# entryUUID: 1\ndn: uid=a\n da,dc=x\ncn: Ada\n\nunfinished";
        let (records, complete) = read(text).expect("readable");
        assert_eq!(complete, text.len() - "unfinished".len());
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].comments, ["entryUUID: 1"]);
        let expected = Record::Add {
            dn: "uid=ada,dc=x".to_owned(),
            attributes: vec![attribute("cn", &["Ada"])],
        };
        assert_eq!(records[0].record, expected);
    }

    #[test]
    fn a_record_that_is_none_is_told_with_its_line() {
        let why = |text: &str| read(text).expect_err("not readable");
        assert_eq!(
            why("dn: uid=a\n\nuid: b\n\n"),
            "the record in line 3: it begins with `uid` instead of `dn`"
        );
        assert!(why("dn: a\nchangetype: explode\n\n").contains("unknown changetype `explode`"));
        assert!(
            why("dn: a\nchangetype: modify\nadd: mail\nmail: x\n\n")
                .contains("does not end in `-`")
        );
    }

    proptest! {
           #[test]
           fn what_is_written_reads_back(
               values in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..12), 1..4),
               name in "\\PC{1,12}",
           ) {
               let dn = format!("uid={},dc=x", crate::dn::escape(&name));
               let records = [
                   Record::Add { dn: dn.clone(), attributes: vec![("cn".to_owned(), values.clone())] },
                   Record::Modify {
                       dn: dn.clone(),
                       changes: vec![
                           Modification::Delete("cn".to_owned(), Vec::new()),
                           Modification::Add("cn".to_owned(), values),
                       ],
                   },
                   Record::Rename {
    dn: dn.clone(), to: NewName { rdn: "uid=b".to_owned(), parent: None, delete_old: false } },
                   Record::Delete { dn },
               ];
               let text: String = records.iter().map(Record::to_text).collect();
               let (read, complete) = read(&text).expect("what we wrote is readable");
               prop_assert_eq!(complete, text.len());
               let read: Vec<Record> = read.into_iter().map(|annotated| annotated.record).collect();
               prop_assert_eq!(read.as_slice(), records.as_slice());
           }
       }
}
