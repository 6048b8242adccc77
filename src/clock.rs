//! What time it is, as an argument, so that a test can set it.

use std::fmt::Debug;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use jiff::Timestamp;

/// The wall clock. Everything but this file asks it instead of the system.
pub trait Clock: Send + Sync + Debug {
    fn now(&self) -> Timestamp;

    /// What time it would be had nobody set the clock since the process began.
    fn undisturbed(&self) -> Timestamp {
        self.now()
    }
}

pub type SharedClock = Arc<dyn Clock>;

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// When the process began, by both clocks.
static BEGUN: LazyLock<(Timestamp, Instant)> =
    LazyLock::new(|| (SystemClock.now(), Instant::now()));

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn undisturbed(&self) -> Timestamp {
        let (wall, steady) = *BEGUN;
        wall.checked_add(steady.elapsed()).unwrap_or(Timestamp::MAX)
    }
}

impl SystemClock {
    /// Called as the process begins.
    pub fn shared() -> SharedClock {
        LazyLock::force(&BEGUN);
        Arc::new(Self)
    }
}
