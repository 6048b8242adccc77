//! Passwords: which are taken, and Argon2id, a few at a time.

#[cfg(test)]
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, phc};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use crate::operator::{OperatorError, Result};
use crate::store::PasswordHash;

const SHORTEST: usize = 12;
const LONGEST: usize = 256;

/// Each takes 19 MiB and a core for some 40 ms, which is nothing to give away to whoever asks.
const AT_ONCE: usize = 2;

/// What is compared where there is nothing to compare with, so that it takes as long. Of a password
/// that nobody has.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2NpbS1yZWxheSBub2JvZHk$\
                       Y8c6k7XLBmSVJPZJFcmcJ+Tk+r1uSb8qqGCwxnM3GG0";

/// A password that may be set.
#[derive(Clone, Debug)]
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Long enough, and no more is asked: rules about letters make passwords worse.
    pub fn new(text: &str) -> Result<Self> {
        let text = same(text);
        match text.expose_secret().chars().count() {
            0..SHORTEST => Err(OperatorError::Invalid(format!(
                "a password has at least {SHORTEST} characters; a few words in a row are easy to \
                 keep in mind"
            ))),
            SHORTEST..=LONGEST => Ok(Self(text)),
            _ => {
                Err(OperatorError::Invalid(format!("a password has at most {LONGEST} characters")))
            }
        }
    }
}

/// However a keyboard composes its letters. What is too long for a password is none.
fn same(text: &str) -> SecretString {
    let bounded = if text.len() > 8 * LONGEST { "" } else { text };
    bounded.nfc().collect::<String>().into()
}

pub(super) struct Hasher {
    turns: Semaphore,
    #[cfg(test)]
    pub(super) runs: AtomicUsize,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            #[cfg(test)]
            runs: AtomicUsize::new(0),
        }
    }
}

impl Hasher {
    pub(super) async fn hash(&self, password: NewPassword) -> Result<PasswordHash> {
        let hashed = self.run(move || {
            let bytes = password.0.expose_secret().as_bytes();
            Argon2::default().hash_password(bytes).map(|hash| PasswordHash(hash.to_string()))
        });
        let hashed = hashed.await?;
        hashed.map_err(|error| OperatorError::Invalid(format!("no hash can be made: {error}")))
    }

    /// Takes as long whether there is anything to compare with or not.
    pub(super) async fn verify(
        &self,
        given: &str,
        expected: Option<&PasswordHash>,
    ) -> Result<bool> {
        let given = same(given);
        let text = expected.map_or(NOBODYS, |hash| &hash.0).to_owned();
        let same = self.run(move || {
            let bytes = given.expose_secret().as_bytes();
            phc::PasswordHash::new(&text)
                .is_ok_and(|hash| Argon2::default().verify_password(bytes, &hash).is_ok())
        });
        Ok(same.await? && expected.is_some())
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let stopped = || OperatorError::Invalid("the relay is stopping".to_owned());
        let _turn = self.turns.acquire().await.map_err(|_| stopped())?;
        #[cfg(test)]
        self.runs.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_blocking(work).await.map_err(|_| stopped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_from_12_to_256_characters_and_may_have_any() {
        for (text, fits) in [
            ("", false),
            ("elleve tegn", false),
            ("tolv tegn ja", true),
            ("            ", true),
            (&*"å".repeat(256), true),
            (&*"å".repeat(257), false),
            (&*"x".repeat(100_000), false),
        ] {
            assert_eq!(NewPassword::new(text).is_ok(), fits, "{} bytes", text.len());
        }
    }

    #[tokio::test]
    async fn a_password_is_known_again_from_whatever_keyboard() {
        let hasher = Hasher::default();
        // å as one character, and as a with a ring.
        let hash = hasher.hash(NewPassword::new("bl\u{e5}b\u{e6}rsyltet\u{f8}y").unwrap()).await;
        let hash = hash.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        let composed = "bla\u{30a}b\u{e6}rsyltet\u{f8}y";
        assert!(hasher.verify(composed, Some(&hash)).await.unwrap());
        assert!(!hasher.verify("bl\u{e5}b\u{e6}rsyltet\u{f8}Y", Some(&hash)).await.unwrap());
        let broken = PasswordHash("$argon2id$broken".to_owned());
        assert!(!hasher.verify("", Some(&broken)).await.unwrap());
    }

    #[tokio::test]
    async fn where_there_is_nothing_to_compare_with_as_much_is_done() {
        let of = |text: &str| phc::PasswordHash::new(text).unwrap();
        let hasher = Hasher::default();
        let real = hasher.hash(NewPassword::new("tolv tegn ja").unwrap()).await.unwrap();
        let (real, nobodys) = (of(&real.0), of(NOBODYS));
        assert_eq!(nobodys.params, real.params);
        assert_eq!(nobodys.algorithm, real.algorithm);
        assert_eq!(nobodys.hash.unwrap().len(), real.hash.unwrap().len());
        for given in ["tolv tegn ja", ""] {
            assert!(!hasher.verify(given, None).await.unwrap());
        }
        assert_eq!(hasher.runs.load(Ordering::Relaxed), 3);
    }
}
