//! Joins of two changing inputs.

use std::sync::Arc;

use datafusion::common::{Column, NullEquality};
use datafusion::logical_expr::{self as logical, Expr, JoinType};

use super::{Built, Translator, interval, resolve_with, schema_of, temporal_join};
use crate::error::{PlanError, Result};
use crate::stream::completion;
use crate::stream::derive::{Bound, Facts};
use crate::stream::plan::{Join, JoinKind, Release, StateBound, StreamOp};

/// A join's condition over the built inputs.
pub(super) struct Condition {
    pub(super) keys: Vec<(usize, usize)>,
    pub(super) null_equals_null: bool,
    pub(super) filter: Option<Expr>,
}

/// Both inputs, with columns for keys that are expressions, and the condition over them.
pub(super) struct Sides {
    pub(super) left: Built,
    pub(super) right: Built,
    pub(super) condition: Condition,
    /// How many columns of each input are the logical plan's.
    pub(super) widths: (usize, usize),
}

impl Translator<'_> {
    pub(super) fn join(&mut self, join: &logical::Join) -> Result<Built> {
        if join.null_aware {
            return Err(PlanError::internal("a view with a join that minds NULL"));
        }
        if let Some(right) = temporal_join::as_of_arrival(&join.right)? {
            return self.temporal_join(join, &right);
        }
        let left = self.node(&join.left)?;
        let right = self.node(&join.right)?;
        let sides = self.sides(join, left, right)?;
        match join.join_type {
            JoinType::Inner => self.joined(JoinKind::Inner, sides),
            JoinType::Left => self.joined(JoinKind::Left, sides),
            JoinType::Right => self.joined(JoinKind::Right, sides),
            JoinType::Full => self.joined(JoinKind::Full, sides),
            JoinType::LeftSemi => self.joined(JoinKind::Semi, sides),
            JoinType::LeftAnti => self.joined(JoinKind::Anti, sides),
            JoinType::RightSemi => self.joined(JoinKind::Semi, sides.swapped()),
            JoinType::RightAnti => self.joined(JoinKind::Anti, sides.swapped()),
            JoinType::LeftMark | JoinType::RightMark => Err(PlanError::internal("a view with a mark join")),
        }
    }

    /// The condition of a join over its built inputs.
    pub(super) fn sides(&mut self, join: &logical::Join, left: Built, right: Built) -> Result<Sides> {
        let (left_schema, right_schema) = (join.left.schema(), join.right.schema());
        let widths = (left_schema.fields().len(), right_schema.fields().len());
        let mut left_keys = Vec::with_capacity(join.on.len());
        let mut right_keys = Vec::with_capacity(join.on.len());
        for (l, r) in &join.on {
            left_keys.push(self.resolve(l, left_schema, &left)?);
            right_keys.push(self.resolve(r, right_schema, &right)?);
        }
        let rename = |column: &Column| match left_schema.maybe_index_of_column(column) {
            Some(at) => Ok(left.column(at)),
            None => Ok(right.column(right_schema.index_of_column(column)?)),
        };
        let filter = join.filter.as_ref().map(|f| resolve_with(f, &rename)).transpose()?;
        let filter = filter.filter(|f| !is_true(f));
        let (left, left_keys) = self.with_columns(left, &left_keys)?;
        let (right, right_keys) = self.with_columns(right, &right_keys)?;
        let mut keys: Vec<(usize, usize)> = Vec::with_capacity(left_keys.len());
        for pair in left_keys.into_iter().zip(right_keys) {
            if !keys.contains(&pair) {
                keys.push(pair);
            }
        }
        let condition = Condition {
            keys,
            null_equals_null: join.null_equality == NullEquality::NullEqualsNull,
            filter,
        };
        Ok(Sides {
            left,
            right,
            condition,
            widths,
        })
    }

    /// The join, with just the logical plan's columns.
    pub(super) fn joined(&mut self, kind: JoinKind, sides: Sides) -> Result<Built> {
        let (left_width, right_width) = sides.widths;
        let built_left = sides.left.width();
        let built = join_node(kind, sides)?;
        let mut columns: Vec<usize> = (0..left_width).collect();
        if !one_sided(kind) {
            columns.extend(built_left..built_left + right_width);
        }
        if columns.is_empty() {
            columns.push(0);
        }
        self.keep_columns(built, &columns)
    }
}

