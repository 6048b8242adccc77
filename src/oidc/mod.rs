//! Sign-in by an identity provider: OpenID Connect Core 1.0, the authorization code flow with PKCE
//! (RFC 7636).
//!
//! A browser is sent to the provider ([`Provider::begin`]) and comes back with a code, which is
//! exchanged for an ID token ([`Provider::finish`]). What the token says is taken only if `token`
//! finds it sound. What this house does with it, who gets which role, is not known here.

mod pending;
mod token;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, header};
use jiff::Timestamp;
use jsonwebtoken::jwk::Jwk;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay_http::{Client, ClientError, Guard, Options, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ids;

pub use pending::BOUND_FOR;
pub use token::Claims;

use pending::{Pending, Trip};

/// For one exchange with the provider.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For how long its addresses and keys are taken as known.
const FRESH: Duration = Duration::from_hours(12);
/// How often its keys are asked for, because of one that is not known.
const KEYS_EVERY: Duration = Duration::from_mins(1);

/// What the relay knows of the provider beforehand.
#[derive(Clone, Debug)]
pub struct Settings {
    /// No slash at the end unless the provider has one.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: SecretString,
    /// `openid` among them.
    pub scopes: Vec<String>,
    /// Certificates in PEM form that are trusted besides the system's.
    pub ca: Option<Vec<u8>>,
    /// Where the provider sends browsers back to.
    pub redirect_uri: String,
}

/// Why nobody came in; a sentence for whoever tried, and one for whoever configures it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// This browser began no sign-in, or too long ago, or did so twice.
    #[error("this sign-in began too long ago, in another browser, or was finished already")]
    Stale,
    /// The provider says no.
    #[error("the identity provider says: {0}")]
    Refused(String),
    /// The provider does not answer as OpenID Connect wants it.
    #[error("{0}")]
    Provider(String),
}

type Result<T> = std::result::Result<T, OidcError>;

/// An identity provider that people sign in with.
pub struct Provider {
    settings: Settings,
    client: Client,
    pending: Pending,
    known: Mutex<Option<Arc<Known>>>,
}

/// What the provider said of itself.
struct Known {
    at: Timestamp,
    addresses: Addresses,
    keys: Vec<Jwk>,
    keys_at: Timestamp,
}

/// OpenID Connect Discovery 1.0 section 3.
#[derive(Clone, Deserialize)]
struct Addresses {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// Where a browser is to go, and what it is to keep until it is back.
pub struct Begin {
    pub address: String,
    /// For a cookie: who comes back with another one did not set out here.
    pub bound: SecretString,
}

/// With what a browser comes back.
#[derive(Debug, Default, Deserialize)]
pub struct Return {
    pub code: Option<String>,
    pub state: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// Somebody whom the provider knows.
#[derive(Debug)]
pub struct Arrival {
    pub claims: Claims,
    /// Where they wanted to go.
    pub next: Option<String>,
}

impl Provider {
    pub fn new(settings: Settings) -> std::result::Result<Self, ClientError> {
        let client = Client::new(Options {
            ca: settings.ca.clone(),
            guard: Guard::default(),
            timeout: TIMEOUT,
            concurrency: 2,
        })?;
        Ok(Self { settings, client, pending: Pending::default(), known: Mutex::default() })
    }

    pub fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Sends somebody to the provider.
    pub async fn begin(&self, next: Option<String>, now: Timestamp) -> Result<Begin> {
        let known = self.known(now).await?;
        let secret = || URL_SAFE_NO_PAD.encode(ids::secret_bytes::<32>());
        let (state, nonce, verifier, bound) = (secret(), secret(), secret(), secret());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let scopes = self.settings.scopes.join(" ");
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.settings.redirect_uri),
            ("scope", &scopes),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let endpoint = &known.addresses.authorization_endpoint;
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        let trip = Trip { bound: bound.clone(), nonce, verifier: verifier.into(), next };
        self.pending.set_out(state, trip, now);
        Ok(Begin { address: format!("{endpoint}{joint}{query}"), bound: bound.into() })
    }

    /// Takes somebody back from the provider. `bound` is what their browser kept.
    pub async fn finish(
        &self,
        back: Return,
        bound: Option<&str>,
        now: Timestamp,
    ) -> Result<Arrival> {
        let state = back.state.as_deref().unwrap_or_default();
        let trip = self.pending.come_back(state, bound.unwrap_or_default(), now);
        let trip = trip.ok_or(OidcError::Stale)?;
        if let Some(error) = back.error {
            let why = back.error_description.unwrap_or_default();
            return Err(OidcError::Refused(shortened(&format!("{error} {why}"))));
        }
        let code = back.code.ok_or_else(|| wrong("sent a browser back without a code"))?;
        let known = self.known(now).await?;
        let token = self.exchange(&known.addresses, &code, &trip).await?;
        let key = self.key(known, &token, now).await?;
        let claims = token::checked(&token, &key, &self.settings, &trip.nonce, now)
            .map_err(|why| wrong(&format!("sent an ID token that is not good: {why}")))?;
        Ok(Arrival { claims, next: trip.next })
    }

