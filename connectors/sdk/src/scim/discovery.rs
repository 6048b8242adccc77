//! What the relay says about itself (RFC 7643 sections 5 to 7): only what is true.

use serde_json::{Value, json};

use super::bulk::MAX_BULK_OPERATIONS;
use super::list::{DEFAULT_COUNT, MAX_COUNT};
use super::resource::ResourceKind;
use super::schema::{SCHEMA_URN, Schema, Schemas};

pub const CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
pub const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";

/// The body of `/ServiceProviderConfig`; `base` is the organization's base address, `max_payload`
/// the size of the largest request that is taken, and `change_password` whether a password that is
/// sent reaches a target.
pub fn service_provider_config(base: &str, max_payload: usize, change_password: bool) -> Value {
    let base = base.trim_end_matches('/');
    json!({
        "schemas": [CONFIG_URN],
        "patch": { "supported": true },
        "bulk": {
            "supported": true,
            "maxOperations": MAX_BULK_OPERATIONS,
            "maxPayloadSize": max_payload,
        },
        "filter": { "supported": true, "maxResults": MAX_COUNT },
        "changePassword": { "supported": change_password },
        "sort": { "supported": true },
        "etag": { "supported": true },
        // RFC 9865 section 4. Nothing is kept for a cursor, so there is no time after which it ends.
        "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_COUNT,
            "maxPageSize": MAX_COUNT,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A token in the Authorization header, as RFC 6750 has it",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

/// The entries of `/ResourceTypes`.
pub fn resource_types(schemas: &Schemas, base: &str) -> Vec<Value> {
    let base = base.trim_end_matches('/');
    let of = |kind: ResourceKind| {
        let ty = schemas.of(kind);
        let name = kind.name();
        let extensions: Vec<Value> = ty
            .extensions
            .iter()
            .map(|schema| json!({ "schema": schema.id, "required": false }))
            .collect();
        json!({
            "schemas": [RESOURCE_TYPE_URN],
            "id": name,
            "name": name,
            "endpoint": format!("/{}", kind.endpoint()),
            "description": ty.core.description,
            "schema": ty.core.id,
            "schemaExtensions": extensions,
            "meta": {
                "resourceType": "ResourceType",
                "location": format!("{base}/ResourceTypes/{name}"),
            },
        })
    };
    ResourceKind::ALL.map(of).into()
}

/// One entry of `/Schemas`.
pub fn schema_json(schema: &Schema, base: &str) -> Value {
    let base = base.trim_end_matches('/');
    let mut out = schema.to_json();
    debug_assert_eq!(out["schemas"][0], SCHEMA_URN);
    out["meta"] = json!({
        "resourceType": "Schema",
        "location": format!("{base}/Schemas/{}", schema.id),
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{ENTERPRISE_URN, USER_URN, normalize};

    const BASE: &str = "https://x/scim/lillevik/v2";

    #[test]
    fn the_documents_that_clients_configure_themselves_by() {
        insta::assert_json_snapshot!(service_provider_config(BASE, 1 << 20, false));
        insta::assert_json_snapshot!(resource_types(&Schemas::builtin(), BASE));
    }

    #[test]
    fn the_schemas_that_clients_configure_themselves_by() {
        let mut lines = Vec::new();
        for schema in Schemas::builtin().all().map(|schema| schema_json(schema, BASE)) {
            lines.push(format!("{}: {}", schema["id"], schema["description"]));
            attributes(&mut lines, "", &schema["attributes"]);
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    /// A line for each attribute, with its traits apart from the usual ones.
    fn attributes(lines: &mut Vec<String>, parent: &str, all: &Value) {
        for attribute in all.as_array().into_iter().flatten() {
            let name = format!("{parent}{}", attribute["name"].as_str().unwrap());
            let traits = attribute.as_object().unwrap().iter().filter(|(name, value)| {
                let usual = match name.as_str() {
                    "name" | "description" | "subAttributes" => return false,
                    "multiValued" | "required" | "caseExact" => json!(false),
                    "mutability" => json!("readWrite"),
                    "returned" => json!("default"),
                    "uniqueness" => json!("none"),
                    _ => Value::Null,
                };
                **value != usual
            });
            let traits: Vec<_> = traits.map(|(name, value)| format!("{name}={value}")).collect();
            lines.push(format!("  {name}: {}", traits.join(" ")));
            attributes(lines, &format!("{name}."), &attribute["subAttributes"]);
        }
    }

    #[test]
    fn every_schema_of_a_type_is_served_once() {
        let schemas = Schemas::builtin();
        let served: Vec<_> =
            schemas.all().map(|schema| schema_json(schema, "https://x/v2/")).collect();
        assert_eq!(served.len(), 4);
        for ty in resource_types(&schemas, "https://x/v2") {
            assert!(served.iter().any(|schema| schema["id"] == ty["schema"]));
            for extension in ty["schemaExtensions"].as_array().unwrap() {
                assert!(served.iter().any(|schema| schema["id"] == extension["schema"]));
            }
        }
        assert_eq!(
            served[0]["meta"]["location"],
            "https://x/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"
        );
    }

    #[test]
    fn a_schema_tells_the_traits_of_its_attributes() {
        let schemas = Schemas::builtin();
        let schema = schemas.of(ResourceKind::User).core.to_json();
        let attribute = |name: &str| {
            let all = schema["attributes"].as_array().unwrap();
            all.iter().find(|attribute| attribute["name"] == name).cloned().unwrap()
        };
        assert_eq!(attribute("userName")["uniqueness"], "server");
        assert_eq!(attribute("userName")["required"], true);
        assert_eq!(attribute("password")["returned"], "never");
        assert_eq!(attribute("password")["mutability"], "writeOnly");
        assert_eq!(attribute("groups")["mutability"], "readOnly");
        assert_eq!(attribute("emails")["multiValued"], true);
        assert_eq!(attribute("emails")["subAttributes"].as_array().unwrap().len(), 4);
        assert_eq!(attribute("photos")["subAttributes"][0]["referenceTypes"], json!(["external"]));
    }

    #[test]
    fn the_configuration_says_what_the_relay_does() {
        let config = service_provider_config("https://x/v2/", 1 << 20, false);
        for (feature, supported) in [
            ("patch", true),
            ("bulk", true),
            ("filter", true),
            ("changePassword", false),
            ("sort", true),
            ("etag", true),
        ] {
            assert_eq!(config[feature]["supported"], supported, "{feature}");
        }
        let passing_on = service_provider_config("https://x/v2/", 1 << 20, true);
        assert_eq!(passing_on["changePassword"]["supported"], true);
        let pagination = &config["pagination"];
        assert_eq!((&pagination["cursor"], &pagination["index"]), (&json!(true), &json!(true)));
        assert_eq!(pagination["defaultPaginationMethod"], "index");
        assert_eq!(pagination["maxPageSize"], config["filter"]["maxResults"]);
        assert_eq!(config["meta"]["location"], "https://x/v2/ServiceProviderConfig");
    }

    #[test]
    fn the_schemas_of_a_resource_are_those_it_uses() {
        let schemas = Schemas::builtin();
        let ty = schemas.of(ResourceKind::User);
        let user = json!({ "userName": "a", ENTERPRISE_URN: { "department": "d" } });
        let user = normalize(user, ty).unwrap().attributes;
        assert_eq!(crate::scim::schemas_of(&user, ty), [USER_URN, ENTERPRISE_URN]);
    }
}
