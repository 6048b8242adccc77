//! What holds whatever comes in. Property tests ask it of generated input and fuzz targets of
//! arbitrary bytes; a law that is broken panics.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::samples::{ada, choir};
use crate::scim::{
    AttrPath, Attributes, Bulk, Filter, ListQuery, MAX_BULK_OPERATIONS, MAX_COUNT, MemberValue,
    PatchPath, PatchRequest, Quirk, ResourceId, ResourceKind, ResourceType, Schemas, normalize,
    schemas_of, select,
};

/// The body of a POST or PUT, as bytes: it is refused, or kept; and what is kept can be served
/// and sent back, and nothing has changed.
pub fn a_body_is_kept_as_it_is_served(bytes: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    for_each_type(|ty| {
        if let Ok(kept) = normalize(body.clone(), ty) {
            sent_back_it_changes_nothing(&kept.attributes, kept.members.as_deref(), ty);
        }
    });
}

/// A provider that reads a resource and puts it back as it is changes nothing and deviates in
/// nothing, but for a reference that is kept as it came.
fn sent_back_it_changes_nothing(
    attributes: &Attributes,
    members: Option<&[MemberValue]>,
    ty: &ResourceType,
) {
    let again = normalize(Value::Object(served(attributes, members, ty)), ty)
        .unwrap_or_else(|error| panic!("{attributes:?} is refused: {error}"));
    let text = |attributes: &Attributes| Value::Object(attributes.clone()).to_string();
    assert_eq!(text(&again.attributes), text(attributes));
    let ids = |members: Option<&[MemberValue]>| {
        let members = members.unwrap_or_default().iter();
        members.map(|member| member.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids(again.members.as_deref()), ids(members));
    let mut deviations = again.quirks.kinds();
    deviations.retain(|quirk| *quirk != Quirk::NotAUri);
    assert_eq!(deviations, []);
}

/// The resource as it would be served.
fn served(
    attributes: &Attributes,
    members: Option<&[MemberValue]>,
    ty: &ResourceType,
) -> Attributes {
    let mut served = Map::new();
    served.insert("schemas".into(), json!(schemas_of(attributes, ty)));
    served.insert("id".into(), json!("019a9c5e-7d1b-7c3e-8a59-d3b0a3f4c001"));
    served.extend(attributes.clone());
    let beside = |id: &str, kind: &str| json!({ "value": id, "$ref": "https://x/1", "display": "x", "type": kind });
    match ty.kind {
        ResourceKind::User => {
            served.insert("groups".into(), json!([beside("g", "direct")]));
        }
        ResourceKind::Group => {
            if let Some(members) = members {
                let members = members.iter().map(|member| {
                    let kind = member.kind.unwrap_or(ResourceKind::User);
                    beside(&member.value, kind.name())
                });
                served.insert("members".into(), members.collect());
            }
        }
    }
    served.insert(
        "meta".into(),
        json!({ "resourceType": ty.kind.name(), "version": "W/\"1\"", "location": "https://x/1",
                "created": "2026-11-22T08:30:00Z", "lastModified": "2026-11-22T08:30:00Z" }),
    );
    served
}

/// A filter is refused, or printed as text that reads as the same filter; and it can be asked
/// about anybody.
pub fn a_filter_reads_as_it_is_printed(text: &str) {
    let Ok(filter) = Filter::parse(text) else { return };
    let printed = filter.to_string();
    let again = Filter::parse(&printed)
        .unwrap_or_else(|error| panic!("{text:?} is printed as {printed:?}: {error}"));
    assert_eq!(again, filter, "{printed:?}");
    for_each_type(|ty| {
        let sample = sample(ty.kind);
        let holds = filter.matches(&sample, ty);
        if filter.check(ty).is_ok() {
            let twice = Filter::parse(&format!("not (not ({printed}))"));
            // One more level may be one too many.
            if let Ok(twice) = twice {
                assert_eq!(twice.matches(&sample, ty), holds, "{printed:?}");
            }
        }
        filter.required_equals();
    });
}

/// A path is refused, or printed as text that reads as the same path; its canonical form is its
/// own; and it can be followed.
pub fn a_path_reads_as_it_is_printed(text: &str) {
    if let Ok(path) = AttrPath::parse(text, None) {
        assert_eq!(AttrPath::parse(&path.to_string(), None), Ok(path), "{text:?}");
    }
    for_each_type(|ty| {
        if let Ok(path) = AttrPath::parse(text, Some(ty)) {
            assert_eq!(AttrPath::parse(&path.to_string(), Some(ty)), Ok(path), "{text:?}");
        }
        if let Ok(path) = PatchPath::parse(text, ty) {
            let printed = path.to_string();
            assert_eq!(PatchPath::parse(&printed, ty), Ok(path), "{text:?}");
            assert!(select(&printed, &sample(ty.kind), ty).is_ok(), "{text:?}");
        }
    });
}

/// A resource and a PATCH, as JSON on a line each.
pub fn a_patch_leaves_a_resource(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (Ok(resource), Ok(patch)) = (
        serde_json::from_slice::<Value>(&bytes[..end]),
        serde_json::from_slice::<Value>(&bytes[end..]),
    ) else {
        return;
    };
    for_each_type(|ty| {
        if let Ok(kept) = normalize(resource.clone(), ty) {
            patched_it_is_still_one(&kept.attributes, &patch, ty);
        }
    });
}

/// A PATCH is refused, or leaves what a PUT of the same would leave.
pub fn patched_it_is_still_one(current: &Attributes, patch: &Value, ty: &ResourceType) {
    let patched = PatchRequest::parse(patch.clone()).and_then(|patch| patch.apply(current, ty));
    let Ok(patched) = patched else { return };
    sent_back_it_changes_nothing(&patched.attributes, None, ty);
}

/// The body of a bulk request: it is refused, or each operation has one turn and no more, whatever
/// comes of those before it; with `failOnErrors`, the turns end with that many failures.
pub fn a_bulk_comes_to_an_end(bytes: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    let Ok(mut bulk) = Bulk::parse(body) else { return };
    let count = bulk.len();
    assert!((1..=MAX_BULK_OPERATIONS).contains(&count));
    let mut turns = HashSet::new();
    while let Some(step) = bulk.next_step() {
        assert!(step.index < count && turns.insert(step.index), "{step:?}");
        // Every third that could be done fails.
        let made = step.write.ok().filter(|_| step.index % 3 != 2);
        bulk.settle(step.bulk_id.as_deref(), made.map(|_| ResourceId(Uuid::nil())));
    }
    assert!(bulk.next_step().is_none());
}

/// The body of a search: it is refused, or bounded, and its filter fits a type that is searched.
pub fn a_search_is_bounded(bytes: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    let schemas = Schemas::builtin();
    let types = ResourceKind::ALL.map(|kind| schemas.of(kind));
    for searched in [&types[..1], &types[1..], &types[..]] {
        let Ok(query) = ListQuery::parse_search(body.clone(), searched) else { continue };
        assert!(query.count <= MAX_COUNT, "{}", query.count);
        if let Some(filter) = &query.filter {
            assert!(searched.iter().any(|ty| filter.check(ty).is_ok()), "{filter}");
            a_filter_reads_as_it_is_printed(&filter.to_string());
        }
    }
}

fn for_each_type(law: impl Fn(&ResourceType)) {
    let schemas = Schemas::builtin();
    for kind in ResourceKind::ALL {
        law(schemas.of(kind));
    }
}

fn sample(kind: ResourceKind) -> Attributes {
    match kind {
        ResourceKind::User => ada().attributes,
        ResourceKind::Group => choir().attributes,
    }
}
