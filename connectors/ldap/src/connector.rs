//! The connector as the engine sees it, and what its parts share.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use scim_relay_sdk::connector::{
    Action, Connector, Delivered, DeliveryError, Health, HoldKind, Inventory, Link, Preview, Reads,
    Semantics, Work,
};
use scim_relay_sdk::scim::ResourceKind;

use crate::config::{Groups, Users};
use crate::dialect::{Dialect, Flavor};
use crate::dn::Dn;
use crate::error::{Fault, Kind, code};
use crate::filter::Filter;
use crate::transport::{Entry, Query, Scope, Transport};

pub(crate) struct Ldap {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) users: Option<Arc<Users>>,
    pub(crate) groups: Option<Arc<Groups>>,
    /// Whether people of several organizations are written, so that a provider's id is unique in
    /// none of them.
    pub(crate) several_organizations: bool,
    /// The member of a group that has no other.
    pub(crate) placeholder: Dn,
    flavor: Flavor,
    /// What the server said of itself, once it was asked.
    dialect: Mutex<Option<Dialect>>,
}

impl Ldap {
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        flavor: Flavor,
        users: Option<Arc<Users>>,
        groups: Option<Arc<Groups>>,
        bind_dn: Option<Dn>,
        several_organizations: bool,
    ) -> Self {
        let placeholder = groups
            .as_ref()
            .and_then(|groups| groups.placeholder_member.clone())
            .or(bind_dn)
            .unwrap_or_else(|| Dn::parse("cn=nobody").expect("this is a name"));
        let dialect = Mutex::default();
        Self { transport, users, groups, several_organizations, placeholder, flavor, dialect }
    }

    /// The server's ways, asked for once.
    pub(crate) async fn dialect(&self) -> Result<Dialect, DeliveryError> {
        if let Some(known) = self.known_dialect() {
            return Ok(known);
        }
        self.ask_dialect()
            .await
            .map_err(|fault| fault.into_error(Kind::Read, "reading the root entry"))
    }

    async fn ask_dialect(&self) -> Result<Dialect, Fault> {
        let dialect = Dialect::of(self.transport.as_ref(), self.flavor).await?;
        *self.dialect.lock().unwrap_or_else(PoisonError::into_inner) = Some(dialect.clone());
        Ok(dialect)
    }

    fn known_dialect(&self) -> Option<Dialect> {
        self.dialect.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server's ways as far as they are known, without asking it.
    pub(crate) fn assumed_dialect(&self) -> Dialect {
        self.known_dialect().unwrap_or_else(|| Dialect::assumed(self.flavor, true))
    }

    /// One entry, if it is there.
    pub(crate) async fn read(
        &self,
        dn: &str,
        attributes: &[String],
    ) -> Result<Option<Entry>, DeliveryError> {
        let query = Query { base: dn, scope: Scope::Base, filter: Filter::anything(), attributes };
        match self.transport.find(&query, 1).await {
            Ok(entries) => Ok(entries.into_iter().next()),
            Err(fault) if fault.code() == Some(code::NO_SUCH_OBJECT) => Ok(None),
            Err(fault) => Err(fault.into_error(Kind::Read, &format!("reading `{dn}`"))),
        }
    }

    /// The first `limit` entries below `base` that match; none if there is no such base.
    pub(crate) async fn search(
        &self,
        base: &Dn,
        filter: Filter,
        attributes: &[String],
        limit: usize,
    ) -> Result<Vec<Entry>, DeliveryError> {
        let base = base.to_string();
        let query = Query { base: &base, scope: Scope::Subtree, filter, attributes };
        match self.transport.find(&query, limit).await {
            Err(fault) if fault.code() == Some(code::NO_SUCH_OBJECT) => Ok(Vec::new()),
            found => {
                found.map_err(|fault| fault.into_error(Kind::Read, &format!("searching `{base}`")))
            }
        }
    }

    /// Deletes an entry; one that is not there any more is as good.
    pub(crate) async fn remove(&self, dn: &str) -> Result<(), DeliveryError> {
        match self.transport.delete(dn).await {
            Err(fault) if fault.code() == Some(code::NO_SUCH_OBJECT) => Ok(()),
            done => {
                done.map_err(|fault| fault.into_error(Kind::Write, &format!("deleting `{dn}`")))
            }
        }
    }

    /// Where people's entries can be: their base, and the place for leavers beside it.
    pub(crate) fn user_places(users: &Users) -> Vec<&Dn> {
        let base = users.base();
        let beside = (users.deprovision.move_to.as_ref())
            .filter(|place| base.is_none_or(|base| !place.is_within(base)));
        base.into_iter().chain(beside).collect()
    }
}

