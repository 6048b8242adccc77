//! Which attributes an answer shows (RFC 7644 section 3.9).

use serde_json::Value;

use super::error::Error;
use super::path::AttrPath;
use super::resource::Attributes;
use super::schema::{Attribute, ResourceType, Returned, Schema};

/// The longest list of names: a type has some hundred.
const MAX_NAMES: usize = 1000;

/// The `attributes` and `excludedAttributes` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projection {
    /// Only these, and what is always returned.
    included: Option<Vec<AttrPath>>,
    excluded: Vec<AttrPath>,
    /// Whether the type has attributes that nobody sees who does not ask for them.
    hides: bool,
}

impl Projection {
    /// Reads comma-separated names. A name that the type does not have selects nothing and
    /// excludes nothing: providers ask every service for their own favourites.
    pub fn parse(
        attributes: Option<&str>,
        excluded: Option<&str>,
        ty: &ResourceType,
    ) -> Result<Self, Error> {
        let names = |text: Option<&str>| -> Vec<String> {
            text.unwrap_or_default().split(',').map(str::to_owned).collect()
        };
        Self::of(&names(attributes), &names(excluded), ty)
    }

    /// The same from lists of names.
    pub(super) fn of(
        attributes: &[String],
        excluded: &[String],
        ty: &ResourceType,
    ) -> Result<Self, Error> {
        let paths = |names: &[String]| {
            let names: Vec<&str> =
                names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
            if names.len() > MAX_NAMES {
                return Err(Error::invalid_value(format!("more than {MAX_NAMES} attribute names")));
            }
            let known = |name: &&str| AttrPath::split(name)?.resolve(ty);
            Ok((!names.is_empty()).then(|| names.iter().filter_map(known).collect::<Vec<_>>()))
        };
        Ok(Self {
            included: paths(attributes)?,
            excluded: paths(excluded)?.unwrap_or_default(),
            hides: ty.hides(),
        })
    }

    /// Whether the client asked for something in particular.
    pub fn is_asked(&self) -> bool {
        self.included.is_some() || !self.excluded.is_empty()
    }

    /// Whether the answer is the resource as it is kept, but for parts of this one attribute; if
    /// the type [knows all](ResourceType::knows_all) of it.
    pub fn is_about(&self, attribute: &str) -> bool {
        let about = |path: &AttrPath| path.schema.is_none() && path.attribute == attribute;
        !self.hides && self.included.is_none() && self.excluded.iter().all(about)
    }

    /// Takes out of `resource` what the answer does not show. `id` and `schemas` always stay, and
    /// so does whatever the schema says is always returned (RFC 7643 section 7). What no schema
    /// knows any more may have been secret, and is shown to nobody.
    pub fn apply(&self, resource: &mut Attributes, ty: &ResourceType) {
        resource.retain(|key, value| {
            if let Some(schema) = ty.extension(key) {
                let Value::Object(own) = value else { return false };
                own.retain(|name, value| match schema.attribute(name) {
                    Some(attribute) => self.keep(Some(schema), attribute, value),
                    None => false,
                });
                return !own.is_empty();
            }
            match ty.attribute(key) {
                Some(attribute) => self.keep(None, attribute, value),
                None => false,
            }
        });
        if let Some(Value::Array(urns)) = resource.get_mut("schemas") {
            urns.retain(|urn| urn.as_str().is_some_and(|urn| ty.knows(urn)));
        }
    }

