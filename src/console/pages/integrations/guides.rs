//! How to set a provider up, in the languages of those who do: what `guides/*.toml` say, with an
//! organization's own values.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::console::reader::Language;

/// The languages there are guides in, by their tags.
const LANGUAGES: [(&str, Language, &str); 6] = [
    ("en", Language::English, include_str!("../../guides/en.toml")),
    ("nb", Language::Norwegian, include_str!("../../guides/nb.toml")),
    ("sv", Language::Swedish, include_str!("../../guides/sv.toml")),
    ("da", Language::Danish, include_str!("../../guides/da.toml")),
    ("de", Language::German, include_str!("../../guides/de.toml")),
    ("fr", Language::French, include_str!("../../guides/fr.toml")),
];

static BOOKS: LazyLock<[Book; 6]> = LazyLock::new(|| {
    LANGUAGES.map(|(.., text)| toml::from_str(text).expect("the guides are tested"))
});

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    /// In its own words.
    language: String,
    guide: Vec<Guide>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Guide {
    id: String,
    name: String,
    about: String,
    step: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    title: String,
    text: Vec<String>,
    #[serde(default)]
    copy: Vec<Copied>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    label: String,
    value: String,
}

/// All guides in one language, with an organization's values filled in.
#[derive(Debug, Serialize)]
pub(super) struct Guides {
    /// For the `lang` attribute.
    tag: &'static str,
    /// Tag, name and whether it is this one, of each language there is.
    languages: Vec<(&'static str, &'static str, bool)>,
    all: Vec<Filled>,
}

#[derive(Debug, Serialize)]
struct Filled {
    id: &'static str,
    name: &'static str,
    about: &'static str,
    steps: Vec<FilledStep>,
}

#[derive(Debug, Serialize)]
struct FilledStep {
    title: &'static str,
    /// Paragraphs.
    text: Vec<Vec<Piece>>,
    /// Label and value.
    copy: Vec<(&'static str, String)>,
}

/// A stretch of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "lowercase")]
enum Piece {
    Plain {
        text: String,
    },
    /// What the provider's own page says.
    Menu {
        text: String,
    },
    /// What is typed.
    Code {
        text: String,
    },
    /// A page of the console: `people`, `requests`, `token`.
    Link {
        text: String,
        to: String,
    },
}

/// In a language, for an organization.
pub(super) fn of(language: Language, organization: &str, endpoint: &str) -> Guides {
    let place = LANGUAGES.iter().position(|(_, known, _)| *known == language).unwrap_or_default();
    let fill =
        |text: &str| text.replace("{organization}", organization).replace("{endpoint}", endpoint);
    let step = |step: &'static Step| FilledStep {
        title: &step.title,
        text: step.text.iter().map(|text| pieces(text, fill)).collect(),
        copy: step.copy.iter().map(|one| (&*one.label, fill(&one.value))).collect(),
    };
    let book: &'static Book = &BOOKS[place];
    let guide = |guide: &'static Guide| Filled {
        id: &guide.id,
        name: &guide.name,
        about: &guide.about,
        steps: guide.step.iter().map(step).collect(),
    };
    let names = BOOKS.iter().map(|book| &*book.language);
    let tags = LANGUAGES.iter().map(|(tag, ..)| *tag).enumerate();
    Guides {
        tag: LANGUAGES[place].0,
        languages: tags.zip(names).map(|((at, tag), name)| (tag, name, at == place)).collect(),
        all: book.guide.iter().map(guide).collect(),
    }
}

