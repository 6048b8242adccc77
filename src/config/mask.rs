//! Which stretches of a configuration file are secret, so that no message ever quotes them.
//!
//! A line is quoted to show a mistake on it, and the mistake may stand right beside a password.
//! So whatever a secret-sounding key holds is covered, and so is a password inside a URL.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

/// What stands for a secret in a quoted line.
pub(super) const MASK: &str = "***";

/// Keys that say where a secret is, and not what it is.
const PLACES: [&str; 3] = ["file", "env", "credential"];

const WORDS: [&str; 10] = [
    "password",
    "passphrase",
    "passwd",
    "secret",
    "token",
    "headers",
    "authorization",
    "api_key",
    "private_key",
    "access_key",
];

/// Whether a key's name says that its value is nobody's business.
pub fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    // `token_url` is an address.
    if key.ends_with("_url") {
        return false;
    }
    // A slip of the hand makes a key unknown, and its value no less secret.
    let misspelt = |word: &str| key.split('_').any(|part| strsim::osa_distance(part, word) == 1);
    WORDS.iter().any(|word| key.contains(word) || misspelt(word))
}

/// The secret stretches of a file that parses.
pub(super) fn in_tree(text: &str, tree: &Spanned<DeValue<'_>>) -> Vec<Range<usize>> {
    let mut masks = Vec::new();
    walk(text, tree, false, &mut masks);
    masks
}

/// The stretches that a value known to be secret covers.
pub(super) fn in_value(text: &str, value: &Spanned<DeValue<'_>>) -> Vec<Range<usize>> {
    let mut masks = Vec::new();
    walk(text, value, true, &mut masks);
    masks
}

fn walk(text: &str, value: &Spanned<DeValue<'_>>, secret: bool, masks: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                let name: &str = key.get_ref();
                let secret = (secret && !PLACES.contains(&name)) || sounds_secret(name);
                walk(text, value, secret, masks);
            }
        }
        DeValue::Array(array) => {
            for value in array {
                walk(text, value, secret, masks);
            }
        }
        _ if secret => masks.push(value.span()),
        DeValue::String(_) => masks.extend(in_url(text, value.span())),
        _ => {}
    }
}

/// What names a credential in a URL's query and nowhere else.
const PARAMETERS: [&str; 6] = ["key", "code", "sig", "signature", "auth", "pwd"];

/// What is secret of a URL, in whatever text there is.
fn in_url(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let mut masks: Vec<_> = in_user_info(text, span.clone()).into_iter().collect();
    masks.extend(in_query(text, span));
    masks
}

/// The values of `?code=...&token=...` behind a `scheme://`.
fn in_query(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let raw = text.get(span.clone()).unwrap_or_default();
    let query = raw.find("://").and_then(|at| Some(at + raw[at..].find('?')? + 1));
    let Some(mut at) = query else { return Vec::new() };
    let mut masks = Vec::new();
    for parameter in raw[at..].split_inclusive(['&', '"', '\'', '#', ' ', '\n']) {
        let bare = parameter.trim_end_matches(['&', '"', '\'', '#', ' ', '\n']);
        if let Some((name, value)) = bare.split_once('=')
            && !value.is_empty()
            && (sounds_secret(name) || PARAMETERS.iter().any(|one| name.eq_ignore_ascii_case(one)))
        {
            let start = span.start + at + name.len() + 1;
            masks.push(start..start + value.len());
        }
        at += parameter.len();
    }
    masks
}

/// The password of `scheme://user:password@host`.
fn in_user_info(text: &str, span: Range<usize>) -> Option<Range<usize>> {
    let raw = text.get(span.clone())?;
    let authority = raw.find("://")? + 3;
    let end = raw[authority..].find(['/', '?', '#', '"', '\'']).unwrap_or(raw.len() - authority);
    let user_info = &raw[authority..authority + end];
    let (user_info, _host) = user_info.rsplit_once('@')?;
    let colon = user_info.find(':')?;
    let start = span.start + authority;
    Some(start + colon + 1..start + user_info.len())
}

/// The secret stretches of a file that does not parse: a line that names a secret is covered from
/// there on, and with it what an open quotation mark may have swallowed.
pub(super) fn in_lines(text: &str) -> Vec<Range<usize>> {
    let mut masks = Vec::new();
    let mut under_secret_header = false;
    let mut on_next_line = false;
    let mut covered_to = 0;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        let next = start + line.len();
        if start >= covered_to && end > start {
            let trimmed = line.trim_start();
            if trimmed.starts_with('[') && !on_next_line {
                under_secret_header = sounds_secret(trimmed);
            } else if let Some(at) = secret_from(line, under_secret_header || on_next_line) {
                let rest = line[at..].trim();
                on_next_line = rest.is_empty() || rest == "=";
                covered_to = start + at + reach(&text[start + at..]);
                masks.push(start + at..covered_to.max(end));
            } else {
                on_next_line = false;
                masks.extend(in_url(text, start..end));
            }
        }
        start = next;
    }
    masks
}

