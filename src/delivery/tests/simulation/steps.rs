//! What a schedule is made of.

use std::fmt;
use std::time::Duration;

use super::super::dice::Dice;
use super::mood::Mood;

/// Something that happens. What it happens to is picked when it does, out of what there is then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) what: What,
    pub(super) pick: Pick,
}

/// A number that stands for one of however many.
#[derive(Clone, Copy)]
pub(super) struct Pick(u64);

impl Pick {
    pub(super) fn dice(self) -> Dice {
        Dice::new(self.0)
    }
}

impl fmt::Debug for Pick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0 & 0xffff)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Write(Write),
    Pass(Duration),
    /// The wall clock is set ahead by so many minutes, or back.
    Jump(i64),
    Mood(Mood),
    Pause,
    Resume,
    /// With another scope, or something else that is in the file.
    Reload,
    Stop,
    Kill,
    Person(Person),
    /// Everyone again at one connector, because a person asks for it.
    Resync,
    /// A difference was found in some.
    Drift,
    Prune,
    FillTheDisk(Duration),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Write {
    Person,
    Group,
    Title,
    Rename,
    /// Two exchange their names.
    Swap,
    Role,
    Delete,
    Join,
    Leave,
    Replace,
}

/// What somebody does to rows that wait.
#[derive(Clone, Copy, Debug)]
pub(super) enum Person {
    RetryAll,
    RetryOne,
    Skip,
    ApproveAll,
    ApproveOne,
    Reject,
}

pub(super) fn schedule(seed: u64, steps: usize) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    (0..steps).map(|_| Step { what: what(&mut dice), pick: Pick(dice.next()) }).collect()
}

fn what(dice: &mut Dice) -> What {
    match dice.throw(100) {
        0..45 => What::Write(write(dice)),
        45..72 => What::Pass(pass(dice)),
        72..82 => What::Mood(Mood::ALL[dice.throw(Mood::ALL.len() as u64) as usize]),
        82 => What::Jump(*pick(dice, &[-1_440, -60, -5, 3, 60, 1_440])),
        83..85 => What::Pause,
        85..88 => What::Resume,
        88 => What::Reload,
        89 => What::Stop,
        90..92 => What::Kill,
        92..96 => What::Person(*pick(
            dice,
            &[
                Person::RetryAll,
                Person::RetryOne,
                Person::RetryOne,
                Person::Skip,
                Person::ApproveAll,
                Person::ApproveOne,
                Person::Reject,
            ],
        )),
        96 => What::Resync,
        97 => What::Drift,
        98 => What::Prune,
        _ => What::FillTheDisk(Duration::from_millis(dice.throw(20_000))),
    }
}

fn write(dice: &mut Dice) -> Write {
    use Write::{Delete, Group, Join, Leave, Person, Rename, Replace, Role, Swap, Title};
    *pick(
        dice,
        &[
            Person, Person, Person, Person, Group, Group, Title, Title, Title, Title, Rename,
            Rename, Swap, Role, Role, Delete, Delete, Join, Join, Join, Leave, Leave, Replace,
        ],
    )
}

/// Mostly moments, now and then hours.
fn pass(dice: &mut Dice) -> Duration {
    let most = *pick(dice, &[50, 50, 500, 500, 5_000, 5_000, 60_000, 600_000, 3_600_000]);
    Duration::from_millis(dice.throw(most))
}

fn pick<'a, T>(dice: &mut Dice, of: &'a [T]) -> &'a T {
    &of[dice.throw(of.len() as u64) as usize]
}
