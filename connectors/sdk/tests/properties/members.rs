//! Operations on a group's members, carried out in order, leave the set that a set would be left
//! with.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scim_relay_sdk::scim::{
    MemberOp, MemberValue, Membership, PatchRequest, Relation, ResourceId, ResourceKind,
};
use serde_json::{Value, json};

use crate::groups;

/// Users all of them.
const PEOPLE: [&str; 4] = [
    "a0000000-0000-4000-8000-000000000000",
    "b0000000-0000-4000-8000-000000000000",
    "c0000000-0000-4000-8000-000000000000",
    "d0000000-0000-4000-8000-000000000000",
];

type Set = BTreeSet<String>;

#[derive(Clone, Debug)]
enum Change {
    Add(Vec<&'static str>),
    Replace(Vec<&'static str>),
    /// As Entra lists them in `value`.
    RemoveListed(Vec<&'static str>),
    /// As a value filter.
    RemoveSelected(Vec<&'static str>),
    /// As any other filter.
    RemoveWhere(Vec<&'static str>),
    RemoveAll,
}

fn change() -> impl Strategy<Value = Change> {
    let ids = |least| vec(select(PEOPLE.to_vec()), least..4);
    prop_oneof![
        ids(0).prop_map(Change::Add),
        ids(0).prop_map(Change::Replace),
        ids(0).prop_map(Change::RemoveListed),
        ids(1).prop_map(Change::RemoveSelected),
        ids(1).prop_map(Change::RemoveWhere),
        Just(Change::RemoveAll),
    ]
}

impl Change {
    fn operation(&self, whim: bool) -> Value {
        let entries = |ids: &[&str]| -> Value {
            ids.iter().map(|id| json!({ "value": id, "display": null })).collect()
        };
        match self {
            Self::Add(ids) if whim => json!({ "op": "Add", "value": { "members": entries(ids) } }),
            Self::Add(ids) => json!({ "op": "add", "path": "members", "value": entries(ids) }),
            Self::Replace(ids) if whim => {
                json!({ "op": "replace", "value": { "MEMBERS": entries(ids) } })
            }
            Self::Replace(ids) => {
                json!({ "op": "replace", "path": "members", "value": entries(ids) })
            }
            Self::RemoveListed(ids) => {
                json!({ "op": "Remove", "path": "members", "value": entries(ids) })
            }
            Self::RemoveSelected(ids) => {
                let terms: Vec<_> = ids.iter().map(|id| format!("value eq \"{id}\"")).collect();
                json!({ "op": "remove", "path": format!("members[{}]", terms.join(" or ")) })
            }
            Self::RemoveWhere(ids) => {
                let terms: Vec<_> = ids.iter().map(|id| format!("value sw \"{id}\"")).collect();
                let also = if whim { " and type eq \"User\"" } else { "" };
                let path = format!("members[({}){also}]", terms.join(" or "));
                json!({ "op": "remove", "path": path })
            }
            Self::RemoveAll => json!({ "op": "remove", "path": "members" }),
        }
    }

    fn on(&self, set: &mut Set) {
        match self {
            Self::Add(ids) => set.extend(ids.iter().map(ToString::to_string)),
            Self::Replace(ids) => *set = ids.iter().map(ToString::to_string).collect(),
            Self::RemoveListed(ids) | Self::RemoveSelected(ids) | Self::RemoveWhere(ids) => {
                set.retain(|id| !ids.contains(&id.as_str()));
            }
            Self::RemoveAll => set.clear(),
        }
    }
}

/// What the store does with the operations, on a set.
fn run(operations: Vec<MemberOp>, members: &mut Set) {
    let ids = |all: Vec<MemberValue>| all.into_iter().map(|member| member.value);
    for operation in operations {
        match operation {
            MemberOp::Add(all) => members.extend(ids(all)),
            MemberOp::Remove(gone) => members.retain(|id| !gone.contains(id)),
            MemberOp::RemoveWhere(filter) => members.retain(|id| {
                let id = ResourceId::parse(id).expect("an id");
                let relation = Relation::Member(ResourceKind::User);
                !filter.selects(&Membership { id, display: None, relation })
            }),
            MemberOp::RemoveAll => members.clear(),
            MemberOp::Replace(all) => *members = ids(all).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn members_are_a_set(
        before in vec(select(PEOPLE[..3].to_vec()), 0..3),
        changes in vec((change(), any::<bool>()), 1..6),
    ) {
        let mut expected: Set = before.into_iter().map(str::to_owned).collect();
        let mut members = expected.clone();
        for (change, _) in &changes {
            change.on(&mut expected);
        }
        let operations: Vec<_> =
            changes.iter().map(|(change, whim)| change.operation(*whim)).collect();
        let group = json!({ "displayName": "Choir" });
        let patch = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations,
        });
        let patched = PatchRequest::parse(patch.clone())
            .and_then(|patch| patch.apply(group.as_object().expect("an object"), &groups()))
            .expect("these may all be done");
        prop_assert_eq!(Value::Object(patched.attributes), group);
        run(patched.member_ops, &mut members);
        prop_assert_eq!(members, expected, "{}", patch);
    }
}
