//! Cursors (RFC 9865): where a page ended, sealed so that a client can neither make one up nor use
//! it for another list. Nothing is kept for a cursor, so none ever runs out by itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use scim_relay_sdk::scim::SortKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::kind_number;
use crate::store::{ListRequest, OrgId};

/// Half of an HMAC-SHA-256: more than enough, and cursors travel in addresses.
const SEAL: usize = 16;
/// The longest sort key that a cursor carries; an address has room for little more.
const LONGEST_KEY: usize = 512;

/// The last resource that a client has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) row: i64,
    pub(super) place: Place,
}

/// Where that one stood in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// The list is in the order of creation.
    Row,
    Key(SortKey),
    /// Of a key that is too long: good for as long as the resource keeps it.
    Digest([u8; 32]),
}

impl Place {
    pub(super) fn of(key: SortKey) -> Self {
        match &key {
            SortKey::Text(text) if text.len() > LONGEST_KEY => Self::Digest(digest(text)),
            _ => Self::Key(key),
        }
    }
}

pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Makes and reads the cursors of one list.
pub(super) struct Sealer {
    mac: Hmac<Sha256>,
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32], organization: OrgId, request: &ListRequest) -> Self {
        let kinds: Vec<_> = request.kinds.iter().map(|one| kind_number(one.kind)).collect();
        let filter = request.filter.as_ref().map(ToString::to_string);
        let sort = request.sort.as_ref().map(ToString::to_string);
        let list = serde_json::to_vec(&(organization, kinds, filter, sort)).expect("plain data");
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key).expect("an HMAC takes a key of any length");
        // The length keeps the list and the position apart.
        mac.update(&(list.len() as u64).to_be_bytes());
        mac.update(&list);
        Self { mac }
    }

    pub(super) fn seal(&self, position: &Position) -> String {
        let position = serde_json::to_vec(position).expect("plain data");
        let mut sealed = self.tag(&position).to_vec();
        sealed.extend_from_slice(&position);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// None: not a cursor of this list.
    pub(super) fn open(&self, cursor: &str) -> Option<Position> {
        let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, position) = sealed.split_at_checked(SEAL)?;
        bool::from(self.tag(position).ct_eq(tag)).then(|| serde_json::from_slice(position).ok())?
    }

    fn tag(&self, position: &[u8]) -> [u8; SEAL] {
        let mut mac = self.mac.clone();
        mac.update(position);
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|index| whole[index])
    }
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::scim::{Filter, ResourceKind, Schemas, SortBy, Start};

    use super::*;
    use crate::store::Wanted;

    fn sealer(organization: i64, kinds: &[ResourceKind], filter: &str, sort: &str) -> Sealer {
        let schemas = Schemas::builtin();
        let types: Vec<_> = kinds.iter().map(|kind| schemas.of(*kind)).collect();
        let request = ListRequest {
            base: "".into(),
            kinds: kinds.iter().map(|&kind| Wanted { kind, memberships: false }).collect(),
            filter: (!filter.is_empty()).then(|| Filter::parse(filter).unwrap()),
            sort: (!sort.is_empty()).then(|| SortBy::parse(sort, None, &types).unwrap()),
            start: Start::Index(1),
            count: 1,
        };
        Sealer::new(&[7; 32], OrgId(organization), &request)
    }

    #[test]
    fn a_cursor_opens_its_own_list_alone() {
        let users = &[ResourceKind::User];
        let sealer_of_users = sealer(1, users, "userName pr", "title");
        let key = SortKey::Text("å \"x\"".to_owned());
        let position = Position { row: 42, place: Place::Key(key) };
        let cursor = sealer_of_users.seal(&position);
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_eq!(sealer_of_users.open(&cursor), Some(position));
        for other in [
            sealer(2, users, "userName pr", "title"),
            sealer(1, &ResourceKind::ALL, "userName pr", "title"),
            sealer(1, users, "userName pr or title pr", "title"),
            sealer(1, users, "", "title"),
            sealer(1, users, "userName pr", "nickName"),
            sealer(1, users, "userName pr", ""),
        ] {
            assert_eq!(other.open(&cursor), None);
        }
    }

    #[test]
    fn what_was_not_sealed_here_does_not_open() {
        let sealer = sealer(1, &[ResourceKind::User], "", "");
        let cursor = sealer.seal(&Position { row: 42, place: Place::Row });
        for index in 0..cursor.len() {
            let mut other = cursor.clone().into_bytes();
            other[index] = if other[index] == b'A' { b'Q' } else { b'A' };
            assert_eq!(sealer.open(&String::from_utf8(other).unwrap()), None, "{index}");
        }
        for nonsense in ["", "x", "====", "AAAA", "../..", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(sealer.open(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_long_key_is_left_out() {
        let place = |length| Place::of(SortKey::Text("x".repeat(length)));
        assert!(matches!(place(512), Place::Key(_)));
        assert_eq!(place(513), Place::Digest(digest(&"x".repeat(513))));
    }
}
