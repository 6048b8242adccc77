//! What a person of the console may do, and in which organizations.
//!
//! The command line needs none of it: whoever reaches the admin socket administers the relay.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A person's part in the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, everywhere.
    Administrator,
    /// Everything of their organizations: tokens, people, approvals.
    Owner,
    /// People, queue and requests; may try again, nothing else.
    HelpDesk,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Administrator, Self::Owner, Self::HelpDesk];

    /// As the command line and the configuration write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Owner => "owner",
            Self::HelpDesk => "helpdesk",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }

    /// As a page writes it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Administrator => "Administrator",
            Self::Owner => "Owner",
            Self::HelpDesk => "Help desk",
        }
    }

    fn may(self, right: Right) -> bool {
        match self {
            Self::Administrator => true,
            Self::Owner => right != Right::Administer,
            Self::HelpDesk => matches!(right, Right::People | Right::Retry),
        }
    }
}

/// Where somebody has a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    Everywhere,
    Only(BTreeSet<Arc<str>>),
}

impl Reach {
    pub fn contains(&self, organization: &str) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Only(own) => own.contains(organization),
        }
    }
}

/// What a page or a button needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To look at people, groups, the queue, and what providers asked.
    People,
    /// To have something tried, previewed or compared again, for a person or a group.
    Retry,
    /// To look at the overview, the connectors and the activity.
    Operate,
    /// To give up on something in the queue.
    Skip,
    /// To approve or reject what is held.
    Approve,
    /// To see, make, rotate and revoke tokens.
    Tokens,
    /// Accounts, and whatever concerns more than one organization.
    Administer,
}

/// A role and where it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    role: Role,
    reach: Reach,
}

impl Rights {
    pub fn administrator() -> Self {
        Self { role: Role::Administrator, reach: Reach::Everywhere }
    }

    /// Of these organizations.
    pub fn owner(organizations: BTreeSet<Arc<str>>) -> Self {
        Self { role: Role::Owner, reach: Reach::Only(organizations) }
    }

    pub fn help_desk(reach: Reach) -> Self {
        Self { role: Role::HelpDesk, reach }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    pub fn may(&self, right: Right) -> bool {
        self.role.may(right)
    }

    /// Whether this organization is theirs at all.
    pub fn sees(&self, organization: &str) -> bool {
        self.reach.contains(organization)
    }

    /// Whether something that these organizations share is theirs alone, such as a connector: to
    /// stop it would concern the others.
    pub fn sees_all<'a>(&self, mut organizations: impl Iterator<Item = &'a str>) -> bool {
        organizations.all(|organization| self.sees(organization))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_it_is_for() {
        use Right::{Administer, Approve, Operate, People, Retry, Skip, Tokens};
        let all = [People, Retry, Operate, Skip, Approve, Tokens, Administer];
        let may = |role: Role| all.map(|right| role.may(right));
        assert_eq!(may(Role::Administrator), [true; 7]);
        assert_eq!(may(Role::Owner), [true, true, true, true, true, true, false]);
        assert_eq!(may(Role::HelpDesk), [true, true, false, false, false, false, false]);
    }

    #[test]
    fn an_owner_sees_their_own_organizations_alone() {
        let owner = Rights::owner(["lillevik".into()].into());
        assert!(owner.sees("lillevik") && !owner.sees("solvang") && !owner.sees(""));
        assert!(owner.sees_all(["lillevik"].into_iter()));
        assert!(!owner.sees_all(["lillevik", "solvang"].into_iter()));
        assert!(Rights::help_desk(Reach::Everywhere).sees("solvang"));
    }
}
