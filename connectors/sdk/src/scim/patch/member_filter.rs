//! Which members of a group a PATCH removes by a filter on their entries (`valFilter` of RFC 7644
//! figure 7).

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::scim::core;
use crate::scim::error::Error;
use crate::scim::filter::{CompareOp, Filter};
use crate::scim::membership::Membership;
use crate::scim::schema::Attribute;

/// What an entry of `members` is, in every organization.
static MEMBERS: LazyLock<Attribute> =
    LazyLock::new(|| core::group().attribute("members").expect("a group has members").clone());

/// A filter that can be asked about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberFilter(Filter);

impl MemberFilter {
    /// Refuses what is no part of a member, and `$ref`, which is not kept: it says where a member
    /// is read, and whom it names says `value`.
    pub fn new(filter: Filter) -> Result<Self, Error> {
        filter.check_entries(&MEMBERS)?;
        if filter.attributes().iter().any(|path| path.attribute.eq_ignore_ascii_case("$ref")) {
            return Err(Error::invalid_filter(
                "members are selected by `value`, `type` or `display`, not by `$ref`",
            ));
        }
        Ok(Self(filter))
    }

    /// Whether it is `value eq "a"`, or several of these joined by `or`: then [`Self::ids`] are
    /// those selected.
    pub fn is_list(&self) -> bool {
        is_list(&self.0)
    }

    /// The only ids that can be selected; none: each member is to be asked about.
    pub fn ids(&self) -> Option<Vec<&str>> {
        ids(&self.0)
    }

    /// How much asking about one member takes.
    pub(super) fn comparisons(&self) -> usize {
        self.0.attributes().len()
    }

    pub fn selects(&self, member: &Membership) -> bool {
        self.0.matches_entry(&json!(member), &MEMBERS)
    }
}

fn is_list(filter: &Filter) -> bool {
    match filter {
        Filter::Or(parts) => parts.iter().all(is_list),
        filter => id(filter).is_some(),
    }
}

fn ids(filter: &Filter) -> Option<Vec<&str>> {
    match filter {
        Filter::Or(parts) => {
            let each: Option<Vec<_>> = parts.iter().map(ids).collect();
            Some(each?.concat())
        }
        Filter::And(parts) => parts.iter().find_map(ids),
        filter => Some(vec![id(filter)?]),
    }
}

fn id(filter: &Filter) -> Option<&str> {
    match filter {
        Filter::Compare { path, op: CompareOp::Eq, value: Value::String(id) }
            if path.attribute.eq_ignore_ascii_case("value") =>
        {
            Some(id)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::scim::{Relation, ResourceId, ResourceKind};

    fn filter(text: &str) -> Result<MemberFilter, Error> {
        MemberFilter::new(Filter::parse(text).unwrap())
    }

    #[test]
    fn a_filter_selects_members_by_value_type_and_display() {
        let id = ResourceId(Uuid::from_u128(7));
        let relation = Relation::Member(ResourceKind::User);
        let ada = Membership { id, display: Some("Ada".to_owned()), relation };
        for (text, expected) in [
            (format!("value eq \"{id}\""), true),
            (format!("value eq \"{id}\" and type eq \"Group\""), false),
            (format!("not (value eq \"{id}\")"), false),
            ("value pr".to_owned(), true),
            ("value sw \"0\"".to_owned(), true),
            ("TYPE eq \"user\"".to_owned(), true),
            ("type eq \"Group\" or display eq \"ada\"".to_owned(), true),
            ("display ne \"Ada\"".to_owned(), false),
        ] {
            assert_eq!(filter(&text).unwrap().selects(&ada), expected, "{text}");
        }
        let nameless = Membership { display: None, ..ada };
        assert!(!filter("display pr").unwrap().selects(&nameless));
    }

    #[test]
    fn a_filter_names_the_only_ids_that_it_can_select() {
        for (text, expected, is_list) in [
            ("value eq \"a\"", Some(vec!["a"]), true),
            ("Value eq \"a\" or value eq \"b\"", Some(vec!["a", "b"]), true),
            ("value eq \"a\" and type eq \"User\"", Some(vec!["a"]), false),
            ("type pr and (value eq \"a\" or value eq \"b\")", Some(vec!["a", "b"]), false),
            ("value eq \"a\" or type eq \"User\"", None, false),
            ("not (value eq \"a\")", None, false),
            ("value ne \"a\"", None, false),
            ("value eq null", None, false),
            ("type eq \"User\"", None, false),
        ] {
            let filter = filter(text).unwrap();
            assert_eq!((filter.ids(), filter.is_list()), (expected, is_list), "{text}");
        }
    }

    #[test]
    fn what_no_member_has_is_refused() {
        for (text, expected) in [
            ("password eq \"x\"", "not part of `members`"),
            ("value gt 5", "cannot be compared"),
            ("not ($ref sw \"http\")", "not by `$ref`"),
        ] {
            let error = filter(text).unwrap_err();
            assert_eq!(error.scim_type, Some(crate::scim::ScimType::InvalidFilter), "{text}");
            assert!(error.detail.contains(expected), "{text}: {}", error.detail);
        }
    }
}
