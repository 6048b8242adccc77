//! Every page of the console that an account can reach by links, and every form on them.

use std::collections::{BTreeSet, VecDeque};

use serde::Deserialize;

use super::chromium::Browser;

/// More than there are; a page that links to ever new ones ends the search.
const MOST_PAGES: usize = 150;

/// What is found on a page.
#[derive(Debug, Deserialize)]
struct Page {
    /// Paths with their queries.
    links: BTreeSet<String>,
    forms: Vec<Form>,
}

/// A form, filled in, with one of its buttons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Form {
    /// A path with its query.
    pub(crate) action: String,
    /// The body that the button would send.
    pub(crate) body: String,
}

#[derive(Debug, Default)]
pub(crate) struct Site {
    /// Those that were looked at, in the order in which they were found.
    pub(crate) pages: Vec<String>,
    /// All that a link leads to, looked at or not.
    pub(crate) links: BTreeSet<String>,
    /// Those that change something.
    pub(crate) forms: BTreeSet<Form>,
}

impl Site {
    /// Begins at the page that is open.
    pub(crate) async fn explore(browser: &Browser) -> Self {
        let mut site = Self::default();
        let mut seen: BTreeSet<String> = [shape("/")].into();
        let mut open: VecDeque<String> = [browser.place().await].into();
        while let Some(path) = open.pop_front() {
            browser.visit(&path).await;
            let page: Page = serde_json::from_value(browser.run(READ).await).unwrap();
            site.pages.push(path);
            assert!(site.pages.len() < MOST_PAGES, "{:#?}", site.pages);
            site.forms.extend(page.forms);
            for link in page.links {
                // One page of a shape is like another: that of one person like that of the next.
                if site.links.insert(link.clone()) && seen.insert(shape(&link)) {
                    open.push_back(link);
                }
            }
        }
        site
    }
}

/// An address without what differs between pages that are alike: ids, names of connectors, and what
/// is searched for.
pub(crate) fn shape(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut parts: Vec<&str> = path.split('/').collect();
    for at in 1..parts.len() {
        let is_name = matches!(parts[at - 1], "connectors" | "organizations");
        if is_name || parts[at].chars().any(|c| c.is_ascii_digit()) {
            parts[at] = "*";
        }
    }
    let keys = query.split('&').filter_map(|pair| pair.split('=').next());
    let keys: BTreeSet<&str> = keys.filter(|key| !matches!(*key, "" | "org")).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    format!("{}?{}", parts.join("/"), keys.join("&"))
}

/// Reads the page in the browser, where links are resolved and buttons know their forms.
const READ: &str = r"
    const path = (url) => url.pathname + url.search
    const own = (text) => {
        const url = new URL(text, location)
        return url.origin === location.origin ? [url] : []
    }
    const links = [...document.querySelectorAll('a[href]:not([download])')]
        .flatMap((a) => own(a.href)).map(path)
    const forms = []
    for (const form of document.forms) {
        const buttons = [...form.elements].filter((e) => e.type === 'submit')
        for (const button of buttons.length ? buttons : [null]) {
            if ((button?.getAttribute('formmethod') ?? form.method) !== 'post') continue
            const action = button?.getAttribute('formaction') ?? form.getAttribute('action') ?? ''
            const body = new URLSearchParams()
            for (const field of form.elements) {
                if (!field.name || (field.type === 'submit' && field !== button)) continue
                if (field.type === 'radio' && !field.checked) continue
                const filled = field.type === 'checkbox' ? field.value : field.value || '1'
                body.append(field.name, filled)
            }
            for (const url of own(action)) forms.push({ action: path(url), body: String(body) })
        }
    }
    return { links: [...new Set(links)], forms }
";
