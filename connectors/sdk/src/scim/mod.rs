//! SCIM as RFC 7643 and RFC 7644 say it: pure functions over values.
//!
//! What a resource may look like is in `schema` (the builtin ones in `core`); `validate` reads a
//! whole resource, `patch` a change to one, `bulk` many writes; `path` and `filter` are the two small
//! languages; `list`, `sort` and `projection` are what a query asks for, `known` what may be shown, `discovery` what the service
//! says of itself.

mod bulk;
mod core;
mod discovery;
mod document;
mod error;
mod filter;
mod fold;
mod known;
mod list;
mod membership;
mod patch;
mod path;
mod projection;
mod quirk;
mod resource;
mod schema;
mod select;
mod sort;
mod validate;

pub use bulk::{
    BULK_REQUEST_URN, BULK_RESPONSE_URN, Bulk, BulkStep, BulkWrite, MAX_BULK_OPERATIONS,
};
pub use core::{BUILDING_URN, ENTERPRISE_URN, GROUP_URN, USER_URN};
pub use discovery::{
    CONFIG_URN, RESOURCE_TYPE_URN, resource_types, schema_json, service_provider_config,
};
pub use document::document;
pub use error::{ERROR_URN, Error, ScimType};
pub use filter::{CompareOp, Filter};
pub use fold::fold;
pub use list::{DEFAULT_COUNT, LIST_URN, ListQuery, MAX_COUNT, SEARCH_URN, Start};
pub use membership::{Membership, Relation};
pub use patch::{MemberFilter, MemberOp, PATCH_URN, PatchRequest, Patched};
pub use path::{AttrPath, PatchPath};
pub use projection::Projection;
pub use quirk::{Quirk, Quirks};
pub use resource::{
    Attributes, ResourceId, ResourceKey, ResourceKind, display_name, email, external_id,
    schemas_of, user_name,
};
pub use schema::{
    Attribute, AttributeType, Mutability, ResourceType, Returned, SCHEMA_URN, Schema, Schemas,
    Uniqueness,
};
pub use select::select;
pub use sort::{SortBy, SortKey};
pub use validate::{MemberValue, Normalized, keep, normalize};
