//! Filters: what reads, what does not, and what a filter holds for.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scim::{ENTERPRISE_URN, ScimType, USER_URN};

fn users() -> ResourceType {
    Schemas::builtin().of(ResourceKind::User).clone()
}

fn ada() -> crate::scim::Attributes {
    let user = json!({
        "id": "0199",
        "schemas": [USER_URN, ENTERPRISE_URN],
        "userName": "Ada@Lillevik.example",
        "externalId": "Ada-1",
        "name": { "givenName": "Ada", "familyName": "Løvås" },
        "title": "",
        "active": true,
        "emails": [
            { "value": "ada@work.example", "type": "work", "primary": true },
            { "value": "ada@home.example", "type": "home" },
        ],
        "meta": { "resourceType": "User", "lastModified": "2026-03-01T12:00:00+01:00" },
        ENTERPRISE_URN: { "department": "Skole", "manager": { "value": "m-1" } },
    });
    user.as_object().cloned().unwrap()
}

/// Whether a filter reads, is in order, and holds for Ada.
#[track_caller]
fn check(text: &str, expected: bool) {
    let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    filter.check(&users()).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(filter.matches(&ada(), &users()), expected, "{text}");
    assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter, "{text}");
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = Filter::parse(text).and_then(|filter| filter.check(&users())).unwrap_err();
    assert_eq!((error.status, error.scim_type), (400, Some(ScimType::InvalidFilter)), "{text}");
    assert!(error.detail.contains(expected), "{text}: {}", error.detail);
}

