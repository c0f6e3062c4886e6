//! What is known about rows without looking at them: by which columns they are unique, whether they are ever
//! retracted, which columns a watermark bounds, and which of those are *closed*.
//!
//! A column is **bounded** by sources when values change no more once the smallest of their watermarks has reached
//! the value plus [`Bound::after_us`]: a row's own time (after 1 microsecond), a window's end (at once), a window's
//! start (after the window's size). Nothing else may be said of rows that have such a value: retractions count too.
//! So a join with a table that may change at any time bounds no column, unless both sides bound the columns it
//! equates, and a relation whose rows can be deleted bounds none.
//!
//! A column is **closed** when all rows with one value in it appear in one epoch, the one in which that value becomes
//! complete, and stay; and it is never NULL. Rows are **settled** when that is so of a column that they have or had.
//! EMIT ON WINDOW CLOSE wants a view of settled rows. Rows that wait for the end of their window come later than any
//! other time that they carry, so only the columns a fixed time apart from that end stay bounded ([`Facts::closed_by`]).

use highwater_types::RelationId;

/// What is known about a node's output. One entry in `bounds` a column.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Columns by which rows are unique.
    pub(super) key: Option<Vec<usize>>,
    /// Whether rows are never retracted.
    pub(super) append_only: bool,
    /// What bounds each column.
    pub(super) bounds: Vec<Option<Bound>>,
    /// The closed columns; sorted.
    pub(super) closed: Vec<usize>,
    /// Whether rows are settled.
    pub(super) settled: bool,
}

/// What bounds a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    /// Whose watermarks; sorted, once each, never empty.
    pub(super) sources: Vec<RelationId>,
    /// A value is complete when the smallest watermark reaches it plus this many microseconds.
    pub(super) after_us: i64,
    /// Values are whole multiples of this many microseconds from `grid_offset_us`; 1 when nothing better is known.
    pub(super) grid_us: i64,
    /// See `grid_us`.
    pub(super) grid_offset_us: i64,
    /// Columns of one row with the same family are a fixed time apart: the start and the end of one window.
    pub(super) family: Option<usize>,
    /// Whether values come from the bounds of windows: rows may wait for them with EMIT ON WINDOW CLOSE.
    pub(super) windowed: bool,
    /// Whether a join puts NULL into the column in rows that have no partner on its side. Such a row belongs to no
    /// window by this column, and must not wait for it to close.
    pub(super) missing: bool,
}

impl Facts {
    /// Of a node with this many columns about which nothing is known.
    pub(super) fn unknown(width: usize) -> Facts {
        Facts {
            bounds: vec![None; width],
            ..Facts::default()
        }
    }

    /// The sources bounding each column, as the plan shows them.
    pub(super) fn watermarks(&self) -> Vec<Vec<RelationId>> {
        self.bounds
            .iter()
            .map(|b| b.as_ref().map_or_else(Vec::new, |b| b.sources.clone()))
            .collect()
    }

    /// The facts of rows of which only `columns` are kept, in this order. `None` stands for a computed column.
    pub(super) fn project(&self, columns: &[Option<usize>]) -> Facts {
        let place = |wanted: &usize| columns.iter().position(|c| c.as_ref() == Some(wanted));
        let key = self
            .key
            .as_ref()
            .and_then(|key| key.iter().map(place).collect::<Option<Vec<_>>>());
        let bounds = columns.iter().map(|c| c.and_then(|c| self.bounds[c].clone())).collect();
        let closed = columns
            .iter()
            .enumerate()
            .filter(|(_, c)| c.is_some_and(|c| self.closed.contains(&c)))
            .map(|(at, _)| at)
            .collect();
        Facts {
            key,
            append_only: self.append_only,
            bounds,
            closed,
            settled: self.settled,
        }
    }

    /// The first of `columns` that is bounded, the one that is complete soonest before others.
    pub(super) fn soonest(&self, columns: &[usize]) -> Option<(usize, &Bound)> {
        self.soonest_where(columns, |_| true)
    }

    /// The first of `columns` with a bound like this, the one that is complete soonest before others.
    pub(super) fn soonest_where(&self, columns: &[usize], wanted: impl Fn(&Bound) -> bool) -> Option<(usize, &Bound)> {
        columns
            .iter()
            .enumerate()
            .filter_map(|(at, column)| Some((at, self.bounds[*column].as_ref()?)))
            .filter(|(_, bound)| wanted(bound))
            .min_by_key(|(_, bound)| (bound.sources.len(), bound.after_us))
    }