/// Where on a line a secret begins: behind the key that announces it.
fn secret_from(line: &str, all: bool) -> Option<usize> {
    let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\'');
    let indent = line.len() - line.trim_start().len();
    if all {
        return Some(line.find('=').map_or(indent, |at| at + 1));
    }
    let mut at = indent;
    for piece in line[indent..].split_inclusive(|c| !is_key(c)) {
        let word = piece.trim_end_matches(|c| !is_key(c));
        if sounds_secret(word) {
            let from = at + word.len();
            let value = line[from..].trim_start().trim_start_matches('=').trim_start();
            let is_place = value.strip_prefix('{').is_some_and(|inner| {
                PLACES.iter().any(|place| inner.trim_start().starts_with(place))
            });
            if !is_place {
                return Some(from);
            }
        }
        at += piece.len();
    }
    None
}

/// How far a value that starts here may go on beyond its line.
fn reach(text: &str) -> usize {
    let line = text.find('\n').unwrap_or(text.len());
    for (open, close) in [("\"\"\"", "\"\"\""), ("'''", "'''"), ("[", "]"), ("{", "}")] {
        if let Some(at) = text[..line].find(open) {
            let inside = at + open.len();
            return text[inside..].find(close).map_or(text.len(), |end| inside + end + close.len());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    fn cover(text: &str, masks: &[Range<usize>]) -> String {
        let mut masks = masks.to_vec();
        masks.sort_by_key(|mask| mask.start);
        let mut out = text.to_owned();
        for mask in masks.into_iter().rev() {
            out.replace_range(mask, MASK);
        }
        out
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let table = DeTable::parse(text).unwrap();
        let span = table.span();
        let tree = Spanned::new(span, DeValue::Table(table.into_inner()));
        assert_eq!(cover(text, &in_tree(text, &tree)), expected);
    }

    #[track_caller]
    fn check_lines(text: &str, expected: &str) {
        assert_eq!(cover(text, &in_lines(text)), expected);
    }

    #[test]
    fn what_a_secret_key_holds_is_covered() {
        check("bind_password = \"geheim\"\nuser = 'u'", "bind_password = ***\nuser = 'u'");
        check("secret = [\"whsec_1\", \"whsec_2\"]", "secret = [***, ***]");
        check("[headers]\nX-Key = \"1\"", "[headers]\nX-Key = ***");
        check("token = 12345", "token = ***");
        check("bind_pasword = \"geheim\"", "bind_pasword = ***");
    }

    #[test]
    fn where_a_secret_is_kept_may_be_shown() {
        check("password = { file = \"pw\" }", "password = { file = \"pw\" }");
        check("password = { fiel = \"pw\" }", "password = { fiel = *** }");
        check("token_url = \"https://a.example\"", "token_url = \"https://a.example\"");
    }

    #[test]
    fn a_password_in_a_url_is_covered() {
        check(
            "proxy = \"http://relay:geheim@proxy.example:3128/\"",
            "proxy = \"http://relay:***@proxy.example:3128/\"",
        );
        check("url = \"https://a.example/x:y@z\"", "url = \"https://a.example/x:y@z\"");
        check(
            "url = \"https://a.example/hook?x=1&code=geheim&Api-Token=geheim\"",
            "url = \"https://a.example/hook?x=1&code=***&Api-Token=***\"",
        );
        check_lines(
            "url = 'https://a.example/?sig=geheim' x",
            "url = 'https://a.example/?sig=***' x",
        );
    }

    #[test]
    fn a_line_that_does_not_parse_is_covered_behind_the_key() {
        check_lines("secret = \"geheim", "secret***");
        check_lines("secret \"geheim\"\nuser = 1", "secret***\nuser = 1");
        check_lines("a = { user = \"u\", password = \"p\" ", "a = { user = \"u\", password***");
        check_lines("password = { file = \"pw\" ", "password = { file = \"pw\" ");
        check_lines("password =\n\"geheim\"\nuser = 1", "password***\n***\nuser = 1");
    }

    #[test]
    fn an_open_quotation_is_covered_as_far_as_it_reaches() {
        check_lines("token = \"\"\"\none\ntwo\n", "token***");
        check_lines("token = \"\"\"\none\n\"\"\"\nuser = 1\n", "token***\nuser = 1\n");
        check_lines("secret = [\n\"one\",\n]\nuser = 1", "secret***\nuser = 1");
        check_lines(
            "[webhook.headers]\nkey = \"1\nkey2 = 2\n[x]\na = 1",
            "[webhook.headers]\nkey =***\nkey2 =***\n[x]\na = 1",
        );
    }
}
