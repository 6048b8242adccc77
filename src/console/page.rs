//! What surrounds every page: the menu, who is signed in, what was just done.

use axum::Extension;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use minijinja::value::Serde;
use minijinja::{Environment, Error, Value, context};
use serde::Serialize;

use super::Console;
use super::notices::Notice;
use super::reader::Reader;
use super::trouble::Trouble;
use super::viewer::{Viewer, Waits};
use crate::operator::Right;

/// A line of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Integrations,
    People,
    Connectors,
    Queue,
    Requests,
    Activity,
    Settings,
    /// In no line: a person's own account.
    Account,
}

impl Section {
    /// Title, address, icon, and who has the line.
    const MENU: [(Self, &'static str, &'static str, &'static str, Right); 8] = [
        (Self::Overview, "Overview", "/", "overview", Right::Operate),
        (Self::Integrations, "Integrations", "/integrations", "integrations", Right::Tokens),
        (Self::People, "People", "/people", "people", Right::People),
        (Self::Connectors, "Connectors", "/connectors", "connectors", Right::Operate),
        (Self::Queue, "Queue", "/queue", "queue", Right::People),
        (Self::Requests, "Requests", "/requests", "requests", Right::People),
        (Self::Activity, "Activity", "/activity", "activity", Right::Operate),
        (Self::Settings, "Settings", "/settings", "settings", Right::Administer),
    ];

    /// Of its first page.
    fn address(self) -> &'static str {
        let line = Self::MENU.into_iter().find(|(section, ..)| *section == self);
        line.map_or("/", |(_, _, address, ..)| address)
    }
}

/// A page's data, and its template.
pub(super) trait Content: Serialize {
    /// In `templates/`.
    const TEMPLATE: &'static str;
}

/// A page that is about to be drawn.
pub(super) struct Page<'a, C> {
    viewer: &'a Viewer,
    section: Section,
    title: String,
    content: &'a C,
    organization: Option<String>,
    live: Option<String>,
    mistakes: Vec<Mistake>,
}

/// A field of a form that was filled in wrongly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Mistake {
    /// The field's id on the page.
    pub(super) field: &'static str,
    /// What to do: `Give the token a name`.
    pub(super) text: String,
}

impl<'a, C: Content> Page<'a, C> {
    pub(super) fn new(
        viewer: &'a Viewer,
        section: Section,
        title: impl Into<String>,
        content: &'a C,
    ) -> Self {
        Self {
            viewer,
            section,
            title: title.into(),
            content,
            organization: None,
            live: None,
            mistakes: Vec::new(),
        }
    }

    /// The organization that the page is narrowed to.
    pub(super) fn of(mut self, organization: Option<&str>) -> Self {
        self.organization = organization.filter(|key| !key.is_empty()).map(str::to_owned);
        self
    }

    /// Where its live updates come from.
    pub(super) fn live(mut self, address: impl Into<String>) -> Self {
        self.live = Some(address.into());
        self
    }

    /// What was wrong with the form that was sent; the answer is 422.
    pub(super) fn mistakes(mut self, mistakes: Vec<Mistake>) -> Self {
        self.mistakes = mistakes;
        self
    }
}

/// What a template knows as `frame`.
#[derive(Serialize)]
struct Frame<'a> {
    title: &'a str,
    version: &'static str,
    theme: &'static str,
    name: &'a str,
    role: &'static str,
    menu: Vec<MenuLine>,
    /// All that the viewer has, if there are several to choose from.
    organizations: Vec<Choice>,
    /// The key of the one that was chosen, and its name.
    organization: Option<&'a str>,
    /// Where another is chosen: somebody's page is of no other organization, the list of them is.
    here: &'static str,
    organization_name: Option<String>,
    may_find: bool,
    live: Option<&'a str>,
    /// When it was drawn.
    drawn: String,
    notice: Option<Notice>,
    mistakes: &'a [Mistake],
}

#[derive(Serialize)]
struct MenuLine {
    title: &'static str,
    address: String,
    icon: &'static str,
    current: bool,
    count: Option<Count>,
}

