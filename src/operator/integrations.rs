//! Where a provider reaches an organization, and with which tokens.

use std::net::IpAddr;

use http::Uri;
use jiff::Timestamp;

use super::tokens::{self, TokenLine};
use super::{Calls, Operator, Reach, Result};
use crate::config::Config;
use crate::store::{OrgId, TokenRow};

/// All that a provider must know of an organization, and what it knows already.
#[derive(Clone, Debug)]
pub struct Integration {
    pub key: String,
    pub name: String,
    /// The base address of its SCIM service.
    pub endpoint: String,
    /// BCP 47 tag of its language.
    pub locale: Option<String>,
    /// In the order in which they were made; those that have ended, too.
    pub tokens: Vec<TokenLine>,
}

/// Whether a provider in the cloud can call the public address at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reachability {
    Public,
    /// It is this machine's own name for itself.
    Loopback,
    /// Providers send no token over it.
    ClearText,
}

impl Operator {
    /// Of all organizations within reach, by key.
    pub async fn integrations(&self, reach: &Reach) -> Result<Vec<Integration>> {
        let runtime = self.runtime.load_full();
        let (rows, now) = (self.store.tokens().await?, self.clock.now());
        let within = runtime.organizations.iter().filter(|(key, _)| reach.contains(key));
        Ok(within.map(|(key, id)| integration(&runtime.config, key, *id, &rows, now)).collect())
    }

    /// Of one organization.
    pub async fn integration(&self, organization: &str) -> Result<Integration> {
        let (id, config) = (self.organization(organization)?, &self.runtime.load_full().config);
        let (rows, now) = (self.store.tokens().await?, self.clock.now());
        Ok(integration(config, organization, id, &rows, now))
    }

    pub fn reachability(&self) -> Reachability {
        reachability(&self.runtime.load().config.public_url)
    }

    /// What its provider asked lately, at a glance: no names and no bodies, so that it takes no look
    /// that would have to be written down.
    pub async fn calls(&self, organization: &str) -> Result<Calls> {
        let id = self.organization(organization)?;
        let rows = self.store.calls(id).await?;
        Ok(Calls::new(rows, self.tokens.stranger(organization)))
    }
}

fn integration(
    config: &Config,
    key: &str,
    id: OrgId,
    rows: &[TokenRow],
    now: Timestamp,
) -> Integration {
    let info = config.organizations.get(key).map(|one| &one.info);
    Integration {
        key: key.to_owned(),
        name: info.map_or(key, |info| &info.name).to_owned(),
        endpoint: config.endpoint(key),
        locale: info.and_then(|info| info.locale.clone()),
        tokens: tokens::lines(key, id, rows, now),
    }
}

fn reachability(public_url: &str) -> Reachability {
    let uri = public_url.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = match host.parse::<IpAddr>() {
        Ok(ip) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    };
    if is_loopback {
        Reachability::Loopback
    } else if uri.scheme_str() == Some("https") {
        Reachability::Public
    } else {
        Reachability::ClearText
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_in_the_cloud_needs_a_name_of_the_world_and_https() {
        for (url, expected) in [
            ("https://scim.lillevik.example", Reachability::Public),
            ("https://scim.lillevik.example:8443/relay", Reachability::Public),
            ("http://scim.lillevik.example", Reachability::ClearText),
            ("http://127.0.0.1:8080", Reachability::Loopback),
            ("https://[::1]:8443", Reachability::Loopback),
            ("http://0.0.0.0:8080", Reachability::Loopback),
            ("https://localhost", Reachability::Loopback),
        ] {
            assert_eq!(reachability(url), expected, "{url}");
        }
    }
}
