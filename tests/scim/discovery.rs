//! What the service says of itself (RFC 7644 section 4), as a client walks through it.

use http::Method;
use serde_json::{Value, json};

use crate::relay::{PUBLIC_URL, Relay, Setting};

#[tokio::test]
async fn each_document_is_at_its_own_location() {
    let relay = Relay::start().await;
    let base = format!("{PUBLIC_URL}/scim/lillevik/v2");
    for (path, count) in [("/ResourceTypes", 2), ("/Schemas", 4)] {
        let list = relay.get(path).await.json();
        assert_eq!(list["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
        let resources = list["Resources"].as_array().unwrap();
        assert_eq!((resources.len(), &list["totalResults"]), (count, &json!(count)));
        assert_eq!((&list["startIndex"], &list["itemsPerPage"]), (&json!(1), &json!(count)));
        for one in resources {
            let location = one["meta"]["location"].as_str().unwrap();
            let below = location.strip_prefix(&base).unwrap();
            assert_eq!(relay.get(below).await.json(), *one, "{location}");
        }
    }
    let config = relay.get("/ServiceProviderConfig").await.json();
    assert_eq!(config["meta"]["location"], format!("{base}/ServiceProviderConfig"));
}

#[tokio::test]
async fn whatever_a_type_names_can_be_read() {
    let relay = Relay::start().await;
    for ty in relay.get("/ResourceTypes").await.json()["Resources"].as_array().unwrap() {
        let endpoint = ty["endpoint"].as_str().unwrap();
        assert_eq!(relay.get(endpoint).await.status, 200);
        let extensions = ty["schemaExtensions"].as_array().unwrap();
        let schemas = extensions.iter().map(|extension| &extension["schema"]);
        for urn in schemas.chain([&ty["schema"]]).filter_map(Value::as_str) {
            let schema = relay.get(&format!("/Schemas/{urn}")).await.json();
            assert_eq!(schema["id"], urn);
        }
    }
}

#[tokio::test]
async fn the_size_it_states_is_the_one_that_is_taken() {
    let relay = Relay::with(Setting { max_body: 2_000, ..Setting::default() }).await;
    let config = relay.get("/ServiceProviderConfig").await.json();
    let most = config["bulk"]["maxPayloadSize"].as_u64().unwrap() as usize;
    assert_eq!(most, 2_000);
    let user = json!({ "userName": "ada" }).to_string();
    let sized = |size: usize| format!("{user}{}", " ".repeat(size - user.len()));
    relay.ask(Method::POST, "/Users", &[], sized(most + 1)).await.refusal(413);
    assert_eq!(relay.ask(Method::POST, "/Users", &[], sized(most)).await.status, 201);
}
