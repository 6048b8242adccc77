//! The addresses of pages that others link to.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay_sdk::scim::{ResourceId, ResourceKind};

/// What a piece of a path or a query keeps as it is.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// With those that say something.
pub(super) fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let said = pairs.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> =
        said.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

pub(super) fn connector(name: &str) -> String {
    format!("/connectors/{}", encoded(name))
}

pub(super) fn person(organization: &str, kind: ResourceKind, id: ResourceId) -> String {
    let kind = match kind {
        ResourceKind::User => "people",
        ResourceKind::Group => "groups",
    };
    format!("/organizations/{}/{kind}/{id}", encoded(organization))
}

pub(super) fn request(organization: &str, id: i64) -> String {
    format!("/organizations/{}/requests/{id}", encoded(organization))
}

pub(super) fn queue_entry(
    connector: &str,
    organization: &str,
    kind: ResourceKind,
    id: ResourceId,
) -> String {
    let resource = format!("{kind}/{id}");
    let which = [("connector", connector), ("org", organization), ("resource", &resource)];
    with_query("/queue/entry", &which)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_name_stays_in_its_place() {
        assert_eq!(connector("hr & more/x"), "/connectors/hr%20%26%20more%2Fx");
        assert_eq!(with_query("/queue", &[("state", ""), ("q", "")]), "/queue");
        assert_eq!(
            with_query("/queue", &[("q", "kåre=1&org=x"), ("state", "parked")]),
            "/queue?q=k%C3%A5re%3D1%26org%3Dx&state=parked"
        );
    }
}
