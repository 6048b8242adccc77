//! Tokens: made, rotated, revoked. A token is shown on the answer to the form that made it, and
//! nowhere else.

use std::time::Duration;

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::address;
use super::one::{TokenView, last_moment};
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::page::{Content, Mistake, Page, Section};
use crate::console::reader::Reader;
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::{Integration, LONGEST_NAME, NewTokenRequest, Rotation, TokenLine};

/// How long a token lives that a person makes here.
const LONGEST_YEARS: i16 = 2;
/// In characters.
const LONGEST_REASON: usize = 500;

type ToOne = Path<(String, i64)>;

/// Whose token it is, for the head of each page.
#[derive(Debug, Serialize)]
struct Whose {
    key: String,
    name: String,
}

impl From<&Integration> for Whose {
    fn from(integration: &Integration) -> Self {
        Self { key: integration.key.clone(), name: integration.name.clone() }
    }
}

// === A new one ===

/// As it was filled in.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Wish {
    form: String,
    name: String,
    ends: String,
    /// `write` or `read`.
    may: String,
}

#[derive(Debug, Serialize)]
struct New {
    whose: Whose,
    wish: Wish,
    /// The last day that may be chosen.
    latest: Date,
}

impl Content for New {
    const TEMPLATE: &'static str = "token-new.html";
}

pub(super) async fn new(
    viewer: Viewer,
    State(console): State<Console>,
    Path(organization): Path<String>,
) -> Result<Response, Trouble> {
    let today = viewer.reader.today();
    let wish = Wish {
        form: console.forms.open(viewer.session),
        ends: today.saturating_add(1.year()).to_string(),
        may: "write".to_owned(),
        name: String::new(),
    };
    draw_new(&console, &viewer, &organization, wish, Vec::new()).await
}

async fn draw_new(
    console: &Console,
    viewer: &Viewer,
    organization: &str,
    wish: Wish,
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    let integration = console.operator.integration(organization).await?;
    let latest = latest(&viewer.reader);
    let new = New { whose: Whose::from(&integration), wish, latest };
    let page = Page::new(viewer, Section::Integrations, "Create a token", &new);
    Ok(console.page(&page.of(Some(organization)).mistakes(mistakes)))
}

pub(super) async fn create(
    viewer: Viewer,
    State(console): State<Console>,
    Path(organization): Path<String>,
    Form(wish): Form<Wish>,
) -> Result<Response, Trouble> {
    let mut mistakes = Vec::new();
    let name = wish.name.trim();
    if name.is_empty() {
        mistakes.push(mistake("name", "Give the token a name"));
    } else if name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
        let why = format!("Give it a name of at most {LONGEST_NAME} characters");
        mistakes.push(mistake("name", why));
    }
    let expires =
        end(&viewer.reader, &wish.ends).map_err(|why| mistakes.push(mistake("ends", why)));
    let Ok(expires) = expires else {
        return draw_new(&console, &viewer, &organization, wish, mistakes).await;
    };
    if !mistakes.is_empty() {
        return draw_new(&console, &viewer, &organization, wish, mistakes).await;
    }
    console.forms.take(viewer.session, &wish.form)?;
    let request = NewTokenRequest {
        organization: organization.clone(),
        name: Some(name.to_owned()),
        expires: Some(expires),
        read_only: wish.may == "read",
    };
    let token = console.operator.create_token(&viewer.actor, &request).await?;
    let integration = console.operator.integration(&organization).await?;
    Ok(show(&console, &viewer, &integration, &token, None))
}

fn mistake(field: &'static str, text: impl Into<String>) -> Mistake {
    Mistake { field, text: text.into() }
}

fn latest(reader: &Reader) -> Date {
    reader.today().saturating_add(LONGEST_YEARS.years())
}

/// The moment after the last day that somebody wrote.
fn end(reader: &Reader, text: &str) -> Result<Timestamp, String> {
    let unreadable = || "Choose the last day it works".to_owned();
    let (day, latest) = (text.parse::<Date>().map_err(|_| unreadable())?, latest(reader));
    if day < reader.today() {
        let day = reader.written(day);
        return Err(format!("Choose a last day that lies ahead: {day} has passed"));
    }
    if day > latest {
        let latest = reader.written(latest);
        return Err(format!("Choose a last day within two years: {latest} at the latest"));
    }
    reader.begin(day.saturating_add(1.day())).ok_or_else(unreadable)
}

