//! Operations on a group's members, carried out in order, leave the set that a set would be left
//! with.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scim_relay_sdk::scim::{MemberOp, MemberValue, PatchRequest};
use serde_json::{Value, json};

use crate::groups;

type Set = BTreeSet<String>;

#[derive(Clone, Debug)]
enum Change {
    Add(Vec<&'static str>),
    Replace(Vec<&'static str>),
    /// As Entra lists them in `value`.
    RemoveListed(Vec<&'static str>),
    /// As a value filter.
    RemoveSelected(Vec<&'static str>),
    RemoveAll,
}

fn change() -> impl Strategy<Value = Change> {
    let ids = |least| vec(select(vec!["a", "b", "c", "d"]), least..4);
    prop_oneof![
        ids(0).prop_map(Change::Add),
        ids(0).prop_map(Change::Replace),
        ids(0).prop_map(Change::RemoveListed),
        ids(1).prop_map(Change::RemoveSelected),
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
            Self::RemoveAll => json!({ "op": "remove", "path": "members" }),
        }
    }

    fn on(&self, set: &mut Set) {
        match self {
            Self::Add(ids) => set.extend(ids.iter().map(ToString::to_string)),
            Self::Replace(ids) => *set = ids.iter().map(ToString::to_string).collect(),
            Self::RemoveListed(ids) | Self::RemoveSelected(ids) => {
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
            MemberOp::RemoveAll => members.clear(),
            MemberOp::Replace(all) => *members = ids(all).collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]
    #[test]
    fn members_are_a_set(
        before in vec(select(vec!["a", "b", "c"]), 0..3),
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
