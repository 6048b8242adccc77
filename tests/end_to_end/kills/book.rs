//! What was counted: the faults, each with its story, and the figures beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A write that was acknowledged is not served.
    Lost,
    /// What was deleted is served.
    Resurrected,
    /// What nobody wrote is served.
    Invented,
    /// A write is served in part, or a group names somebody who does not exist.
    HalfApplied,
    /// An answer that no request of these can get.
    Unexpected,
    NotDelivered,
    /// An event of what did not happen.
    Phantom,
    /// An event before an earlier one of the same resource was taken.
    OutOfOrder,
    /// An event after a later one of the same resource.
    Stale,
    /// Another body under the same `webhook-id`.
    Changed,
    /// The directory is not what the relay serves.
    Directory,
    MailLost,
    MailTwice,
    /// A mail to somebody who was never there.
    MailPhantom,
    SlowStart,
    /// It did not end as it should have.
    BadEnd,
    /// What a process that is gone left behind.
    Litter,
}

const FAULTS: [Fault; 17] = [
    Fault::Lost,
    Fault::Resurrected,
    Fault::Invented,
    Fault::HalfApplied,
    Fault::Unexpected,
    Fault::NotDelivered,
    Fault::Phantom,
    Fault::OutOfOrder,
    Fault::Stale,
    Fault::Changed,
    Fault::Directory,
    Fault::MailLost,
    Fault::MailTwice,
    Fault::MailPhantom,
    Fault::SlowStart,
    Fault::BadEnd,
    Fault::Litter,
];

/// So many stories of one fault are kept.
const STORIES: usize = 10;

#[derive(Default)]
pub(super) struct Book(Mutex<Counts>);

#[derive(Clone, Default)]
pub(super) struct Counts {
    pub(super) acknowledged: usize,
    /// Requests that got no answer, and of these how many were carried out all the same.
    pub(super) unanswered: usize,
    pub(super) carried_out: usize,
    pub(super) kills: usize,
    /// Requests that the receiver of webhooks got, how many it refused on purpose, and how many told
    /// again what it had taken, for no other reason than a crash.
    pub(super) events: usize,
    pub(super) refused: usize,
    pub(super) repeats: usize,
    pub(super) mails: usize,
    /// Mails that a kill left in doubt, which a person had to look for.
    pub(super) doubts: usize,
    /// How long each start after a kill took.
    pub(super) starts: Vec<Duration>,
    faults: BTreeMap<Fault, (usize, Vec<String>)>,
}

impl Book {
    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fault(&self, fault: Fault, story: impl Into<String>) {
        let mut counts = self.counts();
        let (count, stories) = counts.faults.entry(fault).or_default();
        *count += 1;
        if stories.len() < STORIES {
            stories.push(story.into());
        }
    }

    /// Fails if anything went wrong, and says what.
    #[track_caller]
    pub(super) fn close(&self) {
        let counts = self.counts().clone();
        let stories: Vec<String> = counts
            .faults
            .iter()
            .flat_map(|(fault, (_, stories))| {
                stories.iter().map(move |s| format!("{fault:?}: {s}"))
            })
            .collect();
        assert!(stories.is_empty(), "{counts}\n{}", stories.join("\n"));
    }
}

impl Counts {
    /// The median: what else the machine does makes one start slow, and not half of them.
    pub(super) fn usual_start(&self) -> Duration {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        starts.get(starts.len() / 2).copied().unwrap_or_default()
    }

    pub(super) fn faults(&self) -> usize {
        self.faults.values().map(|(count, _)| count).sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "acknowledged writes   {}", self.acknowledged)?;
        let Self { unanswered, carried_out, .. } = self;
        writeln!(f, "unanswered            {unanswered}, {carried_out} of them carried out")?;
        writeln!(f, "kills                 {}", self.kills)?;
        let Self { events, refused, repeats, .. } = self;
        writeln!(f, "webhook requests      {events}, {refused} refused on purpose")?;
        writeln!(f, "events told again     {repeats}")?;
        writeln!(f, "mails                 {}, {} left in doubt", self.mails, self.doubts)?;
        let slowest = self.starts.iter().max().map_or(0, Duration::as_millis);
        writeln!(
            f,
            "starts                {} ms, the slowest {slowest} ms",
            self.usual_start().as_millis()
        )?;
        for fault in FAULTS {
            let count = self.faults.get(&fault).map_or(0, |(count, _)| *count);
            writeln!(f, "{:<21} {count}", format!("{fault:?}"))?;
        }
        Ok(())
    }
}
