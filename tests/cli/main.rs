//! The commands as a person gives them: the real program, with a daemon in the background.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod accounts;
mod daemon;
mod forget;
mod held;
mod live;
mod offline;
mod queue;
mod relay;
mod requests;
mod trace;
