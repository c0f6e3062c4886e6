//! System relations: tables that are made from the server's own state when a query reads them.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use highwater_planner::SystemRelations;
use highwater_types::SqlError;

/// The state that system relations show: one session's view of the server, taken when a statement begins.
#[derive(Debug, Default)]
pub struct SystemView {}

/// The system relations there are.
#[derive(Debug, Default)]
pub struct SystemTables {}

impl SystemTables {
    /// The rows of a system relation; `None` when there is none of this name.
    pub fn rows(&self, _view: &SystemView, _schema: &str, _name: &str) -> Option<Result<RecordBatch, SqlError>> {
        None
    }
}

impl SystemRelations for SystemTables {
    fn schema_of(&self, _schema: &str, _name: &str) -> Option<SchemaRef> {
        None
    }
}
