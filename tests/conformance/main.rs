//! The SCIM service before strangers: judges that others wrote, and what identity providers say.
//! Both talk to the program itself.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test, helpers included")]

#[path = "../kit/mod.rs"]
#[expect(dead_code, reason = "the targets and their troubles are for the end-to-end tests")]
mod kit;

mod conversation;
mod judges;
mod python;
mod replay;