    fn keep(&self, extension: Option<&Schema>, attribute: &Attribute, value: &mut Value) -> bool {
        match attribute.returned {
            Returned::Never => return false,
            Returned::Always => return true,
            Returned::Default | Returned::Request => {}
        }
        let about = |path: &&AttrPath| match (extension, path.schema.as_deref()) {
            (None, None) => path.attribute == attribute.name,
            (Some(schema), Some(urn)) => {
                urn == schema.id && (path.is_extension() || path.attribute == attribute.name)
            }
            _ => false,
        };
        let all = |path: &&AttrPath| path.sub.is_none();
        let excluded: Vec<&AttrPath> = self.excluded.iter().filter(about).collect();
        if excluded.iter().any(all) {
            return false;
        }
        let included: Option<Vec<&AttrPath>> =
            self.included.as_ref().map(|paths| paths.iter().filter(about).collect());
        let shown = match &included {
            None => attribute.returned == Returned::Default,
            Some(paths) => !paths.is_empty(),
        };
        if !shown {
            return false;
        }
        // With `attributes=emails.value` only the named sub-attributes are wanted.
        let only = included.filter(|paths| !paths.iter().any(all));
        let wanted = |name: &str| {
            let named =
                |paths: &[&AttrPath]| paths.iter().any(|path| path.sub.as_deref() == Some(name));
            match attribute.sub(name).map(|sub| sub.returned) {
                None | Some(Returned::Never) => false,
                Some(Returned::Always) => true,
                Some(Returned::Request) => only.as_ref().is_some_and(|paths| named(paths)),
                Some(Returned::Default) => {
                    only.as_ref().is_none_or(|paths| named(paths)) && !named(&excluded)
                }
            }
        };
        trim(value, &wanted)
    }
}

