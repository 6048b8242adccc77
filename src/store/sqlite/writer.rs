//! The one writing connection, and the thread that owns it.
//!
//! It commits in groups: whoever waits when a commit begins is taken along, each in a savepoint of
//! its own, so that one failure or panic undoes that one alone, and one fsync serves them all.
//! There is no timer: when one request waits, it is committed at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
use tokio::sync::{oneshot, watch};

use super::checkpoint::{self, Checkpoints};
use super::mark::Mark;
use super::sql;
use crate::store::{Result, StoreError};

/// Requests that one commit takes along. More would only make the first of them wait.
const FOREGROUND_SHARE: usize = 256;
/// Pieces of background work (settles, claims, fan-out) in one commit, so that a backlog never
/// holds up a request for longer than a few milliseconds.
const BACKGROUND_SHARE: usize = 128;
/// How long background work waits for a request, or for more of its kind, to share a commit with.
/// A commit of its own would make the next request wait for two syncs.
const PATIENCE: Duration = Duration::from_millis(2);
/// Waiting requests beyond which a further one is refused: some seconds of work.
const MAX_WAITING: usize = 8_192;
/// How long a request waits for its commit to begin. Where a disk is slow, being told to come again
/// is better than silence.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The exit code after a failed sync: `EX_IOERR` of sysexits.h.
const EXIT_IO: i32 = 74;

/// Whether someone at the provider waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    Foreground,
    Background,
}

type Work<T> = Box<dyn FnOnce(&Connection) -> Result<Done<T>> + Send>;

/// A result, whether what led to it stands, and whether it made work for the delivery engine.
pub(super) struct Done<T> {
    value: T,
    keep: bool,
    ring: bool,
}

impl<T> Done<T> {
    pub(super) fn quiet(value: T) -> Self {
        Self { value, keep: true, ring: false }
    }

    pub(super) fn ringing(value: T) -> Self {
        Self { value, keep: true, ring: true }
    }

    /// An answer, such as a refusal, for which everything done so far is taken back.
    pub(super) fn undone(value: T) -> Self {
        Self { value, keep: false, ring: false }
    }
}

/// One piece of work on its way through a commit.
trait Job: Send {
    /// Runs inside its savepoint; `false` undoes it.
    fn run(&mut self, connection: &Connection) -> bool;
    fn rings(&self) -> bool;
    /// Since when it waits.
    fn since(&self) -> Instant;
    /// Answers whoever waits, once the commit has (or has not) happened.
    fn finish(self: Box<Self>, commit: &Result<()>);
}

struct Pending<T> {
    work: Option<Work<T>>,
    result: Option<Result<Done<T>>>,
    since: Instant,
    reply: oneshot::Sender<Result<T>>,
}

impl<T: Send> Job for Pending<T> {
    fn run(&mut self, connection: &Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        let result = catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or_else(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .map(ToString::to_string)
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(panic = said, "a store operation panicked; it was undone");
            Err(StoreError::Broken("an operation panicked".to_owned()))
        });
        let kept = result.as_ref().is_ok_and(|done| done.keep);
        self.result = Some(result);
        kept
    }

    fn rings(&self) -> bool {
        matches!(self.result, Some(Ok(Done { ring: true, .. })))
    }

    fn since(&self) -> Instant {
        self.since
    }

    fn finish(self: Box<Self>, commit: &Result<()>) {
        let answer = match (self.result, commit) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(done)), Ok(())) => Ok(done.value),
            (Some(Ok(_)) | None, Err(error)) => Err(error.clone()),
            (None, Ok(())) => Err(StoreError::Busy("the writer stopped".to_owned())),
        };
        // Whoever asked may have gone; the work stands all the same.
        drop(self.reply.send(answer));
    }
}

#[derive(Default)]
struct Queues {
    foreground: VecDeque<Box<dyn Job>>,
    background: VecDeque<Box<dyn Job>>,
    /// When the background work there is loses its patience.
    patience_ends: Option<Instant>,
    closing: bool,
}

impl Queues {
    /// What the next commit takes along; `None` when there is nothing, or nothing that is not
    /// better committed together with what comes next.
    fn take(&mut self) -> Option<Vec<Box<dyn Job>>> {
        let patient = self.foreground.is_empty()
            && self.background.len() < BACKGROUND_SHARE
            && self.patience_ends.is_none_or(|end| Instant::now() < end)
            && !self.closing;
        if patient || (self.foreground.is_empty() && self.background.is_empty()) {
            return None;
        }
        let first = self.foreground.len().min(FOREGROUND_SHARE);
        let second = self.background.len().min(BACKGROUND_SHARE);
        let mut batch: Vec<_> = self.foreground.drain(..first).collect();
        batch.extend(self.background.drain(..second));
        if self.background.is_empty() {
            self.patience_ends = None;
        }
        Some(batch)
    }

