//! Looking for somebody: a page of those who match, and the first of them while a name is typed.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay_sdk::scim::ResourceKind;
use serde::{Deserialize, Serialize};

use super::address;
use crate::console::Console;
use crate::console::page::{Content, Page, Section};
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{MOST_FOUND, PEOPLE, PeoplePage, PeopleQuery, PersonLine, Place, words};

/// Letters that may be typed.
const TYPED: usize = 100;
/// Told while a name is typed.
const SUGGESTED: usize = 8;

/// What stands in the address.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) q: String,
    #[serde(default)]
    pub(super) org: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) state: String,
    #[serde(default)]
    pub(super) page: String,
}

impl Asked {
    pub(super) fn query(&self, limit: usize) -> PeopleQuery {
        PeopleQuery {
            typed: self.typed(),
            kind: match self.kind.as_str() {
                "user" => Some(ResourceKind::User),
                "group" => Some(ResourceKind::Group),
                _ => None,
            },
            organization: self.organization().map(str::to_owned),
            place: Place::parse(&self.state),
            page: self.number() - 1,
            limit,
        }
    }

    pub(super) fn typed(&self) -> String {
        self.q.chars().take(TYPED).collect()
    }

    fn organization(&self) -> Option<&str> {
        Some(self.org.as_str()).filter(|key| !key.is_empty())
    }

    /// From 1 to the last there can be.
    pub(super) fn number(&self) -> usize {
        self.page.parse().unwrap_or(1).clamp(1, MOST_FOUND.div_ceil(PEOPLE))
    }

    /// The same on another page.
    pub(super) fn at(&self, address: &str, page: usize) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let (typed, org, kind, state) = (self.typed(), &self.org, &self.kind, &self.state);
        let parts = [("q", &typed), ("org", org), ("kind", kind), ("state", state)];
        let parts = parts.into_iter().filter(|(_, value)| !value.is_empty());
        let parts: Vec<String> =
            parts.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        format!("{address}?{}&page={page}", parts.join("&")).replace("?&", "?")
    }
}

#[derive(Serialize)]
pub(super) struct People {
    typed: String,
    pub(super) kind: String,
    state: String,
    lines: Vec<Line>,
    total: usize,
    more: bool,
    /// The number of the first and the last line that are shown.
    from: usize,
    to: usize,
    before: Option<String>,
    after: Option<String>,
    users: u64,
    groups: u64,
    several_organizations: bool,
    organizations: usize,
}

impl Content for People {
    const TEMPLATE: &'static str = "people.html";
}

/// One of them, and where its page is.
#[derive(Serialize)]
pub(super) struct Line {
    address: String,
    #[serde(flatten)]
    one: PersonLine,
}

impl Line {
    pub(super) fn new(one: PersonLine) -> Self {
        Self { address: address(&one.organization, one.kind, one.id), one }
    }
}

pub(super) async fn people(
    viewer: Viewer,
    State(console): State<Console>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let (reach, org) = (viewer.rights.reach(), asked.organization());
    let found = console.operator.people(reach, &asked.query(PEOPLE)).await?;
    let (users, groups) = console.operator.population(reach, org).await?;
    let all = console.operator.organizations();
    let mine = all.iter().filter(|(key, _)| viewer.rights.sees(key)).count();
    let content = People::new(&asked, found, (users, groups), mine);
    Ok(console.page(&Page::new(&viewer, Section::People, "People", &content).of(org)))
}

impl People {
    fn new(asked: &Asked, found: PeoplePage, (users, groups): (u64, u64), mine: usize) -> Self {
        let PeoplePage { people, total, more } = found;
        let number = asked.number();
        let from = (number - 1) * PEOPLE;
        Self {
            typed: asked.typed(),
            kind: asked.kind.clone(),
            state: asked.state.clone(),
            from: from + 1,
            to: from + people.len(),
            before: (number > 1).then(|| asked.at("/people", number - 1)),
            after: (from + people.len() < total).then(|| asked.at("/people", number + 1)),
            lines: people.into_iter().map(Line::new).collect(),
            total,
            more,
            users,
            groups,
            several_organizations: mine > 1 && asked.organization().is_none(),
            organizations: mine,
        }
    }
}

/// For the list below a field.
#[derive(Serialize)]
struct Suggested {
    people: Vec<Suggestion>,
    /// Read aloud.
    said: String,
}

#[derive(Serialize)]
struct Suggestion {
    name: String,
    /// What tells namesakes apart.
    also: String,
    href: String,
}

pub(super) async fn suggest(
    viewer: Viewer,
    State(console): State<Console>,
    Query(asked): Query<Asked>,
) -> Result<Response, Trouble> {
    let asked = Asked { page: String::new(), ..asked };
    let page = console.operator.people(viewer.rights.reach(), &asked.query(SUGGESTED)).await?;
    Ok(Json(Suggested::new(page)).into_response())
}

impl Suggested {
    fn new(page: PeoplePage) -> Self {
        let total = page.total as u64;
        let said = match (page.people.len(), page.more) {
            (0, _) => "Nobody is called like that".to_owned(),
            (_, true) => format!("More than {total} match; the first {SUGGESTED} are listed"),
            (shown, false) if shown < page.total => {
                format!("{total} match; the first {SUGGESTED} are listed")
            }
            (shown, false) => words::counted(shown as u64, "match", "matches"),
        };
        Self { people: page.people.into_iter().map(Suggestion::new).collect(), said }
    }
}

