//! Many writes at once, seen from outside; one failure among them is `sqlite/writer.rs`'s to test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use scim_relay_sdk::scim::ResourceKind;

use super::kit::{Kit, user};
use crate::ids;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, Written};

#[tokio::test]
async fn many_who_write_one_name_make_one_resource() {
    let kit = Kit::new().await;
    let writes = (0..50).map(|_| kit.created(user("ada"), ResourceKind::User, &[]));
    let written = futures_util::future::join_all(writes).await;
    let done = written.iter().filter(|one| matches!(one, Written::Done { .. })).count();
    let taken = written.iter().filter(|one| matches!(one, Written::UserNameTaken)).count();
    assert_eq!((done, taken), (1, 49));
    assert_eq!(kit.rows("change"), 1);
}

#[tokio::test]
async fn writes_that_wait_together_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (commits, writes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&commits), Arc::clone(&writes));
    let store = SqliteStore::open(folder.path(), move |_, served| {
        counted.0.fetch_add(1, Ordering::Relaxed);
        counted.1.fetch_add(served, Ordering::Relaxed);
    })
    .unwrap();
    let north = store.organizations(vec!["north".to_owned()]).await.unwrap()[0];
    let now = jiff::Timestamp::UNIX_EPOCH;
    let origin = crate::store::Origin { token: None, now };
    let all = (0..500).map(|number| {
        let content = user(&format!("user{number}"));
        store.create(north, ResourceKind::User, ids::resource_id(now), content, Vec::new(), origin)
    });
    for written in futures_util::future::join_all(all).await {
        assert!(matches!(written.unwrap(), Written::Done { .. }));
    }
    let (commits, writes) = (commits.load(Ordering::Relaxed), writes.load(Ordering::Relaxed));
    assert_eq!(writes, 501);
    assert!(commits < 100, "{commits} commits for {writes} writes");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_reopening() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let ada = kit.user("ada").await;
    let choir = kit.group("choir", &[&ada]).await;
    let kit = kit.reopened().await;
    assert_eq!(kit.list(ResourceKind::User, None, 0, 10).await.resources[0].stored.id, ada.id);
    assert_eq!(kit.memberships(&choir).await[0].id, ada.id);
    assert_eq!(kit.entries(dir).await.len(), 2);
}
