//! What happened to a person, as far as a mail may follow from it, and the key it is sent under.

use scim_relay_sdk::connector::{Gone, Resource, Verb, Wanted, Work};
use scim_relay_sdk::scim::{ResourceKind, fold};
use serde::Deserialize;

/// What a mail may be triggered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Event {
    #[serde(rename = "user.created")]
    Created,
    #[serde(rename = "user.updated")]
    Updated,
    #[serde(rename = "user.deactivated")]
    Deactivated,
    #[serde(rename = "user.deleted")]
    Deleted,
}

impl Event {
    pub(crate) const ALL: [Self; 4] =
        [Self::Created, Self::Updated, Self::Deactivated, Self::Deleted];

    /// The word in `triggers`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "user.created",
            Self::Updated => "user.updated",
            Self::Deactivated => "user.deactivated",
            Self::Deleted => "user.deleted",
        }
    }

    /// The first part of its templates' file names.
    pub(crate) fn template(self) -> &'static str {
        match self {
            Self::Created => "welcome",
            Self::Updated => "updated",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
        }
    }

    /// What this work is about; `None` when nobody is to be told anything: a group, or a person
    /// who is gone by the time that their creation or a change would be written about.
    pub(crate) fn of(work: &Work) -> Option<Self> {
        if work.key.kind != ResourceKind::User {
            return None;
        }
        let change = work.change.as_ref()?;
        match (change.verb, &work.wanted) {
            (Verb::Created, Wanted::Present(_)) => Some(Self::Created),
            (Verb::Updated, Wanted::Present(person)) => {
                let touched = change.attributes.iter().any(|name| name == "active");
                Some(if touched && is_inactive(person) { Self::Deactivated } else { Self::Updated })
            }
            (Verb::Updated, Wanted::Gone { why: Gone::OutOfScope, .. }) => Some(Self::Deactivated),
            (Verb::Deleted, Wanted::Gone { .. }) => Some(Self::Deleted),
            (Verb::Created, Wanted::Gone { .. })
            | (Verb::Updated, Wanted::Gone { why: Gone::Deleted, .. })
            | (Verb::Deleted, Wanted::Present(_)) => None,
        }
    }

    /// The key that this mail is sent under at most once. A welcome is for the person, for ever:
    /// someone who is deleted and comes back under the same identity gets no second one. The other
    /// mails are for their one change.
    pub(crate) fn once_key(self, work: &Work) -> String {
        let identity = identity(work.wanted.resource());
        match (self, &work.change) {
            (Self::Created, _) | (_, None) => format!("{}:{identity}", self.template()),
            (_, Some(change)) => format!("{}:{identity}:{}", self.template(), change.seq),
        }
    }
}

fn is_inactive(person: &Resource) -> bool {
    person.attributes.get("active").and_then(serde_json::Value::as_bool) == Some(false)
}

/// The provider's id of the person, or the name they sign in with. `externalId` is case-exact
/// (RFC 7643 section 3.1) and `userName` is not (section 4.1.1); each has a prefix so that one
/// person's name is never another's id.
fn identity(person: &Resource) -> String {
    let text = |name: &str| {
        person
            .attributes
            .get(name)
            .and_then(serde_json::Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    match (text("externalId"), text("userName")) {
        (Some(id), _) => format!("externalId={id}"),
        (None, Some(name)) => format!("userName={}", fold(name)),
        (None, None) => format!("id={}", person.key.id),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use scim_relay_sdk::connector::Change;
    use scim_relay_sdk::testing::{ada, choir, created, deleted, present, work};

    use super::*;

    fn changed(mut work: Work, verb: Verb, attributes: &[&str]) -> Work {
        work.change = Some(Change {
            seq: 4,
            verb,
            at: work.now,
            attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
            joined: Vec::new(),
            left: Vec::new(),
            collapsed: false,
        });
        work
    }

    fn inactive() -> Resource {
        let mut person = ada();
        person.attributes.insert("active".to_owned(), false.into());
        person
    }

    #[test]
    fn a_creation_is_welcomed_unless_the_person_is_gone_by_now() {
        assert_eq!(Event::of(&created(ada())), Some(Event::Created));
        let gone = changed(deleted(ada()), Verb::Created, &[]);
        assert_eq!(Event::of(&gone), None);
    }

    #[test]
    fn setting_active_to_false_deactivates() {
        let work = changed(present(inactive()), Verb::Updated, &["active"]);
        assert_eq!(Event::of(&work), Some(Event::Deactivated));
    }

    #[test]
    fn another_change_of_an_inactive_person_is_an_update() {
        let work = changed(present(inactive()), Verb::Updated, &["displayName"]);
        assert_eq!(Event::of(&work), Some(Event::Updated));
    }

    #[test]
    fn leaving_the_scope_deactivates() {
        let last = Arc::new(ada());
        let gone = work(Wanted::Gone { last, why: Gone::OutOfScope });
        let event = Event::of(&changed(gone, Verb::Updated, &["userType"]));
        assert_eq!(event, Some(Event::Deactivated));
    }

    #[test]
    fn groups_get_no_mail() {
        assert_eq!(Event::of(&created(choir())), None);
    }

    #[test]
    fn a_welcome_is_for_the_person_and_other_mails_for_the_change() {
        assert_eq!(Event::Created.once_key(&created(ada())), "welcome:externalId=ext-ada");
        let work = changed(present(inactive()), Verb::Updated, &["active"]);
        assert_eq!(Event::Deactivated.once_key(&work), "deactivated:externalId=ext-ada:4");
    }

    #[test]
    fn a_person_without_an_external_id_is_known_by_name_whatever_its_case() {
        let mut person = ada();
        person.attributes.remove("externalId");
        person.attributes.insert("userName".to_owned(), "ADA@Lillevik.example".into());
        let key = Event::Created.once_key(&created(person));
        assert_eq!(key, "welcome:userName=ada@lillevik.example");
    }
}
