//! Errors of DataFusion and Arrow as ours, and the way back.

use datafusion::common::{DataFusionError, SchemaError};
use highwater_types::SqlError;

use crate::error::PlanError;

/// The one translation of DataFusion's errors. What the binder checks itself never gets here; what does is an error
/// of a function's own (with its SQLSTATE inside), something DataFusion cannot do, or a defect.
impl From<DataFusionError> for PlanError {
    fn from(error: DataFusionError) -> PlanError {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<SqlError>() {
                Ok(error) => PlanError::Value(error),
                Err(inner) => match inner.downcast::<PlanError>() {
                    Ok(error) => *error,
                    Err(inner) => PlanError::internal(inner.to_string()),
                },
            },
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => PlanError::from(*inner),
            DataFusionError::Collection(mut errors) if !errors.is_empty() => PlanError::from(errors.swap_remove(0)),
            DataFusionError::Shared(inner) => match inner.as_ref() {
                DataFusionError::External(boxed) => match boxed.downcast_ref::<SqlError>() {
                    Some(error) => PlanError::from(error.clone()),
                    None => PlanError::internal(boxed.to_string()),
                },
                other => PlanError::internal(other.strip_backtrace()),
            },
            DataFusionError::ArrowError(inner, _) => PlanError::from(*inner),
            DataFusionError::NotImplemented(construct) => PlanError::Unsupported {
                construct,
                hint: String::new(),
            },
            DataFusionError::SchemaError(inner, _) => match *inner {
                SchemaError::FieldNotFound { field, .. } => PlanError::UndefinedColumn {
                    qualifier: None,
                    name: field.name,
                    near: None,
                },
                SchemaError::AmbiguousReference { field } => PlanError::AmbiguousColumn { name: field.name },
                other => PlanError::internal(other.to_string()),
            },
            other => PlanError::internal(other.strip_backtrace()),
        }
    }
}

impl From<arrow::error::ArrowError> for PlanError {
    fn from(error: arrow::error::ArrowError) -> PlanError {
        match error {
            arrow::error::ArrowError::ExternalError(inner) => match inner.downcast::<SqlError>() {
                Ok(error) => PlanError::Value(error),
                Err(inner) => PlanError::internal(inner.to_string()),
            },
            other => PlanError::internal(other.to_string()),
        }
    }
}

impl From<PlanError> for DataFusionError {
    fn from(error: PlanError) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}