/// Takes sub-attributes out; false if nothing is left.
fn trim(value: &mut Value, wanted: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::Object(subs) => {
            subs.retain(|name, _| wanted(name));
            !subs.is_empty()
        }
        Value::Array(entries) if entries.iter().any(Value::is_object) => {
            entries.retain_mut(|entry| trim(entry, wanted));
            !entries.is_empty()
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::{ENTERPRISE_URN, ResourceKind, Schemas, USER_URN};

    fn ada() -> Value {
        json!({
            "schemas": [USER_URN, ENTERPRISE_URN], "id": "1", "userName": "ada", "password": "s",
            "name": { "givenName": "Ada", "familyName": "L" },
            "emails": [{ "value": "a", "type": "work" }, { "type": "home" }],
            "groups": [{ "value": "g" }],
            ENTERPRISE_URN: { "department": "D", "manager": { "value": "m" } },
            "meta": { "version": "v", "location": "l" },
        })
    }

    /// What is left of Ada beside `id` and `schemas`.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a literal reads best by value")]
    fn check(attributes: &str, excluded: &str, expected: Value) {
        let schemas = Schemas::builtin();
        let ty = schemas.of(ResourceKind::User);
        let projection = Projection::parse(Some(attributes), Some(excluded), ty).unwrap();
        let Value::Object(mut shown) = ada() else { unreachable!() };
        projection.apply(&mut shown, ty);
        assert!(shown.shift_remove("id").is_some() && shown.shift_remove("schemas").is_some());
        assert_eq!(Value::Object(shown), expected, "{attributes} | {excluded}");
    }

    #[test]
    fn only_what_is_asked_for_is_shown() {
        check("userName", "", json!({ "userName": "ada" }));
        check(
            "USERNAME, name.givenname",
            "",
            json!({
                "userName": "ada", "name": { "givenName": "Ada" },
            }),
        );
        check("emails.value", "", json!({ "emails": [{ "value": "a" }] }));
        check("meta.version", "", json!({ "meta": { "version": "v" } }));
        check("colour", "", json!({}));
        check(&format!("{USER_URN}:userName"), "", json!({ "userName": "ada" }));
    }

    #[test]
    fn extensions_are_asked_for_whole_or_in_part() {
        let manager = json!({ "value": "m" });
        check(
            ENTERPRISE_URN,
            "",
            json!({
                ENTERPRISE_URN: { "department": "D", "manager": manager },
            }),
        );
        let department = format!("{}:department", ENTERPRISE_URN.to_uppercase());
        check(&department, "", json!({ ENTERPRISE_URN: { "department": "D" } }));
        check("department", "", json!({ ENTERPRISE_URN: { "department": "D" } }));
        check(&format!("{ENTERPRISE_URN}:manager.displayName"), "", json!({}));
    }

    #[test]
    fn what_is_excluded_is_not_shown_except_what_always_is() {
        check(
            "",
            &format!("id,schemas,name,emails.type,groups,meta,{ENTERPRISE_URN}"),
            json!({
                "userName": "ada", "emails": [{ "value": "a" }],
            }),
        );
        check(
            "userName,name",
            "name.familyName",
            json!({
                "userName": "ada", "name": { "givenName": "Ada" },
            }),
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        check("password", "", json!({}));
        let Value::Object(mut rest) = ada() else { unreachable!() };
        for gone in ["id", "schemas", "password"] {
            rest.shift_remove(gone);
        }
        check("", "", Value::Object(rest));
    }

    #[test]
    fn what_is_returned_on_request_waits_for_one() {
        let urn = "urn:x:1.0:User";
        let attribute = Attribute::new("note", crate::scim::AttributeType::String, "")
            .returned(Returned::Request);
        let schema = Schema {
            id: urn.to_owned(),
            name: "X".to_owned(),
            description: String::new(),
            attributes: vec![attribute],
        };
        let schemas = Schemas::with([(ResourceKind::User, schema)]);
        let ty = schemas.of(ResourceKind::User);
        for (asked, shown) in [(None, false), (Some(format!("{urn}:note")), true)] {
            let projection = Projection::parse(asked.as_deref(), None, ty).unwrap();
            let Value::Object(mut user) = json!({ urn: { "note": "n" } }) else { unreachable!() };
            assert!(!projection.is_about("groups"));
            projection.apply(&mut user, ty);
            assert_eq!(user.contains_key(urn), shown);
        }
    }

    #[test]
    fn what_no_schema_knows_is_shown_to_nobody() {
        let schemas = Schemas::builtin();
        let ty = schemas.of(ResourceKind::User);
        let gone = "urn:gone:1.0:User";
        for asked in [None, Some(gone), Some("colour,emails.pin,userName")] {
            let Value::Object(mut user) = json!({
                "schemas": [USER_URN, gone], "userName": "ada", "colour": "c",
                "emails": [{ "pin": "p" }], ENTERPRISE_URN: { "pin": "p" }, gone: { "pin": "p" },
            }) else {
                unreachable!()
            };
            Projection::parse(asked, None, ty).unwrap().apply(&mut user, ty);
            assert_eq!(user["schemas"], json!([USER_URN]));
            user.retain(|name, _| name != "schemas" && name != "userName");
            assert!(user.is_empty(), "{user:?}");
        }
    }

    #[test]
    fn what_is_excluded_may_be_one_attribute_alone() {
        let schemas = Schemas::builtin();
        let ty = schemas.of(ResourceKind::Group);
        for (attributes, excluded, expected) in [
            (None, None, true),
            (None, Some("Members"), true),
            (None, Some("members.display,members.$ref"), true),
            (None, Some("members,displayName"), false),
            (Some("displayName"), Some("members"), false),
        ] {
            let projection = Projection::parse(attributes, excluded, ty).unwrap();
            assert_eq!(projection.is_about("members"), expected, "{attributes:?} {excluded:?}");
        }
    }

    #[test]
    fn the_default_is_to_ask_for_nothing() {
        let schemas = Schemas::builtin();
        let ty = schemas.of(ResourceKind::User);
        let asked =
            |attributes, excluded| Projection::parse(attributes, excluded, ty).unwrap().is_asked();
        assert!(!asked(None, None) && !asked(Some(" , "), Some("")));
        assert!(!Projection::default().is_asked());
        assert!(asked(Some("userName"), None) && asked(None, Some("userName")));
        assert!(asked(Some("colour"), None));
    }
}
