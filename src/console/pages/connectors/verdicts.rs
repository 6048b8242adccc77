//! What an approval would do, and whether it can be undone, in words. Pure.

use scim_relay_sdk::connector::{Fate, HoldKind, Leavers, Period};
use scim_relay_sdk::scim::ResourceKind;
use serde::Serialize;

use super::words::fate;
use crate::operator::words::counted;
use crate::store::Held;

/// A line of what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Consequence {
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) text: String,
}

/// What is done about one that is held. In the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Erased,
    Left,
    Inactive,
    Renamed,
    GroupGone,
    Members,
    TakenOver,
    Made,
}

impl Deed {
    const ALL: [Self; 8] = [
        Self::Erased,
        Self::Left,
        Self::Inactive,
        Self::Renamed,
        Self::GroupGone,
        Self::Members,
        Self::TakenOver,
        Self::Made,
    ];

    /// Where several are told apart.
    fn label(self) -> &'static str {
        match self {
            Self::Erased => "Who left before",
            Self::Left => "Who was deleted",
            Self::Inactive => "Who is inactive",
            Self::Renamed => "What is renamed",
            Self::GroupGone => "Groups",
            Self::Members => "Memberships",
            Self::TakenOver => "What was there before",
            Self::Made => "What is delivered",
        }
    }

    fn of(held: &Held) -> Self {
        match (HoldKind::parse(&held.hold_kind), held.kind) {
            (Some(HoldKind::MemberRemoval), _) => Self::Members,
            (Some(HoldKind::TakeOver), _) => Self::TakenOver,
            (Some(HoldKind::FirstRun), _) => Self::Made,
            (_, ResourceKind::Group) if held.deleted => Self::GroupGone,
            (_, ResourceKind::User) if held.closed => Self::Erased,
            (_, ResourceKind::User) if held.deleted => Self::Left,
            (_, ResourceKind::User) if !held.summary.contains("rename") => Self::Inactive,
            _ => Self::Renamed,
        }
    }
}

/// What happens to these, and then whether it can be undone.
pub(super) fn consequences(held: &[Held], leavers: &Leavers, connector: &str) -> Vec<Consequence> {
    let count = |deed: Deed| held.iter().filter(|one| Deed::of(one) == deed).count() as u64;
    let deeds: Vec<_> = Deed::ALL.into_iter().filter(|deed| count(*deed) > 0).collect();
    let happens = deeds.iter().map(|deed| happens(*deed, count(*deed), leavers, connector));
    let undone = deeds.iter().map(|deed| {
        let (tone, answer) = undo(*deed, leavers);
        let question = match deeds.len() {
            1 => "Can it be undone?".to_owned(),
            _ => format!("{}: can it be undone?", deed.label()),
        };
        Consequence { tone, icon: "undo", text: format!("{question} {answer}") }
    });
    happens.chain(undone).collect()
}

fn happens(deed: Deed, count: u64, leavers: &Leavers, connector: &str) -> Consequence {
    let people = counted(count, "person", "people");
    let entries = counted(count, "entry", "entries");
    let groups = counted(count, "group", "groups");
    let each = if count == 1 { "It" } else { "Each" };
    let (tone, icon, text) = match deed {
        Deed::Erased => ("stop", "cross", format!("{entries}, disabled before, deleted for good.")),
        Deed::Left | Deed::Inactive => {
            let who = if deed == Deed::Left {
                format!("{people} deleted at the provider")
            } else {
                format!("{people} inactive, or not meant for {connector} any more")
            };
            ("stop", "leaver", format!("{who}: {}", leaves(deed, leavers)))
        }
        Deed::Renamed => {
            ("stop", "info", format!("{entries} changed or renamed: the list says how."))
        }
        Deed::GroupGone => ("stop", "people", format!("{groups} deleted, with all memberships.")),
        Deed::Members => {
            ("stop", "people", format!("{groups} losing members: the list says how many."))
        }
        Deed::TakenOver => (
            "held",
            "ldap",
            format!("{entries} that stood there before. {each} is made what the provider says."),
        ),
        Deed::Made => ("info", "ldap", format!("{entries} delivered to {connector} at last.")),
    };
    Consequence { tone, icon, text }
}

