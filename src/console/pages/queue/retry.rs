//! To try again: the rows that were ticked, or all that match.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::Deserialize;

use super::told::{Tried, told};
use super::{Which, back, picked as read};
use crate::console::Console;
use crate::console::notices::Notice;
use crate::console::trouble::Trouble;
use crate::console::viewer::Viewer;
use crate::operator::OperatorError;
use crate::operator::words::counted;

/// The rows that were ticked, and the list that they were in.
#[derive(Deserialize)]
pub(super) struct Ticked {
    #[serde(default)]
    pick: Vec<String>,
    #[serde(default)]
    back: String,
}

pub(super) async fn picked(
    viewer: Viewer,
    State(console): State<Console>,
    Form(Ticked { pick, back: to }): Form<Ticked>,
) -> Result<Response, Trouble> {
    let picks = pick.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    if picks.is_empty() {
        console.tell(&viewer, Notice::but("Nothing was picked, so nothing was done."));
        return Ok(Redirect::to(back(&to)).into_response());
    }
    let (operator, reach) = (&console.operator, viewer.rights.reach());
    let entries = operator.queue_picked(reach, &picks).await?;
    let touched = operator.retry_picked(&viewer.actor, reach, &picks).await?;
    console.tell(&viewer, told(Tried::Again, &picks, &entries, &touched));
    Ok(Redirect::to(back(&to)).into_response())
}

pub(super) async fn all(
    viewer: Viewer,
    State(console): State<Console>,
    Form(which): Form<Which>,
) -> Result<Response, Trouble> {
    let query = which.query()?;
    if let Some(organization) = &query.organization {
        viewer.sees(organization)?;
    }
    let notice = match console.operator.retry(&viewer.actor, viewer.rights.reach(), &query).await {
        Ok(rows) => Notice::done(format!(
            "{} tried again now.",
            counted(rows, "entry is being", "entries are being")
        )),
        Err(OperatorError::Invalid(_)) => {
            Notice::but("Nothing was tried again: what is held is approved or rejected instead.")
        }
        Err(OperatorError::NotFound(_)) => {
            Notice::but("Nothing was tried again: nothing that matches waits any more.")
        }
        Err(error) => return Err(error.into()),
    };
    console.tell(&viewer, notice);
    Ok(Redirect::to(&which.address()).into_response())
}
