//! Operators: each one file, a deterministic function of its state and one epoch's changes. An operator reads no
//! clock, draws no random number and does no I/O; all it knows of time is the [`Tick`].
//!
//! [`Operator`] is the contract. `driver.rs`, alone, knows timely's capabilities and frontiers, and calls it.

mod aggregate;
mod batches;
mod due;
mod expression;
mod fused;
mod general;
mod hold_until;
mod join;
mod keys;
mod row_keys;
mod rows;
mod saved;
mod session;
mod temporal_filter;
mod temporal_join;
mod top_n;
mod waiting;

use std::sync::Arc;

use datafusion::execution::SessionState;
use highwater_types::{Delta, Fault, Tick};

pub use aggregate::AggregateOp;
pub(crate) use expression::{evaluate_condition, nullable};
pub use fused::FusedOp;
pub use general::GeneralOp;
pub use hold_until::HoldUntilOp;
pub use join::JoinOp;
pub use session::SessionOp;
pub use temporal_filter::TemporalFilterOp;
pub use temporal_join::TemporalJoinOp;
pub use top_n::TopNOp;

use crate::ExecError;
use crate::state::{StateReader, StateWriter};

/// Which input of an operator changes arrive on, from 0.
pub type InputIndex = usize;

/// What an operator is built from besides its plan node.
#[derive(Debug, Clone)]
pub struct OpContext {
    /// Functions, time zone and planner, for expressions and batch plans.
    pub session: Arc<SessionState>,
    /// Whether this worker is the one that answers for rows that belong to nobody: the row of an aggregate
    /// over no input. True for exactly one worker.
    pub owns_global: bool,
}

/// How the rows of an input must be spread over workers for an operator to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distribution {
    /// In any way.
    Any,
    /// Rows equal in these columns (NULL equals NULL) on one worker. Both inputs of a join spread alike.
    Keys(Vec<usize>),
    /// All on the worker that [`OpContext::owns_global`].
    Single,
}

/// A relational operator over changing inputs.
pub trait Operator {
    /// How the rows of an input must be spread over workers. What [`Operator::save`] writes follows the same
    /// rule: under [`Distribution::Keys`] of n columns, the first n columns of every part are those keys.
    fn distribution(&self, input: InputIndex) -> Distribution;

    /// Takes in changes of the open epoch on one input; may ship output of that epoch already (a join does, an
    /// aggregate waits). Within an epoch changes come in any order and any cut; only their sum counts.
    ///
    /// # Errors
    /// Only for what is wrong with the operator or the machine. A row on which an expression fails is no error but
    /// a [`Fault`], shipped by [`Output::fault`].
    fn update(&mut self, tick: &Tick, input: InputIndex, delta: &Delta, out: &mut Output) -> Result<(), ExecError>;

    /// All changes of the epoch are in: ships the rest. Called again until it says [`Step::Done`].
    ///
    /// # Errors
    /// As for [`Operator::update`].
    fn close(&mut self, tick: &Tick, out: &mut Output) -> Result<Step, ExecError>;

    /// Writes what changed since the last save. Called between epochs.
    ///
    /// # Errors
    /// When the state cannot be encoded.
    fn save(&mut self, state: &mut StateWriter) -> Result<(), ExecError>;

    /// Takes in what [`Operator::save`] wrote, of any number of workers. Called once, before the first epoch,
    /// on a new operator; rows of other workers' keys have been taken out.
    ///
    /// # Errors
    /// When the state is not of this operator.
    fn load(&mut self, state: &mut StateReader) -> Result<(), ExecError>;
}

/// Whether an operator is through with an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Everything has been shipped.
    Done,
    /// There is more; the worker may do other things first.
    Yield,
}

/// Where an operator ships its output of the open epoch.
#[derive(Debug, Default)]
pub struct Output {
    deltas: Vec<Delta>,
    faults: Vec<(Fault, i64)>,
}

impl Output {
    /// After how many rows an operator should cut a batch, or yield.
    pub const BATCH_ROWS: usize = 8192;

    /// Ships changes. Empty ones are dropped.
    pub fn ship(&mut self, delta: Delta) {
        if !delta.is_empty() {
            self.deltas.push(delta);
        }
    }

    /// Ships a fault with the weight of the row that has it.
    pub fn fault(&mut self, fault: Fault, weight: i64) {
        self.faults.push((fault, weight));
    }

    /// Takes all that was shipped.
    pub fn take(&mut self) -> (Vec<Delta>, Vec<(Fault, i64)>) {
        (std::mem::take(&mut self.deltas), std::mem::take(&mut self.faults))
    }
}
