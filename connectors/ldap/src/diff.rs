//! From what an entry holds and what it should hold to the smallest modify between them. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::dn;
use crate::project::Goal;
use crate::transport::{Attributes, Entry, Modification, Values};

/// Attributes whose values are names of entries (RFC 4519, RFC 4524, RFC 2798).
const NAMES: &[&str] =
    &["manager", "member", "owner", "roleOccupant", "secretary", "seeAlso", "uniqueMember"];

/// Attributes without an equality rule, of which no single value can be taken away (RFC 4519,
/// RFC 4524, RFC 2798).
const WITHOUT_EQUALITY: &[&str] = &[
    "audio",
    "facsimileTelephoneNumber",
    "jpegPhoto",
    "photo",
    "preferredDeliveryMethod",
    "teletexTerminalIdentifier",
    "telexNumber",
    "userPKCS12",
    "userSMIMECertificate",
];

/// A value in the spelling that equal ones share: names and object classes as the server sees
/// them, everything else octet by octet, so that a corrected capital letter arrives.
pub(crate) fn comparable<'a>(attribute: &str, value: &'a [u8]) -> Cow<'a, [u8]> {
    if is_one_of(NAMES, attribute) {
        dn::name_key(value).into()
    } else if is_one_of(&["nsAccountLock", "objectClass"], attribute) {
        value.to_ascii_lowercase().into()
    } else {
        value.into()
    }
}

fn is_one_of(list: &[&str], attribute: &str) -> bool {
    list.iter().any(|name| name.eq_ignore_ascii_case(attribute))
}

/// What to write so that `entry` is as `goal` says; nothing if it is already.
pub(crate) fn difference(entry: &Entry, goal: &Goal) -> Vec<Modification> {
    let classes: Values = goal.classes.iter().map(|class| class.clone().into_bytes()).collect();
    let mut changes = Vec::new();
    let missing = without("objectClass", &classes, entry.values("objectClass"));
    if !missing.is_empty() {
        changes.push(Modification::Add("objectClass".to_owned(), missing));
    }
    changes.extend(exact(entry, &goal.attributes));
    for (name, unwanted) in &goal.unwanted {
        let kept = without(name, entry.values(name), unwanted);
        let held = without(name, entry.values(name), &kept);
        if !held.is_empty() {
            changes.push(Modification::Delete(name.clone(), held));
        }
    }
    changes
}

/// What to write so that each of these attributes holds these values and no others.
pub(crate) fn exact(entry: &Entry, attributes: &Attributes) -> Vec<Modification> {
    attributes
        .iter()
        .flat_map(|(name, wanted)| attribute(name, entry.values(name), wanted))
        .collect()
}

fn attribute(name: &str, current: &[Vec<u8>], wanted: &[Vec<u8>]) -> Vec<Modification> {
    let mut removed = without(name, current, wanted);
    let mut added = without(name, wanted, current);
    if (!removed.is_empty() || !added.is_empty()) && is_one_of(WITHOUT_EQUALITY, name) {
        removed.clear();
        added = wanted.to_vec();
        let mut changes = Vec::new();
        if !current.is_empty() {
            changes.push(Modification::Delete(name.to_owned(), removed));
        }
        if !added.is_empty() {
            changes.push(Modification::Add(name.to_owned(), added));
        }
        return changes;
    }
    // Taken away first: where only one value may be, there is room for the new one then.
    let mut changes = Vec::new();
    if !removed.is_empty() {
        changes.push(Modification::Delete(name.to_owned(), removed));
    }
    if !added.is_empty() {
        changes.push(Modification::Add(name.to_owned(), added));
    }
    changes
}

