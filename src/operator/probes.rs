//! Tests of connectors on a person's word: one at a time of each, bounded in time, and what the last
//! one said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::connectors::disabled;
use super::{Actor, Operator, OperatorError, Result};

/// A probe asks a few times, each within the connector's own limit.
const LONGEST: Duration = Duration::from_secs(30);

/// What a test said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tested {
    pub at: Timestamp,
    pub by: String,
    /// Milliseconds.
    pub took: u64,
    pub answered: bool,
    /// Who answered, or what went wrong.
    pub said: String,
}

/// The last test of each connector, since the daemon's start.
#[derive(Default)]
pub(super) struct Tests {
    running: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    last: Mutex<HashMap<String, Tested>>,
}

impl Tests {
    fn turn(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(locked(&self.running).entry(name.to_owned()).or_default())
    }

    pub(super) fn last(&self, name: &str) -> Option<Tested> {
        locked(&self.last).get(name).cloned()
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Operator {
    /// Reaches the target with the configured credentials, and says who answered.
    pub async fn test_connector(&self, actor: &Actor, name: &str) -> Result<Tested> {
        self.connector(name)?;
        let connector = self.runtime.load().engine.connector(name).ok_or_else(|| disabled(name))?;
        let turn = self.tests.turn(name);
        let Ok(_turn) = turn.try_lock() else {
            return Err(OperatorError::Invalid(format!(
                "a test of {name} is running at this moment; it ends within {} seconds",
                LONGEST.as_secs()
            )));
        };
        let at = self.clock.now();
        let outcome = match tokio::time::timeout(LONGEST, connector.probe()).await {
            Ok(Ok(health)) => Ok(health.summary),
            Ok(Err(error)) => Err(error.chain()),
            Err(_) => Err(format!("nothing came back within {} seconds", LONGEST.as_secs())),
        };
        let took = self.clock.now().duration_since(at).as_millis();
        let answered = outcome.is_ok();
        let said = outcome.unwrap_or_else(|error| error);
        let tested = Tested {
            at,
            by: actor.name().to_owned(),
            took: u64::try_from(took).unwrap_or_default(),
            answered,
            said,
        };
        locked(&self.tests.last).insert(name.to_owned(), tested.clone());
        let outcome = if answered { "it answered" } else { "it did not answer as it should" };
        self.note(actor, "connector.test", None, name, Some(outcome.to_owned())).await?;
        Ok(tested)
    }
}
