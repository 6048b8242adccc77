//! What came of the rows that were picked, in a sentence or two. Pure.

use crate::console::notices::Notice;
use crate::operator::QueuePick;
use crate::operator::words::counted;
use crate::store::{Entry, Touched};

use super::called;

/// Names in a sentence, at most.
const NAMES: usize = 5;

/// What was to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    Again,
    Skipped,
}

/// `entries` are the rows as they were just before.
pub(super) fn told(
    tried: Tried,
    picks: &[QueuePick],
    entries: &[Entry],
    touched: &[Touched],
) -> Notice {
    let count = |what: Touched| touched.iter().filter(|one| **one == what).count() as u64;
    let mut sentences = Vec::new();
    let done = count(Touched::Done);
    if done > 0 {
        sentences.push(match tried {
            Tried::Again => {
                format!("{} tried again now.", counted(done, "entry is being", "entries are being"))
            }
            Tried::Skipped => {
                format!("{} skipped.", counted(done, "entry was", "entries were"))
            }
        });
    } else {
        sentences.push("Nothing was done.".to_owned());
    }
    for (what, one, many) in [
        (Touched::Gone, "is in line by now", "are in line by now"),
        (
            Touched::InFlight,
            "is being delivered at this moment, and was left alone",
            "are being delivered at this moment, and were left alone",
        ),
        (
            Touched::Held,
            "waits for approval, which is another matter",
            "wait for approval, which is another matter",
        ),
        (Touched::Scheduled, "keeps its day", "keep their day"),
        (
            Touched::Changed,
            "has changed meanwhile, and was left alone",
            "have changed meanwhile, and were left alone",
        ),
    ] {
        let names: Vec<String> = picks
            .iter()
            .zip(touched)
            .filter(|(_, touched)| **touched == what)
            .map(|(pick, _)| name(pick, entries))
            .collect();
        if !names.is_empty() {
            let verb = if names.len() == 1 { one } else { many };
            sentences.push(format!("{} {verb}.", listed(&names)));
        }
    }
    let text = sentences.join(" ");
    if done == touched.len() as u64 { Notice::done(text) } else { Notice::but(text) }
}

fn name(pick: &QueuePick, entries: &[Entry]) -> String {
    let entry =
        entries.iter().find(|entry| entry.id == pick.id && entry.connector == pick.connector);
    entry.map_or_else(|| "What was picked".to_owned(), called)
}

/// `Kari, Ola and 3 more`.
fn listed(names: &[String]) -> String {
    let (shown, rest) = names.split_at(names.len().min(NAMES));
    match (shown, rest.len()) {
        ([one], 0) => one.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::pages::queue::tests::entry;
    use crate::console::pages::queue::{pick, picked};

    fn check(tried: Tried, touched: &[Touched], tone: &str, expected: &str) {
        let names = ["Kari", "Ola", "Liv", "Per", "Tor", "Ada", "Bo"];
        let entries: Vec<Entry> = names.iter().map(|name| entry(name)).collect();
        let picks: Vec<_> = entries.iter().map(|entry| picked(&pick(entry)).unwrap()).collect();
        let notice = told(tried, &picks[..touched.len()], &entries, touched);
        assert_eq!((notice.tone, notice.text.as_str()), (tone, expected));
    }

    #[test]
    fn whoever_was_left_out_is_named() {
        use Touched::{Changed, Done, Gone, Held, InFlight, Scheduled};
        check(Tried::Again, &[Done], "ok", "1 entry is being tried again now.");
        check(Tried::Skipped, &[Done, Done], "ok", "2 entries were skipped.");
        check(
            Tried::Skipped,
            &[Done, Changed, InFlight],
            "wait",
            "1 entry was skipped. Liv is being delivered at this moment, and was left alone. Ola has \
             changed meanwhile, and was left alone.",
        );
        check(
            Tried::Again,
            &[Held, Held, Scheduled],
            "wait",
            "Nothing was done. Kari and Ola wait for approval, which is another matter. Liv keeps its \
             day.",
        );
        check(
            Tried::Again,
            &[Gone; 7],
            "wait",
            "Nothing was done. Kari, Ola, Liv, Per, Tor and 2 more are in line by now.",
        );
    }
}
