//! Passwords that wait to be passed on, sealed: AES-256-GCM under a key that the configuration names
//! and the store never sees. What was sealed for one person opens for nobody else.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scim_relay_sdk::scim::ResourceKey;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const KEY_LEN: usize = 32;

/// What passwords are sealed and opened with.
pub struct Vault {
    key: RandomizedNonceKey,
    id: KeyId,
}

/// Tells one key from another, and nothing of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

/// A password that only its vault can read.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    pub key: KeyId,
    /// The nonce, then what was sealed with its tag.
    pub bytes: Vec<u8>,
}

impl Vault {
    /// The vault of a key in base64; the error says what is wrong with it, and not what it is.
    pub fn new(key: &SecretString) -> Result<Self, String> {
        let make = "make one with `openssl rand -base64 32`";
        let bytes = STANDARD
            .decode(key.expose_secret().trim())
            .map(Zeroizing::new)
            .map_err(|_| format!("the key is not base64; {make}"))?;
        if bytes.len() != KEY_LEN {
            return Err(format!("the key has {} bytes instead of {KEY_LEN}; {make}", bytes.len()));
        }
        let mut digest = Sha256::new_with_prefix(b"scim-relay password key\0");
        digest.update(&*bytes);
        let mut id = KeyId([0; 8]);
        id.0.copy_from_slice(&digest.finalize()[..8]);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes)
            .map_err(|_| format!("the key cannot be used; {make}"))?;
        Ok(Self { key, id })
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    pub fn seal(&self, person: &ResourceKey, password: &SecretString) -> Sealed {
        let password = password.expose_secret().as_bytes();
        // With room for the tag, so that no clear copy is left behind by growing.
        let mut text = Vec::with_capacity(password.len() + AES_256_GCM.tag_len());
        text.extend_from_slice(password);
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(bound_to(person)), &mut text)
            .expect("the operating system gives random bytes, and a password is short");
        Sealed { key: self.id, bytes: [nonce.as_ref().as_slice(), &text].concat() }
    }

    /// `None` if it was sealed with another key, for somebody else, or tampered with.
    pub fn open(&self, person: &ResourceKey, sealed: &Sealed) -> Option<SecretString> {
        let (nonce, text) = sealed.bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(bound_to(person)), &mut text).ok()?;
        std::str::from_utf8(opened).ok().map(SecretString::from)
    }
}

/// The organization and the id, neither of which can pass for a part of the other.
fn bound_to(person: &ResourceKey) -> Vec<u8> {
    [person.id.0.as_bytes(), person.organization.as_bytes()].concat()
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(***)")
    }
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::testing::{ada, choir};

    use super::*;

    fn vault(filling: u8) -> Vault {
        Vault::new(&STANDARD.encode([filling; KEY_LEN]).into()).unwrap()
    }

    fn opened(vault: &Vault, person: &ResourceKey, sealed: &Sealed) -> Option<String> {
        vault.open(person, sealed).map(|password| password.expose_secret().to_owned())
    }

    #[test]
    fn what_is_sealed_opens_again_and_never_looks_the_same() {
        let (vault, ada) = (vault(1), ada().key);
        for password in ["S3cret-canary", "pässwörd 🔑", ""] {
            let sealed = vault.seal(&ada, &password.into());
            assert_eq!(opened(&vault, &ada, &sealed).as_deref(), Some(password));
            assert_ne!(sealed, vault.seal(&ada, &password.into()));
        }
        let sealed = vault.seal(&ada, &"S3cret-canary".into());
        let shown = format!("{sealed:?} {vault:?} {}", String::from_utf8_lossy(&sealed.bytes));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn it_opens_for_one_person_under_one_key_alone() {
        let (vault_1, vault_2, ada) = (vault(1), vault(2), ada().key);
        let sealed = vault_1.seal(&ada, &"S3cret".into());
        let elsewhere = ResourceKey { organization: "nordvik".into(), ..ada.clone() };
        assert_eq!(opened(&vault_1, &choir().key, &sealed), None);
        assert_eq!(opened(&vault_1, &elsewhere, &sealed), None);
        assert_eq!(opened(&vault_2, &ada, &sealed), None);
        assert_ne!(vault_1.id(), vault_2.id());
    }

    #[test]
    fn what_was_tampered_with_does_not_open() {
        let (vault, ada) = (vault(1), ada().key);
        let sealed = vault.seal(&ada, &"S3cret".into());
        for at in 0..sealed.bytes.len() {
            let mut changed = sealed.clone();
            changed.bytes[at] ^= 1;
            assert_eq!(opened(&vault, &ada, &changed), None, "byte {at}");
            changed.bytes.truncate(at);
            assert_eq!(opened(&vault, &ada, &changed), None, "{at} bytes");
        }
    }

    #[test]
    fn a_key_has_32_bytes_in_base64() {
        for (key, expected) in [
            ("not base64!", "the key is not base64"),
            ("c2hvcnQ=", "the key has 5 bytes instead of 32"),
        ] {
            let error = Vault::new(&key.into()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(error.ends_with("make one with `openssl rand -base64 32`"), "{error}");
            assert!(!error.contains(key), "{error}");
        }
    }
}
