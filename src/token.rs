//! Bearer tokens: how one is made and read, and which ones are good just now.
//!
//! A token is `scimr_<look-up id>_<secret><checksum>`. The look-up id finds the row, so that the
//! secret is compared and never searched for; the checksum lets secret scanners tell a real token
//! from a look-alike. What is kept is the SHA-256 of the whole: a secret of 256 random bits needs
//! no slow hash.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ids;
use crate::store::{self, OrgId, Store, TokenId, TokenRow};

const PREFIX: &str = "scimr_";
const LOOKUP: usize = 12;
/// 43 characters out of 62 hold 256 bits.
const SECRET: usize = 43;
/// A CRC-32 in base 62.
const CHECKSUM: usize = 6;
const LENGTH: usize = PREFIX.len() + LOOKUP + 1 + SECRET + CHECKSUM;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How often a token's last use is written down at most.
const USE_EVERY_MS: i64 = 60_000;
const NEVER: i64 = i64::MIN;

/// A token that was just made. Its text is shown once and kept nowhere.
#[derive(Debug)]
pub struct NewSecret {
    pub text: SecretString,
    /// To be kept, as the hash is.
    pub lookup: String,
    pub hash: [u8; 32],
}

/// Makes a token.
pub fn generate() -> NewSecret {
    let lookup = random_text(LOOKUP);
    let body = format!("{PREFIX}{lookup}_{}", random_text(SECRET));
    let text = format!("{body}{}", checksum(&body));
    NewSecret { hash: hash(&text), lookup, text: text.into() }
}

/// The look-up id of a text that has the form of a token; its checksum comes first.
pub fn lookup(text: &str) -> Option<&str> {
    if text.len() != LENGTH || !text.is_ascii() {
        return None;
    }
    let (body, given) = text.split_at(LENGTH - CHECKSUM);
    if checksum(body) != given {
        return None;
    }
    let (lookup, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    let is_text = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (lookup.len() == LOOKUP && is_text(lookup) && is_text(secret)).then_some(lookup)
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [ALPHABET[0]; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % ALPHABET.len()];
        rest /= ALPHABET.len();
    }
    digits.into_iter().map(char::from).collect()
}

/// Each character is as likely as any other: bytes that would favour some are thrown away.
fn random_text(length: usize) -> String {
    let fair = u8::MAX - u8::MAX % 62;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let good = ids::secret_bytes::<64>().into_iter().filter(|byte| *byte < fair);
        text.extend(
            good.take(length - text.len()).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])),
        );
    }
    text
}

/// What a good token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub token: TokenId,
    pub organization: OrgId,
    pub read_only: bool,
    /// For the log: it names the token and opens nothing.
    pub lookup: Arc<str>,
}

/// Why a token is not good. For the log alone: a client hears the same about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Malformed,
    Unknown,
    Revoked,
    Expired,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "no token of ours",
            Self::Unknown => "an unknown token",
            Self::Revoked => "a revoked token",
            Self::Expired => "an expired token",
        })
    }
}

/// A token was used that never was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstUse {
    pub token: TokenId,
    pub organization: OrgId,
    pub lookup: Arc<str>,
    pub at: Timestamp,
}

/// The last call at an organization's address that came without any token of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    pub at: Timestamp,
    pub refusal: Refusal,
    pub from: Option<IpAddr>,
}

struct Known {
    verified: Verified,
    hash: [u8; 32],
    expires: Option<Timestamp>,
    revoked: Option<Timestamp>,
    /// Milliseconds of the last use, and of the one that was last written down.
    used: AtomicI64,
    written: AtomicI64,
}

/// The tokens of the store as they last were read, so that no request waits for the disk.
#[derive(Default)]
pub struct TokenBook {
    known: ArcSwap<HashMap<Arc<str>, Known>>,
    /// By the organization's key. Kept nowhere else: whoever it was has proved nothing.
    strangers: Mutex<HashMap<Arc<str>, Stranger>>,
}

