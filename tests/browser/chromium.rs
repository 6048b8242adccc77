//! Chromium, driven as a person would use it: by the names of what stands on the page.
//!
//! Each test has a browser of its own, with a profile that ends with it.

use std::fs;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::cookies::Cookie;
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use futures_util::FutureExt as _;
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Position, Url};

use crate::kit::until;

const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1440,900",
    // Pictures look the same on every machine.
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--lang=en-GB",
];

/// Whether pages may run scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    Allowed,
    Off,
}

/// The colours that the person's system asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub(crate) const BOTH: [Self; 2] = [Self::Light, Self::Dark];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// What came of a request, after redirections.
#[derive(Debug, Deserialize)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The address that answered in the end.
    pub(crate) place: String,
    pub(crate) text: String,
}

/// A window of a browser that looks at one console.
pub(crate) struct Browser {
    client: Client,
    /// `http://127.0.0.1:8081`
    origin: String,
}

/// Has somebody use the console at `origin`. The browser ends with the story, however that ends:
/// left to itself, Chromium survives its driver.
pub(crate) async fn browse(scripts: Scripts, origin: &str, story: impl AsyncFnOnce(&Browser)) {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let mut driver = Driver::start();
    let client = driver.session(scripts, &profile).await;
    let browser = Browser { client: client.clone(), origin: origin.to_owned() };
    let ended = AssertUnwindSafe(story(&browser)).catch_unwind().await;
    if ended.is_err() {
        browser.leave_evidence().await;
    }
    let closed = client.close().await;
    driver.0.kill().expect("it can be killed");
    driver.0.wait().expect("it ends");
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
    closed.expect("the browser closes");
}

/// chromedriver, on a port of its own.
struct Driver(Child, u16);

impl Driver {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("its address").port();
        drop(free);
        let child = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is needed for these tests: run tests/run once");
        Self(child, port)
    }

    async fn session(&self, scripts: Scripts, profile: &TempDir) -> Client {
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let javascript = if scripts == Scripts::Off { 2 } else { 1 };
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": {
                "binary": "/usr/bin/chromium",
                "args": flags,
                "prefs": {
                    "profile.managed_default_content_settings.javascript": javascript,
                    "intl.accept_languages": "en-GB,en",
                },
            },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(wanted) = wanted else { unreachable!("it is an object") };
        let url = format!("http://127.0.0.1:{}", self.1);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(wanted);
        let mut client = None;
        until("the driver has started a browser", async || {
            client = builder.connect(&url).await.ok();
            client.is_some()
        })
        .await;
        client.expect("it was waited for")
    }
}

/// A command that fantoccini does not know.
#[derive(Debug)]
enum Chrome {
    /// To the developer tools.
    Tools(Value),
    /// For what stands in its console.
    Complaints,
    /// For an element's accessible name.
    Label(String),
}

impl WebDriverCompatibleCommand for Chrome {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let command = match self {
            Self::Tools(_) => "goog/cdp/execute".to_owned(),
            Self::Complaints => "se/log".to_owned(),
            Self::Label(element) => format!("element/{element}/computedlabel"),
        };
        base.join(&format!("session/{}/{command}", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        match self {
            Self::Tools(command) => (Method::POST, Some(command.to_string())),
            Self::Complaints => (Method::POST, Some(json!({ "type": "browser" }).to_string())),
            Self::Label(_) => (Method::GET, None),
        }
    }
}

impl Browser {
    // Where one is.

    /// Opens a page of the console by its path.
    pub(crate) async fn visit(&self, path: &str) {
        self.open(&format!("{}{path}", self.origin)).await;
    }

    /// Opens any address.
    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// The path and the query of the page it shows.
    pub(crate) async fn place(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url[Position::BeforePath..].to_owned()
    }

    /// Asks for the page again.
    pub(crate) async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// Waits until it shows a page whose address begins like this.
    pub(crate) async fn until_at(&self, path: &str) {
        until(&format!("the browser is at {path}"), async || self.place().await.starts_with(path))
            .await;
    }