// === It is shown ===

#[derive(Debug, Serialize)]
struct Made {
    whose: Whose,
    endpoint: String,
    token: String,
    name: String,
    read_only: bool,
    ends: Option<Timestamp>,
    by: String,
    replaces: Option<Replaced>,
}

impl Content for Made {
    const TEMPLATE: &'static str = "token-made.html";
}

#[derive(Debug, Serialize)]
struct Replaced {
    /// The last moment in which the old one is accepted.
    until: Option<Timestamp>,
}

fn show(
    console: &Console,
    viewer: &Viewer,
    integration: &Integration,
    token: &str,
    replaces: Option<i64>,
) -> Response {
    let by_id = |id| integration.tokens.iter().find(|line| line.id == id);
    let line = integration.tokens.iter().find(|line| token.starts_with(&line.prefix));
    let made = Made {
        whose: Whose::from(integration),
        endpoint: integration.endpoint.clone(),
        token: token.to_owned(),
        name: line.map(|line| line.name.clone()).unwrap_or_default(),
        read_only: line.is_some_and(|line| line.read_only),
        ends: line.and_then(|line| line.expires).map(last_moment),
        by: viewer.name.clone(),
        replaces: replaces.and_then(by_id).map(|old| Replaced { until: old.expires }),
    };
    let page = Page::new(viewer, Section::Integrations, "Copy the new token now", &made);
    console.page(&page.of(Some(&integration.key)))
}

// === Another in its place ===

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Change {
    form: String,
    ends: String,
    /// In hours.
    overlap: String,
}

/// What may be chosen: hours, and how a person says that.
const OVERLAPS: [(&str, &str); 3] = [("1", "1 hour"), ("24", "24 hours"), ("168", "7 days")];

#[derive(Debug, Serialize)]
struct Rotate {
    whose: Whose,
    token: TokenView,
    change: Change,
    latest: Date,
    overlaps: [(&'static str, &'static str); 3],
}

impl Content for Rotate {
    const TEMPLATE: &'static str = "token-rotate.html";
}

pub(super) async fn ask_rotate(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, id)): ToOne,
) -> Result<Response, Trouble> {
    let (integration, line) = one(&console, &organization, id).await?;
    let lifetime = line.expires.map(|expires| expires.duration_since(line.created));
    let reader = &viewer.reader;
    let as_before = lifetime.map(|lifetime| reader.date_of(last_moment(reader.now + lifetime)));
    let a_year = reader.today().saturating_add(1.year());
    let change = Change {
        form: console.forms.open(viewer.session),
        ends: as_before.unwrap_or(a_year).min(latest(reader)).to_string(),
        overlap: "24".to_owned(),
    };
    draw_rotate(&console, &viewer, &integration, line, change, Vec::new()).await
}

async fn draw_rotate(
    console: &Console,
    viewer: &Viewer,
    integration: &Integration,
    line: TokenLine,
    change: Change,
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    let calls = console.operator.calls(&integration.key).await?;
    let title = format!("Rotate “{}”", line.name);
    let rotate = Rotate {
        whose: Whose::from(integration),
        token: TokenView::new(line, &calls, viewer.reader.now),
        change,
        latest: latest(&viewer.reader),
        overlaps: OVERLAPS,
    };
    let page = Page::new(viewer, Section::Integrations, title, &rotate);
    Ok(console.page(&page.of(Some(&integration.key)).mistakes(mistakes)))
}