    /// Requests that have waited for too long.
    fn take_late(&mut self, wait: Duration) -> Vec<Box<dyn Job>> {
        let late = self.foreground.iter().take_while(|job| job.since().elapsed() >= wait).count();
        self.foreground.drain(..late).collect()
    }

    fn take_all(&mut self) -> impl Iterator<Item = Box<dyn Job>> {
        self.patience_ends = None;
        self.foreground.drain(..).chain(self.background.drain(..))
    }
}

struct Shared {
    queues: Mutex<Queues>,
    woken: Condvar,
    bell: watch::Sender<u64>,
    commits: Box<dyn Fn(Duration, usize) + Send + Sync>,
}

impl Shared {
    fn new(commits: Box<dyn Fn(Duration, usize) + Send + Sync>) -> Self {
        let (queues, woken, bell) = Default::default();
        Self { queues, woken, bell, commits }
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands work to the writer thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    #[cfg(test)]
    memory: Option<Arc<super::memory::Memory>>,
}

impl Writer {
    /// Starts the thread. `commits` hears how long each commit took and how many it served.
    pub(super) fn start(
        mut connection: Connection,
        mark: Mark,
        commits: Box<dyn Fn(Duration, usize) + Send + Sync>,
    ) -> Result<Self> {
        let checkpoints = Checkpoints::take_over(&mut connection).map_err(sql)?;
        let shared = Arc::new(Shared::new(commits));
        let thread = std::thread::Builder::new().name("store-writer".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || Committing { shared, connection, mark, checkpoints, failing: false }.run()
        });
        let thread = thread.map_err(|error| {
            StoreError::Open(format!("cannot start the writer thread: {error}"))
        })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
            #[cfg(test)]
            memory: None,
        })
    }

    #[cfg(test)]
    pub(super) fn of_memory(memory: Arc<super::memory::Memory>) -> Self {
        let shared = Arc::new(Shared::new(Box::new(|_, _| {})));
        Self { shared, thread: Mutex::new(None), memory: Some(memory) }
    }

    pub(super) fn bell(&self) -> watch::Receiver<u64> {
        self.shared.bell.subscribe()
    }

    /// Runs `work` in a commit; returns once that is on stable storage.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        urgency: Urgency,
        work: impl FnOnce(&Connection) -> Result<Done<T>> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending {
            work: Some(Box::new(work)),
            result: None,
            since: Instant::now(),
            reply,
        });
        #[cfg(test)]
        if let Some(memory) = &self.memory {
            let commit = || commit(&self.shared, &memory.connection(), vec![job], |_| {});
            memory.work(commit).await?;
            return answer.await.expect("it was answered");
        }
        {
            let mut queues = self.shared.queues();
            if queues.closing {
                return Err(StoreError::Busy("it is closing".to_owned()));
            }
            let queue = match urgency {
                Urgency::Foreground => &mut queues.foreground,
                Urgency::Background => &mut queues.background,
            };
            if queue.len() >= MAX_WAITING {
                return Err(StoreError::Busy(format!("{MAX_WAITING} writes are waiting")));
            }
            queue.push_back(job);
            if urgency == Urgency::Background {
                queues.patience_ends.get_or_insert_with(|| Instant::now() + PATIENCE);
            }
        }
        self.shared.woken.notify_one();
        answer.await.unwrap_or_else(|_| Err(StoreError::Busy("the writer stopped".to_owned())))
    }

    /// Finishes what waits and ends the thread.
    pub(super) fn close(&self) {
        self.shared.queues().closing = true;
        self.shared.woken.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for work; `None` when closing and nothing is left.
fn next_batch(shared: &Shared) -> Option<Vec<Box<dyn Job>>> {
    let mut queues = shared.queues();
    loop {
        for job in queues.take_late(MAX_WAIT) {
            let waited =
                format!("a write has waited for {} seconds", job.since().elapsed().as_secs());
            job.finish(&Err(StoreError::Busy(waited)));
        }
        if let Some(batch) = queues.take() {
            return Some(batch);
        }
        queues = match queues.patience_ends {
            Some(end) => {
                let left = end.saturating_duration_since(Instant::now());
                shared.woken.wait_timeout(queues, left).unwrap_or_else(PoisonError::into_inner).0
            }
            None if queues.closing => return None,
            None => shared.woken.wait(queues).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// What the thread works with.
struct Committing {
    shared: Arc<Shared>,
    connection: Connection,
    mark: Mark,
    checkpoints: Checkpoints,
    /// Whether the last commit failed: it is the change that is worth a line in the log.
    failing: bool,
}

impl Committing {
    fn run(mut self) {
        while let Some(batch) = next_batch(&self.shared) {
            self.commit(batch);
            if let Err(error) = self.checkpoints.after_commit(&self.connection) {
                end_where_the_disk_lies(&error);
            }
        }
        checkpoint::last(&self.connection);
        self.mark.sync();
    }

    fn commit(&mut self, batch: Vec<Box<dyn Job>>) {
        let Self { shared, connection, mark, failing, .. } = self;
        commit(shared, connection, batch, |outcome| {
            match outcome {
                Err(error) if *failing => tracing::debug!(%error, "commits still fail"),
                Err(error) => {
                    tracing::error!(%error, "commits fail: nothing is acknowledged until they go again");
                }
                Ok(()) if *failing => tracing::info!("commits go again"),
                Ok(()) => {}
            }
            *failing = outcome.is_err();
            if outcome.is_ok() {
                mark.note(connection);
            }
        });
    }
}

/// Commits these, and answers whoever waits for them once `note` has heard how that ended.
fn commit(
    shared: &Shared,
    connection: &Connection,
    mut batch: Vec<Box<dyn Job>>,
    note: impl FnOnce(&Result<()>),
) {
    let begun = Instant::now();
    let outcome = match statement(connection, "BEGIN IMMEDIATE") {
        Ok(()) => in_transaction(connection, &mut batch),
        Err(error) => {
            // Another process holds the database, and was waited for: nobody waits twice.
            batch.extend(shared.queues().take_all());
            Err(error)
        }
    };
    if outcome.is_err()
        && !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::error!(%error, "a commit that failed could not be rolled back");
    }
    note(&outcome);
    (shared.commits)(begun.elapsed(), batch.len());
    let rings = outcome.is_ok() && batch.iter().any(|job| job.rings());
    for job in batch {
        job.finish(&outcome);
    }
    if rings {
        shared.bell.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn statement(connection: &Connection, text: &str) -> Result<()> {
    connection.prepare_cached(text).and_then(|mut s| s.execute([])).map_err(sql)?;
    Ok(())
}

fn in_transaction(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<()> {
    for job in batch.iter_mut() {
        statement(connection, "SAVEPOINT job")?;
        if !job.run(connection) {
            // A full disk can have ended the whole transaction already.
            if connection.is_autocommit() {
                return Err(StoreError::Busy("the disk refused a write".to_owned()));
            }
            statement(connection, "ROLLBACK TO job")?;
        }
        statement(connection, "RELEASE job")?;
    }
    connection.prepare_cached("COMMIT").and_then(|mut s| s.execute([])).map_err(|error| {
        end_where_the_disk_lies(&error);
        sql(error)
    })?;
    Ok(())
}

/// A failed sync cannot be tried again: the kernel has dropped the pages, and the next sync would
/// report success without them. The process ends before it acknowledges anything more, and recovers
/// from what is on the disk when it is started again.
fn end_where_the_disk_lies(error: &rusqlite::Error) {
    let code = error.sqlite_error().map(|error| error.extended_code);
    if matches!(code, Some(SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC)) {
        tracing::error!(%error, "the disk could not sync the database; ending at once, so that nothing is acknowledged that may be lost");
        std::process::exit(EXIT_IO);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::open;
    use super::*;
    use crate::store::Lost;

    fn writer() -> (tempfile::TempDir, Writer) {
        let folder = tempfile::tempdir().unwrap();
        let (connection, mark) = open::writer_of(folder.path(), Lost::Refused).unwrap();
        connection.execute_batch("CREATE TABLE word (text TEXT UNIQUE)").unwrap();
        (folder, Writer::start(connection, mark, Box::new(|_, _| {})).unwrap())
    }

    fn insert(c: &Connection, word: &str) -> Result<()> {
        c.execute("INSERT INTO word VALUES (?1)", [word]).map_err(sql)?;
        Ok(())
    }

    fn words(c: &Connection) -> Result<Done<Vec<String>>> {
        c.prepare("SELECT text FROM word ORDER BY rowid")
            .and_then(|mut s| s.query_map([], |row| row.get(0))?.collect())
            .map(Done::quiet)
            .map_err(sql)
    }

    /// Holds the writer until `open` is dropped, so that what follows meets in one commit.
    async fn hold(writer: &Writer) -> (mpsc::Sender<()>, oneshot::Receiver<Result<()>>) {
        let (open, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let (reply, held) = oneshot::channel();
        let work: Work<()> = Box::new(move |_| {
            begun.send(()).unwrap();
            gate.recv().unwrap_err();
            Ok(Done::quiet(()))
        });
        let since = Instant::now();
        let job = Box::new(Pending { work: Some(work), result: None, since, reply });
        writer.shared.queues().foreground.push_back(job);
        writer.shared.woken.notify_one();
        has_begun.await.unwrap();
        (open, held)
    }

    #[tokio::test]
    async fn a_failure_or_a_panic_costs_its_own_write_and_no_other() {
        let (_folder, writer) = writer();
        let (open, _held) = hold(&writer).await;
        let write = |word: &'static str, end: fn() -> Result<Done<&'static str>>| {
            writer.write(Urgency::Foreground, move |c| {
                insert(c, word)?;
                end()
            })
        };
        let (first, panic, refused, failed, last, ()) = tokio::join!(
            write("first", || Ok(Done::quiet("kept"))),
            write("panic", || panic!("a fault of ours")),
            write("refused", || Ok(Done::undone("taken"))),
            write("failed", || Err(StoreError::Broken("wrong".to_owned()))),
            write("last", || Ok(Done::quiet("kept"))),
            async { drop(open) },
        );
        assert_eq!((first.unwrap(), last.unwrap(), refused.unwrap()), ("kept", "kept", "taken"));
        assert!(matches!(panic, Err(StoreError::Broken(said)) if said.contains("panicked")));
        assert!(matches!(failed, Err(StoreError::Broken(said)) if said == "wrong"));
        assert_eq!(writer.write(Urgency::Foreground, words).await.unwrap(), ["first", "last"]);
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_acknowledged_to_nobody_and_the_next_one_is_made() {
        let (_folder, writer) = writer();
        let (open, _held) = hold(&writer).await;
        let (kept, ended, ()) = tokio::join!(
            writer.write(Urgency::Foreground, |c| insert(c, "kept").map(Done::quiet)),
            // As a full disk does: the whole transaction is gone.
            writer.write(Urgency::Foreground, |c| {
                c.execute_batch("ROLLBACK").map_err(sql)?;
                Err::<Done<()>, _>(StoreError::Busy("disk full".to_owned()))
            }),
            async { drop(open) },
        );
        assert!(matches!(kept, Err(StoreError::Busy(_))), "{kept:?}");
        assert!(matches!(ended, Err(StoreError::Busy(said)) if said == "disk full"));
        writer.write(Urgency::Background, |c| insert(c, "later").map(Done::quiet)).await.unwrap();
        assert_eq!(writer.write(Urgency::Foreground, words).await.unwrap(), ["later"]);
    }

    #[tokio::test]
    async fn requests_go_before_background_work() {
        let (_folder, writer) = writer();
        let (open, _held) = hold(&writer).await;
        let insert = |urgency, word: &'static str| {
            writer.write(urgency, move |c| insert(c, word).map(Done::quiet))
        };
        let (background, foreground, ()) = tokio::join!(
            insert(Urgency::Background, "settled"),
            insert(Urgency::Foreground, "asked"),
            async { drop(open) },
        );
        background.and(foreground).unwrap();
        assert_eq!(writer.write(Urgency::Foreground, words).await.unwrap(), ["asked", "settled"]);
    }

    #[tokio::test]
    async fn a_request_that_has_waited_for_too_long_is_put_off_and_background_work_is_not() {
        let (_folder, writer) = writer();
        let (_open, _held) = hold(&writer).await;
        let nothing = |urgency| Box::pin(writer.write(urgency, |_| Ok(Done::quiet(()))));
        let mut request = nothing(Urgency::Foreground);
        let mut settlement = nothing(Urgency::Background);
        assert!(futures_util::poll!(&mut request).is_pending());
        assert!(futures_util::poll!(&mut settlement).is_pending());
        assert_eq!(writer.shared.queues().take_late(MAX_WAIT).len(), 0);
        assert_eq!(writer.shared.queues().take_late(Duration::ZERO).len(), 1);
        assert_eq!(writer.shared.queues().background.len(), 1);
    }

    #[tokio::test]
    async fn too_many_that_wait_are_refused_and_closing_finishes_the_rest() {
        let (_folder, writer) = writer();
        let (open, held) = hold(&writer).await;
        let nothing = || writer.write(Urgency::Background, |_| Ok(Done::quiet(())));
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| Box::pin(nothing())).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(matches!(nothing().await, Err(StoreError::Busy(said)) if said.contains("waiting")));
        drop(open);
        writer.close();
        held.await.unwrap().unwrap();
        for one in waiting {
            one.await.unwrap();
        }
        assert!(matches!(nothing().await, Err(StoreError::Busy(_))));
    }
}
