//! PATCH on a group's members. They may be many, so the group is not read for it: what is asked
//! comes out as operations that the store runs in order.

use serde_json::Value;

use super::apply::Patching;
use super::{MemberFilter, MemberOp, Op};
use crate::scim::error::Error;
use crate::scim::path::PatchPath;

/// How many comparisons of one request may be made with every member: nobody else writes meanwhile.
const MAX_COMPARISONS: usize = 50;

impl Patching<'_> {
    pub(super) fn members(
        &mut self,
        op: Op,
        path: &PatchPath,
        value: Option<&Value>,
    ) -> Result<(), Error> {
        if path.attr.sub.is_some() || path.sub.is_some() {
            return Err(fixed(path));
        }
        match (op, &path.filter) {
            (Op::Remove, Some(filter)) => {
                let filter = MemberFilter::new(filter.clone())?;
                self.push(match filter.ids() {
                    Some(ids) if filter.is_list() => {
                        MemberOp::Remove(ids.into_iter().map(str::to_owned).collect())
                    }
                    _ => MemberOp::RemoveWhere(filter),
                });
                self.limit_walks()?;
            }
            (Op::Add | Op::Replace, Some(_)) => return Err(fixed(path)),
            (Op::Remove, None) => match value {
                None | Some(Value::Null) => self.push(MemberOp::RemoveAll),
                Some(value) => {
                    // RFC 7644 section 3.5.2.2 knows no value here; Entra means only those listed.
                    let members = self.reader.some_members(value)?;
                    self.push(MemberOp::Remove(
                        members.into_iter().map(|member| member.value).collect(),
                    ));
                }
            },
            (Op::Add, None) => {
                let members = self.reader.some_members(value.unwrap_or(&Value::Null))?;
                self.push(MemberOp::Add(members));
            }
            (Op::Replace, None) => {
                let members = self.reader.members(value.unwrap_or(&Value::Null))?;
                self.push(MemberOp::Replace(members));
            }
        }
        Ok(())
    }

    fn limit_walks(&self) -> Result<(), Error> {
        let comparisons = |op: &MemberOp| match op {
            MemberOp::RemoveWhere(filter) if filter.ids().is_none() => filter.comparisons(),
            _ => 0,
        };
        if self.member_ops.iter().map(comparisons).sum::<usize>() > MAX_COMPARISONS {
            return Err(Error::new(
                413,
                None,
                format!(
                    "more than {MAX_COMPARISONS} comparisons with every member; say whom by \
                     `value eq`, or send several requests"
                ),
            ));
        }
        Ok(())
    }

    /// Entra removes forty members in forty operations; neighbours of one sort are one to the
    /// store.
    fn push(&mut self, op: MemberOp) {
        match (self.member_ops.last_mut(), op) {
            (_, MemberOp::Add(members)) if members.is_empty() => {}
            (_, MemberOp::Remove(ids)) if ids.is_empty() => {}
            (Some(MemberOp::Add(all)), MemberOp::Add(more)) => all.extend(more),
            (Some(MemberOp::Remove(all)), MemberOp::Remove(more)) => all.extend(more),
            (_, op) => self.member_ops.push(op),
        }
    }
}

