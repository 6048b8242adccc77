//! Finding people and groups by the beginnings of their names' words: what is asked, what is found,
//! and which words there are.

use jiff::Timestamp;
use scim_relay_sdk::scim::ResourceKind;
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::{OrgId, RowId, State, Stored};

/// Of a resource, and of what somebody types: more of either is left out.
const WORDS: usize = 64;
const TYPED: usize = 8;
/// Letters of a word that count.
const LETTERS: usize = 40;
/// More are not told: whoever looks for somebody types one letter more.
pub const MOST_FOUND: usize = 500;

/// Who is looked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// None: whoever changed last.
    pub typed: Option<Typed>,
    pub kind: Option<ResourceKind>,
    /// None: all of them.
    pub organizations: Option<Vec<OrgId>>,
    pub place: Option<Place>,
    /// Members of this group alone; without words and a place, those who were there first come first.
    pub group: Option<RowId>,
}

/// Where somebody stands with all connectors together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing waits, but for what lies ahead.
    InLine,
    /// Something goes on by itself.
    Underway,
    /// Something waits for a person.
    Human,
}

impl Place {
    pub const ALL: [Self; 3] = [Self::InLine, Self::Underway, Self::Human];

    /// As it stands in an address.
    pub fn word(self) -> &'static str {
        match self {
            Self::InLine => "in-line",
            Self::Underway => "underway",
            Self::Human => "person",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.word() == word)
    }

    /// The most pressing of these decides.
    pub fn of(states: impl Iterator<Item = State>) -> Self {
        let each = states.map(|state| match state {
            State::Scheduled => Self::InLine,
            State::Pending | State::Retrying | State::Waiting => Self::Underway,
            State::Parked | State::Held => Self::Human,
        });
        each.max_by_key(|place| *place as u8).unwrap_or(Self::InLine)
    }
}

/// Some of those that match, in the order of their names; or of their changes, the last one first.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// On all pages together; no more than [`MOST_FOUND`].
    pub total: usize,
    /// There are more than that.
    pub more: bool,
    pub hits: Vec<Hit>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The key of it.
    pub organization: String,
    pub stored: Stored,
    pub deleted: Option<Timestamp>,
    /// Where it is not in line: by the connectors' names.
    pub waits: Vec<(String, State)>,
}

/// What somebody typed, as words that begin like words of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    pub(super) words: Vec<String>,
    /// All of it as one word: a pasted id.
    pub(super) whole: Option<String>,
}

impl Typed {
    /// None, if there is no letter in it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let mut words: Vec<String> = words(text).collect();
        let is_one = words.len() > 1 && !text.contains(char::is_whitespace);
        words.truncate(TYPED);
        (!words.is_empty()).then(|| Self { words, whole: is_one.then(|| joined(text)) })
    }
}

/// The words of a resource's names and ids, each once, as somebody would say them.
pub(super) fn of_resource(id: &str, body: &str) -> Vec<String> {
    let names: Names = serde_json::from_str(body).unwrap_or_default();
    let person = names.name.unwrap_or_default();
    let emails = names.emails.unwrap_or_default();
    let spoken = [
        &names.display_name,
        &person.formatted,
        &person.given_name,
        &person.middle_name,
        &person.family_name,
        &names.user_name,
    ];
    let texts = spoken.into_iter().chain(emails.iter().map(|email| &email.value));
    let mut all: Vec<String> = Vec::new();
    let ids = names.external_id.iter().map(|id| joined(id)).chain([joined(id)]);
    for word in texts.flatten().flat_map(|text| words(text)).take(WORDS).chain(ids) {
        if !word.is_empty() && !all.contains(&word) {
            all.push(word);
        }
    }
    all
}

/// What people are called by.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Names {
    display_name: Option<String>,
    user_name: Option<String>,
    external_id: Option<String>,
    name: Option<Person>,
    emails: Option<Vec<Email>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Person {
    formatted: Option<String>,
    given_name: Option<String>,
    middle_name: Option<String>,
    family_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Email {
    value: Option<String>,
}

/// Words without case and accents: whoever types `odegard` means Ødegård, too.
fn words(text: &str) -> impl Iterator<Item = String> {
    let plain = plain(text);
    let words: Vec<String> = plain
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(LETTERS).collect())
        .collect();
    words.into_iter()
}