    /// The facts of these rows once each appears when its value in `column`, which is bounded, is complete. What else
    /// bounded them says no more when they come.
    pub(super) fn closed_by(&self, column: usize) -> Facts {
        let closed = self.family_of(column);
        let bounds = self.bounds.iter().enumerate();
        Facts {
            key: self.key.clone(),
            append_only: true,
            bounds: bounds
                .map(|(at, bound)| bound.clone().filter(|_| closed.contains(&at)))
                .collect(),
            closed,
            settled: true,
        }
    }

    /// The columns of the family of a bounded column, itself among them.
    pub(super) fn family_of(&self, column: usize) -> Vec<usize> {
        let Some(family) = self.bounds[column].as_ref().and_then(|b| b.family) else {
            return vec![column];
        };
        self.bounds
            .iter()
            .enumerate()
            .filter(|(_, b)| b.as_ref().is_some_and(|b| b.family == Some(family)))
            .map(|(at, _)| at)
            .collect()
    }

    /// The facts of an operator's output that changes whole partitions of its input's rows: only columns of the
    /// partition stay bounded, unless every partition appears at once and for good.
    pub(super) fn within_partitions(&self, partition: &[usize]) -> Facts {
        if self.append_only && partition.iter().any(|c| self.closed.contains(c)) {
            return self.clone();
        }
        let bounds = self
            .bounds
            .iter()
            .enumerate()
            .map(|(at, bound)| bound.clone().filter(|_| partition.contains(&at)))
            .collect();
        Facts {
            key: self.key.clone(),
            append_only: false,
            bounds,
            closed: Vec::new(),
            settled: false,
        }
    }
}

impl Bound {
    /// The bound of a relation's own time column.
    pub(super) fn time(source: RelationId, family: usize) -> Bound {
        Bound {
            sources: vec![source],
            after_us: 1,
            grid_us: 1,
            grid_offset_us: 0,
            family: Some(family),
            windowed: false,
            missing: false,
        }
    }

    /// What bounds the end of windows that start every `slide_us` microseconds from `offset_us`, by a column with
    /// this bound.
    pub(super) fn window_end(&self, slide_us: i64, offset_us: i64, family: usize) -> Bound {
        // A window takes the values before its end. The last of them lies one step of the grid before it, when ends
        // lie on the grid too, and a microsecond before it otherwise.
        let on_grid = slide_us % self.grid_us == 0 && (offset_us - self.grid_offset_us) % self.grid_us == 0;
        let last = if on_grid { self.grid_us } else { 1 };
        Bound {
            sources: self.sources.clone(),
            after_us: (self.after_us - last).max(0),
            grid_us: slide_us,
            grid_offset_us: offset_us.rem_euclid(slide_us),
            family: Some(family),
            windowed: true,
            missing: self.missing,
        }
    }

    /// The same bound for a column that is this many microseconds less.
    pub(super) fn earlier(&self, by_us: i64) -> Bound {
        Bound {
            after_us: self.after_us + by_us,
            grid_offset_us: (self.grid_offset_us - by_us).rem_euclid(self.grid_us),
            ..self.clone()
        }
    }

    /// What bounds a column that both `self` and `other` bound, by changes of either kind.
    pub(super) fn both(&self, other: &Bound) -> Bound {
        let mut sources: Vec<RelationId> = self.sources.iter().chain(&other.sources).copied().collect();
        sources.sort();
        sources.dedup();
        let same_grid = self.grid_us == other.grid_us && self.grid_offset_us == other.grid_offset_us;
        Bound {
            sources,
            after_us: self.after_us.max(other.after_us),
            grid_us: if same_grid { self.grid_us } else { 1 },
            grid_offset_us: if same_grid { self.grid_offset_us } else { 0 },
            family: self.family,
            windowed: self.windowed || other.windowed,
            missing: self.missing || other.missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    #[test]
    fn windows_over_windows_close_when_the_inner_ones_have() {
        let time = Bound::time(RelationId(1), 0);
        let end = time.window_end(MINUTE, 0, 1);
        assert_eq!(end.after_us, 0);
        let start = end.earlier(MINUTE);
        assert_eq!(start.after_us, MINUTE);
        assert_eq!(start.window_end(60 * MINUTE, 0, 2).after_us, 0);
        assert_eq!(end.window_end(60 * MINUTE, 0, 2).after_us, 0);
        assert_eq!(start.window_end(60 * MINUTE, 7, 2).after_us, MINUTE - 1);
    }
}
