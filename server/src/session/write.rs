//! INSERT, UPDATE, DELETE, TRUNCATE and the rows of COPY: computed as batch plans, then written to the
//! transaction as deltas. Constraints that the rows themselves tell (NOT NULL, a key twice in one statement) are
//! checked here; uniqueness against rows of others is checked again where commits get their order.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use highwater_executor::ExecError;
use highwater_executor::batch::DirectPlan;
use highwater_planner::catalog::{Relation, RelationKind};
use highwater_planner::{DeletePlan, InsertPlan, OnConflict, QueryPlan, Returning, UpdatePlan, placeholder};
use highwater_types::{Delta, Epoch, RelationId, RowKeys, SqlError, SqlState};

use super::Session;
use super::read::Params;

/// What a DML statement did.
pub(crate) struct Written {
    /// How many rows, for the command tag.
    pub rows: usize,
    /// The rows that RETURNING asks for.
    pub returned: Option<RecordBatch>,
}

impl Session {
    pub(super) async fn insert(
        &mut self,
        plan: &InsertPlan,
        direct: Option<&DirectPlan>,
        params: &Params,
    ) -> Result<Written, SqlError> {
        let table = self.writable(plan.table, "INSERT")?;
        if plan.on_conflict.is_some() {
            // Of two with one key, the second must find what the first has inserted.
            self.transaction().lock(plan.table).await?;
        }
        let rows = self.source_rows(&plan.source, direct, params, &[]).await?;
        let rows = conform(&table, &rows)?;
        check_not_null(&table, &rows)?;
        let inserted = match &plan.on_conflict {
            None => rows,
            Some(conflict) => self.settle_conflicts(&table, rows, conflict, params).await?,
        };
        if plan.on_conflict.is_none() {
            self.check_new_keys(&table, &inserted)?;
        }
        let count = inserted.num_rows();
        if plan.on_conflict.is_none() || count > 0 {
            self.write_insert(&table, &inserted, plan.on_conflict.is_some());
        }
        let returned = self.returning(plan.returning.as_ref(), inserted, params).await?;
        Ok(Written { rows: count, returned })
    }

    pub(super) async fn update(
        &mut self,
        plan: &UpdatePlan,
        direct: Option<&DirectPlan>,
        params: &Params,
    ) -> Result<Written, SqlError> {
        let table = self.writable(plan.table, "UPDATE")?;
        refuse_append_only(&table, "UPDATE")?;
        self.transaction().lock(plan.table).await?;
        let newest = self.read_at_newest(plan.table);
        let pairs = self.source_rows(&plan.source, direct, params, &newest).await?;
        let width = table.columns.len();
        let old = conform(&table, &columns_of(&pairs, 0, width)?)?;
        let new = conform(&table, &columns_of(&pairs, width, width)?)?;
        let (old, new) = first_match_only(&table, old, new)?;
        self.check_unchanged(&table, &old)?;
        check_not_null(&table, &new)?;
        self.write_update(&table, &old, &new)?;
        let rows = new.num_rows();
        let returned = self.returning(plan.returning.as_ref(), new, params).await?;
        Ok(Written { rows, returned })
    }

    pub(super) async fn delete(
        &mut self,
        plan: &DeletePlan,
        direct: Option<&DirectPlan>,
        params: &Params,
    ) -> Result<Written, SqlError> {
        let table = self.writable(plan.table, "DELETE")?;
        refuse_append_only(&table, "DELETE")?;
        self.transaction().lock(plan.table).await?;
        let newest = self.read_at_newest(plan.table);
        let found = self.source_rows(&plan.source, direct, params, &newest).await?;
        let old = conform(&table, &found)?;
        self.check_unchanged(&table, &old)?;
        let rows = old.num_rows();
        self.transaction().write(plan.table, Delta::retract(old.clone()));
        let returned = self.returning(plan.returning.as_ref(), old, params).await?;
        Ok(Written { rows, returned })
    }

    pub(super) async fn truncate(&mut self, tables: &[RelationId]) -> Result<(), SqlError> {
        for id in tables {
            let table = self.writable(*id, "TRUNCATE TABLE")?;
            refuse_append_only(&table, "TRUNCATE TABLE")?;
            self.transaction().lock(*id).await?;
            let stored = self.stored_now(&table, None)?;
            self.transaction().write(*id, Delta::retract(stored));
        }
        Ok(())
    }

    /// The rows that a statement writes or changes. Tables in `changed` are locked.
    async fn source_rows(
        &mut self,
        source: &QueryPlan,
        direct: Option<&DirectPlan>,
        params: &Params,
        changed: &[RelationId],
    ) -> Result<RecordBatch, SqlError> {
        match self.run_direct(direct, params, changed)? {
            Some(rows) => Ok(rows),
            None => self.collect(&source.plan, params, changed).await,
        }
    }