impl Sides {
    /// Left and right the other way round.
    fn swapped(self) -> Sides {
        let keys = self.condition.keys.into_iter().map(|(l, r)| (r, l)).collect();
        Sides {
            left: self.right,
            right: self.left,
            condition: Condition { keys, ..self.condition },
            widths: (self.widths.1, self.widths.0),
        }
    }
}

/// The node alone: all columns of both inputs, or of the left one.
pub(super) fn join_node(kind: JoinKind, sides: Sides) -> Result<Built> {
    let Sides {
        left, right, condition, ..
    } = sides;
    let closed = closed_pairs(&left.facts, &right.facts, &condition.keys);
    let facts = facts_of(kind, &left.facts, &right.facts, &condition.keys, &closed);
    let (state, release) = state_of(kind, &left, &right, &condition);
    let nullable = |built: &Built, outer: bool| -> Vec<_> {
        let fields = built.schema().fields().iter();
        fields
            .map(|f| Arc::new(f.as_ref().clone().with_nullable(outer || f.is_nullable())))
            .collect()
    };
    let mut fields = nullable(&left, matches!(kind, JoinKind::Right | JoinKind::Full));
    if !one_sided(kind) {
        fields.extend(nullable(&right, matches!(kind, JoinKind::Left | JoinKind::Full)));
    }
    let op = StreamOp::Join(Join {
        kind,
        keys: condition.keys,
        null_equals_null: condition.null_equals_null,
        filter: condition.filter,
        meets_within_epoch: meeting(&closed) == Some(Meeting::InOneEpoch),
    });
    Ok(Built::new(op, vec![left.node, right.node], schema_of(fields)?, facts).with_state(state, release))
}

/// Whether rows of this side (0 is left) also appear without a partner, with NULL for the other side's columns.
fn keeps(kind: JoinKind, side: usize) -> bool {
    match kind {
        JoinKind::Full => true,
        JoinKind::Left | JoinKind::Anti => side == 0,
        JoinKind::Right => side == 1,
        JoinKind::Inner | JoinKind::Semi => false,
    }
}

pub(super) fn one_sided(kind: JoinKind) -> bool {
    match kind {
        JoinKind::Semi | JoinKind::Anti => true,
        JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full => false,
    }
}

/// The key of pairs: that of one side, when a row of it meets at most one of the other; otherwise both together.
pub(super) fn key_of(kind: JoinKind, left: &Facts, right: &Facts, keys: &[(usize, usize)]) -> Option<Vec<usize>> {
    let width = left.bounds.len();
    let left_key = left.key.as_ref();
    let right_key: Option<Vec<usize>> = right.key.as_ref().map(|k| k.iter().map(|c| c + width).collect());
    let right_is_one = right
        .key
        .as_ref()
        .is_some_and(|k| k.iter().all(|c| keys.iter().any(|(_, r)| r == c)));
    let left_is_one = left_key.is_some_and(|k| k.iter().all(|c| keys.iter().any(|(l, _)| l == c)));
    match kind {
        JoinKind::Semi | JoinKind::Anti => return left_key.cloned(),
        JoinKind::Inner | JoinKind::Left if right_is_one && left_key.is_some() => return left_key.cloned(),
        JoinKind::Inner | JoinKind::Right if left_is_one && right_key.is_some() => return right_key,
        // A row of either side without a partner has NULL for the other's key; so may a row with one.
        JoinKind::Full => return None,
        JoinKind::Inner | JoinKind::Left | JoinKind::Right => {}
    }
    let mut key = left_key?.clone();
    key.extend(right_key?);
    Some(key)
}

/// The pairs of key columns that both sides bound, with the bound of both together.
fn bounded_pairs(left: &Facts, right: &Facts, keys: &[(usize, usize)]) -> Vec<(usize, usize, Bound)> {
    let both = |(l, r): &(usize, usize)| {
        let bound = left.bounds[*l].as_ref()?.both(right.bounds[*r].as_ref()?);
        Some((*l, *r, bound))
    };
    keys.iter().filter_map(both).collect()
}

/// How the rows of two closed sides meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meeting {
    /// All rows that may meet come in one epoch.
    InOneEpoch,
    /// All of a side come in one epoch, and pairs appear in the later one.
    InTwoEpochs,
}

/// A pair of key columns that are closed on both sides, whose rows stay.
struct ClosedPair {
    left: usize,
    right: usize,
    /// Whether equal values are complete at the same moment.
    together: bool,
}

