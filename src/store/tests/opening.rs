//! Opening a database: whose it is, and which version's.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::kit::Kit;
use crate::store::sqlite::{FILE, SqliteStore};
use crate::store::{Store, StoreError};

#[tokio::test]
async fn a_second_process_is_refused() {
    let kit = Kit::new().await;
    let Err(StoreError::Open(said)) = SqliteStore::open(kit.folder.path(), |_, _| {}) else {
        panic!("it was let in")
    };
    assert!(said.contains("another scim-relay uses"), "{said}");
    assert!(said.contains("stop it first"), "{said}");
    kit.user("ada").await;
}

#[tokio::test]
async fn the_files_are_their_owner_s_alone() {
    let kit = Kit::new().await;
    kit.user("ada").await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(kit.folder.path()), 0o700);
    let files: Vec<_> = std::fs::read_dir(kit.folder.path()).unwrap().flatten().collect();
    assert!(files.len() >= 4, "the database, its WAL, its index and the lock: {files:?}");
    for file in files {
        assert_eq!(mode(&file.path()), 0o600, "{}", file.path().display());
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let kit = Kit::new().await;
    let file = kit.folder.path().join(FILE);
    let Kit { store, folder, .. } = kit;
    store.close().await;
    drop(store);
    rusqlite::Connection::open(file)
        .unwrap()
        .execute(
            "INSERT INTO refinery_schema_history SELECT 99, 'future', applied_on, checksum
             FROM refinery_schema_history LIMIT 1",
            [],
        )
        .unwrap();
    let Err(StoreError::Open(said)) = SqliteStore::open(folder.path(), |_, _| {}) else {
        panic!("it was opened")
    };
    assert!(said.contains("was written by a newer scim-relay (layout 99"), "{said}");
    assert!(said.contains("restore a backup"), "{said}");
}

#[test]
fn what_is_no_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE);
    std::fs::write(&file, "this is not a database, and it is long enough to be looked at").unwrap();
    let Err(StoreError::Damaged(said)) = SqliteStore::open(folder.path(), |_, _| {}) else {
        panic!("it was opened")
    };
    assert!(said.contains(&*file.to_string_lossy()), "{said}");
    assert!(said.contains("is damaged, or is no database"), "{said}");
    assert!(std::fs::read_to_string(file).unwrap().starts_with("this is not"));
}

#[tokio::test]
async fn organizations_keep_their_rows() {
    let kit = Kit::new().await;
    let again = kit.store.organizations(vec!["south".to_owned(), "west".to_owned()]).await.unwrap();
    assert_eq!(again[0], kit.south);
    let kit = kit.reopened().await;
    let again = kit.store.organizations(vec!["west".to_owned(), "north".to_owned()]).await.unwrap();
    assert_eq!(again[1], kit.north);
}

#[tokio::test]
async fn a_closed_store_takes_no_more_and_says_so() {
    let kit = Kit::new().await;
    kit.store.close().await;
    let Err(StoreError::Busy(said)) = kit.store.writable().await else { panic!("it took a write") };
    assert!(said.contains("closing"), "{said}");
}