    /// Adds rows that COPY brought, already with all of the table's columns.
    pub(super) fn insert_copied(&mut self, table: &Arc<Relation>, rows: &RecordBatch) -> Result<usize, SqlError> {
        let rows = conform(table, rows)?;
        check_not_null(table, &rows)?;
        self.check_new_keys(table, &rows)?;
        self.transaction().write(table.id, Delta::insert(rows.clone()));
        Ok(rows.num_rows())
    }

    /// The table, if it may be written by this statement.
    pub(super) fn writable(&mut self, id: RelationId, command: &str) -> Result<Arc<Relation>, SqlError> {
        let table = self.world().catalog.relation(id).cloned().ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("the relation with OID {id} was dropped meanwhile"),
            )
        })?;
        self.transaction().check_writable(command)?;
        match &table.kind {
            RelationKind::Table { .. } => Ok(table),
            RelationKind::Source(_)
            | RelationKind::View { .. }
            | RelationKind::MaterializedView { .. }
            | RelationKind::Index { .. } => Err(SqlError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change \"{}\": it is not a table", table.display_name()),
            )),
        }
    }

    fn write_insert(&mut self, table: &Relation, rows: &RecordBatch, replaced: bool) {
        // With ON CONFLICT, settle_conflicts has written the changes already.
        if !replaced {
            self.transaction().write(table.id, Delta::insert(rows.clone()));
        }
    }

    fn write_update(&mut self, table: &Relation, old: &RecordBatch, new: &RecordBatch) -> Result<(), SqlError> {
        self.transaction().write(table.id, Delta::retract(old.clone()));
        self.check_new_keys(table, new)?;
        self.transaction().write(table.id, Delta::insert(new.clone()));
        Ok(())
    }

    /// The rows of a table at its newest, the transaction's own changes included; only those with these keys, when
    /// given.
    pub(super) fn stored_now(&mut self, table: &Relation, keys: Option<&[ArrayRef]>) -> Result<RecordBatch, SqlError> {
        let collection = self.collection(table)?;
        self.transaction().note_newest();
        let schema = table.arrow_schema();
        let found = match keys {
            Some(keys) => collection.lookup(Epoch::MAX, keys)?,
            None => None,
        };
        let base = match found {
            Some(rows) => rows,
            None => concat_batches(&schema, &collection.scan(Epoch::MAX, None)?).map_err(ExecError::from)?,
        };
        let Some(own) = self.transaction().changes_of(table.id)? else {
            return Ok(base);
        };
        let base = Delta::insert(conform(table, &base)?);
        let sum = Delta::concat(&base.schema(), &[base.clone(), own]).and_then(|d| d.consolidate());
        let sum = sum.map_err(ExecError::from)?;
        check_retracted_were_there(table, keys, &sum)?;
        live_rows(&sum)
    }

    /// No key of `rows` may be in the table already, nor be in `rows` twice.
    fn check_new_keys(&mut self, table: &Relation, rows: &RecordBatch) -> Result<(), SqlError> {
        let Some(key) = table.key.clone().filter(|_| rows.num_rows() > 0) else {
            return Ok(());
        };
        let keys = key_columns(rows, &key);
        let existing = KeyIndex::of(&self.stored_now(table, Some(&keys))?, &key)?;
        let mut seen = KeyIndex::of(&rows.slice(0, 0), &key)?;
        for (row, bytes) in encode_keys(rows, &key)?.into_iter().enumerate() {
            if existing.contains(&bytes) || !seen.insert(bytes, row) {
                return Err(duplicate_key(table, &key, rows, row));
            }
        }
        Ok(())
    }

    /// Splits rows into those that conflict with stored rows and those that do not, and writes what ON CONFLICT
    /// says; answers the rows that were inserted or changed, as they are now.
    async fn settle_conflicts(
        &mut self,
        table: &Arc<Relation>,
        rows: RecordBatch,
        conflict: &OnConflict,
        params: &Params,
    ) -> Result<RecordBatch, SqlError> {
        let Some(key) = table.key.clone() else {
            self.transaction().write(table.id, Delta::insert(rows.clone()));
            return Ok(rows);
        };
        let stored = self.stored_now(table, Some(&key_columns(&rows, &key)))?;
        let existing = KeyIndex::of(&stored, &key)?;
        let mut fresh = KeyIndex::of(&rows.slice(0, 0), &key)?;
        let (mut new_rows, mut old_of, mut excluded) = (Vec::new(), Vec::new(), Vec::new());
        for (row, bytes) in encode_keys(&rows, &key)?.into_iter().enumerate() {
            let stored_row = existing.get(&bytes);
            let first = fresh.insert(bytes, row);
            match (stored_row, first) {
                (None, true) => new_rows.push(row as u32),
                (Some(stored_row), true) => {
                    old_of.push(stored_row as u32);
                    excluded.push(row as u32);
                }
                (_, false) if matches!(conflict, OnConflict::Update { .. }) => return Err(affected_twice()),
                (_, false) => {}
            }
        }
        let inserted = take_rows(&rows, &new_rows)?;
        self.transaction().write(table.id, Delta::insert(inserted.clone()));
        let conflicting = take_rows(&stored, &old_of)?;
        self.check_in_snapshot(table, &conflicting)?;
        let OnConflict::Update { plan, .. } = conflict else {
            return Ok(inserted);
        };
        if old_of.is_empty() {
            return Ok(inserted);
        }
        let pairs = conflict_rows(table, &conflicting, &take_rows(&rows, &excluded)?)?;
        let changed = self.collect_over(plan, params, placeholder::CONFLICT, pairs).await?;
        let width = table.columns.len();
        let old = conform(table, &columns_of(&changed, 0, width)?)?;
        let new = conform(table, &columns_of(&changed, width, width)?)?;
        check_not_null(table, &new)?;
        self.write_update(table, &old, &new)?;
        concat_batches(&new.schema(), [&inserted, &new]).map_err(|error| ExecError::from(error).into())
    }

    async fn returning(
        &mut self,
        returning: Option<&Returning>,
        changed: RecordBatch,
        params: &Params,
    ) -> Result<Option<RecordBatch>, SqlError> {
        match returning {
            None => Ok(None),
            Some(returning) => self
                .collect_over(&returning.plan, params, placeholder::CHANGED, changed)
                .await
                .map(Some),
        }
    }
}