/// Answers [`DeliveryError::Hold`] unless removals are allowed.
pub(crate) fn demand_removal(
    work: &Work,
    summary: impl FnOnce() -> String,
) -> Result<(), DeliveryError> {
    if work.permit.remove {
        Ok(())
    } else {
        Err(DeliveryError::hold(HoldKind::Removal, 1, summary()))
    }
}

/// Nothing is held, and nothing was to be done.
pub(crate) fn ignored(link: Option<Link>) -> Delivered {
    Delivered { link, revisit: None, action: Action::Ignored }
}

#[async_trait]
impl Connector for Ldap {
    fn semantics(&self) -> Semantics {
        Semantics::LatestState
    }

    fn wants_members(&self) -> bool {
        self.groups.is_some()
    }

    fn reads(&self) -> Reads {
        Reads { groups: self.users.as_ref().is_some_and(|users| users.reads_groups()) }
    }

    async fn deliver(&self, work: &Work) -> Result<Delivered, DeliveryError> {
        match (work.key.kind, &self.users, &self.groups) {
            (ResourceKind::User, Some(users), _) => self.deliver_user(users, work).await,
            (ResourceKind::Group, _, Some(groups)) => self.deliver_group(groups, work).await,
            _ => Ok(ignored(work.link.clone())),
        }
    }

    async fn preview(&self, work: &Work) -> Result<Preview, DeliveryError> {
        self.preview_text(work).map(|text| Preview { text })
    }

    async fn probe(&self) -> Result<Health, DeliveryError> {
        // Asked anew: an overlay may have been loaded since.
        let dialect = self
            .ask_dialect()
            .await
            .map_err(|fault| fault.into_error(Kind::Read, "reading the root entry"))?;
        self.demand_bases().await?;
        let mut summary = format!("{} at {}", dialect.product, self.transport.place());
        if let Some(identity) = self.transport.identity() {
            summary.push_str(", bound as ");
            summary.push_str(identity);
        }
        Ok(Health { summary })
    }

    fn inventory(&self) -> Option<&dyn Inventory> {
        Some(self)
    }
}

impl Ldap {
    /// A base that is not there would let every single entry fail.
    async fn demand_bases(&self) -> Result<(), DeliveryError> {
        if !self.transport.has_containers() {
            return Ok(());
        }
        for (path, base) in self.bases() {
            if self.read(&base.to_string(), &["objectClass".to_owned()]).await?.is_none() {
                return Err(DeliveryError::credentials(format!(
                    "`{base}` ([ldap.{path}]) does not exist at {}, or the bind DN may not read it",
                    self.transport.place(),
                )));
            }
        }
        Ok(())
    }

    /// Every part of the tree that the configuration names, and by which key.
    fn bases(&self) -> Vec<(&'static str, &Dn)> {
        let users = self.users.as_deref();
        let groups = self.groups.as_deref();
        [
            ("users", users.and_then(Users::base)),
            (
                "users.deprovision.move_to",
                users.and_then(|users| users.deprovision.move_to.as_ref()),
            ),
            ("groups", groups.and_then(Groups::base)),
        ]
        .into_iter()
        .filter_map(|(path, base)| base.map(|base| (path, base)))
        .collect()
    }
}
