//! Where new ids come from.

use jiff::Timestamp;
use scim_relay_sdk::scim::ResourceId;
use uuid::{NoContext, Uuid};

/// A new resource's public id: UUID version 7, so that ids made later sort later.
pub fn resource_id(now: Timestamp) -> ResourceId {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    ResourceId(Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos)))
}

/// Bytes that nobody can guess: tokens and keys.
pub fn secret_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
