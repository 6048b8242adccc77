//! `[webhook]`: what can be written, and what can run.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use scim_relay_http::{Client, Guard, Network, Options, Url};
use scim_relay_sdk::connector::{BuildContext, Connector, Problem, Secret, SecretRef, Settings};
use secrecy::ExposeSecret;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::events::{EventsConnector, Pattern, Signer, key};
use crate::headers::{Headers, is_secret};
use crate::rest::{Rest, RestConnector};
use crate::target::{OwnHeaders, Target};

/// The section `[webhook]` of a connector file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where events are posted to.
    url: Option<Url>,
    /// What events are signed with: one `whsec_` secret, or a list while it is being changed.
    secret: Option<SigningSecrets>,
    /// Which events are sent; all of them where it is left out.
    events: Option<Vec<Pattern>>,
    /// Sent with every request.
    #[serde(default)]
    headers: Headers<Secret>,
    /// A PEM file of certificates that are trusted besides the system's.
    ca: Option<PathBuf>,
    /// The only networks that may be connected to.
    allow_networks: Option<Vec<Network>>,
    /// Lets `http://` leave this machine.
    #[serde(default)]
    allow_plaintext: bool,
    /// Calls to a REST interface, instead of events.
    rest: Option<Arc<Rest>>,
}

/// One secret or a list of them.
#[derive(Clone, Debug)]
struct SigningSecrets(Vec<Secret>);

impl Settings for Config {
    const SECTION: &'static str = "webhook";

    fn check(&self, several_organizations: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (&self.url, &self.rest) {
            (None, None) => problems.push(
                Problem::new("", "it names no target")
                    .help("give `url` and `secret` to post events, or a `[webhook.rest]` to call a REST interface"),
            ),
            (Some(_), Some(_)) => problems.push(
                Problem::new("rest", "`url` posts events and `[webhook.rest]` calls an interface; one connector does one of them")
                    .help("make a second connector file"),
            ),
            (Some(_), None) => self.check_events(&mut problems),
            (None, Some(rest)) => {
                self.check_rest(&mut problems);
                problems.extend(rest.check(several_organizations));
            }
        }
        self.check_network(&mut problems);
        self.check_headers(&mut problems);
        problems
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        let signing = self.secret.iter().flat_map(|list| &list.0).map(|secret| ("secret", secret));
        let own = self.headers.0.iter().filter(|(name, value)| is_secret(name, value));
        signing.chain(own.map(|(_, value)| ("headers", value))).collect()
    }

    fn wants_password(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.wants_password())
    }

    fn build(&self, context: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem> {
        let target = self.target(context)?;
        if let Some(rest) = &self.rest {
            return Ok(Arc::new(RestConnector { rest: Arc::clone(rest), target }));
        }
        let url = self.url.clone().ok_or_else(|| Problem::new("url", "it is missing"))?;
        Ok(Arc::new(EventsConnector {
            url,
            signer: self.signer(context)?,
            patterns: self.events.clone().unwrap_or_else(|| vec![Pattern::Any]),
            target,
        }))
    }
}

impl Config {
    fn check_events(&self, problems: &mut Vec<Problem>) {
        let make = "`echo \"whsec_$(openssl rand -base64 32)\"` makes one";
        match &self.secret {
            None => problems.push(
                Problem::new(
                    "secret",
                    "it is missing, so a receiver could not tell our events from anybody's",
                )
                .help(make),
            ),
            Some(SigningSecrets(list)) if list.is_empty() => {
                problems.push(Problem::new("secret", "the list holds no secret").help(make));
            }
            Some(SigningSecrets(list)) => {
                for secret in list {
                    if let SecretRef::Inline(text) = secret.reference()
                        && let Err(why) = key(text.expose_secret())
                    {
                        problems.push(Problem::new("secret", why).help(make));
                    }
                }
            }
        }
        if self.events.as_ref().is_some_and(Vec::is_empty) {
            problems.push(
                Problem::new("events", "it selects nothing, so nothing would ever be sent")
                    .help("leave it out for all events"),
            );
        }
    }

