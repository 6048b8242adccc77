//! SCIM as RFC 7643 and RFC 7644 say it: pure functions over values.

mod error;
mod resource;

pub use error::{ERROR_URN, Error, ScimType};
pub use resource::{Attributes, ResourceId, ResourceKey, ResourceKind};
