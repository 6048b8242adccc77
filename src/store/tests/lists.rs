//! Lists: their order, their pages, and that an index finds what a scan would.

use proptest::prelude::*;
use scim_relay_sdk::scim::{Filter, ResourceKind, Schemas};

use super::kit::{Kit, done};
use crate::store::{Content, Lookups, Store};

#[tokio::test]
async fn lists_come_in_the_order_of_creation_and_pages_do_not_shift() {
    let kit = Kit::new().await;
    let mut people = Vec::new();
    for name in ["eve", "ada", "zoe", "bob", "mia"] {
        people.push(kit.user(name).await);
    }
    kit.change(&people[0], "aaa", "renamed").await;
    let ids =
        |page: crate::store::Page| page.resources.iter().map(|one| one.id).collect::<Vec<_>>();
    let all: Vec<_> = people.iter().map(|one| one.id).collect();
    assert_eq!(ids(kit.list(ResourceKind::User, None, 0, 10).await), all);
    assert_eq!(ids(kit.list(ResourceKind::User, None, 1, 2).await), all[1..3]);
    // Somebody new comes last.
    kit.user("abe").await;
    assert_eq!(ids(kit.list(ResourceKind::User, None, 1, 2).await), all[1..3]);
    let page = kit.list(ResourceKind::User, None, 6, 2).await;
    assert_eq!((page.total, page.resources.len()), (6, 0));
    let page = kit.list(ResourceKind::User, None, 0, 0).await;
    assert_eq!((page.total, page.resources.len()), (6, 0));
    let page = kit.list(ResourceKind::User, Some("userName pr"), 1, 2).await;
    assert_eq!((page.total, ids(page)), (6, all[1..3].to_vec()));
}

/// A population small enough that values meet.
#[derive(Clone, Debug)]
struct Person {
    name: String,
    external: Option<String>,
    deleted: bool,
    in_group: bool,
}

fn person() -> impl Strategy<Value = Person> {
    let name = prop::sample::select(vec!["ada", "Ada", "\u{e5}se", "A\u{30a}SE", "bob", "k"]);
    let external = prop::option::of(prop::sample::select(vec!["1", "A", "a"]));
    (name, external, any::<bool>(), any::<bool>()).prop_map(
        |(name, external, deleted, in_group)| Person {
            name: name.to_owned(),
            external: external.map(str::to_owned),
            deleted,
            in_group,
        },
    )
}

fn content(person: &Person, kind: ResourceKind) -> Content {
    let folded = Some(scim_relay_sdk::scim::fold(&person.name));
    let (name, lookups) = match kind {
        ResourceKind::User => ("userName", Lookups { user_name: folded, ..Lookups::default() }),
        ResourceKind::Group => {
            ("displayName", Lookups { display_name: folded, ..Lookups::default() })
        }
    };
    let mut body = serde_json::json!({ name: person.name });
    if let Some(external) = &person.external {
        body["externalId"] = external.as_str().into();
    }
    let lookups = Lookups { external_id: person.external.clone(), ..lookups };
    Content { body: body.to_string(), lookups, changed: Vec::new(), password: None }
}

/// Each of these goes by an index; behind `not (not (...))` it cannot.
const FILTERS: [&str; 6] = [
    "NAME eq \"ADA\"",
    "NAME eq \"\u{e5}se\" and externalId eq \"A\"",
    "externalId eq \"a\"",
    "id eq \"ID\"",
    "id eq \"none of ours\"",
    "MEMBERS.value eq \"ID\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_filter_by_index_finds_what_a_scan_finds(people in prop::collection::vec(person(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kit = Kit::new().await;
            let mut ids = Vec::new();
            for person in &people {
                let kind = ResourceKind::User;
                let written = kit.created(content(person, kind), kind, &[]).await;
                let crate::store::Written::Done { stored, .. } = written else { continue };
                ids.push(stored.id);
                let kind = ResourceKind::Group;
                let members: &[&_] = if person.in_group { &[&stored] } else { &[] };
                let group = done(kit.created(content(person, kind), kind, members).await);
                ids.push(group.id);
                if person.deleted {
                    kit.delete(&stored).await;
                    kit.delete(&group).await;
                }
            }
            for id in ids {
                for (kind, name) in [(ResourceKind::User, "userName"), (ResourceKind::Group, "displayName")] {
                    for filter in FILTERS {
                        let filter = filter.replace("NAME", name).replace("ID", &id.to_string());
                        let filter = filter.replace("MEMBERS", "members");
                        let scan = format!("not (not ({filter}))");
                        assert!(Filter::parse(&scan).unwrap().required_equals().is_empty());
                        let (by_index, by_scan) = (
                            kit.list(kind, Some(&filter), 0, 100).await,
                            kit.list(kind, Some(&scan), 0, 100).await,
                        );
                        let rows = |page: &crate::store::Page| super::kit::rows(&page.resources);
                        assert_eq!(rows(&by_index), rows(&by_scan), "{filter}");
                        assert_eq!(by_index.total, by_scan.total);
                    }
                }
            }
        });
    }
}

#[tokio::test]
async fn a_filter_may_read_members_groups_and_meta() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    kit.user("bob").await;
    kit.group("choir", &[&ada]).await;
    kit.group("empty", &[]).await;
    let total = async |kind, filter: &str| kit.list(kind, Some(filter), 0, 10).await.total;
    assert_eq!(total(ResourceKind::Group, "members pr").await, 1);
    assert_eq!(total(ResourceKind::User, "groups.display eq \"choir\"").await, 1);
    assert_eq!(total(ResourceKind::User, "meta.version eq \"W/\\\"1\\\"\"").await, 2);
    assert_eq!(total(ResourceKind::User, "meta.created gt \"2026-01-01T00:00:00Z\"").await, 2);
    let schemas = Schemas::builtin();
    let filter = Filter::parse("groups.display eq \"choir\"").unwrap();
    let request = crate::store::ListRequest {
        kind: ResourceKind::User,
        filter: Some(filter),
        offset: 0,
        count: 10,
    };
    let page = kit.store.list(kit.south, &schemas, request).await.unwrap();
    assert_eq!(page.total, 0);
}
