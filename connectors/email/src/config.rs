//! `[email]`, as it is written and as it is checked.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fluent_langneg::LanguageIdentifier;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use scim_relay_sdk::connector::{
    BuildContext, Connector, Problem, Resource, Secret, Settings, Template, View,
};
use scim_relay_sdk::scim::{Membership, Relation, ResourceId, ResourceKey, ResourceKind};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Deserializer, de};

use crate::address::Sender;
use crate::client::{Pool, Smtp};
use crate::compose::Composer;
use crate::deliver::{Email, Transport};
use crate::event::Event;
use crate::folder::Folder;
use crate::language;
use crate::server::ServerUrl;
use crate::templates::Templates;

/// The section `[email]` of a connector file. Paths are relative to that file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `smtp`, or `file` for a folder of `.eml` files.
    #[serde(default)]
    transport: Kind,
    /// The SMTP server: `smtp://host:587` (STARTTLS) or `smtps://host:465`.
    url: Option<ServerUrl>,
    /// Whether mails and the password may cross the network in clear text where the server offers
    /// no STARTTLS.
    #[serde(default)]
    allow_plaintext: bool,
    /// The only authority whose certificates are trusted, as a PEM file; by default those of the
    /// machine.
    ca: Option<PathBuf>,
    username: Option<String>,
    password: Option<Secret>,
    /// The name we introduce ourselves with; by default this machine's.
    hello_name: Option<HelloName>,
    /// Where `transport = "file"` puts its mails.
    folder: Option<PathBuf>,
    /// `Lillevik IT <it@lillevik.example>`
    from: Sender,
    reply_to: Option<Sender>,
    /// A template that yields the recipient's address; by default the person's `email`.
    to: Option<Template>,
    /// A folder of texts that stand in for the built-in ones.
    templates: Option<PathBuf>,
    /// What people are written to about.
    #[serde(default = "on_creation")]
    triggers: Vec<Event>,
    /// The language of those who named none, in an organization that has none.
    #[serde(default)]
    default_locale: Locale,
    max_per_hour: Option<NonZeroU32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Smtp,
    File,
}

fn on_creation() -> Vec<Event> {
    vec![Event::Created]
}

/// A language tag.
#[derive(Clone, Debug)]
struct Locale(LanguageIdentifier);

impl Default for Locale {
    fn default() -> Self {
        Self(language::tag("en").expect("`en` is a language tag"))
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        language::tag(&text).map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "`{text}` is not a language tag; write it like `nb` or `de-AT`"
            ))
        })
    }
}

/// A host name or an address literal, for EHLO (RFC 5321 section 4.1.1.1).
#[derive(Clone, Debug)]
struct HelloName(ClientId);

impl<'de> Deserialize<'de> for HelloName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
        if text.is_empty() || text.len() > 255 || !text.chars().all(known) {
            return Err(de::Error::custom("a host name is needed, such as `relay.example.org`"));
        }
        Ok(Self(ClientId::Domain(text)))
    }
}

impl Settings for Config {
    const SECTION: &'static str = "email";

