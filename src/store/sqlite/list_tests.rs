//! Which lists are read where they are asked for: what decides is what must be read, not what is
//! answered.

use std::time::Duration;

use scim_relay_sdk::scim::{Filter, ResourceId, ResourceKind, Schemas, SortBy, Start};
use uuid::Uuid;

use super::super::{SqliteStore, open, registry};
use super::List;
use crate::store::sqlite::FILE;
use crate::store::{ListRequest, Listing, OrgId, Scribe, Store, Wanted};

fn request(kind: ResourceKind, filter: &str) -> ListRequest {
    let id = ResourceId(Uuid::from_u128(7)).to_string();
    let filter = filter.replace("ID", &id);
    ListRequest {
        base: "".into(),
        kinds: vec![Wanted { kind, memberships: false }],
        filter: (!filter.is_empty()).then(|| Filter::parse(&filter).unwrap()),
        sort: None,
        start: Start::Index(1),
        count: 100,
    }
}

fn is_quick(request: ListRequest) -> bool {
    List::new(OrgId(1), &Schemas::builtin(), request, [0; 32]).is_quick()
}

#[test]
fn a_list_is_quick_where_little_is_read() {
    use ResourceKind::{Group, User};
    for (kind, filter, expected) in [
        (User, "", true),
        (User, "userName eq \"ada\"", true),
        (User, "id eq \"ID\" and groups.value eq \"ID\"", true),
        (Group, "id eq \"ID\"", true),
        (Group, "id eq \"ID\" and members.value eq \"ID\"", true),
        (Group, "id eq \"ID\" and members[value eq \"nobody\"]", true),
        // These read all of the members.
        (Group, "id eq \"ID\" and members pr", false),
        (Group, "id eq \"ID\" and not (members.value eq \"ID\")", false),
        (Group, "id eq \"ID\" and members.value eq \"ID\" and members.type eq \"User\"", false),
        // Everybody may have these.
        (User, "externalId eq \"7\"", false),
        (Group, "displayName eq \"choir\"", false),
        (Group, "members.value eq \"ID\"", false),
        (User, "title pr", false),
    ] {
        assert_eq!(is_quick(request(kind, filter)), expected, "{kind} {filter}");
    }
    assert!(!is_quick(ListRequest { count: 101, ..request(User, "") }));
    let schemas = Schemas::builtin();
    let sort = SortBy::parse("members.display", None, &[schemas.of(Group)]).unwrap();
    assert!(!is_quick(ListRequest { sort: Some(sort), ..request(Group, "id eq \"ID\"") }));
}

#[tokio::test]
async fn a_list_that_takes_too_long_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let c = open::writer(&folder.path().join(FILE)).unwrap();
    let organization = registry::organizations(&c, &["north".to_owned()]).unwrap()[0];
    c.execute(
        "INSERT INTO resource (organization, kind, public_id, version, body, created, modified)
         WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000)
         SELECT ?1, 0, randomblob(16), 1, '{}', 0, 0 FROM n",
        [organization.0],
    )
    .unwrap();
    drop(c);
    let mut store = SqliteStore::open(folder.path(), |_, _| {}).unwrap();
    let listed = async |store: &SqliteStore| {
        let scribe: Scribe = Box::new(|_, _| Ok(String::new()));
        let request = request(ResourceKind::User, "not (title pr)");
        store.list(organization, &Schemas::builtin(), request, scribe).await.unwrap()
    };
    assert!(matches!(listed(&store).await, Listing::Page(page) if page.total == 1000));
    store.readers.patience = Duration::ZERO;
    assert!(matches!(listed(&store).await, Listing::TooMany));
    store.close().await;
}

/// Bodies may be large, and a page has room for some of them only.
#[test]
fn nobody_is_read_who_has_no_room_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let c = open::writer(&folder.path().join(FILE)).unwrap();
    let organization = registry::organizations(&c, &["north".to_owned()]).unwrap()[0];
    // The last of them cannot be read.
    for id in ["randomblob(16)", "randomblob(16)", "x'07'"] {
        let insert = format!(
            "INSERT INTO resource (organization, kind, public_id, version, body, created, modified)
             VALUES (?1, 1, {id}, 1, '{{}}', 0, 0)"
        );
        c.execute(&insert, [organization.0]).unwrap();
    }
    c.execute(
        "INSERT OR REPLACE INTO population (organization, kind, living) VALUES (?1, 1, 3)",
        [organization.0],
    )
    .unwrap();
    let list = |length: usize| {
        let mut scribe: Scribe = Box::new(move |_, _| Ok("x".repeat(length)));
        let list = request(ResourceKind::Group, "");
        List::new(organization, &Schemas::builtin(), list, [0; 32]).read(&c, &mut scribe)
    };
    let full = list(20 << 20).unwrap();
    assert!(matches!(full, Listing::Page(page) if page.total == 3 && page.resources.len() == 1));
    assert!(list(1).is_err());
}
