//! Passwords that are passed on: written when one comes, never read, never compared, shown to nobody.

use std::fmt;

use scim_relay_sdk::connector::{DeliveryError, Link, Problem, Resource, View};
use secrecy::SecretString;

use crate::config::{Config, Mapping, Users};
use crate::connector::Ldap;
use crate::dialect::Dialect;
use crate::dn;
use crate::error::{Fault, Kind};
use crate::project;
use crate::transport::{Attributes, Secret};
use crate::url::Url;

/// The variable of a template that a password goes into.
pub(crate) const VARIABLE: &str = "password";
/// The one attribute that the Password Modify operation is about.
const USER_PASSWORD: &str = "userPassword";

/// What a password makes of the attributes whose templates read it.
#[derive(Clone, Default)]
pub(crate) struct Hidden(Attributes);

impl Hidden {
    /// Nothing, where no password came.
    pub(crate) fn of(
        users: &Users,
        resource: &Resource,
        password: Option<&SecretString>,
    ) -> Result<Self, DeliveryError> {
        let Some(password) = password else { return Ok(Self::default()) };
        let view = View::of(resource).with_password(password);
        let mut attributes = Attributes::new();
        for (name, template) in users.hidden() {
            // What goes wrong may quote the password, so the template's own words are left out.
            let values = project::rendered(template, &view).map_err(|_| {
                DeliveryError::refused(format!(
                    "users.attributes.{name}: the template cannot be filled in with this password"
                ))
            })?;
            if !values.is_empty() {
                attributes.push((name.to_owned(), values));
            }
        }
        Ok(Self(attributes))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// What a server said, without the password, should it have repeated it.
    fn censored(&self, mut fault: Fault) -> Fault {
        if let Fault::Refusal(refusal) = &mut fault {
            for value in self.0.iter().flat_map(|(_, values)| values) {
                let value = String::from_utf8_lossy(value);
                refusal.text = refusal.text.replace(&*value, "***");
            }
        }
        fault
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Ldap {
    /// Sets the password of an entry that is in line otherwise: so nothing else ever waits for a
    /// password that the directory will not take.
    pub(crate) async fn set_hidden(
        &self,
        hidden: &Hidden,
        dialect: &Dialect,
        link: &Link,
    ) -> Result<(), DeliveryError> {
        for (name, values) in &hidden.0 {
            let secret = match values.as_slice() {
                // The server then hashes it and applies its policy (RFC 3062); what is merely
                // written, OpenLDAP keeps as it is.
                [value] if dialect.password_modify && dn::same_attribute(name, USER_PASSWORD) => {
                    Secret::Password(String::from_utf8_lossy(value).into_owned().into())
                }
                _ => Secret::Attribute(name.clone(), values.clone()),
            };
            let written = self.transport.write_secret(&link.address, secret).await;
            written.map_err(|fault| failed(hidden.censored(fault), name, link))?;
        }
        Ok(())
    }
}

/// Whatever the server has against this password, or against passwords over such a connection, the
/// rest of the entry is written and so is everybody else's.
fn failed(fault: Fault, name: &str, link: &Link) -> DeliveryError {
    let is_answer = fault.code().is_some();
    let said = match fault.into_error(Kind::Write, &format!("setting {name} of `{}`", link.address))
    {
        DeliveryError::Refused { reason } => reason,
        DeliveryError::Credentials { what, .. } if is_answer => what,
        other => return other,
    };
    let reason = format!(
        "{said}; all else is written. Another password from the provider, or a retry, tries again; \
         skipping goes on without this one"
    );
    DeliveryError::Partly { link: Box::new(link.clone()), reason }
}

/// Where a password must not go.
pub(crate) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let mut refuse = |path: &str, mapping: &Mapping, message: &str, help: &str| {
        for (name, _) in mapping.iter().filter(|(_, template)| template.reads(VARIABLE)) {
            problems.push(Problem::new(format!("{path}.{name}"), message).help(help));
        }
    };
    if let Some(users) = &config.users {
        let message = "a password is written when one comes, and at no other time";
        let help = "move it to [ldap.users.attributes]";
        refuse("users.initial", &users.initial, message, help);
        let overlay = &users.deprovision.disabled_attributes;
        refuse("users.deprovision.disabled_attributes", overlay, message, help);
        if matches!(config.url, Url::File(_)) {
            refuse(
                "users.attributes",
                &users.attributes,
                "a file would keep everybody's password in clear text",
                "leave it out, or name a server in `url`",
            );
        }
    }
    if let Some(groups) = &config.groups {
        refuse("groups.attributes", &groups.attributes, "a group has no password", "leave it out");
    }
    if let Some(users) = &config.users {
        check_users(users, problems);
    }
}

fn check_users(users: &Users, problems: &mut Vec<Problem>) {
    if users.dn.reads(VARIABLE) {
        problems.push(
            Problem::new("users.dn", "everybody's password would be part of their name")
                .help("name them by something that others may know"),
        );
    }
    for (name, _) in users.hidden() {
        if users.correlate.iter().any(|other| dn::same_attribute(other, name)) {
            problems.push(
                Problem::new("users.correlate", format!("`{name}` holds a password"))
                    .help("correlate by what can be looked for"),
            );
        }
        if users.deprovision.disabled_attributes.get(name).is_some() {
            problems.push(
                Problem::new(
                    format!("users.deprovision.disabled_attributes.{name}"),
                    "a password that comes later would be written over it",
                )
                .help("leave it out: a disabled account is locked"),
            );
        }
    }
    let kept = users.kept().find(|(name, _)| dn::same_attribute(name, USER_PASSWORD));
    if let Some((name, _)) = kept {
        problems.push(
            Problem::new(
                format!("users.attributes.{name}"),
                "a stored password never equals what was written, so it would be written again and \
                 again",
            )
            .help(
                "userPassword = \"{{ password }}\" passes on what the provider sends; a password that \
                 is set once belongs in [ldap.users.initial]",
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use scim_relay_sdk::connector::Stage;
    use scim_relay_sdk::testing::ada;

    use super::*;

    fn users(attributes: &str) -> Users {
        toml::from_str(&format!("dn = \"uid={{{{ userName }}}},dc=x\"\n[attributes]\n{attributes}"))
            .unwrap()
    }

    #[test]
    fn only_a_password_that_came_is_written_and_no_debug_shows_it() {
        let users = users("cn = \"{{ displayName }}\"\nuserPassword = \"{{ password }}\"");
        assert!(Hidden::of(&users, &ada(), None).unwrap().is_empty());
        let hidden = Hidden::of(&users, &ada(), Some(&"canary".into())).unwrap();
        assert_eq!(hidden.0, [("userPassword".to_owned(), vec![b"canary".to_vec()])]);
        assert_eq!(format!("{hidden:?}"), "[\"userPassword\"]");
    }

    #[test]
    fn a_server_that_repeats_it_does_not_put_it_into_a_message() {
        let users = users("userPassword = \"{{ password }}\"");
        let hidden = Hidden::of(&users, &ada(), Some(&"canary".into())).unwrap();
        let fault = hidden.censored(Fault::refusal(19, "canary is too short"));
        assert_eq!(
            fault.into_error(Kind::Write, "x").to_string(),
            "x: the server answered constraintViolation (19), \"*** is too short\""
        );
    }

    #[test]
    fn what_the_server_has_against_a_password_stops_nobody_else() {
        let link = Link {
            target_id: "1".to_owned(),
            address: "uid=ada".to_owned(),
            hash: None,
            stage: Stage::Active,
            since: Timestamp::UNIX_EPOCH,
        };
        let partly = |fault| matches!(failed(fault, "x", &link), DeliveryError::Partly { .. });
        // Too weak, confidentiality required, no right to, unwilling.
        assert!([19, 13, 50, 53].into_iter().all(|code| partly(Fault::refusal(code, ""))));
        // Busy, vanished; and what is no answer at all.
        assert!(![51, 32].into_iter().any(|code| partly(Fault::refusal(code, ""))));
        assert!(!partly(Fault::Setup { what: "the bind was refused".to_owned() }));
        assert!(!partly(Fault::Lost { source: "timeout".into(), closed: false }));
    }

    #[test]
    fn a_template_that_fails_says_nothing_of_the_password() {
        let users = users("userPassword = \"{{ password | int }}\"");
        let error = Hidden::of(&users, &ada(), Some(&"canary".into())).unwrap_err().to_string();
        assert!(error.starts_with("users.attributes.userPassword: "), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}