    fn check_rest(&self, problems: &mut Vec<Problem>) {
        for (name, given) in [("secret", self.secret.is_some()), ("events", self.events.is_some())]
        {
            if given {
                problems.push(
                    Problem::new(
                        name,
                        "it belongs to events and has no meaning with `[webhook.rest]`",
                    )
                    .help("leave it out; credentials for the interface go into `headers`"),
                );
            }
        }
    }

    fn check_headers(&self, problems: &mut Vec<Problem>) {
        for (name, value) in &self.headers.0 {
            let path = format!("headers.{name}");
            if *name == CONTENT_TYPE {
                problems.push(
                    Problem::new(&path, "the content type belongs to the body, not to every request")
                        .help("events are always JSON; a call of `[webhook.rest]` names its own in its `headers`"),
                );
            }
            if let SecretRef::Inline(text) = value.reference()
                && text.expose_secret().contains("{{")
            {
                problems.push(
                    Problem::new(&path, "these headers are sent as they are written, without templates")
                        .help("a call of `[webhook.rest]` has `headers` of its own, which may hold templates"),
                );
            }
        }
    }

    fn check_network(&self, problems: &mut Vec<Problem>) {
        if self.allow_networks.as_ref().is_some_and(Vec::is_empty) {
            problems.push(
                Problem::new("allow_networks", "it lists no network, so nothing could be reached")
                    .help("leave it out to allow all that is not refused anyway"),
            );
        }
        let guard = Guard::new(self.allow_networks.clone());
        if let Some(url) = &self.url {
            problems.extend(url.check("url", self.allow_plaintext, &guard));
        }
        for (path, call) in self.rest.iter().flat_map(|rest| rest.all()) {
            let path = format!("rest.{path}.url");
            problems.extend(call.base().check(&path, self.allow_plaintext, &guard));
        }
    }

    fn target(&self, context: &BuildContext<'_>) -> Result<Target, Problem> {
        let ca = match &self.ca {
            None => None,
            Some(path) => {
                let path = context.folder.join(path);
                let pem = std::fs::read(&path).map_err(|error| {
                    Problem::new("ca", format!("`{}` cannot be read: {error}", path.display()))
                })?;
                Some(pem)
            }
        };
        let client = Client::new(Options {
            ca,
            guard: Guard::new(self.allow_networks.clone()),
            timeout: context.timeout,
            concurrency: context.concurrency,
        })
        .map_err(|error| Problem::new("ca", error.to_string()))?;
        Ok(Target { client, headers: OwnHeaders::read(&self.headers, context.secrets)? })
    }

    fn signer(&self, context: &BuildContext<'_>) -> Result<Signer, Problem> {
        let secrets = self.secret.iter().flat_map(|list| &list.0);
        let secrets = secrets.map(|secret| context.secrets.read(secret.reference()));
        let secrets = secrets
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Problem::new("secret", error.to_string()))?;
        Signer::new(&secrets).map_err(|why| Problem::new("secret", why))
    }
}

impl<'de> Deserialize<'de> for SigningSecrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SigningSecretsVisitor)
    }
}

struct SigningSecretsVisitor;

impl<'de> Visitor<'de> for SigningSecretsVisitor {
    type Value = SigningSecrets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a secret, or a list of secrets: `{ file = \"..\" }`, `{ env = \"..\" }`, \
             `{ credential = \"..\" }` or a string",
        )
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<SigningSecrets, E> {
        Ok(SigningSecrets(vec![Secret::inline(value)]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SigningSecrets, A::Error> {
        let secret = Secret::deserialize(MapAccessDeserializer::new(map))?;
        Ok(SigningSecrets(vec![secret]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<SigningSecrets, A::Error> {
        let mut secrets = Vec::new();
        while let Some(secret) = list.next_element()? {
            secrets.push(secret);
        }
        Ok(SigningSecrets(secrets))
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
