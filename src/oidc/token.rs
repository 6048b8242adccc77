//! The ID token: whether it is sound (OpenID Connect Core 1.0 section 3.1.3.7), and what it claims.

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::Settings;

/// How far the provider's clock and ours may be apart, in seconds.
const LEEWAY: i64 = 60;

/// Signatures with a public key. Never a shared secret: whoever knows a published key could sign
/// with it.
const SIGNATURES: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a sound token claims.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    #[cfg(test)]
    pub(crate) fn of(claims: Value) -> Self {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Self(claims)
    }

    /// Who it is: the provider never gives it to another (section 2).
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Whether a claim is this value, or has it in its list.
    pub fn has(&self, name: &str, value: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(value)),
            Some(one) => one.as_str() == Some(value),
            None => false,
        }
    }

    /// Whether the provider knows that the address is theirs (section 5.1). Some write it as text.
    pub fn has_verified_email(&self) -> bool {
        match self.0.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }
}

/// The key that a token was signed with. A token that names none was signed with the only one.
pub(super) fn key<'a>(token: &str, keys: &'a [Jwk]) -> Option<&'a Jwk> {
    let named = jsonwebtoken::decode_header(token).ok()?.kid;
    let mut signing =
        keys.iter().filter(|key| key.common.public_key_use != Some(PublicKeyUse::Encryption));
    match named {
        Some(kid) => signing.find(|key| key.common.key_id.as_deref() == Some(&*kid)),
        None => signing.next().filter(|_| signing.next().is_none()),
    }
}

/// What a token claims, if all of it is in order; otherwise why not.
pub(super) fn checked(
    token: &str,
    key: &Jwk,
    settings: &Settings,
    nonce: &str,
    now: Timestamp,
) -> Result<Claims, String> {
    let algorithm = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?.alg;
    if !SIGNATURES.contains(&algorithm) {
        return Err(format!("it is signed with {algorithm:?}, which is no public-key signature"));
    }
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.client_id]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // Times are compared with our clock, below.
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
        .map_err(|error| reason(error.kind()))?
        .claims;
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64).map(|at| at as i64);
    let now = now.as_second();
    if seconds("exp").is_none_or(|ends| ends + LEEWAY <= now) {
        return Err("it is over; are the clocks of both machines right?".to_owned());
    }
    if ["nbf", "iat"].into_iter().filter_map(seconds).any(|begins| begins - LEEWAY > now) {
        return Err("it is from the future; are the clocks of both machines right?".to_owned());
    }
    let claims = Claims(claims);
    let own = claims.text("nonce").unwrap_or_default();
    if !bool::from(own.as_bytes().ct_eq(nonce.as_bytes())) {
        return Err("it belongs to another sign-in".to_owned());
    }
    // Section 3.1.3.7, 4 and 5: where it is for several, it must have been made for us.
    let several = matches!(claims.0.get("aud"), Some(Value::Array(all)) if all.len() > 1);
    let party = claims.text("azp");
    if (several && party.is_none()) || party.is_some_and(|party| party != settings.client_id) {
        return Err("it was made for another application".to_owned());
    }
    if claims.subject().is_empty() || claims.subject().len() > 255 {
        return Err("its subject is empty, or longer than 255 characters".to_owned());
    }
    Ok(claims)
}

fn reason(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::InvalidSignature => "its signature is wrong".to_owned(),
        ErrorKind::InvalidIssuer => "it is of another issuer".to_owned(),
        ErrorKind::InvalidAudience => {
            "it is for another application; is `client_id` right?".to_owned()
        }
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no `{claim}`"),
        other => format!("{other:?}"),
    }
}
