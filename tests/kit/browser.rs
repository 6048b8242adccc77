//! A browser without a screen: it keeps cookies and sends forms. What needs a real one is in
//! `tests/browser`. For the targets that look at the console, which name it by its path.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::kit::relay::Relay;

/// Of everybody whom [`Relay::sign_in`] makes.
pub(crate) const PASSWORD: &str = "correct horse battery";

static ACCOUNTS: AtomicU16 = AtomicU16::new(1);

pub(crate) struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    /// `http://host:port`
    base: String,
    cookies: Mutex<BTreeMap<String, String>>,
    /// Whose it is, if it was signed in by [`Relay::sign_in`].
    pub(crate) email: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// Where a redirect leads to.
    pub(crate) fn location(&self) -> Option<&str> {
        self.headers.get("location")?.to_str().ok()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, self.text);
        self
    }
}

/// Server-sent events.
pub(crate) struct Events {
    pub(crate) status: u16,
    body: Incoming,
    read: String,
}

impl Events {
    /// The next message; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let message = data.map(|data| serde_json::from_str(data).expect("JSON"));
                self.read = String::from(rest);
                match message {
                    Some(message) => return Some(message),
                    None => continue,
                }
            }
            let frame = self.body.frame().await?.expect("it does not break off");
            let bytes = frame.into_data().expect("no trailers");
            self.read += std::str::from_utf8(&bytes).expect("text");
        }
    }
}

impl Browser {
    pub(crate) fn new(base: String) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, base, cookies: Mutex::default(), email: String::new() }
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send(Method::GET, path, &[], "").await
    }

    /// Sends a form, from a page of the console. A redirect is not followed.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let same_site = [("origin", self.base.clone()), ("sec-fetch-site", "same-origin".into())];
        self.send(Method::POST, path, &same_site, &form(fields)).await
    }

    /// Sends a form, and goes where that leads to.
    pub(crate) async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.post(path, fields).await.expect(303);
        self.get(page.location().expect("a place to go to")).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Page {
        let what = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("user-agent", "Kit/1.0")
            .header("content-type", "application/x-www-form-urlencoded");
        let cookies = self.cookies();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(body.to_owned())).expect("a request");
        let answer = self.client.request(request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        self.keep(&headers);
        let body = answer.into_body().collect().await.expect("it answers whole").to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Page { status, headers, text }
    }

    /// Follows a page's live updates.
    pub(crate) async fn follow(&self, path: &str) -> Events {
        let request = Request::get(format!("{}{path}", self.base));
        let request = request.header("cookie", self.cookies()).body(Full::default());
        let answer = self.client.request(request.expect("a request")).await.expect("an answer");
        Events { status: answer.status().as_u16(), body: answer.into_body(), read: String::new() }
    }

    /// As it sends them.
    pub(crate) fn cookies(&self) -> String {
        let all = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// As a thief would.
    pub(crate) fn set_cookies(&self, cookies: &str) {
        let mut all = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = cookies.split("; ").filter_map(|pair| pair.split_once('='));
        *all = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    }

    fn keep(&self, headers: &HeaderMap) {
        let mut all = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for cookie in headers.get_all("set-cookie") {
            let cookie = cookie.to_str().expect("a cookie is text");
            let (pair, attributes) = cookie.split_once(';').unwrap_or((cookie, ""));
            let (name, value) = pair.split_once('=').expect("a name and a value");
            if attributes.contains("Max-Age=0") {
                all.remove(name);
            } else {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let escaped = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

impl Relay {
    /// The console, to somebody who has not signed in.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(format!("http://{}", self.console))
    }

    /// Makes an account by the command line; its address. The password is [`PASSWORD`].
    #[track_caller]
    pub(crate) fn account(&self, role: &str, organizations: &[&str]) -> String {
        let number = ACCOUNTS.fetch_add(1, Ordering::Relaxed);
        let email = format!("{role}{number}@lillevik.example");
        let mut command = self.program();
        command.args(["account", "add", &email, "--role", role, "--password-stdin"]);
        for organization in organizations {
            command.args(["--org", organization]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        writeln!(stdin, "{PASSWORD}").expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        email
    }

    /// Somebody new with this role, signed in. No organizations: everywhere.
    pub(crate) async fn sign_in(&self, role: &str, organizations: &[&str]) -> Browser {
        let email = self.account(role, organizations);
        let mut browser = self.browser();
        let fields = [("email", email.as_str()), ("password", PASSWORD)];
        browser.post("/sign-in", &fields).await.expect(303);
        browser.email = email;
        browser
    }
}
