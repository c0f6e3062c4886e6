//! [`CollectionSink`]: the end of a view's dataflow on one worker. Insertions go into the worker's shard of the
//! view's collection as they come; readers do not see them before the epoch is closed. Retractions wait for the
//! end of the epoch, since the row they take away may be inserted by a later change of the same epoch.

use std::rc::Rc;
use std::sync::Arc;

use highwater_types::{Delta, Tick};

use crate::ExecError;
use crate::chunk::Changes;
use crate::collection::Collection;
use crate::flow::FlowState;

/// Applies a view's output to its collection and hands it to the views that read it.
pub(crate) struct CollectionSink {
    output: Arc<Collection>,
    shard: usize,
    held: Vec<Delta>,
    flow: Rc<FlowState>,
}

impl CollectionSink {
    /// Into this shard of `output`.
    pub(crate) fn new(output: Arc<Collection>, shard: usize, flow: Rc<FlowState>) -> CollectionSink {
        CollectionSink {
            output,
            shard,
            held: Vec::new(),
            flow,
        }
    }

    /// Takes in changes of the oldest open epoch.
    pub(crate) fn update(&mut self, tick: &Arc<Tick>, changes: &Changes) -> Result<(), ExecError> {
        match changes {
            Changes::Faults(faults) => self.output.apply_faults(self.shard, tick.epoch, faults),
            Changes::Rows(delta) if delta.is_append_only() => self.output.apply(self.shard, tick.epoch, delta)?,
            Changes::Rows(delta) => self.held.push(delta.clone()),
        }
        self.flow.publish(tick, changes);
        Ok(())
    }

    /// All changes of the epoch are in.
    pub(crate) fn close(&mut self, tick: &Arc<Tick>) -> Result<(), ExecError> {
        let held = std::mem::take(&mut self.held);
        let Some(first) = held.first() else { return Ok(()) };
        self.output
            .apply(self.shard, tick.epoch, &Delta::concat(&first.schema(), &held)?)
    }
}
