//! The filter parser held against another one, that of the crate `scim_v2`: both take the same
//! texts, and read the same from them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use scim_relay_sdk::scim::{AttrPath, CompareOp, Filter, PatchPath};
use scim_v2::filter as other;
use serde_json::Value;

use crate::spelling::spelled;
use crate::{generate, users};

/// Their tree as ours.
fn ours(theirs: other::Filter) -> Filter {
    match theirs {
        other::Filter::And(parts) => Filter::And(parts.into_iter().map(ours).collect()),
        other::Filter::Or(parts) => Filter::Or(parts.into_iter().map(ours).collect()),
        other::Filter::Not(inner) => Filter::Not(Box::new(ours(*inner))),
        other::Filter::Attr(comparison) => compared(comparison),
        other::Filter::ValuePath(selected) => Filter::ValuePath {
            path: path(selected.attr),
            filter: Box::new(of_entries(*selected.filter)),
        },
    }
}

fn of_entries(theirs: other::ValFilter) -> Filter {
    match theirs {
        other::ValFilter::And(parts) => Filter::And(parts.into_iter().map(of_entries).collect()),
        other::ValFilter::Or(parts) => Filter::Or(parts.into_iter().map(of_entries).collect()),
        other::ValFilter::Not(inner) => Filter::Not(Box::new(of_entries(*inner))),
        other::ValFilter::Attr(comparison) => compared(comparison),
    }
}

fn compared(theirs: other::AttrExp) -> Filter {
    match theirs {
        other::AttrExp::Present(of) => Filter::Present(path(of)),
        other::AttrExp::Comparison(of, op, value) => {
            let op = match op {
                other::CompareOp::Eq => CompareOp::Eq,
                other::CompareOp::Ne => CompareOp::Ne,
                other::CompareOp::Co => CompareOp::Co,
                other::CompareOp::Sw => CompareOp::Sw,
                other::CompareOp::Ew => CompareOp::Ew,
                other::CompareOp::Gt => CompareOp::Gt,
                other::CompareOp::Ge => CompareOp::Ge,
                other::CompareOp::Lt => CompareOp::Lt,
                other::CompareOp::Le => CompareOp::Le,
            };
            let value = match value {
                other::CompValue::True => Value::Bool(true),
                other::CompValue::False => Value::Bool(false),
                other::CompValue::Null => Value::Null,
                other::CompValue::Number(number) => Value::Number(number),
                other::CompValue::Str(text) => Value::String(text),
            };
            Filter::Compare { path: path(of), op, value }
        }
    }
}

fn path(theirs: other::AttrPath) -> AttrPath {
    AttrPath { schema: theirs.uri, attribute: theirs.name, sub: theirs.sub_attr }
}

/// `(a and b) and c` and `a and b and c` say the same; they keep only the latter.
fn flat(filter: Filter) -> Filter {
    let spread = |parts: Vec<Filter>, same: fn(&Filter) -> Option<&[Filter]>| {
        let parts = parts.into_iter().map(flat);
        parts
            .flat_map(|part| same(&part).map_or_else(|| vec![part.clone()], <[_]>::to_vec))
            .collect()
    };
    match filter {
        Filter::And(parts) => Filter::And(spread(parts, |part| match part {
            Filter::And(inner) => Some(inner),
            _ => None,
        })),
        Filter::Or(parts) => Filter::Or(spread(parts, |part| match part {
            Filter::Or(inner) => Some(inner),
            _ => None,
        })),
        Filter::Not(inner) => Filter::Not(Box::new(flat(*inner))),
        Filter::ValuePath { path, filter } => {
            Filter::ValuePath { path, filter: Box::new(flat(*filter)) }
        }
        leaf => leaf,
    }
}

/// Why a text may be read by one parser alone.
fn known_difference(text: &str) -> Option<&'static str> {
    let text = without_strings(text).to_ascii_lowercase();
    let has = |part: &str| text.contains(part);
    let words: Vec<&str> =
        text.split([' ', '(', ')', '[', ']']).filter(|word| !word.is_empty()).collect();
    let names =
        |word: &str| words.windows(2).any(|pair| pair[0] == word && OPERATORS.contains(&pair[1]));
    let uri = |word: &&str| {
        word.contains(':') && AttrPath::parse(word, None).map_or(true, |path| path.is_extension())
    };
    if has("not(") {
        Some("the grammar writes `not(`; theirs wants a blank after it")
    } else if has("$") {
        Some("`$ref` (RFC 7643 section 2.4) has no letter at its beginning, as theirs wants it")
    } else if has("and(") || has("or(") {
        Some("the blank before the parenthesis is missing; ours does without it")
    } else if has("].") {
        Some("a value path may be followed by a comparison, as some providers write it")
    } else if has(" [") || has("] .") {
        Some("theirs leaves out blanks anywhere; before a bracket the grammar has none")
    } else if ["true", "false", "null", "not"].into_iter().any(names) {
        Some("an attribute may be called `true` or `not`; theirs takes the word for a value")
    } else if words.iter().any(uri) {
        Some("a URN may name a whole extension; and other URIs name no schema of ours")
    } else if format!("({text}").split(['(', '[']).any(begins_like_an_operator) {
        Some("theirs takes ` pr` at the beginning of `( primary pr)` for the operator")
    } else {
        None
    }
}

