//! Which operation comes first: as they were sent, apart from those that wait for another.
//!
//! `after[i]` are the places that `i` waits for; whatever is not one of them does not matter to it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// The places in the order of their turns: the lowest of those that wait for nobody who is still
/// there. A circle is left out, and so is who waits for it.
pub(super) fn order(after: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = after.iter().map(BTreeSet::len).collect();
    let mut followers = vec![Vec::new(); after.len()];
    for (place, waits) in after.iter().enumerate() {
        for &other in waits {
            followers[other].push(place);
        }
    }
    let free = (0..after.len()).filter(|&place| waiting[place] == 0);
    let mut ready: BinaryHeap<_> = free.map(Reverse).collect();
    let mut turns = Vec::with_capacity(after.len());
    while let Some(Reverse(place)) = ready.pop() {
        turns.push(place);
        for &follower in &followers[place] {
            waiting[follower] -= 1;
            if waiting[follower] == 0 {
                ready.push(Reverse(follower));
            }
        }
    }
    turns
}

/// The places that lie on a circle, or between two.
pub(super) fn circular(after: &[BTreeSet<usize>]) -> Vec<usize> {
    let free: BTreeSet<usize> = order(after).into_iter().collect();
    // What is left waits for a circle; whom nobody of these waits for is on none.
    let left = |place: &usize| !free.contains(place);
    let mut before = vec![BTreeSet::new(); after.len()];
    for (place, waits) in after.iter().enumerate().filter(|(place, _)| left(place)) {
        for other in waits.iter().copied().filter(left) {
            before[other].insert(place);
        }
    }
    let trailing: BTreeSet<usize> = order(&before).into_iter().collect();
    (0..after.len()).filter(left).filter(|place| !trailing.contains(place)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(after: &[&[usize]], expected: &[usize], circles: &[usize]) {
        let after: Vec<BTreeSet<usize>> =
            after.iter().map(|waits| waits.iter().copied().collect()).collect();
        assert_eq!(order(&after), expected, "order");
        assert_eq!(circular(&after), circles, "circular");
    }

    #[test]
    fn without_references_the_order_is_the_one_that_was_sent() {
        check(&[&[], &[], &[]], &[0, 1, 2], &[]);
    }

    #[test]
    fn whoever_waits_comes_as_soon_as_it_can() {
        check(&[&[2], &[], &[], &[]], &[1, 2, 0, 3], &[]);
        check(&[&[1], &[2], &[3], &[]], &[3, 2, 1, 0], &[]);
        check(&[&[1, 2], &[3], &[3], &[]], &[3, 1, 2, 0], &[]);
    }

    #[test]
    fn a_circle_is_told_from_those_who_wait_for_it() {
        check(&[&[0], &[]], &[1], &[0]);
        check(&[&[1], &[0], &[1], &[2], &[]], &[4], &[0, 1]);
        check(&[&[1], &[2], &[0], &[4], &[3, 0]], &[], &[0, 1, 2, 3, 4]);
    }

    /// Whom each place waits for, through however many others.
    fn reach(after: &[BTreeSet<usize>]) -> Vec<BTreeSet<usize>> {
        let mut reach = after.to_vec();
        for _ in after {
            for place in 0..reach.len() {
                let further = reach[place].iter().flat_map(|&other| reach[other].clone());
                let further: Vec<usize> = further.collect();
                reach[place].extend(further);
            }
        }
        reach
    }

    proptest! {
        #[test]
        fn everyone_comes_once_and_after_whom_it_waits_for(
            mut after in vec(btree_set(0_usize..9, 0..3), 9)
        ) {
            let reach = reach(&after);
            let in_circle = |place: usize| reach[place].contains(&place);
            let circles = circular(&after);
            for place in 0..9 {
                let waits_for_one = reach[place].iter().any(|&other| in_circle(other));
                let waited_for = (0..9).any(|one| in_circle(one) && reach[one].contains(&place));
                prop_assert_eq!(circles.contains(&place), waits_for_one && waited_for);
            }
            for place in circles {
                after[place].clear();
            }
            let turns = order(&after);
            prop_assert_eq!(turns.iter().copied().collect::<BTreeSet<_>>().len(), 9);
            for (turn, place) in turns.iter().enumerate() {
                prop_assert!(after[*place].iter().all(|other| turns[..turn].contains(other)));
            }
        }
    }
}