impl TokenBook {
    /// Reads the tokens anew. What this call finds holds for every request from then on, on
    /// connections that are open already too.
    pub async fn reload(&self, store: &dyn Store) -> store::Result<()> {
        let rows = store.tokens().await?;
        let before = self.known.load();
        let known = rows.into_iter().map(|row| {
            let known = Known::from(row);
            if let Some(old) = before.get(&known.verified.lookup) {
                known.used.fetch_max(old.used.load(Ordering::Relaxed), Ordering::Relaxed);
                known.written.fetch_max(old.written.load(Ordering::Relaxed), Ordering::Relaxed);
            }
            (Arc::clone(&known.verified.lookup), known)
        });
        self.known.store(Arc::new(known.collect()));
        Ok(())
    }

    /// Whether a text is a token that is good at `now`.
    pub fn verify(&self, presented: &str, now: Timestamp) -> Result<Verified, Refusal> {
        let lookup = lookup(presented).ok_or(Refusal::Malformed)?;
        let book = self.known.load();
        let known = find(&book, lookup, presented).ok_or(Refusal::Unknown)?;
        if known.revoked.is_some_and(|at| at <= now) {
            return Err(Refusal::Revoked);
        }
        if known.expires.is_some_and(|at| at <= now) {
            return Err(Refusal::Expired);
        }
        known.used.fetch_max(now.as_millisecond(), Ordering::Relaxed);
        Ok(known.verified.clone())
    }

    /// What a text would allow that is a token of ours, even if its time is over.
    pub fn issued(&self, presented: &str) -> Option<Verified> {
        let book = self.known.load();
        let known = find(&book, lookup(presented)?, presented)?;
        Some(known.verified.clone())
    }

    /// Remembers the last one who was turned away at the address of an organization that there is.
    pub fn turned_away(&self, organization: Arc<str>, stranger: Stranger) {
        self.strangers().insert(organization, stranger);
    }

    pub fn stranger(&self, organization: &str) -> Option<Stranger> {
        self.strangers().get(organization).cloned()
    }

    fn strangers(&self) -> MutexGuard<'_, HashMap<Arc<str>, Stranger>> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down when tokens were last used, of each once a minute, and tells which were never
    /// used before. What cannot be written now is written later.
    pub async fn flush(&self, store: &dyn Store) -> store::Result<Vec<FirstUse>> {
        let book = self.known.load_full();
        let due: Vec<(&Known, i64)> = book
            .values()
            .map(|known| (known, known.used.load(Ordering::Relaxed)))
            .filter(|(known, used)| {
                let written = known.written.load(Ordering::Relaxed);
                *used > written && used.saturating_sub(written) >= USE_EVERY_MS
            })
            .collect();
        if due.is_empty() {
            return Ok(Vec::new());
        }
        store
            .token_used(
                due.iter().map(|(known, used)| (known.verified.token, time(*used))).collect(),
            )
            .await?;
        let mut first = Vec::new();
        for (known, used) in due {
            if known.written.swap(used, Ordering::Relaxed) == NEVER {
                let Verified { token, organization, lookup, .. } = known.verified.clone();
                first.push(FirstUse { token, organization, lookup, at: time(used) });
            }
        }
        Ok(first)
    }
}

fn find<'a>(
    book: &'a HashMap<Arc<str>, Known>,
    lookup: &str,
    presented: &str,
) -> Option<&'a Known> {
    let known = book.get(lookup);
    // One that nobody knows is compared as well, so that time tells nothing.
    let expected = known.map_or(&[0; 32], |known| &known.hash);
    let same = bool::from(hash(presented).ct_eq(expected));
    known.filter(|_| same)
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("it came from a timestamp")
}

impl From<TokenRow> for Known {
    fn from(row: TokenRow) -> Self {
        let used = row.last_used.map_or(NEVER, Timestamp::as_millisecond);
        Self {
            verified: Verified {
                token: row.id,
                organization: row.organization,
                read_only: row.read_only,
                lookup: row.lookup.into(),
            },
            hash: row.hash,
            expires: row.expires,
            revoked: row.revoked,
            used: AtomicI64::new(used),
            written: AtomicI64::new(used),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::store::NewToken;
    use crate::store::sqlite::SqliteStore;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A store with one token, made at 0 and good until 1000.
    async fn store() -> (tempfile::TempDir, SqliteStore, NewSecret, TokenId) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path(), |_, _| {}).unwrap();
        let organization = store.organizations(vec!["lillevik".to_owned()]).await.unwrap()[0];
        let secret = generate();
        let row = NewToken {
            organization,
            lookup: secret.lookup.clone(),
            hash: secret.hash,
            name: "Entra".to_owned(),
            read_only: true,
            created: at(0),
            expires: Some(at(1000)),
            made_by: None,
            replaces: None,
        };
        let token = store.add_token(row).await.unwrap();
        (folder, store, secret, token)
    }

