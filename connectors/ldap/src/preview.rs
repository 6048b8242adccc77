//! What a delivery would write, as LDIF, without asking the directory: all of it for an entry that
//! is not linked, and for one that is, what it is compared with.

use std::fmt::Write as _;

use scim_relay_sdk::connector::{DeliveryError, Gone, Member, MemberDelta, Resource, Wanted, Work};
use scim_relay_sdk::scim::ResourceKind;

use crate::config::{Groups, Policy, Users};
use crate::connector::Ldap;
use crate::dn::Dn;
use crate::ldif::Record;
use crate::password::Hidden;
use crate::project::{self, Goal, Posture, Seal};
use crate::transport::{Attributes, Modification, NewName, Values};

const NOTHING: &str = "# nothing would be written\n";

impl Ldap {
    pub(crate) fn preview_text(&self, work: &Work) -> Result<String, DeliveryError> {
        match (work.key.kind, &self.users, &self.groups) {
            (ResourceKind::User, Some(users), _) => match &work.wanted {
                Wanted::Present(resource) => self.preview_user(users, work, resource),
                Wanted::Gone { last, why } => self.preview_gone(users, work, last, *why),
            },
            (ResourceKind::Group, _, Some(groups)) => match &work.wanted {
                Wanted::Present(resource) => self.preview_group(groups, work, resource),
                Wanted::Gone { .. } => Ok(deletion(work)),
            },
            _ => Ok(NOTHING.to_owned()),
        }
    }

    fn preview_user(
        &self,
        users: &Users,
        work: &Work,
        resource: &Resource,
    ) -> Result<String, DeliveryError> {
        let dialect = self.assumed_dialect();
        let posture = Posture::of(users, resource);
        if posture == Posture::Absent {
            return Ok(deletion(work));
        }
        let goal = project::user(users, resource, &dialect, posture)?;
        let mut text = entry(work, &goal);
        for name in Hidden::of(users, resource, work.password.as_ref())?.names() {
            let _ = writeln!(text, "# and {name} is set anew: ***");
        }
        Ok(or_nothing(text))
    }

    fn preview_group(
        &self,
        groups: &Groups,
        work: &Work,
        resource: &Resource,
    ) -> Result<String, DeliveryError> {
        let mut goal = project::group(groups, resource)?;
        let attribute = groups.member_attribute().to_owned();
        let addresses = |members: &[Member]| -> Values {
            members.iter().map(|member| member.address.clone().into_bytes()).collect()
        };
        let (joined, left) = match &work.members {
            None => (Values::new(), Values::new()),
            Some(MemberDelta::All(members)) => (addresses(members), Values::new()),
            Some(MemberDelta::Changed { joined, left }) => (addresses(joined), addresses(left)),
        };
        if work.link.is_none() {
            let mut first = joined;
            if first.is_empty() && groups.needs_a_member() {
                first.push(self.placeholder.to_string().into_bytes());
            }
            goal.creation.push((attribute, first));
            return Ok(entry(work, &goal));
        }
        let mut text = entry(work, &goal);
        let mut changes = Vec::new();
        if !joined.is_empty() {
            changes.push(Modification::Add(attribute.clone(), joined));
        }
        if !left.is_empty() {
            changes.push(Modification::Delete(attribute, left));
        }
        if !changes.is_empty() {
            if matches!(work.members, Some(MemberDelta::All(_))) {
                text.push_str("# of these members, those who are not in it; others leave\n");
            }
            text.push_str(&Record::Modify { dn: goal.dn.to_string(), changes }.to_text());
        }
        Ok(or_nothing(text))
    }

    fn preview_gone(
        &self,
        users: &Users,
        work: &Work,
        last: &Resource,
        why: Gone,
    ) -> Result<String, DeliveryError> {
        let Some(link) = &work.link else { return Ok(NOTHING.to_owned()) };
        let policy = match why {
            Gone::OutOfScope => users.deprovision.deactivate,
            Gone::Deleted => users.deprovision.delete,
        };
        let place = match policy {
            Policy::Delete => return Ok(deletion(work)),
            Policy::Keep => return Ok(NOTHING.to_owned()),
            Policy::Disable => None,
            Policy::Move => users.deprovision.move_to.as_ref(),
        };
        let seal = Seal::of(users, last, &self.assumed_dialect())?;
        let mut text = replacements(&link.address, &seal.attributes());
        if let (Some(place), Ok(dn)) = (place, Dn::parse(&link.address)) {
            text.push_str(&renaming(&dn, &place.child_of(&dn)));
        }
        if let Some(period) = users.deprovision.purge_after {
            let _ = writeln!(text, "# and deleted after {period}");
        }
        Ok(text)
    }
}

fn or_nothing(text: String) -> String {
    if text.is_empty() { NOTHING.to_owned() } else { text }
}

fn deletion(work: &Work) -> String {
    work.link.as_ref().map_or_else(
        || NOTHING.to_owned(),
        |link| Record::Delete { dn: link.address.clone() }.to_text(),
    )
}

fn entry(work: &Work, goal: &Goal) -> String {
    let dn = goal.dn.to_string();
    let Some(link) = &work.link else {
        return Record::Add { dn, attributes: masked(goal.entry()) }.to_text();
    };
    let mut text = match Dn::parse(&link.address) {
        Ok(held) => renaming(&held, &goal.dn),
        Err(_) => String::new(),
    };
    text.push_str(&replacements(&dn, &goal.attributes));
    text
}

fn renaming(held: &Dn, wanted: &Dn) -> String {
    let (Some(old), Some(rdn)) = (held.rdn(), wanted.rdn()) else { return String::new() };
    if held == wanted && old.is_exactly(rdn) {
        return String::new();
    }
    Record::Rename { dn: held.to_string(), to: NewName::between(held, wanted) }.to_text()
}

/// What an entry is compared with. It is written value by value, which only the entry itself can
/// show.
fn replacements(dn: &str, attributes: &Attributes) -> String {
    let mut changes = Vec::new();
    for (name, values) in masked(attributes.clone()) {
        changes.push(if values.is_empty() {
            Modification::Delete(name, values)
        } else {
            Modification::Add(name, values)
        });
    }
    if changes.is_empty() {
        return String::new();
    }
    let record = Record::Modify { dn: dn.to_owned(), changes }.to_text();
    format!("# of these, the values that the entry does not hold\n{record}")
}

/// The attributes with nobody's password in them.
fn masked(mut attributes: Attributes) -> Attributes {
    for (name, values) in &mut attributes {
        let name = name.to_ascii_lowercase();
        let secret = (name.contains("password") && !name.ends_with("time"))
            || ["unicodepwd", "userpkcs12", "krbprincipalkey"].contains(&name.as_str());
        if secret {
            values.fill(b"***".to_vec());
        }
    }
    attributes
}

#[cfg(test)]
mod tests;
