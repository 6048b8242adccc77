//! Why a resource does not fulfil a filter, in words: the smallest clause that decides, and what the
//! resource has there.

use serde_json::Value;

use super::eval::{Subject, holds, values};
use super::{Filter, Names};
use crate::scim::path::AttrPath;
use crate::scim::resource::Attributes;
use crate::scim::schema::{AttributeType, Found, ResourceType};

/// Values of an attribute that are told, and letters of each.
const VALUES: usize = 4;
const LETTERS: usize = 60;

impl Filter {
    /// Why `attributes` do not fulfil the filter: `userType is "teacher", and userType eq "student" is
    /// asked for`. `None` where they do.
    pub fn explain(&self, attributes: &Attributes, ty: &ResourceType) -> Option<String> {
        let (names, subject) = (Names::Resource(ty), Subject::Resource(attributes));
        let clause = self.deciding(names, subject)?;
        let mut told: Vec<&AttrPath> = Vec::new();
        for path in clause.attributes() {
            if !told.contains(&path) {
                told.push(path);
            }
        }
        let facts: Vec<_> = told.into_iter().map(|path| fact(path, names, subject)).collect();
        Some(format!("{}, but {clause} is wanted", facts.join(" and ")))
    }

    /// The first part that does not hold, where all must; the whole, where any part would do.
    fn deciding(&self, names: Names<'_>, subject: Subject<'_>) -> Option<&Self> {
        if holds(self, names, subject) {
            return None;
        }
        match self {
            Self::And(parts) => parts.iter().find_map(|part| part.deciding(names, subject)),
            Self::Or(parts) if parts.len() == 1 => parts[0].deciding(names, subject),
            _ => Some(self),
        }
    }
}

/// `userType is "teacher"`, `there is no userType`, `emails.value is "a@x.example" or "b@x.example"`.
fn fact(path: &AttrPath, names: Names<'_>, subject: Subject<'_>) -> String {
    let Some(found) = names.find(path) else { return format!("nothing is called {path}") };
    let mut name = path.to_string();
    let mut there = values(path, found, subject);
    if let Found::Attribute { attribute, sub, .. } = found
        && sub.unwrap_or(attribute).kind == AttributeType::Complex
    {
        // Of an entry, what people call it by.
        let called = ["display", "value"].into_iter().find(|sub| attribute.sub(sub).is_some());
        if let Some(called) = called {
            there = there.into_iter().filter_map(|entry| entry.get(called)).collect();
            name = format!("{path}.{called}");
        }
    }
    there.retain(|value| !value.is_null());
    if there.is_empty() {
        return format!("there is no {path}");
    }
    let more = there.len().saturating_sub(VALUES);
    let mut all: Vec<String> = there.into_iter().take(VALUES).map(shown).collect();
    if more > 0 {
        all.push(format!("{more} more"));
    }
    format!("{name} is {}", all.join(" or "))
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= LETTERS {
        return text;
    }
    text.chars().take(LETTERS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::ResourceKind;
    use crate::scim::schema::Schemas;

    #[test]
    fn it_names_the_smallest_clause_that_decides_and_what_is_there_instead() {
        let teacher = json!({
            "userName": "ada", "userType": "teacher", "active": false,
            "name": { "familyName": "Lovelace" },
            "emails": [{ "value": "ada@x.example", "type": "work" }, { "value": "a@y.example" }],
            "groups": (1..=6).map(|n| json!({ "value": n.to_string(), "display": format!("C{n}"), "type": "direct" })).collect::<Vec<_>>(),
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "IT" },
            "title": "x".repeat(100),
        });
        for (filter, why) in [
            (r#"userType eq "teacher""#, None),
            (r#"userType eq "Teacher" or nickName pr"#, None),
            (
                r#"userType eq "student""#,
                Some(r#"userType is "teacher", but userType eq "student" is wanted"#),
            ),
            (
                r#"userName pr and userType eq "student" and active eq true"#,
                Some(r#"userType is "teacher", but userType eq "student" is wanted"#),
            ),
            (
                r#"userName pr and (userType eq "teacher" and active eq true)"#,
                Some("active is false, but active eq true is wanted"),
            ),
            (
                r#"userType eq "student" or userType eq "pupil""#,
                Some(
                    r#"userType is "teacher", but userType eq "student" or userType eq "pupil" is wanted"#,
                ),
            ),
            (
                r#"userType eq "student" or active eq true"#,
                Some(
                    r#"userType is "teacher" and active is false, but userType eq "student" or active eq true is wanted"#,
                ),
            ),
            (
                r#"not (userType eq "teacher")"#,
                Some(r#"userType is "teacher", but not (userType eq "teacher") is wanted"#),
            ),
            ("nickName pr", Some("there is no nickName, but nickName pr is wanted")),
            (
                "nickname eq null and shoeSize pr",
                Some("nothing is called shoeSize, but shoeSize pr is wanted"),
            ),
            (
                r#"name.givenName eq "Ada""#,
                Some(r#"there is no name.givenName, but name.givenName eq "Ada" is wanted"#),
            ),
            (
                r#"emails.value ew "z.example""#,
                Some(
                    r#"emails.value is "ada@x.example" or "a@y.example", but emails.value ew "z.example" is wanted"#,
                ),
            ),
            (
                r#"groups[display eq "Choir" and type eq "direct"]"#,
                Some(
                    r#"groups.display is "C1" or "C2" or "C3" or "C4" or 2 more, but groups[display eq "Choir" and type eq "direct"] is wanted"#,
                ),
            ),
            (
                r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "HR""#,
                Some(
                    r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department is "IT", but urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "HR" is wanted"#,
                ),
            ),
        ] {
            let parsed = Filter::parse(filter).unwrap();
            let schemas = Schemas::builtin();
            let ty = schemas.of(ResourceKind::User);
            let attributes = teacher.as_object().unwrap().clone();
            let attributes: Attributes = attributes.into_iter().collect();
            assert_eq!(parsed.explain(&attributes, ty).as_deref(), why, "{filter}");
            assert_eq!(parsed.matches(&attributes, ty), why.is_none(), "{filter}");
        }
    }

    #[test]
    fn a_value_that_has_no_end_is_cut() {
        let attributes: Attributes =
            [("title".to_owned(), json!("x".repeat(1_000)))].into_iter().collect();
        let schemas = Schemas::builtin();
        let filter = Filter::parse("title eq \"y\"").unwrap();
        let why = filter.explain(&attributes, schemas.of(ResourceKind::User)).unwrap();
        assert!(why.len() < 150 && why.contains("x…"), "{why}");
    }
}