fn leaves(deed: Deed, leavers: &Leavers) -> String {
    match leavers {
        Leavers::Told => "the system is told, and does with it what it does.".to_owned(),
        Leavers::Entries { deactivated, deleted, purge_after } => {
            let end = if deed == Deed::Left { deleted } else { deactivated };
            match (end, purge_after) {
                (Fate::Disabled | Fate::Moved(_), Some(Period(_))) => {
                    let period = purge_after.map(|period| period.to_string()).unwrap_or_default();
                    format!("the entry {}, and {period} later it is deleted.", fate(end))
                }
                _ => format!("the entry {}.", fate(end)),
            }
        }
    }
}

fn undo(deed: Deed, leavers: &Leavers) -> (&'static str, String) {
    let can = |text: &str| ("ok", text.to_owned());
    let cannot = |text: &str| ("stop", text.to_owned());
    match (deed, leavers) {
        (Deed::Erased, _) => cannot("No: whoever comes back gets a new entry."),
        (Deed::Left | Deed::Inactive, Leavers::Told) => {
            cannot("Only as far as that system can: ask those who run it.")
        }
        (Deed::Left | Deed::Inactive, Leavers::Entries { deactivated, deleted, purge_after }) => {
            let end = if deed == Deed::Left { deleted } else { deactivated };
            match (end, purge_after) {
                (Fate::Deleted, _) => cannot("No: whoever comes back gets a new entry."),
                (Fate::Kept, _) => can("There is nothing to undo."),
                (_, Some(period)) => can(&format!(
                    "Yes, for {period}: whoever comes back at the provider gets \
                     the same entry back."
                )),
                (_, None) => can("Yes: whoever comes back at the provider gets the same entry \
                     back."),
            }
        }
        (Deed::Renamed, _) => cannot("Only by another change: of the file, or at the provider."),
        (Deed::GroupGone, _) => cannot("No: a group that comes back is made anew."),
        (Deed::Members, _) => {
            can("Yes: who is put back into the group at the provider is put back \
             there.")
        }
        (Deed::TakenOver, _) => cannot("No: what the entry said before is not kept."),
        (Deed::Made, _) => {
            can("Yes: who is taken out at the provider, or of the file's scope, leaves \
             again.")
        }
    }
}

/// What the page asks: `Remove 31 people from directory?`
pub(super) fn question(held: &[Held], connector: &str) -> String {
    let count = held.len() as u64;
    let all = |deeds: &[Deed]| held.iter().all(|one| deeds.contains(&Deed::of(one)));
    if all(&[Deed::Left, Deed::Inactive, Deed::Erased]) {
        format!("Remove {} from {connector}?", counted(count, "person", "people"))
    } else if all(&[Deed::Members]) {
        let groups = counted(count, "group", "groups");
        format!("Take members out of {groups} at {connector}?")
    } else if all(&[Deed::TakenOver]) {
        format!("Take over {} at {connector}?", counted(count, "entry", "entries"))
    } else if all(&[Deed::Made]) {
        format!("Deliver {} to {connector}?", counted(count, "entry", "entries"))
    } else {
        format!("Approve {} at {connector}?", counted(count, "change", "changes"))
    }
}

