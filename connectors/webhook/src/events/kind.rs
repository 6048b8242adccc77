//! The events there are, and which of them a receiver wants.

use std::fmt;

use scim_relay_sdk::scim::ResourceKind;
use serde::{Deserialize, Deserializer};

use crate::words;

/// What happened to a resource, as a receiver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// It is new to the receiver: created at the provider, or come into the connector's scope.
    Created,
    Updated,
    /// It left the connector's scope and still exists at the provider.
    Deactivated,
    Deleted,
    MemberAdded,
    MemberRemoved,
}

impl Happening {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deactivated => "deactivated",
            Self::Deleted => "deleted",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
        }
    }
}

/// An event's type: `user.created`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventKind(pub(crate) ResourceKind, pub(crate) Happening);

impl EventKind {
    const ALL: [Self; 10] = [
        Self(ResourceKind::User, Happening::Created),
        Self(ResourceKind::User, Happening::Updated),
        Self(ResourceKind::User, Happening::Deactivated),
        Self(ResourceKind::User, Happening::Deleted),
        Self(ResourceKind::Group, Happening::Created),
        Self(ResourceKind::Group, Happening::Updated),
        Self(ResourceKind::Group, Happening::Deactivated),
        Self(ResourceKind::Group, Happening::Deleted),
        Self(ResourceKind::Group, Happening::MemberAdded),
        Self(ResourceKind::Group, Happening::MemberRemoved),
    ];
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.word(), self.1.word())
    }
}

/// One entry of `events`: `user.created`, `group.*` or `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Any,
    AnyOf(ResourceKind),
    One(EventKind),
}

impl Pattern {
    pub(crate) fn matches(self, kind: EventKind) -> bool {
        match self {
            Self::Any => true,
            Self::AnyOf(resource) => resource == kind.0,
            Self::One(one) => one == kind,
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let star = ResourceKind::ALL.into_iter().find(|kind| text == format!("{}.*", kind.word()));
        if let Some(kind) = star {
            return Ok(Self::AnyOf(kind));
        }
        let one = EventKind::ALL.into_iter().find(|kind| text == kind.to_string());
        one.map(Self::One).ok_or_else(|| {
            let known: Vec<String> =
                EventKind::ALL.iter().map(|kind| format!("`{kind}`")).collect();
            format!(
                "`{text}` is no event; there are {}, and `user.*`, `group.*`, `*`",
                known.join(", ")
            )
        })
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        words::read(deserializer, "an event such as \"user.created\"", Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &[&str]) {
        let pattern = Pattern::parse(pattern).unwrap();
        let matched: Vec<String> = EventKind::ALL
            .iter()
            .filter(|kind| pattern.matches(**kind))
            .map(ToString::to_string)
            .collect();
        assert_eq!(matched, expected);
    }

    #[test]
    fn a_pattern_names_one_event_or_all_of_a_kind() {
        check("user.created", &["user.created"]);
        check("user.*", &["user.created", "user.updated", "user.deactivated", "user.deleted"]);
        check("group.member_added", &["group.member_added"]);
        assert_eq!(Pattern::parse("*"), Ok(Pattern::Any));
    }

    #[test]
    fn an_unknown_event_is_answered_with_those_there_are() {
        let error = Pattern::parse("user.member_added").unwrap_err();
        assert!(
            error.starts_with("`user.member_added` is no event; there are `user.created`, "),
            "{error}"
        );
    }
}
