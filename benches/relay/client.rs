//! One keep-alive connection of a provider.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    base: String,
    token: String,
}

impl Client {
    #[expect(clippy::disallowed_methods, reason = "the connection's task ends with the benchmark")]
    pub(crate) async fn connect(address: &str, token: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, base: "/scim/load/v2".to_owned(), token: token.to_owned() }
    }

    pub(crate) async fn create(&mut self, name: &str) -> String {
        let (status, body) = self.send(Method::POST, "/Users", &user(name)).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn create_group(&mut self, group: &Value) -> String {
        let (status, body) = self.send(Method::POST, "/Groups", group).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn patch(&mut self, path: &str, body: &Value) {
        let (status, body) = self.send(Method::PATCH, path, body).await;
        assert!(status.is_success(), "{status} {body}");
    }

    pub(crate) async fn get(&mut self, path: &str) {
        let (status, bytes) = self.request(Method::GET, path, Bytes::new()).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!bytes.is_empty());
    }

    async fn send(&mut self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let (status, bytes) = self.request(method, path, body.to_string().into()).await;
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn request(&mut self, method: Method, path: &str, body: Bytes) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/scim+json")
            .body(Full::new(body))
            .unwrap();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }
}

/// A user of about 1.2 KB, as a provider sends one.
fn user(name: &str) -> Value {
    let address = format!("{name}@load.example");
    json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "externalId": format!("ext-{name}"),
        "userName": address,
        "active": true,
        "displayName": format!("Alexandra Example {name}"),
        "title": "Senior Systems Engineer",
        "preferredLanguage": "nb-NO",
        "name": { "formatted": format!("Dr. Alexandra Example {name}"), "familyName": format!("Example {name}"), "givenName": "Alexandra" },
        "emails": [
            { "type": "work", "primary": true, "value": address },
            { "type": "home", "value": format!("{name}@home.example") },
        ],
        "phoneNumbers": [
            { "type": "work", "value": "+47 22 55 01 23" },
            { "type": "mobile", "value": "+47 99 55 04 56" },
        ],
        "addresses": [{
            "type": "work", "streetAddress": "Storgata 100, 4. etasje", "locality": "Lillevik", "region": "Vestland",
            "postalCode": "5700", "country": "NO", "formatted": "Storgata 100, 4. etasje\n5700 Lillevik\nNorge",
        }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": format!("E-{name}"), "costCenter": "CC-4711", "organization": "Lillevik kommune",
            "division": "Oppvekst", "department": "Lillevik skole",
        },
    })
}

/// A change that is one, each time.
pub(crate) fn title(n: usize) -> Value {
    patch(&json!([{ "op": "Replace", "path": "title", "value": format!("Title {n}") }]))
}

pub(crate) fn member(add: bool, id: &str) -> Value {
    if add {
        return patch(&json!([{ "op": "Add", "path": "members", "value": [{ "value": id }] }]));
    }
    patch(&json!([{ "op": "Remove", "path": format!("members[value eq \"{id}\"]") }]))
}

pub(crate) fn members(ids: &[String]) -> Value {
    let members: Vec<Value> = ids.iter().map(|id| json!({ "value": id })).collect();
    patch(&json!([{ "op": "Add", "path": "members", "value": members }]))
}

fn patch(operations: &Value) -> Value {
    json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations })
}