    // What one reads.

    /// Waits until this stands above the page.
    pub(crate) async fn until_headed(&self, text: &str) {
        until(&format!("the page is headed {text:?}"), async || {
            let heading = self.client.find(Locator::Css("h1")).await;
            // It may be taken away for the next page while it is read.
            let heading = async { heading.ok()?.text().await.ok() }.await;
            heading.is_some_and(|heading| heading.contains(text))
        })
        .await;
    }

    /// All that can be read on the page; nothing, while it is on its way.
    pub(crate) async fn text(&self) -> String {
        let body = self.client.find(Locator::Css("body")).await;
        async { body.ok()?.text().await.ok() }.await.unwrap_or_default()
    }

    pub(crate) async fn reads(&self, text: &str) -> bool {
        self.text().await.contains(text)
    }

    /// The text of the element with this id.
    pub(crate) async fn text_of(&self, id: &str) -> String {
        self.one(Locator::Id(id)).await.text().await.unwrap()
    }

    /// Waits until it can be read, without asking for the page again.
    pub(crate) async fn until_it_reads(&self, text: &str) {
        until(&format!("the page reads {text:?}"), async || self.reads(text).await).await;
    }

    /// The one element that this selects, as soon as it is shown.
    pub(crate) async fn one(&self, locator: Locator<'_>) -> Element {
        let mut shown = Vec::new();
        until(&format!("one {locator:?} is shown"), async || {
            shown = self.shown(locator).await;
            shown.len() == 1
        })
        .await;
        shown.remove(0)
    }

    async fn shown(&self, locator: Locator<'_>) -> Vec<Element> {
        let mut shown = Vec::new();
        for element in self.client.find_all(locator).await.unwrap_or_default() {
            if element.is_displayed().await.unwrap_or_default() {
                shown.push(element);
            }
        }
        shown
    }

    /// What is read in the part of the page with this heading, once it is there.
    pub(crate) async fn part(&self, heading: &str) -> String {
        let path = format!("//li[h3[normalize-space(.)={}]]", quoted(heading));
        self.one(Locator::XPath(&path)).await.text().await.unwrap_or_default()
    }

    // What one does.

    /// A link, button or summary by its name, hidden words included.
    pub(crate) async fn click(&self, name: &str) {
        let name = quoted(name);
        let path = format!(
            "//*[self::a or self::button or self::summary]\
             [normalize-space(.)={name} or @aria-label={name}]"
        );
        self.one(Locator::XPath(&path)).await.click().await.unwrap();
    }

    /// Whatever this selects.
    pub(crate) async fn click_on(&self, selector: &str) {
        self.one(Locator::Css(selector)).await.click().await.unwrap();
    }

    /// A field by its label.
    pub(crate) async fn field(&self, label: &str) -> Element {
        let label = quoted(label);
        let path = format!(
            "//*[@id=//label[normalize-space(.)={label}]/@for] \
             | //label[normalize-space(.)={label}]//input | //*[@aria-label={label}]"
        );
        self.one(Locator::XPath(&path)).await
    }

    pub(crate) async fn fill(&self, label: &str, text: &str) {
        let field = self.field(label).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses a key, wherever the focus is.
    pub(crate) async fn press(&self, key: Key) {
        self.strike(char::from(key)).await;
    }

    /// Types a text, wherever the focus is.
    pub(crate) async fn type_in(&self, text: &str) {
        for letter in text.chars() {
            self.strike(letter).await;
        }
    }

    async fn strike(&self, value: char) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        self.client.perform_actions(keys).await.unwrap();
    }

    /// Goes on by the tabulator until this has the focus, by its name.
    pub(crate) async fn tab_to(&self, name: &str) {
        const MANY: usize = 200;
        let mut passed = Vec::new();
        for _ in 0..MANY {
            self.press(Key::Tab).await;
            let focused = self.focused().await;
            if focused == name {
                return;
            }
            passed.push(focused);
        }
        panic!("the tabulator does not lead to {name:?} on {}: {passed:#?}", self.place().await);
    }