/// Whether something is lost by it that somebody may miss: the last button is red then.
pub(super) fn is_danger(held: &[Held]) -> bool {
    held.iter().any(|one| !matches!(Deed::of(one), Deed::TakenOver | Deed::Made))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scim_relay_sdk::scim::ResourceId;

    use super::*;

    fn held(hold_kind: &str, kind: ResourceKind, change: impl FnOnce(&mut Held)) -> Held {
        let mut held = Held {
            connector: "directory".to_owned(),
            organization: "lillevik".to_owned(),
            kind,
            id: ResourceId(uuid::Uuid::from_u128(7)),
            name: "kari".to_owned(),
            hold_kind: hold_kind.to_owned(),
            summary: "move `uid=kari`".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
            deleted: false,
            closed: false,
            members: None,
            mark: 1,
        };
        change(&mut held);
        held
    }

    fn entries(deleted: Fate, purge: bool) -> Leavers {
        let purge_after = purge.then_some(Period(Duration::from_hours(90 * 24)));
        Leavers::Entries { deactivated: Fate::Disabled, deleted, purge_after }
    }

    fn told(held: &[Held], leavers: &Leavers) -> String {
        let lines = consequences(held, leavers, "directory");
        lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_happens_to_leavers_is_as_their_connector_says() {
        let gone = [held("removal", ResourceKind::User, |held| held.deleted = true)];
        for (leavers, says) in [
            (
                entries(Fate::Moved("ou=left".to_owned()), true),
                "1 person deleted at the provider: the entry is disabled and moved to ou=left, and 90 days later it is deleted.\n\
                 Can it be undone? Yes, for 90 days: whoever comes back at the provider gets the same entry back.",
            ),
            (
                entries(Fate::Deleted, true),
                "1 person deleted at the provider: the entry is deleted at once.\n\
                 Can it be undone? No: whoever comes back gets a new entry.",
            ),
            (
                entries(Fate::Disabled, false),
                "1 person deleted at the provider: the entry is disabled and stays.\n\
                 Can it be undone? Yes: whoever comes back at the provider gets the same entry back.",
            ),
            (
                Leavers::Told,
                "1 person deleted at the provider: the system is told, and does with it what it does.\n\
                 Can it be undone? Only as far as that system can: ask those who run it.",
            ),
        ] {
            assert_eq!(told(&gone, &leavers), says);
        }
    }

    #[test]
    fn each_kind_says_what_it_does_and_whether_that_can_be_undone() {
        let user = ResourceKind::User;
        let group = ResourceKind::Group;
        let mixed = [
            held("removal", user, |held| (held.deleted, held.closed) = (true, true)),
            held("removal", user, |_| ()),
            held("removal", user, |held| held.summary = "rename `a` to `b`".to_owned()),
            held("removal", group, |held| held.deleted = true),
            held("member_removal", group, |_| ()),
            held("take_over", user, |_| ()),
            held("first_run", user, |_| ()),
        ];
        insta::assert_snapshot!(told(&mixed, &entries(Fate::Disabled, false)), @"
        1 entry, disabled before, deleted for good.
        1 person inactive, or not meant for directory any more: the entry is disabled and stays.
        1 entry changed or renamed: the list says how.
        1 group deleted, with all memberships.
        1 group losing members: the list says how many.
        1 entry that stood there before. It is made what the provider says.
        1 entry delivered to directory at last.
        Who left before: can it be undone? No: whoever comes back gets a new entry.
        Who is inactive: can it be undone? Yes: whoever comes back at the provider gets the same entry back.
        What is renamed: can it be undone? Only by another change: of the file, or at the provider.
        Groups: can it be undone? No: a group that comes back is made anew.
        Memberships: can it be undone? Yes: who is put back into the group at the provider is put back there.
        What was there before: can it be undone? No: what the entry said before is not kept.
        What is delivered: can it be undone? Yes: who is taken out at the provider, or of the file's scope, leaves again.
        ");
    }

    #[test]
    fn the_question_names_what_is_decided() {
        let of = |kind: &str| vec![held(kind, ResourceKind::User, |_| ()); 31];
        for (kind, question_, danger) in [
            ("removal", "Remove 31 people from directory?", true),
            ("member_removal", "Take members out of 31 groups at directory?", true),
            ("take_over", "Take over 31 entries at directory?", false),
            ("first_run", "Deliver 31 entries to directory?", false),
        ] {
            assert_eq!(question(&of(kind), "directory"), question_);
            assert_eq!(is_danger(&of(kind)), danger, "{kind}");
        }
        let mixed = [of("removal"), of("take_over")].concat();
        assert_eq!(question(&mixed, "directory"), "Approve 62 changes at directory?");
    }
}
