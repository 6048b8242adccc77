//! The evaluation of filters held against one that knows nothing of schemas: a table of the
//! attributes in use, and RFC 7644 section 3.4.2.2 read aloud.

use proptest::prelude::*;
use scim_relay_sdk::scim::{AttrPath, Attributes, CompareOp, ENTERPRISE_URN, Filter};
use serde_json::{Value, json};

use crate::{generate, users};

/// Whether `person` fulfils `filter`.
fn holds(filter: &Filter, person: &Value) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(|part| holds(part, person)),
        Filter::Or(parts) => parts.iter().any(|part| holds(part, person)),
        Filter::Not(inner) => !holds(inner, person),
        Filter::Present(path) => !values(path, person).is_empty(),
        Filter::ValuePath { filter, .. } => {
            let entries = person["emails"].as_array().cloned().unwrap_or_default();
            entries.iter().any(|entry| holds(filter, entry))
        }
        Filter::Compare { path, op, value } => compared(path, *op, value, person),
    }
}

/// The simple values that a path of `generate` leads to. A multi-valued attribute stands for the
/// `value` of its entries.
fn values(path: &AttrPath, person: &Value) -> Vec<Value> {
    let name =
        |name: &str| if name == "USERNAME" { "userName".to_owned() } else { name.to_owned() };
    let holder = match path.schema.as_deref() {
        Some(ENTERPRISE_URN) => &person[ENTERPRISE_URN],
        _ => person,
    };
    match (path.attribute.as_str(), path.sub.as_deref()) {
        ("emails", sub) => {
            let entries = holder["emails"].as_array().cloned().unwrap_or_default();
            let all = entries.iter().map(|entry| entry[sub.unwrap_or("value")].clone());
            all.filter(|value| !value.is_null()).collect()
        }
        (outer, sub) => {
            let value = &holder[name(outer)];
            let value = sub.map_or(value, |sub| &value[sub]);
            if value.is_null() { Vec::new() } else { vec![value.clone()] }
        }
    }
}

fn compared(path: &AttrPath, op: CompareOp, wanted: &Value, person: &Value) -> bool {
    let values = values(path, person);
    if wanted.is_null() {
        return values.is_empty() == (op == CompareOp::Eq);
    }
    if values.is_empty() {
        return op == CompareOp::Ne;
    }
    values.iter().any(|value| match (value, wanted) {
        (Value::Bool(value), Value::Bool(wanted)) => (value == wanted) == (op == CompareOp::Eq),
        (Value::String(value), Value::String(wanted)) if path.attribute == "meta" => {
            let instant = |text: &str| text.parse::<jiff::Timestamp>().expect("an instant");
            ordered(op, &instant(value), &instant(wanted))
        }
        (Value::String(value), Value::String(wanted)) => {
            let same_case = |text: &str| match path.attribute.as_str() {
                "externalId" => text.to_owned(),
                _ => text.to_lowercase(),
            };
            let (value, wanted) = (same_case(value), same_case(wanted));
            match op {
                CompareOp::Co => value.contains(&wanted),
                CompareOp::Sw => value.starts_with(&wanted),
                CompareOp::Ew => value.ends_with(&wanted),
                _ => ordered(op, &value, &wanted),
            }
        }
        _ => panic!("{path} {value} {wanted}"),
    })
}

fn ordered<T: Ord>(op: CompareOp, value: &T, wanted: &T) -> bool {
    match op {
        CompareOp::Eq => value == wanted,
        CompareOp::Ne => value != wanted,
        CompareOp::Gt => value > wanted,
        CompareOp::Ge => value >= wanted,
        CompareOp::Lt => value < wanted,
        CompareOp::Le => value <= wanted,
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => panic!("no order"),
    }
}

fn with_meta(mut person: Attributes, created: &str) -> Attributes {
    person.insert("meta".to_owned(), json!({ "created": created }));
    person
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn a_filter_holds_where_the_rfc_says_so(
        filter in generate::filter(), person in generate::person(), created in generate::instant(),
    ) {
        let person = with_meta(person, created);
        let expected = holds(&filter, &Value::Object(person.clone()));
        prop_assert_eq!(filter.matches(&person, &users()), expected, "{}", filter);
    }
}
