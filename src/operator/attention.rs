//! What a person should do, or know, most pressing first. Pure.

use jiff::Timestamp;

use super::status::{ConnectorStatus, EndingToken, HeldStatus, OrganizationStatus, WindowStatus};
use crate::delivery::Failing;
use crate::store::{Paused, RunRow};

/// Something that a person should do, or know.
#[derive(Clone, Debug)]
pub struct Matter {
    /// A connector's name, or an organization's key.
    pub of: String,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// The target turns us away.
    Refused {
        since: Option<Timestamp>,
        error: String,
    },
    /// Entries wait for approval. `kinds` is empty where it may not be told what for.
    Held {
        entries: u64,
        kinds: Vec<HeldStatus>,
    },
    /// The target does not answer: its work goes on by itself.
    Down {
        since: Option<Timestamp>,
        error: String,
    },
    /// It answers and nothing arrives: all of it is tried again by itself.
    Failing(Failing),
    Parked(u64),
    /// The last reconciliation failed.
    Reconciliation {
        ended: Timestamp,
        error: String,
    },
    /// No provider can push.
    NoToken,
    TokenEnds(EndingToken),
    Paused {
        since: Option<Timestamp>,
        paused: Option<Paused>,
    },
    /// Its file is gone, or says so; with what waits there.
    Disabled {
        waiting: u64,
    },
    /// More than usual may be removed.
    Window(WindowStatus),
}

impl What {
    /// The least comes first: what nobody but a person mends, what may be an accident, what heals by
    /// itself, what somebody wanted so.
    fn rank(&self) -> u8 {
        match self {
            Self::Refused { .. } => 0,
            Self::Held { kinds, .. } if kinds.iter().any(|kind| kind.limit.is_some()) => 1,
            Self::Down { .. } | Self::Failing(_) => 2,
            Self::Parked(_) => 3,
            Self::Held { .. } => 4,
            Self::Reconciliation { .. } => 5,
            Self::NoToken => 6,
            Self::TokenEnds(_) => 7,
            Self::Paused { .. } => 8,
            Self::Disabled { .. } => 9,
            Self::Window(_) => 10,
        }
    }
}

pub(super) fn matters<'a>(
    organizations: &[OrganizationStatus],
    connectors: impl Iterator<Item = &'a ConnectorStatus>,
) -> Vec<Matter> {
    let mut all: Vec<Matter> = connectors.flat_map(of_connector).collect();
    all.extend(organizations.iter().flat_map(of_organization));
    all.sort_by_key(|matter| matter.what.rank());
    all
}

fn of_organization(organization: &OrganizationStatus) -> Vec<Matter> {
    let matter = |what| Matter { of: organization.key.clone(), what };
    if organization.tokens == 0 {
        return vec![matter(What::NoToken)];
    }
    organization.ending.iter().cloned().map(What::TokenEnds).map(matter).collect()
}

fn of_connector(connector: &ConnectorStatus) -> Vec<Matter> {
    let ConnectorStatus { since, backlog, .. } = connector;
    let error = || connector.error.clone().unwrap_or_default();
    let mut all = Vec::new();
    match connector.state.as_str() {
        "refused" => all.push(What::Refused { since: *since, error: error() }),
        "down" => all.push(What::Down { since: *since, error: error() }),
        "paused" => all.push(What::Paused { since: *since, paused: connector.paused.clone() }),
        "disabled" if backlog.open() > 0 || connector.holds > 0 => {
            all.push(What::Disabled { waiting: backlog.open() });
        }
        "up" => all.extend(connector.failing.clone().map(What::Failing)),
        _ => {}
    }
    if backlog.parked > 0 {
        all.push(What::Parked(backlog.parked));
    }
    let kinds: Vec<_> = connector.held.iter().filter(|kind| kind.held > 0).cloned().collect();
    if backlog.held > 0 || !kinds.is_empty() {
        all.push(What::Held { entries: backlog.held, kinds });
    }
    if let Some(RunRow { ended, error: Some(error), .. }) = &connector.last_reconciliation {
        all.push(What::Reconciliation { ended: *ended, error: error.clone() });
    }
    all.extend(connector.window.clone().map(What::Window));
    all.into_iter().map(|what| Matter { of: connector.name.clone(), what }).collect()
}
