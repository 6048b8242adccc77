//! What an organization's provider asked lately, and what it was answered: redacted before it was
//! kept, and each look at it is in the activity.

mod list;
mod one;
mod words;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::routing::get;

use crate::console::Console;
use crate::console::viewer::needs;
use crate::operator::Right;

pub(in crate::console) use list::live;

pub(super) fn routes() -> Router<Console> {
    let pages = Router::new()
        .route("/requests", get(list::page))
        .route("/organizations/{organization}/requests/{id}", get(one::page));
    needs(Right::People, pages)
}