/// All its letters and digits as one word.
fn joined(text: &str) -> String {
    plain(text).chars().filter(|letter| letter.is_alphanumeric()).take(LETTERS).collect()
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.nfkd().filter(|letter| !is_combining_mark(*letter)) {
        for letter in letter.to_lowercase() {
            match letter {
                'ø' => plain.push('o'),
                'æ' => plain.push_str("ae"),
                'œ' => plain.push_str("oe"),
                'ß' => plain.push_str("ss"),
                'đ' | 'ð' => plain.push('d'),
                'þ' => plain.push_str("th"),
                'ł' => plain.push('l'),
                'ı' => plain.push('i'),
                'ς' => plain.push('σ'),
                other if is_combining_mark(other) => {}
                other => plain.push(other),
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_without_accents_stand_for_those_that_have_them() {
        for (text, expected) in [
            ("Ødegård", "odegard"),
            ("BÆRØE-Ås", "baeroe as"),
            ("o\u{308}zdemi\u{307}r", "ozdemir"),
            ("İpek Işık", "ipek isik"),
            ("Weiß, Łukasz", "weiss lukasz"),
            ("kari.nordli@lillevik.example", "kari nordli lillevik example"),
            ("  \u{201c}10A\u{201d} ", "10a"),
            ("Иван 王", "иван 王"),
            ("=1 \"OR\" *", "1 or"),
            ("...", ""),
        ] {
            assert_eq!(words(text).collect::<Vec<_>>().join(" "), expected, "{text}");
        }
    }

    #[test]
    fn what_is_typed_has_its_bounds() {
        assert_eq!(Typed::parse(" .-* "), None);
        let many = Typed::parse("a b c d e f g h i j").unwrap();
        assert_eq!((many.words.len(), many.whole), (8, None));
        let long = Typed::parse(&"x".repeat(100)).unwrap();
        assert_eq!(long.words, ["x".repeat(40)]);
        let id = Typed::parse("9C41E0B2-58d7").unwrap();
        assert_eq!(
            (id.words.join(" "), id.whole),
            ("9c41e0b2 58d7".to_owned(), Some("9c41e0b258d7".to_owned()))
        );
    }

    #[test]
    fn a_resource_is_found_by_its_names_and_ids_as_they_are_said() {
        let body = r#"{"userName":"kari.nordli@lillevik.example","externalId":"9C41-58d7",
            "displayName":"Kari Nordli","name":{"givenName":"Kari","familyName":"Nordli Ås"},
            "emails":[{"value":"kn@lillevik.example"},{"type":"home"}],"title":"no name"}"#;
        let all = of_resource("0192-aa", body).join(" ");
        assert_eq!(all, "kari nordli as lillevik example kn 9c4158d7 0192aa");
        assert_eq!(of_resource("0192-aa", "no JSON").join(" "), "0192aa");
        let many: Vec<String> = (0..1_000).map(|number| format!("w{number}")).collect();
        let endless = format!(r#"{{"displayName":"{}"}}"#, many.join(" "));
        assert_eq!(of_resource("1", &endless).len(), WORDS + 1);
    }

    #[test]
    fn the_most_pressing_row_says_where_somebody_stands() {
        use State::{Held, Parked, Pending, Retrying, Scheduled, Waiting};
        for (states, place) in [
            (vec![], Place::InLine),
            (vec![Scheduled], Place::InLine),
            (vec![Scheduled, Pending], Place::Underway),
            (vec![Waiting], Place::Underway),
            (vec![Retrying, Parked], Place::Human),
            (vec![Held, Pending], Place::Human),
        ] {
            assert_eq!(Place::of(states.iter().copied()), place, "{states:?}");
        }
        for place in Place::ALL {
            assert_eq!(Place::parse(place.word()), Some(place));
        }
    }
}
