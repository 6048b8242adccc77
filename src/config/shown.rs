//! A file as a person may see it who looks at what is in force: without its secrets, and without its
//! comments, which may say anything.

use std::ops::Range;

use serde::Serialize;
use toml::Spanned;
use toml::de::DeValue;

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", content = "text", rename_all = "snake_case")]
pub enum Piece {
    Text(String),
    /// `[scope]`
    Header(String),
    /// A secret stands here.
    Hidden,
}

/// Where what is not plain text stands.
#[derive(Debug, Default)]
pub(super) struct Marks {
    headers: Vec<Range<usize>>,
    /// A `#` inside is none that begins a comment.
    quoted: Vec<Range<usize>>,
}

impl Marks {
    pub(super) fn of(text: &str, tree: &Spanned<DeValue<'_>>) -> Self {
        let mut marks = Self::default();
        marks.walk(text, tree);
        marks
    }

    fn walk(&mut self, text: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => {
                let span = value.span();
                if text.get(span.clone()).is_some_and(|text| text.starts_with('[')) {
                    self.headers.push(span);
                }
                for (key, value) in table {
                    self.quoted.push(key.span());
                    self.walk(text, value);
                }
            }
            DeValue::Array(array) => array.iter().for_each(|value| self.walk(text, value)),
            _ => self.quoted.push(value.span()),
        }
    }

    fn comments(&self, text: &str) -> Vec<Range<usize>> {
        let mut comments: Vec<Range<usize>> = Vec::new();
        for (at, _) in text.match_indices('#') {
            let is_quoted = self.quoted.iter().any(|span| span.contains(&at));
            if is_quoted || comments.last().is_some_and(|last| at < last.end) {
                continue;
            }
            let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
            // A line that is nothing else goes whole.
            let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let is_alone = text[line..at].trim().is_empty();
            let end = if is_alone { (end + 1).min(text.len()) } else { end };
            comments.push(if is_alone { line..end } else { at..end });
        }
        comments
    }

    /// The file in pieces; `secrets` in order, none of them within another.
    pub(super) fn pieces(&self, text: &str, secrets: &[Range<usize>]) -> Vec<Piece> {
        let mut special: Vec<(Range<usize>, What)> = Vec::new();
        special.extend(self.comments(text).into_iter().map(|span| (span, What::Comment)));
        special.extend(secrets.iter().map(|span| (span.clone(), What::Secret)));
        special.extend(self.headers.iter().map(|span| (span.clone(), What::Header)));
        special.sort_by_key(|(span, _)| span.start);
        let mut pieces = Vec::new();
        let mut at = 0;
        for (span, what) in special {
            if span.start < at {
                // Inside of one that came before: it ends where the longer of them does.
                at = at.max(span.end);
                continue;
            }
            push(&mut pieces, &text[at..span.start]);
            match what {
                What::Comment => {}
                What::Secret => pieces.push(Piece::Hidden),
                What::Header => pieces.push(Piece::Header(text[span.clone()].to_owned())),
            }
            at = span.end;
        }
        push(&mut pieces, &text[at..]);
        tidy(pieces)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Comment,
    Secret,
    Header,
}

fn push(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// Without the empty lines that comments leave behind.
fn tidy(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for (number, piece) in pieces.into_iter().enumerate() {
        let Piece::Text(text) = piece else {
            out.push(piece);
            continue;
        };
        let mut kept = String::new();
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end();
            let is_whole = line.ends_with('\n');
            let after_empty = kept.ends_with("\n\n") || (kept.is_empty() && number == 0);
            if bare.is_empty() && is_whole && after_empty {
                continue;
            }
            if is_whole {
                kept.push_str(bare);
                kept.push('\n');
            } else {
                kept.push_str(line);
            }
        }
        if !kept.is_empty() {
            out.push(Piece::Text(kept));
        }
    }
    if let Some(Piece::Text(last)) = out.last_mut() {
        last.truncate(last.trim_end().len());
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::source::Source;

    fn shown(text: &str) -> String {
        let parsed = Source::parse(Path::new("x.toml"), text);
        let piece = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Header(text) => format!("<{text}>"),
            Piece::Hidden => "(hidden)".to_owned(),
        };
        parsed.source.shown().into_iter().map(piece).collect()
    }

    #[test]
    fn a_file_is_shown_without_secrets_and_without_comments() {
        let text = r#"# The directory. The old password was canary-1.
organizations = ["lillevik"] # canary-2

# canary-3
# bind_password = "canary-4"

[ldap] # canary-5
url = "ldaps://relay:canary-6@dir.example" # no canary-7
  # canary-13
bind_password = "canary-8" # was canary-9
token = { credential = "ldap" }
note = "a # is no comment"
'a#b' = 1
long = """
# neither is this
"""
[webhook.headers]
X-Api = "canary-10"
[[safety.window]]
url = "https://hooks.example/?code=canary-11&x=1"
list = [
  "one", # canary-12
  "two",
]"#;
        let shown = shown(text);
        assert!(!shown.contains("canary"), "{shown}");
        insta::assert_snapshot!(shown, @r##"
        organizations = ["lillevik"]

        <[ldap]>
        url = "ldaps://relay:(hidden)@dir.example"
        bind_password = (hidden)
        token = { credential = "ldap" }
        note = "a # is no comment"
        'a#b' = 1
        long = """
        # neither is this
        """
        <[webhook.headers]>
        X-Api = (hidden)
        <[[safety.window]]>
        url = "https://hooks.example/?code=(hidden)&x=1"
        list = [
          "one",
          "two",
        ]
        "##);
    }

    #[test]
    fn a_file_of_comments_alone_shows_nothing() {
        assert_eq!(shown("# canary\n\n# canary"), "");
        assert_eq!(shown(""), "");
    }
}
