//! What was just done, told on the next page: one sentence for each session, read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::operator::SessionId;

/// More are about people who never looked again.
const MOST: usize = 1_000;

/// A sentence and how it looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Notice {
    /// `ok`, `wait`, `stop`.
    pub(super) tone: &'static str,
    pub(super) text: String,
}

impl Notice {
    /// It was done.
    pub(super) fn done(text: impl Into<String>) -> Self {
        Self { tone: "ok", text: text.into() }
    }

    /// It was done, and something is to be known.
    pub(super) fn but(text: impl Into<String>) -> Self {
        Self { tone: "wait", text: text.into() }
    }

    /// It was not done.
    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self { tone: "stop", text: text.into() }
    }
}

#[derive(Clone, Default)]
pub(super) struct Notices(Arc<Mutex<HashMap<SessionId, Notice>>>);

impl Notices {
    pub(super) fn leave(&self, session: SessionId, notice: Notice) {
        let mut all = self.all();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(session, notice);
    }

    pub(super) fn take(&self, session: SessionId) -> Option<Notice> {
        self.all().remove(&session)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Notice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
