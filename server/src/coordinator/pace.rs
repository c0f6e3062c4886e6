//! How many source rows an epoch takes. Whoever commits waits for the epochs before its own, so that an epoch should
//! not take the workers long, however many views they keep current and however fast a source is. How long that is
//! nobody can know beforehand: it is learned from the epochs that have closed.

use std::time::{Duration, Instant};

/// How long the workers should be busy with the rows of one epoch.
const AIM: Duration = Duration::from_millis(100);
/// How many rows an epoch takes before anything is learned, at least, and at most. With fewer an epoch would hardly be
/// shorter: each costs something for each view, and a source gives whole batches.
const FIRST_ROWS: usize = 64 * 1024;
const MIN_ROWS: usize = 8 * 1024;
const MAX_ROWS: usize = 512 * 1024;

/// How many source rows the next epoch takes.
#[derive(Debug)]
pub(super) struct EpochPace {
    rows: usize,
    /// When the last epoch was closed.
    closed_at: Instant,
}

impl EpochPace {
    /// Nothing is known yet.
    pub(super) fn new() -> EpochPace {
        EpochPace {
            rows: FIRST_ROWS,
            closed_at: Instant::now(),
        }
    }

    /// So many rows; a source gives whole batches, and may go over it by the rest of its last one.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Views come to be, and what the rows of an epoch will cost then nobody knows: it begins with few.
    pub(super) fn begin_again(&mut self) {
        self.rows = MIN_ROWS;
    }

    /// Learns from epochs that were closed at `now`, of which the first was cut at `cut_at`. They had `rows` in all;
    /// `is_full` says that there were more to take.
    pub(super) fn learn(&mut self, rows: usize, is_full: bool, cut_at: Instant, now: Instant) {
        // An epoch waits for the one before it, which is no work of its own.
        let busy = now.duration_since(cut_at.max(self.closed_at));
        self.closed_at = now;
        if is_full {
            let fitting = rows as f64 * AIM.as_secs_f64() / busy.as_secs_f64().max(1e-6);
            // What was once slow may have had another reason: it is tried again, a little more each time.
            self.rows = (fitting as usize).min(self.rows * 2).clamp(MIN_ROWS, MAX_ROWS);
        }
    }
}

/// How an epoch's rows are shared among the sources that have any: equally, and what one leaves of its share goes to
/// those after it.
#[derive(Debug)]
pub(super) struct Shares {
    rows: usize,
    /// Sources with rows that have not had their turn.
    waiting: usize,
}

impl Shares {
    /// So many rows for so many sources.
    pub(super) fn new(rows: usize, waiting: usize) -> Shares {
        Shares { rows, waiting }
    }

    /// The share of the next source: at least a row, so that none is passed over.
    pub(super) fn next(&mut self, has_rows: bool) -> usize {
        let share = (self.rows / self.waiting.max(1)).max(1);
        self.waiting = self.waiting.saturating_sub(usize::from(has_rows));
        share
    }

    /// The source has taken so many.
    pub(super) fn use_up(&mut self, rows: usize) {
        self.rows = self.rows.saturating_sub(rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Closes full epochs, each of which takes `row_time` a row; answers the rows of the next.
    fn after(pace: &mut EpochPace, epochs: usize, row_time: Duration) -> usize {
        for _ in 0..epochs {
            let (rows, cut_at) = (pace.rows(), pace.closed_at);
            pace.learn(rows, true, cut_at, cut_at + row_time * rows as u32);
        }
        pace.rows()
    }

    #[test]
    fn an_epoch_takes_what_the_workers_get_through_in_time() {
        let mut pace = EpochPace::new();
        assert_eq!(after(&mut pace, 10, Duration::from_nanos(1)), MAX_ROWS);
        assert_eq!(after(&mut pace, 10, Duration::from_micros(1)), 100_000);
        assert_eq!(after(&mut pace, 10, Duration::from_millis(1)), MIN_ROWS);
        assert_eq!(
            after(&mut pace, 1, Duration::from_nanos(500)),
            MIN_ROWS * 2,
            "not at once"
        );
        assert_eq!(after(&mut pace, 20, Duration::from_micros(1)), 100_000);
    }

    #[test]
    fn an_epoch_with_fewer_rows_than_it_might_have_says_nothing() {
        let mut pace = EpochPace::new();
        for busy in [Duration::from_micros(1), AIM * 10] {
            let cut_at = pace.closed_at;
            pace.learn(1, false, cut_at, cut_at + busy);
            assert_eq!(pace.rows(), FIRST_ROWS);
        }
    }

    #[test]
    fn what_was_learned_is_forgotten_when_views_come() {
        let mut pace = EpochPace::new();
        after(&mut pace, 10, Duration::from_nanos(1));
        pace.begin_again();
        assert_eq!(pace.rows(), MIN_ROWS);
        assert_eq!(after(&mut pace, 1, Duration::from_nanos(1)), MIN_ROWS * 2);
    }

    #[test]
    fn what_an_epoch_waits_for_is_no_work_of_its_own() {
        let mut pace = EpochPace::new();
        let begun = pace.closed_at;
        pace.learn(FIRST_ROWS, true, begun, begun + AIM);
        pace.learn(FIRST_ROWS, true, begun, begun + AIM * 2);
        assert_eq!(pace.rows(), FIRST_ROWS);
    }

    #[test]
    fn no_source_takes_what_another_waits_for() {
        let mut shares = Shares::new(100, 2);
        let first = shares.next(true);
        shares.use_up(first);
        assert_eq!((first, shares.next(false), shares.next(true)), (50, 50, 50));
    }

    #[test]
    fn what_a_source_leaves_goes_to_the_next_and_each_has_something() {
        let mut shares = Shares::new(100, 2);
        shares.next(true);
        shares.use_up(10);
        assert_eq!(shares.next(true), 90);
        let mut shares = Shares::new(1, 3);
        for _ in 0..3 {
            let share = shares.next(true);
            shares.use_up(share);
            assert_eq!(share, 1);
        }
    }
}
