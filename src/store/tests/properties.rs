//! Generated people and filters: what a list finds, and what operations on members leave, is what
//! a plain look at everybody says.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use scim_relay_sdk::scim::{MemberOp, ResourceId, ResourceKind, fold};

use super::kit::{Kit, done, values};
use crate::ids;
use crate::store::{Content, Lookups, Store, Stored, Written};

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[derive(Clone, Debug)]
struct Person {
    name: &'static str,
    external: Option<&'static str>,
    /// Whether a group of the same name lists the person.
    in_group: bool,
}

const NAMES: [&str; 7] = ["ada", "ADA", "\u{e5}se", "A\u{30a}SE", "bob", "k", "\u{212a}"];

fn person() -> impl Strategy<Value = Person> {
    let external = prop::option::of(select(vec!["1", "A", "a"]));
    (select(&NAMES[..]), external, any::<bool>()).prop_map(|(name, external, in_group)| Person {
        name,
        external,
        in_group,
    })
}

impl Person {
    fn content(&self, kind: ResourceKind, id: ResourceId) -> Content {
        let (name, lookups) = match kind {
            ResourceKind::User => {
                ("userName", Lookups { user_name: Some(fold(self.name)), ..Lookups::default() })
            }
            ResourceKind::Group => (
                "displayName",
                Lookups { display_name: Some(fold(self.name)), ..Lookups::default() },
            ),
        };
        let mut body = serde_json::json!({ "id": id, name: self.name });
        if let Some(external) = self.external {
            body["externalId"] = external.into();
        }
        let lookups = Lookups { external_id: self.external.map(str::to_owned), ..lookups };
        Content { body: body.to_string(), lookups, changed: Vec::new(), password: None }
    }
}

/// A condition, as a filter says it and as one sees it.
#[derive(Clone, Debug)]
enum Condition {
    Name(&'static str),
    NameBegins(&'static str),
    External(&'static str),
    Id(Index),
    /// For a user, to be in that group; for a group, to list that user.
    Together(Index),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        3 => select(&NAMES[..]).prop_map(Condition::Name),
        1 => select(vec!["a", "K", "bo"]).prop_map(Condition::NameBegins),
        2 => select(vec!["1", "A", "a", "x"]).prop_map(Condition::External),
        2 => any::<Index>().prop_map(Condition::Id),
        2 => any::<Index>().prop_map(Condition::Together),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            2 => several.clone().prop_map(Condition::All),
            1 => several.prop_map(Condition::Any),
            1 => inner.prop_map(|one| Condition::Not(Box::new(one))),
        ]
    })
}

/// Somebody who is there: the person, and what was made of it.
struct There {
    person: Person,
    user: Stored,
    group: Stored,
}

impl Condition {
    fn filter(&self, kind: ResourceKind, everybody: &[There]) -> String {
        let (name, other) = match kind {
            ResourceKind::User => ("userName", "groups.value"),
            ResourceKind::Group => ("displayName", "members.value"),
        };
        let joined = |all: &[Self], word| {
            let parts: Vec<_> =
                all.iter().map(|one| format!("({})", one.filter(kind, everybody))).collect();
            parts.join(word)
        };
        match self {
            Self::Name(text) => format!("{name} eq \"{text}\""),
            Self::NameBegins(text) => format!("{name} sw \"{text}\""),
            Self::External(text) => format!("externalId eq \"{text}\""),
            Self::Id(at) => format!("id eq \"{}\"", at.get(everybody).of(kind).id),
            Self::Together(at) => {
                let there = at.get(everybody);
                let id = match kind {
                    ResourceKind::User => there.group.id,
                    ResourceKind::Group => there.user.id,
                };
                format!("{other} eq \"{id}\"")
            }
            Self::All(all) => joined(all, " and "),
            Self::Any(all) => joined(all, " or "),
            Self::Not(one) => format!("not ({})", one.filter(kind, everybody)),
        }
    }

    fn holds(&self, of: &There, everybody: &[There]) -> bool {
        let is = |at: &Index| at.get(everybody).user.id == of.user.id;
        match self {
            Self::Name(text) => fold(of.person.name) == fold(text),
            Self::NameBegins(text) => fold(of.person.name).starts_with(&fold(text)),
            Self::External(text) => of.person.external == Some(text),
            Self::Id(at) => is(at),
            Self::Together(at) => is(at) && of.person.in_group,
            Self::All(all) => all.iter().all(|one| one.holds(of, everybody)),
            Self::Any(all) => all.iter().any(|one| one.holds(of, everybody)),
            Self::Not(one) => !one.holds(of, everybody),
        }
    }
}

