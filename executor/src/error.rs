//! [`ExecError`]: what can go wrong in a dataflow or a snapshot query that is not a row's own fault.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use highwater_types::{DeltaError, Epoch, RelationId, SqlError, SqlState};
use thiserror::Error;

/// An error of the executor.
#[derive(Debug, Error)]
pub enum ExecError {
    /// Arrow refused a computation.
    #[error("{0}")]
    Arrow(#[from] ArrowError),
    /// DataFusion refused a plan or an expression.
    #[error("{0}")]
    DataFusion(#[from] DataFusionError),
    /// A delta was malformed.
    #[error("{0}")]
    Delta(#[from] DeltaError),
    /// An operator was given state that is not its own.
    #[error("state of operator {operator} cannot be loaded: {reason}")]
    State {
        /// Which operator.
        operator: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Rows were retracted that were never there: an error of ours, never of the user's.
    #[error("operator {operator} was asked to retract a row that it does not have: {row}")]
    MissingRow {
        /// Which operator.
        operator: &'static str,
        /// The row.
        row: String,
    },
    /// An operator was asked for what it cannot do.
    #[error("operator {operator} does not support {construct}")]
    Unsupported {
        /// Which operator.
        operator: &'static str,
        /// What it cannot do.
        construct: String,
    },
    /// An operator panicked; its view has failed.
    #[error("operator {operator} panicked: {message}")]
    Panic {
        /// Which operator.
        operator: String,
        /// The panic's message.
        message: String,
    },
    /// The epoch's rows have been merged away.
    #[error("rows as of epoch {epoch} are no longer kept: the oldest that are is {oldest}")]
    Expired {
        /// What was to be read.
        epoch: Epoch,
        /// What can be read.
        oldest: Epoch,
    },
    /// A view that this one reads has failed, so its rows are not right either.
    #[error("view {view}, which it reads, has failed")]
    Upstream {
        /// The view that it reads.
        view: RelationId,
    },
    /// A dataflow was to start at an epoch that is over.
    #[error("a dataflow cannot start at epoch {at}: epoch {last} has begun")]
    StartsLate {
        /// Where it was to start.
        at: Epoch,
        /// The newest epoch.
        last: Epoch,
    },
    /// The worker threads could not be started.
    #[error("the workers could not be started: {reason}")]
    Start {
        /// Why.
        reason: String,
    },
}

impl From<ExecError> for SqlError {
    fn from(error: ExecError) -> SqlError {
        let state = match &error {
            ExecError::DataFusion(source) => return sql_error(source),
            ExecError::Arrow(source) => return arrow_error(source),
            ExecError::Delta(DeltaError::Arrow(source)) => return arrow_error(source),
            ExecError::Unsupported { .. } => {
                return SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, error.to_string())
                    .with_hint("Write the query without it, or compute it in a SELECT over the view.");
            }
            ExecError::Delta(DeltaError::WeightCount { .. })
            | ExecError::State { .. }
            | ExecError::MissingRow { .. }
            | ExecError::Panic { .. }
            | ExecError::StartsLate { .. }
            | ExecError::Start { .. } => SqlState::INTERNAL_ERROR,
            ExecError::Expired { .. } => {
                return SqlError::new(SqlState::SERIALIZATION_FAILURE, error.to_string())
                    .with_hint("Run the transaction again: what it reads may be younger than its snapshot.");
            }
            ExecError::Upstream { .. } => SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        };
        SqlError::new(state, error.to_string())
    }
}

/// The client's view of an error from DataFusion: the SQLSTATE of the [`SqlError`] inside it, when there is one.
pub fn sql_error(error: &DataFusionError) -> SqlError {
    match error {
        DataFusionError::External(source) => match source.downcast_ref::<SqlError>() {
            Some(own) => own.clone(),
            None => SqlError::new(SqlState::INTERNAL_ERROR, source.to_string()),
        },
        DataFusionError::ArrowError(source, _) => arrow_error(source),
        DataFusionError::Context(_, source) | DataFusionError::Diagnostic(_, source) => sql_error(source),
        DataFusionError::Shared(source) => sql_error(source),
        DataFusionError::Collection(sources) if !sources.is_empty() => sql_error(&sources[0]),
        DataFusionError::ResourcesExhausted(message) => SqlError::new(SqlState::OUT_OF_MEMORY, message.clone()),
        other => SqlError::new(SqlState::INTERNAL_ERROR, other.strip_backtrace()),
    }
}

fn arrow_error(error: &ArrowError) -> SqlError {
    match error {
        ArrowError::DivideByZero => SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(_) => SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range"),
        ArrowError::CastError(message) | ArrowError::ParseError(message) => {
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message.clone())
        }
        ArrowError::ExternalError(source) => match source.downcast_ref::<SqlError>() {
            Some(own) => own.clone(),
            None => match source.downcast_ref::<DataFusionError>() {
                Some(inner) => sql_error(inner),
                None => SqlError::new(SqlState::INTERNAL_ERROR, source.to_string()),
            },
        },
        other => SqlError::new(SqlState::INTERNAL_ERROR, other.to_string()),
    }
}
