//! [`explain_dataflow`]: the operators of a dataflow as text, in the order in which they are built.

use highwater_planner::stream::plan::StreamPlan;
use highwater_types::RelationId;

use super::{Blueprint, Stage, Work};
use crate::ExecError;
use crate::exchange::Route;

/// A line for each operator that a worker runs: its number, what it is, which operators feed it, and where their rows
/// change workers. `name_of` names relations.
///
/// # Errors
/// When an operator does not support its plan node.
pub fn explain_dataflow(
    plan: &StreamPlan,
    time_zone: &str,
    name_of: &impl Fn(RelationId) -> String,
) -> Result<Vec<String>, ExecError> {
    let blueprint = Blueprint::try_new(plan, time_zone, 0)?;
    let stages = &blueprint.stages;
    let mut lines: Vec<String> = stages
        .iter()
        .enumerate()
        .map(|(at, stage)| format!("{} {}", at + 1, stage_text(stage, stages, name_of)))
        .collect();
    let last = stages.len().saturating_sub(1);
    let from = input_text(stages, last, &blueprint.output_route);
    lines.push(format!("{} Sink from {from}", stages.len() + 1));
    Ok(lines)
}

fn stage_text(stage: &Stage, stages: &[Stage], name_of: &impl Fn(RelationId) -> String) -> String {
    let mut text = stage.name.clone();
    let mut notes = Vec::new();
    match &stage.work {
        Work::Input { relation, columns } => {
            debug_assert_eq!(columns.len(), stage.schema.fields().len());
            text.push_str(&format!(
                " {} ({})",
                name_of(*relation),
                column_names(stage, 0..columns.len())
            ));
        }
        Work::Constant(rows) => text.push_str(&format!(" {} rows", rows.num_rows())),
        Work::Pass(_) => notes.push("stateless"),
        Work::Stateful { is_timed: true, .. } => notes.push("woken by watermarks"),
        Work::Stateful { is_timed: false, .. } => {}
    }
    let inputs: Vec<String> = stage
        .inputs
        .iter()
        .map(|(input, route)| input_text(stages, *input, route))
        .collect();
    if !inputs.is_empty() {
        text.push_str(&format!(" from {}", inputs.join(" and ")));
    }
    for note in notes {
        text.push_str(&format!(", {note}"));
    }
    text
}

fn input_text(stages: &[Stage], input: usize, route: &Route) -> String {
    let number = input + 1;
    match route {
        Route::Stay => number.to_string(),
        Route::ByColumns(columns) if columns.is_empty() => format!("{number} (exchange to one worker)"),
        Route::ByColumns(columns) => {
            let names = column_names(&stages[input], columns.iter().copied());
            format!("{number} (exchange by {names})")
        }
    }
}

fn column_names(stage: &Stage, columns: impl Iterator<Item = usize>) -> String {
    let names: Vec<&str> = columns.map(|c| stage.schema.field(c).name().as_str()).collect();
    names.join(", ")
}