pub(super) async fn rotate(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, id)): ToOne,
    Form(change): Form<Change>,
) -> Result<Response, Trouble> {
    let (integration, line) = one(&console, &organization, id).await?;
    let mut mistakes = Vec::new();
    let expires = end(&viewer.reader, &change.ends);
    let overlap = OVERLAPS.iter().find(|(hours, _)| *hours == change.overlap);
    let overlap = overlap.and_then(|(hours, _)| hours.parse().ok()).map(Duration::from_hours);
    if overlap.is_none() {
        mistakes.push(mistake("overlap", "Choose how long the old one keeps working"));
    }
    if let Err(why) = &expires {
        mistakes.push(mistake("ends", why.clone()));
    }
    let (Ok(expires), Some(overlap)) = (expires, overlap) else {
        return draw_rotate(&console, &viewer, &integration, line, change, mistakes).await;
    };
    console.forms.take(viewer.session, &change.form)?;
    let rotation = Rotation { overlap, expires: Some(expires) };
    let token = console.operator.rotate_token(&viewer.actor, &organization, id, rotation).await?;
    let integration = console.operator.integration(&organization).await?;
    Ok(show(&console, &viewer, &integration, &token, Some(id)))
}

// === Its end ===

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Reason {
    reason: String,
}

#[derive(Debug, Serialize)]
struct Revoke {
    whose: Whose,
    token: TokenView,
    reason: String,
    longest: usize,
    /// No other token of the organization could take over.
    is_last: bool,
}

impl Content for Revoke {
    const TEMPLATE: &'static str = "token-revoke.html";
}

pub(super) async fn ask_revoke(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, id)): ToOne,
) -> Result<Response, Trouble> {
    let (integration, line) = one(&console, &organization, id).await?;
    draw_revoke(&console, &viewer, &integration, line, String::new(), Vec::new()).await
}

async fn draw_revoke(
    console: &Console,
    viewer: &Viewer,
    integration: &Integration,
    line: TokenLine,
    reason: String,
    mistakes: Vec<Mistake>,
) -> Result<Response, Trouble> {
    let calls = console.operator.calls(&integration.key).await?;
    let title = format!("Revoke “{}”", line.name);
    let mut others = integration.tokens.iter().filter(|other| other.id != line.id);
    let revoke = Revoke {
        whose: Whose::from(integration),
        is_last: !others.any(|other| other.is_active() && !other.read_only),
        token: TokenView::new(line, &calls, viewer.reader.now),
        reason,
        longest: LONGEST_REASON,
    };
    let page = Page::new(viewer, Section::Integrations, title, &revoke);
    Ok(console.page(&page.of(Some(&integration.key)).mistakes(mistakes)))
}

pub(super) async fn revoke(
    viewer: Viewer,
    State(console): State<Console>,
    Path((organization, id)): ToOne,
    Form(Reason { reason }): Form<Reason>,
) -> Result<Response, Trouble> {
    let (integration, line) = one(&console, &organization, id).await?;
    let said = reason.trim();
    if said.is_empty() || said.chars().count() > LONGEST_REASON {
        let why = if said.is_empty() {
            "Say why, for whoever asks later".to_owned()
        } else {
            format!("Say it in {LONGEST_REASON} characters")
        };
        let mistakes = vec![mistake("reason", why)];
        return draw_revoke(&console, &viewer, &integration, line, reason, mistakes).await;
    }
    console.operator.revoke_token(&viewer.actor, &organization, id, Some(said)).await?;
    console.tell(&viewer, Notice::done(format!("“{}” is revoked and opens nothing.", line.name)));
    Ok(Redirect::to(&address(&organization)).into_response())
}

