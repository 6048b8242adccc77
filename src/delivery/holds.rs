//! What a connector holds for a person's approval, as the log tells it: that it begins and that it
//! is over, and not each of a thousand.

use std::sync::{Mutex, MutexGuard, PoisonError};

use scim_relay_sdk::connector::HoldKind;

/// The kinds that are held, as far as the log has said.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<Vec<HoldKind>>);

impl Holds {
    /// What is held from before this process.
    pub(super) fn begin_with(&self, kinds: Vec<HoldKind>) {
        *self.kinds() = kinds;
    }

    /// Whether this is the first of its kind.
    pub(super) fn begins(&self, kind: HoldKind) -> bool {
        let mut kinds = self.kinds();
        let is_new = !kinds.contains(&kind);
        if is_new {
            kinds.push(kind);
        }
        is_new
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kinds().is_empty()
    }

    /// Which of them are over, when only these are left.
    pub(super) fn left(&self, left: &[HoldKind]) -> Vec<HoldKind> {
        self.kinds().extract_if(.., |kind| !left.contains(kind)).collect()
    }

    fn kinds(&self) -> MutexGuard<'_, Vec<HoldKind>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For a sentence: `holds removals`.
pub(super) fn noun(kind: HoldKind) -> &'static str {
    match kind {
        HoldKind::Removal => "removals",
        HoldKind::MemberRemoval => "removals of members",
        HoldKind::TakeOver => "take-overs",
        HoldKind::FirstRun => "new entries",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_begins_once_and_is_over_once() {
        let holds = Holds::default();
        holds.begin_with(vec![HoldKind::TakeOver]);
        assert!(!holds.begins(HoldKind::TakeOver), "that was said before");
        assert!(holds.begins(HoldKind::Removal) && !holds.begins(HoldKind::Removal));
        assert_eq!(holds.left(&[HoldKind::Removal]), [HoldKind::TakeOver]);
        assert_eq!(holds.left(&[HoldKind::Removal]), []);
        assert_eq!(holds.left(&[]), [HoldKind::Removal]);
        assert!(holds.is_empty());
        assert!(holds.begins(HoldKind::Removal), "a second time is news");
    }
}
