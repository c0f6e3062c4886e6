//! [`ReadView`]: what one statement sees, for the batch executor: every relation as of one closed epoch, with the
//! transaction's own changes, system relations, and rows that the statement itself brings along.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use highwater_executor::batch::{CollectionProvider, Snapshot};
use highwater_planner::ScanTarget;
use highwater_planner::catalog::RelationKind;
use highwater_types::{Delta, Epoch, RelationId, SqlError, SqlState};

use crate::coordinator::EpochHold;
use crate::database::{Database, World};
use crate::system::{SystemTables, SystemView};

/// What one statement sees.
pub(crate) struct ReadView {
    database: Arc<Database>,
    world: Arc<World>,
    system: Arc<SystemTables>,
    system_view: Arc<SystemView>,
    hold: Arc<EpochHold>,
    /// Tables read at another epoch than the hold's, and changes of the open transaction.
    tables: HashMap<RelationId, (Epoch, Option<Delta>)>,
    placeholders: HashMap<&'static str, RecordBatch>,
}

impl ReadView {
    /// Everything as of the epoch of `hold`.
    pub(crate) fn new(
        database: Arc<Database>,
        world: Arc<World>,
        system: Arc<SystemTables>,
        system_view: Arc<SystemView>,
        hold: Arc<EpochHold>,
    ) -> ReadView {
        let (tables, placeholders) = (HashMap::new(), HashMap::new());
        ReadView {
            database,
            world,
            system,
            system_view,
            hold,
            tables,
            placeholders,
        }
    }

    /// Reads one table at another epoch, and with changes that are not committed.
    pub(crate) fn with_table(mut self, table: RelationId, epoch: Epoch, changes: Option<Delta>) -> ReadView {
        self.tables.insert(table, (epoch, changes));
        self
    }

    /// Puts rows in the place of a placeholder.
    pub(crate) fn with_rows(mut self, placeholder: &'static str, rows: RecordBatch) -> ReadView {
        self.placeholders.insert(placeholder, rows);
        self
    }

    fn stored(&self, id: RelationId) -> Result<Arc<dyn TableProvider>, SqlError> {
        if let Some(failure) = self.database.status().failure(id) {
            return Err(failure);
        }
        let Some(collection) = self.world.collections.get(&id) else {
            return Err(self.not_stored(id));
        };
        let (epoch, changes) = match self.tables.get(&id) {
            Some((epoch, changes)) => (*epoch, changes.clone()),
            None => (self.hold.epoch(), None),
        };
        Ok(Arc::new(CollectionProvider::new(
            Arc::clone(collection),
            epoch,
            changes,
        )))
    }

    fn not_stored(&self, id: RelationId) -> SqlError {
        match self.world.catalog.relation(id) {
            Some(relation) if matches!(relation.kind, RelationKind::Source(_)) => SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "source \"{}\" cannot be read directly: its rows are not stored",
                    relation.display_name()
                ),
            )
            .with_hint("Create a materialized view over it, and read that."),
            Some(relation) => SqlError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("the rows of \"{}\" are not there", relation.display_name()),
            ),
            None => SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("the relation with OID {id} was dropped meanwhile"),
            ),
        }
    }
}

impl Snapshot for ReadView {
    fn table(&self, target: &ScanTarget) -> Result<Arc<dyn TableProvider>, SqlError> {
        let batch = match target {
            ScanTarget::Relation(id) => return self.stored(*id),
            ScanTarget::System { schema, name } => match self.system.rows(&self.system_view, schema, name) {
                Some(rows) => rows?,
                None => {
                    let message = format!("relation \"{schema}.{name}\" does not exist");
                    return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
                }
            },
            ScanTarget::Placeholder(name) => match self.placeholders.get(name) {
                Some(rows) => rows.clone(),
                None => {
                    let message = format!("the statement's own rows ({name}) are missing");
                    return Err(SqlError::new(SqlState::INTERNAL_ERROR, message));
                }
            },
        };
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]])
            .map_err(|error| highwater_executor::sql_error(&error))?;
        Ok(Arc::new(table))
    }
}
