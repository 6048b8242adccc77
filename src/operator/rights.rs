//! What a person of the console may do, and in which organizations.
//!
//! The command line needs none of it: whoever reaches the admin socket administers the relay.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::store::{Reach, Role};

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

    /// `None`: nobody has this role there. An administrator has it everywhere, an owner in some
    /// organizations.
    pub fn new(role: Role, reach: Reach) -> Option<Self> {
        match (role, &reach) {
            (Role::Administrator, Reach::Everywhere)
            | (Role::Owner, Reach::Only(_))
            | (Role::HelpDesk, _) => Some(Self { role, reach }),
            (Role::Administrator, Reach::Only(_)) | (Role::Owner, Reach::Everywhere) => None,
        }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    pub fn may(&self, right: Right) -> bool {
        may(self.role, right)
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

fn may(role: Role, right: Right) -> bool {
    match role {
        Role::Administrator => true,
        Role::Owner => right != Right::Administer,
        Role::HelpDesk => matches!(right, Right::People | Right::Retry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_it_is_for() {
        use Right::{Administer, Approve, Operate, People, Retry, Skip, Tokens};
        let all = [People, Retry, Operate, Skip, Approve, Tokens, Administer];
        let may = |role: Role| all.map(|right| may(role, right));
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