/// Values are filled in after the text is taken apart, so that no name can look like more than it is.
fn pieces(text: &str, fill: impl Fn(&str) -> String) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let marks = [("**", "**"), ("`", "`"), ("[", ")")];
        let next = marks.into_iter().filter_map(|(open, close)| {
            let start = rest.find(open)?;
            let inside = start + open.len();
            let end = inside + rest[inside..].find(close)?;
            Some((start, open, &rest[inside..end], end + close.len()))
        });
        let Some((start, open, inside, end)) = next.min_by_key(|(start, ..)| *start) else {
            break;
        };
        if start > 0 {
            found.push(Piece::Plain { text: fill(&rest[..start]) });
        }
        let text = inside.to_owned();
        found.push(match (open, inside.split_once("](")) {
            ("**", _) => Piece::Menu { text },
            ("[", Some((words, to))) => Piece::Link { text: words.to_owned(), to: to.to_owned() },
            _ => Piece::Code { text },
        });
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        found.push(Piece::Plain { text: fill(rest) });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Piece {
        Piece::Plain { text: text.to_owned() }
    }

    #[test]
    fn a_sentence_is_taken_apart_by_its_marks() {
        let found =
            pieces("In {organization} choose **Save**, or [go](people) with `a`.", |text| {
                text.replace("{organization}", "**[x](y)")
            });
        let expected = [
            plain("In **[x](y) choose "),
            Piece::Menu { text: "Save".to_owned() },
            plain(", or "),
            Piece::Link { text: "go".to_owned(), to: "people".to_owned() },
            plain(" with "),
            Piece::Code { text: "a".to_owned() },
            plain("."),
        ];
        assert_eq!(found, expected);
        assert_eq!(pieces("plain", str::to_owned), [plain("plain")]);
    }

    /// What must be the same in every language, step by step: how many paragraphs, the values, and
    /// what is typed, linked or filled in.
    fn shape(guide: &Guide) -> Vec<(usize, Vec<&str>, Vec<String>)> {
        let names = |text: &str| {
            ["{organization}", "{endpoint}"]
                .into_iter()
                .filter(|name| text.contains(name))
                .collect()
        };
        let fixed = |step: &Step| {
            let told = step.text.iter().flat_map(|text| pieces(text, names));
            let mut fixed: Vec<String> = told
                .filter_map(|piece| match piece {
                    Piece::Plain { text } | Piece::Code { text } => Some(text),
                    Piece::Link { to, .. } => Some(to),
                    Piece::Menu { .. } => None,
                })
                .filter(|text| !text.is_empty())
                .collect();
            fixed.sort();
            fixed
        };
        guide
            .step
            .iter()
            .map(|step| {
                let values = step.copy.iter().map(|one| &*one.value).collect();
                (step.text.len(), values, fixed(step))
            })
            .collect()
    }

    #[test]
    fn every_language_has_the_same_guides_steps_values_and_links() {
        let ids = |book: &Book| book.guide.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&BOOKS[0]), ["entra", "okta", "google", "other"]);
        for (book, (tag, ..)) in BOOKS.iter().zip(LANGUAGES) {
            assert_eq!(ids(book), ids(&BOOKS[0]), "{tag}");
            for (guide, english) in book.guide.iter().zip(&BOOKS[0].guide) {
                assert_eq!(shape(guide), shape(english), "{} in {tag}", guide.id);
            }
        }
    }

    #[test]
    fn links_go_where_the_page_knows_and_no_mark_is_left_over() {
        for (_, language, _) in LANGUAGES {
            for guide in of(language, "Lillevik", "https://scim.example").all {
                for piece in guide.steps.iter().flat_map(|step| &step.text).flatten() {
                    match piece {
                        Piece::Link { to, .. } => {
                            assert!(["people", "requests", "token"].contains(&&**to), "{to}");
                        }
                        Piece::Plain { text } | Piece::Menu { text } | Piece::Code { text } => {
                            let marks = ["**", "`", "](", "{", "}"];
                            assert!(!marks.iter().any(|mark| text.contains(mark)), "{text}");
                        }
                    }
                }
                assert!(guide.steps.iter().all(|step| !step.title.is_empty()), "{}", guide.id);
            }
        }
    }

    #[test]
    fn an_organizations_values_are_filled_in() {
        let guides = of(Language::Norwegian, "Lillevik", "https://scim.example/x");
        assert_eq!(guides.tag, "nb");
        assert_eq!(guides.all[0].steps[1].copy[0].1, "https://scim.example/x");
        assert!(format!("{:?}", guides.all[0].steps[0]).contains("«Lillevik relay»"));
        assert_eq!(of(Language::American, "", "").tag, "en");
    }
}
