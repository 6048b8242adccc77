//! Rounds: some load, a moment, SIGKILL, a new start, and a look at what is there.

use std::time::{Duration, Instant};

use super::book::Fault;
use super::house::House;
use super::school::School;
use crate::kit::dice::Dice;
use crate::kit::provider::Provider;
use crate::kit::until;

/// A relay that was killed answers again within this time.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// When it is killed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    UnderLoad,
    /// When SQLite has begun to move the log into the database.
    Checkpoint,
    /// Between SIGHUP and the new configuration, which is another mapping.
    Reload,
    /// Between SIGTERM and the end.
    Shutdown,
    /// While it comes up after another kill.
    Start,
}

pub(super) const MOMENTS: [Moment; 5] =
    [Moment::UnderLoad, Moment::Checkpoint, Moment::Reload, Moment::Shutdown, Moment::Start];

pub(super) struct Rounds {
    pub(super) house: House,
    pub(super) school: School,
    pub(super) provider: Provider,
    dice: Dice,
}

impl Rounds {
    pub(super) async fn begin(seed: u64, timeout: &'static str) -> Self {
        let house = House::start(seed, timeout).await;
        let provider = house.relay.provider("lillevik");
        let school = School::open(&provider, &house.book, seed).await;
        Self { house, school, provider, dice: Dice::new(seed, 998) }
    }

    /// One kill, and what is served after it.
    pub(super) async fn round(&mut self, moment: Moment, writes: usize) {
        self.load(writes).await;
        self.reach(moment).await;
        self.kill();
        if matches!(moment, Moment::Start) {
            self.house.relay.launch();
            self.chance(150).await;
            self.kill();
        }
        self.start().await;
        self.school.compare(&self.provider, &self.house.book).await;
    }

    /// Waits for so many writes.
    pub(super) async fn load(&self, writes: usize) {
        let enough = self.house.book.counts().acknowledged + writes;
        until("enough is written", async || self.house.book.counts().acknowledged >= enough).await;
    }

    async fn reach(&mut self, moment: Moment) {
        match moment {
            Moment::UnderLoad => self.chance(100).await,
            Moment::Checkpoint => {
                let before = self.house.relay.database_changed();
                let begun = Instant::now();
                // It comes when the log has grown enough; the load decides when that is.
                while self.house.relay.database_changed() == before
                    && begun.elapsed() < Duration::from_secs(2)
                {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Moment::Reload => {
                self.house.change_mapping();
                self.house.relay.signal("-HUP");
                self.chance(150).await;
            }
            Moment::Shutdown => {
                self.house.relay.signal("-TERM");
                self.chance(100).await;
            }
            Moment::Start => {}
        }
    }

    fn kill(&mut self) {
        self.house.relay.kill();
        self.house.book.counts().kills += 1;
    }

    pub(super) async fn start(&mut self) {
        let begun = Instant::now();
        self.house.relay.restart().await;
        self.house.book.counts().starts.push(begun.elapsed());
    }

    /// A random moment within so many milliseconds.
    pub(super) async fn chance(&mut self, within: usize) {
        let wait = self.dice.throw(within * 1_000) as u64;
        tokio::time::sleep(Duration::from_micros(wait)).await;
    }

    /// Compares the targets, too.
    pub(super) async fn census(&self) {
        self.school.at_rest(self.house.census(&self.school.ledger)).await;
    }

    pub(super) async fn end(self) {
        let Self { house, school, provider, .. } = self;
        let ledger = school.close().await;
        ledger.compare(&provider, &house.book).await;
        house.census(&ledger).await;
        let usual = house.book.counts().usual_start();
        if usual > READY_WITHIN {
            house.book.fault(Fault::SlowStart, format!("{usual:?} as a rule"));
        }
        house.close().await;
    }
}
