//! The rows of one partition by time, and the sessions that they make.

use std::collections::BTreeMap;

use crate::op::row_keys::RowKey;

/// One partition.
#[derive(Debug, Default)]
pub(super) struct Partition {
    rows: BTreeMap<(i64, RowKey), i64>,
    /// The time of each session's first row, and of its last.
    sessions: BTreeMap<i64, i64>,
    /// Changes of the open epoch, as they came.
    changes: Vec<Change>,
}

/// A change of one row.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) time: i64,
    pub(super) key: RowKey,
    pub(super) weight: i64,
}

/// A row with the bounds of its session, and by how much its weight changes.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) key: RowKey,
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) weight: i64,
}

impl Partition {
    /// Takes in a change of the open epoch; whether it is the first.
    pub(super) fn change(&mut self, change: Change) -> bool {
        self.changes.push(change);
        self.changes.len() == 1
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.changes.is_empty()
    }

    /// All rows.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&RowKey, i64)> {
        self.rows.iter().map(|((_, key), weight)| (key, *weight))
    }

    /// Ends an epoch: applies its changes, and shows what they do to rows and to the bounds of sessions. Answers the
    /// changes, summed up and by time, and the ends of sessions that are new.
    ///
    /// # Errors
    /// With a row that is to go and is not there.
    pub(super) fn close(&mut self, gap_us: i64, shown: &mut Vec<Shown>) -> Result<(Vec<Change>, Vec<i64>), RowKey> {
        let changes = sum(std::mem::take(&mut self.changes));
        let old = self.take_touched(&changes, gap_us);
        for change in &changes {
            let weight = self.rows.entry((change.time, change.key.clone())).or_insert(0);
            *weight += change.weight;
            if *weight < 0 {
                return Err(change.key.clone());
            }
            if *weight == 0 {
                self.rows.remove(&(change.time, change.key.clone()));
            }
        }
        let new = self.sessions_of(&spans(&old, &changes), gap_us);
        for (first, last) in &old {
            match new.get(first) == Some(last) {
                true => show_changes(&changes, (*first, *last), gap_us, shown),
                false => self.retract((*first, *last), &changes, gap_us, shown),
            }
        }
        let mut ends = Vec::new();
        for (first, last) in new {
            if old.get(&first) != Some(&last) {
                let rows = self.rows_between(first, last);
                shown.extend(rows.map(|(_, key, weight)| Shown::new(key, (first, last), gap_us, weight)));
                ends.push(last + gap_us);
            }
            self.sessions.insert(first, last);
        }
        Ok((changes, ends))
    }

    /// Drops the sessions that end at this time or before, and answers their rows.
    pub(super) fn drop_ended(&mut self, last_end: i64, gap_us: i64) -> Vec<(RowKey, i64)> {
        let mut dropped = Vec::new();
        while let Some(session) = self.sessions.first_entry() {
            if session.get() + gap_us > last_end {
                break;
            }
            let (_, last) = session.remove_entry();
            while let Some(row) = self.rows.first_entry().filter(|row| row.key().0 <= last) {
                let ((_, key), weight) = row.remove_entry();
                dropped.push((key, weight));
            }
        }
        dropped
    }

    /// Takes out the sessions that a change may concern: those less than a gap away from it.
    fn take_touched(&mut self, changes: &[Change], gap_us: i64) -> BTreeMap<i64, i64> {
        let mut touched = BTreeMap::new();
        for change in changes {
            let before = change.time.saturating_add(gap_us);
            while let Some((first, last)) = self.sessions.range(..before).next_back() {
                if last.saturating_add(gap_us) <= change.time {
                    break;
                }
                let (first, last) = (*first, *last);
                self.sessions.remove(&first);
                touched.insert(first, last);
            }
        }
        touched
    }

    /// The sessions that the rows in these spans of time make; spans come in order.
    fn sessions_of(&self, spans: &[(i64, i64)], gap_us: i64) -> BTreeMap<i64, i64> {
        let mut sessions = BTreeMap::new();
        let mut open: Option<(i64, i64)> = None;
        for (from, to) in spans {
            for (time, ..) in self.rows_between(*from, *to) {
                open = match open {
                    Some((first, last)) if time.saturating_sub(last) < gap_us => Some((first, time)),
                    closed => {
                        sessions.extend(closed);
                        Some((time, time))
                    }
                };
            }
        }
        sessions.extend(open);
        sessions
    }

    /// Takes back the rows that a session had before the changes.
    fn retract(&self, session: (i64, i64), changes: &[Change], gap_us: i64, shown: &mut Vec<Shown>) {
        let mut changed = between(changes, session).iter().peekable();
        for (time, key, weight) in self.rows_between(session.0, session.1) {
            let mut before = weight;
            while let Some(change) = changed.next_if(|change| (change.time, &change.key) <= (time, key)) {
                if (change.time, &change.key) == (time, key) {
                    before -= change.weight;
                } else {
                    shown.push(Shown::new(&change.key, session, gap_us, change.weight));
                }
            }
            if before != 0 {
                shown.push(Shown::new(key, session, gap_us, -before));
            }
        }
        shown.extend(changed.map(|change| Shown::new(&change.key, session, gap_us, change.weight)));
    }

    fn rows_between(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, &RowKey, i64)> {
        let from = (first, RowKey::default());
        let rows = self.rows.range(from..).take_while(move |((time, _), _)| *time <= last);
        rows.map(|((time, key), weight)| (*time, key, *weight))
    }
}

impl Shown {
    fn new(key: &RowKey, (first, last): (i64, i64), gap_us: i64, weight: i64) -> Shown {
        Shown {
            key: key.clone(),
            start: first,
            end: last + gap_us,
            weight,
        }
    }
}

/// One change a row, by time.
fn sum(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_unstable_by(|a, b| (a.time, &a.key).cmp(&(b.time, &b.key)));
    changes.dedup_by(|next, kept| {
        let same = next.time == kept.time && next.key == kept.key;
        kept.weight += if same { next.weight } else { 0 };
        same
    });
    changes.retain(|change| change.weight != 0);
    changes
}

/// The changes within a session's times.
fn between(changes: &[Change], (first, last): (i64, i64)) -> &[Change] {
    let from = changes.partition_point(|change| change.time < first);
    let to = changes.partition_point(|change| change.time <= last);
    &changes[from..to]
}

/// The changes within a session whose bounds stay.
fn show_changes(changes: &[Change], session: (i64, i64), gap_us: i64, shown: &mut Vec<Shown>) {
    let changes = between(changes, session).iter();
    shown.extend(changes.map(|change| Shown::new(&change.key, session, gap_us, change.weight)));
}

/// The times of these sessions and changes, in order, without overlap.
fn spans(sessions: &BTreeMap<i64, i64>, changes: &[Change]) -> Vec<(i64, i64)> {
    let is_within = |time: i64| {
        sessions
            .range(..=time)
            .next_back()
            .is_some_and(|(_, last)| *last >= time)
    };
    let mut spans: Vec<(i64, i64)> = sessions.iter().map(|(first, last)| (*first, *last)).collect();
    let outside = changes
        .iter()
        .map(|change| change.time)
        .filter(|time| !is_within(*time));
    spans.extend(outside.map(|time| (time, time)));
    spans.sort_unstable();
    spans.dedup();
    spans
}
