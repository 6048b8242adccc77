//! How a resource is named on the command line.

use scim_relay::daemon::admin::wire::Named;
use scim_relay_sdk::scim::ResourceKind;

/// `User/0199a2b4-…`, as lists print it, or `User/ada`. Held up here, so that a slip is a wrong usage.
pub(super) fn resource_key(text: &str) -> Result<String, String> {
    let named = text.split_once('/').is_some_and(|(kind, name)| {
        let is_kind = |known: ResourceKind| known.name().eq_ignore_ascii_case(kind);
        ResourceKind::ALL.into_iter().any(is_kind) && !name.is_empty()
    });
    if named {
        Ok(text.to_owned())
    } else {
        Err("write it as `queue list` prints it, or with a name: User/ada@lillevik.example, \
             Group/class-7B"
            .to_owned())
    }
}

/// The one that `--user` or `--group` names.
pub(super) fn named(user: Option<String>, group: Option<String>) -> Option<Named> {
    match (user, group) {
        (Some(name), _) => Some(Named { kind: ResourceKind::User, name }),
        (None, Some(name)) => Some(Named { kind: ResourceKind::Group, name }),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_kind_and_an_id_or_a_name() {
        assert!(resource_key("User/0199a2b4-7c1e-7d3a-9f00-3f2b6c5d4e10").is_ok());
        assert!(resource_key("group/0199a2b4-7c1e-7d3a-9f00-3f2b6c5d4e10").is_ok());
        assert!(resource_key("Person/0199a2b4-7c1e-7d3a-9f00-3f2b6c5d4e10").is_err());
        assert!(resource_key("User/kari").is_ok());
        assert!(resource_key("Group/7A/7B").is_ok());
        assert!(resource_key("User/").is_err());
        assert!(resource_key("kari").is_err());
    }
}
