//! The school's identity provider: SCIM over HTTP with a bearer token, in the dialect that Entra
//! speaks without its flag `aadOptscim062020`. It looks people up before it creates them, starts
//! operations with a capital and writes booleans as text.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::school::{Class, Person};

const BUILDING: &str = "urn:scim-relay:params:scim:schemas:extension:building:2.0:User";
/// Entra names this one when it creates a group.
const ADSCIM: &str = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
/// Requests on their way at once.
const AT_ONCE: usize = 16;

pub(super) struct Provider {
    client: Client<HttpConnector, Full<Bytes>>,
    /// The SCIM base address.
    base: String,
    token: String,
    /// The relay's ids, by the provider's.
    ids: Mutex<HashMap<String, String>>,
    sent: AtomicUsize,
}

/// One operation of a PATCH.
pub(super) struct Operation(Value);

impl Operation {
    pub(super) fn replace(path: &str, value: impl Into<Value>) -> Self {
        Self(json!({ "op": "Replace", "path": path, "value": value.into() }))
    }

    /// Entra says True and False as text.
    pub(super) fn active(active: bool) -> Self {
        Self::replace("active", if active { "True" } else { "False" })
    }

    pub(super) fn building(building: &str) -> Self {
        Self::replace(&format!("{BUILDING}:buildingId"), building)
    }

    /// The operations by which a marriage arrives.
    pub(super) fn names(person: &Person) -> Vec<Self> {
        vec![
            Self::replace("userName", person.user_name.as_str()),
            Self::replace("displayName", person.name()),
            Self::replace("name.familyName", person.family),
            Self::replace("name.formatted", person.name()),
            Self::replace("emails[type eq \"work\"].value", person.user_name.as_str()),
        ]
    }
}

/// Whether people go into a group or out of it.
#[derive(Clone, Copy)]
pub(super) enum Membership {
    Add,
    Remove,
}

impl Provider {
    pub(super) fn new(base: String, token: String) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base,
            token,
            ids: Mutex::default(),
            sent: AtomicUsize::new(0),
        }
    }

    /// How many requests it has made.
    pub(super) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    /// Pushes everybody: those whom the relay does not know yet are created.
    pub(super) async fn add_people(&self, people: &[Person]) -> Result<()> {
        for some in people.chunks(AT_ONCE) {
            try_join_all(some.iter().map(|person| self.add_person(person))).await?;
        }
        Ok(())
    }

    pub(super) async fn add_person(&self, person: &Person) -> Result<()> {
        let filter = format!("userName eq \"{}\"", person.user_name);
        if self.knows("Users", &filter).await? {
            bail!("there is a user {} already", person.user_name);
        }
        let created = self.send(Method::POST, "/Users", Some(user(person))).await?;
        self.remember(&person.external_id, &created)
    }

    pub(super) async fn patch_person(
        &self,
        person: &Person,
        operations: Vec<Operation>,
    ) -> Result<()> {
        let path = format!("/Users/{}", self.id(&person.external_id)?);
        self.send(Method::PATCH, &path, Some(patch(operations))).await?;
        Ok(())
    }

    pub(super) async fn delete_person(&self, person: &Person) -> Result<()> {
        let path = format!("/Users/{}", self.id(&person.external_id)?);
        self.send(Method::DELETE, &path, None).await?;
        Ok(())
    }

    /// Groups start empty; their members follow.
    pub(super) async fn add_class(&self, class: &Class, members: &[&Person]) -> Result<()> {
        let filter = format!("displayName eq \"{}\"", class.name);
        if self.knows("Groups", &filter).await? {
            bail!("there is a group {} already", class.name);
        }
        let group = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", ADSCIM],
            "externalId": class.name,
            "displayName": class.name,
            "meta": { "resourceType": "Group" },
        });
        let created = self.send(Method::POST, "/Groups", Some(group)).await?;
        self.remember(&class.name, &created)?;
        self.change_members(class, Membership::Add, members).await
    }

    pub(super) async fn change_members(
        &self,
        class: &Class,
        membership: Membership,
        people: &[&Person],
    ) -> Result<()> {
        let members = people
            .iter()
            .map(|person| Ok(json!({ "$ref": null, "value": self.id(&person.external_id)? })))
            .collect::<Result<Vec<_>>>()?;
        let op = match membership {
            Membership::Add => "Add",
            Membership::Remove => "Remove",
        };
        let operation = Operation(json!({ "op": op, "path": "members", "value": members }));
        let path = format!("/Groups/{}", self.id(&class.name)?);
        self.send(Method::PATCH, &path, Some(patch(vec![operation]))).await?;
        Ok(())
    }

    /// Whether the relay has a resource that the filter finds.
    async fn knows(&self, endpoint: &str, filter: &str) -> Result<bool> {
        let path = format!("/{endpoint}?filter={}", encoded(filter));
        let list = self.send(Method::GET, &path, None).await?;
        Ok(list["totalResults"].as_u64().is_some_and(|found| found > 0))
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let what = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::ACCEPT, "application/scim+json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/scim+json; charset=utf-8");
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::from(body)).context("a request that cannot be sent")?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let failed = || format!("the relay did not answer {what}");
        let response = self.client.request(request).await.with_context(failed)?;
        let status = response.status();
        let bytes = response.into_body().collect().await.with_context(failed)?.to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !status.is_success() {
            bail!("the relay answered {what} with {status}: {}", answer["detail"]);
        }
        Ok(answer)
    }

    fn remember(&self, external_id: &str, created: &Value) -> Result<()> {
        let id = created["id"].as_str().context("the relay created something without an id")?;
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.insert(external_id.to_owned(), id.to_owned());
        Ok(())
    }

    fn id(&self, external_id: &str) -> Result<String> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.get(external_id).cloned().with_context(|| format!("{external_id} was never pushed"))
    }
}

fn user(person: &Person) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", BUILDING],
        "externalId": person.external_id,
        "userName": person.user_name,
        "active": "True",
        "displayName": person.name(),
        "name": {
            "formatted": person.name(),
            "familyName": person.family,
            "givenName": person.given,
        },
        "emails": [{ "primary": true, "type": "work", "value": person.user_name }],
        "preferredLanguage": person.language,
        "userType": person.role.word(),
        "meta": { "resourceType": "User" },
        BUILDING: { "buildingId": person.building },
    })
}

fn patch(operations: Vec<Operation>) -> Value {
    let operations: Vec<Value> = operations.into_iter().map(|operation| operation.0).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": operations,
    })
}

/// A query's value, percent-encoded (RFC 3986 section 2).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let pieces = text.bytes().map(|byte| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_address() {
        assert_eq!(encoded("userName eq \"åse\""), "userName%20eq%20%22%C3%A5se%22");
    }
}
