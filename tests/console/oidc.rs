//! Sign-in by an identity provider: a small one of our own that signs ID tokens, and attacks on it.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::browser::{Browser, Page};
use crate::kit::relay::{Relay, Setup};

const RULES: &str = r#"
[[console.oidc.roles]]
claim = "roles"
value = "relay-admin"
role = "administrator"

[[console.oidc.roles]]
claim = "groups"
value = "lillevik-it"
role = "owner"
organizations = ["lillevik"]

[[console.oidc.roles]]
claim = "email"
value = "desk@lillevik.example"
role = "helpdesk"
"#;

/// An identity provider.
struct Issuer {
    server: MockServer,
    key: KeyPair,
}

/// A token that says this, and is not what the provider signed.
type Forger = fn(&Issuer, &Value) -> String;

/// In seconds, as tokens have it.
#[expect(clippy::disallowed_methods, reason = "the relay that is tested has the system's clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs()
}

/// Where the relay sent a browser, taken apart.
struct SetOut {
    state: String,
    nonce: String,
    query: Vec<(String, String)>,
}

impl Issuer {
    async fn start() -> Self {
        let (server, key) = (MockServer::start().await, KeyPair::generate().unwrap());
        let uri = server.uri();
        // An uncompressed point of P-256: 4, x, y (SEC 1 section 2.3.3).
        let point = key.der_bytes();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys = json!({"keys": [
            {"kty": "a kind of tomorrow", "kid": "new"},
            {"kty": "EC", "crv": "P-256", "kid": "key", "use": "sig",
             "x": coordinate(&point[1..33]), "y": coordinate(&point[33..65])},
        ]});
        let addresses = json!({
            "issuer": uri,
            "authorization_endpoint": format!("{uri}/authorize"),
            "token_endpoint": format!("{uri}/token"),
            "jwks_uri": format!("{uri}/keys"),
        });
        for (at, answer) in [("/.well-known/openid-configuration", addresses), ("/keys", keys)] {
            let answer = ResponseTemplate::new(200).set_body_json(answer);
            Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(&server).await;
        }
        Self { server, key }
    }

    async fn relay(&self) -> Relay {
        let mut setup = Setup::new().organization("solvang");
        setup.lines = format!(
            "[console.oidc]\nname = \"Lillevik ID\"\nissuer = \"{}\"\nclient_id = \"relay\"\n\
             client_secret = {{ env = \"OIDC_SECRET\" }}\n{RULES}",
            self.server.uri()
        );
        setup.environment("OIDC_SECRET", "s3cret & more").start().await
    }

