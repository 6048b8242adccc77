//! The answer that a page about somebody begins with: one sentence, what it means and what to do. Pure.
//!
//! Nobody's gender is known, so nobody is a he or a she.

use scim_relay_sdk::scim::ResourceKind;
use serde::Serialize;

use super::stands::{Stand, Standing};

/// What decides about the answer.
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) kind: ResourceKind,
    pub(super) is_deleted: bool,
    pub(super) may_approve: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) tone: &'static str,
    pub(super) icon: &'static str,
    pub(super) heading: String,
    pub(super) meaning: String,
    pub(super) to_do: &'static str,
    /// The connector that it is about.
    pub(super) about: Option<String>,
}

impl Verdict {
    fn new(tone: &'static str, icon: &'static str, heading: String) -> Self {
        Self { tone, icon, heading, meaning: String::new(), to_do: "", about: None }
    }

    /// Whether nobody has to do anything.
    pub(super) fn is_well(&self) -> bool {
        self.about.is_none()
    }
}

/// `stands` begins with the most pressing.
pub(super) fn verdict(subject: &Subject<'_>, stands: &[Stand]) -> Verdict {
    let name = subject.name;
    let Some(first) = stands.first() else {
        let heading = format!("No connector has to do with {name}");
        let mut verdict = Verdict::new("none", "info", heading);
        "Nothing is written anywhere.".clone_into(&mut verdict.meaning);
        return verdict;
    };
    match first.standing {
        Standing::Held
        | Standing::Parked
        | Standing::Rejected
        | Standing::Stopped
        | Standing::Retrying
        | Standing::Waiting
        | Standing::Pending => pressing(subject, first),
        Standing::Scheduled
        | Standing::InLine
        | Standing::Off
        | Standing::Gone
        | Standing::Outside
        | Standing::Unknown => well(subject, stands),
    }
}

/// Something is not as it should be at this connector.
fn pressing(subject: &Subject<'_>, stand: &Stand) -> Verdict {
    let Subject { name, is_deleted, .. } = subject;
    let at = &stand.connector;
    // How somebody is there as long as this waits.
    let there = match (is_deleted, stand.absent, stand.every_event) {
        (true, false, false) => format!("{name} is still at {at}"),
        (false, true, _) => format!("{name} is not at {at}"),
        (_, _, true) => format!("{at} has not heard the last about {name}"),
        (_, _, false) => format!("{name} is not up to date at {at}"),
    };
    let what = if *is_deleted { "the removal" } else { "the last change" };
    let because = match stand.standing {
        Standing::Held => match stand.hold {
            Some("removal") => "the removal waits for approval".to_owned(),
            Some("member_removal") => "taking members out waits for approval".to_owned(),
            Some("take_over") => {
                "an entry was there before, and changing it waits for approval".to_owned()
            }
            _ => "what would be written waits for approval".to_owned(),
        },
        Standing::Parked => format!("it refused {what}"),
        Standing::Rejected => "a person said no".to_owned(),
        Standing::Stopped => stand.trouble.unwrap_or("it does not work").to_owned(),
        Standing::Retrying => format!("{what} did not get through, and is tried again"),
        Standing::Waiting => match &stand.behind {
            Some(other) => format!("{other} has to be delivered first"),
            None => "another one has to be delivered first".to_owned(),
        },
        _ => format!("{what} is on its way"),
    };
    let mut verdict = Verdict::new(stand.tone, stand.icon, format!("{there}: {because}"));
    let (meaning, to_do) = match stand.standing {
        Standing::Held if subject.may_approve => (
            "The relay does not do this without a person's word.",
            "Look at what would happen, and approve or reject it.",
        ),
        Standing::Held => (
            "The relay does not do this without a person's word.",
            "An owner or an administrator can approve or reject it.",
        ),
        Standing::Parked => (
            "It would answer the same again, so the relay stopped trying and waits for a person.",
            "Correct at the provider what the answer is about: the change arrives by itself and is \
             tried at once. Where the other system has to change, have it changed, and try again.",
        ),
        Standing::Rejected => (
            "It stays as it is until the provider sends something new.",
            "Approve it after all if that was not meant.",
        ),
        Standing::Stopped => (
            "Nobody gets changes there right now. Nothing is lost: it goes on as soon as it works.",
            "",
        ),
        Standing::Retrying => ("The relay tries again by itself. Nothing is lost.", ""),
        Standing::Waiting => ("It goes on by itself then.", ""),
        _ => ("It is delivered by itself when its turn comes.", ""),
    };
    meaning.clone_into(&mut verdict.meaning);
    verdict.to_do = to_do;
    verdict.about = Some(at.clone());
    verdict
}

/// Nothing waits for anybody.
fn well(subject: &Subject<'_>, stands: &[Stand]) -> Verdict {
    let Subject { name, kind, is_deleted, .. } = subject;
    let count = |standing: Standing| stands.iter().filter(|one| one.standing == standing).count();
    let (scheduled, off) = (count(Standing::Scheduled), count(Standing::Off));
    let served = count(Standing::InLine) + scheduled + off;
    if *is_deleted {
        let keeps = stands
            .iter()
            .find(|one| matches!(one.standing, Standing::Scheduled | Standing::Off))
            .map(|one| &one.connector);
        return match keeps {
            Some(at) => {
                let heading = format!("{name} was removed at the provider, and is switched off");
                let mut verdict = Verdict::new("none", "leaver", heading);
                verdict.meaning = format!("{at} keeps the entry for now, as its settings say.");
                verdict
            }
            None => Verdict::new(
                "none",
                "leaver",
                format!("{name} was removed, and is gone everywhere"),
            ),
        };
    }
    if served == 0 {
        let heading = format!("{name} is for none of the connectors");
        let mut verdict = Verdict::new("none", "info", heading);
        let why = match kind {
            ResourceKind::User => "Each says below why: what the provider has decides.",
            ResourceKind::Group => "Each says below why.",
        };
        why.clone_into(&mut verdict.meaning);
        return verdict;
    }
    if off == served {
        return Verdict::new("none", "info", format!("{name} is switched off everywhere"));
    }
    let mut verdict = Verdict::new("ok", "ok", format!("{name} is in line everywhere"));
    verdict.meaning = match served {
        1 => "What the provider has is what the one connector has.".to_owned(),
        _ => format!("What the provider has is what {served} connectors have."),
    };
    verdict
}