/// Rows by their encoded key.
struct KeyIndex(HashMap<Vec<u8>, usize>);

impl KeyIndex {
    fn of(rows: &RecordBatch, key: &[usize]) -> Result<KeyIndex, SqlError> {
        let keys = encode_keys(rows, key)?;
        Ok(KeyIndex(
            keys.into_iter().enumerate().map(|(row, bytes)| (bytes, row)).collect(),
        ))
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.0.contains_key(key)
    }

    fn get(&self, key: &[u8]) -> Option<usize> {
        self.0.get(key).copied()
    }

    /// Answers whether the key is new.
    fn insert(&mut self, key: Vec<u8>, row: usize) -> bool {
        self.0.insert(key, row).is_none()
    }
}

pub(super) fn encode_keys(rows: &RecordBatch, key: &[usize]) -> Result<Vec<Vec<u8>>, SqlError> {
    let keys = rows.project(key).map_err(ExecError::from)?;
    let encoded = RowKeys::of_key(&keys.schema())
        .and_then(|k| k.encode(keys.columns()))
        .map_err(ExecError::from)?;
    Ok(encoded.iter().map(|row| row.data().to_vec()).collect())
}

pub(super) fn key_columns(rows: &RecordBatch, key: &[usize]) -> Vec<ArrayRef> {
    key.iter().map(|c| Arc::clone(rows.column(*c))).collect()
}

/// The rows with the table's own schema: names, metadata and nullability as declared.
pub(super) fn conform(table: &Relation, rows: &RecordBatch) -> Result<RecordBatch, SqlError> {
    let schema: SchemaRef = nullable(&table.arrow_schema());
    RecordBatch::try_new(schema, rows.columns().to_vec()).map_err(|error| ExecError::from(error).into())
}

/// The same columns, each allowed to be NULL: what is not allowed is checked with PostgreSQL's message.
fn nullable(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_nullable(true))
        .collect();
    Arc::new(arrow::datatypes::Schema::new(fields))
}

fn check_not_null(table: &Relation, rows: &RecordBatch) -> Result<(), SqlError> {
    for (column, values) in table.columns.iter().zip(rows.columns()) {
        if column.not_null && values.null_count() > 0 {
            let row = (0..values.len()).find(|row| values.is_null(*row)).unwrap_or_default();
            let message = format!(
                "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                column.name, table.name
            );
            return Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message)
                .with_detail(format!("Failing row contains ({}).", row_text(rows, row))));
        }
    }
    Ok(())
}

fn row_text(rows: &RecordBatch, row: usize) -> String {
    let texts: Vec<String> = rows
        .columns()
        .iter()
        .map(|c| {
            if c.is_null(row) {
                "null".to_string()
            } else {
                value_text(c, row)
            }
        })
        .collect();
    texts.join(", ")
}

