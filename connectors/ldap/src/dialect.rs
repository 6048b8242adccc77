//! What one kind of server does otherwise than the next: what its entries are known by for ever,
//! and how it is told that somebody may not sign in.

use serde::{Deserialize, Deserializer, de};

use crate::error::Fault;
use crate::filter::Filter;
use crate::transport::{Entry, Query, Scope, Transport};

/// `flavor` as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// Whatever the server says of itself.
    #[default]
    Auto,
    OpenLdap,
    Ds389,
    FreeIpa,
}

impl<'de> Deserialize<'de> for Flavor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match word.as_str() {
            "auto" => Ok(Self::Auto),
            "openldap" => Ok(Self::OpenLdap),
            "389ds" => Ok(Self::Ds389),
            "freeipa" => Ok(Self::FreeIpa),
            "active-directory" => Err(de::Error::custom(
                "active-directory is not supported in this version; \
                 write auto, openldap, 389ds or freeipa",
            )),
            _ => Err(de::Error::unknown_variant(&word, &["auto", "openldap", "389ds", "freeipa"])),
        }
    }
}

/// A server's ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// What a person calls the product.
    pub(crate) product: String,
    /// The operational attribute that no rename changes.
    pub(crate) anchor: &'static str,
    /// What locks an account until it is taken away; `None` where the server knows nothing such.
    pub(crate) lock: Option<Lock>,
    /// It has the Password Modify operation.
    pub(crate) password_modify: bool,
}

/// An attribute and the value by which an account is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) attribute: &'static str,
    pub(crate) value: &'static str,
}

/// The time that means "until an administrator unlocks it" (draft-behera-ldap-password-policy
/// section 5.3.3).
const LOCKED_BY_POLICY: Lock = Lock { attribute: "pwdAccountLockedTime", value: "000001010000Z" };

const LOCKED_IN_389DS: Lock = Lock { attribute: "nsAccountLock", value: "TRUE" };

/// The control that comes with the password policy.
const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// The Password Modify operation (RFC 3062).
const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

/// The capability by which an Active Directory is known.
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

impl Dialect {
    /// Reads the root DSE (RFC 4512 section 5.1).
    pub(crate) async fn of(transport: &dyn Transport, flavor: Flavor) -> Result<Self, Fault> {
        let attributes = [
            "objectClass",
            "vendorName",
            "vendorVersion",
            "supportedControl",
            "supportedCapabilities",
            "supportedExtension",
        ]
        .map(str::to_owned);
        let query = Query {
            base: "",
            scope: Scope::Base,
            filter: Filter::anything(),
            attributes: &attributes,
        };
        let root = transport.find(&query, 1).await?.pop().unwrap_or_default();
        if root.has("supportedCapabilities", ACTIVE_DIRECTORY) {
            return Err(Fault::Setup {
                what: format!(
                    "{} is an Active Directory, which is not supported in this version",
                    transport.place()
                ),
            });
        }
        Ok(Self::from_root(&root, flavor))
    }

    fn from_root(root: &Entry, flavor: Flavor) -> Self {
        let vendor = root.text("vendorName").unwrap_or_default();
        let flavor = match flavor {
            Flavor::Auto if vendor.contains("389") => Flavor::Ds389,
            Flavor::Auto if root.has("objectClass", "OpenLDAProotDSE") => Flavor::OpenLdap,
            given => given,
        };
        let product = match (flavor, root.text("vendorVersion")) {
            (Flavor::OpenLdap, _) => "OpenLDAP".to_owned(),
            (_, Some(version)) => version.to_owned(),
            (Flavor::Ds389, None) => "389 Directory Server".to_owned(),
            (Flavor::FreeIpa, None) => "FreeIPA".to_owned(),
            (Flavor::Auto, None) if vendor.is_empty() => "an LDAP server".to_owned(),
            (Flavor::Auto, None) => vendor.to_owned(),
        };
        let policy = root.has("supportedControl", PASSWORD_POLICY);
        let password_modify = root.has("supportedExtension", PASSWORD_MODIFY);
        Self { product, password_modify, ..Self::assumed(flavor, policy) }
    }

    /// What holds of a server that was not asked.
    pub(crate) fn assumed(flavor: Flavor, password_policy: bool) -> Self {
        let (product, anchor, lock) = match flavor {
            Flavor::Ds389 | Flavor::FreeIpa => {
                ("389 Directory Server", "nsUniqueId", Some(LOCKED_IN_389DS))
            }
            Flavor::Auto | Flavor::OpenLdap => {
                ("OpenLDAP", "entryUUID", password_policy.then_some(LOCKED_BY_POLICY))
            }
        };
        Self { product: product.to_owned(), anchor, lock, password_modify: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(attributes: &[(&str, &str)]) -> Entry {
        let attributes = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), vec![value.as_bytes().to_vec()]))
            .collect();
        Entry::new("", attributes)
    }

    #[test]
    fn a_server_is_known_by_its_root_entry() {
        let openldap =
            root(&[("objectClass", "OpenLDAProotDSE"), ("supportedControl", PASSWORD_POLICY)]);
        let dialect = Dialect::from_root(&openldap, Flavor::Auto);
        assert_eq!((dialect.product.as_str(), dialect.anchor), ("OpenLDAP", "entryUUID"));
        assert_eq!(dialect.lock, Some(LOCKED_BY_POLICY));

        let ds = root(&[("vendorName", "389 Project"), ("vendorVersion", "389-Directory/2.3.1")]);
        let dialect = Dialect::from_root(&ds, Flavor::Auto);
        assert_eq!(
            (dialect.product.as_str(), dialect.anchor),
            ("389-Directory/2.3.1", "nsUniqueId")
        );
        assert_eq!(dialect.lock, Some(LOCKED_IN_389DS));
    }

    #[test]
    fn a_server_without_a_password_policy_cannot_lock() {
        let plain = root(&[("objectClass", "OpenLDAProotDSE")]);
        assert_eq!(Dialect::from_root(&plain, Flavor::Auto).lock, None);
        let unknown = Dialect::from_root(&root(&[]), Flavor::Auto);
        assert_eq!((unknown.product.as_str(), unknown.lock), ("an LDAP server", None));
    }

    #[test]
    fn what_is_written_goes_before_what_the_server_says() {
        let plain = root(&[("vendorName", "Somebody")]);
        assert_eq!(Dialect::from_root(&plain, Flavor::FreeIpa).anchor, "nsUniqueId");
    }
}
