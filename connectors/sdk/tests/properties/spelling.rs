//! A filter or path read, printed and read again is the same; so is one that is written in
//! another way.

use proptest::prelude::*;
use proptest::sample::select;
use scim_relay_sdk::scim::{ENTERPRISE_URN, Filter, PatchPath};
use scim_relay_sdk::testing::laws;

use crate::generate;
use crate::users;

/// A filter as one of the many ways to write it.
pub(crate) fn spelled(filter: &Filter, whims: &mut dyn Iterator<Item = u8>) -> String {
    let mut whim = || whims.next().unwrap_or_default();
    let blank = if whim() % 4 == 1 { "  " } else { " " };
    let cased = |word: &str, whim: u8| match whim % 3 {
        0 | 1 => word.to_owned(),
        _ => word.to_uppercase(),
    };
    let text = match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            let word = if matches!(filter, Filter::And(_)) { "and" } else { "or" };
            let word = cased(word, whim());
            let parts: Vec<_> = parts
                .iter()
                .map(|part| {
                    let text = spelled(part, whims);
                    match part {
                        Filter::And(_) | Filter::Or(_) => format!("({text})"),
                        _ => text,
                    }
                })
                .collect();
            return parts.join(&format!("{blank}{word}{blank}"));
        }
        Filter::Not(inner) => {
            let word = cased("not", whim());
            format!("{word}{blank}({})", spelled(inner, whims))
        }
        Filter::Compare { path, op, value } => {
            format!("{path}{blank}{}{blank}{value}", cased(op.word(), whim()))
        }
        Filter::Present(path) => format!("{path}{blank}{}", cased("pr", whim())),
        Filter::ValuePath { path, filter } => format!("{path}[{}]", spelled(filter, whims)),
    };
    match whims.next().unwrap_or_default() % 6 {
        1 => format!("({text})"),
        2 => format!("( {text} )"),
        _ => text,
    }
}

fn patch_path() -> impl Strategy<Value = String> {
    let plain = select(vec![
        "userName",
        "NAME",
        "name.givenName",
        "emails",
        "emails.VALUE",
        "active",
        "externalId",
        "meta.created",
        "urn:ietf:params:scim:schemas:core:2.0:User:title",
        ENTERPRISE_URN,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    ])
    .prop_map(str::to_owned);
    let whims = proptest::collection::vec(any::<u8>(), 0..24);
    let sub = proptest::option::of(select(vec![".value", ".TYPE", ".primary"]));
    let selected = (generate::entry_filter(), whims, sub).prop_map(|(filter, whims, sub)| {
        format!("emails[{}]{}", spelled(&filter, &mut whims.into_iter()), sub.unwrap_or_default())
    });
    prop_oneof![plain, selected]
}

proptest! {
    #[test]
    fn a_filter_reads_the_same_however_it_is_written(
        filter in generate::filter(), whims in proptest::collection::vec(any::<u8>(), 0..48),
    ) {
        let text = spelled(&filter, &mut whims.into_iter());
        prop_assert_eq!(filter.check(&users()), Ok(()), "{}", text);
        prop_assert_eq!(Filter::parse(&text), Ok(filter), "{}", text);
        laws::a_filter_reads_as_it_is_printed(&text);
    }

    #[test]
    fn a_patch_path_reads_as_it_is_printed(text in patch_path()) {
        prop_assert!(PatchPath::parse(&text, &users()).is_ok(), "{}", text);
        laws::a_path_reads_as_it_is_printed(&text);
    }

    #[test]
    fn no_text_breaks_a_path(text in "[ -~é]{0,40}", tail in "[a-zA-Z:.$\\[\\]\" ]{0,12}") {
        laws::a_path_reads_as_it_is_printed(&text);
        laws::a_path_reads_as_it_is_printed(&format!("{ENTERPRISE_URN}{tail}"));
        laws::a_path_reads_as_it_is_printed(&format!("emails[{text}]{tail}"));
    }
}