impl Suggestion {
    fn new(one: PersonLine) -> Self {
        let href = address(&one.organization, one.kind, one.id);
        let who = match one.kind {
            ResourceKind::Group => "Group".to_owned(),
            ResourceKind::User => one.user_name.unwrap_or_default(),
        };
        let removed = one.deleted.map(|_| "removed".to_owned());
        let also = [Some(who), Some(one.organization_name), removed];
        let also = also.into_iter().flatten().filter(|text| !text.is_empty());
        Self { name: one.name, also: also.collect::<Vec<_>>().join(" · "), href }
    }
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::scim::ResourceId;

    use super::*;
    use crate::console::page::sample;
    use crate::operator::WaitsAt;
    use crate::store::State as EntryState;

    fn line(name: &str, waits: &[(&str, EntryState)]) -> PersonLine {
        PersonLine {
            organization: "lillevik".to_owned(),
            organization_name: "Lillevik kommune".to_owned(),
            kind: ResourceKind::User,
            id: ResourceId::parse("01930000-0000-7000-8000-000000000001").unwrap(),
            name: name.to_owned(),
            user_name: Some("kari.nordli@lillevik.example".to_owned()),
            active: Some(true),
            deleted: None,
            modified: "2026-11-18T07:12:00Z".parse().unwrap(),
            waits: waits
                .iter()
                .map(|(connector, state)| WaitsAt {
                    connector: (*connector).to_owned(),
                    state: *state,
                })
                .collect(),
        }
    }

    fn page(people: Vec<PersonLine>) -> PeoplePage {
        PeoplePage { total: people.len(), people, more: false }
    }

    fn asked(q: &str) -> Asked {
        Asked { q: q.to_owned(), ..Asked::default() }
    }

    fn drawn(asked: &Asked, found: PeoplePage) -> String {
        sample::main_of(&People::new(asked, found, (673, 55), 3)).replace("&#x2f;", "/")
    }

    #[test]
    fn whoever_matches_is_told_with_where_they_stand() {
        let parked = [("building-access", EntryState::Parked), ("canteen", EntryState::Retrying)];
        let mut group = line("Karate", &[]);
        (group.kind, group.user_name, group.active) = (ResourceKind::Group, None, None);
        let mut removed = line("Karina Bakken", &[("directory", EntryState::Held)]);
        removed.deleted = Some(removed.modified);
        let mut off = line("Karsten Opdal", &[("directory", EntryState::Scheduled)]);
        off.active = Some(false);
        let html =
            drawn(&asked("kar"), page(vec![line("Kari Nordli", &parked), group, removed, off]));
        insta::assert_snapshot!(html);
    }

    #[test]
    fn each_state_of_the_list_says_what_to_do() {
        let nobody = drawn(&asked("xyz"), page(Vec::new()));
        assert!(nobody.contains("Nobody matches “xyz”"), "{nobody}");
        let state = Asked { state: "person".to_owned(), ..Asked::default() };
        let nothing = drawn(&state, page(Vec::new()));
        assert!(nothing.contains("Nobody stands like that"), "{nothing}");
        let last = drawn(&Asked::default(), page(vec![line("Kari <b>", &[])]));
        assert!(last.contains("Changed last") && last.contains("Kari &lt;b&gt;"), "{last}");
        let empty = sample::main_of(&People::new(&Asked::default(), page(Vec::new()), (0, 0), 1));
        assert!(empty.contains("Nobody is here yet"), "{empty}");
        let many = PeoplePage {
            people: (0..PEOPLE).map(|number| line(&format!("Kari {number}"), &[])).collect(),
            total: MOST_FOUND,
            more: true,
        };
        let second = Asked { page: "2".to_owned(), ..asked("kari b&c") };
        let html = drawn(&second, many);
        assert!(html.contains("More than 500 match"), "{html}");
        assert!(html.contains("51 to 100"), "{html}");
        for page in ["1", "3"] {
            let href = format!("href=\"/people?q=kari%20b%26c&amp;page={page}\"");
            assert!(html.contains(&href), "{html}");
        }
    }

    #[test]
    fn what_stands_in_the_address_has_its_bounds() {
        let asked = Asked { q: "ø".repeat(300), page: "9999999".to_owned(), ..Asked::default() };
        let query = asked.query(PEOPLE);
        assert_eq!((query.typed.chars().count(), query.page), (100, 9));
        for page in ["", "0", "-1", "x"] {
            assert_eq!(Asked { page: page.to_owned(), ..Asked::default() }.query(PEOPLE).page, 0);
        }
    }

    #[test]
    fn while_a_name_is_typed_the_first_are_told_and_how_many_there_are() {
        let told = |total: usize, more: bool| {
            let people = (0..total.min(SUGGESTED)).map(|_| line("Kari Nordli", &[])).collect();
            Suggested::new(PeoplePage { people, total, more }).said
        };
        assert_eq!(told(0, false), "Nobody is called like that");
        assert_eq!(told(1, false), "1 match");
        assert_eq!(told(8, false), "8 matches");
        assert_eq!(told(9, false), "9 match; the first 8 are listed");
        assert_eq!(told(500, true), "More than 500 match; the first 8 are listed");
        let mut removed = line("Kari", &[]);
        removed.deleted = Some(removed.modified);
        let one = Suggestion::new(removed);
        assert_eq!(one.also, "kari.nordli@lillevik.example · Lillevik kommune · removed");
    }
}
