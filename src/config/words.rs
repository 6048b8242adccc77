//! What serde says about a value, in an administrator's words: no Rust types, no quoted values.

/// What an error message of serde is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A key that must be there is not.
    Missing(String),
    /// A key that nobody knows, and those that are known there.
    Unknown { key: String, known: Vec<String> },
    /// A value that will not do.
    Wrong { message: String, help: Option<String> },
}

/// Reads a message; `key` is what the value belongs to.
pub(super) fn understand(message: &str, key: Option<&str>) -> Said {
    let message = message.trim();
    if let Some(field) = message.strip_prefix("missing field ") {
        return Said::Missing(in_backticks(field).first().cloned().unwrap_or_default());
    }
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = in_backticks(rest).into_iter();
        let key = names.next().unwrap_or_default();
        return Said::Unknown { key, known: names.collect() };
    }
    let what = key.map_or_else(|| "this".to_owned(), |key| format!("`{key}`"));
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let mut names = in_backticks(rest).into_iter();
        let word = names.next().unwrap_or_default();
        let known: Vec<String> = names.collect();
        let help = match near(&word, known.iter().map(String::as_str)) {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("it can be {}", listed(&known, '"', "or")),
        };
        return Said::Wrong { message: format!("{what} cannot be \"{word}\""), help: Some(help) };
    }
    let message = if let Some((found, expected)) = found_and_expected(message, "invalid type: ") {
        format!("{what} should be {}, not {}", expectation(expected), kind_of(found))
    } else if let Some((_, expected)) = found_and_expected(message, "invalid value: ") {
        format!("{what} should be {}", expectation(expected))
    } else if let Some((_, expected)) = found_and_expected(message, "invalid length ") {
        format!("{what} should be {}", expectation(expected))
    } else if let Some(field) = message.strip_prefix("duplicate field ") {
        format!("{field} is there twice")
    } else if message == "wanted string or table" {
        format!("{what} should be a string")
    } else {
        message.to_owned()
    };
    Said::Wrong { message, help: None }
}

fn found_and_expected<'m>(message: &'m str, start: &str) -> Option<(&'m str, &'m str)> {
    message.strip_prefix(start)?.rsplit_once(", expected ")
}

/// The kind of a value that serde describes together with the value itself, which is left out.
fn kind_of(found: &str) -> &str {
    match found.split([' ', '`', '"']).next() {
        Some("string" | "character") => "a string",
        Some("integer") => "a whole number",
        Some("floating") => "a number with a fraction",
        Some("boolean") => "true or false",
        Some("sequence") => "a list",
        Some("map") => "a table",
        _ => "this",
    }
}

fn expectation(expected: &str) -> String {
    let range = |least: i128, most: i128| format!("a whole number from {least} to {most}");
    match expected {
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        "path string" => "a path, as a string".to_owned(),
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other if other.starts_with("a nonzero") => "a whole number above zero".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other if other.starts_with("enum ") || other == "variant identifier" => {
            "one word, as a string".to_owned()
        }
        other if other.starts_with("tuple struct ") || other.starts_with("unit struct ") => {
            "something else".to_owned()
        }
        other => other.to_owned(),
    }
}

fn in_backticks(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// `a`, `b` and `c`.
pub(super) fn listed<T: AsRef<str>>(names: &[T], quote: char, word: &str) -> String {
    let mut quoted: Vec<String> =
        names.iter().map(|name| format!("{quote}{}{quote}", name.as_ref())).collect();
    match quoted.pop() {
        None => "nothing".to_owned(),
        Some(last) if quoted.is_empty() => last,
        Some(last) => format!("{} {word} {last}", quoted.join(", ")),
    }
}

/// The known word that was probably meant: one slip of the hand for every three letters, in
/// whatever case and with whatever dashes.
pub(super) fn near<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let word = plain(word);
    let slips = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|known| (strsim::osa_distance(&word, &plain(known)), known))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, expected: &str) {
        let said = understand(message, Some("timeout"));
        assert_eq!(said, Said::Wrong { message: expected.to_owned(), help: None });
    }

    #[test]
    fn a_wrong_type_is_named_and_the_value_is_not_quoted() {
        check(
            "invalid type: integer `5`, expected a string",
            "`timeout` should be a string, not a whole number",
        );
        check(
            "invalid type: string \"geheim\", expected a boolean",
            "`timeout` should be true or false, not a string",
        );
        check("invalid type: map, expected a sequence", "`timeout` should be a list, not a table");
        check(
            "invalid type: string \"x\", expected struct Limits",
            "`timeout` should be a table, not a string",
        );
        check(
            "invalid type: string \"a, expected b\", expected u16",
            "`timeout` should be a whole number from 0 to 65535, not a string",
        );
    }

    #[test]
    fn a_number_out_of_range_is_told_the_range() {
        check(
            "invalid value: integer `70000`, expected u16",
            "`timeout` should be a whole number from 0 to 65535",
        );
        check(
            "invalid value: integer `-1`, expected usize",
            "`timeout` should be a whole number that is not negative",
        );
    }

    #[test]
    fn a_sentence_of_our_own_stays_as_it_is() {
        check("`soon` is not a duration", "`soon` is not a duration");
    }

    #[test]
    fn a_word_that_is_none_of_the_choices_gets_a_suggestion() {
        assert_eq!(
            understand(
                "unknown variant `reprot`, expected `report` or `deprovision`",
                Some("orphans")
            ),
            Said::Wrong {
                message: "`orphans` cannot be \"reprot\"".to_owned(),
                help: Some("did you mean \"report\"?".to_owned())
            }
        );
        assert_eq!(
            understand("unknown variant `x`, expected one of `a1`, `b1`, `c1`", None),
            Said::Wrong {
                message: "this cannot be \"x\"".to_owned(),
                help: Some("it can be \"a1\", \"b1\" or \"c1\"".to_owned())
            }
        );
    }

    #[test]
    fn an_unknown_key_comes_with_the_known_ones() {
        assert_eq!(
            understand("unknown field `bind_dm`, expected one of `url`, `bind_dn`", None),
            Said::Unknown {
                key: "bind_dm".to_owned(),
                known: vec!["url".to_owned(), "bind_dn".to_owned()]
            }
        );
        assert_eq!(
            understand("unknown field `x`, there are no fields", None),
            Said::Unknown { key: "x".to_owned(), known: vec![] }
        );
    }

    #[test]
    fn a_missing_key_is_told_apart() {
        assert_eq!(understand("missing field `url`", None), Said::Missing("url".to_owned()));
    }

    #[track_caller]
    fn check_near(word: &str, expected: Option<&str>) {
        let known = ["bind_dn", "bind_password", "url", "flavor", "users", "timeout", "dn", "ldap"];
        assert_eq!(near(word, known), expected, "{word}");
    }

    #[test]
    fn a_slip_of_the_hand_is_understood() {
        check_near("bind_dm", Some("bind_dn"));
        check_near("bind-dn", Some("bind_dn"));
        check_near("Bind_DN", Some("bind_dn"));
        check_near("flavour", Some("flavor"));
        check_near("ulr", Some("url"));
        check_near("ladp", Some("ldap"));
        check_near("bindpasword", Some("bind_password"));
        check_near("time_out", Some("timeout"));
    }

    #[test]
    fn what_resembles_nothing_gets_no_suggestion() {
        check_near("color", None);
        check_near("x", None);
        check_near("organisation", None);
    }
}