fn value_text(column: &ArrayRef, row: usize) -> String {
    arrow::util::display::array_value_to_string(column, row).unwrap_or_else(|error| error.to_string())
}

fn refuse_append_only(table: &Relation, command: &str) -> Result<(), SqlError> {
    if !table.append_only {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!(
            "{command} is not possible on \"{}\": the table is APPEND ONLY",
            table.display_name()
        ),
    )
    .with_hint("Create the table without APPEND ONLY to change or delete its rows."))
}

/// UPDATE ... FROM may find several partners for a row; PostgreSQL uses one of them. Without a key, every pair
/// stands for one row.
fn first_match_only(
    table: &Relation,
    old: RecordBatch,
    new: RecordBatch,
) -> Result<(RecordBatch, RecordBatch), SqlError> {
    let Some(key) = &table.key else { return Ok((old, new)) };
    let mut seen = KeyIndex(HashMap::new());
    let first: Vec<bool> = encode_keys(&old, key)?
        .into_iter()
        .enumerate()
        .map(|(row, bytes)| seen.insert(bytes, row))
        .collect();
    if first.iter().all(|f| *f) {
        return Ok((old, new));
    }
    let keep = BooleanArray::from(first);
    let filter = |rows: &RecordBatch| arrow::compute::filter_record_batch(rows, &keep).map_err(ExecError::from);
    Ok((filter(&old)?, filter(&new)?))
}

/// What the transaction has taken away must have been among the stored rows; of those looked up by key, the ones with
/// these keys.
///
/// # Errors
/// `40001` when one was not: a commit that it was read from has been taken back since.
fn check_retracted_were_there(table: &Relation, keys: Option<&[ArrayRef]>, sum: &Delta) -> Result<(), SqlError> {
    let gone: Vec<u32> = (0..sum.num_rows() as u32)
        .filter(|row| sum.weight(*row as usize) < 0)
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    let is_missing = match (keys, &table.key) {
        (Some(keys), Some(key)) => {
            let schema = sum.batch().schema().project(key).map_err(ExecError::from)?;
            let wanted = RecordBatch::try_new(Arc::new(schema), keys.to_vec()).map_err(ExecError::from)?;
            let wanted = KeyIndex::of(&wanted, &(0..key.len()).collect::<Vec<usize>>())?;
            let gone = encode_keys(&take_rows(sum.batch(), &gone)?, key)?;
            gone.iter().any(|key| wanted.contains(key))
        }
        _ => true,
    };
    match is_missing {
        true => Err(super::isolation::concurrent_update()),
        false => Ok(()),
    }
}

fn live_rows(sum: &Delta) -> Result<RecordBatch, SqlError> {
    let rows = (0..sum.num_rows()).flat_map(|row| {
        let times = usize::try_from(sum.weight(row)).unwrap_or_default();
        std::iter::repeat_n(row as u32, times)
    });
    take_rows(sum.batch(), &rows.collect::<Vec<u32>>())
}

fn take_rows(rows: &RecordBatch, indices: &[u32]) -> Result<RecordBatch, SqlError> {
    take_record_batch(rows, &UInt32Array::from(indices.to_vec())).map_err(|error| ExecError::from(error).into())
}

fn columns_of(rows: &RecordBatch, from: usize, count: usize) -> Result<RecordBatch, SqlError> {
    let columns: Vec<usize> = (from..from + count).collect();
    rows.project(&columns).map_err(|error| ExecError::from(error).into())
}

/// Existing and excluded rows side by side.
fn conflict_rows(table: &Relation, existing: &RecordBatch, excluded: &RecordBatch) -> Result<RecordBatch, SqlError> {
    let columns = existing.columns().iter().chain(excluded.columns()).map(Arc::clone);
    RecordBatch::try_new(highwater_planner::conflict_schema(table), columns.collect())
        .map_err(|error| ExecError::from(error).into())
}

fn duplicate_key(table: &Relation, key: &[usize], rows: &RecordBatch, row: usize) -> SqlError {
    let constraint = match &table.kind {
        RelationKind::Table {
            primary_key_name: Some(name),
        } => name.clone(),
        _ => format!("{}_pkey", table.name),
    };
    let names: Vec<&str> = key.iter().map(|c| table.columns[*c].name.as_str()).collect();
    let values: Vec<String> = key.iter().map(|c| value_text(rows.column(*c), row)).collect();
    SqlError::new(
        SqlState::UNIQUE_VIOLATION,
        format!("duplicate key value violates unique constraint \"{constraint}\""),
    )
    .with_detail(format!(
        "Key ({})=({}) already exists.",
        names.join(", "),
        values.join(", ")
    ))
}

fn affected_twice() -> SqlError {
    SqlError::new(
        SqlState::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .with_hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
}