/// A number behind a line of the menu; empty: there is nothing to be said.
#[derive(Serialize)]
struct Count {
    id: &'static str,
    text: String,
    tone: Option<&'static str>,
    /// What it counts, for who hears it.
    what: &'static str,
}

#[derive(Serialize)]
struct Choice {
    key: String,
    name: String,
}

impl Console {
    /// Draws a page.
    pub(super) fn page<C: Content>(&self, page: &Page<'_, C>) -> Response {
        let notice = self.notices.take(page.viewer.session);
        let frame = Frame::new(page, self.operator.organizations(), notice);
        let frame = Serde(&frame).into();
        let drawn = draw(&self.templates, C::TEMPLATE, &page.viewer.reader, frame, page.content);
        answer(C::TEMPLATE, drawn, &page.mistakes)
    }

    /// Draws a page that needs nobody to be signed in, such as the sign-in itself.
    pub(super) fn alone<C: Content>(
        &self,
        reader: &Reader,
        title: &str,
        content: &C,
        mistakes: &[Mistake],
    ) -> Response {
        let frame = frame_alone(reader, title, mistakes);
        let drawn = draw(&self.templates, C::TEMPLATE, reader, frame, content);
        answer(C::TEMPLATE, drawn, mistakes)
    }
}

/// Puts a page together.
pub(super) fn draw(
    templates: &Environment<'_>,
    template: &str,
    reader: &Reader,
    frame: Value,
    content: &impl Serialize,
) -> Result<String, Error> {
    templates.get_template(template)?.render(context! {
        frame,
        reader => Value::from_object(reader.clone()),
        page => Serde(content),
    })
}

fn frame_alone(reader: &Reader, title: &str, mistakes: &[Mistake]) -> Value {
    let (version, theme) = (env!("CARGO_PKG_VERSION"), reader.theme.word());
    context! { title, version, theme, live => (), mistakes => Serde(mistakes) }
}

fn answer(template: &str, drawn: Result<String, Error>, mistakes: &[Mistake]) -> Response {
    match drawn {
        Ok(html) if mistakes.is_empty() => Html(html).into_response(),
        Ok(html) => (StatusCode::UNPROCESSABLE_ENTITY, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(template, error = format!("{error:#}"), "a page cannot be drawn");
            let sorry = "This page cannot be drawn; nothing else is affected. The log says why.\n";
            (StatusCode::INTERNAL_SERVER_ERROR, sorry).into_response()
        }
    }
}

impl<'a> Frame<'a> {
    fn new<C>(
        page: &'a Page<'_, C>,
        organizations: Vec<(String, String)>,
        notice: Option<Notice>,
    ) -> Self {
        let viewer = page.viewer;
        let chosen = page.organization.as_deref();
        let mine: Vec<Choice> = organizations
            .into_iter()
            .filter(|(key, _)| viewer.rights.sees(key))
            .map(|(key, name)| Choice { key, name })
            .collect();
        let named = mine.iter().find(|one| Some(one.key.as_str()) == chosen);
        Self {
            title: &page.title,
            version: env!("CARGO_PKG_VERSION"),
            theme: viewer.reader.theme.word(),
            name: &viewer.name,
            role: viewer.rights.role().title(),
            menu: menu(viewer, page.section, chosen),
            organization: chosen,
            here: page.section.address(),
            organization_name: named.map(|one| one.name.clone()),
            organizations: mine,
            may_find: viewer.may(Right::People),
            live: page.live.as_deref(),
            drawn: viewer.reader.second(viewer.reader.now),
            notice,
            mistakes: &page.mistakes,
        }
    }
}

fn menu(viewer: &Viewer, here: Section, organization: Option<&str>) -> Vec<MenuLine> {
    let mine = Section::MENU.into_iter().filter(|(.., right)| viewer.may(*right));
    mine.map(|(section, title, address, icon, _)| MenuLine {
        title,
        address: match organization {
            Some(key) => format!("{address}?org={key}"),
            None => address.to_owned(),
        },
        icon,
        current: section == here,
        count: match section {
            Section::Queue => Some(Count {
                id: Waits::QUEUE,
                text: viewer.waits.queue.clone(),
                tone: None,
                what: "in the queue",
            }),
            Section::Connectors => Some(Count {
                id: Waits::TROUBLED,
                text: viewer.waits.troubled.clone(),
                tone: Some("stop"),
                what: "not reachable",
            }),
            _ => None,
        },
    })
    .collect()
}