impl There {
    fn of(&self, kind: ResourceKind) -> &Stored {
        match kind {
            ResourceKind::User => &self.user,
            ResourceKind::Group => &self.group,
        }
    }
}

async fn populate(kit: &Kit, people: &[Person]) -> Vec<There> {
    let mut everybody = Vec::new();
    for person in people {
        let create = async |kind, members| {
            let id = ids::resource_id(kit.now());
            let content = person.content(kind, id);
            kit.store.create(kit.north, kind, id, content, members, kit.origin()).await.unwrap()
        };
        // A name is taken once.
        let written = create(ResourceKind::User, Vec::new()).await;
        let Written::Done { stored: user, .. } = written else { continue };
        let members = person.in_group.then(|| user.id.to_string()).into_iter().collect();
        let group = done(create(ResourceKind::Group, members).await);
        everybody.push(There { person: person.clone(), user, group });
    }
    everybody
}

#[derive(Clone, Debug)]
enum Change {
    Add(Vec<Index>),
    Remove(Vec<Index>),
    Replace(Vec<Index>),
    RemoveAll,
}

fn change() -> impl Strategy<Value = Change> {
    let some = || prop::collection::vec(any::<Index>(), 0..4);
    prop_oneof![
        3 => some().prop_map(Change::Add),
        2 => some().prop_map(Change::Remove),
        1 => some().prop_map(Change::Replace),
        1 => Just(Change::RemoveAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_list_finds_whom_a_look_at_everybody_finds(
        people in prop::collection::vec(person(), 1..8),
        conditions in prop::collection::vec(condition(), 12),
    ) {
        block_on(async {
            let kit = Kit::new().await;
            let everybody = populate(&kit, &people).await;
            for (condition, kind) in
                conditions.iter().flat_map(|one| ResourceKind::ALL.map(|kind| (one, kind)))
            {
                let filter = condition.filter(kind, &everybody);
                let expected: Vec<ResourceId> = everybody
                    .iter()
                    .filter(|one| condition.holds(one, &everybody))
                    .map(|one| one.of(kind).id)
                    .collect();
                let mut found = Vec::new();
                // In pages of two, so that the pages are held against the whole as well.
                for offset in (0..=expected.len()).step_by(2) {
                    let page = kit.list(kind, Some(&filter), offset, 2).await;
                    assert_eq!(page.total, expected.len(), "{filter}");
                    found.extend(page.resources.iter().map(|one| one.stored.id));
                }
                assert_eq!(found, expected, "{filter}");
            }
        });
    }

    #[test]
    fn members_are_a_set(
        before in prop::collection::vec(any::<Index>(), 0..4),
        requests in prop::collection::vec(prop::collection::vec(change(), 1..4), 1..5),
    ) {
        block_on(async {
            let kit = Kit::new().await;
            let users = kit.users(5).await;
            let some = |at: &[Index]| at.iter().map(|at| at.get(&users)).collect::<Vec<_>>();
            let ids = |at: &[Index]| some(at).into_iter().map(|one| one.id).collect::<BTreeSet<_>>();
            let choir = kit.group("choir", &some(&before)).await;
            let (mut expected, mut version) = (ids(&before), choir.version);
            for request in requests {
                let earlier = expected.clone();
                let mut operations = Vec::new();
                for change in request {
                    operations.push(match &change {
                        Change::Add(at) => MemberOp::Add(values(&some(at))),
                        Change::Replace(at) => MemberOp::Replace(values(&some(at))),
                        Change::RemoveAll => MemberOp::RemoveAll,
                        Change::Remove(at) => {
                            MemberOp::Remove(some(at).iter().map(|one| one.id.to_string()).collect())
                        }
                    });
                    match change {
                        Change::Add(at) => expected.extend(ids(&at)),
                        Change::Replace(at) => expected = ids(&at),
                        Change::RemoveAll => expected.clear(),
                        Change::Remove(at) => {
                            let gone = ids(&at);
                            expected.retain(|id| !gone.contains(id));
                        }
                    }
                }
                let after = done(kit.update(&choir, None, operations).await);
                let members = kit.memberships(&choir).await;
                assert_eq!(members.iter().map(|one| one.id).collect::<BTreeSet<_>>(), expected);
                assert_eq!(members.len(), expected.len());
                // What comes to nothing is no new version.
                version += i64::from(expected != earlier);
                assert_eq!(after.version, version);
            }
        });
    }
}