    fn check(&self, _several_organizations: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        match self.transport {
            Kind::Smtp => self.check_smtp(&mut problems),
            Kind::File => self.check_file(&mut problems),
        }
        if self.to.as_ref().is_some_and(|to| to.reads("password")) {
            problems.push(
                Problem::new("to", "a password is no address").help("no mail ever gets a password"),
            );
        }
        if self.triggers.is_empty() {
            problems.push(
                Problem::new("triggers", "without a trigger no mail is ever sent")
                    .help("leave it out for `[\"user.created\"]`"),
            );
        }
        problems
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        self.password.iter().map(|password| ("password", password)).collect()
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem> {
        let folder = self.templates.as_ref().map(|folder| context.folder.join(folder));
        let templates = Templates::load(folder.as_deref())?;
        for &event in &self.triggers {
            if templates.languages(event).is_empty() {
                let name = event.template();
                return Err(Problem::new(
                    "triggers",
                    format!("there is no template for `{}`", event.word()),
                )
                .help(format!("put `{name}.en.txt` into the folder that `templates` names")));
            }
            if let Some(view) = example(context) {
                templates.try_out(event, &view)?;
            }
        }
        let transport = match (self.transport, &self.url, &self.folder) {
            (Kind::Smtp, Some(url), _) => Transport::Smtp(Box::new(self.smtp(url, context)?)),
            (Kind::File, _, Some(folder)) => Transport::Folder(Folder(context.folder.join(folder))),
            (Kind::Smtp, None, _) => return Err(missing_url()),
            (Kind::File, _, None) => return Err(missing_folder()),
        };
        Ok(Arc::new(Email {
            composer: Composer {
                name: context.name.to_owned(),
                from: self.from.0.clone(),
                reply_to: self.reply_to.as_ref().map(|reply_to| reply_to.0.clone()),
                to: self
                    .to
                    .as_ref()
                    .map(|to| Template::parse(to.source()))
                    .transpose()
                    .map_err(|error| Problem::new("to", error.to_string()))?,
                templates,
                default_locale: self.default_locale.0.clone(),
            },
            triggers: self.triggers.clone(),
            transport,
            max_per_hour: self.max_per_hour,
        }))
    }
}

impl Config {
    fn check_smtp(&self, problems: &mut Vec<Problem>) {
        match &self.url {
            None => problems.push(missing_url()),
            Some(url) if url.implicit_tls && self.allow_plaintext => problems.push(
                Problem::new("allow_plaintext", "an `smtps://` server is never spoken to in clear")
                    .help("leave it out"),
            ),
            Some(_) => {}
        }
        if self.folder.is_some() {
            problems.push(
                Problem::new("folder", "mails go to a folder only with `transport = \"file\"`")
                    .help("leave out `folder`, or set `transport`"),
            );
        }
        match (&self.username, &self.password) {
            (Some(_), None) => {
                problems.push(Problem::new("username", "there is a `username` and no `password`"));
            }
            (None, Some(_)) => {
                problems.push(Problem::new("password", "there is a `password` and no `username`"));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn check_file(&self, problems: &mut Vec<Problem>) {
        if self.folder.is_none() {
            problems.push(missing_folder());
        }
        let idle = [
            ("url", self.url.is_some()),
            ("allow_plaintext", self.allow_plaintext),
            ("ca", self.ca.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("hello_name", self.hello_name.is_some()),
        ];
        for (key, _) in idle.into_iter().filter(|(_, given)| *given) {
            problems.push(
                Problem::new(key, format!("`{key}` has no effect with `transport = \"file\"`"))
                    .help(format!("leave out `{key}`, or `transport`")),
            );
        }
    }

    fn smtp(&self, url: &ServerUrl, context: &BuildContext<'_>) -> Result<Smtp, Problem> {
        let credentials = match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                let password = context
                    .secrets
                    .read(password.reference())
                    .map_err(|error| Problem::new("password", error.to_string()))?;
                let password = password.expose_secret().to_owned();
                Some(Credentials::new(username.clone(), password))
            }
            _ => None,
        };
        let ca = self.ca.as_ref().map(|ca| context.folder.join(ca));
        Ok(Smtp {
            server: url.clone(),
            tls: Arc::new(tls(ca.as_deref())?),
            allow_plaintext: self.allow_plaintext,
            hello: self.hello_name.as_ref().map(|name| name.0.clone()).unwrap_or_default(),
            credentials,
            timeout: context.timeout,
            pool: Pool::new(context.concurrency),
        })
    }
}

fn missing_url() -> Problem {
    Problem::new("url", "there is no mail server to send to")
        .help("set `url = \"smtp://mail.example.org:587\"`, or `transport = \"file\"`")
}

fn missing_folder() -> Problem {
    Problem::new("folder", "there is no folder to put mails into")
        .help("set `folder = \"/var/spool/scim-relay\"`, or leave out `transport`")
}

/// Trusts that authority alone, or those that the machine trusts.
fn tls(ca: Option<&Path>) -> Result<ClientConfig, Problem> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        let problem = |why: String| {
            Problem::new("ca", format!("`{}`: {why}", path.display()))
                .help("name a PEM file with the certificate of the authority")
        };
        let pem = fs::read(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate =
                certificate.map_err(|error| problem(format!("is not PEM: {error}")))?;
            roots.add(certificate).map_err(|error| problem(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(problem("holds no certificate".to_owned()));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(Problem::new("ca", "this machine trusts no authority at all")
                .help("install `ca-certificates`, or name the authority's PEM file in `ca`"));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Somebody to try templates out with.
fn example(context: &BuildContext<'_>) -> Option<View> {
    let organization = context.organizations.first()?;
    let attributes = serde_json::json!({
        "userName": "kari.nordmann",
        "externalId": "1001",
        "displayName": "Kari Nordmann",
        "name": { "givenName": "Kari", "familyName": "Nordmann" },
        "emails": [{ "value": "kari@example.org", "type": "work", "primary": true }],
        "active": true,
    });
    let person = Resource {
        key: ResourceKey {
            organization: Arc::clone(&organization.key),
            kind: ResourceKind::User,
            id: ResourceId::parse("00000000-0000-0000-0000-000000000000")?,
        },
        organization: Arc::clone(organization),
        attributes: attributes.as_object().cloned()?,
        groups: vec![Membership {
            id: ResourceId::parse("00000000-0000-0000-0000-000000000000")?,
            display: Some("Class 7A".to_owned()),
            relation: Relation::DirectGroup,
        }],
    };
    let view = View::of(&person);
    Some(view.with("recipient", "kari@example.org").with("language", "en").with("subject", "-"))
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