/// What went wrong, for whoever asked.
#[derive(Serialize)]
struct Sorry {
    status: u16,
    heading: &'static str,
    /// What it means, and whether anything is lost.
    meaning: &'static str,
    /// What happened, in the words of whoever knows it.
    detail: Option<String>,
    /// Worth another try.
    again: bool,
}

impl Content for Sorry {
    const TEMPLATE: &'static str = "trouble.html";
}

/// Somebody who is not signed in gets the same page without a menu.
#[derive(Serialize)]
struct SorryAlone(Sorry);

impl Content for SorryAlone {
    const TEMPLATE: &'static str = "trouble-alone.html";
}

impl Sorry {
    fn new(trouble: &Trouble) -> Self {
        let (heading, meaning, detail, again) = match trouble {
            Trouble::SignIn { .. } | Trouble::NotFound => (
                "There is nothing here",
                "Nobody and nothing has this address, or it is not yours to look at. If a link led \
                 you here, what it named may have been removed since.",
                None,
                false,
            ),
            Trouble::Forbidden => (
                "That is not yours to do",
                "Your account may not do this. An administrator can change what it may.",
                None,
                false,
            ),
            Trouble::Foreign => (
                "That came from another site",
                "Nothing was changed. Forms of this console are taken from its own pages alone. Go \
                 to the page by yourself, and try again.",
                None,
                false,
            ),
            Trouble::Invalid(why) => (
                "That cannot be done",
                "Nothing was changed. Go back, correct it, and try again.",
                Some(why.clone()),
                false,
            ),
            Trouble::Target(why) => (
                "The system at the other end did not answer as it should",
                "Nothing is lost: the relay keeps all changes until it does.",
                Some(why.clone()),
                true,
            ),
            Trouble::Store(why) => (
                "The relay cannot use its database right now",
                "Nothing is lost. While this lasts, identity providers are told to come back later, \
                 and they do. If it goes on for more than five minutes, tell whoever runs the \
                 server; they will want this line.",
                Some(why.clone()),
                true,
            ),
        };
        Self { status: trouble.status().as_u16(), heading, meaning, detail, again }
    }
}

/// Around all pages: gives what went wrong its page.
pub(super) async fn draw_trouble(
    State(console): State<Console>,
    viewer: Option<Extension<Viewer>>,
    request: Request,
    next: Next,
) -> Response {
    let reader = console.reader(request.headers());
    let response = next.run(request).await;
    let Some(trouble) = Trouble::of(&response) else { return response };
    let Some(Extension(viewer)) = viewer else {
        return trouble_alone(&console, &reader, &trouble);
    };
    let sorry = Sorry::new(&trouble);
    let mut drawn = console.page(&Page::new(&viewer, Section::Account, sorry.heading, &sorry));
    *drawn.status_mut() = response.status();
    drawn
}

/// What went wrong, for somebody who is not known.
pub(super) fn trouble_alone(console: &Console, reader: &Reader, trouble: &Trouble) -> Response {
    let sorry = Sorry::new(trouble);
    let mut drawn = console.alone(reader, sorry.heading, &SorryAlone(sorry), &[]);
    *drawn.status_mut() = trouble.status();
    drawn
}