/// What an entry says is immutable (RFC 7643 section 4.2).
fn fixed(path: &PatchPath) -> Error {
    Error::mutability(format!(
        "`{}` cannot be changed alone; add and remove whole entries of `members`",
        path.shown()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::patch::tests::{apply, group};
    use crate::scim::{Filter, MemberValue, Quirk, ResourceKind, ScimType};

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
    fn check_members(operations: Value, expected: &[MemberOp]) {
        let patched = apply(ResourceKind::Group, &group(), &operations)
            .unwrap_or_else(|error| panic!("{operations}: {error}"));
        assert_eq!(patched.attributes, group(), "{operations}");
        assert_eq!(patched.member_ops, expected, "{operations}");
    }

    fn members(ids: &[&str]) -> Vec<MemberValue> {
        ids.iter().map(|&id| MemberValue { value: id.to_owned(), kind: None }).collect()
    }

    fn removed(ids: &[&str]) -> MemberOp {
        MemberOp::Remove(ids.iter().map(|&id| id.to_owned()).collect())
    }

    #[test]
    fn members_come_out_in_order() {
        check_members(
            json!([
                { "op": "add", "path": "members", "value": [{ "value": "a" }, { "value": "a" }] },
                { "op": "Add", "path": "members", "value": { "value": "b" } },
                { "op": "remove", "path": "members[value eq \"a\"]" },
                { "op": "remove", "path": "members[VALUE eq \"c\" or value eq \"d\"]" },
                { "op": "replace", "path": "members", "value": [{ "value": "e" }] },
                { "op": "replace", "path": "members", "value": [] },
            ]),
            &[
                MemberOp::Add(members(&["a", "b"])),
                removed(&["a", "c", "d"]),
                MemberOp::Replace(members(&["e"])),
                MemberOp::Replace(Vec::new()),
            ],
        );
        check_members(
            json!([{ "op": "add", "value": { "members": [{ "value": "a" }], "id": "g" } }]),
            &[MemberOp::Add(members(&["a"]))],
        );
    }

    #[test]
    fn only_a_remove_without_a_list_empties_the_group() {
        let remove = |value: Value| json!([{ "op": "Remove", "path": "members", "value": value }]);
        check_members(remove(json!([{ "$ref": null, "value": "a" }])), &[removed(&["a"])]);
        check_members(remove(json!([])), &[]);
        check_members(json!([{ "op": "remove", "path": "members" }]), &[MemberOp::RemoveAll]);
    }

    fn selected(text: &str) -> MemberOp {
        MemberOp::RemoveWhere(MemberFilter::new(Filter::parse(text).unwrap()).unwrap())
    }

    /// The path of a remove may have any filter (RFC 7644 section 3.5.2.2).
    #[test]
    fn members_are_removed_by_any_filter() {
        for filter in [
            "type eq \"User\"",
            "value eq \"a\" and type eq \"User\"",
            "value eq \"a\" or type eq \"User\"",
            "value pr",
            "value sw \"0\"",
            "display eq \"x\"",
            "not (value eq \"a\")",
        ] {
            let path = format!("members[{filter}]");
            check_members(json!([{ "op": "remove", "path": path }]), &[selected(filter)]);
        }
    }

    #[test]
    fn a_request_looks_at_every_member_for_few_comparisons() {
        let removes = |path: &str, count| -> Value {
            vec![json!({ "op": "remove", "path": path }); count].into()
        };
        let walk = "members[type eq \"User\"]";
        let most = vec![selected("type eq \"User\""); MAX_COMPARISONS];
        check_members(removes(walk, MAX_COMPARISONS), &most);
        let long = format!("members[{}]", ["display sw \"a\""; MAX_COMPARISONS + 1].join(" or "));
        for more in [removes(walk, MAX_COMPARISONS + 1), removes(&long, 1)] {
            let error = apply(ResourceKind::Group, &group(), &more).unwrap_err();
            assert_eq!(error.status, 413);
        }
        let one = "value eq \"a\" and type pr";
        check_members(removes(&format!("members[{one}]"), 40), &vec![selected(one); 40]);
    }

    #[test]
    fn what_cannot_be_done_to_members_is_refused_with_the_way_out() {
        for (op, path, scim_type, expected) in [
            ("remove", "members[password eq \"a\"]", ScimType::InvalidFilter, "not part of"),
            ("remove", "members[$ref pr]", ScimType::InvalidFilter, "by `value`"),
            ("replace", "members[value eq \"a\"]", ScimType::Mutability, "whole entries"),
            ("add", "members[value eq \"a\"]", ScimType::Mutability, "whole entries"),
            ("add", "members[value eq \"a\"].value", ScimType::Mutability, "whole entries"),
            ("replace", "members[value eq \"a\"].value", ScimType::Mutability, "whole entries"),
            ("replace", "members[value eq \"a\"].type", ScimType::Mutability, "whole entries"),
            ("remove", "members.value", ScimType::Mutability, "whole entries"),
            ("replace", "members.display", ScimType::Mutability, "read-only"),
        ] {
            let operations = json!([{ "op": op, "path": path, "value": [{ "value": "b" }] }]);
            let error = apply(ResourceKind::Group, &group(), &operations).unwrap_err();
            assert_eq!(error.scim_type, Some(scim_type), "{path}");
            assert!(error.detail.contains(expected), "{path}: {}", error.detail);
        }
    }

    #[test]
    fn okta_renames_a_group_with_its_id() {
        let operations = json!([{ "op": "replace", "value": { "id": "g", "displayName": "1b" } }]);
        let patched = apply(ResourceKind::Group, &group(), &operations).unwrap();
        assert_eq!(patched.attributes["displayName"], "1b");
        assert_eq!(patched.quirks.kinds(), [Quirk::IdInValue]);
    }
}