/// The values of `from` that are not in `other`.
fn without(attribute: &str, from: &[Vec<u8>], other: &[Vec<u8>]) -> Values {
    let held: BTreeSet<_> = other.iter().map(|value| comparable(attribute, value)).collect();
    from.iter().filter(|value| !held.contains(&comparable(attribute, value))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &[&str]) -> Values {
        list.iter().map(|value| value.as_bytes().to_vec()).collect()
    }

    fn attributes(pairs: &[(&str, &[&str])]) -> Attributes {
        pairs.iter().map(|(name, list)| ((*name).to_owned(), values(list))).collect()
    }

    #[track_caller]
    fn check(current: &[(&str, &[&str])], wanted: &[(&str, &[&str])], expected: &[Modification]) {
        let entry = Entry::new("uid=ada,dc=x", attributes(current));
        assert_eq!(exact(&entry, &attributes(wanted)), expected);
    }

    fn add(name: &str, list: &[&str]) -> Modification {
        Modification::Add(name.to_owned(), values(list))
    }

    fn delete(name: &str, list: &[&str]) -> Modification {
        Modification::Delete(name.to_owned(), values(list))
    }

    #[test]
    fn what_is_equal_is_not_written() {
        check(&[("mail", &["a", "b"])], &[("mail", &["b", "a"])], &[]);
        check(&[], &[("title", &[])], &[]);
        check(&[("MANAGER", &["UID=bo, DC=x"])], &[("manager", &["uid=bo,dc=x"])], &[]);
        check(&[("commonName", &["Ada"])], &[("cn", &["Ada"])], &[]);
    }

    #[test]
    fn only_the_values_that_differ_are_written() {
        check(
            &[("mail", &["a", "b"])],
            &[("mail", &["b", "c"])],
            &[delete("mail", &["a"]), add("mail", &["c"])],
        );
        check(&[("title", &["x"])], &[("title", &[])], &[delete("title", &["x"])]);
        check(&[], &[("title", &["x"])], &[add("title", &["x"])]);
    }

    #[test]
    fn a_corrected_capital_letter_is_a_difference() {
        check(
            &[("displayName", &["ada"])],
            &[("displayName", &["Ada"])],
            &[delete("displayName", &["ada"]), add("displayName", &["Ada"])],
        );
    }

    #[test]
    fn a_value_that_cannot_be_named_goes_with_its_attribute() {
        check(
            &[("facsimileTelephoneNumber", &["1", "2"])],
            &[("facsimileTelephoneNumber", &["2", "3"])],
            &[
                delete("facsimileTelephoneNumber", &[]),
                add("facsimileTelephoneNumber", &["2", "3"]),
            ],
        );
    }

    #[test]
    fn object_classes_are_added_and_never_taken_away() {
        let entry = Entry::new(
            "uid=ada,dc=x",
            attributes(&[("objectClass", &["TOP", "inetorgperson", "mailUser"])]),
        );
        let goal = Goal {
            dn: dn::Dn::parse("uid=ada,dc=x").expect("a name"),
            classes: vec!["inetOrgPerson".to_owned(), "posixAccount".to_owned()],
            attributes: Attributes::new(),
            unwanted: attributes(&[("pwdAccountLockedTime", &["000001010000Z"])]),
            creation: Attributes::new(),
        };
        assert_eq!(difference(&entry, &goal), [add("objectClass", &["posixAccount"])]);
    }

    #[test]
    fn of_an_unwanted_value_only_that_value_goes() {
        let goal = Goal {
            dn: dn::Dn::parse("uid=ada,dc=x").expect("a name"),
            classes: Vec::new(),
            attributes: Attributes::new(),
            unwanted: attributes(&[("loginShell", &["/sbin/nologin"])]),
            creation: Attributes::new(),
        };
        let with = |shell| Entry::new("uid=ada,dc=x", attributes(&[("loginShell", &[shell])]));
        assert_eq!(difference(&with("/bin/bash"), &goal), []);
        assert_eq!(
            difference(&with("/sbin/nologin"), &goal),
            [delete("loginShell", &["/sbin/nologin"])]
        );
    }
}
