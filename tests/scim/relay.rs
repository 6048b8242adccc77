//! A relay for one test: its own folder, its own port, two organizations, a clock that stands.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use scim_relay::clock::{Clock, SharedClock};
use scim_relay::config::RateLimit;
use scim_relay::directory::{Directory, Rules};
use scim_relay::http::{Health, Limits, Options, Scim, health_router, router, serve};
use scim_relay::metrics::Metrics;
use scim_relay::store::sqlite::SqliteStore;
use scim_relay::store::{NewToken, OrgId, Store, TokenId};
use scim_relay::token::{self, TokenBook};
use scim_relay::vault::Vault;
use scim_relay_sdk::connector::OrganizationInfo;
use scim_relay_sdk::scim::Schemas;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const PUBLIC_URL: &str = "https://scim.example";

/// A clock that a test sets.
#[derive(Debug, Default)]
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn set(&self, second: i64) {
        self.0.store(second, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) max_body: usize,
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
    pub(crate) options: Options,
    /// Whether the organizations are.
    pub(crate) rules: Rules,
    /// Whether a connector of theirs asks for passwords.
    pub(crate) passes_passwords: bool,
}

impl Default for Setting {
    fn default() -> Self {
        let options = Options::default();
        Self {
            max_body: 64 * 1024,
            per_second: 10_000,
            burst: 10_000,
            options,
            rules: Rules::default(),
            passes_passwords: false,
        }
    }
}

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) scim: Arc<Scim>,
    pub(crate) book: Arc<TokenBook>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<Hand>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Of `lillevik` and of `storvik`.
    pub(crate) organizations: [OrgId; 2],
    /// The token of `lillevik` that requests carry.
    pub(crate) token: String,
    /// What passwords are sealed with, where they are passed on.
    pub(crate) vault: Option<Arc<Vault>>,
    client: Client<HttpConnector, Full<Bytes>>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Of the resource itself, without what its tag says of the memberships beside it.
    pub(crate) fn version(&self) -> &str {
        let tag = self.header("etag").trim_start_matches("W/").trim_matches('"');
        tag.split('-').next().unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.json()["id"].as_str().unwrap_or_else(|| panic!("no id: {}", self.text)).to_owned()
    }

    /// Holds it against the form of every refusal, and gives what it says.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header(header::CONTENT_TYPE), "application/scim+json; charset=utf-8");
        let body = self.json();
        assert_eq!(body["schemas"][0], "urn:ietf:params:scim:api:messages:2.0:Error");
        assert_eq!(body["status"], status.to_string());
        body
    }
}

impl Relay {
    pub(crate) async fn start() -> Self {
        Self::with(Setting::default()).await
    }

    pub(crate) async fn with(setting: Setting) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), |_, _| {}).unwrap());
        let keys = ["lillevik", "storvik"];
        let ids = store.organizations(keys.map(str::to_owned).into()).await.unwrap();
        let organizations = [ids[0], ids[1]];

        let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into();
        let vault = setting.passes_passwords.then(|| Arc::new(Vault::new(&key).unwrap()));
        let clock = Arc::new(Hand::default());
        let shared: SharedClock = Arc::clone(&clock) as SharedClock;
        let directories = keys.iter().zip(ids).map(|(key, id)| {
            let info = Arc::new(OrganizationInfo {
                key: (*key).into(),
                name: (*key).to_owned(),
                locale: None,
                schemas: SCHEMAS.clone(),
            });
            Directory::new(
                Arc::clone(&store),
                Arc::clone(&shared),
                id,
                info,
                setting.rules,
                PUBLIC_URL,
            )
            .passing_passwords(vault.clone())
        });
        let rate = RateLimit {
            per_second: NonZeroU32::new(setting.per_second).unwrap(),
            burst: NonZeroU32::new(setting.burst).unwrap(),
        };
        let limits = Limits { max_body: setting.max_body, rate };
        let (book, metrics) = (Arc::new(TokenBook::default()), Arc::new(Metrics::default()));
        let scim = Arc::new(Scim::new(
            Arc::clone(&store),
            Arc::clone(&book),
            Arc::clone(&metrics),
            shared.clone(),
            limits,
        ));
        scim.replace(directories.collect(), limits);
        let health = Arc::new(Health::new(Arc::clone(&store)));

        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let routes = router(Arc::clone(&scim)).merge(health_router(Arc::clone(&health)));
        tasks.spawn(serve(listener, None, routes, stop.clone(), setting.options));
        let (recording, until) = (Arc::clone(&scim), stop.clone());
        tasks.spawn(async move { recording.record(&until).await });

        let mut relay = Self {
            address,
            store,
            scim,
            book,
            health,
            metrics,
            clock,
            stop,
            tasks,
            organizations,
            token: String::new(),
            vault,
            client: Client::builder(TokioExecutor::new()).build_http(),
            folder,
        };
        relay.token = relay.new_token(0, false, None).await.0;
        relay
    }

    /// The configuration is read anew: `lillevik` has these schemas.
    pub(crate) fn declare(&self, schemas: Schemas) {
        let key = "lillevik".into();
        let info =
            OrganizationInfo { key, name: String::new(), locale: None, schemas: Arc::new(schemas) };
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock) as SharedClock);
        let id = self.organizations[0];
        let rules = Rules::default();
        let directory = Directory::new(store, clock, id, Arc::new(info), rules, PUBLIC_URL);
        let per_second = NonZeroU32::new(10_000).unwrap();
        let rate = RateLimit { per_second, burst: per_second };
        self.scim.replace(vec![directory], Limits { max_body: 1024 * 1024, rate });
    }

    /// Another token of `lillevik` (0) or `storvik` (1).
    pub(crate) async fn new_token(
        &self,
        whose: usize,
        read_only: bool,
        expires: Option<i64>,
    ) -> (String, TokenId) {
        let secret = token::generate();
        let row = NewToken {
            organization: self.organizations[whose],
            lookup: secret.lookup,
            hash: secret.hash,
            name: "test".to_owned(),
            read_only,
            created: self.clock.now(),
            expires: expires.map(|second| Timestamp::from_second(second).unwrap()),
            made_by: None,
            replaces: None,
        };
        let id = self.store.add_token(row).await.unwrap();
        self.book.reload(&*self.store).await.unwrap();
        (secret.text.expose_secret().to_owned(), id)
    }

    /// As it is, with nothing added.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let (parts, body) = self.client.request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.into()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// With the token of `lillevik`, below its base address.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        self.raw(method, &format!("/scim/lillevik/v2{path}"), &all, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, &[], body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, &[], body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, &[], body).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut all = vec![("content-type", "application/scim+json")];
        all.extend_from_slice(headers);
        self.ask(method, path, &all, body.to_string()).await
    }

    /// Sends these bytes and reads until the relay hangs up.
    pub(crate) async fn talk(&self, sent: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    /// A user's id.
    pub(crate) async fn user(&self, name: &str) -> String {
        let user = serde_json::json!({ "userName": name, "displayName": name });
        let answer = self.post("/Users", &user).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.id()
    }

    /// A group's id.
    pub(crate) async fn group(&self, name: &str, members: &[&str]) -> String {
        let members: Vec<Value> =
            members.iter().map(|id| serde_json::json!({ "value": id })).collect();
        let body = serde_json::json!({ "displayName": name, "members": members });
        let answer = self.post("/Groups", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.id()
    }
}

static SCHEMAS: LazyLock<Arc<Schemas>> = LazyLock::new(|| Arc::new(Schemas::builtin()));
