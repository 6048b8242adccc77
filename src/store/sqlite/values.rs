//! What SQLite's errors and numbers mean to us.

use jiff::Timestamp;
use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use scim_relay_sdk::scim::ResourceKind;

use super::FILE;
use crate::store::StoreError;

/// What an SQLite error means to us: no room and locked files heal.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn sql(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen,
        ) => StoreError::Busy(error.to_string()),
        // SQLite also takes a page that the disk cannot read for a damaged one.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged(format!("a part of {FILE} is damaged or cannot be read: {error}"))
        }
        _ => StoreError::Broken(error.to_string()),
    }
}

/// Whether a write broke a unique index.
pub(super) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_CONSTRAINT_UNIQUE)
}

pub(super) fn millis(time: Timestamp) -> i64 {
    time.as_millisecond()
}

pub(super) fn time(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) fn kind_number(kind: ResourceKind) -> i64 {
    match kind {
        ResourceKind::User => 0,
        ResourceKind::Group => 1,
    }
}

pub(super) fn kind_of(number: i64) -> ResourceKind {
    if number == 0 { ResourceKind::User } else { ResourceKind::Group }
}
