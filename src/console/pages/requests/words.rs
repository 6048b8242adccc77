//! A provider's request and our answer in words. Pure.

use percent_encoding::percent_decode_str;

use crate::store::RequestRow;

/// Of a value that somebody looked for.
const LONGEST: usize = 60;

/// What the provider did, or wanted to.
pub(super) fn what(row: &RequestRow) -> String {
    let is_done = row.status < 400;
    let said = |done: &str, wanted: &str, whom: &str| {
        if is_done { format!("{done} {whom}") } else { format!("Wanted to {wanted} {whom}") }
    };
    let (path, query) = row.path.split_once('?').unwrap_or((&row.path, ""));
    let mut parts = path.trim_matches('/').split('/');
    let kind = match parts.next().unwrap_or_default() {
        "Users" => Kind { one: "a person", many: "people", prefix: "" },
        "Groups" => Kind { one: "a group", many: "groups", prefix: "the group " },
        "Bulk" => return said("Sent", "send", "many changes at once"),
        "ServiceProviderConfig" => return said("Asked", "ask", "what the relay can do"),
        "ResourceTypes" => return said("Asked", "ask", "which kinds of resources there are"),
        "Schemas" => return said("Asked", "ask", "which attributes there are"),
        "" | ".search" => return said("Searched", "search", "people and groups"),
        _ => return said("Asked for", "ask for", &shortened(path)),
    };
    let rest = parts.next().unwrap_or_default();
    let whom = match &row.name {
        Some(name) => format!("{}{}", kind.prefix, shortened(name)),
        None => kind.one.to_owned(),
    };
    match (&*row.method, rest) {
        ("POST", ".search") => said("Searched", "search", kind.many),
        ("POST", _) => said("Created", "create", &whom),
        ("PUT", _) => said("Replaced", "replace", &whom),
        ("PATCH", _) => said("Changed", "change", &whom),
        ("DELETE", _) => said("Deleted", "delete", &whom),
        (_, "") => match looked_for(query) {
            Some(value) => said("Looked", "look", &format!("for {}", shortened(&value))),
            None => said("Listed", "list", kind.many),
        },
        _ => said("Read", "read", &whom),
    }
}

struct Kind {
    one: &'static str,
    many: &'static str,
    prefix: &'static str,
}

