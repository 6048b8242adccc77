//! Who asks: the bearer token of a request (RFC 6750) and the organization it opens.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, header};

use super::Scim;
use super::errors::Failure;
use super::record::Of;
use crate::directory::{Directory, Editor};
use crate::token::{Refusal, Stranger, Verified};

/// Whoever passed the gate: the directory is the one of the token's organization, and the right to
/// write is handed out only to a token that has it.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) directory: Directory,
    pub(super) token: Verified,
    pub(super) max_body: usize,
}

impl Caller {
    pub(super) fn editor(&self) -> Result<Editor<'_>, Failure> {
        if self.token.read_only {
            return Err(Failure::new(403, "this token may only read"));
        }
        Ok(self.directory.editor(Some(self.token.token)))
    }

    pub(super) fn proof(&self) -> Of {
        Of {
            organization: self.token.organization,
            info: Arc::clone(self.directory.info()),
            token: self.token.token,
            refusal: None,
        }
    }
}

/// A token opens its own organization alone. An organization that there is not, and one that is
/// somebody else's, are an unknown token.
pub(super) fn authenticate(
    scim: &Scim,
    organization: &str,
    headers: &HeaderMap,
) -> Result<Caller, Refusal> {
    let presented = bearer(headers).ok_or(Refusal::Malformed)?;
    let token = scim.tokens.verify(presented, scim.clock.now())?;
    let organizations = scim.organizations.load();
    let directory = organizations
        .get(organization)
        .filter(|directory| directory.organization() == token.organization)
        .cloned()
        .ok_or(Refusal::Unknown)?;
    Ok(Caller { directory, token, max_body: scim.limits.load().limits().max_body })
}

/// Whose request it is that was refused. A token that has ended, or is used at another organization's
/// address, still proves that; whoever has none of ours proves nothing.
pub(super) fn proof(scim: &Scim, headers: &HeaderMap, refusal: Refusal) -> Option<Of> {
    let token = scim.tokens.issued(bearer(headers)?)?;
    let organizations = scim.organizations.load();
    let directory = organizations.values().find(|one| one.organization() == token.organization)?;
    let refusal = match refusal {
        Refusal::Unknown => "a token of this organization at another one's address".to_owned(),
        ended => ended.to_string(),
    };
    Some(Of {
        organization: token.organization,
        info: Arc::clone(directory.info()),
        token: token.token,
        refusal: Some(refusal),
    })
}

/// Leaves word for whoever sets up a provider and wonders why nothing arrives.
pub(super) fn leave_word(scim: &Scim, organization: &str, refusal: Refusal, from: Option<IpAddr>) {
    if let Some((key, _)) = scim.organizations.load().get_key_value(organization) {
        let stranger = Stranger { at: scim.clock.now(), refusal, from };
        scim.tokens.turned_away(Arc::clone(key), stranger);
    }
}

/// The credentials of the one `Authorization` header. The scheme ignores case (RFC 9110 section
/// 11.1); after it comes exactly one space, as RFC 6750 section 2.1 writes it.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let (scheme, credentials) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(credentials)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers
                .append(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        assert_eq!(bearer(&headers), expected, "{values:?}");
    }

    #[test]
    fn the_scheme_ignores_case() {
        check(&["Bearer abc"], Some("abc"));
        check(&["bEARER abc"], Some("abc"));
    }

    #[test]
    fn one_space_follows_the_scheme() {
        // What is left of two spaces is no token.
        check(&["Bearer  abc"], Some(" abc"));
        check(&["Bearer\tabc"], None);
        check(&["Bearer"], None);
    }

    #[test]
    fn other_schemes_and_two_headers_are_nothing() {
        check(&[], None);
        check(&["Basic YTpi"], None);
        check(&["non-token"], None);
        check(&["Bearer å"], None);
        check(&["Bearer abc", "Bearer abc"], None);
    }
}
