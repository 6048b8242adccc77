//! `preview --file`: a mapping tried on a resource that nobody has sent yet, without a daemon.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use scim_relay::clock::{Clock as _, SystemClock};
use scim_relay::config::{Config, ConnectorConfig, credentials_directory, load};
use scim_relay::daemon::connectors::KINDS;
use scim_relay::delivery::{self, Try};
use scim_relay::ids;
use scim_relay::store::Case;
use scim_relay_sdk::connector::{
    Change, Connector, MemberDelta, MemberRef, OrganizationInfo, Permit, Semantics, Verb,
};
use scim_relay_sdk::scim::{
    GROUP_URN, MemberValue, Membership, Normalized, Quirk, Relation, ResourceId, ResourceKey,
    ResourceKind, normalize,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Context, Failure, Result};

/// What the connector would write for the resource in `file`, were it new.
pub(super) async fn preview(
    context: &Context,
    connector: &str,
    file: &Path,
    organization: Option<&str>,
) -> Result<String> {
    let credentials = credentials_directory();
    let (config, _) = load(&context.config_file(), KINDS, credentials.as_deref())
        .map_err(Failure::Configuration)?;
    let config = find(&config, connector)?;
    let organization = organization_of(config, organization)?;
    let body = read(file)?;
    let built = if config.secrets_are_in_reach(credentials.as_deref()) {
        config
            .build(credentials.as_deref())
            .map_err(|mistake| Failure::Configuration(vec![mistake]))?
    } else {
        return Err(Failure::Failed(format!(
            "the secrets of {connector} are systemd credentials, which only the service can read; \
             preview a resource that the running relay has: --user or --group"
        )));
    };
    let now = SystemClock.now();
    let case = imagine(context, &body, organization, built.as_ref(), now)?;
    let resource = delivery::resource(&case, organization);
    let first = Try { in_doubt: false, permit: Permit::ALL, number: 1, now };
    let work = delivery::judge(case, resource, built.as_ref(), &config.scope, first);
    let Some(mut work) = work else {
        return Ok("out of this connector's scope: nothing would be written\n".to_owned());
    };
    work.password = has_password(&body, organization).then(|| "***".into());
    let preview = built.preview(&work).await;
    preview.map(|preview| preview.text).map_err(|error| Failure::Failed(error.chain()))
}

fn find<'c>(config: &'c Config, name: &str) -> Result<&'c ConnectorConfig> {
    config.connectors.iter().find(|connector| connector.name == name).ok_or_else(|| {
        let names: Vec<&str> =
            config.connectors.iter().map(|connector| connector.name.as_str()).collect();
        Failure::Failed(format!(
            "there is no connector `{name}`; there {}",
            if names.is_empty() {
                "is none".to_owned()
            } else {
                format!("are {}", names.join(", "))
            }
        ))
    })
}

/// The one that is named, or the only one.
fn organization_of<'c>(
    config: &'c ConnectorConfig,
    wanted: Option<&str>,
) -> Result<&'c Arc<OrganizationInfo>> {
    let keys = || {
        let keys: Vec<&str> = config.organizations.iter().map(|one| &*one.key).collect();
        keys.join(", ")
    };
    match (wanted, config.organizations.as_slice()) {
        (None, [only]) => Ok(only),
        (None, []) => Err(Failure::Failed(format!("{} serves no organization", config.name))),
        (None, _) => {
            Err(Failure::Usage(format!("name the organization with --org; there are {}", keys())))
        }
        (Some(key), all) => all.iter().find(|one| &*one.key == key).ok_or_else(|| {
            Failure::Failed(format!("{} does not serve `{key}`; it serves {}", config.name, keys()))
        }),
    }
}

fn read(file: &Path) -> Result<Value> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!("{} cannot be read: {error}", file.display()))
    };
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| wrong(&error))?;
        text
    } else {
        fs::read_to_string(file).map_err(|error| wrong(&error))?
    };
    serde_json::from_str(&text).map_err(|error| wrong(&format!("it is not JSON: {error}")))
}

