//! The kinds of connectors that a configuration may name, without naming one of them.
//!
//! The daemon hands in the list; a kind is a connector's [`Settings`] with its type put away.

use std::sync::Arc;

use scim_relay_sdk::connector::{BuildContext, Connector, Leavers, Problem, Secret, Settings};
use toml::de::ValueDeserializer;

use super::read::{Misread, decode};

/// One kind of connector: the name of its section, and how that section is read.
#[derive(Clone, Copy)]
pub struct Kind {
    section: &'static str,
    read: fn(ValueDeserializer<'_>) -> Result<Arc<dyn AnySettings>, Misread>,
}

impl Kind {
    /// The kind that these settings are of.
    pub const fn of<S: Settings>() -> Self {
        Self {
            section: S::SECTION,
            read: |section| Ok(Arc::new(decode::<S>(section)?) as Arc<dyn AnySettings>),
        }
    }

    /// The section's name, e.g. `ldap`.
    pub fn section(&self) -> &'static str {
        self.section
    }

    pub(super) fn read(
        &self,
        section: ValueDeserializer<'_>,
    ) -> Result<Arc<dyn AnySettings>, Misread> {
        (self.read)(section)
    }
}

/// [`Settings`] of some kind.
pub trait AnySettings: Send + Sync {
    /// The section's name, which is the connector's kind.
    fn kind(&self) -> &'static str;
    /// See [`Settings::check`].
    fn check(&self, several_organizations: bool) -> Vec<Problem>;
    /// See [`Settings::secrets`].
    fn secrets(&self) -> Vec<(&'static str, &Secret)>;
    /// See [`Settings::wants_password`].
    fn wants_password(&self) -> bool;
    /// See [`Settings::leavers`].
    fn leavers(&self) -> Leavers;
    /// See [`Settings::build`].
    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem>;
}

impl<S: Settings> AnySettings for S {
    fn kind(&self) -> &'static str {
        S::SECTION
    }

    fn check(&self, several_organizations: bool) -> Vec<Problem> {
        Settings::check(self, several_organizations)
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        Settings::secrets(self)
    }

    fn wants_password(&self) -> bool {
        Settings::wants_password(self)
    }

    fn leavers(&self) -> Leavers {
        Settings::leavers(self)
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem> {
        Settings::build(self, context)
    }
}
