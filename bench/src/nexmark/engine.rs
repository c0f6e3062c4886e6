//! Runs a planned query as the server does: on the executor's worker threads, an epoch at a time with at most two in
//! flight, into a collection whose old versions are let go.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use crossbeam_channel::Receiver;
use highwater_executor::{Collection, DataflowSpec, Report, Runtime};
use highwater_planner::ViewPlan;
use highwater_types::{Delta, Epoch, RelationId, SourceWatermark, Tick, Watermark};

use super::stream::Input;
use crate::Result;
use crate::measure::{Meter, Used};

const VIEW: RelationId = RelationId(90_000);
/// As the coordinator has it.
const EPOCHS_IN_FLIGHT: usize = 2;
/// The first epoch, and from one to the next.
const FIRST_EPOCH: u64 = 1;

/// What running a view came to.
pub(super) struct Ran {
    pub(super) used: Used,
    /// The view's rows after the last epoch.
    pub(super) rows: Vec<RecordBatch>,
}

/// The view's columns.
pub(super) fn schema(plan: &ViewPlan) -> SchemaRef {
    let fields: Vec<_> = plan.columns.iter().map(|c| c.sql_type.to_field(&c.name)).collect();
    Arc::new(Schema::new(fields))
}

/// Runs a view over all epochs of its inputs.
pub(super) fn run(plan: &ViewPlan, inputs: &[Input], workers: usize) -> Result<Ran> {
    let (sender, reports) = crossbeam_channel::unbounded();
    let runtime = Runtime::start(workers, sender)?;
    let output = Collection::new(schema(plan), plan.key.clone(), workers);
    let start = Epoch(FIRST_EPOCH - 1);
    runtime.create(DataflowSpec {
        view: VIEW,
        plan: plan.stream.clone(),
        output: Arc::clone(&output),
        at: start,
        tick: Tick::new(start, 0),
        time_zone: "UTC".to_string(),
    });
    for input in inputs {
        runtime.history_done(VIEW, input.relation);
    }
    wait_for(&reports, |report| matches!(report, Report::CaughtUp(_)))?;

    let meter = Meter::start()?;
    let epoch_count = inputs.first().map_or(0, |input| input.epochs.len());
    let mut closed = 0;
    for at in 0..epoch_count {
        let deltas = inputs.iter().map(|input| {
            let batches = input.epochs[at].iter().cloned();
            (input.relation, batches.map(Delta::insert).collect())
        });
        runtime.tick(tick(at, inputs), deltas.collect());
        while at + 1 - closed >= EPOCHS_IN_FLIGHT {
            closed = wait_closed(&reports, &output)?;
        }
    }
    while closed < epoch_count {
        closed = wait_closed(&reports, &output)?;
    }
    let used = meter.stop()?;
    let rows = output.scan(Epoch(FIRST_EPOCH + epoch_count as u64 - 1), None)?;
    runtime.stop();
    Ok(Ran { used, rows })
}

fn tick(at: usize, inputs: &[Input]) -> Tick {
    let marks = inputs.iter().map(|input| SourceWatermark {
        relation: input.relation,
        before: at.checked_sub(1).map_or(Watermark::NONE, |last| input.watermarks[last]),
        after: input.watermarks[at],
    });
    Tick::new(Epoch(FIRST_EPOCH + at as u64), 0).with_watermarks(marks.collect())
}

/// Waits until more epochs are closed; answers how many are.
fn wait_closed(reports: &Receiver<Report>, output: &Collection) -> Result<usize> {
    let report = wait_for(reports, |report| matches!(report, Report::Closed(_)))?;
    let Report::Closed(epoch) = report else {
        return Err("another report than was waited for".into());
    };
    output.retain_from(epoch);
    Ok((epoch.0 - FIRST_EPOCH + 1) as usize)
}

fn wait_for(reports: &Receiver<Report>, is_it: impl Fn(&Report) -> bool) -> Result<Report> {
    for report in reports {
        if let Report::ViewFailed { error, .. } = report {
            return Err(error.into());
        }
        if is_it(&report) {
            return Ok(report);
        }
    }
    Err("the workers have gone".into())
}