    /// The name of what has the focus, as a screen reader would say it.
    pub(crate) async fn focused(&self) -> String {
        let focus = self.client.active_element().await.unwrap();
        let label = Chrome::Label(focus.element_id().to_string());
        let label = self.client.issue_cmd(label).await.unwrap();
        label.as_str().unwrap_or_default().to_owned()
    }

    // What Chromium knows.

    pub(crate) async fn cookies(&self) -> Vec<Cookie<'static>> {
        self.client.get_all_cookies().await.unwrap()
    }

    pub(crate) async fn take_cookies(&self, cookies: &[Cookie<'static>]) {
        for cookie in cookies {
            self.client.add_cookie(cookie.clone()).await.unwrap();
        }
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// A script that calls its last argument when it is done.
    pub(crate) async fn run_async(&self, script: &str) -> Value {
        self.client.execute_async(script, Vec::new()).await.unwrap()
    }

    /// What the console answers to a request that a script of its own page could make.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let form = "application/x-www-form-urlencoded";
        let body = if method == "GET" { Value::Null } else { body.into() };
        let request =
            json!({ "method": method, "body": body, "headers": { "content-type": form } });
        let script = format!(
            "const done = arguments[0]; \
             fetch({}, {request}).then(async (answer) => done({{ \
               status: answer.status, place: answer.url, text: await answer.text() }}))",
            Value::from(path),
        );
        serde_json::from_value(self.run_async(&script).await).unwrap()
    }

    /// Through the protocol of its developer tools.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.client.issue_cmd(Chrome::Tools(body)).await.unwrap()
    }

    /// What it complains of since the last time: a rule of the page's that was broken, a file that is
    /// missing.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let lines = self.client.issue_cmd(Chrome::Complaints).await.unwrap();
        let lines = lines.as_array().cloned().unwrap_or_default();
        lines.iter().map(|line| format!("{}: {}", line["source"], line["message"])).collect()
    }

    /// As wide as this, in these colours.
    pub(crate) async fn width(&self, width: u32, theme: Theme) {
        let height = if width < 600 { 844 } else { 900 };
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = json!([{ "name": "prefers-color-scheme", "value": theme.word() }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": scheme })).await;
        // Colours fade into each other; only what keeps moving is not waited for.
        self.run_async(
            "const fades = document.getAnimations().filter((one) => one instanceof CSSTransition); \
             Promise.allSettled(fades.map((one) => one.finished)).then(arguments[0])",
        )
        .await;
    }

    /// A picture of the whole page.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let layout = self.devtools("Page.getLayoutMetrics", json!({})).await;
        let size = &layout["cssContentSize"];
        // What sticks to the window's edge is at the page's end in a window of its size.
        let whole = json!({
            "width": size["width"], "height": size["height"], "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", whole).await;
        let clip = json!({
            "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1,
        });
        let shot = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.devtools("Page.captureScreenshot", shot).await;
        STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("base64")
    }

    /// What a person who reads of a test that failed wants to see.
    async fn leave_evidence(&self) {
        let test = std::thread::current().name().unwrap_or("story").replace("::", "-");
        let file = pictures().join("failed").join(format!("{test}.png"));
        fs::create_dir_all(file.parent().expect("a folder")).expect("target can be written to");
        fs::write(&file, self.picture().await).expect("target can be written to");
        let (place, text) = (self.place().await, self.text().await);
        crate::kit::say(&format_args!("{} shows {place}:\n{text}", file.display()));
    }
}

/// Where pictures go.
pub(crate) fn pictures() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target");
    target.join("screenshots")
}

/// A text in XPath, which knows no escapes.
fn quoted(text: &str) -> String {
    assert!(!text.contains('"'), "{text}");
    format!("\"{text}\"")
}