    /// RFC 6749 section 4.1.3.
    async fn exchange(&self, addresses: &Addresses, code: &str, trip: &Trip) -> Result<String> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: Option<String>,
        }
        let Settings { client_id, client_secret, redirect_uri, .. } = &self.settings;
        let secret = client_secret.expose_secret();
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", trip.verifier.expose_secret()),
        ];
        // Left out, it means client_secret_basic.
        let ways = &addresses.token_endpoint_auth_methods_supported;
        let basic = ways.is_empty() || ways.iter().any(|way| way == "client_secret_basic");
        if !basic {
            fields.extend([("client_id", client_id.as_str()), ("client_secret", secret)]);
        }
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&addresses.token_endpoint)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if basic {
            let pair = format!("{}:{}", encoded(client_id), encoded(secret));
            request =
                request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
        }
        let request = request.body(Bytes::from(form(&fields)));
        let request = request.map_err(|_| wrong("names a token endpoint that is no address"))?;
        let tokens: Tokens = self.ask(request).await?;
        tokens.id_token.ok_or_else(|| wrong("sent no ID token; `openid` must be among the scopes"))
    }

    /// The key that a token names. Providers change their keys now and then.
    async fn key(&self, known: Arc<Known>, token: &str, now: Timestamp) -> Result<Jwk> {
        let unknown = || wrong("signed with a key that it does not publish");
        if let Some(key) = token::key(token, &known.keys) {
            return Ok(key.clone());
        }
        if now.duration_since(known.keys_at).unsigned_abs() < KEYS_EVERY {
            return Err(unknown());
        }
        let keys = self.keys(&known.addresses).await?;
        let addresses = known.addresses.clone();
        let renewed = Arc::new(Known { at: known.at, addresses, keys, keys_at: now });
        self.keep(Arc::clone(&renewed));
        token::key(token, &renewed.keys).cloned().ok_or_else(unknown)
    }

    async fn known(&self, now: Timestamp) -> Result<Arc<Known>> {
        let kept = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) =
            kept.filter(|known| now.duration_since(known.at).unsigned_abs() < FRESH)
        {
            return Ok(known);
        }
        let address = format!(
            "{}/.well-known/openid-configuration",
            self.settings.issuer.trim_end_matches('/')
        );
        let addresses: Addresses = self.get(&address).await?;
        if addresses.issuer != self.settings.issuer {
            return Err(OidcError::Provider(format!(
                "the identity provider calls itself `{}`; write exactly that as `issuer`",
                shortened(&addresses.issuer)
            )));
        }
        let keys = self.keys(&addresses).await?;
        let known = Arc::new(Known { at: now, addresses, keys, keys_at: now });
        self.keep(Arc::clone(&known));
        Ok(known)
    }

    fn keep(&self, known: Arc<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// Those that are of a kind we know; a provider may publish others.
    async fn keys(&self, addresses: &Addresses) -> Result<Vec<Jwk>> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = self.get(&addresses.jwks_uri).await?;
        Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
    }

    async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T> {
        let request = Request::get(address)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| wrong(&format!("names `{}`, which is no address", shortened(address))))?;
        self.ask(request).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request<Bytes>) -> Result<T> {
        let address = request.uri().to_string();
        let url = Url::parse(&address)
            .map_err(|why| wrong(&format!("names `{}`: {why}", shortened(&address))))?;
        if !safe(&url) {
            return Err(wrong(&format!("names `{}`, which is not https", shortened(&address))));
        }
        let response = self.client.send(request).await.map_err(|error| {
            OidcError::Provider(format!("cannot ask the identity provider: {error}"))
        })?;
        let origin = url.origin();
        if !response.status.is_success() {
            // RFC 6749 section 5.2 has the reason in JSON; a code of ours may not be in it.
            let reason = serde_json::from_slice::<Value>(&response.body).ok();
            let word = |name| reason.as_ref()?.get(name)?.as_str();
            let said = [word("error"), word("error_description")].into_iter().flatten();
            let said = said.collect::<Vec<_>>().join(": ");
            let status = response.status;
            let what = format!("the identity provider ({origin}) answered {status} {said}");
            return Err(OidcError::Provider(shortened(what.trim_end())));
        }
        if response.body_error.is_some() {
            return Err(wrong(&format!("({origin}) broke off its answer")));
        }
        serde_json::from_slice(&response.body)
            .map_err(|error| wrong(&format!("({origin}) answered something else: {error}")))
    }
}

/// Codes and secrets go by TLS; on this machine, in a trial, they need not.
pub fn safe(url: &Url) -> bool {
    let host = url.uri().host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    url.is_https() || here
}

fn wrong(what: &str) -> OidcError {
    OidcError::Provider(format!("the identity provider {what}"))
}

/// What comes from outside goes into a sentence in one line and not at length.
fn shortened(text: &str) -> String {
    let plain = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut text: String = plain.take(300).collect();
    text.truncate(text.trim_end().len());
    text
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn form(fields: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", encoded(value));
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}
