//! [`Pace`]: how many records of a generator are due by now, at a declared rate.

use std::sync::Arc;

use crate::Clock;

/// Counts from the offset and the moment at which a reader was opened: a reader that was stopped for an hour does
/// not make up for it.
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    opened_us: u64,
    from: u64,
    /// Records per second; `None` is unlimited.
    rate: Option<f64>,
}

impl Pace {
    pub(crate) fn new(clock: Arc<dyn Clock>, from: u64, rate: Option<f64>) -> Pace {
        Pace {
            opened_us: clock.now_us(),
            clock,
            from,
            rate,
        }
    }

    /// Records before this number are due.
    pub(crate) fn due(&self) -> u64 {
        let Some(rate) = self.rate else { return u64::MAX };
        let elapsed_us = self.clock.now_us() - self.opened_us;
        // The first record is due at once.
        self.from
            .saturating_add((elapsed_us as f64 * rate / 1e6) as u64)
            .saturating_add(1)
    }
}
