//! From bounded columns to the moment when an operator may let go of state, and to EMIT ON WINDOW CLOSE.

use super::derive::{Bound, Facts};
use super::plan::{Completion, Release};
use crate::catalog::EmitMode;

/// When groups by these columns are complete: when their first bounded column is. Groups that appear only then need
/// one that every row has.
pub(super) fn of_groups(facts: &Facts, group: &[usize], emit: EmitMode) -> Option<Completion> {
    let (at, bound) = match emit {
        EmitMode::Changes => facts.soonest(group)?,
        EmitMode::OnWindowClose => facts
            .soonest_where(group, |bound| bound.windowed && !bound.missing)
            .or_else(|| facts.soonest_where(group, |bound| !bound.missing))?,
    };
    let family = facts.family_of(group[at]);
    let window = group.iter().enumerate().filter(|(_, column)| family.contains(column));
    Some(Completion {
        window: window.map(|(at, _)| at).collect(),
        group_column: at,
        after_us: bound.after_us,
        grid_us: bound.grid_us,
        sources: bound.sources.clone(),
        emit_on_close: emit == EmitMode::OnWindowClose,
    })
}

/// That rows of an input are released when a column's value is complete.
pub(super) fn release(input: usize, column: usize, bound: &Bound) -> Release {
    Release {
        input,
        column,
        after_us: bound.after_us,
        sources: bound.sources.clone(),
    }
}
