//! What the daemon and its connectors share.
//!
//! Two rooms: [`scim`], SCIM as RFC 7643 and RFC 7644 say it, and [`connector`], the seam between
//! the delivery engine and a target. Neither does I/O, reads the clock or needs a runtime.

pub mod connector;
pub mod scim;
pub mod testing;
