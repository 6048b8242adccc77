//! Whoever means harm: each of them is refused in SCIM's own words, and nobody else notices.

mod bodies;
mod filters;
mod foreign;
mod requests;
mod values;
