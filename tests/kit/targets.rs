//! The connector files of the tests: what an administrator would write for these servers.

use super::slapd::{ADMIN, RELAY, RELAY_PASSWORD, Slapd};
use super::smtp;
use super::webhooks::Webhooks;

/// Retries that come soon, so that no test waits for one.
const RETRY: &str = "[retry]\nfirst = \"200ms\"\nlongest = \"1s\"\n";

/// For tests of something else that remove a lot.
pub(crate) const UNLIMITED: &str =
    "[safety]\nmax_removals = 1000000\nmax_member_removals = 1000000\n";

/// `[ldap]` for a directory, behind the general keys in `general`.
pub(crate) fn ldap(slapd: &Slapd, general: &str) -> String {
    ldap_below(slapd, general, "")
}

/// The same in a part of people's and groups' tree, `ou=north,` for example.
pub(crate) fn ldap_below(slapd: &Slapd, general: &str, place: &str) -> String {
    format!(
        r#"{general}
{RETRY}
[ldap]
url = "{url}"
ca = "{ca}"
bind_dn = "{RELAY}"
bind_password = "{RELAY_PASSWORD}"
[ldap.users]
dn = "uid={{{{ userName }}}},{place}ou=people,dc=example,dc=org"
correlate = ["employeeNumber", "mail"]
[ldap.users.attributes]
uid = "{{{{ userName }}}}"
cn = "{{{{ displayName }}}}"
sn = "{{{{ name.familyName }}}}"
mail = "{{{{ email }}}}"
title = "{{{{ title }}}}"
employeeNumber = "{{{{ externalId }}}}"
[ldap.users.deprovision]
deactivate = "disable"
delete = "delete"
[ldap.groups]
dn = "cn={{{{ displayName }}}},{place}ou=groups,dc=example,dc=org"
refint_nothing = "{ADMIN}"
"#,
        url = slapd.tls_url(),
        ca = slapd.ca().display(),
    )
}

/// `[webhook]` for a receiver of events.
pub(crate) fn webhook(receiver: &Webhooks, general: &str) -> String {
    events_to(&receiver.url(), general)
}

/// `[webhook]` for whoever receives events at this URL.
pub(crate) fn events_to(url: &str, general: &str) -> String {
    format!(
        "{general}\n{RETRY}\n[webhook]\nurl = \"{url}\"\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n"
    )
}

/// `[email]` for a mail server that asks for STARTTLS and a password.
pub(crate) fn mail(server: &smtp::Server, general: &str) -> String {
    format!(
        "{general}\n{RETRY}\n[email]\nurl = \"{}\"\nca = \"{}\"\nusername = \"relay\"\n\
         password = \"s3cret\"\nfrom = \"Lillevik IT <it@lillevik.example>\"\n",
        server.url("smtp"),
        server.folder().join("ca.pem").display(),
    )
}