/// Whether, after a bracket, a blank comes before what might be an operator.
fn begins_like_an_operator(inside: &str) -> bool {
    let word = inside.trim_start();
    let first = word.split(' ').next().unwrap_or_default();
    word.len() < inside.len()
        && (first.starts_with("pr") || ["and", "or"].contains(&first) || OPERATORS.contains(&first))
}

const OPERATORS: [&str; 10] = ["pr", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"];

fn without_strings(text: &str) -> String {
    let mut quoted = false;
    let mut escaped = false;
    let outside = text.chars().filter(|&letter| {
        if escaped {
            escaped = false;
            return false;
        }
        escaped = quoted && letter == '\\';
        if letter == '"' {
            quoted = !quoted;
            return true;
        }
        !quoted
    });
    outside.collect()
}

/// A filter in pieces.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        let alone = !quoted && matches!(letter, ' ' | '(' | ')' | '[' | ']');
        if letter == '"' {
            quoted = !quoted;
        }
        if alone {
            pieces.extend([letter.to_string(), String::new()]);
        } else {
            pieces.last_mut().expect("there is one").push(letter);
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Something done wrong to a filter.
#[derive(Clone, Debug)]
enum Slip {
    Leave,
    Twice,
    Swap,
    Put(&'static str),
}

fn slip() -> impl Strategy<Value = Slip> {
    let words = select(vec![
        "(",
        ")",
        "[",
        "]",
        " ",
        "and",
        "or",
        "not",
        "eq",
        "co",
        "pr",
        "a",
        "a.b",
        "a..b",
        "a.b.c",
        "1",
        "-1.5e3",
        "01",
        "1.",
        "+1",
        "true",
        "null",
        "\"x\"",
        "\"\\u00e9\"",
        "\"\\x\"",
        "\"",
        "\"\\ud800\"",
        "urn:x:y",
        "'x'",
        "é",
        "emails",
    ]);
    prop_oneof![
        2 => Just(Slip::Leave), 1 => Just(Slip::Twice), 1 => Just(Slip::Swap),
        4 => words.prop_map(Slip::Put),
    ]
}

#[track_caller]
fn judge(text: &str) {
    let (mine, theirs) = (Filter::parse(text), text.parse::<other::Filter>());
    match (mine, theirs) {
        (Ok(mine), Ok(theirs)) => assert_eq!(flat(mine), flat(ours(theirs)), "{text:?}"),
        (Err(_), Err(_)) => {}
        (mine, theirs) => assert!(
            known_difference(text).is_some(),
            "{text:?}: ours {:?}, theirs {:?}",
            mine.err(),
            theirs.err(),
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn both_read_the_same_from_a_filter(
        filter in generate::filter(), whims in vec(any::<u8>(), 0..48),
    ) {
        let text = spelled(&filter, &mut whims.into_iter());
        prop_assert!(Filter::parse(&text).is_ok(), "{}", text);
        judge(&text);
    }

    #[test]
    fn both_refuse_the_same_mistakes(
        filter in generate::filter(), whims in vec(any::<u8>(), 0..48),
        slips in vec((any::<prop::sample::Index>(), slip()), 1..4),
    ) {
        let mut pieces = pieces(&spelled(&filter, &mut whims.into_iter()));
        for (at, slip) in slips {
            if pieces.is_empty() {
                break;
            }
            let at = at.index(pieces.len());
            match slip {
                Slip::Leave => drop(pieces.remove(at)),
                Slip::Twice => pieces.insert(at, pieces[at].clone()),
                Slip::Swap => pieces.swap(at, 0),
                Slip::Put(word) => pieces.insert(at, word.to_owned()),
            }
        }
        judge(&pieces.concat());
    }

    #[test]
    fn both_read_the_same_from_a_patch_path(
        filter in generate::entry_filter(), whims in vec(any::<u8>(), 0..48),
        sub in proptest::option::of(select(vec!["value", "type"])),
    ) {
        let sub = sub.map(|sub| format!(".{sub}")).unwrap_or_default();
        let text = format!("emails[{}]{sub}", spelled(&filter, &mut whims.into_iter()));
        if known_difference(&text).is_some() {
            return Ok(());
        }
        let mine = PatchPath::parse(&text, &users()).expect("a path is one");
        let theirs = match text.parse::<other::PatchPath>() {
            Ok(other::PatchPath::Value(theirs)) => theirs,
            wrong => panic!("{text:?}: {wrong:?}"),
        };
        prop_assert_eq!(mine.attr, path(theirs.attr));
        prop_assert_eq!(mine.sub, theirs.sub_attr);
        prop_assert_eq!(mine.filter.map(flat), Some(flat(of_entries(theirs.filter))));
    }
}

/// Each of them is still one, so that none is excused for nothing.
#[test]
fn the_known_differences_are_differences() {
    for text in [
        "not(title pr)",
        "manager.$ref pr",
        "title pr and(title pr)",
        "emails [type pr]",
        "emails[type eq \"work\"].value eq \"a\"",
        "true pr",
        "not pr",
        "urn:example:2.0 pr",
        "aurn:x:y pr",
        "( primary pr)",
    ] {
        let (mine, theirs) = (Filter::parse(text), text.parse::<other::Filter>());
        assert_ne!(mine.is_ok(), theirs.is_ok(), "{text}");
        assert!(known_difference(text).is_some(), "{text}");
    }
}