/// The value of a filter that asks for one: `userName eq "kari"`.
fn looked_for(query: &str) -> Option<String> {
    let filter = query.split('&').find_map(|pair| pair.strip_prefix("filter="))?;
    let filter = filter.replace('+', " ");
    let filter = percent_decode_str(&filter).decode_utf8_lossy();
    let mut pieces = filter.splitn(2, '"');
    let before = pieces.next()?.trim_end().to_ascii_lowercase();
    let value = pieces.next()?.strip_suffix('"')?;
    (before.ends_with(" eq") && !value.contains('"') && !value.is_empty()).then(|| value.to_owned())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// How it ended: its tone, its icon, and a word or two behind the number.
pub(super) fn ended(status: u16) -> (&'static str, &'static str, &'static str) {
    let text = match status {
        200 | 204 => "Done",
        201 => "Created",
        304 => "Unchanged",
        400 => "Not understood",
        401 => "Wrong token",
        403 => "Not allowed",
        404 => "Not there",
        405 | 501 => "Not offered",
        409 => "Already there",
        412 => "Changed meanwhile",
        413 => "Too large",
        415 => "Not SCIM",
        429 => "Too fast",
        503 => "Told to come back",
        _ if status < 400 => "Answered",
        _ if status < 500 => "Refused",
        _ => "Failed here",
    };
    match status {
        0..=399 => ("ok", "tick", text),
        401 | 403 | 500.. => ("stop", "cross", text),
        _ => ("wait", "trouble", text),
    }
}

/// What a refusal means and what to do, for whoever looks after the provider.
pub(super) fn means(status: u16, scim_type: Option<&str>) -> Option<&'static str> {
    Some(match (status, scim_type) {
        (0..=399, _) => return None,
        (_, Some("uniqueness")) => {
            "Somebody else has that name already. Look for two people with one user name at the \
             provider; most providers find the one that is there on their next try."
        }
        (_, Some("invalidFilter")) => {
            "The provider asked with a filter that the relay cannot read."
        }
        (_, Some("tooMany")) => {
            "That would have been too much at once. The provider can ask for less."
        }
        (_, Some("mutability")) => "It would have changed something that never changes.",
        (_, Some("invalidSyntax")) => "What was sent is not what SCIM asks for.",
        (_, Some("invalidPath" | "noTarget")) => {
            "It would have changed something that is not there."
        }
        (_, Some("invalidValue")) => {
            "A value is missing or is not of its kind. Look at the mapping of that attribute at the \
             provider."
        }
        (_, Some("sensitive")) => "It would have put something secret into an address.",
        (401, _) => {
            "The token is expired or revoked. Whoever looks after the provider needs a new one."
        }
        (403, _) => "The token may read and not write.",
        (404, _) => {
            "Nobody has that id, or not any more. A provider that goes on asking for somebody deleted \
             finds out by this."
        }
        (409, _) => "It is there already.",
        (412, _) => "Somebody else changed it in between. The provider reads it again and goes on.",
        (413, _) => "What was sent is larger than the relay takes.",
        (429, _) => "More came than the limit allows. The provider was told when to come back.",
        (503, _) => {
            "The relay could not take it at that moment, and the provider was told to come back. \
             Nothing was lost."
        }
        (500.., _) => "The relay failed. The log of the server says why.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::pages::requests::tests::row;

    #[track_caller]
    fn check(method: &str, path: &str, name: Option<&str>, status: u16, expected: &str) {
        let row = RequestRow {
            method: method.to_owned(),
            path: path.to_owned(),
            name: name.map(str::to_owned),
            status,
            ..row(1)
        };
        assert_eq!(what(&row), expected, "{method} {path} {status}");
    }

    #[test]
    fn each_request_is_a_sentence() {
        let kari = Some("kari.nordli");
        check("POST", "/Users", kari, 201, "Created kari.nordli");
        check("POST", "/Users", kari, 409, "Wanted to create kari.nordli");
        check("POST", "/Users", None, 400, "Wanted to create a person");
        check("PATCH", "/Users/1", kari, 200, "Changed kari.nordli");
        check("PUT", "/Users/1", kari, 200, "Replaced kari.nordli");
        check("DELETE", "/Users/1", kari, 204, "Deleted kari.nordli");
        check("GET", "/Users/1", kari, 200, "Read kari.nordli");
        check("GET", "/Users/1", None, 404, "Wanted to read a person");
        check("PATCH", "/Groups/1", Some("Class 8A"), 204, "Changed the group Class 8A");
        check("DELETE", "/Groups/1", None, 204, "Deleted a group");
        check("GET", "/Users", None, 200, "Listed people");
        check("GET", "/Groups?count=10", None, 200, "Listed groups");
        check(
            "GET",
            "/Users?filter=userName%20eq%20%22liv%22&count=1",
            None,
            200,
            "Looked for liv",
        );
        check("GET", "/Users?filter=externalId+EQ+%22a%26b%22", None, 200, "Looked for a&b");
        check("GET", "/Users?filter=title%20pr", None, 200, "Listed people");
        check(
            "GET",
            "/Users?filter=a%20eq%20%22b%22%20or%20c%20eq%20%22d%22",
            None,
            200,
            "Listed people",
        );
        check("POST", "/Users/.search", None, 200, "Searched people");
        check("POST", "/.search", None, 200, "Searched people and groups");
        check("POST", "/Bulk", None, 413, "Wanted to send many changes at once");
        check("GET", "/ServiceProviderConfig", None, 200, "Asked what the relay can do");
        check("GET", "/Schemas", None, 200, "Asked which attributes there are");
        check("GET", "/Robots", None, 404, "Wanted to ask for /Robots");
    }

    #[test]
    fn every_answer_has_a_word_and_every_refusal_a_meaning() {
        for status in 200..=599 {
            let (tone, _, text) = ended(status);
            assert!(!text.is_empty());
            assert_eq!(tone == "ok", status < 400, "{status}");
        }
        for status in [400, 401, 403, 404, 409, 412, 413, 429, 500, 502, 503] {
            let scim_type = (status == 400).then_some("invalidValue");
            assert!(means(status, scim_type).is_some(), "{status}");
        }
        assert_eq!(means(200, None), None);
    }
}
