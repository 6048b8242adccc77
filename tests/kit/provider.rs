//! An identity provider: pushes people and groups over SCIM, with a bearer token.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Who pushes for one organization.
#[derive(Clone)]
pub(crate) struct Provider {
    client: Client<HttpConnector, Full<Bytes>>,
    /// `http://…/scim/lillevik/v2`
    pub(crate) base: String,
    pub(crate) token: String,
}

/// What the relay answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The id of the resource it is about.
    #[track_caller]
    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no resource: {self:?}")).to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

impl Provider {
    pub(crate) fn new(base: String, token: String) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), base, token }
    }

    /// One that pushes to another organization's address with this one's token.
    pub(crate) fn trespassing(&self, from: &str, to: &str) -> Self {
        let base = self.base.replace(&format!("/scim/{from}/"), &format!("/scim/{to}/"));
        Self { base, ..self.clone() }
    }

    /// Sends a request. An error means that there was no answer: perhaps it was carried out.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/scim+json")
            .body(Full::from(text))?;
        self.send_as_is(request).await
    }

    /// Sends a request with nothing but what it has.
    pub(crate) async fn send_as_is(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let response = self.client.request(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await?.to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }

    async fn answered(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let what = format!("{method} {path}");
        self.send(method, path, body).await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.answered(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.answered(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.answered(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.answered(Method::DELETE, path, None).await
    }

    /// PATCH with these operations.
    pub(crate) async fn patch(&self, path: &str, operations: Value) -> Answer {
        self.answered(Method::PATCH, path, Some(patch(&operations))).await
    }

    /// Sets one attribute of a person.
    pub(crate) async fn set(&self, id: &str, attribute: &str, value: impl Into<Value>) {
        let operation = json!([{ "op": "replace", "path": attribute, "value": value.into() }]);
        self.patch(&format!("Users/{id}"), operation).await.expect(200);
    }

    /// Makes a person; their id.
    pub(crate) async fn hire(&self, name: &str) -> String {
        self.post("Users", person(name)).await.expect(201).id()
    }

    /// Makes a group; its id.
    pub(crate) async fn group(&self, name: &str, members: &[&str]) -> String {
        self.post("Groups", group(name, members)).await.expect(201).id()
    }

    pub(crate) async fn join(&self, group: &str, person: &str) {
        let operation = json!([{ "op": "add", "path": "members", "value": [{ "value": person }] }]);
        self.patch(&format!("Groups/{group}"), operation).await.expect(200);
    }

    pub(crate) async fn leave(&self, group: &str, person: &str) {
        let path = format!("members[value eq \"{person}\"]");
        let operation = json!([{ "op": "remove", "path": path }]);
        self.patch(&format!("Groups/{group}"), operation).await.expect(200);
    }
}

/// A person by this name, as a provider pushes one.
pub(crate) fn person(name: &str) -> Value {
    json!({
        "schemas": [USER],
        "externalId": format!("ext-{name}"),
        "userName": name,
        "name": { "givenName": name, "familyName": "Lie" },
        "displayName": format!("{name} Lie"),
        "emails": [{ "value": format!("{name}@lillevik.example"), "type": "work", "primary": true }],
        "userType": "student",
        "active": true,
    })
}

pub(crate) fn group(name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({ "value": id })).collect();
    json!({ "schemas": [GROUP], "displayName": name, "members": members })
}

pub(crate) fn patch(operations: &Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}