/// A token that a person may still do something about.
async fn one(
    console: &Console,
    organization: &str,
    id: i64,
) -> Result<(Integration, TokenLine), Trouble> {
    let integration = console.operator.integration(organization).await?;
    let line = integration.tokens.iter().find(|line| line.id == id).cloned();
    let line = line.ok_or(Trouble::NotFound)?;
    if !line.is_active() {
        let why = format!("“{}” has ended already ({})", line.name, line.state);
        return Err(Trouble::Invalid(why));
    }
    Ok((integration, line))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{call, calls, days, now, token};
    use super::*;
    use crate::console::page::sample::{drawn_for, main_of, viewer};
    use crate::operator::{Calls, Rights};

    fn whose() -> Whose {
        Whose { key: "lillevik".to_owned(), name: "Lillevik kommune".to_owned() }
    }

    #[test]
    fn a_last_day_lies_ahead_and_within_two_years() {
        // 18 November 2026 in Oslo.
        let reader = viewer(Rights::administrator()).reader;
        let ends = |text| end(&reader, text).map(|at| at.to_string());
        assert_eq!(ends("2026-11-18"), Ok("2026-11-18T23:00:00Z".to_owned()), "to its very end");
        assert_eq!(ends("2028-11-18"), Ok("2028-11-18T23:00:00Z".to_owned()));
        for (text, why) in [
            ("", "Choose the last day it works"),
            ("tomorrow", "Choose the last day it works"),
            ("2026-11-17", "Choose a last day that lies ahead: 17\u{a0}Nov\u{a0}2026 has passed"),
            ("-009999-01-01", "has passed"),
            ("2028-11-19", "within two years: 18\u{a0}Nov\u{a0}2028 at the latest"),
            ("9999-12-31", "within two years"),
        ] {
            assert!(ends(text).is_err_and(|said| said.contains(why)), "{text}: {:?}", ends(text));
        }
    }

    #[test]
    fn a_form_that_was_filled_in_wrongly_keeps_what_was_typed() {
        let wish = Wish {
            form: "f".to_owned(),
            name: "<Entra>".to_owned(),
            ends: "2025-01-01".to_owned(),
            may: "read".to_owned(),
        };
        let latest = "2028-11-18".parse().unwrap();
        let new = New { whose: whose(), wish, latest };
        let viewer = viewer(Rights::administrator());
        let page = Page::new(&viewer, Section::Integrations, "Create a token", &new);
        let html = drawn_for(&page.mistakes(vec![mistake("ends", "Choose another")]));
        assert!(html.contains("<title>Error: Create a token") && html.contains("href=\"#ends\""));
        assert!(html.contains("value=\"&lt;Entra&gt;\"") && html.contains("value=\"2025-01-01\""));
        assert!(html.contains("value=\"read\" checked") && html.contains("max=\"2028-11-18\""));
    }

    #[test]
    fn a_new_token_is_shown_with_what_it_is_for() {
        let made = |replaces| Made {
            whose: whose(),
            endpoint: "https://scim.example/scim/lillevik/v2".to_owned(),
            token: "scimr_secret".to_owned(),
            name: "Entra".to_owned(),
            read_only: true,
            ends: Some(now() + days(365)),
            by: "Ingrid Solheim".to_owned(),
            replaces,
        };
        let html = main_of(&made(None));
        assert!(html.contains("<code id=\"token\">scimr_secret</code>"), "{html}");
        assert!(html.contains("Only read") && html.contains("18\u{a0}Nov\u{a0}2027"), "{html}");
        assert!(!html.contains("Replaces") && html.contains("Let your provider test"));
        let html = main_of(&made(Some(Replaced { until: Some(now() + days(1)) })));
        assert!(html.contains("19\u{a0}Nov\u{a0}2026, 09:42"), "{html}");
    }

    #[test]
    fn the_end_of_a_token_says_what_stops() {
        let used = calls(&[call(1, "GET /Users", 200)]);
        let page = |last_used, calls: &Calls, is_last| {
            let line = TokenLine { last_used, ..token(1, "Entra") };
            let token = TokenView::new(line, calls, now());
            main_of(&Revoke { whose: whose(), token, reason: String::new(), longest: 500, is_last })
        };
        let html = page(None, &calls(&[]), false);
        assert!(html.contains("nobody will miss it") && !html.contains("No other token"));
        let html = page(Some(now() - days(3)), &used, true);
        assert!(html.contains("9 min ago") && html.contains("from 20.91.40.12"), "{html}");
        assert!(html.contains("No other token may change anything"));
    }

    #[test]
    fn a_rotation_offers_the_overlaps_that_there_are() {
        let change = Change { overlap: "168".to_owned(), ..Change::default() };
        let token = TokenView::new(token(1, "Entra"), &calls(&[]), now());
        let latest = "2028-11-18".parse().unwrap();
        let html = main_of(&Rotate { whose: whose(), token, change, latest, overlaps: OVERLAPS });
        assert!(html.contains("value=\"168\" checked") && html.matches("checked").count() == 1);
        assert!(
            OVERLAPS
                .iter()
                .all(|(hours, words)| { hours.parse::<u64>().is_ok() && html.contains(words) })
        );
    }
}