#[test]
fn text_ignores_case_unless_the_schema_says_otherwise() {
    check(r#"userName eq "ada@lillevik.EXAMPLE""#, true);
    check(r#"USERNAME Eq "ada@lillevik.example""#, true);
    check(r#"name.familyName eq "LØVÅS""#, true);
    check(r#"name.familyName eq "LO\u0308VA\u030AS""#, false);
    check(r#"name.familyName eq "LØVA\u030AS""#, true);
    check(r#"externalId eq "Ada-1""#, true);
    check(r#"externalId eq "ada-1""#, false);
    check(r#"id eq "0199""#, true);
}

#[test]
fn parts_of_text_are_found_without_wildcards() {
    check(r#"userName sw "ADA@""#, true);
    check(r#"userName co "lille""#, true);
    check(r#"userName ew ".example""#, true);
    check(r#"userName ew ".org""#, false);
    check(r#"userName co "%""#, false);
    check(r#"userName sw "ada_""#, false);
}

/// RFC 7159 section 7 by way of RFC 7644 section 3.4.2.2.
#[test]
fn text_is_escaped_as_in_json() {
    let quoted = json!({ "userName": "a\"b\\c/d\te\u{1F600}", "title": "(x) and [y] or not" });
    let quoted = quoted.as_object().unwrap();
    let holds = |text: &str| Filter::parse(text).unwrap().matches(quoted, &users());
    assert!(holds(r#"userName eq "a\"b\\c\/d\te\uD83D\uDE00""#));
    assert!(holds(r#"title eq "(x) and [y] or not""#));
    assert!(holds(r#"userName co "\"" and userName co "\\""#));
    check_error(r#"userName eq "\uD83D""#, "expected a value");
    check_error("userName eq \"a\nb\"", "expected a value");
}

#[test]
fn a_multi_valued_attribute_stands_for_the_value_of_any_entry() {
    check(r#"emails eq "ada@home.example""#, true);
    check(r#"emails.value eq "ada@home.example""#, true);
    check(r#"emails co "nowhere""#, false);
    check(r#"emails.type eq "home" and emails.value co "work""#, true);
    check(r#"emails.type ne "work""#, true);
    check(r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#, true);
}

#[test]
fn a_value_path_asks_one_entry() {
    check(r#"emails[type eq "home" and value co "work"]"#, false);
    check(r#"emails[type eq "work" and value co "work"]"#, true);
    check("emails[primary eq true]", true);
    check(r#"emails[primary eq "True" and type eq "WORK"]"#, true);
    check("emails[not (primary eq true)]", true);
    check("emails[value pr] and active eq true", true);
    check(r#"schemas[value co "enterprise"]"#, true);
    check(r#"roles[value eq "x"]"#, false);
}

#[test]
fn extensions_are_named_by_their_urn_in_any_case() {
    check(&format!(r#"{ENTERPRISE_URN}:department eq "skole""#), true);
    check(&format!(r#"{}:DEPARTMENT eq "skole""#, ENTERPRISE_URN.to_uppercase()), true);
    check(&format!(r#"{ENTERPRISE_URN}:manager.value eq "m-1""#), true);
    check(&format!(r#"{ENTERPRISE_URN}:manager eq "m-1""#), true);
    check(&format!("{ENTERPRISE_URN}:division pr"), false);
    check(&format!("{ENTERPRISE_URN} pr"), true);
    check(&format!("{} pr", crate::scim::BUILDING_URN), false);
    check(&format!(r#"{USER_URN}:userName sw "ada""#), true);
}

#[test]
fn presence_needs_something_said() {
    check("userName pr", true);
    check("name pr", true);
    check("name.middleName pr", false);
    check("title pr", false);
    check("emails pr", true);
    check("roles pr", false);
    check("active pr", true);
}

#[test]
fn what_is_not_there_equals_nothing_but_null() {
    check(r#"nickName eq "x""#, false);
    check(r#"nickName ne "x""#, true);
    check("nickName eq null", true);
    check("nickName ne null", false);
    check("userName ne null", true);
    check("title eq null", true);
}

#[test]
fn booleans_may_be_written_as_text() {
    check("active eq true", true);
    check("active eq True", true);
    check(r#"active eq "True""#, true);
    check(r#"active eq "False""#, false);
    check("active ne false", true);
}

#[test]
fn dates_compare_as_instants() {
    check(r#"meta.lastModified eq "2026-03-01T11:00:00Z""#, true);
    check(r#"meta.lastModified gt "2026-03-01T10:59:59.999Z""#, true);
    check(r#"meta.lastModified ge "2026-03-01T06:00:00-05:00""#, true);
    check(r#"meta.lastModified lt "2026-03-01T11:00:00""#, false);
    check(r#"meta.resourceType eq "User""#, true);
}

#[test]
fn and_binds_tighter_than_or() {
    check("title pr and roles pr or userName pr", true);
    check("userName pr or title pr and roles pr", true);
    check("(userName pr or title pr) and roles pr", false);
    check("not(title pr) and not (roles pr)", true);
    check("not (not (userName pr))", true);
}

#[test]
fn blanks_are_taken_as_they_come() {
    check("  userName   pr  ", true);
    check("( userName pr )", true);
    check(r#"emails[ type eq "work" ]"#, true);
}

#[test]
fn an_error_names_its_place_and_what_belongs_there() {
    check_error("", "byte 0: expected an attribute, `not` or `(`, the filter ends");
    check_error("userName", "byte 8: expected an operator");
    check_error("userName is \"x\"", "byte 9: expected an operator (eq, ne,");
    check_error("userName eq ada", "byte 12: expected a value");
    check_error("userName eq \"ada", "byte 12: expected a value");
    check_error(r#"userName eq "\x""#, "byte 12: expected a value");
    check_error("userName eq 01", "byte 12: expected a value");
    check_error("userName eq 'x'", "byte 12: expected a value");
    check_error("(userName pr", "byte 12: expected `and`, `or` or `)`");
    check_error("userName pr)", "byte 11: expected `and`, `or` or the end");
    check_error("userName pr and", "byte 15: expected an attribute, `not` or `(`, the filter ends");
    check_error("userName pr and ", "byte 16: expected an attribute");
    check_error("emails[type pr", "byte 14: expected `and`, `or` or `]`");
    check_error("emails[ims[type pr]]", "byte 10: expected an operator");
    check_error("userName eq \"x\"and title pr", "byte 12: expected a value");
    check_error("user name pr", "byte 5: expected an operator");
    check_error("name.given.x pr", "byte 0: expected an attribute");
    check_error("æ pr", "byte 0: expected an attribute");
}

#[test]
fn what_the_schema_does_not_allow_is_refused() {
    check_error("favouriteColour pr", "`favouriteColour` is not an attribute of a User");
    check_error("name.nick pr", "`name.nick` is not an attribute");
    check_error("urn:example:x:y pr", "is not an attribute");
    check_error("emails[colour pr]", "`colour` is not part of `emails`");
    check_error("userName[value pr]", "has no entries");
    check_error("active gt true", "`gt` does not work on `active`");
    check_error(r#"active co "t""#, "`co` does not work");
    check_error(r#"active eq "perhaps""#, "cannot be compared");
    check_error("userName eq 5", "cannot be compared with `5`");
    check_error("userName gt null", "cannot be compared");
    check_error(r#"meta.created gt "yesterday""#, "cannot be compared");
    check_error(r#"name eq "Ada""#, "`name` is complex");
    check_error(&format!(r#"{ENTERPRISE_URN} eq "x""#), "is complex");
}

#[test]
fn a_password_cannot_be_guessed_by_filters() {
    check_error("password pr", "cannot be filtered by");
    check_error(r#"userName pr and not (PASSWORD sw "a")"#, "cannot be filtered by");
}

/// RFC 7644 section 3.4.2.1.
#[test]
fn an_attribute_that_the_type_does_not_have_is_one_without_a_value() {
    for (text, expected) in [
        ("colour pr", false),
        (r#"colour eq "red""#, false),
        (r#"colour ne "red""#, true),
        (r#"colour gt "red""#, false),
        ("colour eq null", true),
        ("colour ne null", false),
        (r#"colour[value eq "red"]"#, false),
        ("not (colour pr)", true),
    ] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.matches(&ada(), &users()), expected, "{text}");
        assert_eq!(filter.settled(&users()), Some(expected), "{text}");
    }
}

#[test]
fn a_type_alone_settles_what_it_can() {
    for (text, expected) in [
        (r#"meta.resourceType eq "User""#, Some(true)),
        (r#"META.RESOURCETYPE eq "Group""#, Some(false)),
        (r#"meta.resourceType eq "user""#, Some(false)),
        (r#"meta.resourceType sw "Us" and members pr"#, Some(false)),
        (r#"meta.resourceType ne "User" or userName pr"#, None),
        (r#"not (meta.resourceType eq "Group") or userName pr"#, Some(true)),
        (r#"members pr or userName eq "a""#, None),
        (r#"members[value eq "a"] and userName eq "a""#, Some(false)),
        ("meta.version pr", None),
    ] {
        assert_eq!(Filter::parse(text).unwrap().settled(&users()), expected, "{text}");
    }
}

#[test]
fn a_value_path_may_be_compared_as_entra_does() {
    check(r#"emails[type eq "work"].value eq "ADA@work.example""#, true);
    check(r#"emails[type eq "home"].value eq "ada@work.example""#, false);
    check(r#"emails[type eq "work"] eq "ada@work.example" and userName pr"#, true);
    check(r#"not (emails[type eq "work"].primary pr) or emails[type eq "other"] pr"#, false);
    check(r#"emails[type eq "home" or primary eq true].value ew "home.example""#, true);
    check_error(r#"emails[type eq "work"]. eq "x""#, "expected");
    check_error(r#"emails[type eq "work"].colour eq "x""#, "`colour` is not part of `emails`");
    check_error(r#"emails[type eq "work"]value eq "x""#, "byte 22: expected `and`");
    check_equals(
        r#"emails[type eq "w"].value eq "a""#,
        &[("emails.type", "w"), ("emails.value", "a")],
    );
}

#[test]
fn size_depth_and_number_are_limited() {
    check_error(&"(".repeat(10_000), "nested deeper than 32");
    check_error(&"not(".repeat(4_000), "nested deeper than 32");
    check_error(&format!("userName eq \"{}\"", "x".repeat(17_000)), "longer than");
    check_error(&vec!["id pr"; 1001].join(" or "), "more than 1000");
    check_error(&vec!["id pr"; 10_000].join(" or "), "longer than");
    check_error(&format!("emails[{}", "(value pr and ".repeat(1_000)), "nested deeper than 32");
    check(&vec!["id pr"; 1000].join(" or "), true);
    check(&format!("{}id pr{}", "(".repeat(32), ")".repeat(32)), true);
}

#[track_caller]
fn check_equals(text: &str, expected: &[(&str, &str)]) {
    let filter = Filter::parse(text).unwrap();
    let actual: Vec<(String, &str)> = filter
        .required_equals()
        .into_iter()
        .map(|(path, value)| (path, value.as_str().unwrap()))
        .collect();
    let expected: Vec<_> = expected.iter().map(|&(path, value)| (path.to_owned(), value)).collect();
    assert_eq!(actual, expected, "{text}");
}

#[test]
fn an_index_helps_where_an_equality_must_hold() {
    check_equals(r#"userName eq "a""#, &[("username", "a")]);
    check_equals(&format!(r#"{USER_URN}:userName eq "a""#), &[("username", "a")]);
    check_equals(r#"emails eq "a""#, &[("emails.value", "a")]);
    check_equals(
        r#"emails[value eq "a" and type eq "w"]"#,
        &[("emails.value", "a"), ("emails.type", "w")],
    );
    check_equals(r#"members eq "a""#, &[("members.value", "a")]);
    check_equals(r#"members.value eq "a""#, &[("members.value", "a")]);
    check_equals(
        r#"externalId eq "a" and (title pr and id eq "b")"#,
        &[("externalid", "a"), ("id", "b")],
    );
    check_equals(r#"userName eq "a" or id eq "b""#, &[]);
    check_equals(r#"not (userName eq "a")"#, &[]);
    check_equals(r#"userName co "a" and userName eq null"#, &[]);
}

#[test]
fn the_attributes_read_are_named() {
    let filter = Filter::parse(r#"userName pr or not (emails[type eq "x"] and name.givenName pr)"#);
    let filter = filter.unwrap();
    let names: Vec<_> = filter.attributes().into_iter().map(ToString::to_string).collect();
    assert_eq!(names, ["userName", "emails", "name.givenName"]);
}

#[test]
fn a_configuration_file_says_what_is_wrong() {
    let error = serde_json::from_value::<Filter>(json!("userName eq")).unwrap_err();
    assert!(error.to_string().contains("byte 11"), "{error}");
    let filter: Filter = serde_json::from_value(json!("userName pr")).unwrap();
    assert_eq!(filter.to_string(), "userName pr");
}

fn path() -> impl Strategy<Value = AttrPath> {
    let name = || "[a-zA-Z][a-zA-Z0-9_-]{0,6}";
    let schema = prop_oneof![
        Just(None),
        Just(Some(USER_URN.to_owned())),
        Just(Some("urn:example:2.0".to_owned()))
    ];
    (schema, name(), proptest::option::of(name())).prop_map(|(schema, attribute, sub)| AttrPath {
        schema,
        attribute,
        sub,
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn comparison() -> impl Strategy<Value = Filter> {
    prop_oneof![
        (path(), proptest::sample::select(&CompareOp::ALL[..]), value())
            .prop_map(|(path, op, value)| Filter::Compare { path, op, value }),
        path().prop_map(Filter::Present),
    ]
}

fn logical(leaf: impl Strategy<Value = Filter> + 'static) -> impl Strategy<Value = Filter> {
    leaf.prop_recursive(4, 24, 4, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Filter::And),
            several.prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let value_path = (path(), logical(comparison()))
        .prop_map(|(path, filter)| Filter::ValuePath { path, filter: Box::new(filter) });
    logical(prop_oneof![3 => comparison(), 1 => value_path])
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same_filter(filter in filter()) {
        let text = filter.to_string();
        prop_assert_eq!(Filter::parse(&text).unwrap(), filter, "{}", text);
    }

    #[test]
    fn what_a_type_settles_is_what_its_resources_answer(filter in filter()) {
        if let Some(settled) = filter.settled(&users()) {
            prop_assert_eq!(filter.matches(&ada(), &users()), settled, "{}", filter);
        }
    }

    #[test]
    fn no_text_breaks_the_parser(text in any::<String>()) {
        drop(Filter::parse(&text));
    }

    #[test]
    fn no_text_of_filter_pieces_breaks_the_parser(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "(", ")", "[", "]", " ", "not", "and", "or", "eq", "pr", "co", "userName", "emails",
            "\"", "\\", "\"x\"", "1", "-", "true", "null", "urn:", "a.b", ".", ":", "é",
        ]), 0..24),
    ) {
        if let Ok(filter) = Filter::parse(&pieces.concat()) {
            drop(filter.check(&users()));
            filter.matches(&ada(), &users());
            filter.required_equals();
        }
    }
}
