//! [`Due`]: numbers of rows or partitions, by the time at which a watermark releases them.
//!
//! What goes and comes back before its time is listed again, under the same number or under one that another has left.
//! A list that has grown is therefore cleared of repetitions: it never has more than twice as many numbers as there
//! are, and a few.

use std::collections::BTreeMap;

/// With fewer numbers a list is not searched for repetitions.
const TIDY_LENGTH_MIN: usize = 64;

/// Numbers by time.
#[derive(Debug, Default)]
pub(super) struct Due {
    by_time: BTreeMap<i64, List>,
}

#[derive(Debug, Default)]
struct List {
    numbers: Vec<u32>,
    /// How many of them were left when repetitions were last cleared.
    tidy_length: usize,
}

impl Due {
    /// Lists a number.
    pub(super) fn add(&mut self, time: i64, number: u32) {
        let list = self.by_time.entry(time).or_default();
        list.numbers.push(number);
        if list.numbers.len() > 2 * list.tidy_length.max(TIDY_LENGTH_MIN) {
            list.numbers.sort_unstable();
            list.numbers.dedup();
            list.tidy_length = list.numbers.len();
        }
    }

    /// Takes out all numbers listed for a time before this one; all there are for `None`. Some may come twice.
    pub(super) fn take_before(&mut self, time: Option<i64>) -> impl Iterator<Item = u32> + use<> {
        let kept = match time {
            Some(time) => self.by_time.split_off(&time),
            None => BTreeMap::new(),
        };
        let passed = std::mem::replace(&mut self.by_time, kept);
        passed.into_values().flat_map(|list| list.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_and_again_is_listed_a_few_times() {
        let mut due = Due::default();
        for round in 0..100_000 {
            due.add(7, round % 3);
        }
        due.add(8, 9);
        let taken: Vec<u32> = due.take_before(Some(8)).collect();
        assert!(taken.len() <= 2 * TIDY_LENGTH_MIN, "{}", taken.len());
        assert!((0..3).all(|number| taken.contains(&number)));
        assert_eq!(due.take_before(None).collect::<Vec<_>>(), [9]);
    }
}
