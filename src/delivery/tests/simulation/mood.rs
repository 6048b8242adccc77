//! How a target is disposed, and what comes of it for one call.

use std::time::Duration;

use scim_relay_sdk::connector::DeliveryError;

use super::chance;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// Does as it is asked, at once.
    Perfect,
    /// Now and then something is the matter.
    Well,
    /// Everything is the matter, by turns.
    Moody,
    Slow,
    /// Cannot be reached.
    Down,
    /// Answers probes and takes nothing.
    Lying,
    /// Answers, and fails everybody.
    Failing,
    /// Refuses our credentials.
    Locked,
    /// Never ends what it began.
    Hung,
    /// The connector itself is broken.
    Crashing,
}

impl Mood {
    pub(super) const ALL: [Self; 10] = [
        Self::Perfect,
        Self::Well,
        Self::Moody,
        Self::Slow,
        Self::Down,
        Self::Lying,
        Self::Failing,
        Self::Locked,
        Self::Hung,
        Self::Crashing,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Done,
    Busy,
    /// Says when to come again.
    Later,
    /// No answer came.
    InDoubt,
    Refused,
    Partly,
    Unreachable,
    Locked,
    Panic,
    Hang,
}

/// What one delivery comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) before: Duration,
    /// Whether it is carried out, whatever is said about it.
    pub(super) acts: bool,
    pub(super) after: Duration,
    pub(super) end: End,
}

impl Plan {
    pub(super) fn of(mood: Mood) -> Self {
        let end = match mood {
            Mood::Perfect | Mood::Slow => End::Done,
            Mood::Well => chance::weighed(&[(95, End::Done), (3, End::Busy), (2, End::InDoubt)]),
            Mood::Moody => chance::weighed(&[
                (40, End::Done),
                (15, End::Busy),
                (5, End::Later),
                (12, End::InDoubt),
                (6, End::Refused),
                (4, End::Partly),
                (5, End::Unreachable),
                (1, End::Locked),
                (6, End::Panic),
                (6, End::Hang),
            ]),
            Mood::Down | Mood::Lying => End::Unreachable,
            Mood::Failing => chance::weighed(&[(3, End::Busy), (1, End::InDoubt)]),
            Mood::Locked => End::Locked,
            Mood::Hung => End::Hang,
            Mood::Crashing => End::Panic,
        };
        let acts = match end {
            End::Done | End::Partly => true,
            End::InDoubt | End::Panic | End::Hang => chance::percent(50),
            _ => false,
        };
        let most = match mood {
            Mood::Perfect => 5,
            Mood::Slow => 30_000,
            _ => 200,
        };
        Self { before: chance::millis(most), acts, after: chance::millis(most), end }
    }
}

impl End {
    /// What is said, where it did not just work.
    pub(super) fn error(self) -> Option<DeliveryError> {
        Some(match self {
            Self::Done | Self::Partly | Self::Panic | Self::Hang => return None,
            Self::Busy => DeliveryError::later("busy"),
            Self::Later => DeliveryError::Later {
                what: "come again".to_owned(),
                retry_after: Some(chance::millis(7_200_000)),
                in_doubt: false,
                source: None,
            },
            Self::InDoubt => DeliveryError::in_doubt("no answer"),
            Self::Refused => DeliveryError::refused("not like this"),
            Self::Unreachable => {
                DeliveryError::Unreachable { what: "connection refused".to_owned(), source: None }
            }
            Self::Locked => DeliveryError::credentials("invalid credentials"),
        })
    }
}

/// What a probe comes to; `None`: it never ends.
pub(super) fn probed(mood: Mood) -> Option<Result<(), DeliveryError>> {
    match mood {
        Mood::Down => Some(Err(End::Unreachable.error().expect("an error"))),
        Mood::Locked => Some(Err(End::Locked.error().expect("an error"))),
        Mood::Hung => None,
        _ => Some(Ok(())),
    }
}
