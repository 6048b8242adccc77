//! Lists: their order, their pages, and that an index finds what a scan would.

use proptest::prelude::*;
use scim_relay_sdk::scim::{Filter, ResourceId, ResourceKind, Schemas, SortBy, Start};

use super::kit::{Kit, Page, done, request};
use crate::store::{Content, ListRequest, Listing, Lookups, Stored};

#[tokio::test]
async fn lists_come_in_the_order_of_creation_and_pages_do_not_shift() {
    let kit = Kit::new().await;
    let mut people = Vec::new();
    for name in ["eve", "ada", "zoe", "bob", "mia"] {
        people.push(kit.user(name).await);
    }
    kit.change(&people[0], "aaa", "renamed").await;
    let ids = |page: Page| page.resources.iter().map(|one| one.stored.id).collect::<Vec<_>>();
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
const FILTERS: [&str; 12] = [
    "NAME eq \"ADA\"",
    "NAME eq \"\u{e5}se\" and externalId eq \"A\"",
    "externalId eq \"a\"",
    "id eq \"ID\"",
    "id eq \"none of ours\"",
    "MEMBERS.value eq \"ID\"",
    "MEMBERS[value eq \"ID\" and type eq \"User\"]",
    "MEMBERS eq \"ID\" and not (MEMBERS.type eq \"Group\")",
    "MEMBERS.value eq \"ID\" and MEMBERS.value ne \"ID\"",
    "groups.value eq \"ID\"",
    "groups[value eq \"UPPER\"]",
    "groups eq \"ID\" and userName eq \"bob\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_filter_by_index_finds_what_a_scan_finds(people in prop::collection::vec(person(), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let kit = Kit::new().await;
            let (mut ids, mut last) = (Vec::new(), None);
            for person in &people {
                let kind = ResourceKind::User;
                let written = kit.created(content(person, kind), kind, &[]).await;
                let crate::store::Written::Done { stored, .. } = written else { continue };
                ids.push(stored.id);
                let kind = ResourceKind::Group;
                let both: Vec<&Stored> = last.iter().chain([&stored]).collect();
                let members = if person.in_group { &both[..] } else { &[] };
                let group = done(kit.created(content(person, kind), kind, members).await);
                ids.push(group.id);
                // The next group has this one in it.
                last = (!person.deleted).then(|| group.clone());
                if person.deleted {
                    kit.delete(&stored).await;
                    kit.delete(&group).await;
                }
            }
            for id in ids {
                for (kind, name) in [(ResourceKind::User, "userName"), (ResourceKind::Group, "displayName")] {
                    for filter in FILTERS {
                        let filter = filter.replace("NAME", name).replace("ID", &id.to_string());
                        let filter = filter.replace("UPPER", &id.to_string().to_uppercase());
                        let filter = filter.replace("MEMBERS", "members");
                        let scan = format!("not (not ({filter}))");
                        assert!(Filter::parse(&scan).unwrap().required_equals().is_empty());
                        let (by_index, by_scan) = (
                            kit.list(kind, Some(&filter), 0, 100).await,
                            kit.list(kind, Some(&scan), 0, 100).await,
                        );
                        let rows = |page: &Page| -> Vec<_> {
                            page.resources.iter().map(|one| one.stored.row).collect()
                        };
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
    let ada = format!("https://x/Users/{}", ada.id);
    assert_eq!(total(ResourceKind::User, &format!("meta.location eq \"{ada}\"")).await, 1);
    assert_eq!(total(ResourceKind::Group, &format!("members.$ref eq \"{ada}\"")).await, 1);
    assert_eq!(total(ResourceKind::User, "meta.version eq \"W/\\\"1\\\"\"").await, 2);
    assert_eq!(total(ResourceKind::User, "meta.created gt \"2026-01-01T00:00:00Z\"").await, 2);
    let wanted = request(&[ResourceKind::User], "groups.display eq \"choir\"");
    let listing = kit.listing(kit.south, wanted).await;
    assert!(matches!(listing, Listing::Page(page) if page.total == 0));
}

fn ids(page: &Page) -> Vec<ResourceId> {
    page.resources.iter().map(|one| one.stored.id).collect()
}

fn names(page: &Page) -> String {
    let name = |body: &str| {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let name = body.get("userName").or_else(|| body.get("displayName"));
        name.and_then(|name| name.as_str()).unwrap().to_owned()
    };
    let names: Vec<_> = page.resources.iter().map(|one| name(&one.stored.body)).collect();
    names.join(" ")
}

fn sorted(kinds: &[ResourceKind], by: &str, order: &str) -> ListRequest {
    let schemas = Schemas::builtin();
    let types: Vec<_> = kinds.iter().map(|kind| schemas.of(*kind)).collect();
    let sort = SortBy::parse(by, Some(order), &types).unwrap();
    ListRequest { sort: Some(sort), ..request(kinds, "") }
}

/// Follows the cursors from the first page to the last, and writes in between.
async fn walk(kit: &Kit, first: ListRequest, between: impl AsyncFn(usize)) -> Vec<ResourceId> {
    let (mut seen, mut cursor) = (Vec::new(), None);
    for pages in 0.. {
        let start = Start::Cursor(cursor.take());
        let page = kit.page(ListRequest { start, ..first.clone() }).await;
        assert!(page.resources.len() <= first.count);
        seen.extend(ids(&page));
        let Some(next) = page.next else { break };
        assert_eq!(page.resources.len(), first.count, "only the last page is short");
        assert!(pages < 40, "the list has no end");
        cursor = Some(next);
        if pages < 3 {
            between(pages).await;
        }
    }
    seen
}

const BOTH: [ResourceKind; 2] = ResourceKind::ALL;
const USERS: [ResourceKind; 1] = [ResourceKind::User];
const GROUPS: [ResourceKind; 1] = [ResourceKind::Group];

#[tokio::test]
async fn the_root_lists_both_types_in_the_order_of_creation() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    kit.group("choir", &[&ada]).await;
    kit.user("bob").await;
    kit.group("band", &[]).await;
    kit.user_in(kit.south, "eve").await;
    let listed = async |filter: &str, start, count| {
        let start = Start::Index(start);
        let page = kit.page(ListRequest { start, count, ..request(&BOTH, filter) }).await;
        (page.total, names(&page))
    };
    assert_eq!(listed("", 1, 10).await, (4, "ada choir bob band".to_owned()));
    assert_eq!(listed("", 2, 2).await, (4, "choir bob".to_owned()));
    assert_eq!(listed("", 5, 2).await, (4, String::new()));
    assert_eq!(listed("", 1, 0).await, (4, String::new()));
    for (filter, expected) in [
        ("meta.resourceType eq \"User\"", "ada bob"),
        ("meta.resourceType eq \"Group\" and not (members pr)", "band"),
        ("meta.resourceType eq \"Cat\"", ""),
        ("userName sw \"a\" or displayName sw \"ba\"", "ada band"),
        ("userName eq \"ADA\"", "ada"),
        ("displayName eq \"Band\"", "band"),
        ("not (userName eq \"ada\")", "choir bob band"),
        ("members pr or groups pr", "ada choir"),
    ] {
        let total = expected.split_whitespace().count();
        assert_eq!(listed(filter, 1, 10).await, (total, expected.to_owned()), "{filter}");
    }
}

#[tokio::test]
async fn a_list_is_sorted_by_index_and_by_value_alike() {
    let kit = Kit::new().await;
    for name in ["b", "C", "\u{e5}", "a", "d"] {
        kit.user(name).await;
        kit.group(name, &[]).await;
    }
    kit.group("A", &[]).await;
    for (kinds, by, order, expected) in [
        (&USERS[..], "userName", "ascending", "a b C d \u{e5}"),
        (&USERS, "userName", "descending", "\u{e5} d C b a"),
        // Equal ones stay in the order of their creation, both ways.
        (&GROUPS, "displayName", "ascending", "a A b C d \u{e5}"),
        (&GROUPS, "displayName", "descending", "\u{e5} d C b a A"),
        (&USERS, "meta.created", "descending", "b C \u{e5} a d"),
        (&BOTH, "userName", "ascending", "a b C d \u{e5} b C \u{e5} a d A"),
        (&BOTH, "userName", "descending", "b C \u{e5} a d A \u{e5} d C b a"),
    ] {
        let all = sorted(kinds, by, order);
        let page = kit.page(all.clone()).await;
        assert_eq!(names(&page), expected, "{by} {order}");
        // The same where no index helps, and page by page.
        let slowly = Filter::parse("userName pr or displayName pr").unwrap();
        let slowly = ListRequest { filter: Some(slowly), ..all.clone() };
        assert_eq!(ids(&kit.page(slowly.clone()).await), ids(&page));
        for list in [all, slowly] {
            for count in [1, 2, 4] {
                let list = ListRequest { count, ..list.clone() };
                assert_eq!(walk(&kit, list.clone(), async |_| ()).await, ids(&page));
                let start = Start::Index(count + 1);
                let second = kit.page(ListRequest { start, ..list }).await;
                let rest: Vec<_> = ids(&page).into_iter().skip(count).take(count).collect();
                assert_eq!(ids(&second), rest);
            }
        }
    }
}

#[tokio::test]
async fn a_filter_that_no_type_can_meet_finds_nobody_in_whatever_order() {
    let kit = Kit::new().await;
    kit.user("ada").await;
    for (kinds, of) in [(&USERS[..], "Group"), (&BOTH, "Cat")] {
        let filter = Filter::parse(&format!("meta.resourceType eq \"{of}\"")).unwrap();
        let unsorted = ListRequest { sort: None, ..sorted(kinds, "userName", "ascending") };
        let lists = [
            unsorted,
            sorted(kinds, "userName", "ascending"),
            sorted(kinds, "meta.created", "descending"),
        ];
        for list in lists {
            for start in [Start::Index(1), Start::Cursor(None)] {
                let filter = Some(filter.clone());
                let page = kit.page(ListRequest { filter, start, ..list.clone() }).await;
                assert_eq!((page.total, page.resources.len(), page.next), (0, 0, None));
            }
        }
    }
}

/// RFC 9865: what was there all the time is seen once, whatever is written between two pages.
#[tokio::test]
async fn a_cursor_passes_nobody_over_and_shows_nobody_twice() {
    let lists = [
        request(&USERS, ""),
        request(&USERS, "userName pr"),
        sorted(&USERS, "userName", "ascending"),
        sorted(&USERS, "userName", "descending"),
        ListRequest {
            filter: Some(Filter::parse("userName pr or displayName pr").unwrap()),
            ..sorted(&USERS, "userName", "ascending")
        },
        sorted(&USERS, "title", "descending"),
    ];
    for list in lists {
        let kit = Kit::new().await;
        let mut people = Vec::new();
        for number in 0..9 {
            people.push(kit.user(&format!("user{number}")).await);
        }
        // Two leave and some come, before and behind the cursor.
        let leavers = [&people[0], &people[8]];
        let list = ListRequest { count: 2, ..list };
        let between = async |pages| {
            kit.user(&format!("a{pages}")).await;
            kit.user(&format!("z{pages}")).await;
            if pages == 0 {
                for leaver in leavers {
                    kit.delete(leaver).await;
                }
            }
        };
        let seen = walk(&kit, list.clone(), between).await;
        for one in &people[1..8] {
            let times = seen.iter().filter(|id| **id == one.id).count();
            assert_eq!(times, 1, "{:?}", list.sort);
        }
        let mut once = seen.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), seen.len());
    }
}

#[tokio::test]
async fn a_cursor_is_of_one_list_in_one_organization() {
    let kit = Kit::new().await;
    kit.users(3).await;
    let first = ListRequest { start: Start::Cursor(None), count: 1, ..request(&USERS, "") };
    let next = kit.page(first.clone()).await.next.unwrap();
    let start = Start::Cursor(Some(next.clone()));
    let ask = async |organization, list: ListRequest| {
        let list = ListRequest { start: start.clone(), ..list };
        kit.listing(organization, list).await
    };
    // Another page length is fine.
    let longer = ListRequest { count: 2, ..first.clone() };
    assert!(matches!(ask(kit.north, longer).await, Listing::Page(page) if page.next.is_none()));
    assert!(matches!(ask(kit.south, first.clone()).await, Listing::InvalidCursor));
    for other in [
        request(&GROUPS, ""),
        request(&BOTH, ""),
        request(&USERS, "userName pr"),
        sorted(&USERS, "userName", "ascending"),
    ] {
        assert!(matches!(ask(kit.north, other).await, Listing::InvalidCursor));
    }
    // It outlives the process.
    let kit = kit.reopened().await;
    let page = kit.page(ListRequest { start: Start::Cursor(Some(next)), ..first }).await;
    assert_eq!(page.resources.len(), 1);
}

#[tokio::test]
async fn a_place_in_the_order_that_is_too_long_to_carry_is_looked_up_again() {
    let kit = Kit::new().await;
    let long = |end: &str| format!("{}{end}", "x".repeat(2_000));
    let mut people = Vec::new();
    for end in ["c", "a", "b"] {
        people.push(kit.user(&long(end)).await);
    }
    let list = ListRequest { count: 1, ..sorted(&USERS, "userName", "ascending") };
    let expected = [people[1].id, people[2].id, people[0].id];
    assert_eq!(walk(&kit, list.clone(), async |_| ()).await, expected);
    let first = ListRequest { start: Start::Cursor(None), ..list.clone() };
    let next = kit.page(first).await.next.unwrap();
    assert!(next.len() < 1_000, "{}", next.len());
    kit.change(&people[1], "renamed", "").await;
    let second = ListRequest { start: Start::Cursor(Some(next)), ..list };
    let listing = kit.listing(kit.north, second).await;
    assert!(matches!(listing, Listing::ExpiredCursor));
}

#[tokio::test]
async fn a_page_brings_the_memberships_that_were_asked_for() {
    let kit = Kit::new().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let choir = kit.group("choir", &[&ada, &bob]).await;
    let beside = async |memberships: bool| -> Vec<String> {
        let mut list = request(&BOTH, "");
        for wanted in &mut list.kinds {
            wanted.memberships = memberships;
        }
        kit.page(list).await.resources.into_iter().map(|one| one.text).collect()
    };
    let of = |all: &[&Stored]| {
        let ids: Vec<_> = all.iter().map(|one| one.id.to_string()).collect();
        ids.join(" ")
    };
    assert_eq!(beside(true).await, [of(&[&choir]), of(&[&choir]), of(&[&ada, &bob])]);
    assert_eq!(beside(false).await, ["", "", ""]);
}

/// RFC 7644 section 3.4.2.4 lets a page be shorter than asked for, and a large one must be.
#[tokio::test]
async fn a_page_that_grows_too_large_ends_early() {
    let kit = Kit::new().await;
    let people = kit.users(3).await;
    let listed = async |start: Start| {
        let list = ListRequest { start, ..request(&USERS, "") };
        kit.page_written(list, Box::new(|_, _| Ok("x".repeat(20 << 20)))).await
    };
    let by_index = listed(Start::Index(2)).await;
    assert_eq!((by_index.total, ids(&by_index)), (3, vec![people[1].id]));
    let (mut seen, mut start) = (Vec::new(), Start::Cursor(None));
    while seen.len() < 3 {
        let page = listed(start).await;
        assert_eq!(page.resources.len(), 1);
        seen.extend(ids(&page));
        assert_eq!(page.next.is_none(), seen.len() == 3);
        start = Start::Cursor(page.next);
    }
    assert_eq!(seen, people.iter().map(|one| one.id).collect::<Vec<_>>());
}