    #[test]
    fn every_token_has_the_published_form() {
        for _ in 0..200 {
            let token = generate();
            let text = token.text.expose_secret();
            assert_eq!(text.len(), 68);
            assert!(text.starts_with("scimr_"));
            assert_eq!(lookup(text), Some(token.lookup.as_str()), "{text}");
        }
        assert_ne!(generate().hash, generate().hash);
    }

    #[test]
    fn no_secret_shows_in_debug() {
        let token = generate();
        let shown = format!("{token:?}");
        assert!(!shown.contains(token.text.expose_secret()), "{shown}");
    }

    #[test]
    fn a_changed_character_fails_the_checksum() {
        let token = generate();
        let text = token.text.expose_secret();
        for index in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[index] = if changed[index] == b'x' { b'y' } else { b'x' };
            assert_eq!(lookup(std::str::from_utf8(&changed).unwrap()), None, "{index}");
        }
    }

    #[test]
    fn what_is_too_short_too_long_or_not_ascii_is_no_token() {
        let token = generate();
        let text = token.text.expose_secret();
        for wrong in ["", "scimr_", &text[1..], &format!("{text}0"), &"å".repeat(34)] {
            assert_eq!(lookup(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_checksum_is_a_crc_32_in_base_62() {
        // CRC-32 of "123456789" is 0xCBF43926 (its published check value), 3421780262.
        assert_eq!(checksum("123456789"), "3jZRME");
    }

    #[tokio::test]
    async fn a_token_says_whose_it_is_until_it_expires() {
        let (_folder, store, secret, token) = store().await;
        let book = TokenBook::default();
        let text = secret.text.expose_secret();
        assert_eq!(book.verify(text, at(1)), Err(Refusal::Unknown));
        book.reload(&store).await.unwrap();
        let verified = book.verify(text, at(999)).unwrap();
        assert_eq!((verified.token, verified.read_only), (token, true));
        assert_eq!(book.verify(text, at(1000)), Err(Refusal::Expired));
    }

    #[tokio::test]
    async fn the_right_look_up_id_with_another_secret_is_unknown() {
        let (_folder, store, secret, _) = store().await;
        let book = TokenBook::default();
        book.reload(&store).await.unwrap();
        let body = format!("{PREFIX}{}_{}", secret.lookup, random_text(SECRET));
        let forged = format!("{body}{}", checksum(&body));
        assert_eq!(lookup(&forged), Some(secret.lookup.as_str()));
        assert_eq!(book.verify(&forged, at(1)), Err(Refusal::Unknown));
    }

    #[tokio::test]
    async fn a_revoked_token_is_refused_from_the_reload_on() {
        let (_folder, store, secret, token) = store().await;
        let book = TokenBook::default();
        book.reload(&store).await.unwrap();
        let verified = book.verify(secret.text.expose_secret(), at(1)).unwrap();
        assert!(store.end_token(verified.organization, token, at(2), true).await.unwrap());
        book.reload(&store).await.unwrap();
        assert_eq!(book.verify(secret.text.expose_secret(), at(2)), Err(Refusal::Revoked));
    }

    #[tokio::test]
    async fn last_use_is_written_once_a_minute_and_the_first_one_is_told() {
        let (_folder, store, secret, token) = store().await;
        let book = TokenBook::default();
        book.reload(&store).await.unwrap();
        let text = secret.text.expose_secret();
        let mut firsts = Vec::new();
        for (second, written) in [(10, 10), (40, 10), (69, 10), (70, 70), (71, 70)] {
            book.verify(text, at(second)).unwrap();
            // A reload in between forgets nothing.
            book.reload(&store).await.unwrap();
            firsts.extend(book.flush(&store).await.unwrap());
            let row = store.tokens().await.unwrap().remove(0);
            assert_eq!(row.last_used, Some(at(written)), "after {second} s");
        }
        assert_eq!(firsts.len(), 1);
        assert_eq!((firsts[0].token, firsts[0].at), (token, at(10)));
    }
}