fn closed_pairs(left: &Facts, right: &Facts, keys: &[(usize, usize)]) -> Vec<ClosedPair> {
    if !left.append_only || !right.append_only {
        return Vec::new();
    }
    let moment = |facts: &Facts, column: usize| facts.bounds[column].clone().map(|b| (b.sources, b.after_us));
    keys.iter()
        .filter(|(l, r)| left.closed.contains(l) && right.closed.contains(r))
        .map(|(l, r)| ClosedPair {
            left: *l,
            right: *r,
            together: moment(left, *l) == moment(right, *r),
        })
        .collect()
}

/// How rows meet, when that is known.
fn meeting(pairs: &[ClosedPair]) -> Option<Meeting> {
    pairs.first()?;
    Some(match pairs.iter().any(|pair| pair.together) {
        true => Meeting::InOneEpoch,
        false => Meeting::InTwoEpochs,
    })
}

fn facts_of(kind: JoinKind, left: &Facts, right: &Facts, keys: &[(usize, usize)], closed: &[ClosedPair]) -> Facts {
    let width = left.bounds.len();
    let mut facts = Facts::unknown(width + right.bounds.len());
    facts.key = key_of(kind, left, right, keys);
    let waits = match kind {
        JoinKind::Inner | JoinKind::Semi => true,
        JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Anti => false,
    };
    // Kinds that wait for a partner show nothing that a later row makes wrong; the others do, unless none comes later.
    facts.settled = match meeting(closed) {
        Some(Meeting::InOneEpoch) => true,
        Some(Meeting::InTwoEpochs) => waits,
        None => false,
    };
    facts.append_only = facts.settled || waits && left.append_only && right.append_only;
    for (l, r, bound) in bounded_pairs(left, right, keys) {
        for (side, number, column, shift) in [(left, 0, l, 0), (right, 1, r, width)] {
            let own = side.bounds[column]
                .as_ref()
                .expect("a bounded pair is bounded on both sides");
            for member in side.family_of(column) {
                let tied = side.bounds[member].as_ref().expect("a family's members are bounded");
                facts.bounds[shift + member] = Some(Bound {
                    sources: bound.sources.clone(),
                    after_us: tied.after_us + bound.after_us - own.after_us,
                    // Of a row without a partner one side's columns are NULL and the other's are not.
                    family: if kind == JoinKind::Inner {
                        bound.family
                    } else {
                        tied.family
                    },
                    missing: tied.missing || keeps(kind, 1 - number),
                    ..tied.clone()
                });
            }
        }
    }
    for pair in closed.iter().filter(|pair| pair.together || waits) {
        // Rows without a partner have NULL for the other side's columns, whatever window they belong to.
        if !keeps(kind, 1) {
            facts.closed.extend(left.family_of(pair.left));
        }
        if !keeps(kind, 0) {
            facts
                .closed
                .extend(right.family_of(pair.right).iter().map(|c| c + width));
        }
    }
    facts.closed.sort_unstable();
    facts.closed.dedup();
    if one_sided(kind) {
        facts.bounds.truncate(width);
        facts.closed.retain(|c| *c < width);
    }
    facts
}

fn state_of(kind: JoinKind, left: &Built, right: &Built, condition: &Condition) -> (StateBound, Vec<Release>) {
    let soonest = bounded_pairs(&left.facts, &right.facts, &condition.keys)
        .into_iter()
        .min_by_key(|(_, _, bound)| (bound.sources.len(), bound.after_us));
    if let Some((l, r, bound)) = soonest {
        let release = vec![completion::release(0, l, &bound), completion::release(1, r, &bound)];
        return (StateBound::Watermark(bound.sources), release);
    }
    let unbounded = |text: &str| StateBound::Unbounded(text.to_string());
    let mut release = Vec::new();
    if kind == JoinKind::Inner {
        release = interval::releases(left, right, condition.filter.as_ref());
    }
    let state = match release.as_slice() {
        [a, b] => {
            let mut sources: Vec<_> = a.sources.iter().chain(&b.sources).copied().collect();
            sources.sort();
            sources.dedup();
            StateBound::Watermark(sources)
        }
        [one] => {
            let side = if one.input == 0 { "right" } else { "left" };
            unbounded(&format!(
                "keeps the rows of the {side} side; a limit on how much later the other side's time may be would bound it"
            ))
        }
        _ => unbounded(
            "keeps the rows of both sides; equal window_end on both, or FOR SYSTEM_TIME AS OF PROCTIME(), would bound \
             it",
        ),
    };
    (state, release)
}

fn is_true(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Literal(datafusion::common::ScalarValue::Boolean(Some(true)), _)
    )
}