/// The case that the store would give, had the provider just sent this.
fn imagine(
    context: &Context,
    body: &Value,
    organization: &Arc<OrganizationInfo>,
    connector: &dyn Connector,
    now: Timestamp,
) -> Result<Case> {
    let kind = kind_of(body);
    let normalized = normalize(body.clone(), organization.schemas.of(kind)).map_err(|error| {
        Failure::Failed(format!("the relay would refuse this: {}", error.detail))
    })?;
    let Normalized { mut attributes, members, quirks, .. } = normalized;
    say_quirks(context, &quirks.kinds());
    let changed = attributes.keys().cloned().collect();
    let given = body.get("id").and_then(Value::as_str).and_then(ResourceId::parse);
    let id = given.unwrap_or_else(|| ids::resource_id(now));
    attributes.insert("id".to_owned(), json!(id.to_string()));
    attributes.insert(
        "meta".to_owned(),
        json!({
            "resourceType": kind.name(),
            "created": now.to_string(),
            "lastModified": now.to_string(),
        }),
    );
    let joined: Vec<MemberRef> = members.iter().flatten().map(|one| member(one, body)).collect();
    let change = (connector.semantics() == Semantics::EveryEvent).then(|| Change {
        seq: 1,
        verb: Verb::Created,
        at: now,
        attributes: changed,
        joined,
        left: Vec::new(),
        collapsed: false,
    });
    if connector.wants_members() && members.is_some_and(|members| !members.is_empty()) {
        context.screen.note(
            "note: the members are left out, since only the running relay knows their entries",
        );
    }
    let is_group = kind == ResourceKind::Group;
    Ok(Case {
        key: ResourceKey { organization: Arc::clone(&organization.key), kind, id },
        deleted: false,
        attributes,
        earlier: Vec::new(),
        groups: groups(body),
        link: None,
        change,
        password: None,
        bygone: BTreeSet::new(),
        first_run: false,
        members: (is_group && connector.wants_members()).then(|| MemberDelta::All(Vec::new())),
        gone: false,
        mark: 0,
        covers: 0,
        member_mark: 0,
    })
}

/// Whether the file gives a password, which a preview shows as `***`.
fn has_password(body: &Value, organization: &OrganizationInfo) -> bool {
    let normalized = normalize(body.clone(), organization.schemas.of(kind_of(body)));
    normalized.is_ok_and(|resource| resource.password.is_some())
}

/// By its schemas; a resource that names none is a group when it has no userName.
fn kind_of(body: &Value) -> ResourceKind {
    let named = |urn: &str| {
        let schemas = body.get("schemas").and_then(Value::as_array);
        schemas.is_some_and(|schemas| schemas.iter().any(|schema| schema == urn))
    };
    let has = |name: &str| {
        let keys = body.as_object().into_iter().flat_map(|body| body.keys());
        keys.into_iter().any(|key| key.eq_ignore_ascii_case(name))
    };
    if named(GROUP_URN) || (!has("schemas") && !has("userName") && has("displayName")) {
        ResourceKind::Group
    } else {
        ResourceKind::User
    }
}

/// The groups that the file says the person is in; the relay would know them.
fn groups(body: &Value) -> Vec<Membership> {
    let listed = body.get("groups").and_then(Value::as_array).into_iter().flatten();
    listed
        .map(|group| {
            let text = |name| group.get(name).and_then(Value::as_str);
            Membership {
                id: text("value").and_then(ResourceId::parse).unwrap_or(ResourceId(Uuid::nil())),
                display: text("display").map(str::to_owned),
                relation: match text("type") {
                    Some("indirect") => Relation::IndirectGroup,
                    _ => Relation::DirectGroup,
                },
            }
        })
        .collect()
}

/// A member as the file names it.
fn member(member: &MemberValue, body: &Value) -> MemberRef {
    let display = body.get("members").and_then(Value::as_array).and_then(|members| {
        let named = members.iter().find(|one| one.get("value") == Some(&json!(member.value)))?;
        Some(named.get("display")?.as_str()?.to_owned())
    });
    MemberRef {
        value: member.value.clone(),
        kind: member.kind.unwrap_or(ResourceKind::User),
        display,
        user_name: None,
        external_id: None,
    }
}

fn say_quirks(context: &Context, quirks: &[Quirk]) {
    for quirk in quirks {
        context.screen.note(&format!("note: put right or left out: {}", quirk.sentence()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_what_its_schemas_say_or_what_it_looks_like() {
        let check = |body: Value, expected| assert_eq!(kind_of(&body), expected, "{body}");
        check(json!({ "schemas": [GROUP_URN], "displayName": "1a" }), ResourceKind::Group);
        check(json!({ "displayName": "1a" }), ResourceKind::Group);
        check(json!({ "username": "ada", "displayName": "Ada" }), ResourceKind::User);
        check(json!({ "schemas": [], "displayName": "Ada" }), ResourceKind::User);
        check(json!([]), ResourceKind::User);
    }
}