    fn claims(&self, out: &SetOut, more: &Value) -> Value {
        let now = now();
        let mut claims = json!({
            "iss": self.server.uri(), "aud": "relay", "sub": "17", "nonce": out.nonce,
            "iat": now, "exp": now + 300, "name": "Kari Nordmann",
            "email": "kari@lillevik.example", "groups": ["lillevik-it", "staff"],
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn signed(&self, claims: &Value) -> String {
        let header = Header { kid: Some("key".to_owned()), ..Header::new(Algorithm::ES256) };
        let key = EncodingKey::from_ec_der(self.key.serialized_der());
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }

    /// What the token endpoint answers from now on.
    async fn answer(&self, token: &str) {
        let answer = ResponseTemplate::new(200).set_body_json(json!({
            "access_token": "opaque", "token_type": "Bearer", "id_token": token,
        }));
        let token = Mock::given(method("POST")).and(path("/token")).respond_with(answer);
        token.up_to_n_times(1).mount(&self.server).await;
    }

    async fn exchanges(&self) -> Vec<Request> {
        let all = self.server.received_requests().await.unwrap();
        all.into_iter().filter(|request| request.url.path() == "/token").collect()
    }

    /// The whole way of somebody whose token claims this.
    async fn arrive(&self, browser: &Browser, more: &Value) -> Page {
        let out = set_out(browser, "/sign-in/oidc").await;
        self.answer(&self.signed(&self.claims(&out, more))).await;
        come_back(browser, &out).await
    }
}

async fn set_out(browser: &Browser, from: &str) -> SetOut {
    let page = browser.get(from).await.expect(303);
    let address: http::Uri = page.location().unwrap().parse().unwrap();
    assert_eq!(address.path(), "/authorize");
    let decoded =
        |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = address.query().unwrap().split('&').map(|pair| pair.split_once('=').unwrap());
    let query: Vec<_> = pairs.map(|(name, value)| (decoded(name), decoded(value))).collect();
    let one = |name: &str| query.iter().find(|(known, _)| known == name).unwrap().1.clone();
    SetOut { state: one("state"), nonce: one("nonce"), query }
}

async fn come_back(browser: &Browser, out: &SetOut) -> Page {
    browser.get(&format!("/sign-in/oidc/return?code=a-code&state={}", out.state)).await
}

#[tokio::test]
async fn who_the_provider_knows_comes_in_with_the_role_that_their_claims_give() {
    let issuer = Issuer::start().await;
    let relay = issuer.relay().await;
    let browser = relay.browser();
    let page = browser.get("/sign-in?next=/people").await.expect(200);
    assert!(page.text.contains("Sign in with Lillevik ID"), "{}", page.text);

    let out = set_out(&browser, "/sign-in/oidc?next=/people%3Fq%3Dkari").await;
    let has = |name: &str, value: &str| {
        assert!(out.query.contains(&(name.to_owned(), value.to_owned())), "{:?}", out.query);
    };
    has("response_type", "code");
    has("client_id", "relay");
    has("scope", "openid email profile");
    has("code_challenge_method", "S256");
    has("redirect_uri", &format!("http://{}/sign-in/oidc/return", relay.console));
    issuer.answer(&issuer.signed(&issuer.claims(&out, &json!({})))).await;
    let page = come_back(&browser, &out).await.expect(303);
    assert_eq!(page.location(), Some("/people?q=kari"));
    let page = browser.get("/people").await.expect(200);
    assert!(page.text.contains("Kari Nordmann") && page.text.contains("Owner"), "{}", page.text);
    browser.get("/queue?org=solvang").await.expect(404);

    // With Basic credentials that are encoded first (RFC 6749 section 2.3.1), and the verifier.
    let [exchange] = &issuer.exchanges().await[..] else { panic!("one code, one exchange") };
    assert_eq!(exchange.headers["authorization"], "Basic cmVsYXk6czNjcmV0JTIwJTI2JTIwbW9yZQ==");
    let body = String::from_utf8_lossy(&exchange.body);
    assert!(body.contains("grant_type=authorization%5Fcode&code=a%2Dcode"), "{body}");
    assert!(body.contains("&code_verifier="), "{body}");

    // Another day, another role; the account is the same, though they are called otherwise.
    let more = json!({"groups": [], "roles": "relay-admin", "email": "married@lillevik.example"});
    issuer.arrive(&browser, &more).await.expect(303);
    let page = browser.get("/people").await.expect(200);
    assert!(page.text.contains("Administrator"), "{}", page.text);
    browser.get("/queue?org=solvang").await.expect(200);
    let accounts = relay.json(&["account", "list"]);
    assert_eq!(accounts.as_array().unwrap().len(), 1, "{accounts}");
    assert_eq!(accounts[0]["email"], "kari@lillevik.example");
}

#[tokio::test]
async fn who_has_no_role_or_an_address_that_is_not_proven_stays_outside() {
    let issuer = Issuer::start().await;
    let relay = issuer.relay().await;
    let own = relay.account("owner", &["lillevik"]);
    for (more, why) in [
        (json!({"groups": ["staff"]}), "gives you no role here"),
        (json!({"groups": [], "email": "desk@lillevik.example"}), "gives you no role here"),
        (json!({"email": own}), "has an account of its own here"),
        (json!({"email": null}), "sends neither"),
    ] {
        let browser = relay.browser();
        let page = issuer.arrive(&browser, &more).await.expect(422);
        assert!(page.text.contains(why), "{more}: {}", page.text);
        browser.get("/people").await.expect(303);
    }
    let desk = relay.browser();
    let proven =
        json!({"groups": [], "email": "desk@lillevik.example", "email_verified": true, "sub": "4"});
    issuer.arrive(&desk, &proven).await.expect(303);
    desk.get("/people").await.expect(200);
    desk.get("/integrations").await.expect(403);
}

#[tokio::test]
async fn a_token_that_is_not_sound_lets_nobody_in() {
    let issuer = Issuer::start().await;
    let relay = issuer.relay().await;
    let now = now();
    for (what, more, why) in [
        ("another nonce", json!({"nonce": "another"}), "belongs to another sign-in"),
        ("none", json!({"nonce": null}), "belongs to another sign-in"),
        ("another audience", json!({"aud": "other"}), "for another application"),
        (
            "several, not for us",
            json!({"aud": ["relay", "other"], "azp": "other"}),
            "another application",
        ),
        ("several, for nobody", json!({"aud": ["relay", "other"]}), "another application"),
        ("another issuer", json!({"iss": "https://evil.example"}), "another issuer"),
        ("expired", json!({"exp": now - 120}), "are the clocks"),
        ("never ends", json!({"exp": null}), "`exp`"),
        ("not yet", json!({"nbf": now + 300}), "from the future"),
        ("nobody", json!({"sub": ""}), "subject is empty"),
    ] {
        let browser = relay.browser();
        let page = issuer.arrive(&browser, &more).await.expect(422);
        assert!(page.text.contains(why), "{what}: {}", page.text);
        browser.get("/people").await.expect(303);
    }

    let forgeries: [(&str, Forger); 4] = [
        ("unsigned", |_, claims| {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.", part(&json!({"alg": "none", "kid": "key"})), part(claims))
        }),
        ("signed with the published key as a secret", |issuer, claims| {
            let header = Header { kid: Some("key".to_owned()), ..Header::new(Algorithm::HS256) };
            let secret = EncodingKey::from_secret(issuer.key.der_bytes());
            jsonwebtoken::encode(&header, claims, &secret).unwrap()
        }),
        ("signed with another key", |_, claims| {
            let header = Header { kid: Some("key".to_owned()), ..Header::new(Algorithm::ES256) };
            let other = KeyPair::generate().unwrap();
            let key = EncodingKey::from_ec_der(other.serialized_der());
            jsonwebtoken::encode(&header, claims, &key).unwrap()
        }),
        ("changed on the way", |issuer, claims| {
            let token = issuer.signed(claims);
            let mut claims = claims.clone();
            claims["roles"] = json!(["relay-admin"]);
            let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
            parts[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
            parts.join(".")
        }),
    ];
    for (what, forged) in forgeries {
        let browser = relay.browser();
        let out = set_out(&browser, "/sign-in/oidc").await;
        issuer.answer(&forged(&issuer, &issuer.claims(&out, &json!({})))).await;
        let page = come_back(&browser, &out).await.expect(422);
        let why = if what == "unsigned" { "a key that it does not publish" } else { "not good" };
        assert!(page.text.contains(why), "{what}: {}", page.text);
        browser.get("/people").await.expect(303);
    }
}

#[tokio::test]
async fn only_the_browser_that_set_out_comes_back_and_once() {
    let issuer = Issuer::start().await;
    let relay = issuer.relay().await;
    let (victim, attacker) = (relay.browser(), relay.browser());
    let out = set_out(&attacker, "/sign-in/oidc").await;
    let page = come_back(&victim, &out).await.expect(422);
    assert!(page.text.contains("in another browser"), "{}", page.text);
    let page = come_back(&attacker, &out).await.expect(422);
    assert!(page.text.contains("in another browser"), "the state was used up: {}", page.text);
    assert!(issuer.exchanges().await.is_empty(), "the code was not even shown");

    let out = set_out(&attacker, "/sign-in/oidc?next=//evil.example").await;
    issuer.answer(&issuer.signed(&issuer.claims(&out, &json!({})))).await;
    let page = come_back(&attacker, &out).await.expect(303);
    assert_eq!(page.location(), Some("/"), "their first page, and nowhere else");
    come_back(&attacker, &out).await.expect(422);

    let page = victim.get("/sign-in/oidc/return?state=&error=access_denied").await.expect(422);
    assert!(page.text.contains("try again"), "{}", page.text);
    let out = set_out(&victim, "/sign-in/oidc").await;
    let back = format!("/sign-in/oidc/return?state={}&error=access_denied", out.state);
    let page = victim.get(&back).await.expect(422);
    assert!(page.text.contains("says: access_denied"), "{}", page.text);
}

#[tokio::test]
async fn a_provider_that_is_another_or_does_not_answer_is_named() {
    let issuer = Issuer::start().await;
    let relay = issuer.relay().await;
    relay.replace_in_main_file(&issuer.server.uri(), &format!("{}/", issuer.server.uri()));
    relay.reload().await;
    let browser = relay.browser();
    let page = browser.get("/sign-in/oidc").await.expect(422);
    assert!(page.text.contains("write exactly that as `issuer`"), "{}", page.text);

    let gone = format!("{}/", issuer.server.uri());
    drop(issuer);
    relay.replace_in_main_file(&gone, "http://127.0.0.1:9");
    relay.reload().await;
    let page = browser.get("/sign-in/oidc").await.expect(422);
    assert!(page.text.contains("cannot ask the identity provider"), "{}", page.text);
    browser.get("/sign-in").await.expect(200);
}