/// Around everything: what a browser must not do with our pages.
pub(super) async fn be_strict(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

const POLICY: &str = "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'self'; require-trusted-types-for 'script'; trusted-types 'none'";

#[cfg(test)]
pub(super) mod sample {
    //! Draws pages with made-up data, so that a slip in a template is a red test.

    use jiff::tz::TimeZone;

    use super::*;
    use crate::console::reader::{Language, Theme};
    use crate::console::templates;
    use crate::operator::{Actor, Rights};

    /// Somebody with these rights, in Oslo on 18 November 2026 at 09:42.
    pub(in crate::console) fn viewer(rights: Rights) -> Viewer {
        Viewer {
            actor: Actor::account("ingrid@lillevik.example".to_owned(), [192, 0, 2, 7].into()),
            name: "Ingrid Solheim".to_owned(),
            rights,
            session: crate::operator::SessionId(1),
            waits: Waits { queue: "74".to_owned(), troubled: String::new() },
            reader: Reader {
                language: Language::English,
                zone: TimeZone::get("Europe/Oslo").unwrap(),
                theme: Theme::Auto,
                now: "2026-11-18T08:42:10Z".parse().unwrap(),
            },
        }
    }

    /// The whole page, of an administrator of two organizations.
    #[track_caller]
    pub(in crate::console) fn drawn<C: Content>(content: &C) -> String {
        drawn_for(&Page::new(
            &viewer(Rights::administrator()),
            Section::Overview,
            "A page",
            content,
        ))
    }

    /// The whole page, as this viewer sees it.
    #[track_caller]
    pub(in crate::console) fn drawn_for<C: Content>(page: &Page<'_, C>) -> String {
        let all = ["lillevik", "solvang"].map(|key| (key.to_owned(), format!("The {key} schools")));
        let frame =
            Serde(&Frame::new(page, all.to_vec(), Some(Notice::done("It was done.")))).into();
        let environment = templates::load().unwrap();
        let reader = &page.viewer.reader;
        draw(&environment, C::TEMPLATE, reader, frame, page.content).unwrap_or_else(|error| {
            panic!("{error:#}\n{}", error.display_debug_info());
        })
    }

    /// What is between `<main>` and `</main>`: the page without its frame, for snapshots.
    #[track_caller]
    pub(in crate::console) fn main_of<C: Content>(content: &C) -> String {
        let html = drawn(content);
        let (_, rest) = html.split_once("<main").expect("a main");
        rest.split_once("</p>\n")
            .expect("a notice")
            .1
            .split_once("</main>")
            .expect("its end")
            .0
            .to_owned()
    }

    /// A page that needs nobody to be signed in.
    #[track_caller]
    pub(in crate::console) fn drawn_alone<C: Content>(content: &C, mistakes: &[Mistake]) -> String {
        let reader = &viewer(Rights::administrator()).reader;
        let frame = frame_alone(reader, "A page", mistakes);
        let environment = templates::load().unwrap();
        draw(&environment, C::TEMPLATE, reader, frame, content).unwrap_or_else(|error| {
            panic!("{error:#}\n{}", error.display_debug_info());
        })
    }

    #[test]
    fn every_trouble_has_its_page() {
        for trouble in [
            Trouble::NotFound,
            Trouble::Forbidden,
            Trouble::Foreign,
            Trouble::Invalid("`x` is no state".to_owned()),
            Trouble::Target("<img onerror=alert(1)>".to_owned()),
            Trouble::Store("the disk of /var/lib is full".to_owned()),
        ] {
            let sorry = Sorry::new(&trouble);
            assert!(drawn(&sorry).contains(sorry.heading));
            let html = drawn_alone(&SorryAlone(sorry), &[]);
            assert!(!html.contains("<img"), "what comes from outside is escaped");
        }
    }

    #[test]
    fn the_menu_has_what_is_theirs() {
        let lines = |rights: Rights| {
            let viewer = viewer(rights);
            let menu = menu(&viewer, Section::People, Some("lillevik"));
            menu.iter().map(|line| line.title).collect::<Vec<_>>().join(" ")
        };
        let own = ["lillevik".into()].into();
        let all = "Overview Integrations People Connectors Queue Requests Activity";
        assert_eq!(lines(Rights::administrator()), format!("{all} Settings"));
        assert_eq!(lines(Rights::owner(own)), all);
        let desk = Rights::help_desk(crate::operator::Reach::Everywhere);
        assert_eq!(lines(desk), "People Queue Requests");
    }
}
