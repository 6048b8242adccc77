//! A PATCH does what the model says, refuses what the model refuses, and a replace done twice is
//! done once.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use scim_relay_sdk::scim::{
    Attributes, ENTERPRISE_URN, Error, PATCH_URN, PatchRequest, Patched, ScimType,
};
use scim_relay_sdk::testing::laws;
use serde_json::{Map, Value, json};

use crate::model::{Condition, Op, Refusal, Target, patched};
use crate::{generate, users};

const WORDS: [&str; 3] = ["ada", "work", "home"];

fn text() -> impl Strategy<Value = Value> {
    option::weighted(0.85, generate::word()).prop_map(Value::from)
}

fn part() -> impl Strategy<Value = (&'static str, Value)> {
    (select(vec!["value", "display", "type", "primary"]), text(), option::of(any::<bool>()))
        .prop_map(|(part, text, flag)| {
            (part, if part == "primary" { Value::from(flag) } else { text })
        })
}

fn condition() -> impl Strategy<Value = Condition> {
    let word = || select(&WORDS[..]);
    prop_oneof![
        4 => word().prop_map(Condition::Type),
        2 => any::<bool>().prop_map(Condition::Primary),
        2 => word().prop_map(Condition::Value),
        1 => (word(), word()).prop_map(|(value, kind)| Condition::Both(value, kind)),
        1 => word().prop_map(Condition::NotType),
    ]
}

/// What can be written without selecting anything.
fn plain() -> impl Strategy<Value = Target> {
    let names = || select(vec!["familyName", "givenName"]);
    prop_oneof![
        2 => (select(vec!["title", "externalId", "nickName"]), text())
            .prop_map(|(name, text)| Target::Simple(name, text)),
        1 => generate::word().prop_map(|word| Target::Simple("userName", word.into())),
        1 => option::of(any::<bool>()).prop_map(|flag| Target::Simple("active", flag.into())),
        1 => text().prop_map(Target::Department),
        1 => vec((names(), text()), 1..3).prop_map(Target::Name),
        1 => (names(), text()).prop_map(|(part, text)| Target::NamePart(part, text)),
        2 => option::weighted(0.8, vec(generate::entry(), 0..4)).prop_map(Target::Emails),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        4 => plain(),
        2 => (condition(), generate::entry()).prop_map(|(one, entry)| Target::Selected(one, entry)),
        4 => (condition(), part()).prop_map(|(one, (part, value))| {
            Target::SelectedPart(one, part, value)
        }),
        1 => part().prop_map(|(part, value)| Target::EveryPart(part, value)),
        2 => vec(plain(), 1..4).prop_map(Target::Several),
    ]
}

fn operation() -> impl Strategy<Value = (Op, Target)> {
    (select(vec![Op::Add, Op::Replace, Op::Remove]), target()).prop_map(|(op, target)| {
        match (op, target) {
            // There is no remove without a path.
            (Op::Remove, target @ Target::Several(_)) => (Op::Replace, target),
            (op, target) => (op, target),
        }
    })
}

fn selector(condition: &Condition) -> String {
    match condition {
        Condition::Type(word) => format!("emails[type eq \"{word}\"]"),
        Condition::Primary(flag) => format!("emails[primary eq {flag}]"),
        Condition::Value(word) => format!("emails[value eq \"{word}\"]"),
        Condition::Both(value, kind) => {
            format!("emails[value eq \"{value}\" and type eq \"{kind}\"]")
        }
        Condition::NotType(word) => format!("emails[not (type eq \"{word}\")]"),
    }
}

/// The path and the value of a target.
fn written(target: &Target) -> (Option<String>, Value) {
    match target {
        Target::Simple(name, value) => (Some((*name).to_owned()), value.clone()),
        Target::Department(value) => (Some(format!("{ENTERPRISE_URN}:department")), value.clone()),
        Target::Name(parts) => {
            let parts: Map<_, _> =
                parts.iter().map(|(part, value)| ((*part).to_owned(), value.clone())).collect();
            (Some("name".to_owned()), parts.into())
        }
        Target::NamePart(part, value) => (Some(format!("name.{part}")), value.clone()),
        Target::Emails(list) => (Some("emails".to_owned()), list.clone().into()),
        Target::Selected(condition, value) => (Some(selector(condition)), value.clone()),
        Target::SelectedPart(condition, part, value) => {
            (Some(format!("{}.{part}", selector(condition))), value.clone())
        }
        Target::EveryPart(part, value) => (Some(format!("emails.{part}")), value.clone()),
        Target::Several(targets) => {
            let all = targets.iter().map(|target| {
                let (path, value) = written(target);
                (path.expect("only plain ones"), value)
            });
            (None, Value::Object(all.collect()))
        }
    }
}

fn request(operations: &[(Op, Target)]) -> Value {
    let operations = operations.iter().map(|(op, target)| {
        let (path, value) = written(target);
        let mut operation = json!({ "op": format!("{op:?}").to_lowercase() });
        if let Some(path) = path {
            operation["path"] = path.into();
        }
        let lists = matches!(target, Target::Emails(Some(_)));
        if *op != Op::Remove || lists {
            operation["value"] = value;
        }
        operation
    });
    json!({ "schemas": [PATCH_URN], "Operations": operations.collect::<Vec<_>>() })
}

/// A name may stand in an object once only.
fn as_written((op, target): (Op, Target)) -> (Op, Target) {
    match target {
        Target::Several(targets) => {
            let mut once: Vec<Target> = Vec::new();
            for target in targets {
                once.retain(|other| written(other).0 != written(&target).0);
                once.push(target);
            }
            (op, Target::Several(once))
        }
        Target::Name(parts) => {
            let mut once: Vec<(&str, Value)> = Vec::new();
            for (part, value) in parts {
                once.retain(|(other, _)| *other != part);
                once.push((part, value));
            }
            (op, Target::Name(once))
        }
        target => (op, target),
    }
}

fn apply(person: &Attributes, patch: &Value) -> Result<Patched, Error> {
    PatchRequest::parse(patch.clone())?.apply(person, &users())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn a_patch_does_what_the_model_says(
        person in generate::person(), operations in vec(operation().prop_map(as_written), 1..5),
    ) {
        let request = request(&operations);
        let expected = patched(&Value::Object(person.clone()), &operations);
        match (apply(&person, &request), expected) {
            (Ok(patched), Ok(expected)) => {
                prop_assert_eq!(Value::Object(patched.attributes), expected, "{}", request);
                laws::patched_it_is_still_one(&person, &request, &users());
            }
            (Err(error), Err(Refusal::NoTarget)) => {
                prop_assert_eq!(error.scim_type, Some(ScimType::NoTarget), "{}", request);
            }
            (Err(error), Err(Refusal::Required)) => {
                prop_assert_eq!(error.scim_type, Some(ScimType::Mutability), "{}", request);
            }
            (found, expected) => panic!("{request}: {found:?}, the model: {expected:?}"),
        }
    }

    #[test]
    fn the_same_without_selecting_done_twice_is_done_once(
        person in generate::person(), target in plain(), add in any::<bool>(),
    ) {
        let op = if add { Op::Add } else { Op::Replace };
        let request = request(&[as_written((op, target))]);
        let once = apply(&person, &request).expect("it can be done").attributes;
        let twice = apply(&once, &request).expect("it can be done again").attributes;
        prop_assert_eq!(twice, once, "{}", request);
    }
}
