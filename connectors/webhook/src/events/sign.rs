//! Signatures as Standard Webhooks describes them: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// Signs with one secret, or with each of several while receivers change over.
pub(crate) struct Signer {
    keys: Vec<SecretSlice<u8>>,
}

const PREFIX: &str = "whsec_";

impl Signer {
    pub(crate) fn new(secrets: &[SecretString]) -> Result<Self, String> {
        let keys = secrets.iter().map(|secret| key(secret.expose_secret()));
        Ok(Self { keys: keys.collect::<Result<_, _>>()? })
    }

    /// The value of `webhook-signature`: one signature for each secret, separated by spaces.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signatures: Vec<String> = self
            .keys
            .iter()
            .map(|key| {
                let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret())
                    .expect("HMAC takes a key of any length");
                mac.update(format!("{id}.{timestamp}.").as_bytes());
                mac.update(body);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            })
            .collect();
        signatures.join(" ")
    }
}

/// The bytes of a `whsec_` secret. The message never holds any of it.
pub(crate) fn key(secret: &str) -> Result<SecretSlice<u8>, String> {
    let Some(encoded) = secret.strip_prefix(PREFIX) else {
        return Err(format!("the secret does not begin with `{PREFIX}`"));
    };
    let Ok(bytes) = STANDARD.decode(encoded) else {
        return Err(format!("what follows `{PREFIX}` in the secret is not base64"));
    };
    // The lengths that Standard Webhooks asks for.
    if !(24..=64).contains(&bytes.len()) {
        return Err(format!("the secret holds {} bytes; it takes 24 to 64", bytes.len()));
    }
    Ok(SecretSlice::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(secret: &str, reason: &str) {
        let error = key(secret).map(|_| ()).unwrap_err();
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains("aGFsbG8"), "{error}");
    }

    #[test]
    fn a_secret_of_the_wrong_form_is_refused_and_not_repeated() {
        refused("aGFsbG8gd2VsdCBoYWxsbyB3ZWx0IGhhbGxv", "does not begin with `whsec_`");
        refused("whsec_aGFsbG8*", "is not base64");
        refused("whsec_aGFsbG8=", "holds 5 bytes; it takes 24 to 64");
    }

    /// The example of the specification's own test vector.
    #[test]
    fn a_known_message_has_the_known_signature() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signer = Signer::new(&[secret]).unwrap();
        assert_eq!(
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
